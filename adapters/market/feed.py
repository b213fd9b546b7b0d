"""The merge of market tapes as kernel inputs: bars, ticks and corporate actions by (ts_init, instrument, tape), slices
marked. Ticks of one time and instrument come by tape, quotes before trades, then as they are on it.

Actions of one bar and instrument come by ex-date, a split before the dividends of its day. A timer, or a fact that is
on no tape, comes before the actions and bars of its time, so it never parts a slice. Tapes have the instrument table's
numbers, records the run's.

Rows are written straight into the engine's input table. Memory stays flat: one batch of columns a tape.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adapters.market.actions import LATEST
from adapters.market.dated import NEVER, Dated, Fact, Facts, Timers
from adapters.market.members import Members
from adapters.market.merging import merge, stretches, with_end
from adapters.market.reader import bar_batches, read_actions
from adapters.market.tape import Columns, open_tape
from adapters.market.ticks import FIRST_WORD, WORDS, has_ticks, market_streams
from kernel.codes import Flag, Kind
from kernel.errors import ConfigError
from kernel.schema import RAW

MERGE_RULE = "ts_init,instrument,tape"
TICKS_RULE = "ts_init,instrument,tape,seq"  # of runs with ticks
COPIED = ("open", "high", "low", "close", "volume")
BATCH_ROWS = 65_536
BAR = int(Kind.BAR)


@dataclass(frozen=True)
class Selection:
    """What a run takes from its tapes: instruments and a closed range of ts_init, ns UTC.

    `instruments` says which number of the instrument table is which in the run: in order of place, or by mapping; None
    is all, as they are. Bars before `warm_up_ts` are flagged WARM_UP: strategies learn from them, nothing is sent; so
    are those from outside the memberships of a universe. `actions_from` is where splits and dividends begin, by default
    `first_ts`: one at the time of a bar comes after it, so that who goes on after that bar still needs it.
    `timers_from` is where timers begin, by default the opening of the first bar.
    """

    instruments: Mapping[int, int] | tuple[int, ...] | None = None
    first_ts: int | None = None
    last_ts: int | None = None
    warm_up_ts: int | None = None
    actions_from: int | None = None
    timers_from: int | None = None
    members: Members | None = None

    @property
    def numbers(self) -> dict[int, int] | None:
        """The run's number of each number of the instrument table."""
        chosen = self.instruments
        if chosen is None or isinstance(chosen, Mapping):
            return None if chosen is None else dict(chosen)
        return {number: place for place, number in enumerate(chosen)}


