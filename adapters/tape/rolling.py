"""Seal the segments of a growing tape once its writer has left them: Parquet in the place of frames.

Only this makes sealed parts, only closed segments are touched, so it works beside the writer. A segment's frames go
once the Parquet was read back and has their digest; a crash at any step leaves the frames or both.
"""

import os
import shutil
from pathlib import Path

from adapters.files import make_folder, sync_folder, take_lock
from adapters.tape.frame import EVENTS, unpack_events
from adapters.tape.parts import SEALED, SealedPart, part_path, start_of
from adapters.tape.scan import Start, Walk, damaged, segment_path, segment_paths, written_rest
from adapters.tape.sealed import SealedWriter, check_rows
from adapters.tape.watermark import Watermark, read_watermark
from adapters.tape.writer import LOCK

SEALER_LOCK = "sealer.lock"


def seal_closed(folder: Path, whole: bool = False) -> list[SealedPart]:
    """Seal every segment before the one being written; `whole`: also the last one, for which nobody may be writing.

    Returns the new parts. Raises TapeLocked, TapeCorrupt.
    """
    sealer = take_lock(folder / SEALER_LOCK)
    try:
        if not whole:
            return _seal_before(folder, read_watermark(folder).segment)
        writer = take_lock(folder / LOCK)
        try:
            return _seal_before(folder, read_watermark(folder).segment + 1)
        finally:
            os.close(writer)
    finally:
        os.close(sealer)


def _seal_before(folder: Path, last: int) -> list[SealedPart]:
    made, start, mark = [], start_of(folder), read_watermark(folder)
    for path in segment_paths(folder):
        if int(path.stem) <= start.segment:
            path.unlink()  # sealed before, and the crash came before this step
            sync_folder(folder)
        elif int(path.stem) < last:
            start = seal_segment(folder, start, mark)
            made.append(SealedPart.read(part_path(folder, start.segment)))
    return made


def seal_segment(folder: Path, start: Start, mark: Watermark | None = None) -> Start:
    """Seal the first segment after `start`, when nothing is missing at its end by what follows it, or by `mark`.

    Returns what then lies before the next one.
    """
    number = start.segment + 1
    path, target = segment_path(folder, number), part_path(folder, number)
    make_folder(folder / SEALED)
    unfinished = target.with_name(f".{target.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    known = len(start.digest.chunks)
    with SealedWriter(unfinished, start.digest.copy()) as tape:
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
        following = segment_path(folder, number + 1)
        if following.exists():
            next(iter(Walk(following, walk.anchor)), None)  # raises when it does not follow: frames are missing here
        if mark is not None and mark.segment == number and mark.number > walk.anchor.number:
            raise damaged(path, walk.offset, walk.anchor, f"it was on disk: the watermark is at frame {mark.number}")
        manifest = tape.finish(
            {
                "segment": {
                    "number": number,
                    "first_seq": start.anchor.seq + 1,
                    "frame_before": start.anchor.number,
                    "sha_before": start.anchor.sha.hex(),
                    "last_frame": walk.anchor.number,
                    "sha": walk.anchor.sha.hex(),
                    "chunks": [list(chunk) for chunk in tape.tape_digest.chunks[known:]],
                },
                "last_seq": walk.anchor.seq,
            }
        )
    check_rows(unfinished, manifest, start.digest)
    sync_folder(unfinished)
    os.rename(unfinished, target)
    sync_folder(target.parent)
    path.unlink()
    sync_folder(folder)
    return Start(number, walk.anchor, tape.tape_digest, start.rows + tape.rows)
