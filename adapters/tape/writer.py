"""Append to a tape: one writer, frames in preallocated segments, durable when asked.

Commit classes: `durable=True` (orders, fills, commands) returns after fdatasync; the rest is written at once and synced
together within `group_commit_s`. After an I/O error nothing more is written: what reached the disk is then unknown.
"""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from adapters.files import reserve, sync_data, sync_folder, take_lock, write_at, write_whole
from adapters.tape.digest import TapeDigest
from adapters.tape.frame import EVENTS, HEADER_BYTES, MARK, REF, TRAILER, ZERO, pack_events, pack_header
from adapters.tape.scan import Scan, check_digests, segment_path, segments
from kernel.errors import TapePoisoned

SEGMENT_BYTES = 64 * 2**20
LOCK = "writer.lock"


class TapeWriter:
    """The only process that appends to `folder`. Opening takes the lock, checks every frame and goes on at the end.

    A torn last write is moved to a `torn-*.bin` file beside the segments; damage inside raises TapeCorrupt. `clock`
    gives monotonic seconds and is used for group commit only.
    """

    def __init__(
        self,
        folder: Path,
        segment_bytes: int = SEGMENT_BYTES,
        group_commit_s: float = 0.05,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._segment_bytes = folder, segment_bytes
        self._group_commit_s, self._clock = group_commit_s, clock
        self.tape_digest = TapeDigest()
        self.last_seq = self.durable_seq = self.rows = 0
        self._number = self._epoch = self._segment = self._offset = self._room = 0
        self._previous, self._marked = ZERO, 0
        self._dirty_since: float | None = None
        self._synced_at = 0.0
        self._file = -1
        self._poison: OSError | None = None
        self._lock = take_lock(folder / LOCK)
        try:
            self._resume()
        except BaseException:
            self.close()
            raise

    def _resume(self) -> None:
        scan = Scan(self.folder)
        self.tape_digest, self.rows = check_digests(scan)
        end = scan.end
        if end.last is not None:
            self.last_seq = self.durable_seq = end.last.last_seq
            self._number, self._previous, self._epoch = end.last.number, end.last.sha, end.last.epoch
        self._epoch += 1
        if end.segment is not None:
            self._segment = int(end.segment.stem)
            for later in segments(self.folder)[self._segment :]:
                later.unlink()  # reserved by a crash that came before its first frame
            self._open_segment(end.offset, end.torn)
        if end.last is not None and end.last.durable_seq < self.last_seq:
            self._mark()  # all of it is on disk now, and no reader may see less than before the space was reserved

    def _open_segment(self, offset: int, torn: int) -> None:
        path = segment_path(self.folder, self._segment)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if torn:
            rest = path.read_bytes()[offset : offset + torn]
            write_whole(self.folder / f"torn-{self._segment:08d}-{offset}.bin", rest)
            os.ftruncate(self._file, offset)
        size = max(self._segment_bytes, offset)
        reserve(self._file, size)
        sync_data(self._file)
        sync_folder(self.folder)
        self._offset, self._room = offset, size - offset

    def append(self, rows: np.ndarray, notes: Mapping[int, str] | None = None, durable: bool = True) -> None:
        """Write EVENT records, in seq order and after all that is there, with the notes of their seqs, as one frame.

        Raises TapePoisoned on any I/O error, now and from then on.
        """
        if len(rows) == 0:
            return
        first, last = int(rows["seq"][0]), int(rows["seq"][-1])
        assert first > self.last_seq and last - first >= len(rows) - 1, "rows must follow the tape in seq order"
        texts = dict(notes or {})
        self.tape_digest.add(rows, texts)
        self._frame(EVENTS, pack_events(rows, texts), (first, last), len(rows))
        self.last_seq = last
        self.rows += len(rows)
        if durable:
            self.sync()

    def append_ref(self, body: bytes, last_seq: int) -> None:
        """Write a REF frame: inputs up to `last_seq` that are on other tapes. Durable on return."""
        self.tape_digest.add_ref(body)
        last_seq = max(self.last_seq, last_seq)  # a frame's last_seq never goes back: readers stop at it
        self._frame(REF, body, (0, last_seq), 0)
        self.last_seq = last_seq
        self.sync()

    def tick(self) -> None:
        """Sync what has waited for `group_commit_s`; as long after it, move the watermark on. Call it often."""
        if self._dirty_since is not None:
            if self._clock() - self._dirty_since >= self._group_commit_s:
                self.sync()
        elif self._marked < self.durable_seq and self._clock() - self._synced_at >= self._group_commit_s:
            self._mark()

    def _mark(self) -> None:
        self._frame(MARK, b"", (self.last_seq, self.last_seq), 0)
        self.sync()

    def sync(self) -> None:
        """Make all that was appended durable."""
        self._guard()
        try:
            sync_data(self._file)
        except OSError as error:
            self._fail(error)
        self.durable_seq = self.last_seq
        self._dirty_since = None
        self._synced_at = self._clock()

    def _frame(self, kind: int, body: bytes, seqs: tuple[int, int], rows: int) -> None:
        self._guard()
        number, digest = self._number + 1, self.tape_digest.digest()
        length = HEADER_BYTES + len(body) + TRAILER.size
        try:
            if length >= self._room:  # a byte stays free: readers take a full file for a clean, durable end
                self._next_segment(length)
            head = pack_header(kind, self._epoch, number, seqs, rows, body, self.durable_seq, self._previous, digest)
            written = write_at(self._file, [head, body, TRAILER.pack(length)], self._offset)
            if written != length:
                raise OSError(f"wrote {written} of {length} bytes: the disk may be full")
        except OSError as error:
            self._fail(error)
        self._previous = hashlib.sha256(head).digest()
        self._number, self._offset, self._room = number, self._offset + length, self._room - length
        self._marked = self.durable_seq
        if self._dirty_since is None:
            self._dirty_since = self._clock()

    def _next_segment(self, length: int) -> None:
        if self._file >= 0:
            self.sync()  # before the cut, which tells readers that all of it is durable
            os.ftruncate(self._file, self._offset)
            sync_data(self._file)
            os.close(self._file)
        self._segment += 1
        path = segment_path(self.folder, self._segment)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        self._offset, self._room = 0, max(self._segment_bytes, length + 1)
        reserve(self._file, self._room)
        sync_folder(self.folder)

    def _guard(self) -> None:
        if self._poison is not None:
            raise TapePoisoned(f"{self.folder}: not written since {self._poison}: restart when the disk is well")

    def _fail(self, error: OSError) -> None:
        self._poison = error
        raise TapePoisoned(
            f"{self.folder}: cannot write ({error}): what reached the disk is unknown, so nothing more is written; "
            "see to the disk and start again"
        ) from error

    def mark(self) -> None:
        """Sync, and put the watermark behind all there is: a damaged last frame is then the mark, not a decision."""
        self.sync()
        self._mark()

    def close(self) -> None:
        """Cut the reserved space off and give the lock back. Syncs, unless an error came before."""
        if self._file >= 0:
            if self._poison is None:
                self.sync()  # before the cut, which tells readers that all of it is durable
                os.ftruncate(self._file, self._offset)
                sync_data(self._file)
            os.close(self._file)
            self._file = -1
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
