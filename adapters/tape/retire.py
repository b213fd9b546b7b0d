"""Retention: old ticks leave the sealed parts of a tape, and each manifest keeps a tombstone of what went.

Only files of the families in `TICKS` may go; decisions, bars and notes stay for good. The tombstone goes in before the
file goes, so a crash in between leaves a file too many, which counts for nothing and is removed the next time.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.disk import DISK, Disk
from adapters.files import take_lock
from adapters.tape.digest import chunk_of
from adapters.tape.parts import SealedPart, sealed_parts
from adapters.tape.rolling import SEALER_LOCK
from adapters.tape.sealed import read_manifest, write_manifest
from kernel.errors import NotReplayable
from kernel.schema import TICKS


@dataclass(frozen=True)
class TickFile:
    """One Parquet file of ticks in a sealed part. Times are ts_init, ns UTC."""

    path: Path
    rows: int
    bytes: int
    sha256: str
    first_seq: int
    last_seq: int
    first_ts: int
    last_ts: int


@dataclass(frozen=True)
class Tombstone:
    """What was retired: a file that is gone from a part, and what it held."""

    part: str
    file: str
    rows: int
    first_seq: int
    last_seq: int
    first_ts: int
    retired_at: str


_TOLD = ("rows", "first_seq", "last_seq", "first_ts", "retired_at")


def tick_files(folder: Path, before_ts: int) -> list[TickFile]:
    """The tick files of parts that ended before `before_ts` (ns UTC) and can go.

    The newest parts cannot, however old: those whose last digest chunk is still being filled, since the tape digest
    goes on by hashing that chunk again.
    """
    parts = sealed_parts(folder)
    full = max((chunk for part in parts for chunk, _ in part.chunks), default=-1)
    found = []
    for part in parts:
        if chunk_of(part.anchor.seq) <= full and (span := _span(part)) and span[1] < before_ts:
            found += _ticks_of(part)
    return found


def _ticks_of(part: SealedPart) -> list[TickFile]:
    files = read_manifest(part.folder)["files"]
    found = []
    for family in TICKS:
        if about := files.get(f"{family}.parquet"):
            path = part.folder / f"{family}.parquet"
            seqs, times = bounds(path, "seq"), bounds(path, "ts_init")
            found.append(TickFile(path, _rows(path), int(about["bytes"]), str(about["sha256"]), *seqs, *times))
    return found


def _span(part: SealedPart) -> tuple[int, int] | None:
    """First and last ts_init of a part's rows that are there, None without any."""
    names = [name for name in read_manifest(part.folder)["files"] if name != "notes.parquet"]
    spans = [bounds(part.folder / name, "ts_init") for name in names]
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None


def bounds(path: Path, column: str) -> tuple[int, int]:
    """Smallest and largest value of an integer column, from the statistics of a Parquet file."""
    import pyarrow.parquet as pq

    about = pq.read_metadata(path)
    place = about.schema.to_arrow_schema().get_field_index(column)
    found = [about.row_group(k).column(place).statistics for k in range(about.num_row_groups)]
    return min(int(s.min) for s in found), max(int(s.max) for s in found)


def _rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def retire(folder: Path, files: Sequence[TickFile], now: str, disk: Disk = DISK) -> int:
    """Take `files` off the tape; `now` is written into the tombstones. Returns the bytes that came free.

    Raises TapeLocked while the tape is being sealed, repaired or copied.
    """
    assert all(file.path.stem in TICKS for file in files), "only ticks may go"
    sealer = take_lock(folder / SEALER_LOCK)
    try:
        for part in sealed_parts(folder):
            mine = [file for file in files if file.path.parent == part.folder]
            if mine:
                _bury(part.folder, mine, now, disk)
            _remove_buried(part.folder, disk)
    finally:
        os.close(sealer)
    return sum(file.bytes for file in files)


def _bury(part: Path, files: Sequence[TickFile], now: str, disk: Disk) -> None:
    manifest = read_manifest(part)
    retired = manifest.setdefault("retired", {})
    for file in files:
        about = manifest["files"].pop(file.path.name)
        retired[file.path.name] = about | {
            "rows": file.rows, "first_seq": file.first_seq, "last_seq": file.last_seq,
            "first_ts": file.first_ts, "last_ts": file.last_ts, "retired_at": now,
        }  # fmt: skip
    write_manifest(part, manifest, disk)


def _remove_buried(part: Path, disk: Disk) -> None:
    for name in read_manifest(part).get("retired", {}):
        if (part / name).exists():
            disk.remove(part / name)
            disk.sync_folder(part)


def retired_inputs(folder: Path) -> list[Tombstone]:
    """What was retired from a tape, oldest first."""
    found = []
    for part in sealed_parts(folder):
        retired: dict[str, Any] = read_manifest(part.folder).get("retired", {})
        found += [Tombstone(part.folder.name, name, *(t[key] for key in _TOLD)) for name, t in sorted(retired.items())]
    return found


def require_inputs(folder: Path, from_seq: int = 0, last_ts: int | None = None) -> None:
    """Raise NotReplayable when inputs from `from_seq` on and up to `last_ts` (ns UTC) were retired."""
    for gone in retired_inputs(folder):
        if gone.last_seq >= from_seq and (last_ts is None or gone.first_ts <= last_ts):
            raise NotReplayable(
                f"NOT REPLAYABLE: input retired: {gone.rows:,} rows of {gone.file} (seq {gone.first_seq:,} to "
                f"{gone.last_seq:,}) left {folder.name} on {gone.retired_at[:10]}; an older backup has them"
            )
