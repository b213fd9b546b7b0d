"""One writer at a time: by the lock, and where the lock fails, by the epoch in the watermark."""

import subprocess
import sys
from pathlib import Path

import pytest

from adapters.tape.reader import durable_seq, read_rows
from adapters.tape.scan import segment_path
from adapters.tape.watermark import NAME, read_watermark
from adapters.tape.writer import TapeWriter
from kernel.errors import TapeLocked
from tests.adapters.tape.growing import SMALL, photograph
from tests.adapters.tape.rows import gather, same, some_rows

ROOT = Path(__file__).parents[3]


def test_one_writer_at_a_time(tmp_path):
    with TapeWriter(tmp_path / "t") as tape:
        tape.append(some_rows(3))
        with pytest.raises(TapeLocked, match="written by another process") as refused:
            TapeWriter(tmp_path / "t")
        assert refused.value.exit_code == 75
        code = (
            "import sys; from pathlib import Path; from adapters.tape.writer import TapeWriter\n"
            "try: TapeWriter(Path(sys.argv[1]))\nexcept Exception as e: print(type(e).__name__)\nelse: print('open')"
        )
        asked = [sys.executable, "-c", code, str(tmp_path / "t")]
        assert subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "TapeLocked\n"
        tape.append(some_rows(1, first_seq=4))
    assert subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "open\n"


def test_a_refused_writer_changes_nothing(tmp_path):
    with TapeWriter(tmp_path / "t") as tape:
        tape.append(some_rows(3), durable=False)
        before = photograph(tmp_path / "t")
        with pytest.raises(TapeLocked):
            TapeWriter(tmp_path / "t")
        assert photograph(tmp_path / "t") == before
        tape.sync()


def test_epoch_grows_with_every_writer(tmp_path):
    """Also with those that append nothing, or are never closed."""
    epochs = []
    for k in range(4):
        tape = TapeWriter(tmp_path / "t", SMALL)
        epochs.append(read_watermark(tmp_path / "t").epoch)
        if k % 2:
            tape.append(some_rows(2, first_seq=tape.last_seq + 1))
        if k < 3:
            tape.close()
    assert epochs == [1, 2, 3, 4]
    tape.close()


# A writer that was overtaken ------------------------------------------------------------------------------------------

CALLS = {
    "append": lambda tape: tape.append(some_rows(2, 9, tape.last_seq + 1)),
    "append later": lambda tape: tape.append(some_rows(2, 9, tape.last_seq + 1), durable=False),
    "append a reference": lambda tape: tape.append_ref(b"{}", tape.last_seq + 1),
    "sync": TapeWriter.sync,
    "mark": TapeWriter.mark,
}


def overtaken(folder: Path, dirty: bool, now: list[float]) -> TapeWriter:
    """A writer whose lock file was taken away, with something that waits to be synced, or nothing."""
    tape = TapeWriter(folder, SMALL, clock=lambda: now[0])
    tape.append(some_rows(2))
    if dirty:
        tape.append(some_rows(2, first_seq=3), durable=False)
    (folder / "writer.lock").unlink()
    return tape


@pytest.mark.parametrize("call", [*CALLS, "tick", "close"])
@pytest.mark.parametrize("dirty", [False, True], ids=["idle", "dirty"])
def test_a_stale_writer_touches_nothing_of_the_new_one(tmp_path, call, dirty):
    """Whatever it is asked next, before or after the new writer's first frame: it stops with 75."""
    folder, now = tmp_path / "t", [0.0]
    stale = overtaken(folder, dirty, now)
    with TapeWriter(folder, SMALL) as new:
        first = new.last_seq + 1
        assert first == (5 if dirty else 3)
        for step in range(2):
            before = photograph(folder)
            now[0] += 1.0
            if call == "close" and step:
                stale.close()
            elif call == "tick":
                with pytest.raises(TapeLocked):
                    stale.tick()
            elif call != "close":
                with pytest.raises(TapeLocked, match="another process has taken this tape over") as stopped:
                    CALLS[call](stale)
                assert stopped.value.exit_code == 75
            assert photograph(folder) == before
            new.append(some_rows(2, 3, new.last_seq + 1))
        stale.close()
        new.append(some_rows(1, 3, new.last_seq + 1))
        assert durable_seq(folder) == first + 4
    rows, _ = gather(read_rows(folder))
    assert rows["seq"].tolist() == list(range(1, first + 5))
    assert same(rows[first - 1 : first + 1], some_rows(2, 3, first))


