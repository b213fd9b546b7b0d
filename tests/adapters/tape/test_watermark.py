"""The watermark is damaged, put back or gone: it is named, or nothing can be lost by it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.tape import scan, watermark
from adapters.tape.check import check_tape
from adapters.tape.parts import start_of
from adapters.tape.reader import Tail, durable_seq, read_rows
from adapters.tape.repair import plan_repair, repair
from adapters.tape.rolling import seal_closed, seal_segment
from adapters.tape.scan import segment_paths
from adapters.tape.watermark import LENGTH, NAME, SLOT, Watermark, WatermarkFile, pack_slots, read_watermark
from adapters.tape.writer import BALLAST, QUARANTINE, TapeWriter
from kernel.errors import TapeCorrupt
from tests.adapters.tape.growing import SMALL, frames, photograph, put_back, write
from tests.adapters.tape.rows import gather, same, some_rows

SECTOR = 512
ROWS = some_rows(18)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A slot is not being written here: no need to wait for it."""
    monkeypatch.setattr(watermark, "PAUSE_SECONDS", 0)


def touches(folder: Path) -> list[Callable[[], object]]:
    """All that opens a tape."""
    return [
        lambda: TapeWriter(folder, SMALL),
        lambda: check_tape(folder),
        lambda: gather(read_rows(folder)),
        lambda: durable_seq(folder),
        lambda: seal_closed(folder),
        lambda: seal_closed(folder, whole=True),
    ]


def refused(folder: Path, match: str = NAME) -> None:
    """By whoever opens it, with 65, and left as it is."""
    before = photograph(folder)
    for touch in touches(folder):
        with pytest.raises(TapeCorrupt, match=match) as error:
            touch()
        assert error.value.exit_code == 65
    assert photograph(folder) == before


def histories(folder: Path) -> list[bytes]:
    """The watermark file after each thing a writer did, while it makes a tape of nine frames in five segments."""
    found = []
    for first in (0, 10):
        with TapeWriter(folder, SMALL) as tape:
            found.append((folder / NAME).read_bytes())
            for k in range(first, 18 if first else 10, 2):
                tape.append(ROWS[k : k + 2])
                found.append((folder / NAME).read_bytes())
    return found


def test_a_tape_begins_with_two_slots(tmp_path):
    """So that a blank one is damaged, however young the tape is."""
    WatermarkFile(tmp_path, fresh=True).close()
    assert read_watermark(tmp_path) == Watermark(counter=1)
    content = (tmp_path / NAME).read_bytes()
    for place in (0, SLOT):
        (tmp_path / NAME).write_bytes(content[:place] + bytes(SLOT) + content[place + SLOT :])
        with pytest.raises(TapeCorrupt, match=f"slot {1 + place // SLOT} of 2 is damaged"):
            read_watermark(tmp_path)


@pytest.mark.parametrize("which", ["first", "second", "both"])
def test_slots_that_are_blank(grown, which):
    content = (grown / NAME).read_bytes()
    for place in {"first": [0], "second": [1], "both": [0, 1]}[which]:
        content = content[: place * SLOT] + bytes(SLOT) + content[(place + 1) * SLOT :]
    (grown / NAME).write_bytes(content)
    refused(grown, f"slot {2 if which == 'second' else 1} of 2 is damaged")
    with_repair(grown)


def with_repair(folder: Path) -> None:
    """The frames are whole: the watermark is made anew, and all events are there."""
    repair(folder, plan_repair(folder))
    assert check_tape(folder).anchor.seq == 18
    assert same(gather(read_rows(folder))[0], ROWS)


