"""Files as the tapes need them, on every system: locks, syncing, whole or absent, hashes, canonical JSON."""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.disk import DISK
from kernel.errors import TapeLocked

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


PATIENCE_SECONDS = 0.2  # for those that only look: see `is_locked`
sync_data, sync_file, sync_folder = DISK.sync, DISK.sync_file, DISK.sync_folder
reserve, write_whole = DISK.reserve, DISK.write_whole


def take_lock(path: Path) -> int:
    """An exclusive lock on `path`, held until the returned descriptor is closed. Raises TapeLocked.

    Who only looks whether it is locked holds it for some microseconds, so a refusal is one that lasts.
    """
    descriptor, end = os.open(path, os.O_RDWR | os.O_CREAT, 0o644), time.monotonic() + PATIENCE_SECONDS
    while not _lock(descriptor):
        if time.monotonic() > end:
            os.close(descriptor)
            raise TapeLocked(f"{path.parent} is being written by another process: stop that one first")
        time.sleep(0.0005)
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock on `path` right now. Makes no file, and those who look do not see each other."""
    try:
        descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, shared: bool = False) -> bool:
    """Lock a file if nobody else has; Windows has no shared locks of the kind."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make_folder(path: Path) -> None:
    """Create `path` and its parents durably, also what a process made that ended before it synced."""
    missing, leaf = [], path
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
    if not missing:
        with contextlib.suppress(PermissionError):  # whoever may not look into the parent did not make a folder there
            sync_folder(leaf.parent)


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
