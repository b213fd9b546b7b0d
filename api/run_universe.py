"""A universe as part of a run: its members over the run's days, delisted ones included, and when each is one."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from adapters.market.instrument import FOREVER
from adapters.market.instruments import Registry
from adapters.market.members import Members
from adapters.reference.universe import Span, load_universe
from api.days import FIRST_DAY, LAST_DAY, day_bounds
from kernel.errors import ConfigError, NotFound

SHOWN = 10
log = logging.getLogger("onetape.run")


def spans_of_run(home: Path, registry: Registry, name: str, first_day: str | None, last_day: str | None) -> list[Span]:
    """The memberships of a universe that reach into the run's days. Raises NotFound, ImportRefused, ConfigError."""
    first, last = first_day or FIRST_DAY, last_day or LAST_DAY
    found = [span for span in load_universe(home, name, registry).spans if span.first <= last and span.last >= first]
    if not found:
        raise ConfigError(f"universe {name} has no members from {first} to {last}: `onetape universe show {name}`")
    return found


def with_bars(name: str, spans: list[Span], on_tapes: Collection[int]) -> list[Span]:
    """The memberships of those that have bars; who has none is said, since results without them flatter.

    Raises NotFound when nobody has any.
    """
    found = [span for span in spans if span.number in on_tapes]
    without = sorted({span.symbol for span in spans if span.number not in on_tapes})
    if not found:
        raise NotFound(f"no member of universe {name} has bars on the chosen tapes: see `onetape runs --tapes`")
    if without:
        more = f" and {len(without) - SHOWN} more" if len(without) > SHOWN else ""
        log.warning(
            "universe %s: %d of its members have no bars and are left out, so results may flatter: %s%s",
            name, len(without), ", ".join(without[:SHOWN]), more,
        )  # fmt: skip
    return found


def universe_config(name: str, spans: list[Span], days: tuple[str | None, str | None], tz: str, lead: int) -> Any:
    """What a selection says of a universe: rows of (registry number, first and last ts_init), ns UTC, and how long
    before it joins an instrument is learned from."""
    first, last = days[0] or FIRST_DAY, days[1] or LAST_DAY
    rows = [[s.number, day_bounds(max(s.first, first), tz)[0], day_bounds(min(_end(s), last), tz)[1]] for s in spans]
    return {"name": name, "lead": lead, "members": rows}


def _end(span: Span) -> str:
    return LAST_DAY if span.last == FOREVER else span.last


def members_of(selection: dict[str, Any]) -> Members | None:
    """The memberships that a selection states, None where it has no universe."""
    universe = selection.get("universe")
    return Members.of(universe["members"], universe["lead"]) if universe else None
