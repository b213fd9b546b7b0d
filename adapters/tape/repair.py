"""Mend a damaged tape as planned: give back what a copy holds, put aside what is lost, write the watermark anew.

Nothing is deleted: what is replaced or cut off is in `quarantine/` first. Each step is durable before the next, and the
watermark comes last, so that a repair that was cut short leaves a tape that is refused, and can be repaired again.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.files import make_folder, sync_file, sync_folder, take_lock, write_whole
from adapters.tape.chain import Plan, Planner, Restored
from adapters.tape.check import PartChecker
from adapters.tape.parts import SEALED, SealedPart, part_path
from adapters.tape.reader import is_sealed
from adapters.tape.rolling import SEALER_LOCK, seal_segment
from adapters.tape.scan import Start, segment_paths
from adapters.tape.watermark import NAME, SLOT, Watermark
from adapters.tape.writer import LOCK, QUARANTINE
from kernel.errors import NotFound, TapePoisoned


@contextmanager
def tape_to_ourselves(folder: Path) -> Iterator[None]:
    """Hold a tape's locks, so that nobody writes, seals or copies it meanwhile. Raises TapeLocked."""
    held: list[int] = []
    try:
        held += [take_lock(folder / name) for name in (LOCK, SEALER_LOCK)]
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


def plan_repair(folder: Path, copy: Path | None = None) -> Plan:
    """Read every byte of a tape, and of `copy` what is needed, and say what can be done. Changes nothing."""
    return Planner(folder, copy).plan()


def find_copy(folder: Path, within: Path) -> Path:
    """The folder in a copy that stands for the tape `folder`: `within` itself, a home or a backup. Raises NotFound."""
    inside = Path("tapes", "accounts", folder.name)
    for place in [within, *(within / at / inside for at in (".", "home", "latest/home")), within / folder.name]:
        if (segment_paths(place) or (place / SEALED).is_dir()) and not is_sealed(place):
            if place.resolve() == folder.resolve():
                break
            return place
    raise NotFound(f"{within} holds no copy of {folder.name}: name a backup, or a folder of segments of that tape")


def repair(folder: Path, plan: Plan, said: Callable[[str], None] = lambda line: None) -> None:
    """Do what a plan says, with the tape's locks held since before it was made. Raises TapePoisoned on I/O errors."""
    try:
        for path, offset in plan.aside:
            said(f"put aside {_put_aside(folder, path, offset)}")
        for step in plan.restored:
            _restore(folder, step)
            said(f"restored {step.target} from {step.source}")
        if plan.watermark is not None:
            _write_watermark(folder, plan.watermark)
            said(f"wrote {folder / NAME}: the tape ends with seq {plan.watermark.seq:,}")
    except OSError as error:
        raise TapePoisoned(f"{folder}: the repair stopped ({error}): see to the disk, then repair it again") from error


def _put_aside(folder: Path, path: Path, offset: int) -> Path:
    """Move a file or folder, or the end of a file from `offset` on, into quarantine; returns where it is now."""
    if offset == 0:
        target = _free_name(folder, f"{path.parent.name}-{path.name}" if path.parent != folder else path.name)
        os.rename(path, target)
    else:
        target = _free_name(folder, f"{path.stem}-{offset}.bin")
        with path.open("rb") as file:
            file.seek(offset)
            write_whole(target, file.read())
        os.truncate(path, offset)
        sync_file(path)
    sync_folder(target.parent)
    sync_folder(path.parent)
    return target


def _free_name(folder: Path, name: str) -> Path:
    make_folder(folder / QUARANTINE)
    target, number = folder / QUARANTINE / name, 1
    while target.exists():
        number += 1
        target = folder / QUARANTINE / f"{name}.{number}"
    return target


def _restore(folder: Path, step: Restored) -> None:
    make_folder(step.target.parent)
    if step.source.is_dir():
        unfinished = step.target.with_name(f".{step.target.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(step.source, unfinished)
        for path in unfinished.iterdir():
            sync_file(path)
        sync_folder(unfinished)
        os.rename(unfinished, step.target)
        sync_folder(step.target.parent)
    elif step.source != step.target:
        _restore_frames(folder, step)
    if step.seal:
        seal_segment(folder, _start_of_parts_before(folder, int(step.target.stem)))


def _restore_frames(folder: Path, step: Restored) -> None:
    """Put bytes of the copy in the place of ours, whose damaged file is kept."""
    if step.ranges is None:
        data = bytearray(step.source.read_bytes()[: step.end])
    else:
        data = bytearray(step.target.read_bytes())
        with step.source.open("rb") as file:
            for start, end in step.ranges:
                file.seek(start)
                data[start:end] = file.read(end - start)
    if step.target.exists():
        write_whole(_free_name(folder, step.target.name), step.target.read_bytes())
    write_whole(step.target, bytes(data))


def _start_of_parts_before(folder: Path, number: int) -> Start:
    """Where sealed segment `number` begins; later ones may be there already."""
    checker = PartChecker()
    for earlier in range(1, number):
        checker.add(SealedPart.read(part_path(folder, earlier)))
    return checker.start()


def _write_watermark(folder: Path, watermark: Watermark) -> None:
    """Replace the watermark, keeping the old file; the frames it speaks of are made durable first."""
    for path in segment_paths(folder):
        sync_file(path)
    old = folder / NAME
    if old.exists():
        write_whole(_free_name(folder, NAME), old.read_bytes())
    slots = [bytes(SLOT), bytes(SLOT)]
    record = watermark.pack()
    slots[watermark.counter % 2] = record + bytes(SLOT - len(record))
    write_whole(old, b"".join(slots))
