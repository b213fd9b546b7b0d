"""Walk the segments of a growing tape frame by frame and say where it ends: clean, torn, or damaged.

A tape that a crash cut short ends in a *torn* write: bytes nobody was promised. Anything else that is not whole is
*damage*, and the difference is told by promises, not by guesses: a place is damaged when the watermark lies behind it,
when a later frame says that it was durable, or when a later segment was begun, which a writer does only once all before
it is on disk.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from adapters.tape.digest import TapeDigest
from adapters.tape.frame import (
    EVENTS,
    HEADER_BYTES,
    MAGIC,
    TRAILER,
    ZERO,
    Header,
    body_is_whole,
    unpack_events,
    unpack_header,
)
from adapters.tape.watermark import NAME, Watermark, read_watermark
from kernel.errors import TapeCorrupt

SUFFIX = ".segment"
MOST = 10**8  # segments, by the digits of their names
WINDOW = 1 << 20
CHUNK = 1 << 20
ZEROS = bytes(CHUNK)


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}{SUFFIX}"


def segment_paths(folder: Path) -> list[Path]:
    """The segments that are still frames, oldest first."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX)) if folder.is_dir() else []
    return [folder / name for name in names if len(name) == 8 + len(SUFFIX) and name[:8].isdecimal()]


@dataclass(frozen=True)
class Anchor:
    """What the next frame must follow: the last one's number, header hash and seq."""

    number: int = 0
    sha: bytes = ZERO
    seq: int = 0

    @classmethod
    def of(cls, header: Header) -> "Anchor":
        return cls(header.number, header.sha, header.last_seq)


@dataclass(frozen=True)
class Place:
    """A whole frame and where it starts. `body` is empty when the walk was told to pass over its rows."""

    header: Header
    path: Path
    offset: int
    body: memoryview

    @property
    def end(self) -> int:
        return self.offset + self.header.length


class Walk:
    """Iterate over the whole frames of one segment from `offset` on; then `offset` and `anchor` say where it stopped.

    Stops at the first place that is no whole frame, or at `limit`. Frames whose rows end before `from_seq` are passed
    over. Raises TapeCorrupt where a whole frame does not follow the one before it.
    """

    def __init__(self, path: Path, anchor: Anchor, offset: int = 0, limit: int | None = None, from_seq: int = 0):
        self.path, self.anchor, self.offset = path, anchor, offset
        self._limit, self._from_seq = limit, from_seq
        self._window, self._start = memoryview(b""), 0

    def __iter__(self) -> Iterator[Place]:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            while self._limit is None or self.offset < self._limit:
                place = self._next(descriptor)
                if place is None:
                    return
                self.anchor, self.offset = Anchor.of(place.header), place.end
                yield place
        finally:
            os.close(descriptor)

    def _next(self, descriptor: int) -> Place | None:
        header = unpack_header(self._read(descriptor, self.offset, HEADER_BYTES))
        if header is None:
            return None
        if header.number != self.anchor.number + 1 or header.previous != self.anchor.sha:
            raise damaged(
                self.path,
                self.offset,
                self.anchor,
                f"frame {header.number} is here and does not follow frame {self.anchor.number}: a segment or frame was "
                "taken away, doubled, exchanged or put back to what it was",
            )
        if header.last_seq < self._from_seq:
            end = self._read(descriptor, self.offset + header.length - TRAILER.size, TRAILER.size)
            return (
                Place(header, self.path, self.offset, memoryview(b"")) if end == TRAILER.pack(header.length) else None
            )
        raw = self._read(descriptor, self.offset, header.length)
        if not body_is_whole(header, raw):
            return None
        return Place(header, self.path, self.offset, raw[HEADER_BYTES : -TRAILER.size])

    def _read(self, descriptor: int, offset: int, length: int) -> memoryview:
        """Bytes of the file, fewer at its end; one call to the system a window."""
        start = offset - self._start
        if start < 0 or start + length > len(self._window):
            self._window, self._start, start = memoryview(os.pread(descriptor, max(WINDOW, length), offset)), offset, 0
        return self._window[start : start + length]


