"""A disk that fails: the writer stops for good, says so, and what it called durable is there afterwards."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.disk import Disk
from adapters.tape import writer as writer_module
from adapters.tape.check import check_tape
from adapters.tape.reader import durable_seq, read_rows
from adapters.tape.scan import segment_path, segment_paths
from adapters.tape.watermark import LENGTH
from adapters.tape.writer import BALLAST, TapeWriter
from kernel.errors import TapePoisoned
from kernel.schema import EVENT
from tests.adapters.tape.growing import photograph
from tests.adapters.tape.rows import fresh_folder, gather, same, some_rows

NEVER = 10**6


class FailingDisk(Disk):
    """Fails once, at the `number`-th call of `call` from now on: an I/O error, or only `short` bytes written."""

    def __init__(self, number: int, call: str, short: int = -1) -> None:
        self.number, self.call, self.short = number, call, short
        self.failed = ""

    def _fails(self, call: str) -> bool:
        self.number -= call == self.call
        if self.number == 0 and not self.failed:
            self.failed = call
            return True
        return False

    def write(self, descriptor, parts, offset):
        data = b"".join(parts)
        within_a_page = len(data) == LENGTH and self.short > 0  # a record of the watermark is written or not
        if within_a_page or not self._fails("write"):
            return super().write(descriptor, parts, offset)
        if self.short < 0:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(descriptor, [data[: self.short]], offset)


def _failing(call: str):
    def do(self, *args):
        if self._fails(call):
            raise OSError(errno.EIO, "Input/output error")
        return getattr(Disk, call)(self, *args)

    return do


CALLS = ("write", "sync", "reserve", "truncate", "sync_folder", "open", "rename", "make_folder", "remove")
for _call in CALLS[1:]:
    setattr(FailingDisk, _call, _failing(_call))


def refuses_everything(tape: TapeWriter) -> None:
    """The disk is well again; the writer does not trust it."""
    durable, before = tape.durable_seq, photograph(tape.folder)
    for call in (
        lambda: tape.append(some_rows(1, first_seq=tape.last_seq + 1)),
        lambda: tape.append(some_rows(1, first_seq=tape.last_seq + 1), durable=False),
        lambda: tape.append_ref(b"{}", tape.last_seq + 1),
        tape.sync,
        tape.mark,
    ):
        with pytest.raises(TapePoisoned, match="not written since") as raised:
            call()
        assert raised.value.exit_code == 74
    tape.close()
    assert tape.durable_seq == durable and photograph(tape.folder) == before


def work(folder: Path, disk: Disk, acked: list[int]) -> None:
    """Six frames of one writer, in three segments, then six of another; says what it was told was durable."""
    for first in (1, 13):
        tape = TapeWriter(folder, 1_500, disk=disk)
        try:
            for k in range(first, first + 12, 2):
                tape.append(some_rows(2, k, k), {k: f"note {k}"}, durable=k % 4 == 1)
                acked.append(tape.durable_seq)
            tape.mark()
        except TapePoisoned:
            refuses_everything(tape)
            raise
        finally:
            acked.append(tape.durable_seq)
            tape.close()


def fail_and_go_on(folder: Path, disk: FailingDisk, idle: bool) -> bool:
    """Work until the disk fails, then start again on a disk that is well; whether it failed at all.

    `idle`: a writer that appends nothing comes in between.
    """
    acked: list[int] = [0]
    try:
        work(folder, disk, acked)
    except TapePoisoned:
        assert disk.failed
    if not disk.failed:
        return False
    seen = durable_seq(folder)
    in_order = disk.failed not in ("write", "sync") or max(acked) in (12, 24)  # it failed while opening or closing
    if idle:
        TapeWriter(folder, 1_500).close()
    ended = {path: path.stat().st_ino for path in segment_paths(folder)[-1:]}
    with TapeWriter(folder, 1_500) as again:
        kept = again.last_seq
        assert kept >= max(*acked, seen)
        again.append(some_rows(2, kept + 1, kept + 1))
        last = segment_paths(folder)[-1]
        assert in_order or ended.get(last) != last.stat().st_ino, "it goes on in the segment that failed"
    rows, _ = gather(read_rows(folder))
    assert rows["seq"].tolist() == list(range(1, kept + 3))
    for k in range(1, kept + 2, 2):
        assert same(rows[k - 1 : k + 1], some_rows(2, k, k))
    return True


@pytest.mark.parametrize("idle", [False, True], ids=["at once", "after another"])
@pytest.mark.parametrize("call", CALLS)
def test_any_call_that_fails_poisons(call, idle):
    """Each call of the disk fails once, at every place: an error is never passed over, and no event is lost."""
    number = 0
    while True:
        number += 1
        with fresh_folder() as folder:
            if not fail_and_go_on(folder, FailingDisk(number, call), idle):
                break
    assert number > {"write": 25, "sync": 20, "reserve": 5, "truncate": 5, "sync_folder": 5, "open": 5}.get(call, 0)


@pytest.mark.parametrize("short", [0, 1, 100, 150, 500])
def test_any_write_that_is_short_poisons(short):
    for number in range(1, 100):
        with fresh_folder() as folder:
            if not fail_and_go_on(folder, FailingDisk(number, "write", short), number % 2 == 0):
                break
    assert 12 < number < 100


def test_the_message(tmp_path):
    disk = FailingDisk(NEVER, "sync")
    tape = TapeWriter(tmp_path / "t", disk=disk)
    tape.append(some_rows(1))
    disk.number = 1
    with pytest.raises(TapePoisoned, match=r"cannot write .*Input/output error.*nothing more is written") as raised:
        tape.append(some_rows(2, first_seq=2))
    assert raised.value.exit_code == 74
    assert tape.durable_seq == durable_seq(tmp_path / "t") == 1
    refuses_everything(tape)


def test_a_group_commit_that_fails_poisons(tmp_path):
    now, disk = [0.0], FailingDisk(NEVER, "sync")
    tape = TapeWriter(tmp_path / "t", clock=lambda: now[0], disk=disk)
    tape.append(some_rows(1))
    tape.append(some_rows(2, first_seq=2), durable=False)
    tape.tick()
    now[0], disk.number = 1.0, 1
    with pytest.raises(TapePoisoned):
        tape.tick()
    refuses_everything(tape)


def test_the_real_calls_are_made(tmp_path, monkeypatch):
    """What is said to be synced is synced by the system: fdatasync of the segment's own descriptor."""
    synced: list[str] = []
    really = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), really(fd)))
    with TapeWriter(tmp_path / "t") as tape:
        for seq in range(1, 4):
            synced.clear()
            tape.append(some_rows(1, first_seq=seq))
            assert synced[-1] == str(segment_path(tmp_path / "t", 1))


