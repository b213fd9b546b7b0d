"""Files that are either whole or absent: durable writes, hashes, canonical JSON and one lock per home."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kernel.errors import TapeLocked


def canonical_json(value: Any) -> bytes:
    """`value` as JSON that depends on nothing but `value`: sorted keys, two-space indent, UTF-8, one final
    newline."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Have the system put a written file on the disk before we go on."""
    fd = os.open(path, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path: Path) -> None:
    """Make names created or renamed in `path` durable; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: Path) -> None:
    """Create `path` and its parents durably."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def write_durable(path: Path, data: bytes) -> None:
    """Write or replace `path` atomically: a reader sees the old bytes or the new ones, also after a power
    cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextlib.contextmanager
def import_lock(home: Path) -> Iterator[None]:
    """Hold the one import lock of `home`; the system frees it when the process ends, however it ends.

    Raises TapeLocked when another process holds it: two imports at once could give two symbols one number.
    """
    folder = home / "instruments"
    make_folder(folder)
    with (folder / ".lock").open("a+b") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise TapeLocked(f"another import is writing to {home}: wait until it ends, then run this again") from error
        yield  # closing the file frees the lock


def _lock(fd: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
