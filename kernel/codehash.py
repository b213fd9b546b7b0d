"""Name the compiled code by what it was compiled from, so that an edit can never run yesterday's machine code."""

import hashlib
import os
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

KERNEL = Path(__file__).parent


@cache
def kernel_hash() -> str:
    """SHA-256 over every kernel source and the versions of Python, numba and numpy; 64 hex digits.

    Taken once a process: what it imported is what it runs, whatever becomes of the files meanwhile."""
    digest = hashlib.sha256(f"{sys.version_info[:3]} {version('numba')} {version('numpy')}".encode())
    for path in sorted(KERNEL.rglob("*.py")):
        if "strategies" not in path.relative_to(KERNEL).parts:
            digest.update(path.relative_to(KERNEL).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def files_hash(paths: list[Path]) -> str:
    """SHA-256 over the bytes of `paths` in the order given; file names and places do not matter."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def cache_root() -> Path:
    """Where compiled code is kept: `ONETAPE_CACHE`, else the user's cache folder, else a temporary one."""
    named = os.environ.get("ONETAPE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    for root in (Path(named) if named else None, Path(base) / "onetape", Path(tempfile.gettempdir()) / "onetape-cache"):
        if root is None:
            continue
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(root, os.W_OK):
            return root
    raise OSError("no folder to keep compiled code in: set ONETAPE_CACHE to one that can be written")


def cache_folder() -> Path:
    """The folder of this kernel's compiled code; programs have sub-folders named by their own hash."""
    return cache_root() / "jit" / kernel_hash()[:20]


def point_numba_at_cache() -> None:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
