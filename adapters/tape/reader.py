"""Read a tape, whether it still grows or is sealed. Readers take no lock and see only what is durable."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from adapters.tape import sealed
from adapters.tape.frame import EVENTS, REF, unpack_events
from adapters.tape.scan import Scan, segment_is_written, segments
from kernel.errors import NotFound, TapeCorrupt

__all__ = ["is_sealed", "list_account_folders", "list_run_folders", "read_manifest", "read_refs", "read_rows"]
read_manifest = sealed.read_manifest


def is_sealed(folder: Path) -> bool:
    return (folder / sealed.MANIFEST).is_file()


def list_run_folders(home: Path) -> list[Path]:
    """Run folders of a home, oldest first."""
    return sorted(path for path in (home / "runs").glob("*") if path.is_dir())


def list_account_folders(home: Path) -> list[Path]:
    """Account tapes of a home that hold anything; one that was only opened, or reserved before a crash, does not."""
    folders = (path for path in (home / "tapes" / "accounts").glob("*") if path.is_dir())
    return sorted(path for path in folders if is_sealed(path) or any(map(segment_is_written, segments(path))))


def read_rows(folder: Path, from_seq: int = 0) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
    """(EVENT rows, notes of their seqs) with seq >= from_seq, in order.

    Of a tape that grows, rows up to the last durable seq: a clean end is durable (the writer synced and cut it); while
    the space after it is still reserved, the watermark in the last frame says how far. Raises NotFound, TapeCorrupt.
    """
    if is_sealed(folder):
        yield from sealed.read_sealed(folder, from_seq)
        return
    if not segments(folder):
        raise NotFound(f"{folder}: no tape there")
    limit = durable_seq(folder)
    for place in Scan(folder, from_seq):
        if place.header.kind != EVENTS or place.header.last_seq < from_seq:
            continue
        if place.header.first_seq > limit:
            return
        rows, notes = unpack_events(place.body)
        first, last = np.searchsorted(rows["seq"], from_seq), np.searchsorted(rows["seq"], limit, "right")
        if last > first:
            yield rows[first:last], {seq: text for seq, text in notes.items() if from_seq <= seq <= limit}


def durable_seq(folder: Path) -> int:
    """Last seq of a growing tape that is known to be on disk."""
    scan, watermark = Scan(folder, 2**62), 0
    for place in scan:
        watermark = place.header.durable_seq
    end = scan.end
    if end.last is not None and end.segment is not None and end.offset == end.segment.stat().st_size:
        return end.last.last_seq
    return watermark


def read_refs(folder: Path) -> list[dict[str, Any]]:
    """The REF frames of a tape: which inputs are on which other tapes."""
    if is_sealed(folder):
        return [ref["ref"] for ref in read_manifest(folder)["refs"]]
    return [json.loads(place.body) for place in Scan(folder) if place.header.kind == REF]


def config_of(folder: Path) -> dict[str, Any]:
    """The configuration in the first note of a tape, that of its RUN_STARTED. Raises TapeCorrupt."""
    for rows, notes in read_rows(folder):
        if len(rows) and int(rows["seq"][0]) in notes:
            return dict(json.loads(notes[int(rows["seq"][0])]))
        break
    raise TapeCorrupt(f"{folder} does not begin with RUN_STARTED and its configuration")
