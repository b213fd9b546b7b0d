"""Ticks on their way into a run: which tapes have some of it, and every market row as words of an event's body."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from adapters.market.reader import bar_batches, tick_batches
from adapters.market.tape import TICK_FILES, Columns, Manifest
from kernel.codes import Kind
from kernel.errors import ConfigError, NotReplayable
from kernel.schema import BODY_OFFSET, FAMILY_OF

KINDS = {"bars": Kind.BAR, "quotes": Kind.QUOTE, "trades": Kind.TRADE}  # at one time and instrument in this order
MARKET = tuple(int(kind) for kind in KINDS.values())
WORDS = tuple(f"word{k}" for k in range(7))  # of the body, as many as a bar has
FIRST_WORD = BODY_OFFSET // 8
assert all(len(FAMILY_OF[kind].slots) <= len(WORDS) for kind in KINDS.values())


def has_ticks(tapes: Sequence[Manifest], numbers: set[int] | None) -> bool:
    """Whether there are ticks of these instruments of the table (None: of any). Raises ConfigError for one that has
    bars as well, NotReplayable where they were retired."""
    ticking, barred = (
        {one.number: (one.symbol, tape) for tape in tapes for one in tape.instruments
         if (numbers is None or one.number in numbers) and (one.ticks if of_ticks else one.bars)}
        for of_ticks in (True, False)
    )  # fmt: skip
    for number in sorted(ticking.keys() & barred.keys()):
        (symbol, tape), (_, other) = ticking[number], barred[number]
        raise ConfigError(
            f"{symbol} has ticks (tape {tape.name}) and bars (tape {other.name}): choose one sort with --tapes; bars "
            "can be made of trades, with --bars 1m"
        )
    for _, tape in ticking.values():
        for name, about in tape.retired.items():
            raise NotReplayable(
                f"NOT REPLAYABLE: input retired: {about['rows']:,} ticks of {name} left market tape {tape.name} on "
                f"{about['retired_at'][:10]}; an older backup has them"
            )
    return bool(ticking)


def market_streams(
    tapes: Sequence[Manifest], numbers: set[int] | None, first_ts: int | None, last_ts: int | None, batch_rows: int
) -> list[Iterator[Columns]]:
    """Every sort of rows of every tape, in the order that ties go by: columns ts_init, instrument, kind, lag, span of
    bars, and the words of the body."""
    found = []
    for tape in tapes:
        if tape.bars:
            batches = bar_batches(tape.path, numbers, first_ts, last_ts, batch_rows)
            found.append(_worded(Kind.BAR, batches))
        for sort, name in TICK_FILES.items():
            if name in tape.files:
                batches = tick_batches(tape.path, sort, numbers, first_ts, last_ts, batch_rows)
                found.append(_worded(KINDS[sort], batches))
    return found


def _worded(kind: Kind, batches: Iterator[Columns]) -> Iterator[Columns]:
    for batch in batches:
        rows = {name: batch[name] for name in ("ts_init", "instrument", "lag", "span") if name in batch}
        rows["kind"] = np.full(len(batch["ts_init"]), int(kind), np.uint8)
        for word, (name, _) in zip(WORDS, FAMILY_OF[kind].slots, strict=False):
            if name in batch:
                rows[word] = batch[name]
        if kind is Kind.BAR:
            rows[WORDS[0]] = batch["ts_init"] - batch.get("lag", 0) - batch["span"]
        yield rows


def count_rows(
    tapes: Sequence[Path], sort: str, numbers: set[int] | None, first_ts: int | None, last_ts: int | None
) -> Iterator[Columns]:
    """ts_init and instrument of all bars, quotes or trades of tapes, a batch at a time."""
    columns = ("ts_init", "instrument")
    for path in tapes:
        if sort == "bars":
            yield from bar_batches(path, numbers, first_ts, last_ts, columns=columns)
        elif (path / TICK_FILES[sort]).exists():
            yield from tick_batches(path, sort, numbers, first_ts, last_ts, columns=columns)
