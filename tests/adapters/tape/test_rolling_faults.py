"""Sealing that is cut short, or meets damage: at every moment all events are there, and frames go last."""

import os
import shutil
from pathlib import Path

import pytest

from adapters.disk import Disk
from adapters.tape import sealed
from adapters.tape.check import check_tape
from adapters.tape.frame import EVENTS, HEADER_BYTES, pack_header
from adapters.tape.parts import sealed_parts, start_of
from adapters.tape.reader import read_rows
from adapters.tape.rolling import seal_closed, seal_segment
from adapters.tape.scan import segment_path
from adapters.tape.watermark import read_watermark
from adapters.tape.writer import TapeWriter
from kernel.errors import TapeCorrupt, TapeLocked
from tests.adapters.tape.growing import SMALL, digest_of, frames, photograph, put_back, segment_names, write
from tests.adapters.tape.rows import fresh_folder, gather, same, some_rows
from tests.adapters.tape.test_poison import FailingDisk

# Crashes --------------------------------------------------------------------------------------------------------------


class Crashed(BaseException):
    """The process ended here."""


class CrashingDisk(Disk):
    """The process ends at the `number`-th call, before or after it is done. `calls` are those made."""

    def __init__(self, number: int, after: bool) -> None:
        self.number, self.after = number, after
        self.calls: list[str] = []


def _crashing(call: str):
    def do(self, *args):
        self.calls.append(call)
        place = len(self.calls)
        if place > self.number or (place == self.number and not self.after):
            raise Crashed
        found = getattr(Disk, call)(self, *args)
        if place == self.number:
            raise Crashed
        return found

    return do


STEPS = ("open", "write", "sync", "truncate", "rename", "remove", "make_folder", "sync_folder", "sync_file")
for _call in STEPS:
    setattr(CrashingDisk, _call, _crashing(_call))


def count_steps(folder: Path) -> int:
    disk = CrashingDisk(10**6, False)
    seal_closed(folder, disk=disk)
    assert set(disk.calls) == set(STEPS), "a step that is taken is a step to crash at"
    return len(disk.calls)


@pytest.mark.sim
@pytest.mark.parametrize("after", [False, pytest.param(True, marks=pytest.mark.sim)], ids=["before", "after"])
def test_a_crash_at_any_step(after):
    """The process ends; tests/simulation/test_upkeep.py takes the power away as well."""
    rows, notes = some_rows(10), {1: "x", 10: "y"}
    with fresh_folder() as folder:
        write(folder, [rows[k : k + 2] for k in range(0, 10, 2)], notes)
        whole = photograph(folder)
        steps = count_steps(folder)
        assert steps > 20
        for number in range(1, steps + 1, 3 - 2 * after):  # `just sim` has every step
            put_back(folder, whole)
            with pytest.raises(Crashed):
                seal_closed(folder, disk=CrashingDisk(number, after))
            got, texts = gather(read_rows(folder))
            assert same(got, rows) and texts == notes, f"step {number}"
            check_tape(folder)
            with TapeWriter(folder, SMALL) as tape:
                assert tape.tape_digest.hex() == digest_of(rows, notes)
            seal_closed(folder)
            assert segment_names(folder) == ["00000003.segment"] and len(sealed_parts(folder)) == 2
            assert same(gather(read_rows(folder))[0], rows)
            assert check_tape(folder).digest.hex() == digest_of(rows, notes)


def test_a_seal_that_fails_leaves_nothing(grown):
    """A disk that is full at any of its calls: the frames stay, and half a part does not take room for good."""
    before, number = photograph(grown), 0
    while True:
        number += 1
        disk = FailingDisk(number, "write")
        try:
            seal_closed(grown, disk=disk)
        except OSError:
            assert not list((grown / "sealed").glob(".*")), "half a part"
            assert before.items() >= {n: c for n, c in photograph(grown).items() if n.endswith("segment")}.items()
        else:
            break
    assert number > 2 and len(sealed_parts(grown)) == 4
    check_tape(grown)


