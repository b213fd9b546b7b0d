"""Hold recomputed rows against recorded ones, byte by byte, and name the first difference."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapters.tape.families import columns_of
from kernel.codes import Kind
from kernel.schema import EVENT_BYTES, FAMILY_OF, join_rows


@dataclass(frozen=True)
class Divergence:
    """The first event that differs: which field, what was recorded, what came out. `field` is "missing" when one side
    has an event the other has not."""

    seq: int
    kind: str
    field: str
    recorded: Any
    recomputed: Any

    def as_dict(self) -> dict[str, Any]:
        return vars(self).copy()


def kind_name(kind: int) -> str:
    return Kind(kind).name if kind in Kind._value2member_map_ else f"kind {kind}"


class Comparer:
    """Feed it recomputed rows in order; it reads the recorded ones alongside. `divergence` is the first difference."""

    def __init__(self, recorded: Iterator[np.ndarray]) -> None:
        self._recorded = recorded
        self._hand = join_rows([])
        self.divergence: Divergence | None = None
        self.events = 0

    def add(self, rows: np.ndarray) -> None:
        """Compare the next rows; does nothing once a difference was found."""
        while len(rows) and self.divergence is None:
            if len(self._hand) == 0:
                self._hand = next(self._recorded, join_rows([]))
                if len(self._hand) == 0:
                    self.divergence = _missing(rows[0], recorded=False)
                    return
            count = min(len(rows), len(self._hand))
            self._compare(self._hand[:count], rows[:count])
            self._hand, rows = self._hand[count:], rows[count:]

    def finish(self) -> None:
        """Whatever is still recorded was not recomputed."""
        if self.divergence is None:
            if len(self._hand) == 0:
                self._hand = next(self._recorded, join_rows([]))
            if len(self._hand):
                self.divergence = _missing(self._hand[0], recorded=True)

    def _compare(self, recorded: np.ndarray, recomputed: np.ndarray) -> None:
        a = np.ascontiguousarray(recorded).view(np.uint8).reshape(-1, EVENT_BYTES)
        b = np.ascontiguousarray(recomputed).view(np.uint8).reshape(-1, EVENT_BYTES)
        if np.array_equal(a, b):
            self.events += len(a)
            return
        first = int(np.flatnonzero((a != b).any(axis=1))[0])
        self.events += first
        self.divergence = first_difference(recorded[first], recomputed[first])


def _missing(row: np.void, recorded: bool) -> Divergence:
    name = kind_name(int(row["kind"]))
    return Divergence(int(row["seq"]), name, "missing", name if recorded else None, None if recorded else name)


def first_difference(recorded: np.void, recomputed: np.void) -> Divergence:
    """Name the first differing field: kind and seq first, then in the order of the layout."""
    seq = min(int(recorded["seq"]), int(recomputed["seq"]))
    earlier = recorded if int(recorded["seq"]) <= int(recomputed["seq"]) else recomputed
    kind = kind_name(int(earlier["kind"]))
    for field in ("seq", "kind"):
        if recorded[field] != recomputed[field]:
            a, b = int(recorded[field]), int(recomputed[field])
            return Divergence(seq, kind, field, *(map(kind_name, (a, b)) if field == "kind" else (a, b)))
    for field in columns_of(FAMILY_OF[Kind(int(recorded["kind"]))]):
        if recorded[field].tobytes() != recomputed[field].tobytes():
            return Divergence(seq, kind, field, recorded[field].item(), recomputed[field].item())
    return Divergence(seq, kind, "unused bytes", recorded.tobytes().hex(), recomputed.tobytes().hex())
