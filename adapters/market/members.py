"""Which bars of a universe a run takes, and which of them its strategies only learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adapters.market.tape import Columns


@dataclass(frozen=True)
class Members:
    """Memberships as rows (registry number, first and last ns UTC of ts_init, both inclusive), those of one instrument
    apart from each other. Its bars begin `lead` ns before it first joins; those outside its memberships are for
    learning.
    """

    rows: tuple[tuple[int, int, int], ...]
    lead: int = 0

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], lead: int) -> "Members":
        return cls(tuple((int(number), int(first), int(last)) for number, first, last in rows), lead)

    def taken(self, chunk: Columns) -> Columns:
        """The bars from where the run begins to learn from each instrument; the others are left out."""
        mask = chunk["ts_init"] >= self._begins[np.minimum(chunk["instrument"], len(self._begins) - 1)]
        return chunk if mask.all() else {name: values[mask] for name, values in chunk.items()}

    def outside(self, chunk: Columns) -> np.ndarray:
        """Which bars, sorted by ts_init, come while their instrument is no member; bool, one a bar."""
        ts, number = chunk["ts_init"], chunk["instrument"]
        numbers, first, last = self._spans
        here = (first <= int(ts[-1])) & (last >= int(ts[0]))
        whole = here & (first <= int(ts[0])) & (last >= int(ts[-1]))
        member = np.zeros(max(int(numbers.max(initial=0)), int(number.max())) + 1, bool)
        member[numbers[whole]] = True
        inside = member[number]
        for k in np.flatnonzero(here & ~whole).tolist():  # those that join or leave within the chunk
            inside |= (number == numbers[k]) & (ts >= first[k]) & (ts <= last[k])
        return ~inside

    def left(self, chunk: Columns, outside: np.ndarray) -> np.ndarray:
        """Which of the bars outside memberships come after their instrument was a member."""
        numbers, first, _ = self._spans
        joins = np.full(int(numbers.max(initial=-1)) + 2, np.iinfo(np.int64).max)
        np.minimum.at(joins, numbers, first)
        return outside & (chunk["ts_init"] > joins[np.minimum(chunk["instrument"], len(joins) - 1)])

    @cached_property
    def _spans(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        table = np.array(self.rows, np.int64).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]

    @cached_property
    def _begins(self) -> np.ndarray:
        """By registry number: where its bars begin; the last place, past every number, is never."""
        numbers, first, _ = self._spans
        begins = np.full(int(numbers.max(initial=-1)) + 2, np.iinfo(np.int64).max)
        np.minimum.at(begins, numbers, first - self.lead)
        return begins
