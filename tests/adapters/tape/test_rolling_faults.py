"""Sealing that is cut short, or meets damage: at every moment all events are there, and frames go last."""

import os
import shutil
from pathlib import Path

import pytest

from adapters.tape import rolling, sealed
from adapters.tape.check import check_tape
from adapters.tape.frame import EVENTS, HEADER_BYTES, pack_header
from adapters.tape.parts import sealed_parts
from adapters.tape.reader import read_rows
from adapters.tape.rolling import seal_closed
from adapters.tape.scan import segment_path
from adapters.tape.writer import TapeWriter
from kernel.errors import TapeCorrupt
from tests.adapters.tape.growing import SMALL, digest_of, frames, photograph, put_back, segment_names, write
from tests.adapters.tape.rows import fresh_folder, gather, same, some_rows

# Crashes --------------------------------------------------------------------------------------------------------------


class Crashed(BaseException):
    """The process ended here."""


STEPS = [
    (rolling, "make_folder"),
    (rolling, "sync_folder"),
    (rolling, "check_rows"),
    (sealed, "sync_file"),
    (sealed, "write_whole"),
    (os, "rename"),
    (os, "replace"),
    (Path, "unlink"),
]


def crash_at(patch: pytest.MonkeyPatch, number: int, after: bool) -> list[str]:
    """Have the process end at the `number`-th step, before or after it is done; returns the steps, as they are taken."""
    taken: list[str] = []

    def step(name, really):
        def do(*args, **named):
            taken.append(name)
            is_it = len(taken) == number
            if is_it and not after:
                raise Crashed
            found = really(*args, **named)
            if is_it:
                raise Crashed
            return found

        return do

    for place, name in STEPS:
        patch.setattr(place, name, step(name, getattr(place, name)))
    return taken


def count_steps(folder: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        taken = crash_at(patch, 10**6, False)
        seal_closed(folder)
    assert set(taken) == {name for _, name in STEPS}, "a step that is taken is a step to crash at"
    return len(taken)


@pytest.mark.parametrize("after", [False, pytest.param(True, marks=pytest.mark.sim)], ids=["before", "after"])
def test_a_crash_at_any_step(after):
    rows, notes = some_rows(10), {1: "x", 10: "y"}
    with fresh_folder() as folder:
        write(folder, [rows[k : k + 2] for k in range(0, 10, 2)], notes)
        whole = photograph(folder)
        steps = count_steps(folder)
        assert steps > 20
        for number in range(1, steps + 1, 2 - after):  # `just sim` has every step
            put_back(folder, whole)
            with pytest.MonkeyPatch.context() as patch:
                crash_at(patch, number, after)
                with pytest.raises(Crashed):
                    seal_closed(folder)
            got, texts = gather(read_rows(folder))
            assert same(got, rows) and texts == notes, f"step {number}"
            check_tape(folder)
            with TapeWriter(folder, SMALL) as tape:
                assert tape.tape_digest.hex() == digest_of(rows, notes)
            seal_closed(folder)
            assert segment_names(folder) == ["00000003.segment"] and len(sealed_parts(folder)) == 2
            assert same(gather(read_rows(folder))[0], rows)
            assert check_tape(folder).digest.hex() == digest_of(rows, notes)


def test_all_of_a_part_is_synced_before_its_frames_go(grown, monkeypatch):
    """The order a power cut needs: files, their folder, the part's name, and then the frames."""
    done: list[tuple[str, str]] = []

    def noted(place, name):
        really = getattr(place, name)

        def do(path, *others):
            really(path, *others)
            done.append((name, Path(path).relative_to(grown).as_posix()))

        monkeypatch.setattr(place, name, do)

    for place, name in ((rolling, "sync_folder"), (sealed, "sync_file"), (os, "rename"), (Path, "unlink")):
        noted(place, name)
    seal_closed(grown)
    unfinished, part = "sealed/.00000001.part", grown / "sealed" / "00000001"
    gone = done.index(("unlink", "00000001.segment"))
    renamed = done.index(("rename", unfinished))
    assert done.index(("sync_folder", unfinished)) < renamed < done.index(("sync_folder", "sealed"), renamed) < gone
    for path in part.glob("*.parquet"):
        assert done.index(("sync_file", f"{unfinished}/{path.name}")) < renamed


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
    before = {name: content for name, content in photograph(folder).items() if ".part/" not in name}
    with pytest.raises(TapeCorrupt) as error:
        seal_closed(folder, whole=True)
    after = {name: content for name, content in photograph(folder).items() if ".part/" not in name}
    assert after == before and not sealed_parts(folder), "frames must stay as they are"
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
