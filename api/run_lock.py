"""The lock of a run that is being written, so that nobody takes it for one that did not finish."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.files import is_locked, make_folder, take_lock


def run_lock(folder: Path) -> Path:
    """Beside the run's folder, in which nothing belongs but what its manifest covers."""
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def being_run(folder: Path) -> Iterator[None]:
    """Hold the lock of a run while it is written, however long that takes; the system frees it with the process."""
    make_folder(folder.parent)
    lock = take_lock(run_lock(folder))
    try:
        yield
    finally:
        run_lock(folder).unlink(missing_ok=True)
        os.close(lock)


def still_runs(folder: Path) -> bool:
    """Whether a process is writing a run right now."""
    return is_locked(run_lock(folder))
