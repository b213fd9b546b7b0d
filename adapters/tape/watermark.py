"""The watermark of a growing tape: how far it is known to be on disk, and whose turn it is to write.

One small file, `watermark`, of two slots in pages of their own, written in turn, so that one is always whole. Both are
there from the start, so a slot that is blank is damaged. It is written after each sync, without one of its own, and
synced when the writer idles, changes segments or closes: it never says more than is durable, and a power cut may leave
it some milliseconds behind. Readers of other processes read up to it; a tape that ends before it has lost what it had
promised.
"""

import os
import struct
import time
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from adapters.disk import DISK, Disk
from kernel.errors import TapeCorrupt

NAME = "watermark"
MAGIC = b"ONETAPEW"
SLOT = 4_096
RECORD = struct.Struct("<8sQQQqQQQ32s")
LENGTH = RECORD.size + 4
ZERO = bytes(32)
LOOKS, QUICK_LOOKS, PAUSE_SECONDS = 50, 5, 0.001  # at a slot that is being written


class Watermark(NamedTuple):
    """Everything up to byte `offset` of segment `segment` is on disk: frame `number`, whose rows end at `seq`."""

    counter: int = 0  # of writes of the file; the slot with the higher one is the newer
    epoch: int = 0  # writers of the tape count from 1
    number: int = 0
    seq: int = 0
    segment: int = 0  # 0: nothing was written yet
    offset: int = 0
    rows: int = 0  # stored so far
    sha: bytes = ZERO  # of that frame's header

    def pack(self) -> bytes:
        body = RECORD.pack(MAGIC, *self)
        return body + struct.pack("<I", google_crc32c.value(body))


def unpack(raw: bytes) -> Watermark | None:
    """The watermark in a slot, None when it is not one that vouches for itself."""
    if raw[:8] != MAGIC or raw[LENGTH:].strip(b"\0"):
        return None
    if struct.unpack_from("<I", raw, RECORD.size)[0] != google_crc32c.value(raw[: RECORD.size]):
        return None
    return Watermark(*RECORD.unpack_from(raw)[1:])


RELEASE_1 = Watermark(counter=1, epoch=1)  # release 1 began with blank slots, and wrote this one before any frame


def pack_slots(newest: Watermark) -> bytes:
    """A whole watermark file whose newer slot is `newest`; the other says the same, one write earlier."""
    assert newest.counter > 0, "two slots are two writes"
    slots = sorted((newest._replace(counter=newest.counter - 1), newest), key=lambda slot: slot.counter % 2)
    return b"".join(slot.pack().ljust(SLOT, b"\0") for slot in slots)


def read_slots(descriptor: int) -> tuple[list[bytes], list[Watermark | None]]:
    """Both slots, raw and read; None for one that is damaged, blank, or in the place of the other."""
    raws = [os.pread(descriptor, SLOT, place * SLOT) for place in (0, 1)]
    slots = [unpack(raw) if len(raw) == SLOT else None for raw in raws]
    slots = [slot if slot and slot.counter % 2 == place else None for place, slot in enumerate(slots)]
    if slots[1] == RELEASE_1 and raws[0] == bytes(SLOT):
        slots[0] = Watermark()
    return raws, slots


def read_watermark(folder: Path) -> Watermark:
    """The newer slot. Raises TapeCorrupt when the file is missing, a slot is damaged or more is there than two.

    A slot that is being written may look damaged for a moment: it is looked at again.
    """
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise TapeCorrupt(
            f"{path} is missing: the tape cannot say what it promised to hold; restore it from a copy, or have it made "
            "anew from the frames with `onetape tape repair`"
        ) from None
    try:
        slots = _settled_slots(descriptor)
        stray = os.fstat(descriptor).st_size - 2 * SLOT
    finally:
        os.close(descriptor)
    found = [slot for slot in slots if slot is not None]
    if len(found) < 2:
        raise TapeCorrupt(
            f"{path}: slot {slots.index(None) + 1} of 2 is damaged: the frames may be whole; `onetape tape verify` "
            "looks, `onetape tape repair` writes the watermark anew from them"
        )
    if stray:
        raise TapeCorrupt(f"{path}: {stray} bytes follow its two slots; `onetape tape repair` writes it anew")
    return max(found, key=lambda slot: slot.counter)


def _settled_slots(descriptor: int) -> list[Watermark | None]:
    """The slots once both are whole, or as they are after many looks."""
    for look in range(LOOKS):
        if look >= QUICK_LOOKS:
            time.sleep(PAUSE_SECONDS)
        _, slots = read_slots(descriptor)
        if None not in slots:
            break
    return slots


def place_of(file: int | str) -> tuple[int, int] | None:
    """Which file that is, by descriptor or name; None when there is none of that name."""
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_dev


class WatermarkFile:
    """The writer's end: `move` after each sync, `sync` when there is time. `fresh`: the tape holds nothing yet."""

    def __init__(self, folder: Path, fresh: bool, disk: Disk = DISK) -> None:
        self._disk, self._path, self._name = disk, folder / NAME, str(folder / NAME)
        self._file = -1
        if fresh:
            disk.write_whole(self._path, pack_slots(Watermark(counter=1)))  # a reader finds none, or a whole one
        self.now = read_watermark(folder)
        self._file = disk.open(self._path)
        self._synced = self.now
        self._raw = [raw[:LENGTH] for raw in read_slots(self._file)[0]]
        self._place = place_of(self._file)

    def move(
        self,
        number: int | None = None,
        seq: int = 0,
        segment: int = 0,
        offset: int = 0,
        rows: int = 0,
        sha: bytes = ZERO,
        epoch: int | None = None,
    ) -> None:
        """Write a new watermark into the older slot: at another place, by another writer, or both. Raises OSError."""
        was = self.now
        if number is None:
            number, seq, segment, offset, rows, sha = was.number, was.seq, was.segment, was.offset, was.rows, was.sha
        now = Watermark(was.counter + 1, was.epoch if epoch is None else epoch, number, seq, segment, offset, rows, sha)
        record, place = now.pack(), now.counter % 2
        if self._disk.write(self._file, [record], place * SLOT) != len(record):
            raise OSError(f"{self._path}: a short write: the disk may be full")
        self.now, self._raw[place] = now, record

    @property
    def is_synced(self) -> bool:
        return self._synced is self.now

    def sync(self) -> None:
        if not self.is_synced:
            self._disk.sync(self._file)
            self._synced = self.now

    def is_ours(self) -> bool:
        """Whether no other writer has taken the tape over, nor anybody replaced the file."""
        if place_of(self._name) != self._place:
            return False
        raw = os.pread(self._file, SLOT + LENGTH, 0)
        return raw[:LENGTH] == self._raw[0] and raw[SLOT:] == self._raw[1]

    def close(self) -> None:
        if self._file >= 0:
            self._disk.close(self._file)
            self._file = -1
