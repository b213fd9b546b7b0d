"""Repair: what a copy holds comes back, what nothing holds is named and put aside, and the tape is whole afterwards."""

import shutil
from pathlib import Path

import pytest

from adapters.tape.check import check_tape
from adapters.tape.parts import start_of
from adapters.tape.reader import read_rows
from adapters.tape.repair import find_copy, plan_repair, repair, tape_to_ourselves
from adapters.tape.rolling import seal_segment
from adapters.tape.scan import Anchor, Walk, segment_path, segment_paths
from adapters.tape.watermark import LENGTH, NAME, SLOT
from adapters.tape.writer import TapeWriter
from kernel.errors import NotFound, TapeCorrupt, TapeLocked
from tests.adapters.tape.rows import gather, same, some_rows

ROWS = some_rows(1200)
FRAME = 20  # rows
SEGMENT = 2**15


def write(folder: Path, rows=ROWS, at_once: int = FRAME) -> None:
    with TapeWriter(folder, SEGMENT) as tape:
        for start in range(0, len(rows), at_once):
            part = rows[start : start + at_once]
            tape.append(part, {int(part["seq"][3]): "a note"})


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A tape of six segments."""
    folder = tmp_path_factory.mktemp("whole") / "main-paper"
    write(folder)
    assert len(segment_paths(folder)) == 6
    return folder


@pytest.fixture
def tape(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "tape"))


def places(folder: Path, number: int) -> list[tuple[int, int]]:
    """(from, to) of the frames of a segment, whatever stands before it."""
    anchor, found = Anchor(), []
    for path in segment_paths(folder):
        walk = Walk(path, anchor)
        found = [(place.offset, place.end) for place in walk]
        anchor = walk.anchor
        if path == segment_path(folder, number):
            return found
    raise AssertionError(number)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.suffix != ".lock"
    }


def mend(folder: Path, copy: Path | None = None):
    """Plan (which changes nothing), repair, and check that the tape is whole and can be written."""
    with pytest.raises(TapeCorrupt):
        check_tape(folder)
    before = files_of(folder)
    with tape_to_ourselves(folder):
        plan = plan_repair(folder, copy)
        assert files_of(folder) == before
        repair(folder, plan)
    found = check_tape(folder)
    assert found.anchor.seq == plan.kept_seq and found.torn == 0
    rows, _ = gather(read_rows(folder)) if plan.kept_seq else (ROWS[:0], {})
    assert same(rows, ROWS[: plan.kept_seq])
    with tape_to_ourselves(folder):
        assert plan_repair(folder).sound
    with TapeWriter(folder, SEGMENT) as tape:
        assert tape.last_seq == plan.kept_seq
        tape.append(some_rows(3, 2, plan.kept_seq + 1))
    assert check_tape(folder).anchor.seq == plan.kept_seq + 3
    return plan


def test_a_sound_tape_needs_nothing(tape):
    plan = plan_repair(tape)
    assert plan.sound and plan.wrong == [] and plan.lost is None and plan.kept_seq == 1200


@pytest.mark.parametrize("what", ["gone", "first", "second", "both", "old", "foreign"])
def test_the_watermark_is_written_anew(tape, what, tmp_path):
    mark = tape / NAME
    old = mark.read_bytes()
    if what == "gone":
        mark.unlink()
    elif what == "foreign":
        write(tmp_path / "other", some_rows(400, 9))
        with TapeWriter(tmp_path / "other"):
            pass
        shutil.copy(tmp_path / "other" / NAME, mark)
    elif what == "old":
        with TapeWriter(tape, SEGMENT) as again:
            again.append(some_rows(3, 2, 1201))
        mark.write_bytes(old)
    for slot in {"first": [0], "second": [1], "both": [0, 1]}.get(what, []):
        flip(mark, slot * SLOT + LENGTH // 2)
    before = {p.name: p.read_bytes() for p in segment_paths(tape)}
    plan = plan_repair(tape)
    assert plan.wrong and plan.watermark and not plan.restored and not plan.aside and plan.lost is None
    repair(tape, plan)
    assert {p.name: p.read_bytes() for p in segment_paths(tape)} == before
    assert check_tape(tape).anchor.seq == plan.kept_seq == (1203 if what == "old" else 1200)
    assert gather(read_rows(tape))[0]["seq"][-1] == plan.kept_seq
    assert (tape / "quarantine" / NAME).exists() == (what != "gone")
    with TapeWriter(tape, SEGMENT) as again:
        assert again.last_seq == plan.kept_seq


@pytest.mark.parametrize("number", [1, 3, 6])
@pytest.mark.parametrize("nth", [0, 4, -1])
@pytest.mark.parametrize("part", ["header", "body"])
def test_a_damaged_frame_comes_back_from_a_copy(whole, tape, number, nth, part):
    start, end = places(tape, number)[nth]
    path = segment_path(tape, number)
    flip(path, start + (20 if part == "header" else (end - start) // 2))
    plan = mend(tape, whole)
    assert plan.lost is None and plan.kept_seq == 1200
    [step] = plan.restored
    assert step.ranges == ((start, end),) and not plan.aside and plan.watermark is None
    assert (tape / "quarantine" / path.name).exists()


@pytest.mark.parametrize("number", [1, 3, 6])
@pytest.mark.parametrize("nth", [0, 4, -1])
def test_without_a_copy_the_tape_ends_before_it(whole, tape, number, nth):
    start, end = places(tape, number)[nth]
    lost_from = int(next(iter_frames(whole, number, nth)).header.first_seq)
    flip(segment_path(tape, number), (start + end) // 2)
    plan = mend(tape)
    assert plan.lost == (lost_from, 1200) and plan.kept_seq == lost_from - 1
    kept = b"".join(p.read_bytes() for p in (tape / "quarantine").iterdir())
    for later in range(number + 1, 7):
        assert segment_path(whole, later).read_bytes() in kept
    assert segment_path(whole, number).read_bytes()[end:] in kept


def iter_frames(folder: Path, number: int, nth: int):
    anchor = Anchor()
    for path in segment_paths(folder):
        walk = Walk(path, anchor)
        frames = list(walk)
        anchor = walk.anchor
        if path == segment_path(folder, number):
            yield frames[nth]


@pytest.mark.parametrize("how", ["gone", "blank", "swapped", "cut", "rolled back", "longer"])
@pytest.mark.parametrize("with_copy", [True, False])
def test_segments_that_went(whole, tape, how, with_copy):
    here = segment_path(tape, 3)
    if how == "gone":
        here.unlink()
    elif how == "blank":
        here.write_bytes(bytes(here.stat().st_size))
    elif how == "swapped":
        here.rename(tape / "x")
        segment_path(tape, 4).rename(here)
        (tape / "x").rename(segment_path(tape, 4))
    elif how == "cut":
        here.write_bytes(here.read_bytes()[: places(whole, 3)[2][1] + 30])
    elif how == "longer":
        here.write_bytes(here.read_bytes() + b"more")
    else:
        here.write_bytes(here.read_bytes()[: places(whole, 3)[2][1]])
    first = int(next(iter_frames(whole, 3, 0)).header.first_seq)
    plan = mend(tape, whole if with_copy else None)
    if with_copy or how == "longer":
        assert plan.lost is None and plan.kept_seq == 1200
    else:
        assert plan.kept_seq == first - 1 + (3 * FRAME if how in ("cut", "rolled back") else 0)
        assert plan.lost == (plan.kept_seq + 1, 1200)


def test_an_older_copy_helps_as_far_as_it_reaches(tmp_path, tape):
    """Damage in the copy's part and behind it: the first is mended, the tape ends before the second."""
    write(tmp_path / "copy", ROWS[:500])
    (a, b), *_ = places(tape, 2)
    flip(segment_path(tape, 2), (a + b) // 2)
    flip(segment_path(tape, 5), 200)
    plan = mend(tape, tmp_path / "copy")
    assert [step.ranges for step in plan.restored] == [((a, b),)]
    assert plan.lost and plan.lost[0] > 500 and plan.lost[1] == 1200


def test_another_tape_is_no_copy(tmp_path, tape):
    write(tmp_path / "other", some_rows(1200, 8))
    start, end = places(tape, 2)[1]
    flip(segment_path(tape, 2), (start + end) // 2)
    plan = mend(tape, tmp_path / "other")
    assert not plan.restored and plan.lost


def test_what_was_torn_is_left_to_the_writer(tape):
    path = segment_path(tape, 6)
    path.write_bytes(path.read_bytes() + b"half a frame")
    assert check_tape(tape).torn == 12
    assert plan_repair(tape).sound


def test_foreign_files_are_put_aside(tape):
    (tape / "notes to self.txt").write_text("x")
    (tape / "00000001 (copy).segment").write_bytes(b"")
    plan = mend(tape)
    assert len(plan.aside) == 2 and plan.lost is None
    assert (tape / "quarantine" / "notes to self.txt").read_text() == "x"


def test_a_tape_that_is_written_is_left_alone(tape):
    with TapeWriter(tape, SEGMENT), pytest.raises(TapeLocked), tape_to_ourselves(tape):
        pass


def seal_some(folder: Path, count: int = 3) -> None:
    """Seal the first `count` segments."""
    for _ in range(count):
        seal_segment(folder, start_of(folder))


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("what", ["rows", "manifest", "gone", "file"])
@pytest.mark.parametrize("copy_is", ["sealed", "frames", "none"])
@pytest.mark.sim
def test_sealed_parts(whole, tape, tmp_path, number, what, copy_is):
    seal_some(tape)
    copy = {"sealed": tmp_path / "copy", "frames": whole, "none": None}[copy_is]
    if copy_is == "sealed":
        shutil.copytree(tape, copy)
    part = tape / "sealed" / f"{number:08d}"
    first = int(next(iter_frames(whole, number, 0)).header.first_seq)
    if what == "rows":
        flip(part / "order.parquet", 1000)
    elif what == "manifest":
        flip(part / "manifest.json", 1000)
    elif what == "gone":
        shutil.rmtree(part)
    else:
        (part / "order.parquet").unlink()
    plan = mend(tape, copy)
    if copy is None:
        assert plan.lost == (first, 1200) and plan.kept_seq == first - 1
    else:
        assert plan.lost is None and plan.kept_seq == 1200 and len(plan.restored) == 1
    assert (tape / "quarantine").exists() or (what == "gone" and copy)


def test_a_repair_cut_short_is_repaired_again(whole, tape, monkeypatch):
    start, end = places(tape, 2)[1]
    flip(segment_path(tape, 2), (start + end) // 2)
    import adapters.tape.repair as module

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_write_watermark", stop)
        with pytest.raises(KeyboardInterrupt):
            repair(tape, plan_repair(tape))
    with pytest.raises(TapeCorrupt):
        check_tape(tape)
    plan = mend(tape)
    assert plan.kept_seq == int(next(iter_frames(whole, 2, 1)).header.first_seq) - 1


def test_copies_are_found(whole, tape, tmp_path):
    tape = tape.rename(tape.parent / whole.name)
    assert find_copy(tape, whole) == whole
    assert find_copy(tape, whole.parent) == whole
    home = tmp_path / "home" / "tapes" / "accounts"
    home.mkdir(parents=True)
    shutil.copytree(whole, home / whole.name)
    assert find_copy(tape, tmp_path / "home") == home / whole.name
    for nothing in (tmp_path / "nowhere", tape):
        with pytest.raises(NotFound, match="holds no copy"):
            find_copy(tape, nothing)
