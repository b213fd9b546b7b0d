"""What the tape may expect of any disk: the real one, and the one that is crashed in tests."""

import os
from pathlib import Path

import pytest

from adapters.disk import Disk
from tests.simulation.disk import Mode, RecordingDisk, files_after_crash, files_below


@pytest.fixture(params=["real", "recording"])
def disk(request, tmp_path) -> Disk:
    return Disk() if request.param == "real" else RecordingDisk(tmp_path)


def content(disk: Disk, path: Path, *parts: bytes, offset: int = 0) -> int:
    """A descriptor of a file with `parts` written to it."""
    descriptor = disk.open(path)
    assert disk.write(descriptor, list(parts), offset) == sum(map(len, parts))
    return descriptor


def test_open_makes_what_is_not_there_and_keeps_what_is(disk, tmp_path):
    disk.close(content(disk, tmp_path / "a", b"abc"))
    again = disk.open(tmp_path / "a")
    assert os.pread(again, 9, 0) == b"abc"
    disk.close(again)
    with pytest.raises(OSError):
        os.fstat(again)
    with pytest.raises(FileNotFoundError):
        disk.open(tmp_path / "no" / "a")


def test_write_takes_parts_and_a_place(disk, tmp_path):
    descriptor = content(disk, tmp_path / "a", b"ab", b"", b"cdef")
    assert disk.write(descriptor, [b"XY"], 1) == 2
    assert disk.write(descriptor, [b"end"], 10) == 3
    disk.sync(descriptor)
    disk.close(descriptor)
    assert (tmp_path / "a").read_bytes() == b"aXYdef\0\0\0\0end"


def test_reserve_gives_room_and_changes_nothing_that_is_there(disk, tmp_path):
    descriptor = content(disk, tmp_path / "a", b"abc")
    disk.reserve(descriptor, 5_000)
    assert (tmp_path / "a").read_bytes() == b"abc" + bytes(4_997)
    disk.reserve(descriptor, 100)
    assert (tmp_path / "a").stat().st_size == 5_000, "it never takes room away"
    disk.close(descriptor)


def test_truncate_cuts(disk, tmp_path):
    descriptor = content(disk, tmp_path / "a", b"abcdef")
    disk.truncate(descriptor, 2)
    disk.reserve(descriptor, 4)
    disk.close(descriptor)
    assert (tmp_path / "a").read_bytes() == b"ab\0\0", "what was cut off does not come back"


def test_rename_takes_the_place_of_what_was_there(disk, tmp_path):
    for name in ("a", "b"):
        disk.close(content(disk, tmp_path / name, name.encode()))
    disk.rename(tmp_path / "a", tmp_path / "b")
    assert files_below(tmp_path) == {"b": b"a"}
    with pytest.raises(FileNotFoundError):
        disk.rename(tmp_path / "a", tmp_path / "c")


def test_remove(disk, tmp_path):
    disk.close(content(disk, tmp_path / "a", b"x"))
    disk.remove(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    with pytest.raises(FileNotFoundError):
        disk.remove(tmp_path / "a")


def test_folders(disk, tmp_path):
    disk.make_folder(tmp_path / "sub")
    disk.make_folder(tmp_path / "sub")
    disk.close(content(disk, tmp_path / "sub" / "a", b"x"))
    disk.sync_folder(tmp_path / "sub")
    disk.sync_folder(tmp_path)
    assert files_below(tmp_path) == {"sub": None, "sub/a": b"x"}
    with pytest.raises(FileNotFoundError):
        disk.make_folder(tmp_path / "no" / "sub")
    with pytest.raises(FileNotFoundError):
        disk.sync_folder(tmp_path / "no")


def test_write_whole_replaces_and_leaves_nothing_else(disk, tmp_path):
    for data in (b"a longer text", b"", b"short"):
        disk.write_whole(tmp_path / "a", data)
        assert files_below(tmp_path) == {"a": data}


def test_write_whole_is_all_or_nothing_and_durable(tmp_path):
    """Power lost after any of its operations, in any way; and after the last one."""
    (tmp_path / "a").write_bytes(b"old" * 500)
    start, disk = files_below(tmp_path), RecordingDisk(tmp_path)
    new = b"new!" * 700
    disk.write_whole(tmp_path / "a", new)
    for count in range(len(disk.log) + 1):
        for mode in Mode:
            for seed in range(20):
                left = files_after_crash(start, disk.log[:count], mode, seed)
                assert left["a"] in (start["a"], new)
                assert left == {"a": new} or count < len(disk.log)


def test_what_is_not_possible_raises(disk, tmp_path):
    descriptor = disk.open(tmp_path / "a")
    disk.close(descriptor)
    calls = [
        lambda: disk.write(descriptor, [b"x"], 0),
        lambda: disk.sync(descriptor),
        lambda: disk.reserve(descriptor, 9),
        lambda: disk.truncate(descriptor, 0),
    ]
    for call in calls:
        with pytest.raises(OSError):
            call()
    with pytest.raises(NotADirectoryError):
        disk.open(tmp_path / "a" / "b")
