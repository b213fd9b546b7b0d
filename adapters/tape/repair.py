"""Mend a damaged tape as planned: give back what a copy holds, put aside what is lost, write the watermark anew.

Nothing is deleted: what is replaced or cut off is in `quarantine/` first. Each step is durable before the next, and the
watermark comes last, so that a repair that was cut short leaves a tape that is refused, and can be repaired again.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.disk import DISK, Disk
from adapters.files import take_lock
from adapters.tape.chain import Plan, Planner, Restored
from adapters.tape.check import PartChecker
from adapters.tape.parts import SEALED, SealedPart, part_path
from adapters.tape.reader import is_sealed
from adapters.tape.rolling import SEALER_LOCK, seal_segment
from adapters.tape.scan import Start, segment_paths
from adapters.tape.watermark import NAME, Watermark, pack_slots
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


def repair(folder: Path, plan: Plan, said: Callable[[str], None] = lambda line: None, disk: Disk = DISK) -> None:
    """Do what a plan says, with the tape's locks held since before it was made. Raises TapePoisoned on I/O errors."""
    try:
        for path, offset in plan.aside:
            said(f"put aside {_put_aside(folder, path, offset, disk)}")
        for step in plan.restored:
            _restore(folder, step, disk)
            said(f"restored {step.target} from {step.source}")
        if plan.watermark is not None:
            _write_watermark(folder, plan.watermark, disk)
            said(f"wrote {folder / NAME}: the tape ends with seq {plan.watermark.seq:,}")
    except OSError as error:
        raise TapePoisoned(f"{folder}: the repair stopped ({error}): see to the disk, then repair it again") from error


def _put_aside(folder: Path, path: Path, offset: int, disk: Disk) -> Path:
    """Move a file or folder, or the end of a file from `offset` on, into quarantine; returns where it is now."""
    if offset == 0:
        name = f"{path.parent.name}-{path.name}" if path.parent != folder else path.name
        target = _free_name(folder, name, disk)
        disk.rename(path, target)
        disk.sync_folder(target.parent)
        disk.sync_folder(path.parent)
    else:
        target = _free_name(folder, f"{path.stem}-{offset}.bin", disk)
        with path.open("rb") as file:
            file.seek(offset)
            disk.write_whole(target, file.read())
        descriptor = disk.open(path)
        try:
            disk.truncate(descriptor, offset)
            disk.sync(descriptor)
        finally:
            disk.close(descriptor)
    return target


def _free_name(folder: Path, name: str, disk: Disk) -> Path:
    disk.make_folder(folder / QUARANTINE)
    disk.sync_folder(folder)
    target, number = folder / QUARANTINE / name, 1
    while target.exists():
        number += 1
        target = folder / QUARANTINE / f"{name}.{number}"
    return target


def _restore(folder: Path, step: Restored, disk: Disk) -> None:
    if step.source.is_dir():
        _restore_part(folder, step, disk)
    elif step.source != step.target:
        _restore_frames(folder, step, disk)
    if step.seal:
        seal_segment(folder, _start_of_parts_before(folder, int(step.target.stem)), disk=disk)


def _restore_part(folder: Path, step: Restored, disk: Disk) -> None:
    """A sealed part of the copy, under its name once it is whole."""
    disk.make_folder(folder / SEALED)
    disk.sync_folder(folder)
    unfinished = step.target.with_name(f".{step.target.name}.part")
    disk.remove_tree(unfinished)
    disk.make_folder(unfinished)
    for path in sorted(step.source.iterdir()):
        disk.write_whole(unfinished / path.name, path.read_bytes())
    disk.rename(unfinished, step.target)
    disk.sync_folder(step.target.parent)


def _restore_frames(folder: Path, step: Restored, disk: Disk) -> None:
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
        disk.write_whole(_free_name(folder, step.target.name, disk), step.target.read_bytes())
    disk.write_whole(step.target, bytes(data))


def _start_of_parts_before(folder: Path, number: int) -> Start:
    """Where sealed segment `number` begins; later ones may be there already."""
    checker = PartChecker()
    for earlier in range(1, number):
        checker.add(SealedPart.read(part_path(folder, earlier)))
    return checker.start()


def _write_watermark(folder: Path, watermark: Watermark, disk: Disk) -> None:
    """Replace the watermark, keeping the old file; the frames it speaks of are made durable first."""
    for path in segment_paths(folder):
        disk.sync_file(path)
    old = folder / NAME
    if old.exists():
        disk.write_whole(_free_name(folder, NAME, disk), old.read_bytes())
    disk.write_whole(old, pack_slots(watermark))