# What is no I/O error -------------------------------------------------------------------------------------------------


def test_a_note_that_is_no_text_changes_nothing(tmp_path):
    """It is refused before anything of it is in the digest: the tape goes on."""
    rows = some_rows(6)
    with TapeWriter(tmp_path / "t") as tape:
        tape.append(rows[:2])
        for wrong, error in (("a lone \ud800", UnicodeEncodeError), (5, TypeError)):
            before = tape.tape_digest.hex(), photograph(tape.folder)
            with pytest.raises(error):
                tape.append(rows[2:4], {3: wrong})
            assert (tape.tape_digest.hex(), photograph(tape.folder)) == before
        with pytest.raises(AssertionError, match="one of the rows"):
            tape.append(rows[2:4], {9: "of another row"})
        tape.append(rows[2:4])
        tape.append(rows[4:])
    assert check_tape(tmp_path / "t").anchor.seq == 6
    assert same(gather(read_rows(tmp_path / "t"))[0], rows)


class Interrupted(BaseException):
    """Ctrl-C, or no memory left."""


@pytest.mark.parametrize("place", ["digest", "header", "write", "segment", "reference"])
def test_half_an_append_poisons(tmp_path, monkeypatch, place):
    """Anything may be raised anywhere between the digest and the frame: nothing is appended to what does not fit."""
    disk, folder = Disk(), tmp_path / "t"
    tape = TapeWriter(folder, 1_500, disk=disk)
    tape.append(some_rows(2))

    def stop(*_):
        raise Interrupted

    with monkeypatch.context() as patched:
        if place in ("digest", "reference"):
            patched.setattr(tape.tape_digest, "digest", stop)
        elif place == "header":
            patched.setattr(writer_module, "pack_header", stop)
        else:
            patched.setattr(disk, {"write": "write", "segment": "reserve"}[place], stop)
        with pytest.raises(Interrupted):
            if place == "reference":
                tape.append_ref(b"{}", 9)
            tape.append(some_rows(9 if place == "segment" else 2, first_seq=3))
    refuses_everything(tape)
    with TapeWriter(folder, 1_500) as again:
        assert again.last_seq == 2
        again.append(some_rows(2, first_seq=3))
    assert check_tape(folder).anchor.seq == 4


