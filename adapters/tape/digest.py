"""The two digests that runs are compared by.

*Tape digest*: SHA-256 over the 128-byte records in seq order, each note right after its record, and at a REF frame the
SHA-256 of its JSON. It knows nothing of frames, files, paths, run ids or wall time.

*Decision digest*: SHA-256 over what was decided and traded, with seq, cause, times and the numbers derived from them
(order_id, ref), and what differs live, set to zero: it compares a live day with a backtest of the same bars.
"""

import hashlib
from typing import Any

import numpy as np

from kernel.codes import Kind
from kernel.schema import take_rows

_DECISIONS = (
    Kind.SIGNAL,
    Kind.ORDER_SUBMITTED,
    Kind.ORDER_DENIED,
    Kind.ORDER_CANCEL_SUBMITTED,
    Kind.ORDER_TRIGGERED,
    Kind.ORDER_FILLED,
    Kind.ORDER_CANCELED,
    Kind.ORDER_EXPIRED,
    Kind.ORDER_RESTATED,
    Kind.STRATEGY_FAULT,
)
_IS_DECISION = np.zeros(256, bool)
_IS_DECISION[[int(kind) for kind in _DECISIONS]] = True
_LEFT_OUT = ("seq", "ts_event", "ts_init", "cause", "flags", "origin", "order_id", "ref")


def notes_within(rows: np.ndarray, notes: dict[int, str]) -> dict[int, str]:
    """Those of `notes` that belong to seqs from the first to the last of `rows`."""
    if len(rows) == 0:
        return {}
    first, last = int(rows["seq"][0]), int(rows["seq"][-1])
    return {seq: text for seq, text in notes.items() if first <= seq <= last}


class TapeDigest:
    """Running tape digest."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def add(self, rows: np.ndarray, notes: dict[int, str]) -> None:
        raw = np.ascontiguousarray(rows)
        start = 0
        for seq in sorted(notes):
            end = int(np.searchsorted(raw["seq"], seq, "right"))
            self._sha.update(raw[start:end].view(np.uint8).data)
            text = notes[seq].encode()
            self._sha.update(b"NOTE" + seq.to_bytes(8, "little") + len(text).to_bytes(8, "little") + text)
            start = end
        self._sha.update(raw[start:].view(np.uint8).data)

    def add_ref(self, body: bytes) -> None:
        self._sha.update(b"REF " + hashlib.sha256(body).digest())

    def digest(self) -> bytes:
        return self._sha.copy().digest()

    def hex(self) -> str:
        return self.digest().hex()


class DecisionDigest:
    """Running decision digest."""

    def __init__(self) -> None:
        self._sha: Any = hashlib.sha256()

    def add(self, rows: np.ndarray) -> None:
        picked = take_rows(rows, np.flatnonzero(_IS_DECISION[rows["kind"]]))
        if len(picked):
            for name in _LEFT_OUT:
                picked[name] = 0
            self._sha.update(picked.view(np.uint8))

    def hex(self) -> str:
        return str(self._sha.hexdigest())
