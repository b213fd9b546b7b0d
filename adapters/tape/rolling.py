"""Seal the segments of a growing tape once its writer has left them: Parquet in the place of frames.

Only this makes sealed parts, only closed segments are touched, so it works beside the writer. All frames are checked
before any segment is sealed, and a segment's frames go once the Parquet was read back and has their digest; a crash at
any step leaves the frames or both.
"""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.disk import DISK, Disk
from adapters.files import take_lock
from adapters.tape.frame import EVENTS, unpack_events
from adapters.tape.parts import SEALED, SealedPart, part_path, start_of
from adapters.tape.scan import (
    Anchor,
    Place,
    Start,
    Walk,
    damaged,
    examine,
    mark_in_force,
    segment_path,
    segment_paths,
    written_rest,
)
from adapters.tape.sealed import SealedWriter, check_rows
from adapters.tape.writer import LOCK
from kernel.errors import TapeLocked

SEALER_LOCK = "sealer.lock"


def seal_closed(folder: Path, whole: bool = False, disk: Disk = DISK) -> list[SealedPart]:
    """Seal every segment before the one being written; `whole`: also the last one, for which nobody may be writing.

    Returns the new parts. Raises TapeLocked, also where a torn write waits for a writer to put it aside; TapeCorrupt.
    """
    sealer = take_lock(folder / SEALER_LOCK)
    try:
        if not whole:
            return _seal_before(folder, mark_in_force(folder).segment, False, disk)
        writer = take_lock(folder / LOCK)
        try:
            return _seal_before(folder, mark_in_force(folder).segment + 1, True, disk)
        finally:
            os.close(writer)
    finally:
        os.close(sealer)


def _seal_before(folder: Path, last: int, whole: bool, disk: Disk) -> list[SealedPart]:
    made, start = [], start_of(folder)
    ends = _last_frames(folder, replace(start, digest=start.digest.copy()), whole)
    for path in segment_paths(folder):
        if int(path.stem) <= start.segment:
            disk.remove(path)  # sealed before, and the crash came before this step
            disk.sync_folder(folder)
        elif int(path.stem) < last:
            start = seal_segment(folder, start, ends.get(int(path.stem), start.anchor), disk)
            made.append(SealedPart.read(part_path(folder, start.segment)))
    return made


def _last_frames(folder: Path, start: Start, whole: bool) -> dict[int, Anchor]:
    """The last frame of each segment that has any, once all frames were checked against all that was promised.

    Beside a writer what lies behind the watermark is its own. A segment that lost its last frames is told by what
    follows it or by the watermark, and must keep what it has: sealed, nothing could be put back between them.
    """
    ends: dict[int, Anchor] = {}

    def seen(place: Place) -> None:
        ends[int(place.path.stem)] = Anchor.of(place.header)

    mark = mark_in_force(folder)
    if mark.segment == 0 and not whole:
        return ends  # nothing was closed yet
    found = examine(folder, mark, start, seen, being_written=not whole)
    if found.torn:
        raise TapeLocked(
            f"{segment_path(folder, found.segment)} ends in {found.torn:,} bytes of a write that was cut short: "
            "`onetape live` puts them aside when it starts; seal the tape after that, or without --whole"
        )
    return ends


def seal_segment(folder: Path, start: Start, last: Anchor | None = None, disk: Disk = DISK) -> Start:
    """Seal the first segment after `start`, whose last frame must be `last` where that is known.

    Returns what then lies before the next one. Raises TapeCorrupt; what was made of the part is removed then.
    """
    path, target = segment_path(folder, start.segment + 1), part_path(folder, start.segment + 1)
    disk.make_folder(folder / SEALED)
    disk.sync_folder(folder)
    unfinished = target.with_name(f".{target.name}.part")
    disk.remove_tree(unfinished)
    try:
        after = _write_part(path, start, last, unfinished, disk)
        disk.sync_folder(unfinished)
        disk.rename(unfinished, target)
    except BaseException:
        with suppress(OSError):
            disk.remove_tree(unfinished)
        raise
    disk.sync_folder(target.parent)
    disk.remove(path)
    disk.sync_folder(folder)
    return after


def _write_part(path: Path, start: Start, last: Anchor | None, unfinished: Path, disk: Disk) -> Start:
    """The frames at `path` as a sealed tape in `unfinished`, read back; what lies before the next segment then."""
    number, known = int(path.stem), len(start.digest.chunks)
    with SealedWriter(unfinished, start.digest.copy(), disk) as tape:
        walk = Walk(path, start.anchor)
        for place in walk:
            if place.header.kind == EVENTS:
                tape.add(*unpack_events(place.body))
            else:
                tape.add_ref(bytes(place.body))
            if place.header.tape_digest != tape.tape_digest.digest():
                raise damaged(path, place.offset, walk.anchor, "its tape digest is not that of the rows")
        if written_rest(path, walk.offset):
            raise damaged(path, walk.offset, walk.anchor, "the segment was closed with it")
        following = segment_path(path.parent, number + 1)
        if following.exists():
            next(iter(Walk(following, walk.anchor)), None)  # raises when it does not follow: frames are missing here
        if last is not None and walk.anchor != last:
            raise damaged(path, walk.offset, walk.anchor, f"it was there a moment ago, up to frame {last.number}")
        chunks = tape.tape_digest.chunks[known:]
        manifest = tape.finish(
            {"segment": _about(number, start.anchor, walk.anchor, chunks), "last_seq": walk.anchor.seq}
        )
    check_rows(unfinished, manifest, start.digest)
    return Start(number, walk.anchor, tape.tape_digest, start.rows + tape.rows)


def _about(number: int, before: Anchor, last: Anchor, chunks: list[tuple[int, str]]) -> dict[str, Any]:
    return {
        "number": number,
        "first_seq": before.seq + 1,
        "frame_before": before.number,
        "sha_before": before.sha.hex(),
        "last_frame": last.number,
        "sha": last.sha.hex(),
        "chunks": [list(chunk) for chunk in chunks],
    }