def damaged(path: Path, offset: int, anchor: Anchor, why: str) -> TapeCorrupt:
    """The error that names a damaged place: file, byte, frame, seq, what can still be read, how to mend it."""
    readable = f"seq 1 to {anchor.seq} can still be read" if anchor.seq else "nothing before it can be read"
    error = TapeCorrupt(
        f"{path} at byte {offset}: frame {anchor.number + 1} (seq {anchor.seq + 1} on) is damaged: {why}; {readable} "
        "(`onetape tape show`); restore the tape from a copy, or see `onetape tape repair`"
    )
    error.segment, error.offset, error.seq = path.name, offset, anchor.seq + 1
    return error


@dataclass(frozen=True)
class Found:
    """Where a growing tape ends. `segment` 0: there is none. `torn`: bytes of a write that was cut short and follows.
    `cut`: the file ends with its last frame, so its writer ended in good order."""

    anchor: Anchor
    segment: int
    offset: int
    torn: int
    cut: bool
    digest: TapeDigest
    rows: int


def examine(
    folder: Path,
    watermark: Watermark,
    start: "Start",
    seen: Callable[[Place], None] = lambda place: None,
    being_written: bool = False,
) -> Found:
    """Read every frame after `start` and tell how the tape ends; `seen` hears of each. Nothing is changed.

    While it is `being_written`, only what lies before the watermark is looked at. Raises TapeCorrupt naming the first
    damaged place.
    """
    end = watermark.segment if being_written else MOST
    paths = [path for path in segment_paths(folder) if start.segment < int(path.stem) <= end]
    anchor, epoch, digest, rows = start.anchor, 0, start.digest, start.rows
    where = (start.segment, 0, 0, True)
    _check_mark(folder, watermark, anchor)
    for place, path in enumerate(paths):
        if path != segment_path(folder, start.segment + 1 + place):
            raise damaged(path, 0, anchor, f"segment {start.segment + 1 + place} is missing")
        last = being_written and int(path.stem) == watermark.segment
        walk = Walk(path, anchor, limit=watermark.offset if last else None)
        for frame in walk:
            epoch, rows = check_frame(frame, epoch, digest, rows)
            _check_mark(folder, watermark, Anchor.of(frame.header))
            seen(frame)
        anchor = walk.anchor
        if last:
            where = (int(path.stem), walk.offset, 0, False)
            break
        rest = written_rest(path, walk.offset)
        later = next((other for other in paths[place + 1 :] if is_written(other)), None)
        if later and rest:
            raise damaged(path, walk.offset, anchor, f"{later.name} was begun after it")
        if not later:
            _check_end(path, walk, rest, watermark)
            where = (int(path.stem), walk.offset, len(rest), path.stat().st_size == walk.offset)
            break
    if watermark.number > anchor.number:
        path = paths[-1] if paths else folder
        raise damaged(path, where[1], anchor, f"the tape held {watermark.seq:,} events in {watermark.number:,} frames")
    if epoch > watermark.epoch:
        raise _put_back(folder, watermark, f"the last frame is of writer {epoch}")
    if not being_written and (behind := begun_behind(folder, watermark)):
        raise behind
    return Found(anchor, *where, digest=digest, rows=rows)


def mark_in_force(folder: Path) -> Watermark:
    """The watermark. Raises TapeCorrupt when it is older than what its tape shows: nobody could tell how much is there.

    A power cut leaves no such one: the file is synced before a writer writes, and before it begins another segment.
    """
    mark = read_watermark(folder)
    while behind := begun_behind(folder, mark):
        again = read_watermark(folder)
        if again == mark:
            raise behind
        mark = again  # a writer went on meanwhile
    return mark


def begun_behind(folder: Path, watermark: Watermark) -> TapeCorrupt | None:
    """The error when segments or frames are there that were begun after a later watermark than this one was synced."""
    for path in segment_paths(folder):
        number = int(path.stem)
        offset = watermark.offset if number == watermark.segment else 0
        with suppress(FileNotFoundError), path.open("rb") as file:  # or it was sealed meanwhile
            file.seek(offset)
            head = file.read(HEADER_BYTES) if number >= watermark.segment else b""
            header = unpack_header(head)
            if header is not None and header.epoch > watermark.epoch:
                return _put_back(folder, watermark, f"{path.name} has frames of writer {header.epoch}")
            if number > watermark.segment + 1 and any(head):
                return _put_back(folder, watermark, f"it speaks of segment {watermark.segment}, {path.name} was begun")
    return None


