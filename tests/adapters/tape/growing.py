"""Growing tapes for tests: write one, list its frames, photograph a folder and put it back as it was."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from adapters.tape.digest import TapeDigest
from adapters.tape.reader import read_rows
from adapters.tape.scan import Anchor, Place, Walk, segment_paths
from adapters.tape.writer import TapeWriter
from kernel.errors import TapeCorrupt
from tests.adapters.tape.rows import Notes, gather, notes_in

SMALL = 1_500  # bytes of a segment: two frames of two rows


def frames(folder: Path) -> list[Place]:
    """The whole frames of all segments."""
    found: list[Place] = []
    anchor = Anchor()
    for path in segment_paths(folder):
        walk = Walk(path, anchor)
        found += walk
        anchor = walk.anchor
    return found


def segment_names(folder: Path) -> list[str]:
    return [path.name for path in segment_paths(folder)]


def digest_of(rows: np.ndarray, notes: Notes) -> str:
    digest = TapeDigest()
    digest.add(rows, notes)
    return digest.hex()


def write(folder: Path, pieces: list[np.ndarray], notes: Notes, segment_bytes: int = SMALL) -> str:
    """A closed tape of one durable frame a piece; its tape digest."""
    with TapeWriter(folder, segment_bytes) as tape:
        for piece in pieces:
            tape.append(piece, notes_in(notes, piece))
        return tape.tape_digest.hex()


def photograph(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the locks."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def put_back(folder: Path, files: dict[str, bytes]) -> None:
    """Make a folder hold `files` and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def must_be_corrupt(folder: Path, segment: str, offset: int, segment_bytes: int = SMALL) -> TapeCorrupt:
    """Opening to write names the place and changes nothing; reading refuses too."""
    before = photograph(folder)
    with pytest.raises(TapeCorrupt) as refused:
        TapeWriter(folder, segment_bytes)
    assert (refused.value.segment, refused.value.offset) == (segment, offset), str(refused.value)
    assert refused.value.exit_code == 65
    with pytest.raises(TapeCorrupt):
        gather(read_rows(folder))
    assert photograph(folder) == before
    return refused.value