def test_a_segment_left_over_by_a_crash_counts_for_nothing(grown):
    """Its part is sealed: whatever the file holds, nobody reads it, and the next seal removes it."""
    rows, notes = gather(read_rows(grown))
    left = segment_path(grown, 4).read_bytes()
    seal_closed(grown)
    for content in (left, left[:50], b""):
        segment_path(grown, 4).write_bytes(content)
        got, texts = gather(read_rows(grown))
        assert same(got, rows) and texts == notes
        assert check_tape(grown).rows == 18
        with TapeWriter(grown, SMALL) as tape:
            assert tape.rows == 18
    seal_closed(grown)
    assert segment_names(grown) == ["00000005.segment"]


# Frames stay until their Parquet is known to be right -----------------------------------------------------------------


def refused(folder: Path) -> TapeCorrupt:
    before = photograph(folder)
    with pytest.raises(TapeCorrupt) as error:
        seal_closed(folder, whole=True)
    assert photograph(folder) == before and not sealed_parts(folder), "frames must stay as they are"
    return error.value


def test_a_damaged_segment_is_not_sealed(grown):
    path, places = segment_path(grown, 1), frames(grown)
    content = path.read_bytes()
    for frame in places[:2]:
        for place in range(frame.offset, frame.end, 41):
            path.write_bytes(content[:place] + bytes([content[place] ^ 8]) + content[place + 1 :])
            error = refused(grown)
            assert (error.segment, error.offset) == (path.name, frame.offset)
    path.write_bytes(content[: places[1].offset])  # a whole frame less: the next segment does not follow
    assert refused(grown).segment == "00000002.segment"
    path.write_bytes(content)
    last = segment_path(grown, 5)
    seal_closed(grown)
    last.write_bytes(b"")
    with pytest.raises(TapeCorrupt, match="it was on disk"):
        seal_closed(grown, whole=True)


def closed_by_a_kill(folder: Path, frame_count: int = 4) -> Path:
    """One segment of frames of two rows whose writer was killed; the next one came, appended nothing and left."""
    tape = TapeWriter(folder, 8_000)
    for k in range(frame_count):
        tape.append(some_rows(2, k, 1 + 2 * k))
    tape._give_up()
    TapeWriter(folder, 8_000).close()
    mark = read_watermark(folder)
    assert (mark.segment, mark.offset, mark.number) == (2, 0, frame_count)
    return segment_path(folder, 1)


@pytest.mark.parametrize("whole", [False, True], ids=["beside", "whole"])
@pytest.mark.parametrize("lost", [1, 2, 4])
def test_a_closed_segment_that_lost_its_last_frames_is_not_sealed(tmp_path, lost, whole):
    """Nothing follows it, and the watermark is in the next one: what it promised is asked all the same."""
    path = closed_by_a_kill(tmp_path / "t")
    end = frames(tmp_path / "t")[-lost].offset
    os.truncate(path, end)
    before = photograph(tmp_path / "t")
    with pytest.raises(TapeCorrupt, match="damaged") as error:
        seal_closed(tmp_path / "t", whole)
    assert error.value.offset == end and photograph(tmp_path / "t") == before


def test_nothing_is_sealed_while_anything_is_damaged(grown):
    """Damage far behind: the segments before it would be sealed, and then the repair has fewer frames to hold on to."""
    path, place = segment_path(grown, 4), frames(grown)[7]
    content = path.read_bytes()
    at = place.offset + HEADER_BYTES + 5
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    before = photograph(grown)
    with pytest.raises(TapeCorrupt) as error:
        seal_closed(grown)
    assert (error.value.segment, error.value.offset) == (path.name, place.offset)
    assert photograph(grown) == before


def test_a_torn_end_waits_for_a_writer(tmp_path):
    """It is no damage, as `verify` says too: 75, what to do, and all else can be sealed meanwhile."""
    folder = tmp_path / "t"
    write(folder, [some_rows(2, k, 1 + 2 * k) for k in range(3)], {})
    path = segment_path(folder, 2)
    path.write_bytes(path.read_bytes() + b"ONETAPE\x01 half a frame")
    assert check_tape(folder).torn == 21
    before = photograph(folder)
    with pytest.raises(TapeLocked, match=r"21 bytes of a write that was cut short: `onetape live`") as refused:
        seal_closed(folder, whole=True)
    assert refused.value.exit_code == 75 and photograph(folder) == before
    assert len(seal_closed(folder)) == 1
    TapeWriter(folder, SMALL).close()
    assert len(seal_closed(folder, whole=True)) == 1 and check_tape(folder).rows == 6


