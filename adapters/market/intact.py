"""Whether the files of market tapes are what was imported: their SHA-256, taken once for each state of a file.

A hash is remembered with the file's identity, size and times, so that only a file that was touched is hashed again.
What rots on the disk below the file system keeps its times: the pages of a Parquet file carry checksums of their own,
and its manifest states a digest of its footer, which every reading verifies (`adapters/market/reader.py`). Both, since
both are cheap: of 5 million bars in 60 MB the hash takes 0.05 s, once and beside the run, the checksums 0.02 s beside
the 0.13 s of decoding (one core, 2026). What is left to the hash alone is the few bytes that head a page.
"""

import contextlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from adapters.files import canonical_json, make_folder, sha256_file, write_whole
from adapters.market.tape import AGAIN, Manifest
from kernel.errors import TapeCorrupt

SETTLED_NS = 2_000_000_000  # a file touched so shortly ago could be touched again within the tick of its clock


def check_inputs(tapes: Sequence[Manifest], memory: Path | None = None) -> None:
    """Hash every file of `tapes` that `memory` does not know as it is. Raises TapeCorrupt naming the first bad one."""
    known = _read(memory) if memory is not None else {}
    fresh: dict[str, list[Any]] = {}
    for tape in tapes:
        for name, stated in tape.files.items():
            path, key = tape.path / name, f"{tape.name}/{name}"
            try:
                state = _state_of(path)
                if known.get(key) == [*state, stated["sha256"]]:
                    continue
                found = sha256_file(path)
            except OSError as error:
                raise TapeCorrupt(f"{path} cannot be read ({error.strerror}): {AGAIN}") from None
            if found != stated["sha256"]:
                raise TapeCorrupt(f"{path} is not what was imported: {AGAIN}")
            if time.time_ns() - max(state[-2:]) > SETTLED_NS:
                fresh[key] = [*state, found]
    if memory is not None and fresh:
        with contextlib.suppress(OSError):  # a home that cannot be written is hashed again the next time
            make_folder(memory.parent)
            write_whole(memory, canonical_json({**known, **fresh}))


class InputCheck:
    """`check_inputs` beside a run: begun when it is made; the end of its `with` block waits for the answer.

    Raises TapeCorrupt, also where the block fails: damaged bars may trouble a run before they are known to be damaged,
    and then damage is what is to be told.
    """

    def __init__(self, tapes: Sequence[Manifest], memory: Path) -> None:
        pool = ThreadPoolExecutor(1, "check-inputs")
        self._found: Future[None] = pool.submit(check_inputs, tapes, memory)
        pool.shutdown(wait=False)

    def __enter__(self) -> "InputCheck":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None or isinstance(error, Exception):  # Ctrl-C waits for nothing
            self._found.result()


def memory_of(home: Path) -> Path:
    """Where the hashes of a home are remembered; removing it costs one hashing."""
    return home / "views" / "hashes.json"


def _state_of(path: Path) -> list[int]:
    found = os.stat(path)
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _read(memory: Path) -> dict[str, Any]:
    try:
        found = json.loads(memory.read_bytes())
    except (OSError, ValueError):  # never written, unreadable or cut off: then nothing is known
        return {}
    return found if isinstance(found, dict) else {}