def test_a_sync_that_is_interrupted_is_made_later(tmp_path, monkeypatch):
    """The frame is written and counted by then: Ctrl-C there costs nothing."""
    disk, folder = Disk(), tmp_path / "t"
    tape = TapeWriter(folder, disk=disk)
    tape.append(some_rows(2))

    def stop(*_):
        raise Interrupted

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(disk, "sync", stop)
        tape.append(some_rows(2, first_seq=3))
    assert (tape.last_seq, tape.durable_seq) == (4, 2)
    tape.sync()
    assert tape.durable_seq == durable_seq(folder) == 4
    tape.close()
    assert check_tape(folder).anchor.seq == 4


# Space ----------------------------------------------------------------------------------------------------------------


class FullDisk(Disk):
    """Has room for so many bytes of new segments."""

    def __init__(self, room: int, ballast: Path) -> None:
        self.room, self.ballast = room, ballast

    def remove(self, path: Path) -> None:
        if path == self.ballast:
            self.room += path.stat().st_size
        super().remove(path)

    def reserve(self, descriptor: int, length: int) -> None:
        wanted = length - os.fstat(descriptor).st_size
        if wanted > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= wanted
        super().reserve(descriptor, length)


@pytest.mark.parametrize("ballast", [0, 4_000])
def test_ballast_makes_room_for_what_must_still_be_written(tmp_path, ballast):
    """Room for two segments of two frames; the third needs the ballast. The end is where not even that is enough."""
    folder = tmp_path / "t"
    TapeWriter(folder).close()
    if ballast:
        (folder / BALLAST).write_bytes(bytes(ballast))
    tape = TapeWriter(folder, 1_800, disk=FullDisk(4_000, folder / BALLAST))
    assert not tape.short_of_space
    with pytest.raises(TapePoisoned, match="No space left"):
        while True:
            tape.append(some_rows(3, first_seq=tape.last_seq + 1))
            assert tape.short_of_space == (len(segment_paths(folder)) > 2)
            assert (folder / BALLAST).exists() == (ballast > 0 and not tape.short_of_space)
    assert tape.durable_seq == 2 * 3 * (4 if ballast else 2)
    assert tape.short_of_space == bool(ballast)
    refuses_everything(tape)
    written = [path for path in segment_paths(folder) if path.read_bytes().strip(b"\0")]
    with TapeWriter(folder, 1_800) as again:
        assert again.last_seq == tape.durable_seq and not again.short_of_space
        again.append(some_rows(3, first_seq=again.last_seq + 1))
        assert segment_paths(folder)[-1] not in written


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A real file system of one MiB. In a build (`CI`) on Linux there must be one."""
    folder = tmp_path / "small"
    folder.mkdir()
    if sys.platform != "linux":
        pytest.skip("a small tmpfs is mounted on Linux only")
    options = f"size=1m,uid={os.geteuid()},gid={os.getegid()}"
    said = ""
    for root in ([], ["sudo", "-n"]) if shutil.which("sudo") else ([],):
        asked = [*root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            yield folder
            subprocess.run([*root, "umount", str(folder)], check=True)
            return
        said += done.stderr.strip() + " "
    complain = pytest.fail if os.environ.get("CI") else pytest.skip
    complain(f"no tmpfs can be mounted here, so nothing was tried on a disk that is really full: {said}")


def test_a_disk_that_is_really_full(small_disk):
    """Ballast first, then the end, with all that was durable there; with room again the tape goes on elsewhere."""
    folder, filler = small_disk / "t", small_disk / "filler"
    filler.write_bytes(bytes(300_000))
    TapeWriter(folder, 100_000).close()
    (folder / BALLAST).write_bytes(bytes(200_000))
    tape, rows = TapeWriter(folder, 100_000), np.zeros(10_000, EVENT)
    rows["seq"] = rows["px"] = np.arange(1, 10_001)
    with pytest.raises(TapePoisoned, match="No space left on device"):
        while True:
            tape.append(rows[tape.last_seq : tape.last_seq + 150])
    assert tape.short_of_space and not (folder / BALLAST).exists()
    refuses_everything(tape)
    assert durable_seq(folder) == tape.durable_seq > 3_000
    assert same(gather(read_rows(folder))[0], rows[: tape.durable_seq])
    written = [path for path in segment_paths(folder) if path.read_bytes().strip(b"\0")]
    filler.unlink()
    with TapeWriter(folder, 100_000) as again:
        assert again.last_seq == tape.durable_seq
        again.append(rows[again.last_seq : again.last_seq + 150])
        assert segment_paths(folder)[-1] not in written
    assert same(gather(read_rows(folder))[0], rows[: again.last_seq])