def test_parquet_that_is_not_what_the_frames_hold_is_not_kept(grown, monkeypatch):
    to_table = sealed.to_table

    def wrong(family, rows):
        rows = rows.copy()
        rows["ts_init"][-1] += 1
        return to_table(family, rows)

    monkeypatch.setattr(sealed, "to_table", wrong)
    assert "tape digest" in str(refused(grown))
    monkeypatch.undo()
    monkeypatch.setattr(sealed, "_write_notes", lambda folder, notes: _no_notes(folder))
    write(grown.with_name("noted"), [some_rows(2)], {1: "lost"})
    assert "tape digest" in str(refused(grown.with_name("noted")))


def _no_notes(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("seq", pa.int64()), ("note", pa.string())])
    pq.write_table(pa.table({"seq": [], "note": []}, schema), folder / "notes.parquet")


def test_a_frame_whose_digest_is_not_that_of_its_rows_is_refused(tmp_path):
    """Every checksum right, and yet not what was written: by the sealer and by the next writer."""
    folder = tmp_path / "t"
    write(folder, [some_rows(2)], {})
    [frame] = frames(folder)
    head = frame.header
    forged = pack_header(EVENTS, head.epoch, 1, (1, 2), 2, bytes(frame.body), 0, head.previous, bytes(32))
    content = frame.path.read_bytes()
    frame.path.write_bytes(forged + content[HEADER_BYTES:])
    assert "tape digest" in str(refused(folder))
    with pytest.raises(TapeCorrupt, match="tape digest"):
        seal_segment(folder, start_of(folder))  # as `repair` calls it
    with pytest.raises(TapeCorrupt, match="tape digest") as found:
        TapeWriter(folder)
    assert (found.value.segment, found.value.offset, found.value.seq) == (frame.path.name, 0, 1)


# Damage of sealed parts -----------------------------------------------------------------------------------------------


def test_missing_exchanged_and_old_parts_are_named(grown):
    seal_closed(grown)
    whole = photograph(grown)
    parts = {k: {n: c for n, c in whole.items() if n.startswith(f"sealed/{k:08d}/")} for k in (1, 2, 3, 4)}
    for k in (1, 2, 4):
        put_back(grown, {n: c for n, c in whole.items() if n not in parts[k]})
        for touch in (TapeWriter, check_tape):
            with pytest.raises(TapeCorrupt):
                touch(grown)
    for a, b in ((1, 2), (2, 4), (3, 4)):
        put_back(grown, whole)
        for k, other in ((a, b), (b, a)):
            shutil.rmtree(grown / "sealed" / f"{k:08d}")
            moved = {n.replace(f"{other:08d}", f"{k:08d}"): c for n, c in parts[other].items()}
            for name, content in moved.items():
                (grown / name).parent.mkdir(exist_ok=True)
                (grown / name).write_bytes(content)
        with pytest.raises(TapeCorrupt, match=f"{a:08d}"):
            TapeWriter(grown, SMALL)
    put_back(grown, whole)
    check_tape(grown)


@pytest.mark.sim
def test_flipped_bits_of_a_sealed_part_are_found(grown):
    """By `check_tape` in any file of any part; by the next writer in the rows it goes on from."""
    seal_closed(grown)
    paths = sorted(path for path in (grown / "sealed").rglob("*") if path.is_file())
    for path in paths:
        content = path.read_bytes()
        for place in range(0, len(content), max(1, len(content) // 5)):
            path.write_bytes(content[:place] + bytes([content[place] ^ 2]) + content[place + 1 :])
            with pytest.raises(TapeCorrupt) as found:
                check_tape(grown)
            assert path.parent.name in str(found.value)
        path.write_bytes(content)
    check_tape(grown)
