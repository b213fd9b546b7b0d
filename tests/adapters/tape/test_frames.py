"""Frames on disk: what was appended is read back, however it was framed, closed and taken up again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.tape.frame import EVENTS
from adapters.tape.reader import read_refs, read_rows
from adapters.tape.scan import segment_paths
from adapters.tape.writer import TapeWriter
from kernel.errors import NotFound, TapeCorrupt
from tests.adapters.tape.growing import SMALL, digest_of, frames, write
from tests.adapters.tape.rows import cut, fresh_folder, gather, make_rows, notes_in, same, some_rows, tapes


@settings(max_examples=30)
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


def test_frames_say_who_wrote_them_and_what_was_durable(tmp_path):
    """Numbers without a gap, the writer's epoch, and as `durable` never more than was synced before the frame."""
    for k in range(4):
        with TapeWriter(tmp_path / "t", SMALL) as tape:
            tape.append(some_rows(2, first_seq=1 + 4 * k), durable=k % 2 == 0)
            tape.append(some_rows(2, first_seq=3 + 4 * k), durable=False)
    headers = [place.header for place in frames(tmp_path / "t")]
    assert [header.number for header in headers] == list(range(1, 9))
    assert [header.epoch for header in headers] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert {header.kind for header in headers} == {EVENTS}
    assert [header.durable for header in headers] == [0, 1, 2, 2, 4, 5, 6, 6]


def test_a_tape_closed_in_good_order_goes_on_in_the_same_segment(tmp_path):
    """Opening and closing leaves no trace in the segments: no frame, no byte, however often."""
    folder, rows = tmp_path / "t", some_rows(8)
    for k in range(0, 8, 2):
        with TapeWriter(folder) as tape:
            tape.append(rows[k : k + 2], durable=k % 4 == 0)
    [only] = segment_paths(folder)
    whole = only.read_bytes()
    for _ in range(3):
        TapeWriter(folder).close()
    assert [path.read_bytes() for path in segment_paths(folder)] == [whole]
    assert same(gather(read_rows(folder))[0], rows)


def test_frames_that_fill_their_segment_to_the_last_byte(tmp_path):
    with TapeWriter(tmp_path / "probe") as tape:
        tape.append(some_rows(2))
    length = frames(tmp_path / "probe")[0].header.length
    for size in (length - 1, length, length + 1, 2 * length):
        folder, rows = tmp_path / f"t{size}", some_rows(8)
        with TapeWriter(folder, size) as tape:
            for k in range(0, 8, 2):
                tape.append(rows[k : k + 2], durable=False)
        assert same(gather(read_rows(folder))[0], rows)
        with TapeWriter(folder, size) as tape:
            assert tape.last_seq == 8
            tape.append(some_rows(2, first_seq=9))
        assert len(gather(read_rows(folder))[0]) == 10


def test_what_is_no_tape(tmp_path):
    with pytest.raises(NotFound, match="no tape there"):
        gather(read_rows(tmp_path))
    stray = tmp_path / "t" / "00000001.segment"
    stray.parent.mkdir()
    stray.write_bytes(b"\x93NUMPY" * 100)
    for touch in (lambda: TapeWriter(tmp_path / "t"), lambda: gather(read_rows(tmp_path / "t"))):
        with pytest.raises(TapeCorrupt, match="watermark is missing"):
            touch()
    assert stray.read_bytes() == b"\x93NUMPY" * 100
