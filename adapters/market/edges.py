"""The ends of what is stored: the bar before and after an import, and how its adjusted close stood to its close.

A tape keeps the adjusted close of each symbol's first and last bar, so that the file of the next day can be read on
from there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adapters.market.reader import bar_batches, check_footer
from adapters.market.tape import AGAIN, EDGE_COLUMNS, EDGES, Columns, Manifest, TapeInstrument
from adapters.market.zones import DAY
from kernel.errors import TapeCorrupt

REACH = 14 * DAY  # how far into a tape that holds bars of both sides a neighbour is looked for
BEFORE, AFTER = 0, 1
_READ = ("ts_init", "instrument", "span", "lag", "open", "close")


@dataclass(frozen=True)
class StoredBar:
    """A bar of a tape; `adj_close` is NaN where the tape does not know it."""

    opened: int
    stamp: int  # ts_event
    open: int
    close: int
    adj_close: float

    @property
    def span(self) -> int:
        return self.stamp - self.opened


Sides = tuple[StoredBar | None, StoredBar | None]


def edges_of(rows: Columns) -> Columns:
    """What a tape keeps of `rows` (instrument, ts_event, adj_close, in order of time): first and last of each."""
    known = np.flatnonzero(np.isfinite(rows["adj_close"]))
    number = rows["instrument"][known]
    _, first = np.unique(number, return_index=True)
    _, last = np.unique(number[::-1], return_index=True)
    kept = known[np.unique(np.concatenate([first, len(known) - 1 - last]))]
    return {name: np.ascontiguousarray(rows[name][kept], width) for name, width in EDGE_COLUMNS.items()}


def neighbours(tapes: Sequence[Manifest], wanted: Mapping[int, tuple[int, int]]) -> dict[int, Sides]:
    """By instrument number: the stored bars before the open and after the close of `wanted` (ns UTC), the nearest."""
    found: dict[int, list[StoredBar | None]] = {number: [None, None] for number in wanted}
    for (tape, side), asked in _windows(tapes, wanted).items():
        adjusted = _read_edges(tapes[tape])
        low, high = min(lo for lo, _ in asked.values()), max(hi for _, hi in asked.values())
        for batch in bar_batches(tapes[tape].path, set(asked), low, high, columns=_READ):
            for number, rows in _by_number(batch["instrument"]):
                opens, closes = wanted[number]
                ts = batch["ts_init"][rows]
                rows = rows[ts <= opens][-1:] if side == BEFORE else rows[ts > closes][:1]  # noqa: PLW2901
                for row in rows.tolist():
                    bar = _bar(batch, row, adjusted.get(number, {}))
                    found[number][side] = _nearer(found[number][side], bar, side)
    return {number: (sides[BEFORE], sides[AFTER]) for number, sides in found.items()}


def _windows(
    tapes: Sequence[Manifest], wanted: Mapping[int, tuple[int, int]]
) -> dict[tuple[int, int], dict[int, tuple[int, int]]]:
    """(place of a tape, side) -> instrument -> the range of ts_init to look in; of as few tapes as can be."""
    held: dict[int, list[tuple[int, TapeInstrument]]] = {}
    for k, tape in enumerate(tapes):
        for row in tape.instruments:
            if row.bars and row.number in wanted:
                held.setdefault(row.number, []).append((k, row))
    windows: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}
    for number, rows in held.items():
        opens, closes = wanted[number]
        ends = sorted((row.last_ts, k) for k, row in rows if row.last_ts <= opens)[-1:]
        begins = sorted((row.first_ts, k) for k, row in rows if row.first_ts > closes)[:1]
        for ts, k in ends:
            windows.setdefault((k, BEFORE), {})[number] = (ts, ts)
        for ts, k in begins:
            windows.setdefault((k, AFTER), {})[number] = (ts, ts)
        for k, row in rows:
            if row.first_ts <= opens < row.last_ts:
                windows.setdefault((k, BEFORE), {})[number] = (opens - REACH, opens)
            if row.first_ts <= closes < row.last_ts:
                windows.setdefault((k, AFTER), {})[number] = (closes + 1, closes + REACH)
    return windows


def _by_number(numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    order = np.argsort(numbers, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        yield int(numbers[rows[0]]), rows


def _bar(batch: Columns, row: int, adjusted: dict[int, float]) -> StoredBar:
    lag = int(batch["lag"][row]) if "lag" in batch else 0
    stamp = int(batch["ts_init"][row]) - lag
    opened = stamp - int(batch["span"][row])
    return StoredBar(
        opened, stamp, int(batch["open"][row]), int(batch["close"][row]), adjusted.get(stamp, float("nan"))
    )


def _nearer(one: StoredBar | None, other: StoredBar, side: int) -> StoredBar:
    if one is None:
        return other
    return max(one, other, key=lambda bar: bar.opened if side == BEFORE else -bar.opened)


def _read_edges(tape: Manifest) -> dict[int, dict[int, float]]:
    """Instrument -> ts_event -> adjusted close. Raises TapeCorrupt."""
    if EDGES not in tape.files:
        return {}
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(tape.path) / EDGES
    check_footer(path)
    try:
        table = pq.read_table(path, use_threads=False, page_checksum_verification=True)
        columns = [table.column(name).to_pylist() for name in EDGE_COLUMNS]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise TapeCorrupt(f"{path} cannot be read ({error}): {AGAIN}") from error
    found: dict[int, dict[int, float]] = {}
    for number, stamp, adjusted in zip(*columns, strict=True):
        found.setdefault(number, {})[stamp] = adjusted
    return found
