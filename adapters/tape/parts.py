"""The parts of a growing tape, oldest first: sealed segments as Parquet, then segments that are still frames.

`sealed/00000001/` takes the place of `00000001.segment` once its manifest is there; a segment file of a sealed number
is a leftover of a seal that was cut short before its last step.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from adapters.tape import sealed
from adapters.tape.digest import CHUNK_SEQS, Chunk, TapeDigest, chunk_of, notes_within
from adapters.tape.scan import Anchor, Place, Start, Walk, from_nothing, segment_paths
from adapters.tape.watermark import read_watermark
from kernel.errors import TapeCorrupt

SEALED = "sealed"
LOOKS = 100  # at a tape that changes each time
T = TypeVar("T")


@dataclass(frozen=True)
class SealedPart:
    """A segment that was sealed. `chunks` of the tape digest that ended in it; `anchor` is its last frame."""

    folder: Path
    segment: int
    first_seq: int
    anchor: Anchor
    before: Anchor
    rows: int
    chunks: tuple[Chunk, ...]
    tape_digest: str

    @classmethod
    def read(cls, folder: Path) -> "SealedPart":
        about: dict[str, Any] = sealed.read_manifest(folder)
        part = about["segment"]
        return cls(
            folder,
            int(part["number"]),
            int(part["first_seq"]),
            Anchor(int(part["last_frame"]), bytes.fromhex(part["sha"]), int(about["last_seq"])),
            Anchor(int(part["frame_before"]), bytes.fromhex(part["sha_before"]), int(part["first_seq"]) - 1),
            int(about["rows"]),
            tuple((int(number), str(digest)) for number, digest in part["chunks"]),
            str(about["tape_digest"]),
        )


def steadily(folder: Path, look: Callable[[], T], doubtful: Callable[[T], bool] = lambda found: False) -> T:
    """What `look` finds on a tape, again while it meets what is damage, or `doubtful`, on a tape that lies still.

    A sealer puts parts in the place of frames, retention takes files away, and a writer comes, all beside readers: what
    was listed before and read after does not fit then.
    """
    for _ in range(LOOKS):
        before = _turn(folder)
        try:
            found = look()
            if not doubtful(found) or _turn(folder) == before:
                break
        except TapeCorrupt:
            if _turn(folder) == before:
                raise
        except FileNotFoundError as error:
            if _turn(folder) == before:
                raise TapeCorrupt(f"{folder}: a file is missing ({error}): restore it from a copy") from error
    else:
        raise TapeCorrupt(f"{folder} changed at each of {LOOKS} looks: look again when nobody seals or starts")
    return found


def _turn(folder: Path) -> tuple[object, ...]:
    """What changes when a segment is sealed, ticks are retired, or another writer comes."""
    manifests = []
    for path in sorted((folder / SEALED).glob("[0-9]*/" + sealed.MANIFEST)):
        with suppress(FileNotFoundError):
            found = path.stat()
            manifests.append((path.parent.name, found.st_ino, found.st_mtime_ns))
    with suppress(TapeCorrupt):
        return (read_watermark(folder).epoch, *manifests)
    return tuple(manifests)


def part_path(folder: Path, segment: int) -> Path:
    return folder / SEALED / f"{segment:08d}"


def sealed_parts(folder: Path) -> list[SealedPart]:
    """The sealed segments, oldest first. Raises TapeCorrupt when one is missing or does not follow the one before."""
    parts: list[SealedPart] = []
    paths = sorted(path for path in (folder / SEALED).glob("*") if path.name.isdecimal())
    before = Anchor()
    for number, path in enumerate(paths, 1):
        if path != part_path(folder, number):
            raise TapeCorrupt(f"{folder}: sealed segment {number} is missing: restore it from a copy")
        part = SealedPart.read(path)
        if part.segment != number or (part.before.number, part.before.sha) != (before.number, before.sha):
            raise TapeCorrupt(
                f"{path} does not follow the sealed segment before it: one was exchanged or put back to what it was; "
                "restore it from a copy"
            )
        parts.append(part)
        before = part.anchor
    return parts


def start_of(folder: Path) -> Start:
    """Where the frames begin: after the sealed segments, with the tape digest at that place."""
    parts = sealed_parts(folder)
    if not parts:
        return from_nothing()
    digest = digest_after(folder, parts)
    last = parts[-1]
    if digest.hex() != last.tape_digest:
        raise TapeCorrupt(f"{last.folder}: its rows have tape digest {digest.hex()}, not {last.tape_digest}")
    return Start(last.segment, last.anchor, digest, sum(part.rows for part in parts))


def digest_at(folder: Path, seq: int) -> str:
    """The tape digest after event `seq`, hex; "" where no frame ends there."""
    return steadily(folder, lambda: _digest_at(folder, seq))


def _digest_at(folder: Path, seq: int) -> str:
    parts = sealed_parts(folder)
    if not parts or seq > parts[-1].anchor.seq:
        return _digest_in_frames(folder, parts, seq)
    chunks = [chunk for part in parts for chunk in part.chunks if chunk[0] < chunk_of(seq)]
    from_seq = (chunks[-1][0] + 1) * CHUNK_SEQS + 1 if chunks else 0
    digest = TapeDigest(chunks)
    for part in parts:
        if part.anchor.seq >= from_seq and part.first_seq <= seq:
            for rows, notes in sealed.read_sealed(part.folder, from_seq):
                upto = rows[: np.searchsorted(rows["seq"], seq, "right")]
                digest.add(upto, notes_within(upto, notes))
    return digest.hex()


def _digest_in_frames(folder: Path, parts: list[SealedPart], seq: int) -> str:
    for place in frames_after(folder, parts, seq + 1):
        if place.header.last_seq == seq:
            return place.header.tape_digest.hex()
    return ""


def frames_after(folder: Path, parts: list[SealedPart], from_seq: int = 0) -> Iterator[Place]:
    """The whole frames of the segments after the sealed parts; rows that end before `from_seq` are passed over."""
    anchor, done = (parts[-1].anchor, parts[-1].segment) if parts else (Anchor(), 0)
    for path in segment_paths(folder):
        if int(path.stem) > done:
            walk = Walk(path, anchor, from_seq=from_seq)
            yield from walk
            anchor = walk.anchor


def digest_after(folder: Path, parts: list[SealedPart]) -> TapeDigest:
    """The running tape digest after `parts`: their full chunks, and the rows of the last one hashed again."""
    chunks = [chunk for part in parts for chunk in part.chunks]
    from_seq = (chunks[-1][0] + 1) * CHUNK_SEQS + 1 if chunks else 0
    digest = TapeDigest(chunks)
    for part in parts:
        if part.anchor.seq >= from_seq:
            sealed.hash_rows(part.folder, sealed.read_manifest(part.folder), digest, from_seq)
    return digest
