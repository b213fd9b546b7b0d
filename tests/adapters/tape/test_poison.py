"""A disk that fails: the writer stops for good, says so, and what it called durable is there afterwards."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.tape.reader import read_rows
from adapters.tape.writer import TapeWriter
from kernel.errors import TapePoisoned
from tests.adapters.tape.rows import gather, same, some_rows

ROOT = Path(__file__).parents[3]


def refuses_everything(tape: TapeWriter) -> None:
    durable = tape.durable_seq
    for call in (
        lambda: tape.append(some_rows(1, first_seq=tape.last_seq + 1)),
        lambda: tape.append(some_rows(1, first_seq=tape.last_seq + 1), durable=False),
        lambda: tape.append_ref(b"{}", tape.last_seq + 1),
        tape.sync,
    ):
        with pytest.raises(TapePoisoned, match="not written since"):
            call()
    assert tape.durable_seq == durable


def test_failed_fdatasync_poisons(tmp_path, monkeypatch):
    def fails(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    folder, rows = tmp_path / "t", some_rows(6)
    tape = TapeWriter(folder)
    tape.append(rows[:2])
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fails)
        with pytest.raises(TapePoisoned, match=r"cannot write .*Input/output error.*nothing more is written") as raised:
            tape.append(rows[2:4])
    assert raised.value.exit_code == 74
    assert tape.durable_seq == 2
    size = sum(path.stat().st_size for path in folder.iterdir())
    refuses_everything(tape)  # the disk is well again; the writer does not trust it
    tape.tick()
    tape.close()
    assert sum(path.stat().st_size for path in folder.iterdir()) == size
    with TapeWriter(folder) as again:
        assert again.last_seq in (2, 4)  # unknown then, known now
        again.append(some_rows(2, first_seq=again.last_seq + 1))
    assert same(gather(read_rows(folder))[0][:2], rows[:2])


def test_a_group_commit_that_fails_poisons(tmp_path, monkeypatch):
    now = [0.0]
    tape = TapeWriter(tmp_path / "t", clock=lambda: now[0])
    tape.append(some_rows(2), durable=False)
    now[0] = 1.0
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", lambda descriptor: (_ for _ in ()).throw(OSError(errno.EIO, "gone")))
        with pytest.raises(TapePoisoned):
            tape.tick()
    refuses_everything(tape)
    tape.close()


LIMITED = """
import resource, signal, sys
from pathlib import Path
from adapters.tape.writer import TapeWriter
from kernel.errors import TapePoisoned
from tests.adapters.tape.rows import some_rows
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
tape = TapeWriter(Path(sys.argv[1]), 2_000)
limit = int(sys.argv[2])
tape.append(some_rows(3))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    for k in range(10):
        tape.append(some_rows(3 + 2 * k, first_seq=tape.last_seq + 1))
        print(tape.durable_seq, flush=True)
except TapePoisoned as error:
    print(error)
    try:
        tape.append(some_rows(1, first_seq=tape.last_seq + 1))
    except TapePoisoned as error:
        print("again:", error)
tape.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="uses a limit of file size as a full disk")
@pytest.mark.parametrize("limit", [1_000, 2_000])
def test_a_full_disk_poisons(tmp_path, limit):
    """The system refuses to write (1,000: into reserved space, half a frame; 2,000: to reserve a larger segment)."""
    folder = tmp_path / "t"
    asked = [sys.executable, "-c", LIMITED, str(folder), str(limit)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *acked, first, again = done.stdout.splitlines()
    assert "cannot write" in first and "again:" in again and "not written since" in again
    promised = int(acked[-1]) if acked else 3
    rows, _ = gather(read_rows(folder))
    with TapeWriter(folder, 2_000) as tape:
        assert tape.last_seq == promised
        tape.append(some_rows(2, first_seq=tape.last_seq + 1))
    rows, _ = gather(read_rows(folder))
    assert rows["seq"].tolist() == list(range(1, promised + 3))