@pytest.mark.parametrize("gone", ["writer.lock", NAME])
def test_a_writer_stops_when_its_files_are_taken_away(tmp_path, gone):
    """No other writer is needed: it cannot know that there is none."""
    folder = tmp_path / "t"
    tape = TapeWriter(folder)
    tape.append(some_rows(2))
    content = (folder / gone).read_bytes()
    (folder / gone).unlink()
    with pytest.raises(TapeLocked):
        tape.append(some_rows(2, first_seq=3))
    (folder / gone).write_bytes(content)  # another file of the same name
    with pytest.raises(TapeLocked):
        tape.append(some_rows(2, first_seq=3))
    tape.close()
    with TapeWriter(folder) as again:
        assert again.last_seq == 2


def test_a_watermark_written_by_another_hand_stops_the_writer(tmp_path):
    """Not even the lock or the file changed: the slots are not what this writer wrote."""
    folder = tmp_path / "t"
    tape = TapeWriter(folder)
    tape.append(some_rows(2))
    old = (folder / NAME).read_bytes()
    tape.append(some_rows(2, first_seq=3))
    new = (folder / NAME).read_bytes()
    with (folder / NAME).open("r+b") as file:
        file.write(old)
    with pytest.raises(TapeLocked):
        tape.append(some_rows(2, first_seq=5))
    with (folder / NAME).open("r+b") as file:
        file.write(new)
    tape.append(some_rows(2, first_seq=5))
    tape.close()
    assert len(gather(read_rows(folder))[0]) == 6


# How a writer goes on -------------------------------------------------------------------------------------------------


def test_after_a_crash_the_tape_goes_on_in_a_new_segment(tmp_path):
    """Killed with everything synced and whole: the reserved space tells that it was not closed."""
    folder = tmp_path / "t"
    tape = TapeWriter(folder, 4_096)
    tape.append(some_rows(2))
    crashed = photograph(folder)
    tape.close()
    other = tmp_path / "crashed"
    other.mkdir()
    for name, content in crashed.items():
        (other / name).write_bytes(content)
    with TapeWriter(other, 4_096) as again:
        assert again.last_seq == 2
        ended = segment_path(other, 1).read_bytes()
        again.append(some_rows(2, first_seq=3))
        assert segment_path(other, 1).read_bytes() == ended and segment_path(other, 2).exists()
    assert len(gather(read_rows(other))[0]) == 4


def test_group_commit(tmp_path):
    """What is not asked to be durable is synced by `tick` after the group's time, and the watermark after as long."""
    folder, now = tmp_path / "t", [0.0]
    with TapeWriter(folder, group_commit_s=0.05, clock=lambda: now[0]) as tape:
        tape.append(some_rows(2), durable=False)
        tape.append(some_rows(2, first_seq=3), durable=False)
        assert (tape.last_seq, tape.durable_seq, durable_seq(folder)) == (4, 0, 0)
        now[0] = 0.049
        tape.tick()
        assert tape.durable_seq == durable_seq(folder) == 0
        now[0] = 0.051
        tape.tick()
        assert tape.durable_seq == durable_seq(folder) == 4
        tape.append(some_rows(1, first_seq=5), durable=False)
        tape.append(some_rows(1, first_seq=6))  # takes along what was waiting
        assert tape.durable_seq == durable_seq(folder) == 6
        tape.append(some_rows(1, first_seq=7), durable=False)
    assert durable_seq(folder) == 7


class Counting:
    """A disk that counts its syncs."""

    def __new__(cls):
        from adapters.disk import Disk

        class CountingDisk(Disk):
            syncs = 0

            def sync(self, descriptor: int) -> None:
                self.syncs += 1
                super().sync(descriptor)

        return CountingDisk()


def test_one_sync_a_durable_commit_and_none_while_idle(tmp_path):
    disk, now = Counting(), [0.0]
    with TapeWriter(tmp_path / "t", clock=lambda: now[0], disk=disk) as tape:
        tape.append(some_rows(1))
        before = disk.syncs
        for seq in range(2, 12):
            tape.append(some_rows(1, first_seq=seq))
        assert disk.syncs == before + 10
        for _ in range(20):
            now[0] += 0.06
            tape.tick()
        assert disk.syncs == before + 11, "the watermark, once"
