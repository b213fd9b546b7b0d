"""The scanner over HTTP: the question of `onetape scan` as query parameters, the answer as JSON, one at a time."""

from threading import Lock
from typing import Annotated, Any

from litestar import get
from litestar.datastructures import State
from litestar.exceptions import ValidationException
from litestar.params import QueryParameter

from api.scan import Question, scan
from api.scan_expression import LONGEST
from kernel.errors import ConfigError

LIMIT = 1_000  # rows of an answer
_one_at_a_time = Lock()  # a question may have code compiled, and holds its windows in memory

Names = Annotated[str, QueryParameter(max_length=10_000, description="Separated by commas.")]


@get("/api/scan", sync_to_thread=True)
def get_scan(
    state: State,
    condition: Annotated[str, QueryParameter(max_length=LONGEST, description="Such as rsi14 < 30.")] = "",
    sort: Annotated[str, QueryParameter(max_length=LONGEST, description="A number, asc or desc behind it.")] = "",
    show: Annotated[str, QueryParameter(max_length=LONGEST, description="Numbers, separated by commas.")] = "",
    symbols: Names = "",
    universe: Annotated[str | None, QueryParameter(max_length=64, description="Its members of that day.")] = None,
    tapes: Names = "",
    as_of: Annotated[str | None, QueryParameter(max_length=30, description="YYYY-MM-DD, or with HH:MM.")] = None,
    first_day: Annotated[str | None, QueryParameter(max_length=10, description="Bars from here on.")] = None,
    bars: Annotated[str | None, QueryParameter(max_length=10, description="1d for bars of days.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LIMIT, description="Most rows of the answer.")] = 100,
) -> dict[str, Any]:
    """Instruments by their indicators, as `onetape scan` finds them; numbers are floats, as strategies see them."""
    question = Question(condition, sort, show, _list(symbols), universe, _list(tapes), as_of, first_day, bars, limit)
    try:
        with _one_at_a_time:
            return scan(state.home, state.settings, question).as_dict()
    except ConfigError as error:
        raise ValidationException(str(error)) from None


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
