"""One frame: a header that vouches for itself and its body, the body, and the length once more at the end.

    header   144 bytes, little endian, see HEADER; CRC32C over all before it
    body     EVENTS: one Arrow record batch (IPC message); REF: canonical JSON
    trailer  8 bytes: length of header + body + trailer

A row is the kernel's own 128-byte record in one fixed_size_binary column, so neither writing nor reading converts
anything; Parquet and SQL show the named columns (`adapters/tape/families.py`). `previous` is the SHA-256 of the header
before: the chain. That header holds the running tape digest, so one pass of SHA-256 over the rows serves both.
"""

import hashlib
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import google_crc32c
import numpy as np

from kernel.schema import EVENT, EVENT_BYTES, FAMILIES
from kernel.schema import HEADER as EVENT_HEADER

MAGIC = b"ONETAPE\x01"
VERSION = 1
EVENTS, REF = 1, 2  # kinds of frame
HEADER = struct.Struct("<8sHHIQQqqQQQ32s32sI")
HEADER_BYTES = HEADER.size + 4
TRAILER = struct.Struct("<Q")
ZERO = bytes(32)
SMALL = 64  # rows


def _schema_id() -> int:
    text = repr(EVENT_HEADER) + repr([(f.name, [int(k) for k in f.kinds], f.slots, bool(f.value)) for f in FAMILIES])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


SCHEMA_ID = _schema_id()


@dataclass(frozen=True)
class Header:
    """What a frame says about itself. `durable`: number of the last frame known to be on disk when it was written."""

    kind: int
    schema: int
    epoch: int
    number: int  # frames of a tape count from 1
    first_seq: int
    last_seq: int
    rows: int
    body_length: int
    durable: int
    previous: bytes
    tape_digest: bytes  # after this frame
    body_crc: int
    sha: bytes  # SHA-256 of the header's bytes, which the next frame must name

    @property
    def length(self) -> int:
        return HEADER_BYTES + self.body_length + TRAILER.size


def pack_header(
    kind: int,
    epoch: int,
    number: int,
    seqs: tuple[int, int],
    rows: int,
    body: bytes,
    durable: int,
    previous: bytes,
    tape_digest: bytes,
) -> bytes:
    head = HEADER.pack(
        MAGIC,
        VERSION,
        kind,
        SCHEMA_ID,
        epoch,
        number,
        *seqs,
        rows,
        len(body),
        durable,
        previous,
        tape_digest,
        google_crc32c.value(body),
    )
    return head + struct.pack("<I", google_crc32c.value(head))


def unpack_header(raw: bytes | memoryview) -> Header | None:
    """The header in the first bytes of `raw`, None when they are not one that vouches for itself."""
    raw = bytes(raw[:HEADER_BYTES])
    if len(raw) < HEADER_BYTES or raw[:8] != MAGIC:
        return None
    if struct.unpack_from("<I", raw, HEADER.size)[0] != google_crc32c.value(raw[: HEADER.size]):
        return None
    fields = HEADER.unpack_from(raw)
    return Header(*fields[2:], hashlib.sha256(raw).digest())  # type: ignore[call-arg]


def body_is_whole(header: Header, raw: memoryview) -> bool:
    """Whether the frame at the start of `raw` has the body and trailer its header vouches for."""
    if len(raw) < header.length:
        return False
    body = raw[HEADER_BYTES : HEADER_BYTES + header.body_length]
    trailer = raw[header.length - TRAILER.size : header.length]
    return google_crc32c.value(bytes(body)) == header.body_crc and bytes(trailer) == TRAILER.pack(header.length)


@lru_cache(1)
def _schemas() -> tuple[Any, Any]:
    import pyarrow as pa

    event = pa.field("event", pa.binary(EVENT_BYTES), nullable=False)
    return pa.schema([event]), pa.schema([event, pa.field("note", pa.string())])


@lru_cache(256)
def _message_head(count: int) -> bytes:
    """What Arrow writes before the rows of a batch of `count` without notes: it depends on nothing else."""
    whole = _serialize(np.zeros(count, EVENT), {})
    return whole[: len(whole) - count * EVENT_BYTES]


def pack_events(rows: np.ndarray, notes: dict[int, str]) -> bytes:
    """Rows (EVENT records) and the texts that belong to their seqs, as one Arrow IPC message."""
    if not notes and len(rows) <= SMALL:  # a live decision: the same bytes, an order of magnitude sooner
        return _message_head(len(rows)) + rows.tobytes()
    return _serialize(rows, notes)


def _serialize(rows: np.ndarray, notes: dict[int, str]) -> bytes:
    import pyarrow as pa

    plain, noted = _schemas()
    rows = np.ascontiguousarray(rows)
    column = pa.Array.from_buffers(pa.binary(EVENT_BYTES), len(rows), [None, pa.py_buffer(rows.view(np.uint8))])
    if not notes:
        return pa.RecordBatch.from_arrays([column], schema=plain).serialize().to_pybytes()
    texts = pa.array([notes.get(int(seq)) for seq in rows["seq"]], pa.string())
    return pa.RecordBatch.from_arrays([column, texts], schema=noted).serialize().to_pybytes()


def unpack_events(body: bytes | memoryview) -> tuple[np.ndarray, dict[int, str]]:
    """(rows, notes) of an EVENTS body; the rows are a read-only view of it."""
    import pyarrow as pa

    count, rest = divmod(len(body) - len(_message_head(1)), EVENT_BYTES)
    if count > 0 and rest == 0:  # without notes, as most are: no need to ask Arrow
        head = _message_head(count)
        if body[: len(head)] == head:
            return np.frombuffer(body, EVENT, count, len(head)), {}
    buffer = pa.py_buffer(body)
    plain, noted = _schemas()
    try:
        batch = pa.ipc.read_record_batch(buffer, noted)
    except (pa.ArrowInvalid, IndexError):
        batch = pa.ipc.read_record_batch(buffer, plain)
    raw = batch.column(0)
    rows = np.frombuffer(raw.buffers()[1], EVENT, count=len(raw), offset=raw.offset * EVENT_BYTES)
    if batch.num_columns == 1:
        return rows, {}
    texts = batch.column(1)
    return rows, {int(rows["seq"][k]): text.as_py() for k, text in enumerate(texts) if text.is_valid}
