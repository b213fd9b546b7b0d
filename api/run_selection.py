"""What a run takes from its market tapes: which days, with how many before them to learn from, and when it begins."""

from collections.abc import Sequence
from typing import Any

from adapters.market.feed import MERGE_RULE
from adapters.market.reader import bar_batches
from adapters.market.tape import Manifest
from api.days import day_bounds
from api.request import Request
from kernel.errors import ConfigError

DAY = 86_400_000_000_000
FEW = 4_096  # rows
Config = dict[str, Any]


def selection_config(request: Request, tapes: Sequence[Manifest], timezone: str, warm_up: int) -> Config:
    """The selection of a configuration. Raises ConfigError."""
    first_ts = day_bounds(request.first_day, timezone)[0] if request.first_day else None
    last_ts = day_bounds(request.last_day, timezone)[1] if request.last_day else None
    if first_ts is not None and last_ts is not None and first_ts > last_ts:
        raise ConfigError(f"--from {request.first_day} is after --to {request.last_day}")
    return {
        "tapes": [{"name": tape.name, "content_digest": tape.content_digest} for tape in tapes],
        "first_ts": first_ts - warm_up * DAY if first_ts is not None else None,
        "last_ts": last_ts,
        "warm_up_ts": first_ts if warm_up and first_ts is not None else None,
        "merge": MERGE_RULE,
    }


def reach_of(tapes: Sequence[Manifest], selection: Config) -> tuple[int, int]:
    """First and last ns UTC at which there may be bars or ticks."""
    held = [tape for tape in tapes if tape.bars or tape.ticks]
    first, last = min(tape.first_ts for tape in held), max(tape.last_ts for tape in held)
    first = max(first, selection["first_ts"]) if selection["first_ts"] is not None else first
    last = min(last, selection["last_ts"]) if selection["last_ts"] is not None else last
    return first, max(first, last)


def first_open(tapes: Sequence[Manifest], numbers: set[int], selection: Config, first_ts: int) -> int:
    """When the first bar of a run begins, ns UTC; `first_ts` where it has none."""
    found = []
    for tape in (tape for tape in tapes if tape.bars):
        batches = bar_batches(tape.path, numbers, selection["first_ts"], selection["last_ts"], FEW)
        if (bar := next(batches, None)) is not None:
            ts = int(bar["ts_init"][0])
            found.append((ts, ts - int(bar["span"][0]) - (int(bar["lag"][0]) if "lag" in bar else 0)))
    return min(found)[1] if found else first_ts


def first_span(tapes: Sequence[Manifest]) -> int:
    """How long the first bar of the tapes is, ns; of several tapes that of the earliest, 0 of ticks."""
    first = min((tape for tape in tapes if tape.bars), key=lambda tape: (tape.first_ts, tape.name), default=None)
    if first is None:
        return 0
    return int(next(bar_batches(first.path, batch_rows=1, columns=("span",)))["span"][0])


def in_order_asked(request: Request, tapes: Sequence[Manifest]) -> list[Manifest]:
    """The tapes as they were asked for."""
    places = {name: place for place, name in enumerate(request.tapes)}
    return sorted(tapes, key=lambda tape: places.get(tape.name, 0))