@pytest.mark.sim
@pytest.mark.parametrize(
    "wrong", [bytes(SECTOR), b"\xff" * SECTOR, b"ONETAPE\x01" * (SECTOR // 8)], ids=["zeros", "ones", "frames"]
)
def test_sectors_that_are_lost_or_misdirected(grown, wrong):
    """Each sector of the file: it is named, or it held nothing but what it holds now."""
    content, named = (grown / NAME).read_bytes(), 0
    for at in range(0, 2 * SLOT, SECTOR):
        changed = content[:at] + wrong + content[at + SECTOR :]
        (grown / NAME).write_bytes(changed)
        if changed == content:
            check_tape(grown)
        else:
            refused(grown)
            named += 1
    assert named == (2 if wrong == bytes(SECTOR) else 2 * SLOT // SECTOR)


def test_slots_in_each_others_place(grown):
    content = (grown / NAME).read_bytes()
    for changed in (content[SLOT:] + content[:SLOT], content[:SLOT] * 2, content[SLOT:] * 2):
        (grown / NAME).write_bytes(changed)
        refused(grown)


def test_bytes_behind_the_slots(grown):
    content = (grown / NAME).read_bytes()
    for stray in (b"x", b"\0", bytes(SLOT), content):
        (grown / NAME).write_bytes(content + stray)
        refused(grown, f"{len(stray)} bytes follow its two slots")
    with_repair(grown)
    assert (grown / NAME).stat().st_size == 2 * SLOT


def test_each_slot_put_back_to_each_of_its_states(tmp_path):
    """One slot, or the whole file. It is named; or a power cut may leave the same, and then all events are recovered.

    A reader sees no more than the watermark says, so before the next writer came it sees a beginning of the tape.
    """
    folder = tmp_path / "t"
    past = histories(folder)
    whole, now = photograph(folder), (folder / NAME).read_bytes()
    states = {old[:SLOT] + now[SLOT:] for old in past} | {now[:SLOT] + old[SLOT:] for old in past} | set(past)
    named = 0
    for state in sorted(states - {now}):
        put_back(folder, {**whole, NAME: state})
        try:
            seen = gather(read_rows(folder))[0]
            assert seen.tobytes() == ROWS[: len(seen)].tobytes() and len(seen) >= 12, "not far behind"
            with TapeWriter(folder, SMALL) as tape:
                assert tape.last_seq == 18
        except TapeCorrupt:
            put_back(folder, {**whole, NAME: state})
            refused(folder)
            named += 1
    assert named > len(past) / 2, "all but those of the last two segments and the last writer"


def test_a_watermark_put_back_to_the_beginning_is_no_empty_tape(grown):
    """`tape show` printed nothing, with status 0."""
    (grown / NAME).write_bytes(pack_slots(Watermark(counter=1)))
    refused(grown, "put back to what it was")
    (grown / NAME).write_bytes(pack_slots(Watermark(counter=2, epoch=99)))  # as the next writer would leave it
    refused(grown, r"speaks of segment 0, 0000000[2-5].segment was begun")
    with_repair(grown)


def test_a_reader_beside_a_writer_that_has_synced_nothing_yet(tmp_path):
    """The first frames of a tape are there and promised to nobody: an empty tape, not a damaged one."""
    with TapeWriter(tmp_path / "t", SMALL) as tape:
        tape.append(ROWS[:2], durable=False)
        assert list(Tail(tmp_path / "t").poll()) == [] and check_tape(tmp_path / "t").anchor.seq == 0


def test_a_writer_that_goes_on_meanwhile_is_no_damage(grown, monkeypatch):
    """Read, then written in two more segments, then compared with what is there: it is read again."""
    really, looks = scan.read_watermark, []

    def slowly(folder):
        mark = really(folder)
        if not looks:
            with TapeWriter(folder, SMALL) as tape:
                for k in range(6):
                    tape.append(some_rows(2, k, tape.last_seq + 1))
        looks.append(mark)
        return mark

    monkeypatch.setattr(scan, "read_watermark", slowly)
    assert len(gather(read_rows(grown))[0]) == 30 and len(looks) > 1


def test_the_watermark_of_release_1(tmp_path):
    """It began with blank slots, and its first writer left one of them; no frame was written by then."""
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / NAME).write_bytes(bytes(SLOT) + Watermark(counter=1, epoch=1).pack().ljust(SLOT, b"\0"))
    assert list(Tail(folder).poll()) == [] and check_tape(folder).rows == 0
    with TapeWriter(folder) as tape:
        tape.append(ROWS[:2])
    assert read_watermark(folder).epoch == 2
    for mark in (Watermark(counter=1), Watermark(counter=3, epoch=1), Watermark(counter=1, epoch=2)):
        (folder / NAME).write_bytes(bytes(SLOT) + mark.pack().ljust(SLOT, b"\0"))
        refused(folder, "slot 1 of 2 is damaged")


def test_a_slot_that_is_being_written_is_looked_at_again(grown, monkeypatch):
    """Without haste: whoever writes it may not have the processor."""
    content, pauses = (grown / NAME).read_bytes(), []
    (grown / NAME).write_bytes(content[: LENGTH - 4] + bytes(4) + content[LENGTH:])

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            (grown / NAME).write_bytes(content)

    monkeypatch.setattr(watermark, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(watermark.time, "sleep", pause)
    assert read_watermark(grown).seq == 18 and pauses == [0.001] * 3


# No watermark ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [BALLAST, "sources.json", f"{QUARANTINE}/"])
def test_a_tape_that_is_gone_is_not_begun_anew(tmp_path, left):
    """Everything but what stood beside it: at seq 1 it would be another tape of the same name."""
    folder = tmp_path / "t"
    write(folder, [ROWS[:2]], {})
    for path in [*segment_paths(folder), folder / NAME]:
        path.unlink()
    TapeWriter(tmp_path / "locks are no tape").close()
    if left.endswith("/"):
        (folder / left).mkdir()
    else:
        (folder / left).write_bytes(b"{}")
    before = photograph(folder)
    with pytest.raises(TapeCorrupt, match=f"holds {left.rstrip('/')}, and neither a watermark nor frames") as error:
        TapeWriter(folder)
    assert error.value.exit_code == 65 and photograph(folder) == before


@pytest.mark.parametrize("content", ["frames", "zeros", "nothing", "sealed"])
def test_segments_without_a_watermark(grown, content):
    if content == "sealed":
        seal_closed(grown, whole=True)
    (grown / NAME).unlink()
    for path in segment_paths(grown):
        path.write_bytes({"frames": path.read_bytes(), "zeros": bytes(SMALL), "nothing": b""}[content])
    before = photograph(grown)
    with pytest.raises(TapeCorrupt, match="watermark is missing"):
        TapeWriter(grown, SMALL)
    assert photograph(grown) == before


def test_what_a_crash_leaves_of_a_tape_that_was_being_begun(tmp_path):
    """Locks and half a watermark: it is begun again."""
    folder = tmp_path / "t"
    folder.mkdir()
    for name in ("writer.lock", "sealer.lock"):
        (folder / name).touch()
    (folder / f"{NAME}.tmp").write_bytes(bytes(100))
    with TapeWriter(folder) as tape:
        tape.append(ROWS[:2])
    assert check_tape(folder).rows == 2


# A part without its last frames ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("followed", [False, True], ids=["last", "followed"])
@pytest.mark.parametrize("copy_is", ["frames", "sealed", "as short", "none"])
def test_a_sealed_part_without_its_last_frames_comes_back(tmp_path, copy_is, followed):
    """Sealed by a release that did not look: whole in itself, and what follows or was promised tells."""
    folder, copy = tmp_path / "t", tmp_path / "copy"
    tape = TapeWriter(folder, 8_000)
    for k in range(4):
        tape.append(ROWS[2 * k : 2 * k + 2])
    tape._give_up()
    TapeWriter(folder, 8_000).close()
    if followed:
        with TapeWriter(folder, 8_000) as tape:
            tape.append(ROWS[8:10])
    shutil.copytree(folder, copy)
    later = [(path, path.read_bytes()) for path in segment_paths(folder)[1:]]
    for path, _ in later:
        path.unlink()
    path = segment_paths(folder)[0]
    path.write_bytes(path.read_bytes()[: frames(folder)[-1].offset])
    seal_segment(folder, start_of(folder))
    for path, content in later:
        path.write_bytes(content)
    if copy_is == "sealed":
        seal_closed(copy)
    elif copy_is == "as short":
        shutil.rmtree(copy)
        shutil.copytree(folder, copy)
    with pytest.raises(TapeCorrupt):
        check_tape(folder)
    plan = plan_repair(folder, None if copy_is == "none" else copy)
    repair(folder, plan)
    end = check_tape(folder).anchor.seq
    if copy_is in ("frames", "sealed"):
        assert plan.lost is None and end == (10 if followed else 8)
        assert (folder / QUARANTINE / "sealed-00000001" / "manifest.json").exists(), "the short one is kept"
    else:
        assert plan.lost == (7, 10 if followed else 8) and end == 6
    assert same(gather(read_rows(folder))[0], ROWS[:end])
    with TapeWriter(folder, 8_000) as tape:
        tape.append(ROWS[end : end + 2])
    check_tape(folder)
