"""Read every byte of a growing tape: sealed parts, frames, and how it ends."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from adapters.files import is_locked
from adapters.tape.digest import CHUNK_SEQS, TapeDigest, chunk_of
from adapters.tape.parts import SEALED, SealedPart, sealed_parts, start_of, steadily
from adapters.tape.scan import SUFFIX, Found, Start, examine, from_nothing, mark_in_force
from adapters.tape.sealed import check_files, count_rows, hash_rows, read_manifest, retired_rows
from adapters.tape.watermark import NAME
from adapters.tape.writer import BALLAST, LOCK, QUARANTINE
from kernel.errors import TapeCorrupt

BESIDE = (LOCK, "sealer.lock", NAME, f"{NAME}.tmp", BALLAST, "sources.json")  # next to the segments; in no digest


def check_tape(folder: Path) -> Found:
    """Check names, sealed parts and every frame; of a tape that is being written, up to its watermark.

    Raises TapeCorrupt naming the first damaged place.
    """
    for path in foreign_paths(folder):
        raise TapeCorrupt(f"{path} is no part of the tape: nothing else belongs in its folder")
    return _find_end(folder, _check_parts)


def find_end(folder: Path) -> Found:
    """Check every frame and tell where a growing tape ends; what is sealed is taken as its manifests say.

    Raises TapeCorrupt naming the first damaged place.
    """
    return _find_end(folder, start_of)


def _find_end(folder: Path, start: Callable[[Path], Start]) -> Found:
    def look() -> Found:
        frames, being_written = start(folder), is_being_written(folder)
        return examine(folder, mark_in_force(folder), frames, being_written=being_written)

    return steadily(folder, look, lambda found: found.torn > 0)  # the work of a writer that just came looks torn


def _check_parts(folder: Path) -> Start:
    checker = PartChecker()
    for part in sealed_parts(folder):
        checker.add(part)
    return checker.start()


class PartChecker:
    """Check sealed parts, oldest first: every file against its manifest, all rows against the tape digest.

    The digest of a chunk that rows were retired from cannot be recomputed: it is taken from the manifest of the part
    it ended in, and recomputed again from the next chunk on. Files that are there are compared byte by byte anyway.
    """

    def __init__(self) -> None:
        self._part: SealedPart | None = None
        self.digest, self.rows = TapeDigest(), 0
        self.hole: int | None = None  # the chunk being filled, when some of its rows were retired

    def copy(self) -> "PartChecker":
        """Another one that goes on from here by itself."""
        found = PartChecker()
        found._part, found.digest, found.rows, found.hole = self._part, self.digest.copy(), self.rows, self.hole
        return found

    def add(self, part: SealedPart) -> None:
        """Raises TapeCorrupt naming what is wrong with it."""
        manifest = read_manifest(part.folder)
        check_files(part.folder, manifest)
        retired, closed = retired_rows(manifest), dict(part.chunks)
        whole = not retired and (self.hole is None or self.hole in closed)
        digest, from_seq = self.digest.copy(), 0
        if retired or self.hole is not None:  # go on after the last chunk that can be known
            known = [chunk for chunk in part.chunks if not whole or chunk[0] == self.hole]
            digest = TapeDigest([*digest.chunks, *known])
            from_seq = (digest.chunks[-1][0] + 1) * CHUNK_SEQS + 1 if digest.chunks else 0
        if whole:
            hash_rows(part.folder, manifest, digest, from_seq)
        stored = count_rows(part.folder, manifest)
        if (whole and digest.hex() != part.tape_digest) or stored + retired != part.rows:
            raise TapeCorrupt(f"{part.folder}: the sealed rows have tape digest {digest.hex()}, not {part.tape_digest}")
        if retired:
            self.hole = chunk_of(part.anchor.seq)
        elif whole:
            self.hole = None
        self._part, self.digest, self.rows = part, digest, self.rows + part.rows

    def start(self) -> Start:
        """Where the frames begin."""
        if self._part is None:
            return from_nothing()
        if self.hole is not None:
            raise TapeCorrupt(f"{self._part.folder}: rows are missing that the tape digest of now needs")
        return Start(self._part.segment, self._part.anchor, self.digest.copy(), self.rows)


def is_being_written(folder: Path) -> bool:
    """Whether a writer holds the tape right now."""
    return is_locked(folder / LOCK)


def foreign_paths(folder: Path) -> Iterator[Path]:
    """What lies in a tape's folder and does not belong there."""
    for path in sorted(folder.iterdir()):
        beside = path.name.removesuffix(".tmp") in BESIDE  # .tmp: half a file, of a process that was killed
        segment = re.fullmatch(r"\d{8}", path.stem) and path.suffix == SUFFIX
        if not (path.name in (SEALED, QUARANTINE) if path.is_dir() else beside or segment):
            yield path
    for path in sorted((folder / SEALED).glob("*")):
        if not re.fullmatch(r"\d{8}|\.\d{8}\.part", path.name):
            yield path
