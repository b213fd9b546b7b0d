"""Locks: one holder, and those that only look keep nobody out, make nothing, and do not see each other."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from adapters import files
from adapters.files import is_locked, make_folder, take_lock
from adapters.tape.check import is_being_written
from adapters.tape.writer import LOCK, TapeWriter
from kernel.errors import TapeLocked
from tests.adapters.tape.growing import SMALL, photograph

ROOT = Path(__file__).parents[3]


def test_looking_makes_nothing(grown, tmp_path):
    (grown / LOCK).unlink()
    before = photograph(grown)
    assert not is_being_written(grown) and not (grown / LOCK).exists()
    assert not is_locked(tmp_path / "no folder" / "lock")
    assert photograph(grown) == before


def test_who_looks_sees_writers_and_no_lookers(grown):
    with TapeWriter(grown, SMALL):
        assert is_being_written(grown) and is_being_written(grown)
    assert not is_being_written(grown)
    one = os.open(grown / LOCK, os.O_RDONLY)
    assert files._lock(one, shared=True), "as one that looks, for longer"
    assert not is_being_written(grown)
    os.close(one)


@pytest.mark.skipif(sys.platform == "win32", reason="no lock there can be looked at")
def test_no_start_is_refused_because_somebody_looks(grown):
    """`tape ls`, `verify` and `doctor` look; two processes do nothing else here, and every start goes through."""
    code = (
        "import sys; from pathlib import Path; from adapters.tape.check import is_being_written\n"
        "print(1, flush=True)\nwhile True: is_being_written(Path(sys.argv[1]))"
    )
    asked = [sys.executable, "-c", code, str(grown)]
    lookers = [subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for looker in lookers:
            assert looker.stdout is not None and looker.stdout.readline() == b"1\n"
        for _ in range(150):
            TapeWriter(grown, SMALL).close()
    finally:
        for looker in lookers:
            looker.kill()
            looker.communicate()


def test_a_lock_that_is_held_is_refused(tmp_path):
    """Once it is clear that nobody only looked."""
    held = take_lock(tmp_path / "lock")
    began = time.monotonic()
    with pytest.raises(TapeLocked, match="is being written by another process"):
        take_lock(tmp_path / "lock")
    assert time.monotonic() - began >= files.PATIENCE_SECONDS
    os.close(held)
    os.close(take_lock(tmp_path / "lock"))


def test_a_lock_that_comes_free_in_time_is_taken(tmp_path):
    held = take_lock(tmp_path / "lock")
    threading.Timer(files.PATIENCE_SECONDS / 4, os.close, [held]).start()
    os.close(take_lock(tmp_path / "lock"))


def test_folders_are_durable_whoever_made_them(tmp_path, monkeypatch):
    """One that was made and not synced, by a process that was killed, is synced by the next that needs it."""
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    synced.clear()
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path / "a"]


def test_a_folder_in_one_that_may_not_be_read_is_used_all_the_same(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr(files, "sync_folder", refuse)
    make_folder(tmp_path)
    with pytest.raises(PermissionError):
        make_folder(tmp_path / "new")
