"""Frames on disk: what was appended is read back, and any damage is named or quarantined, never passed over."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.tape.digest import TapeDigest
from adapters.tape.frame import EVENTS, HEADER_BYTES, MARK, TRAILER
from adapters.tape.reader import durable_seq, read_refs, read_rows
from adapters.tape.scan import Place, Scan, segments
from adapters.tape.writer import TapeWriter
from kernel.errors import NotFound, TapeCorrupt, TapeLocked
from tests.adapters.tape.rows import bytes_of, cut, fresh_folder, gather, make_rows, notes_in, same, some_rows, tapes

ROOT = Path(__file__).parents[3]
SMALL = 1_500  # bytes of a segment: two or three frames


def frames(folder: Path) -> list[Place]:
    return list(Scan(folder))


def digest_of(rows: np.ndarray, notes: dict[int, str]) -> str:
    digest = TapeDigest()
    digest.add(rows, notes)
    return digest.hex()


def write(folder: Path, pieces: list[np.ndarray], notes: dict[int, str], segment_bytes: int = SMALL) -> str:
    with TapeWriter(folder, segment_bytes) as tape:
        for piece in pieces:
            tape.append(piece, notes_in(notes, piece))
        return tape.tape_digest.hex()


@settings(max_examples=60)
@given(
    tapes(),
    st.lists(st.integers(0, 100), max_size=8),
    st.integers(200, 6_000),
    st.lists(st.booleans(), min_size=9, max_size=9),
    st.integers(0, 40),
)
def test_round_trip_with_any_framing(tape, cuts, segment_bytes, flags, from_seq):
    rows, notes = tape
    pieces = cut(rows, cuts)
    with fresh_folder() as folder:
        writer = TapeWriter(folder, segment_bytes)
        for k, piece in enumerate(pieces):
            writer.append(piece, notes_in(notes, piece), durable=flags[k])
            if not flags[k] and k % 2:
                writer.close()
                writer = TapeWriter(folder, segment_bytes)
        writer.close()
        got, texts = gather(read_rows(folder))
        assert same(got, rows) and texts == notes
        later = rows[rows["seq"] >= from_seq]
        got, texts = gather(read_rows(folder, from_seq))
        assert same(got, later) and texts == {seq: text for seq, text in notes.items() if seq >= from_seq}
        with TapeWriter(folder, segment_bytes) as again:
            assert again.tape_digest.hex() == writer.tape_digest.hex() == digest_of(rows, notes)
            assert (again.rows, again.last_seq) == (len(rows), int(rows["seq"][-1]))


def test_digest_tells_notes_and_references_apart(tmp_path):
    rows = some_rows(3)
    digests = {
        write(tmp_path / "plain", [rows], {}),
        write(tmp_path / "note", [rows], {1: "a"}),
        write(tmp_path / "other", [rows], {1: "b"}),
        write(tmp_path / "later", [rows], {2: "a"}),
    }
    with TapeWriter(tmp_path / "ref") as tape:
        tape.append(rows)
        tape.append_ref(b'{"count":7}', 10)
        digests.add(tape.tape_digest.hex())
    assert len(digests) == 5
    assert read_refs(tmp_path / "ref") == [{"count": 7}]
    with TapeWriter(tmp_path / "ref") as tape:
        assert tape.last_seq == 10
        with pytest.raises(AssertionError, match="in seq order"):
            tape.append(make_rows([65], 1, 10))
        tape.append(make_rows([65], 1, 11))
    assert gather(read_rows(tmp_path / "ref"))[0]["seq"].tolist() == [1, 2, 3, 11]


def test_a_reference_behind_the_rows_hides_none_of_them(tmp_path):
    with TapeWriter(tmp_path / "t") as tape:
        tape.append(some_rows(10))
        tape.append_ref(b'{"count":0}', 4)
    assert len(gather(read_rows(tmp_path / "t"))[0]) == 10
    with TapeWriter(tmp_path / "t") as tape:
        assert tape.last_seq == 10


def test_rows_must_follow(tmp_path):
    with TapeWriter(tmp_path / "t") as tape:
        tape.append(some_rows(5))
        for rows in (some_rows(2, first_seq=5), some_rows(2, first_seq=1), make_rows([65, 65], 1, 9, [0, -2])):
            with pytest.raises(AssertionError, match="in seq order"):
                tape.append(rows)
        tape.append(some_rows(0))
        tape.append(some_rows(1, first_seq=7))
    assert gather(read_rows(tmp_path / "t"))[0]["seq"].tolist() == [1, 2, 3, 4, 5, 7]


# Damage ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def five() -> Iterator[tuple[Path, list[Place], np.ndarray]]:
    """A closed tape of five frames in three segments: 2 + 2 + 1."""
    rows = some_rows(10)
    with fresh_folder() as folder:
        write(folder, [rows[k : k + 2] for k in range(0, 10, 2)], {1: "first", 5: "fünf"})
        places = frames(folder)
        assert [p.segment.name[:8] for p in places] == ["00000001"] * 2 + ["00000002"] * 2 + ["00000003"]
        yield folder, places, rows


def must_be_corrupt(folder: Path) -> None:
    """Both ways in refuse, and nothing in the folder changes."""
    before = bytes_of(folder)
    with pytest.raises(TapeCorrupt):
        gather(read_rows(folder))
    with pytest.raises(TapeCorrupt) as refused:
        TapeWriter(folder, SMALL)
    assert refused.value.exit_code == 65
    assert bytes_of(folder) == before


def flip(path: Path, whole: bytes, place: int, bit: int) -> None:
    path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])


def flip_inner_frames(five, bits) -> int:
    folder, places, _ = five
    flips = 0
    for inner in places[:-1]:
        whole = inner.segment.read_bytes()
        for place in range(inner.offset, inner.offset + inner.header.length):
            for bit in bits(place):
                flip(inner.segment, whole, place, bit)
                must_be_corrupt(folder)
                flips += 1
        inner.segment.write_bytes(whole)
    return flips


def test_a_flipped_bit_of_an_inner_frame_is_corrupt(five):
    """Every third byte, one bit of it; all bits of all bytes in the torture run."""
    assert flip_inner_frames(five, lambda place: [] if place % 3 else [place // 3 % 8]) > 700


@pytest.mark.torture
def test_every_flipped_bit_of_an_inner_frame_is_corrupt(five):
    assert flip_inner_frames(five, lambda place: range(8)) > 15_000


def test_a_flipped_bit_of_the_last_frame_is_torn(five):
    folder, places, rows = five
    last = places[-1]
    whole = bytes_of(folder)
    for place in range(0, last.header.length, 13):
        for path in folder.iterdir():
            path.unlink()
        for name, content in whole.items():
            (folder / name).write_bytes(content)
        flip(last.segment, last.segment.read_bytes(), last.offset + place, place % 8)
        damaged = last.segment.read_bytes()
        seen, _ = gather(read_rows(folder))
        assert len(seen) in (6, 8) and same(seen, rows[: len(seen)])  # as far as the last whole frame vouches for
        with TapeWriter(folder, SMALL) as tape:
            assert tape.last_seq == 8
            tape.append(rows[8:], {9: "again"})
        [torn] = folder.glob("torn-*.bin")
        assert torn.read_bytes() == damaged[last.offset :].rstrip(b"\0")
        got, notes = gather(read_rows(folder))
        assert same(got, rows) and notes == {1: "first", 5: "fünf", 9: "again"}


def truncate_last(five, step: int) -> None:
    folder, places, rows = five
    last, whole = places[-1], bytes_of(folder)
    lengths = {*range(0, last.header.length, step), 1, HEADER_BYTES - 1, HEADER_BYTES, last.header.length - 1,
               last.header.length - TRAILER.size, last.header.length - TRAILER.size - 1}  # fmt: skip
    for length in sorted(lengths):
        for reserved in (False, True):  # cut short, or never written into reserved space
            for path in folder.iterdir():
                path.unlink()
            for name, content in whole.items():
                (folder / name).write_bytes(content)
            part = whole[last.segment.name][: last.offset + length]
            if reserved and not any(whole[last.segment.name][len(part) :]):
                continue  # the bytes cut off were zeros: nothing is lost
            last.segment.write_bytes(part + bytes(SMALL) * reserved)
            with TapeWriter(folder, SMALL) as tape:
                assert (tape.last_seq, tape.rows) == (8, 8)
                tape.append(rows[8:])
            torn = list(folder.glob("torn-*.bin"))
            assert [t.read_bytes() for t in torn] == ([part[last.offset :].rstrip(b"\0")] if length else [])
            assert same(gather(read_rows(folder))[0], rows)


def test_truncated_last_frame(five):
    truncate_last(five, 31)


@pytest.mark.torture
def test_last_frame_truncated_at_every_byte(five):
    truncate_last(five, 1)


def test_truncated_inner_frame_is_corrupt(five):
    folder, places, _ = five
    for inner in (places[1], places[3]):
        whole = inner.segment.read_bytes()
        for length in range(0, inner.header.length, 97):
            inner.segment.write_bytes(whole[: inner.offset + length])
            must_be_corrupt(folder)
            inner.segment.write_bytes(whole[: inner.offset + length].ljust(len(whole), b"\0"))
            must_be_corrupt(folder)
        inner.segment.write_bytes(whole)


def test_missing_and_swapped_segments(five):
    folder, places, _ = five
    first, second, third = segments(folder)
    for gone in (first, second):
        whole = gone.read_bytes()
        gone.unlink()
        must_be_corrupt(folder)
        gone.write_bytes(whole)
    a, b = second.read_bytes(), third.read_bytes()
    second.write_bytes(b)
    third.write_bytes(a)
    must_be_corrupt(folder)
    second.write_bytes(a)
    third.write_bytes(b)
    assert len(frames(folder)) == len(places)


def test_a_frame_of_another_tape_breaks_the_chain(five, tmp_path):
    folder, _, rows = five
    write(tmp_path / "other", [rows[k : k + 2] for k in range(0, 10, 2)], {1: "First", 5: "fünf"})
    segments(folder)[1].write_bytes(segments(tmp_path / "other")[1].read_bytes())
    must_be_corrupt(folder)


def test_empty_segment_reserved_before_a_crash(five):
    folder, _, rows = five
    (folder / "00000004.segment").write_bytes(bytes(SMALL))
    assert same(gather(read_rows(folder))[0], rows)
    with TapeWriter(folder, SMALL) as tape:
        assert tape.last_seq == 10
        tape.append(some_rows(4, first_seq=11))
    assert len(gather(read_rows(folder))[0]) == 14
    assert not list(folder.glob("torn-*.bin"))


def test_what_is_no_tape(tmp_path):
    with pytest.raises(NotFound, match="no tape there"):
        gather(read_rows(tmp_path))
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "00000001.segment").write_bytes(b"\x93NUMPY" * 100)
    with TapeWriter(tmp_path / "t") as tape:  # nothing whole was ever in it: kept aside, then a new tape
        assert tape.last_seq == 0
        tape.append(some_rows(2))
    assert (tmp_path / "t" / "torn-00000001-0.bin").read_bytes() == b"\x93NUMPY" * 100


# Writers, readers, durability -----------------------------------------------------------------------------------------


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


def test_epoch_grows_with_every_writer(tmp_path):
    for k in range(4):
        with TapeWriter(tmp_path / "t", SMALL) as tape:
            tape.append(some_rows(2, first_seq=1 + 2 * k))
    found = [place.header for place in frames(tmp_path / "t")]
    assert [header.epoch for header in found if header.kind == EVENTS] == [1, 2, 3, 4]
    assert [header.number for header in found] == list(range(1, len(found) + 1))


def test_opening_hides_nothing_from_readers(tmp_path):
    """The last frame of a closed tape is durable; its own header could not say so when it was written."""
    folder = tmp_path / "t"
    for k in range(3):
        assert len(gather(read_rows(folder))[0]) == 2 * k if k else True
        with TapeWriter(folder) as tape:
            assert seen_by_reader(folder) == tape.last_seq if k else True
            tape.append(some_rows(2, first_seq=1 + 2 * k), durable=k % 2 == 0)
    size = sum(path.stat().st_size for path in folder.iterdir())
    for _ in range(3):
        TapeWriter(folder).close()
    assert sum(path.stat().st_size for path in folder.iterdir()) < size + 200  # one mark, not one an opening


def seen_by_reader(folder: Path) -> int:
    """Last seq a reader gets."""
    rows, _ = gather(read_rows(folder))
    assert durable_seq(folder) == (int(rows["seq"][-1]) if len(rows) else 0)
    return durable_seq(folder)


def test_watermark_and_idle_mark(tmp_path):
    folder, now = tmp_path / "t", [0.0]
    with TapeWriter(folder, group_commit_s=0.05, clock=lambda: now[0]) as tape:
        tape.append(some_rows(2), durable=False)
        assert (tape.last_seq, tape.durable_seq, seen_by_reader(folder)) == (2, 0, 0)
        now[0] = 0.049
        tape.tick()
        assert tape.durable_seq == 0
        now[0] = 0.051
        tape.tick()
        assert (tape.durable_seq, seen_by_reader(folder)) == (2, 0)  # known to the writer, not yet said on the tape
        for _ in range(3):
            now[0] += 0.051
            tape.tick()
        assert seen_by_reader(folder) == 2
        assert [place.header.kind for place in frames(folder)] == [EVENTS, MARK]  # one mark, however long it idles
        tape.append(some_rows(2, first_seq=3))
        assert (tape.durable_seq, seen_by_reader(folder)) == (4, 2)
        tape.append(some_rows(2, first_seq=5), durable=False)
        assert (tape.durable_seq, seen_by_reader(folder)) == (4, 4)  # the next frame carries the watermark
    assert seen_by_reader(folder) == 6
    rows, notes = gather(read_rows(folder))
    with TapeWriter(folder) as tape:
        assert tape.tape_digest.hex() == digest_of(rows, notes)  # marks are in no digest


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.sampled_from([0.0, 0.06])), max_size=12), st.data())
def test_readers_never_see_beyond_the_durable_seq(steps, data):
    """Whatever the sizes: also when a frame fills its segment to the last byte."""
    now = [0.0]
    with fresh_folder() as folder:
        exact = data.draw(st.sampled_from([400, 544, 600, 800, 1_072, SMALL]))
        with TapeWriter(folder, exact, 0.05, lambda: now[0]) as tape:
            for count, durable, later in steps:
                tape.append(some_rows(count, first_seq=tape.last_seq + 1), durable=durable)
                assert seen_by_reader(folder) <= tape.durable_seq
                now[0] += later
                tape.tick()
                assert seen_by_reader(folder) <= tape.durable_seq


def test_a_frame_that_fills_its_segment_is_not_taken_for_a_clean_end(tmp_path):
    with TapeWriter(tmp_path / "probe") as tape:
        tape.append(some_rows(2))
    length = frames(tmp_path / "probe")[0].header.length
    for size in (length - 1, length, 2 * length):
        folder = tmp_path / f"t{size}"
        with TapeWriter(folder, size) as tape:
            for k in range(4):
                tape.append(some_rows(2, first_seq=1 + 2 * k), durable=False)
                assert durable_seq(folder) <= tape.durable_seq