def _put_back(folder: Path, watermark: Watermark, why: str) -> TapeCorrupt:
    return TapeCorrupt(
        f"{folder / NAME} is of writer {watermark.epoch} and seq {watermark.seq:,}, and {why}: the watermark was put "
        "back to what it was; see `onetape tape repair`"
    )


def _check_mark(folder: Path, watermark: Watermark, anchor: Anchor) -> None:
    """Raise TapeCorrupt when the watermark names the frame of `anchor` and means another one."""
    if watermark.number == anchor.number and watermark.sha != anchor.sha:
        raise TapeCorrupt(
            f"{folder / NAME} is of another tape: its frame {watermark.number} is not the one here; restore it from a "
            "copy, or see `onetape tape repair`"
        )


def check_frame(place: Place, epoch: int, digest: TapeDigest, rows: int) -> tuple[int, int]:
    """Hash a frame; (its epoch, rows so far). Raises TapeCorrupt when it is not what its header says."""
    before = Anchor(place.header.number - 1, b"", place.header.first_seq - 1)
    if place.header.kind == EVENTS:
        found, notes = unpack_events(place.body)
        first, last = (int(found["seq"][0]), int(found["seq"][-1])) if len(found) else (0, 0)
        if (first, last, len(found)) != (place.header.first_seq, place.header.last_seq, place.header.rows):
            raise damaged(place.path, place.offset, before, "its rows are not those its header speaks of")
        digest.add(found, notes)
        rows += len(found)
    else:
        digest.add_ref(bytes(place.body))
    if digest.digest() != place.header.tape_digest:
        raise damaged(place.path, place.offset, before, "its tape digest is not that of the rows")
    if place.header.epoch < epoch:
        raise damaged(place.path, place.offset, before, f"writer {place.header.epoch} wrote after writer {epoch}")
    return place.header.epoch, rows


def _check_end(path: Path, walk: Walk, rest: bytes, watermark: Watermark) -> None:
    """Raise TapeCorrupt when what follows the last whole frame was promised to be there."""
    if watermark.number > walk.anchor.number:
        following = segment_path(path.parent, int(path.stem) + 1)
        if not rest and watermark.segment > int(path.stem) + (watermark.offset == 0):
            raise damaged(following, 0, walk.anchor, f"segment {int(following.stem)} is missing, or holds nothing")
        raise damaged(path, walk.offset, walk.anchor, f"it was on disk: the watermark is at frame {watermark.number}")
    at = rest.find(MAGIC)
    while at >= 0:
        header = unpack_header(rest[at : at + HEADER_BYTES])
        if header is not None and header.durable > walk.anchor.number:
            raise damaged(
                path, walk.offset, walk.anchor, f"it was on disk when frame {header.number} was written after it"
            )
        at = rest.find(MAGIC, at + 1)


def is_written(path: Path) -> bool:
    """Whether a segment holds anything; one that was only reserved is all zeros."""
    with path.open("rb") as file:
        return any(part != ZEROS[: len(part)] for part in iter(lambda: file.read(CHUNK), b""))


def written_rest(path: Path, offset: int) -> bytes:
    """What follows byte `offset`, without the zeros of reserved space at its end; memory only for what is there."""
    held, zeros = bytearray(), 0
    with path.open("rb") as file:
        file.seek(offset)
        for part in iter(lambda: file.read(CHUNK), b""):
            if part == ZEROS[: len(part)]:
                zeros += len(part)
            else:
                held += bytes(zeros) + part
                zeros = 0
    return bytes(held.rstrip(b"\0"))


@dataclass(frozen=True)
class Start:
    """What lies before the segments that are still frames: the sealed ones."""

    segment: int
    anchor: Anchor
    digest: TapeDigest
    rows: int


def from_nothing() -> Start:
    return Start(0, Anchor(), TapeDigest(), 0)