class MarketFeed:
    """Bars and actions of `tapes`, timers and facts in order. `read_into(records)` fills a table from its start; 0 is
    the end.

    Timers and facts go from the first bar to the last (of ticks from the opening of the session), and on until the
    sessions that are closed by then are over.
    """

    def __init__(
        self, tapes: Sequence[Path], selection: Selection, timers: Timers | None = None, facts: Facts | None = None
    ) -> None:
        self._selection = selection
        self._numbers = selection.numbers
        self._renumber = _table_of(self._numbers)
        self._dated = Dated(timers, facts, selection.timers_from)
        self._names = [Path(tape).name for tape in tapes]
        self._manifests = [open_tape(Path(tape)) for tape in tapes]
        self._ticking = has_ticks(self._manifests, None if self._numbers is None else set(self._numbers))
        self._chunks = with_end(self._merged([Path(tape) for tape in tapes]))
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
                wanted = self._numbers is None or instrument in self._numbers
                if wanted and (first_ts is None or ts >= first_ts) and (s.last_ts is None or ts <= s.last_ts):
                    day = action.get("ex_day") or LATEST
                    a, b = action["numerator" if kind == Kind.SPLIT else "amount"], action["denominator"]
                    here[ts, instrument, day, kind, action["ts_event"], a, b, action.get("note", 0)] += 1
            rows |= here
        found = np.array(sorted(rows.elements()), np.int64).reshape(-1, 8)
        return found[:, [0, 1, 3, 4, 5, 6]]

    def _merged(self, tapes: list[Path]) -> Iterator[Columns]:
        s = self._selection
        chosen = None if self._numbers is None else set(self._numbers)
        if self._ticking:
            assert s.members is None and s.warm_up_ts is None, "ticks carry no flags of a universe or a warm-up"
            return merge(market_streams(self._manifests, chosen, s.first_ts, s.last_ts, BATCH_ROWS))
        streams = [bar_batches(tape, chosen, s.first_ts, s.last_ts, BATCH_ROWS) for tape in tapes]
        if s.members is not None:
            streams = [_only(s.members, stream) for stream in streams]
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
                if not self._dated:
                    break
                self._put_dated(records[filled : filled + 1])
                filled += 1
                continue
            ts, now = self._chunk["ts_init"], int(self._chunk["ts_init"][self._at])
            dated = self._dated.next_ts
            action = int(self._actions[0, 0]) if len(self._actions) else NEVER
            if dated <= min(now, action):
                self._put_dated(records[filled : filled + 1])
                filled += 1
            elif action < now:
                self._put_action(records[filled])
                filled += 1
            else:
                end = min(self._size, self._at + len(records) - filled)
                if dated <= int(ts[end - 1]):
                    end = int(np.searchsorted(ts, dated, "left"))
                if action < int(ts[end - 1]):
                    end = int(np.searchsorted(ts, action, "right"))
                put = self._put_words if self._ticking else self._put_bars
                put(records[filled : filled + end - self._at], end)
                filled += end - self._at
                self._at = end
        return filled

    def unread_actions(self, before_ts: int) -> int:
        """How many actions from before a time no bar followed, once the end is reached."""
        return int((self._actions[:, 0] < before_ts).sum())

    def _advance(self) -> bool:
        step = next(self._chunks, None)
        if step is None:
            if self._size:
                self._dated.finish(int(self._chunk["ts_init"][-1]), self._selection.last_ts)
            return False
        self._chunk, self._next_ts = step
        self._at, self._size = 0, len(self._chunk["ts_init"])
        self._chunk["flags"] = self._tick_flags() if self._ticking else self._flags()
        self._dated.go_to(int(self._chunk["ts_init"][-1]), self._first_open)
        return True

    def _first_open(self) -> int:
        """When the first bar began; RUN_STARTED is then. Where a tick is first, when its session did: bars are counted
        from there."""
        if self._ticking and self._chunk["kind"][0] != BAR:
            return self._dated.opened(int(self._chunk["ts_init"][0]))
        lag = self._chunk["lag"][0] if "lag" in self._chunk else 0
        return int(self._chunk["ts_init"][0] - lag - self._chunk["span"][0])

    def _flags(self) -> np.ndarray:
        """SLICE_END where the availability time changes, WARM_UP before the run's first day or a universe's, LEFT after
        the instrument was a member."""
        ts = self._chunk["ts_init"]
        ends = np.empty(len(ts), np.uint16)
        ends[:-1] = ts[1:] != ts[:-1]
        ends[-1] = self._next_ts is None or self._next_ts != int(ts[-1])
        if self._selection.warm_up_ts is not None:
            ends |= (ts < self._selection.warm_up_ts).astype(np.uint16) * int(Flag.WARM_UP)
        if self._selection.members is not None:
            outside = self._selection.members.outside(self._chunk)
            left = self._selection.members.left(self._chunk, outside)
            ends |= (outside & ~left).astype(np.uint16) * np.uint16(Flag.WARM_UP)
            ends |= left.astype(np.uint16) * np.uint16(Flag.LEFT)
        self._check_bars(self._chunk)
        return ends

    def _tick_flags(self) -> np.ndarray:
        """SLICE_END on the last bar of an availability time, and on its last row; merged chunks end with one."""
        chunk, bars = self._chunk, self._chunk["kind"] == BAR
        ends = np.append(chunk["ts_init"][1:] != chunk["ts_init"][:-1], True).astype(np.uint16)
        if bars.any():
            only = {name: values[bars] for name, values in chunk.items()}
            ends[bars] |= np.append(only["ts_init"][1:] != only["ts_init"][:-1], True)
            self._check_bars(only)
        return ends

    def _check_bars(self, chunk: Columns) -> None:
        """An instrument has one bar at a time, and they do not overlap."""
        ts, number = chunk["ts_init"], chunk["instrument"]
        same = np.flatnonzero((ts[1:] == ts[:-1]) & (number[1:] == number[:-1]))
        if len(same) or (int(ts[0]), int(number[0])) == self._last:
            raise ConfigError(
                f"instrument {number[same[0] if len(same) else 0]} has two bars at one time on the tapes "
                f"{', '.join(self._names)} (say, minute and daily ones): choose with --tapes"
            )
        self._last = (int(ts[-1]), int(number[-1]))
        if len(self._names) > 1 or (chunk["span"] != chunk["span"][0]).any():
            self._refuse_overlap(chunk)

    def _refuse_overlap(self, chunk: Columns) -> None:
        """Bars of one instrument must follow each other: minute bars beside daily ones would trade every move twice."""
        closed = chunk["ts_init"] - chunk["lag"] if "lag" in chunk else chunk["ts_init"]
        order = np.argsort(chunk["instrument"], kind="stable")
        number, opened, closed = chunk["instrument"][order], (closed - chunk["span"])[order], closed[order]
        for first, last in zip(*stretches(number), strict=True):
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
        number = chunk["instrument"][part]
        rows["instrument"] = number if self._renumber is None else self._renumber[number]
        for name in COPIED:
            rows[name] = chunk[name][part]
        if "open_interest" in chunk:
            rows["open_interest"] = chunk["open_interest"][part]
            self._interest = True
        elif self._interest:  # the table holds what chunks before had
            rows["open_interest"] = 0
        rows["flags"] = chunk["flags"][part]
        self.bars += len(rows)

    def _put_words(self, rows: np.ndarray, end: int) -> None:
        """Bars and ticks, which have their bodies as words."""
        chunk, part = self._chunk, slice(self._at, end)
        number = chunk["instrument"][part]
        rows["ts_init"] = chunk["ts_init"][part]
        rows["ts_event"] = chunk["ts_init"][part] - chunk["lag"][part] if "lag" in chunk else chunk["ts_init"][part]
        rows["instrument"] = number if self._renumber is None else self._renumber[number]
        rows["kind"], rows["flags"] = chunk["kind"][part], chunk["flags"][part]
        words = rows.view(np.int64).reshape(len(rows), -1)
        for k, word in enumerate(WORDS, FIRST_WORD):
            words[:, k] = chunk[word][part] if word in chunk else 0
        self.bars += int((chunk["kind"][part] == BAR).sum())
        self._dirty = True

    def _put_dated(self, rows: np.ndarray) -> None:
        due, row = self._dated.pop(), rows[0]
        if isinstance(due, Fact):
            rows.view(RAW)[:] = due.row.view(RAW)
            self._dirty = True
        elif due.instrument >= 0:
            self._clear(row, Kind.EXPIRY, due.instrument, due.ts, due.ts_event)
        else:
            self._clear(row, Kind.TIMER, -1, due.ts, due.ts_event)
            row["code"], row["setting"] = due.code, due.calendar

    def _put_action(self, row: np.void) -> None:
        ts, instrument, kind, ts_event, a, b = (int(x) for x in self._actions[0])
        self._actions = self._actions[1:]
        number = instrument if self._numbers is None else self._numbers[instrument]
        self._clear(row, kind, number, ts, ts_event)
        if kind == Kind.SPLIT:
            row["numerator"], row["denominator"] = a, b
        else:
            row["amount"] = a

    def _clear(self, row: np.void, kind: int, instrument: int, ts: int, ts_event: int) -> None:
        """Make an event without a body of a row that may have been a bar."""
        for name in ("flags", "ts_open", "open", "high", "low", "close", "volume", "open_interest"):
            row[name] = 0
        row["kind"], row["instrument"], row["ts_init"], row["ts_event"] = int(kind), instrument, ts, ts_event
        self._dirty = True


def _table_of(numbers: dict[int, int] | None) -> np.ndarray | None:
    """The run's number by the instrument table's; None where they are the same."""
    if numbers is None or all(number == place for number, place in numbers.items()):
        return None
    table = np.full(max(numbers) + 1, -1, np.int32)
    table[list(numbers)] = list(numbers.values())
    return table


def _only(members: Members, stream: Iterator[Columns]) -> Iterator[Columns]:
    return (taken for chunk in stream if len((taken := members.taken(chunk))["ts_init"]))
