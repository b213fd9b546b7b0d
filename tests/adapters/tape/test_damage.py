"""What a tape finds when it is opened: damage is named and left alone, a torn write put aside, all else is clean."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.tape.check import check_tape
from adapters.tape.frame import HEADER_BYTES, TRAILER
from adapters.tape.reader import read_rows
from adapters.tape.scan import Place, segment_path, segment_paths
from adapters.tape.watermark import NAME, SLOT, WatermarkFile, read_watermark
from adapters.tape.writer import TapeWriter
from kernel.errors import TapeCorrupt
from tests.adapters.tape.growing import SMALL, frames, must_be_corrupt, photograph, put_back, write
from tests.adapters.tape.rows import fresh_folder, gather, same, some_rows

NOTES = {1: "first", 5: "fünf"}
Five = tuple[Path, list[Place], np.ndarray]


@pytest.fixture
def five() -> Iterator[Five]:
    """A closed tape of five frames in three segments: 2 + 2 + 1."""
    rows = some_rows(10)
    with fresh_folder() as folder:
        write(folder, [rows[k : k + 2] for k in range(0, 10, 2)], NOTES)
        places = frames(folder)
        assert [p.path.name[:8] for p in places] == ["00000001"] * 2 + ["00000002"] * 2 + ["00000003"]
        yield folder, places, rows


def older(folder: Path, frame: Place) -> dict[str, bytes]:
    """The watermark file of a tape whose last durable frame was `frame`."""
    mark = WatermarkFile(folder, fresh=False)
    mark.now = read_watermark(folder)._replace(number=0, seq=0, segment=0, offset=0)
    for _ in range(2):  # both slots
        at = {"segment": int(frame.path.stem), "offset": frame.end, "sha": frame.header.sha}
        mark.move(number=frame.header.number, seq=frame.header.last_seq, **at)
    mark.close()
    return {NAME: (folder / NAME).read_bytes()}


# Damage ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_missing_segment_is_named(five, gone):
    """The last one as well: the watermark promises what was in it."""
    folder, places, _ = five
    segment_path(folder, gone).unlink()
    before = [place.header.last_seq for place in places if int(place.path.stem) < gone]
    named = max(gone, 2 if gone == 1 else 3)  # where the gap is seen: at the next segment, or at the place of the last
    error = must_be_corrupt(folder, segment_path(folder, named).name, 0)
    assert f"segment {gone} is missing" in str(error)
    assert error.seq == max(before, default=0) + 1


def test_all_segments_missing(five):
    folder, _, _ = five
    for path in segment_paths(folder):
        path.unlink()
    before = photograph(folder)
    with pytest.raises(TapeCorrupt, match="held 10 events in 5 frames"):
        TapeWriter(folder, SMALL)
    with pytest.raises(TapeCorrupt, match="segment 1 is missing"):
        gather(read_rows(folder))
    assert photograph(folder) == before


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 3), (1, 3)])
def test_swapped_segments_are_named(five, one, other):
    folder, places, _ = five
    a, b = segment_path(folder, one), segment_path(folder, other)
    content = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(content)
    must_be_corrupt(folder, a.name, 0)


@pytest.mark.parametrize(("source", "target"), [(1, 2), (1, 4), (2, 3), (3, 4)])
def test_a_doubled_segment_is_named(five, source, target):
    """In the place of another one, or after the last."""
    folder, _, rows = five
    path = segment_path(folder, target)
    shutil.copy(segment_path(folder, source), path)
    before = photograph(folder)
    with pytest.raises(TapeCorrupt) as refused:
        TapeWriter(folder, SMALL)
    assert (refused.value.segment, refused.value.offset) == (path.name, 0)
    assert photograph(folder) == before
    if target == 4:
        assert same(gather(read_rows(folder))[0], rows), "readers stop at the watermark"


@pytest.mark.parametrize("which", [1, 2, 3])
def test_a_segment_put_back_to_what_it_was(five, which):
    """A copy from before its last frame was written: whole in itself, and the watermark or what follows tells."""
    folder, places, _ = five
    path = segment_path(folder, which)
    last = [place for place in places if place.path == path][-1]
    path.write_bytes(path.read_bytes()[: last.offset])
    named = path.name if which == 3 else segment_path(folder, which + 1).name
    must_be_corrupt(folder, named, 0 if which < 3 else last.offset)


def test_a_frame_of_another_tape_breaks_the_chain(five, tmp_path):
    folder, _, rows = five
    write(tmp_path / "other", [rows[k : k + 2] for k in range(0, 10, 2)], {1: "First", 5: "fünf"})
    segment_path(folder, 2).write_bytes(segment_path(tmp_path / "other", 2).read_bytes())
    must_be_corrupt(folder, "00000002.segment", 0)


@pytest.mark.parametrize("reserved", [False, True], ids=["cut", "zeros"])
def test_an_inner_frame_cut_short(five, reserved):
    folder, places, _ = five
    for inner in (places[1], places[2], places[3]):
        whole = inner.path.read_bytes()
        for length in range(1, inner.header.length, 97):
            part = whole[: inner.offset + length]
            inner.path.write_bytes(part.ljust(len(whole), b"\0") if reserved else part)
            must_be_corrupt(folder, inner.path.name, inner.offset)
        inner.path.write_bytes(whole)


def test_damage_behind_an_old_watermark_is_told_by_later_frames(five):
    """A power cut can leave the watermark behind; what later frames and segments say was durable is promised too."""
    folder, places, _ = five
    files = {**photograph(folder), **older(folder, places[0])}
    for inner in places[1:4]:
        put_back(folder, files)
        content = files[inner.path.name]
        at = inner.offset + HEADER_BYTES + 5
        inner.path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(TapeCorrupt) as refused:
            TapeWriter(folder, SMALL)
        assert (refused.value.segment, refused.value.offset) == (inner.path.name, inner.offset)


@pytest.mark.parametrize("durable", [False, True], ids=["torn", "damaged"])
def test_the_frames_behind_a_bad_one_tell_damage_from_a_torn_write(tmp_path, durable):
    """All in one segment, the watermark behind: the third frame says whether the second was durable before it."""
    folder = tmp_path / "t"
    with TapeWriter(folder) as tape:
        for k, now in enumerate((True, durable, False)):
            tape.append(some_rows(2, k, 1 + 2 * k), durable=now)
    first, second, third = frames(folder)
    assert third.header.durable == (2 if durable else 1)
    older(folder, first)
    content = second.path.read_bytes()
    at = second.offset + HEADER_BYTES + 5
    damaged = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    second.path.write_bytes(damaged)
    if durable:
        with pytest.raises(TapeCorrupt, match="it was on disk when frame 3 was written") as refused:
            TapeWriter(folder)
        assert (refused.value.segment, refused.value.offset) == (second.path.name, second.offset)
    else:
        with TapeWriter(folder) as tape:
            assert tape.last_seq == 2
        [kept] = (folder / "quarantine").iterdir()
        assert kept.read_bytes() == damaged[second.offset :].rstrip(b"\0"), "the third frame is kept as well"


@pytest.mark.sim
def test_a_watermark_that_is_missing_short_or_blank(five):
    folder, _, rows = five
    path = folder / NAME
    content = path.read_bytes()
    for wrong in (None, b"", content[:SLOT], content[:-1], bytes(2 * SLOT)):
        path.unlink()
        if wrong is not None:
            path.write_bytes(wrong)
        before = photograph(folder)
        with pytest.raises(TapeCorrupt, match=NAME):
            TapeWriter(folder, SMALL)
        with pytest.raises(TapeCorrupt):
            check_tape(folder)
        assert photograph(folder) == before
        path.write_bytes(content)
    with TapeWriter(folder, SMALL) as tape:
        assert tape.last_seq == 10


def test_a_watermark_put_back_to_an_older_writers(tmp_path):
    folder = tmp_path / "t"
    write(folder, [some_rows(2)], {})
    old = (folder / NAME).read_bytes()
    write(folder, [some_rows(2, first_seq=3)], {})
    (folder / NAME).write_bytes(old)
    before = photograph(folder)
    with pytest.raises(TapeCorrupt, match="put back"):
        TapeWriter(folder, SMALL)
    assert photograph(folder) == before


# Torn -----------------------------------------------------------------------------------------------------------------


def unsynced(folder: Path, frame: Place) -> dict[str, bytes]:
    """The tape as a power cut may leave it before `frame`, the last one, was promised to anybody."""
    return {**photograph(folder), **older(folder, frame)}


def recovers_to(folder: Path, rows: np.ndarray, torn: bytes, name: str) -> None:
    """Opened, the tape holds the first eight rows; the torn bytes are kept, and it goes on in a new segment."""
    segment = int(name[:8])
    assert same(gather(read_rows(folder))[0], rows[:8])
    with TapeWriter(folder, SMALL) as tape:
        assert (tape.last_seq, tape.rows) == (8, 8)
        tape.append(rows[8:], {9: "again"})
    aside = folder / "quarantine"
    kept = {path.name: path.read_bytes() for path in aside.iterdir()} if aside.exists() else {}
    assert kept == ({name: torn} if torn else {})
    assert segment_path(folder, segment + 1).exists()
    got, notes = gather(read_rows(folder))
    assert same(got, rows) and notes == {**NOTES, 9: "again"}
    check_tape(folder)


def test_a_last_frame_nobody_was_promised_is_torn(five):
    """Whatever is wrong with it: any flipped bit."""
    folder, places, rows = five
    last, files = places[-1], unsynced(five[0], places[-2])
    content = files[last.path.name]
    for place in range(0, last.header.length, 23):
        at = last.offset + place
        damaged = content[:at] + bytes([content[at] ^ 1 << place % 8]) + content[at + 1 :]
        put_back(folder, {**files, last.path.name: damaged})
        recovers_to(folder, rows, damaged[last.offset :].rstrip(b"\0"), f"{last.path.stem}-{last.offset}.bin")


def cuts(length: int, step: int) -> list[int]:
    ends = {1, HEADER_BYTES - 1, HEADER_BYTES, length - TRAILER.size - 1, length - TRAILER.size, length - 8 + 1}
    return sorted({*range(0, length - 7, step), *ends})


def cut_the_last(five: Five, step: int) -> None:
    folder, places, rows = five
    last, files = places[-1], unsynced(five[0], places[-2])
    for length in cuts(last.header.length, step):
        part = files[last.path.name][: last.offset + length]
        for reserved in (b"", bytes(SMALL)):
            if reserved and not files[last.path.name][len(part) :].strip(b"\0"):
                continue  # what was cut off were zeros: nothing is lost
            put_back(folder, {**files, last.path.name: part + reserved})
            torn = part[last.offset :].rstrip(b"\0")
            if torn:
                recovers_to(folder, rows, torn, f"{last.path.stem}-{last.offset}.bin")
            else:
                with TapeWriter(folder, SMALL) as tape:
                    assert tape.last_seq == 8


def test_truncated_last_frame(five):
    cut_the_last(five, 31)


@pytest.mark.torture
def test_last_frame_truncated_at_every_byte(five):
    cut_the_last(five, 1)


def test_a_whole_last_frame_nobody_was_promised_is_kept(five):
    folder, places, rows = five
    put_back(folder, unsynced(folder, places[-2]))
    assert len(gather(read_rows(folder))[0]) == 8
    with TapeWriter(folder, SMALL) as tape:
        assert tape.last_seq == 10
    assert same(gather(read_rows(folder))[0], rows)


def test_empty_segment_reserved_before_a_crash(five):
    folder, _, rows = five
    segment_path(folder, 4).write_bytes(bytes(SMALL))
    assert same(gather(read_rows(folder))[0], rows)
    with TapeWriter(folder, SMALL) as tape:
        assert tape.last_seq == 10
        tape.append(some_rows(4, first_seq=11))
    assert len(gather(read_rows(folder))[0]) == 14
    assert not (folder / "quarantine").exists()
