"""The two digests that runs are compared by.

*Tape digest*: the 128-byte records in seq order, each note right after its record, and at a REF frame the SHA-256 of
its JSON, in chunks of 65,536 seqs: a SHA-256 each, and one over the chunks' numbers and digests. So a tape of years
goes on, or is compared with a snapshot, by hashing its last chunk again. It knows nothing of frames, files, paths, run
ids or wall time.

*Decision digest*: SHA-256 over what was decided and traded, with seq, cause, times and the numbers derived from them
(order_id, ref, parent), and what differs live, set to zero, in chunks of 1,024 records: it compares a live day with a
backtest of the same bars.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from kernel.codes import Flag, Kind
from kernel.schema import EVENT, RAW, take_rows

CHUNK_SEQS = 65_536
CHUNK_DECISIONS = 1_024

_DECISIONS = (
    Kind.SIGNAL,
    Kind.ORDER_SUBMITTED,
    Kind.ORDER_DENIED,
    Kind.ORDER_CANCEL_SUBMITTED,
    Kind.ORDER_REPLACE_SUBMITTED,
    Kind.ORDER_RELEASED,
    Kind.ORDER_TRIGGERED,
    Kind.ORDER_FILLED,
    Kind.ORDER_CANCELED,
    Kind.ORDER_EXPIRED,
    Kind.ORDER_RESTATED,
    Kind.ORDER_REPLACED,
    Kind.STRATEGY_FAULT,
)
_IS_DECISION = np.zeros(256, bool)
_IS_DECISION[[int(kind) for kind in _DECISIONS]] = True
_IS_TICKET = np.zeros(256, bool)
_IS_TICKET[[int(kind) for kind in (Kind.SIGNAL, Kind.ORDER_SUBMITTED, Kind.ORDER_DENIED)]] = True
_HAS_PARENT = int(Flag.HELD | Flag.OCO | Flag.SLICE)
_LEFT_OUT = ("seq", "ts_event", "ts_init", "cause", "origin", "order_id", "ref")


def notes_within(rows: np.ndarray, notes: Mapping[int, str]) -> dict[int, str]:
    """Those of `notes` that belong to seqs from the first to the last of `rows`."""
    if len(rows) == 0:
        return {}
    first, last = int(rows["seq"][0]), int(rows["seq"][-1])
    return {seq: text for seq, text in notes.items() if first <= seq <= last}


Chunk = tuple[int, str]  # its number and the SHA-256 of what is in it, hex


class _Chunks:
    """Digests of numbered chunks and one over them all; a chunk with nothing in it does not count."""

    def __init__(self, chunks: Iterable[Chunk] = ()) -> None:
        self.done: list[Chunk] = []
        self._over_all = hashlib.sha256()
        for number, digest in chunks:
            self._close(number, digest)
        self._number, self._open = -1, hashlib.sha256()

    def _close(self, number: int, digest: str) -> None:
        self.done.append((number, digest))
        self._over_all.update(number.to_bytes(8, "little") + bytes.fromhex(digest))

    def of(self, number: int) -> Any:
        """The running hash of a chunk, which ends the one before."""
        if number != self._number:
            self.end()
            self._number, self._open = number, hashlib.sha256()
        return self._open

    def end(self) -> None:
        """Close the chunk that is being filled."""
        if self._number >= 0:
            self._close(self._number, self._open.hexdigest())
            self._number = -1

    def copy(self) -> "_Chunks":
        """Another one that goes on from here by itself."""
        found = _Chunks()
        found.done, found._over_all = list(self.done), self._over_all.copy()
        found._number, found._open = self._number, self._open.copy()
        return found

    @property
    def number(self) -> int:
        """Of the chunk that is being filled."""
        return max(self._number, 0)

    def digest(self) -> bytes:
        over_all = self._over_all.copy()
        if self._number >= 0:
            over_all.update(self._number.to_bytes(8, "little") + self._open.digest())
        return over_all.digest()


class TapeDigest:
    """Running tape digest. `chunks` of another one let it go on there: then add the rows of the chunk after them."""

    def __init__(self, chunks: Iterable[Chunk] = ()) -> None:
        self._chunks = _Chunks(chunks)

    def copy(self) -> "TapeDigest":
        """Another one that goes on from here by itself."""
        found = TapeDigest()
        found._chunks = self._chunks.copy()
        return found

    @property
    def chunks(self) -> list[Chunk]:
        """The chunks that are full."""
        return self._chunks.done

    def add(self, rows: np.ndarray, notes: Mapping[int, str]) -> None:
        if len(rows) == 0:
            return
        seqs = rows["seq"]
        first, last = (int(seqs[0]) - 1) // CHUNK_SEQS, (int(seqs[-1]) - 1) // CHUNK_SEQS
        if first == last:
            self._add(first, np.ascontiguousarray(rows), notes)
            return
        cuts = np.searchsorted(rows["seq"], np.arange(first + 1, last + 1) * CHUNK_SEQS, "right")
        for part in np.split(np.ascontiguousarray(rows).view(RAW), cuts):
            if len(part):
                whole = part.view(EVENT)
                self._add(chunk_of(int(whole["seq"][0])), whole, notes_within(whole, notes))

    def _add(self, number: int, raw: np.ndarray, notes: Mapping[int, str]) -> None:
        sha, start = self._chunks.of(number), 0
        if not notes:
            sha.update(raw.view(np.uint8).data)
            return
        for seq in sorted(notes):
            end = int(np.searchsorted(raw["seq"], seq, "right"))
            sha.update(raw[start:end].view(np.uint8).data)
            text = notes[seq].encode()
            sha.update(b"NOTE" + seq.to_bytes(8, "little") + len(text).to_bytes(8, "little") + text)
            start = end
        sha.update(raw[start:].view(np.uint8).data)

    def add_ref(self, body: bytes) -> None:
        self._chunks.of(self._chunks.number).update(b"REF " + hashlib.sha256(body).digest())

    def digest(self) -> bytes:
        return self._chunks.digest()

    def hex(self) -> str:
        return self.digest().hex()


def chunk_of(seq: int) -> int:
    return (seq - 1) // CHUNK_SEQS


class DecisionDigest:
    """Running decision digest."""

    def __init__(self) -> None:
        self._chunks = _Chunks()
        self._count = 0
        self._kept = b""

    def add(self, rows: np.ndarray) -> None:
        picked = take_rows(rows, np.flatnonzero(_IS_DECISION[rows["kind"]]))
        for name in _LEFT_OUT if len(picked) else ():
            picked[name] = 0
        ticket = _IS_TICKET[picked["kind"]]
        picked["parent"][ticket & ((picked["flags"] & _HAS_PARENT) != 0)] = 0
        picked["flags"][~ticket] = 0
        self._add(picked)

    def _add(self, picked: np.ndarray) -> None:
        while len(picked):
            number, held = divmod(self._count, CHUNK_DECISIONS)
            part, picked = picked[: CHUNK_DECISIONS - held], picked[CHUNK_DECISIONS - held :]
            raw = part.tobytes()
            self._chunks.of(number).update(raw)
            self._kept += raw
            self._count += len(part)
            if self._count % CHUNK_DECISIONS == 0:
                self._chunks.end()
                self._kept = b""

    def hex(self) -> str:
        return self._chunks.digest().hex()

    def save(self) -> dict[str, Any]:
        """All that `load` needs to go on from here."""
        return {"count": self._count, "chunks": self._chunks.done, "kept": self._kept.hex()}

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        found = cls()
        found._chunks = _Chunks((int(number), str(digest)) for number, digest in saved["chunks"])
        kept = np.frombuffer(bytes.fromhex(saved["kept"]), EVENT)
        found._count = int(saved["count"]) - len(kept)
        found._add(kept)
        return found
