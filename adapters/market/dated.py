"""What comes into a feed at times of its own: timers, and facts that are on no market tape."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from kernel.codes import Kind
from kernel.schema import join_rows, take_rows

NEVER = 2**63 - 1


class Timer(Protocol):
    """A timer as it comes: available at `ts`, about `ts_event`, ns UTC."""

    @property
    def ts(self) -> int: ...
    @property
    def code(self) -> int: ...
    @property
    def calendar(self) -> int: ...
    @property
    def ts_event(self) -> int: ...
    @property
    def instrument(self) -> int: ...  # of a contract that ends then, else -1


class Timers(Protocol):
    """The timers of a run's calendars (adapters.reference.due)."""

    def between(self, first_ts: int, last_ts: int) -> Sequence[Timer]: ...
    def over(self, ts: int) -> int: ...
    def opened(self, ts: int) -> int: ...  # of the session that `ts` is in, else `ts`; asked for where ticks are first


class Fact(NamedTuple):
    """An event as it comes, available at `ts`, ns UTC: one row of EVENT, with the run's instrument number."""

    ts: int
    row: np.ndarray


class Facts:
    """EXTERNAL events of a run beside its market tapes, such as rates of currencies and terms that change.

    `rows` (EVENT) are in order of ts_init; `opening` (EVENT) come with the first input, in their order.
    """

    def __init__(self, rows: np.ndarray, opening: np.ndarray | None = None) -> None:
        assert (np.diff(rows["ts_init"]) >= 0).all(), "facts are in order of their times"
        self._rows, self._opening = rows, join_rows([]) if opening is None else opening

    def began(self, ts: int) -> list[Fact]:
        """What holds when a run begins at `ts`, as of then: the last of each sort up to there, then the opening."""
        known = self._rows[: np.searchsorted(self._rows["ts_init"], ts, "right")]
        opening = self._opening.copy()
        opening["ts_event"] = ts
        rows = join_rows([newest_of(known), opening])
        rows["ts_init"] = ts
        return _facts(rows)

    def between(self, first_ts: int, last_ts: int) -> list[Fact]:
        """All that come from `first_ts` to `last_ts`, both included, in order."""
        start = np.searchsorted(self._rows["ts_init"], first_ts, "left")
        end = np.searchsorted(self._rows["ts_init"], last_ts, "right")
        return _facts(self._rows[start:end])


def _facts(rows: np.ndarray) -> list[Fact]:
    return [Fact(ts, rows[k : k + 1]) for k, ts in enumerate(rows["ts_init"].tolist())]


def newest_of(rows: np.ndarray) -> np.ndarray:
    """Of rows in order of time the last of each sort: the rate of a currency, the terms of an instrument."""
    currency = np.where(rows["kind"] == int(Kind.FX_RATE), rows["currency"], 0)
    sorts = np.stack([rows["kind"].astype(np.int64), rows["instrument"].astype(np.int64), currency])
    _, last = np.unique(sorts[:, ::-1], axis=1, return_index=True)
    return take_rows(rows, np.sort(len(rows) - 1 - last))


class Dated:
    """Timers and facts up to where a feed has come, a stretch at a time: no more of them is held.

    They begin at `start` or, where that is None, with the first input, and what held before comes with that. A fact
    comes before the timers of its time.
    """

    def __init__(self, timers: Timers | None, facts: Facts | None, start: int | None) -> None:
        self._timers, self._facts, self._start = timers, facts, start
        self._next: list[Timer | Fact] = []  # in order, the next one last

    def __bool__(self) -> bool:
        return bool(self._next)

    @property
    def next_ts(self) -> int:
        """When the next one comes, ns UTC; NEVER when none does before more inputs are known."""
        return self._next[-1].ts if self._next else NEVER

    def pop(self) -> Timer | Fact:
        return self._next.pop()

    def opened(self, ts: int) -> int:
        """When the session that `ts` is in opened, else `ts`."""
        return ts if self._timers is None else self._timers.opened(ts)

    def go_to(self, last_ts: int, opened: Callable[[], int]) -> None:
        """Take all up to `last_ts`; `opened` says when the first input began."""
        if self._timers is None and self._facts is None:
            return
        if self._start is None:
            self._start = opened()
            began = [] if self._facts is None else self._facts.began(self._start)
            self._next = list(reversed(began))
            self._take(self._start, last_ts, facts_after=self._start)
        else:
            self._take(self._start, last_ts)
        self._start = max(self._start, last_ts + 1)

    def finish(self, ts: int, most: int | None) -> None:
        """Take what is still to come of sessions that were over with the last input, at `ts`; none after `most`."""
        if self._start is None or self._timers is None:
            return
        over = self._timers.over(ts)
        self._take(self._start, over if most is None else min(over, most))
        self._timers = self._facts = None

    def _take(self, first_ts: int, last_ts: int, facts_after: int | None = None) -> None:
        found: list[Timer | Fact] = []
        if self._facts is not None:
            found += self._facts.between(first_ts if facts_after is None else facts_after + 1, last_ts)
        if self._timers is not None:
            found += self._timers.between(first_ts, last_ts)
        found.sort(key=lambda due: due.ts)  # stable: facts first
        self._next = [*reversed(found), *self._next]
