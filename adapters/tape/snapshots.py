"""Snapshots of the kernel's state, so that a start need not begin at the first event. Derived: delete them at will.

A snapshot counts only for the very tape, code and layout it was made with; any other one is passed over.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.files import canonical_json, write_whole
from adapters.tape.frame import SCHEMA_ID
from adapters.tape.parts import digest_at
from kernel.state import LAYOUT

MAGIC = b"ONETAPES"
KEEP = 3
SUFFIX = ".snapshot"


@dataclass(frozen=True)
class Snapshot:
    """The kernel's tables after event `seq` of a tape whose digest was then `tape_digest`. `code` names what ran."""

    seq: int
    tape_digest: str
    code: str
    tables: dict[str, bytes]
    about: dict[str, Any]  # what else the host needs to go on from here, as JSON


def save_snapshot(folder: Path, snapshot: Snapshot) -> Path:
    """Write a snapshot of a tape that ends with it, durably; the oldest go, and those from beyond that end.

    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = canonical_json(
        {
            "seq": snapshot.seq,
            "tape_digest": snapshot.tape_digest,
            "code": snapshot.code,
            "schema": SCHEMA_ID,
            "layout": LAYOUT,
            "tables": [[name, len(data)] for name, data in snapshot.tables.items()],  # in the order of the bytes
            "about": snapshot.about,
        }
    )
    body = zlib.compress(b"".join(snapshot.tables.values()), 1)
    data = MAGIC + struct.pack("<Q", len(head)) + head + body
    path = folder / f"{snapshot.seq:015d}{SUFFIX}"
    try:
        write_whole(path, data + hashlib.sha256(data).digest())
    except OSError:
        with suppress(OSError):
            path.with_name(path.name + ".tmp").unlink()  # half of it on a full disk: each would have a name of its own
        raise
    known = sorted(folder.glob(f"*{SUFFIX}"))  # by seq, which is the name
    place = known.index(path)
    for old in known[: max(0, place + 1 - KEEP)] + known[place + 1 :]:  # the tape was put back to before the latter
        old.unlink()
    return path


def usable_snapshot(folder: Path, tape: Path, code: str, last_seq: int) -> Snapshot | None:
    """The newest snapshot in `folder` up to `last_seq` that is of this tape, code and layout; None without one.

    Those it meets before that are of another tape, or of this one before it was put back, are removed: they would take
    the places of snapshots that can be used.
    """
    for path, snapshot in _snapshots(folder):
        if snapshot.seq > last_seq or digest_at(tape, snapshot.seq) != snapshot.tape_digest:
            with suppress(OSError):
                path.unlink()
        elif snapshot.code == code:
            return snapshot
    return None


def newest_seq(folder: Path) -> int:
    """The seq of the newest snapshot in `folder`, by its name; 0 without one."""
    return max((int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdecimal()), default=0)


def _snapshots(folder: Path) -> Iterator[tuple[Path, Snapshot]]:
    """Whole snapshots of this layout, newest first; what cannot be read is passed over."""
    for path in sorted(folder.glob(f"*{SUFFIX}"), reverse=True):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if data[:8] != MAGIC or hashlib.sha256(data[:-32]).digest() != data[-32:]:
            continue
        (length,) = struct.unpack_from("<Q", data, 8)
        head = json.loads(data[16 : 16 + length])
        if (head["schema"], head["layout"]) != (SCHEMA_ID, LAYOUT):
            continue
        body, start, tables = zlib.decompress(data[16 + length : -32]), 0, {}
        for name, size in head["tables"]:
            tables[name] = body[start : start + size]
            start += size
        yield path, Snapshot(head["seq"], head["tape_digest"], head["code"], tables, head["about"])
