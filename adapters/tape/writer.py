"""Append to a tape: one writer, frames in preallocated segments, durable when asked.

Commit classes: `durable=True` (orders, fills, commands) returns after fdatasync; the rest is written at once and synced
together within `group_commit_s`. After an I/O error nothing more is written: what reached the disk is then unknown, and
the next writer goes on in a new segment.
"""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from adapters.disk import DISK, Disk
from adapters.files import make_folder, take_lock
from adapters.tape.frame import EVENTS, HEADER_BYTES, REF, TRAILER, pack_events, pack_header
from adapters.tape.parts import SEALED, start_of, steadily
from adapters.tape.scan import Found, examine, segment_path, segment_paths
from adapters.tape.watermark import NAME, WatermarkFile, place_of
from kernel.errors import TapeCorrupt, TapeLocked, TapePoisoned

SEGMENT_BYTES = 64 * 2**20
SMALLEST_BYTES = 2**20  # of a segment on a disk that is nearly full
LOCK, BALLAST, QUARANTINE = "writer.lock", "ballast", "quarantine"
REMAINS = (QUARANTINE, BALLAST, "sources.json")  # what a folder has only once it has a watermark


class TapeWriter:
    """The only process that appends to `folder`. Opening takes the lock, checks every frame and goes on at the end.

    A torn last write is moved into `quarantine/`; damage inside raises TapeCorrupt and changes nothing. `clock` gives
    monotonic seconds and is used for group commit only. Raises TapeLocked when another process writes the tape.
    """

    def __init__(
        self,
        folder: Path,
        segment_bytes: int = SEGMENT_BYTES,
        group_commit_s: float = 0.05,
        clock: Callable[[], float] = time.monotonic,
        disk: Disk = DISK,
    ) -> None:
        make_folder(folder)
        self.folder, self._segment_bytes, self._disk = folder, segment_bytes, disk
        self._group_commit_s, self._clock = group_commit_s, clock
        self._segment = self._offset = self._room = 0
        self._dirty_since: float | None = None
        self._synced_at = 0.0
        self._file = -1
        self._poison: BaseException | None = None
        self.short_of_space = False  # the ballast was given up for room
        self._lock_path = str(folder / LOCK)
        self._lock = take_lock(folder / LOCK)
        self._lock_place = place_of(self._lock)
        self._mark: WatermarkFile | None = None
        try:
            self._resume()
        except OSError as error:
            self._give_up()
            raise TapePoisoned(f"{folder}: cannot be opened for writing ({error}): see to the disk") from error
        except BaseException:
            self._give_up()
            raise

    # Opening ----------------------------------------------------------------------------------------------------------

    def _resume(self) -> None:
        for path in segment_paths(self.folder)[-1:]:
            self._disk.drop_cached(path)  # after a failed sync the cache may hold what the disk does not
        self._mark = WatermarkFile(self.folder, self._is_new(), self._disk)
        watermark = self._mark.now
        found = steadily(self.folder, lambda: examine(self.folder, watermark, start_of(self.folder)))
        self._mark.move(epoch=watermark.epoch + 1)  # from here on an older writer finds that it is not its turn
        self._mark.sync()
        self.tape_digest, self.rows = found.digest, found.rows
        self.last_seq = self.durable_seq = found.anchor.seq
        self._number, self._previous, self._durable = found.anchor.number, found.anchor.sha, found.anchor.number
        self._tidy(found)

    def _is_new(self) -> bool:
        """Whether no tape was ever begun here. Raises TapeCorrupt when there was one and nothing says what it held.

        The watermark is durable before anything else is made, so a crash leaves no other file without it.
        """
        if (self.folder / NAME).exists() or (self.folder / SEALED).exists() or segment_paths(self.folder):
            return False
        for name in REMAINS:
            if (self.folder / name).exists():
                raise TapeCorrupt(
                    f"{self.folder} holds {name}, and neither a watermark nor frames: the tape that was here is gone; "
                    "restore it from a copy, or move the folder elsewhere to begin a new one"
                )
        return True

    def _tidy(self, found: Found) -> None:
        """Put a torn write aside, end a segment that was not ended, and open the one to go on in."""
        marked = self._marked.now.segment  # which may be one that is to be begun, after a writer that failed
        self._segment = max(found.segment, marked - 1)
        for path in segment_paths(self.folder):
            if int(path.stem) > self._segment:
                self._disk.remove(path)  # reserved by a writer that ended before its first frame
        is_over = marked > found.segment and not found.torn
        if found.segment == 0 or is_over or not segment_path(self.folder, found.segment).exists():
            return  # the first frame makes a segment
        path = segment_path(self.folder, found.segment)
        if found.torn:
            self._quarantine(path, found)
        self._file = self._disk.open(path)
        self._disk.sync_folder(self.folder)  # the quarantine's name, and this one's if its maker was killed before
        if found.cut and found.offset < self._segment_bytes:
            self._disk.reserve(self._file, self._segment_bytes)
            self._disk.sync(self._file)
            self._offset, self._room = found.offset, self._segment_bytes - found.offset
            self._move_mark(self._segment, found.offset)
        else:
            self._disk.truncate(self._file, found.offset)
            self._disk.sync(self._file)  # of its frames, too: what a killed writer left in the cache is durable now
            self._disk.close(self._file)
            self._file = -1
            self._move_mark(self._segment + 1, 0)
            self._marked.sync()  # nobody goes on in this one, also when this writer ends before its first frame

    def _quarantine(self, path: Path, found: Found) -> None:
        """Keep the bytes of a torn write, whose name says where they stood; the same again after a crash in between.

        The caller syncs the tape's folder before it cuts them off.
        """
        aside = self.folder / QUARANTINE
        self._disk.make_folder(aside)
        with path.open("rb") as file:
            file.seek(found.offset)
            torn = file.read(found.torn)
        target, number = aside / f"{path.stem}-{found.offset}.bin", 1
        while target.exists() and target.read_bytes() != torn:  # of an earlier write at the same place
            number += 1
            target = aside / f"{path.stem}-{found.offset}.bin.{number}"
        self._disk.write_whole(target, torn)

    # Appending --------------------------------------------------------------------------------------------------------

    def append(self, rows: np.ndarray, notes: Mapping[int, str] | None = None, durable: bool = True) -> None:
        """Write EVENT records, in seq order and after all that is there, with the notes of their seqs, as one frame.

        Raises TapePoisoned on any I/O error, now and from then on; TapeLocked once another writer has taken over.
        """
        if len(rows) == 0:
            return
        seqs = rows["seq"]
        first, last = int(seqs[0]), int(seqs[-1])
        assert first > self.last_seq and last - first >= len(rows) - 1, "rows must follow the tape in seq order"
        texts = dict(notes or {})
        assert not texts or np.isin(list(texts), seqs).all(), "a note belongs to one of the rows"
        self._guard()
        body = pack_events(rows, texts)  # refuses a note that is no text while nothing has changed yet
        try:
            self.tape_digest.add(rows, texts)
            self._frame(EVENTS, body, (first, last), len(rows))
            self.last_seq = last
            self.rows += len(rows)
        except BaseException as error:  # half an append: its digest is not that of the frames
            self._poison = self._poison or error
            raise
        if durable:
            self._sync_or_fail()

    def append_ref(self, body: bytes, last_seq: int) -> None:
        """Write a REF frame: inputs up to `last_seq` that are on other tapes. Durable on return."""
        self._guard()
        last_seq = max(self.last_seq, last_seq)  # a frame's last_seq never goes back
        try:
            self.tape_digest.add_ref(body)
            self._frame(REF, body, (0, last_seq), 0)
            self.last_seq = last_seq
        except BaseException as error:
            self._poison = self._poison or error
            raise
        self._sync_or_fail()

    def tick(self) -> None:
        """Sync what has waited for `group_commit_s`, and as long after it the watermark. Call it often."""
        if self._dirty_since is not None:
            if self._clock() - self._dirty_since >= self._group_commit_s:
                self.sync()
        elif not self._marked.is_synced and self._clock() - self._synced_at >= self._group_commit_s:
            self.mark()

    def sync(self) -> None:
        """Make all that was appended durable."""
        self._guard()
        self._sync_or_fail()

    def _sync_or_fail(self) -> None:
        try:
            self._sync()
        except OSError as error:
            self._fail(error)

    def mark(self) -> None:
        """Make all durable, the watermark included: whatever is damaged afterwards is known to have been promised."""
        self.sync()
        try:
            self._marked.sync()
        except OSError as error:
            self._fail(error)

    def _sync(self) -> None:
        if self._dirty_since is not None:
            self._disk.sync(self._file)
            self.durable_seq, self._durable = self.last_seq, self._number
            self._move_mark(self._segment, self._offset)
            self._dirty_since = None
        self._synced_at = self._clock()

    def _move_mark(self, segment: int, offset: int) -> None:
        self._marked.move(
            number=self._number, seq=self.last_seq, segment=segment, offset=offset, rows=self.rows, sha=self._previous
        )

    def _frame(self, kind: int, body: bytes, seqs: tuple[int, int], rows: int) -> None:
        number, digest = self._number + 1, self.tape_digest.digest()
        length = HEADER_BYTES + len(body) + TRAILER.size
        try:
            if length > self._room:
                self._next_segment(length)
            epoch = self._marked.now.epoch
            head = pack_header(kind, epoch, number, seqs, rows, body, self._durable, self._previous, digest)
            written = self._disk.write(self._file, [head, body, TRAILER.pack(length)], self._offset)
            if written != length:
                raise OSError(errno.EIO, f"wrote {written} of {length} bytes: the disk may be full")
        except OSError as error:
            self._fail(error)
        self._previous = hashlib.sha256(head).digest()
        self._number, self._offset, self._room = number, self._offset + length, self._room - length
        if self._dirty_since is None:
            self._dirty_since = self._clock()

    def _next_segment(self, length: int) -> None:
        if self._file >= 0:
            self._end_segment()
        self._segment += 1
        path = segment_path(self.folder, self._segment)
        self._file = self._disk.open(path)
        room = max(self._segment_bytes, length)
        try:
            self._disk.reserve(self._file, room)
        except OSError as error:
            if error.errno != errno.ENOSPC or not (self.folder / BALLAST).exists():
                raise
            self._disk.remove(self.folder / BALLAST)  # kept for this: what reduces risk must still be written
            self.short_of_space = True
            room = max(min(self._segment_bytes, SMALLEST_BYTES), length)
            self._disk.reserve(self._file, room)
        self._disk.sync(self._file)
        self._disk.sync_folder(self.folder)
        self._offset, self._room = 0, room

    def _end_segment(self) -> None:
        """Cut the reserved space off; all of the segment is durable then, and the watermark says so."""
        self._sync()
        self._disk.truncate(self._file, self._offset)
        self._disk.sync(self._file)
        self._marked.sync()
        self._disk.close(self._file)
        self._file = -1

    # Failing and closing ----------------------------------------------------------------------------------------------

    @property
    def _marked(self) -> WatermarkFile:
        assert self._mark is not None
        return self._mark

    def _guard(self) -> None:
        if self._poison is not None:
            since = str(self._poison) or type(self._poison).__name__
            raise TapePoisoned(f"{self.folder}: not written since {since}: restart when the disk is well")
        if not self.is_ours():
            raise TapeLocked(f"{self.folder}: another process has taken this tape over: nothing more is written here")

    def is_ours(self) -> bool:
        """Whether nobody else has begun to write this tape: the lock file is the one that is locked, the epoch ours."""
        return place_of(self._lock_path) == self._lock_place and self._marked.is_ours()

    def _fail(self, error: OSError) -> None:
        self._poison = error
        raise TapePoisoned(
            f"{self.folder}: cannot write ({error}): what reached the disk is unknown, so nothing more is written; "
            "see to the disk and start again"
        ) from error

    def close(self) -> None:
        """Cut the reserved space off and give the lock back. Syncs, unless an error or another writer came before."""
        try:
            if self._file >= 0 and self._poison is None and self.is_ours():
                self._end_segment()
            elif self._mark is not None and self._poison is None and self.is_ours():
                self._marked.sync()
        except OSError as error:
            self._fail(error)
        finally:
            self._give_up()

    def _give_up(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        if self._mark is not None:
            self._mark.close()
        if self._lock >= 0:
            os.close(self._lock)
        self._file, self._mark, self._lock = -1, None, -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
