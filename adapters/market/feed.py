"""The merge of market tapes as kernel inputs: bars and corporate actions by (ts_init, instrument, tape), slices marked.

Actions of one bar and instrument come by ex-date, a split before the dividends of its day.

Rows are written straight into the engine's input table. Memory stays flat: one batch of columns a tape.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adapters.market.actions import LATEST
from adapters.market.reader import bar_batches, read_actions
from adapters.market.tape import Columns
from kernel.codes import Flag, Kind
from kernel.errors import ConfigError

MERGE_RULE = "ts_init,instrument,tape"
COPIED = ("instrument", "open", "high", "low", "close", "volume")
BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Selection:
    """What a run takes from its tapes: instrument numbers (None: all) and a closed range of ts_init, ns UTC.

    Bars before `warm_up_ts` are flagged WARM_UP: strategies learn from them, nothing is sent. `actions_from` is where
    splits and dividends begin, by default `first_ts`: one at the time of a bar comes after it, so that who goes on
    after that bar still needs it.
    """

    instruments: frozenset[int] | None = None
    first_ts: int | None = None
    last_ts: int | None = None
    warm_up_ts: int | None = None
    actions_from: int | None = None


class MarketFeed:
    """Bars and actions of `tapes` in order. `read_into(records)` fills a table from its start; 0 means the end."""

    def __init__(self, tapes: Sequence[Path], selection: Selection) -> None:
        self._selection = selection
        self._names = [Path(tape).name for tape in tapes]
        self._chunks = _with_end(self._merged([Path(tape) for tape in tapes]))
        self._chunk: Columns = {}
        self._at = self._size = 0
        self._next_ts: int | None = None
        self._last = (-1, -1)  # ts_init and instrument of the last bar of the chunk before
        self._interest = False
        self._actions = self._read_actions([Path(tape) for tape in tapes])
        self._dirty = True
        self._closed: dict[int, np.int64] = {}  # of each instrument: when its last bar closed
        self.bars = 0

    def _read_actions(self, tapes: list[Path]) -> np.ndarray:
        """Rows (ts_init, instrument, kind, ts_event, a, b) in order; what several tapes have counts once."""
        s, rows = self._selection, Counter[tuple[int, ...]]()
        first_ts = s.first_ts if s.actions_from is None else s.actions_from
        for tape in tapes:
            here = Counter[tuple[int, ...]]()
            columns = read_actions(tape)
            for k in range(len(columns["ts_init"])):
                action = {name: int(values[k]) for name, values in columns.items()}
                ts, instrument, kind = (action[name] for name in ("ts_init", "instrument", "kind"))
                wanted = s.instruments is None or instrument in s.instruments
                if wanted and (first_ts is None or ts >= first_ts) and (s.last_ts is None or ts <= s.last_ts):
                    day = action.get("ex_day") or LATEST
                    a, b = action["numerator" if kind == Kind.SPLIT else "amount"], action["denominator"]
                    here[ts, instrument, day, kind, action["ts_event"], a, b, action.get("note", 0)] += 1
            rows |= here
        found = np.array(sorted(rows.elements()), np.int64).reshape(-1, 8)
        return found[:, [0, 1, 3, 4, 5, 6]]

    def _merged(self, tapes: list[Path]) -> Iterator[Columns]:
        s = self._selection
        chosen = None if s.instruments is None else set(s.instruments)
        streams = [bar_batches(tape, chosen, s.first_ts, s.last_ts, BATCH_ROWS) for tape in tapes]
        return streams[0] if len(streams) == 1 else merge(streams)

    def read_into(self, records: np.ndarray) -> int:
        """Fill `records` (EVENT) from its start with the next inputs and return how many; 0 at the end."""
        if self._dirty:
            records.view(np.uint8)[:] = 0
            records["kind"] = int(Kind.BAR)
            self._dirty = False
        filled = 0
        while filled < len(records):
            if self._at == self._size and not self._advance():
                break
            if len(self._actions) and self._actions[0, 0] < int(self._chunk["ts_init"][self._at]):
                self._put_action(records[filled])
                filled += 1
                continue
            end = min(self._size, self._at + len(records) - filled)
            if len(self._actions):
                end = min(end, int(np.searchsorted(self._chunk["ts_init"], self._actions[0, 0], "right")))
            self._put_bars(records[filled : filled + end - self._at], end)
            filled += end - self._at
            self._at = end
        return filled

    def _advance(self) -> bool:
        step = next(self._chunks, None)
        if step is None:
            return False
        self._chunk, self._next_ts = step
        self._at, self._size = 0, len(self._chunk["ts_init"])
        self._chunk["flags"] = self._flags()
        return True

    def _flags(self) -> np.ndarray:
        """SLICE_END where the availability time changes, WARM_UP before the run's first day."""
        ts = self._chunk["ts_init"]
        ends = np.empty(len(ts), np.uint16)
        ends[:-1] = ts[1:] != ts[:-1]
        ends[-1] = self._next_ts is None or self._next_ts != int(ts[-1])
        if self._selection.warm_up_ts is not None:
            ends |= (ts < self._selection.warm_up_ts).astype(np.uint16) * int(Flag.WARM_UP)
        number = self._chunk["instrument"]
        same = np.flatnonzero((ts[1:] == ts[:-1]) & (number[1:] == number[:-1]))
        if len(same) or (int(ts[0]), int(number[0])) == self._last:
            raise ConfigError(
                f"instrument {number[same[0] if len(same) else 0]} has two bars at one time on the tapes "
                f"{', '.join(self._names)} (say, minute and daily ones): choose with --tapes"
            )
        self._last = (int(ts[-1]), int(number[-1]))
        if len(self._names) > 1 or (self._chunk["span"] != self._chunk["span"][0]).any():
            self._refuse_overlap()
        return ends

    def _refuse_overlap(self) -> None:
        """Bars of one instrument must follow each other: minute bars beside daily ones would trade every move twice."""
        chunk = self._chunk
        closed = chunk["ts_init"] - chunk["lag"] if "lag" in chunk else chunk["ts_init"]
        order = np.argsort(chunk["instrument"], kind="stable")
        number, opened, closed = chunk["instrument"][order], (closed - chunk["span"])[order], closed[order]
        for first, last in zip(*_stretches(number), strict=True):
            before = self._closed.get(int(number[first]), opened[first])
            late = np.flatnonzero(opened[first:last] < np.append(before, closed[first : last - 1]))
            if len(late):
                raise ConfigError(
                    f"instrument {number[first]} has bars that overlap on the tapes {', '.join(self._names)} "
                    "(say, minute and daily ones, or one file imported twice with another session close): "
                    "choose with --tapes"
                )
            self._closed[int(number[first])] = closed[last - 1]

    def _put_bars(self, rows: np.ndarray, end: int) -> None:
        chunk, part = self._chunk, slice(self._at, end)
        ts = chunk["ts_init"][part]
        rows["ts_init"] = ts
        closed = ts - chunk["lag"][part] if "lag" in chunk else ts
        rows["ts_event"] = closed
        rows["ts_open"] = closed - chunk["span"][part]
        for name in COPIED:
            rows[name] = chunk[name][part]
        if "open_interest" in chunk:
            rows["open_interest"] = chunk["open_interest"][part]
            self._interest = True
        elif self._interest:  # the table holds what chunks before had
            rows["open_interest"] = 0
        rows["flags"] = chunk["flags"][part]
        self.bars += len(rows)

    def _put_action(self, row: np.void) -> None:
        ts, instrument, kind, ts_event, a, b = (int(x) for x in self._actions[0])
        self._actions = self._actions[1:]
        for name in ("flags", "open", "high", "low", "close", "volume", "open_interest"):
            row[name] = 0
        row["kind"], row["instrument"], row["ts_init"], row["ts_event"] = kind, instrument, ts, ts_event
        if kind == Kind.SPLIT:
            row["numerator"], row["denominator"] = a, b
        else:
            row["amount"] = a
        self._dirty = True


