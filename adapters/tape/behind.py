"""What the remains of a damaged tape still say: which frames and seqs must have been there."""

import os
from collections.abc import Iterator
from pathlib import Path

from adapters.tape.frame import HEADER_BYTES, MAGIC, Header, unpack_header
from adapters.tape.parts import SealedPart
from adapters.tape.scan import written_rest
from adapters.tape.watermark import NAME, SLOT, Watermark, read_slots
from kernel.errors import TapeCorrupt

MORE = 2**62  # a frame number beyond any


def slots_of(folder: Path) -> list[Watermark | None]:
    """Both slots of the watermark, None for one that is damaged; empty without the file."""
    if not (folder / NAME).exists():
        return []
    descriptor = os.open(folder / NAME, os.O_RDONLY)
    try:
        return read_slots(descriptor)[1]
    finally:
        os.close(descriptor)


def stray_bytes(folder: Path) -> int:
    """How many bytes of the watermark file follow its two slots."""
    path = folder / NAME
    return max(0, path.stat().st_size - 2 * SLOT) if path.exists() else 0


def numbers_in(folder: Path) -> list[int]:
    """The numbers of the segments, or of the sealed parts, in a folder."""
    return sorted(int(path.stem) for path in folder.glob("[0-9]*") if path.stem.isdecimal())


def headers(path: Path, offset: int) -> Iterator[Header]:
    """The headers of all from `offset` on that looks like a frame and vouches for itself."""
    rest = written_rest(path, offset)
    at = rest.find(MAGIC)
    while at >= 0:
        header = unpack_header(rest[at : at + HEADER_BYTES])
        if header is not None:
            yield header
        at = rest.find(MAGIC, at + 1)


def promise_of(path: Path, offset: int) -> int:
    """Number of a frame that must be there, by what lies at `path` from `offset` on."""
    if path.is_dir():
        try:
            return SealedPart.read(path).anchor.number
        except TapeCorrupt:
            return MORE
    with path.open("rb") as file:
        first = unpack_header(file.read(HEADER_BYTES)) if offset == 0 else None
    if first is not None:  # a segment is begun once all before it is durable
        return max(first.durable, first.number - 1)
    return max((header.durable for header in headers(path, offset)), default=0)


def last_seq(path: Path, offset: int) -> int:
    if path.is_dir():
        try:
            return SealedPart.read(path).anchor.seq
        except TapeCorrupt:
            return 0
    return max((header.last_seq for header in headers(path, offset)), default=0)
