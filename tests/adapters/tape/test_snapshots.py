"""Which snapshots stay: the newest of the tape as it is, never those of what it was before it was put back."""

import pytest

from adapters.tape import snapshots
from adapters.tape.snapshots import KEEP, SUFFIX, Snapshot, save_snapshot, usable_snapshot
from adapters.tape.writer import TapeWriter
from tests.adapters.tape.rows import some_rows

CODE = "c" * 64


def written(folder, count: int, seed: int = 1) -> dict[int, str]:
    """A tape of frames of ten rows; its digest after each."""
    digests = {}
    with TapeWriter(folder, 2**20) as tape:
        for first in range(1, count, 10):
            tape.append(some_rows(10, seed + first, first))
            digests[tape.last_seq] = tape.tape_digest.hex()
    return digests


def save(folder, seq: int, digest: str, code: str = CODE) -> None:
    save_snapshot(folder, Snapshot(seq, digest, code, {"account": b"bytes"}, {}))


def seqs(folder) -> list[int]:
    return [int(path.stem) for path in sorted(folder.glob(f"*{SUFFIX}"))]


def test_the_newest_stay(tmp_path):
    digests = written(tmp_path / "tape", 60)
    for seq in (10, 20, 30, 40, 50):
        save(tmp_path / "s", seq, digests[seq])
    assert seqs(tmp_path / "s") == [30, 40, 50] and KEEP == 3
    assert usable_snapshot(tmp_path / "s", tmp_path / "tape", CODE, 60).seq == 50
    assert usable_snapshot(tmp_path / "s", tmp_path / "tape", "other code", 60) is None
    assert seqs(tmp_path / "s") == [30, 40, 50], "code may come back"


def test_after_the_tape_was_put_back(tmp_path):
    """Snapshots from beyond the end take no place, and a new one of a lower seq stays."""
    digests = written(tmp_path / "tape", 60)
    for seq in (40, 50, 60):
        save(tmp_path / "s", seq, digests[seq])
    save(tmp_path / "s", 20, digests[20])
    assert seqs(tmp_path / "s") == [20], "a tape that ends with 20 has nothing to begin at 40 with"


def test_misfits_go_when_they_are_met(tmp_path):
    digests, others = written(tmp_path / "tape", 60), written(tmp_path / "other", 60, seed=7)
    for seq in (20, 40, 50):
        save(tmp_path / "s", seq, (digests if seq == 20 else others)[seq])
    assert usable_snapshot(tmp_path / "s", tmp_path / "tape", CODE, 45).seq == 20
    assert seqs(tmp_path / "s") == [20]


def test_what_cannot_be_read_is_passed_over(tmp_path):
    digests = written(tmp_path / "tape", 40)
    save(tmp_path / "s", 20, digests[20])
    (tmp_path / "s" / f"{30:015d}{SUFFIX}").mkdir()
    assert usable_snapshot(tmp_path / "s", tmp_path / "tape", CODE, 40).seq == 20


def test_a_full_disk_leaves_no_halves(tmp_path, monkeypatch):
    """Each would have a name of its own, and the disk would be fuller every time."""

    def full(path, data):
        path.with_name(path.name + ".tmp").write_bytes(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots, "write_whole", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path / "s", 10, "d")
    assert list((tmp_path / "s").iterdir()) == []
