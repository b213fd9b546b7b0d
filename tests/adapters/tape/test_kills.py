"""kill -9 of a writing process at any moment: every seq it called durable is there, and the tape goes on."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapters.tape.reader import read_rows
from adapters.tape.writer import TapeWriter
from tests.adapters.tape.rows import gather, same
from tests.adapters.tape.writing_child import rows_at

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the durable tape is promised on Linux")


def start(folder: Path, segment_bytes: int) -> subprocess.Popen:
    asked = [sys.executable, "-m", "tests.adapters.tape.writing_child", str(folder), str(segment_bytes)]
    return subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE)


def kill(child: subprocess.Popen, after_s: float) -> int:
    """Kill -9 `after_s` from its first word on; the last seq it said was durable."""
    first = child.stdout.read(8)
    time.sleep(after_s)
    child.kill()
    said = first + child.stdout.read()
    child.wait()
    child.stdout.close()
    return int.from_bytes(said[len(said) // 8 * 8 - 8 : len(said) // 8 * 8], "little")


def check(folder: Path, segment_bytes: int, promised: int) -> None:
    seen, _ = gather(read_rows(folder))
    with TapeWriter(folder, segment_bytes) as tape:
        assert tape.last_seq >= promised
        assert len(seen) <= tape.last_seq
    rows, notes = gather(read_rows(folder))
    assert len(rows) == tape.last_seq
    seq = 1
    while seq <= len(rows):
        made = rows_at(seq)
        assert same(rows[seq - 1 : seq - 1 + len(made)], made), f"rows from seq {seq}"
        assert (seq in notes) == (seq % 5 == 0)
        seq += len(made)
    assert seq == len(rows) + 1, "half a frame"


def test_readers_of_a_tape_that_grows(tmp_path):
    """Read from start to end, again and again, while another process appends: no damage is seen where there is none."""
    folder = tmp_path / "t"
    child = start(folder, 20_000)
    child.stdout.read(8)
    try:
        last, reads, end = 0, 0, time.monotonic() + 1.0
        while time.monotonic() < end or reads < 20:
            seq = max((int(rows["seq"][-1]) for rows, _ in read_rows(folder, max(1, last - 50))), default=0)
            assert seq >= last
            last, reads = seq, reads + 1
    finally:
        kill(child, 0)
    assert last > 100


def rounds(tmp_path: Path, seed: int, kills: int, together: int) -> None:
    """Each of `together` tapes is written, killed and taken up again `kills` times."""
    rng = random.Random(seed)
    sizes = {tmp_path / f"t{k}": rng.choice([1_200, 4_096, 65_536]) for k in range(together)}
    for _ in range(kills):
        children = {folder: start(folder, size) for folder, size in sizes.items()}
        for folder, child in children.items():
            check(folder, sizes[folder], kill(child, rng.random() ** 2 * 0.1))


def test_kill_9(tmp_path):
    rounds(tmp_path, 5, 2, 3)


@pytest.mark.torture
def test_kill_9_many_times(tmp_path):
    for seed in range(12):
        rounds(tmp_path / str(seed), seed, 3, 4)
