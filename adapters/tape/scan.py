"""Walk a tape's segments frame by frame and say where it ends, and whether that end is clean, torn or damaged."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from adapters.tape.digest import TapeDigest
from adapters.tape.frame import (
    EVENTS,
    HEADER_BYTES,
    MAGIC,
    REF,
    TRAILER,
    ZERO,
    Header,
    body_is_whole,
    unpack_events,
    unpack_header,
)
from kernel.errors import TapeCorrupt

SUFFIX = ".segment"
CHUNK = 1 << 20
ZEROS = bytes(CHUNK)


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}{SUFFIX}"


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


@dataclass(frozen=True)
class Place:
    """A frame and where it starts. `body` is empty for frames before the scan's `from_seq`."""

    header: Header
    segment: Path
    offset: int
    body: bytes


@dataclass(frozen=True)
class End:
    """Where a tape ends: the last frame, where the next goes, and bytes of a torn write that follow, if any."""

    last: Header | None
    segment: Path | None
    offset: int
    torn: int


class Scan:
    """Iterate over the frames of `folder` from the first; afterwards `end` says where the tape stops.

    Frames that end before `from_seq` are passed over without reading their bodies. Raises TapeCorrupt when a frame that
    must be whole is not: one that a later frame stands upon.
    """

    def __init__(self, folder: Path, from_seq: int = 0) -> None:
        self.folder, self._from_seq = folder, from_seq
        self.end = End(None, None, 0, 0)
        self._last: Header | None = None
        self._at = 0

    def __iter__(self) -> Iterator[Place]:
        files = segments(self.folder)
        for place, path in enumerate(files):
            if path != segment_path(self.folder, place + 1):
                raise TapeCorrupt(f"{self.folder}: segment {place + 1} is missing, {path.name} is there")
            self._at, again = 0, True
            while again:
                with path.open("rb") as file:
                    yield from self._frames_of(path, file)
                    rest = written_rest(file)
                goes_on = any(map(segment_is_written, files[place + 1 :]))
                if not goes_on and not self._later_frame(rest + bytes(HEADER_BYTES)):
                    self.end = End(self._last, path, self._at, len(rest))
                    return
                again = self._is_whole_now(path)
                if rest and not again:
                    raise self._damaged(path, self._at)

    def _is_whole_now(self, path: Path) -> bool:
        """Whether a writer finished the frame at `_at` since it was looked at: what follows may be seen before it."""
        with path.open("rb") as file:
            file.seek(self._at)
            head = file.read(HEADER_BYTES)
            header = unpack_header(head)
            return header is not None and body_is_whole(
                header, memoryview(head + file.read(header.length - HEADER_BYTES))
            )

    def _frames_of(self, path: Path, file: BinaryIO) -> Iterator[Place]:
        """Whole frames in a row; leaves `file` and `_at` where the first that is not one would start."""
        file.seek(self._at)
        while True:
            head = file.read(HEADER_BYTES)
            header = unpack_header(head)
            if header is None:
                break
            self._check_chain(path, self._at, header)
            if header.last_seq < self._from_seq:
                file.seek(self._at + header.length - TRAILER.size)
                body, whole = b"", file.read(TRAILER.size) == TRAILER.pack(header.length)
            else:
                raw = head + file.read(header.length - HEADER_BYTES)
                body, whole = raw[HEADER_BYTES : -TRAILER.size], body_is_whole(header, memoryview(raw))
            if not whole:
                break
            self._last = header
            yield Place(header, path, self._at, body)
            self._at += header.length
        file.seek(self._at)

    def _check_chain(self, path: Path, offset: int, header: Header) -> None:
        previous, number = (self._last.sha, self._last.number) if self._last else (ZERO, 0)
        if header.number != number + 1 or header.previous != previous:
            raise TapeCorrupt(
                f"{path} at byte {offset}: frame {header.number} does not follow frame {number}: "
                "the chain is broken, restore the tape from a copy"
            )

    def _damaged(self, path: Path, offset: int) -> TapeCorrupt:
        return TapeCorrupt(
            f"{path} at byte {offset}: a damaged frame, and a whole one after it: restore the tape from a copy"
        )

    def _later_frame(self, rest: bytes) -> bool:
        """Whether a frame after the damaged one vouches for itself: it was written on top of what is now damaged."""
        at = rest.find(MAGIC, 1)
        while at >= 0:
            header = unpack_header(rest[at : at + HEADER_BYTES])
            if header is not None and header.number > (self._last.number if self._last else 0) + 1:
                return True
            at = rest.find(MAGIC, at + 1)
        return False


def check_digests(scan: Scan) -> tuple[TapeDigest, int]:
    """(tape digest, rows) of all frames; raises TapeCorrupt at the first whose own digest is another."""
    digest, rows_total = TapeDigest(), 0
    for place in scan:
        if place.header.kind == EVENTS:
            rows, notes = unpack_events(place.body)
            digest.add(rows, notes)
            rows_total += len(rows)
        elif place.header.kind == REF:
            digest.add_ref(place.body)
        if digest.digest() != place.header.tape_digest:
            raise TapeCorrupt(f"{place.segment}: frame {place.header.number} and its tape digest do not agree")
    return digest, rows_total


def segment_is_written(path: Path) -> bool:
    """Whether a segment holds anything; one that was only reserved is all zeros."""
    with path.open("rb") as file:
        return any(part != ZEROS[: len(part)] for part in iter(lambda: file.read(CHUNK), b""))


def written_rest(file: BinaryIO) -> bytes:
    """What follows in `file`, without the zeros of reserved space at its end; memory only for what is there."""
    held, zeros = b"", 0
    for part in iter(lambda: file.read(CHUNK), b""):
        if part == ZEROS[: len(part)]:
            zeros += len(part)
        else:
            held, zeros = held + bytes(zeros) + part, 0
    return held.rstrip(b"\0")
