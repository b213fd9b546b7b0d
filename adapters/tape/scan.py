"""Walk a tape's segments frame by frame and say where it ends, and whether that end is clean, torn or damaged."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.tape.frame import HEADER_BYTES, MAGIC, ZERO, Header, body_is_whole, unpack_header
from kernel.errors import TapeCorrupt

SUFFIX = ".segment"


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}{SUFFIX}"


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


@dataclass(frozen=True)
class Place:
    """A frame and where it starts; `body` is valid while the iteration stands on it."""

    header: Header
    segment: Path
    offset: int
    body: memoryview


@dataclass(frozen=True)
class End:
    """Where a tape ends: the last frame, where the next goes, and bytes of a torn write that follow, if any."""

    last: Header | None
    segment: Path | None
    offset: int
    torn: int


class Scan:
    """Iterate over the frames of `folder` from the first; afterwards `end` says where the tape stops.

    Raises TapeCorrupt when a frame that must be whole is not: one that a later frame or the watermark stands upon.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.end = End(None, None, 0, 0)
        self._last: Header | None = None

    def __iter__(self) -> Iterator[Place]:
        files = segments(self.folder)
        for place, path in enumerate(files):
            if path != segment_path(self.folder, place + 1):
                raise TapeCorrupt(f"{self.folder}: segment {place + 1} is missing, {path.name} is there")
            if path.stat().st_size == 0:
                self._finish(files[place:], path, 0, memoryview(b""))
                return
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                raw = memoryview(mapped)
                try:
                    offset = yield from self._frames_of(path, raw)
                    if place + 1 < len(files) and segment_has_frames(files[place + 1]):
                        self._refuse_rest(path, offset, raw)
                        continue
                    self._finish(files[place:], path, offset, raw)
                    return
                finally:
                    raw.release()

    def _frames_of(self, path: Path, raw: memoryview) -> Iterator[Place]:
        offset = 0
        while True:
            header = unpack_header(raw[offset : offset + HEADER_BYTES])
            if header is None or not body_is_whole(header, raw[offset : offset + header.length]):
                return offset  # type: ignore[return-value]
            self._check_chain(path, offset, header)
            self._last = header
            body = raw[offset + HEADER_BYTES : offset + HEADER_BYTES + header.body_length]
            yield Place(header, path, offset, body)
            body.release()
            offset += header.length

    def _check_chain(self, path: Path, offset: int, header: Header) -> None:
        previous, number = (self._last.sha, self._last.number) if self._last else (ZERO, 0)
        if header.number != number + 1 or header.previous != previous:
            raise TapeCorrupt(
                f"{path} at byte {offset}: frame {header.number} does not follow frame {number}: "
                "the chain is broken, restore the tape from a copy"
            )

    def _refuse_rest(self, path: Path, offset: int, raw: memoryview) -> None:
        if any(raw[offset:]):
            raise TapeCorrupt(
                f"{path} at byte {offset}: a damaged frame, and whole ones after it: restore the tape from a copy"
            )

    def _finish(self, files: list[Path], path: Path, offset: int, raw: memoryview) -> None:
        rest = bytes(raw[offset:])
        torn = len(rest.rstrip(b"\0"))
        if torn and self._later_frame(rest):
            raise TapeCorrupt(
                f"{path} at byte {offset}: a damaged frame, and a whole one after it: restore the tape from a copy"
            )
        self.end = End(self._last, path, offset, torn)

    def _later_frame(self, rest: bytes) -> bool:
        """Whether a frame after the damaged one vouches for itself: it was written on top of what is now damaged."""
        at = rest.find(MAGIC, 1)
        while at >= 0:
            header = unpack_header(rest[at : at + HEADER_BYTES])
            if header is not None and header.number > (self._last.number if self._last else 0) + 1:
                return True
            at = rest.find(MAGIC, at + 1)
        return False


def segment_has_frames(path: Path) -> bool:
    with path.open("rb") as file:
        return unpack_header(file.read(HEADER_BYTES)) is not None