def _stretches(values: np.ndarray) -> tuple[list[int], list[int]]:
    """First and one-past-last places of the runs of equal values."""
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    return edges[:-1], edges[1:]


def _with_end(chunks: Iterator[Columns]) -> Iterator[tuple[Columns, int | None]]:
    """Each chunk with the first ts_init of the one after it, None for the last."""
    held = next(chunks, None)
    while held is not None:
        after = next(chunks, None)
        yield dict(held), None if after is None else int(after["ts_init"][0])
        held = after


def merge(streams: list[Iterator[Columns]]) -> Iterator[Columns]:
    """Merge streams of columns sorted by (ts_init, instrument); ties go by instrument, then by the stream's place."""
    hands = [next(stream, None) for stream in streams]
    while any(hand is not None for hand in hands):
        ends = [int(hand["ts_init"][-1]) for hand in hands if hand is not None]
        horizon = min(ends)
        for k in range(len(hands)):  # rows at the horizon may go on in a stream's next batch
            while (hand := hands[k]) is not None and int(hand["ts_init"][-1]) == horizon:
                more = next(streams[k], None)
                if more is None:
                    break
                hands[k] = _joined([hand, more])
        parts = []
        for k, hand in enumerate(hands):
            if hand is None:
                continue
            cut = int(np.searchsorted(hand["ts_init"], horizon, "right"))
            if cut:
                parts.append((k, {name: values[:cut] for name, values in hand.items()}))
            hands[k] = {name: values[cut:] for name, values in hand.items()}
            if cut == len(hand["ts_init"]):
                hands[k] = next(streams[k], None)
        chunk = _joined([part for _, part in parts])
        place = np.concatenate([np.full(len(part["ts_init"]), k) for k, part in parts])
        order = np.lexsort((place, chunk["instrument"], chunk["ts_init"]))
        yield {name: values[order] for name, values in chunk.items()}


def _joined(parts: list[Columns]) -> Columns:
    """Columns one after the other; optional ones that some parts lack are zero there."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {
        name: np.concatenate([part.get(name, np.zeros(len(part["ts_init"]), np.int64)) for part in parts])
        for name in names
    }
