"""Power lost at every operation of sealing, retention and repair: no event goes, and what was begun can be ended."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.tape import check, digest, parts
from adapters.tape.chain import Plan
from adapters.tape.check import check_tape
from adapters.tape.parts import part_path, sealed_parts, start_of
from adapters.tape.reader import read_rows
from adapters.tape.repair import plan_repair, repair
from adapters.tape.retire import retire, tick_files
from adapters.tape.rolling import seal_closed, seal_segment
from adapters.tape.scan import segment_path, segment_paths
from adapters.tape.watermark import NAME
from adapters.tape.writer import QUARANTINE, TapeWriter
from kernel.codes import Kind
from kernel.errors import TapeCorrupt
from tests.adapters.tape.growing import photograph
from tests.adapters.tape.rows import gather, make_rows, same
from tests.simulation.disk import RANDOM, Files, Mode, Op, Platter, RecordingDisk, files_after_crash, files_below
from tests.simulation.test_crash import room  # noqa: F401 a fixture
from tests.simulation.worlds import lay_out

pytestmark = pytest.mark.sim  # many runs of whole processes; CI has the paths they share

SEGMENT_BYTES = 4_096
KINDS = [int(Kind.QUOTE), int(Kind.BAR), int(Kind.TRADE), int(Kind.BAR)]
ROWS = make_rows(KINDS * 25, 5)
ROWS["ts_init"] = ROWS["seq"]
NOW = "2024-02-01T00:00:00Z"


@pytest.fixture
def tape(room, monkeypatch) -> Path:  # noqa: F811
    """A closed tape of ten frames in five segments. Chunks of 16 seqs, so that a small tape has full ones."""
    for place in (digest, parts, check):
        monkeypatch.setattr(place, "CHUNK_SEQS", 16)
    folder = room / "tape"
    with TapeWriter(folder, SEGMENT_BYTES) as writer:
        for k in range(0, len(ROWS), 10):
            writer.append(ROWS[k : k + 10], {k + 3: f"note {k}"})
    assert len(segment_paths(folder)) == 5
    return folder


def crashes(folder: Path, work: Callable[[RecordingDisk], object], seeds: int = 2) -> Iterator[tuple[str, Path]]:
    """What a crash may leave at every operation of `work`, each laid out; and what `work` leaves when it is done."""
    start, disk = files_below(folder), RecordingDisk(folder)
    work(disk)
    platter, known = Platter(start), set[int]()
    for k, op in enumerate(disk.log):
        platter.take(op)
        for mode in Mode:
            for seed in range(seeds if mode in RANDOM else 1):
                files = platter.after_crash(mode, hash((k, seed)))
                if hash(tuple(files.items())) not in known:
                    known.add(hash(tuple(files.items())))
                    yield f"after operation {k} ({op.what} {op.path or op.file}), {mode.value}", laid_out(folder, files)
    assert platter.is_synced, "done is done"


def laid_out(folder: Path, files: Files) -> Path:
    place = folder.with_name("crashed")
    shutil.rmtree(place, ignore_errors=True)
    lay_out(place, files)
    return place


def whole(folder: Path, rows: np.ndarray = ROWS) -> None:
    """All events are there, for readers, for `verify` and for the next writer."""
    assert same(gather(read_rows(folder))[0], rows)
    assert check_tape(folder).rows == len(rows)
    with TapeWriter(folder, SEGMENT_BYTES) as writer:
        assert writer.rows == len(rows)


@pytest.mark.sim
def test_sealing(tape):
    """Frames or Parquet, never neither; and the next seal ends what was begun."""
    tried = 0
    for where, crashed in crashes(tape, lambda disk: seal_closed(tape, disk=disk)):
        try:
            whole(crashed)
            seal_closed(crashed)
            assert len(sealed_parts(crashed)) == 4 and len(segment_paths(crashed)) == 1
            assert not list((crashed / "sealed").glob(".*"))
        except Exception as error:
            raise AssertionError(f"{where}: {error}") from error
        tried += 1
    whole(crashed)
    assert tried > 60


@pytest.mark.sim
def test_retention(tape):
    """The tombstone before the file goes: what is neither there nor retired would be damage."""
    seal_closed(tape)
    tape_digest = check_tape(tape).digest.hex()
    gone = tick_files(tape, 10**18)
    assert len(gone) >= 4
    for where, crashed in crashes(tape, lambda disk: retire(tape, gone, NOW, disk)):
        try:
            assert check_tape(crashed).digest.hex() == tape_digest
            rows = gather(read_rows(crashed))[0]
            assert same(rows[rows["kind"] == int(Kind.BAR)], ROWS[ROWS["kind"] == int(Kind.BAR)])
            retire(crashed, tick_files(crashed, 10**18), NOW)
            assert not any((crashed / file.path.relative_to(tape)).exists() for file in gone)
            assert check_tape(crashed).digest.hex() == tape_digest
        except Exception as error:
            raise AssertionError(f"{where}: {error}") from error


# Repair ---------------------------------------------------------------------------------------------------------------


def flip(path: Path, at: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :])


def damage_frame(folder: Path) -> None:
    flip(segment_path(folder, 4), 2_100)


def damage_segment(folder: Path) -> None:
    segment_path(folder, 4).unlink()


def damage_part(folder: Path) -> None:
    flip(part_path(folder, 2) / "bar.parquet", 200)


def damage_watermark(folder: Path) -> None:
    flip(folder / NAME, 20)


def damage_name(folder: Path) -> None:
    (folder / "notes to self").write_bytes(b"x" * 100)


DAMAGES = {"frame": damage_frame, "segment": damage_segment, "part": damage_part, "watermark": damage_watermark,
           "name": damage_name}  # fmt: skip


REPAIRS = [(copy_is, what) for copy_is in ("sealed", "frames", "none") for what in DAMAGES]
IN_CI = [("frames", "frame"), ("none", "name")]


@pytest.mark.parametrize(
    ("copy_is", "what"),
    [pytest.param(*case, marks=() if case in IN_CI else pytest.mark.sim, id="-".join(case)) for case in REPAIRS],
)
def test_repair(tape, what, copy_is):
    """Refused until it is done, repaired again to the same end, and nothing of what was there is destroyed."""
    copy = tape.with_name("copy")
    shutil.copytree(tape, copy)
    for _ in range(2):
        seal_segment(tape, start_of(tape))
    if copy_is == "sealed":
        shutil.rmtree(copy)
        shutil.copytree(tape, copy)
    DAMAGES[what](tape)
    source = None if copy_is == "none" else copy
    before, plan = photograph(tape), plan_repair(tape, source)
    assert not plan.sound
    tried = 0
    for where, crashed in crashes(tape, lambda disk: repair(tape, plan, disk=disk), seeds=1):
        try:
            repaired_again(crashed, source, plan)
            nothing_destroyed(before, photograph(crashed), plan)
        except Exception as error:
            raise AssertionError(f"{where}: {error}") from error
        tried += 1
    assert tried > 3
    assert plan_repair(crashed).sound


def repaired_again(folder: Path, copy: Path | None, first: Plan) -> None:
    try:
        assert check_tape(folder).anchor.seq == first.kept_seq, "whole, and yet not what was planned"
    except TapeCorrupt:
        plan = plan_repair(folder, copy)
        assert plan.kept_seq == first.kept_seq
        repair(folder, plan)
    whole(folder, ROWS[: first.kept_seq])


def nothing_destroyed(before: dict[str, bytes], after: dict[str, bytes], plan: Plan) -> None:
    """Each file is there as it was, in its place or in quarantine, or its frames are sealed; so is an end cut off."""
    aside = [content for name, content in after.items() if name.startswith(f"{QUARANTINE}/")]
    for name, content in before.items():
        held = after.get(name, b"")
        kept = content == held or content in aside or (content.startswith(held) and content[len(held) :] in aside)
        goes_on = name == NAME and plan.watermark is None  # a writer came
        assert kept or goes_on, f"{name} is gone"


# The simulation of folders --------------------------------------------------------------------------------------------


def test_what_moves_to_another_folder():
    start: Files = {"a": None, "a/x": b"x", "b": None}
    log = [Op("link", 2, path="b/x", to="a/x"), Op("remove", path="a/x")]
    both, old, new = {**start, "b/x": b"x"}, start, {"a": None, "b": None, "b/x": b"x"}
    assert files_after_crash(start, log, Mode.LOSE) == old and files_after_crash(start, log, Mode.KEEP) == new
    assert files_after_crash(start, [*log, Op("sync_folder", path="b")], Mode.LOSE) == both
    assert files_after_crash(start, [*log, Op("sync_folder", path="a")], Mode.LOSE) == {"a": None, "b": None}
    synced = [*log, Op("sync_folder", path="b"), Op("sync_folder", path="a")]
    assert files_after_crash(start, synced, Mode.LOSE) == new


def test_folders_that_are_renamed():
    """With what is in them: also with what was made there and not synced, which may be gone."""
    log = [Op("folder", path="p"), Op("create", 1, "p/x"), Op("write", 1, data=b"x"), Op("sync", 1),
           Op("rename", path="p", to="q")]  # fmt: skip
    assert files_after_crash({}, log, Mode.KEEP) == {"q": None, "q/x": b"x"}
    assert files_after_crash({}, [*log, Op("sync_folder")], Mode.LOSE) == {"q": None}
    assert files_after_crash({}, [*log, Op("sync_folder")], Mode.KEEP) == {"q": None, "q/x": b"x"}
    synced = [*log[:4], Op("sync_folder", path="p"), log[4], Op("sync_folder")]
    assert files_after_crash({}, synced, Mode.LOSE) == {"q": None, "q/x": b"x"}


def test_moves_and_foreign_files_are_recorded(tmp_path):
    """What another library wrote counts from its sync on; what is moved or removed is followed."""
    disk = RecordingDisk(tmp_path)
    disk.make_folder(tmp_path / ".p")
    (tmp_path / ".p" / "x").write_bytes(b"from elsewhere")
    disk.sync_file(tmp_path / ".p" / "x")
    disk.sync_folder(tmp_path / ".p")
    disk.rename(tmp_path / ".p", tmp_path / "p")
    disk.make_folder(tmp_path / "aside")
    disk.rename(tmp_path / "p", tmp_path / "aside" / "p")
    descriptor = disk.open(tmp_path / "aside" / "p" / "x")
    disk.write(descriptor, [b"F"], 0)
    disk.close(descriptor)
    assert files_after_crash({}, disk.log, Mode.KEEP) == files_below(tmp_path)
    assert files_below(tmp_path)["aside/p/x"] == b"From elsewhere"
    disk.remove_tree(tmp_path / "aside")
    assert files_after_crash({}, disk.log, Mode.KEEP) == files_below(tmp_path) == {}
