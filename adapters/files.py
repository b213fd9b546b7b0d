"""Files as the tapes need them, on every system: locks, syncing, whole or absent, hashes, canonical JSON."""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kernel.errors import TapeLocked

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def take_lock(path: Path) -> int:
    """An exclusive lock on `path`, held until the returned descriptor is closed. Raises TapeLocked."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise TapeLocked(f"{path.parent} is being written by another process: stop that one first") from None
    return descriptor


def sync_data(descriptor: int) -> None:
    """Make what was written durable; file length included, times not."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    elif sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync on macOS stops at the drive's cache
    else:
        os.fsync(descriptor)


def sync_file(path: Path) -> None:
    """Make a file that was written and closed durable."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        sync_data(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make new and renamed names in a folder durable."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve(descriptor: int, length: int) -> None:
    """Give a file its length and, where the system can, its blocks, so that appending changes no metadata."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, length)
    else:
        os.truncate(descriptor, length)


def write_whole(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, all or nothing, durable."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    sync_folder(path.parent)


def write_at(descriptor: int, parts: list[bytes], offset: int) -> int:
    """Write `parts` one after the other from `offset`; returns the bytes written."""
    if len(parts) == 1 and hasattr(os, "pwrite"):
        return os.pwrite(descriptor, parts[0], offset)
    if hasattr(os, "pwritev"):
        return os.pwritev(descriptor, parts, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return sum(os.write(descriptor, part) for part in parts)


def make_folder(path: Path) -> None:
    """Create `path` and its parents durably."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


@contextlib.contextmanager
def import_lock(home: Path) -> Iterator[None]:
    """Hold the one import lock of `home`; the system frees it when the process ends, however it ends.

    Raises TapeLocked when another process holds it: two imports at once could give two symbols one number.
    """
    folder = home / "instruments"
    make_folder(folder)
    try:
        descriptor = take_lock(folder / ".lock")
    except TapeLocked:
        raise TapeLocked(f"another import is writing to {home}: wait until it ends, then run this again") from None
    try:
        yield
    finally:
        os.close(descriptor)


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, so that equal values are equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
