"""kill -9 of a writing process at any moment: every seq it called durable is there, and the tape goes on."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapters.tape.check import check_tape
from adapters.tape.reader import Tail, durable_seq, read_rows
from adapters.tape.rolling import seal_closed
from adapters.tape.writer import TapeWriter
from kernel.schema import join_rows
from tests.adapters.tape.rows import Notes, fresh_folder, same
from tests.adapters.tape.writing_child import WORD, Child, last_said, rows_at

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the durable tape is promised on Linux")


class Follower:
    """Takes batches of what a child writes and compares them, byte by byte: no gap, nothing twice."""

    def __init__(self) -> None:
        self.seq = 0
        self._held, self._notes = join_rows([]), Notes()  # batches of sealed parts end anywhere

    def take(self, rows, notes: Notes) -> None:
        rows, notes = join_rows([self._held, rows]), self._notes | notes
        assert int(rows["seq"][0]) == self.seq + 1, "no gap, nothing twice"
        while len(rows):
            made = rows_at(self.seq + 1)
            if len(rows) < len(made):
                break
            assert same(rows[: len(made)], made), f"rows from seq {self.seq + 1}"
            assert (self.seq + 1 in notes) == ((self.seq + 1) % 5 == 0)
            rows, self.seq = rows[len(made) :], self.seq + len(made)
        self._held, self._notes = rows.copy(), {seq: text for seq, text in notes.items() if seq > self.seq}


def check(folder: Path, segment_bytes: int, promised: int) -> int:
    """What readers see after the kill, what the next writer finds; returns the last seq."""
    seen = durable_seq(folder)
    assert seen >= promised
    with TapeWriter(folder, segment_bytes) as tape:
        assert tape.last_seq >= seen
    follower = Follower()
    for rows, notes in read_rows(folder):
        follower.take(rows, notes)
    assert follower.seq == tape.last_seq
    return tape.last_seq


def rounds(seed: int, kills: int, tapes: int) -> int:
    """Each of some tapes is written, killed and taken up again, all at the same time; returns how many kills."""
    rng, done = random.Random(seed), 0
    with fresh_folder() as home:
        sizes = {home / f"t{k}": rng.choice([1_200, 4_096, 65_536]) for k in range(tapes)}
        for _ in range(kills // tapes):
            children = {folder: Child(folder, size) for folder, size in sizes.items()}
            for child in children.values():
                child.wait_for_a_word()
            time.sleep(rng.random() ** 2 * 0.01)
            promised = {folder: child.kill() for folder, child in children.items()}
            for folder, seq in promised.items():
                check(folder, sizes[folder], seq)
                done += 1
        for folder in sizes:
            check_tape(folder)
    return done


def test_kill_9():
    assert rounds(0, 20, 4) == 20


@pytest.mark.torture
def test_kill_9_many_times():
    assert sum(rounds(seed, 20, 4) for seed in range(100)) == 2_000


def test_kill_9_on_the_real_disk(real_disk):
    """Another process, started as one, on a disk that is no memory."""
    for _ in range(2):
        asked = [sys.executable, "-m", "tests.adapters.tape.writing_child", str(real_disk / "t"), "4096"]
        with subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE) as child:
            said = child.stdout.read(WORD * 30)
            child.kill()
            said += child.stdout.read()
        check(real_disk / "t", 4_096, last_said(said))


# A reader beside a writer ---------------------------------------------------------------------------------------------


def follow(folder: Path, seconds: float) -> tuple[int, int]:
    """Follow a writer at full speed by two tails, read from new tails in between, and seal behind it."""
    child, end = Child(folder, 200_000), time.monotonic() + seconds
    follower, tail, polls, sealed = Follower(), None, 0, 0
    try:
        child.wait_for_a_word()
        tail = Tail(folder)
        while time.monotonic() < end:
            child.listen()
            said = durable_seq(folder)
            for rows, notes in tail.poll():
                follower.take(rows, notes)
            assert follower.seq >= said
            polls += 1
            if polls % 50 == 0:
                sealed += len(seal_closed(folder))
                late = Follower()
                late.seq = follower.seq
                for rows, notes in read_rows(folder, late.seq + 1):
                    late.take(rows, notes)
                assert late.seq >= follower.seq
    finally:
        promised = child.kill()
    for rows, notes in tail.poll():
        follower.take(rows, notes)
    assert follower.seq >= promised
    assert sealed > 0, "none was sealed under the reader"
    return follower.seq, polls


@pytest.mark.torture
def test_a_reader_beside_a_writer_at_full_speed():
    with fresh_folder() as folder:
        seq, polls = follow(folder, 1.0)
        assert seq > 1_000 and polls > 50


@pytest.mark.torture
def test_a_reader_beside_a_writer_for_long():
    with fresh_folder() as folder:
        seq, polls = follow(folder, 10.0)
        assert seq > 10_000 and polls > 500
