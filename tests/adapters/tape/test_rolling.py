"""Closed segments become Parquet while the tape grows: the same events before, between and after."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.files import canonical_json
from adapters.tape import rolling
from adapters.tape.check import check_tape
from adapters.tape.reader import read_refs, read_rows
from adapters.tape.rolling import seal_closed
from adapters.tape.scan import segment_path, segment_paths
from adapters.tape.writer import TapeWriter
from kernel.errors import TapeLocked
from tests.adapters.tape.growing import SMALL, digest_of, segment_names
from tests.adapters.tape.rows import cut, fresh_folder, gather, notes_in, same, some_rows, tapes

REF = canonical_json({"inputs": "bars", "count": 3})


@settings(max_examples=8)
@given(
    tapes(),
    st.lists(st.integers(0, 100), max_size=6),
    st.integers(200, 3_000),
    st.integers(0, 6),
    st.lists(st.sampled_from(["", "seal", "close", "all"]), min_size=7, max_size=7),
)
def test_sealed_or_not_the_events_are_the_same(tape, cuts, segment_bytes, ref_after, between):
    """Sealed at any time, once or often, with references and restarts in between."""
    rows, notes = tape
    pieces = cut(rows, cuts)
    with fresh_folder() as folder:
        for name, steps in (("frames", [""] * 7), ("sealed", between)):
            writer = TapeWriter(folder / name, segment_bytes)
            for k, piece in enumerate(pieces):
                if k == ref_after:
                    writer.append_ref(REF, writer.last_seq)
                writer.append(piece, notes_in(notes, piece), durable=k % 2 == 0)
                if steps[k] == "seal":
                    seal_closed(folder / name)
                elif steps[k]:
                    writer.close()
                    seal_closed(folder / name, whole=steps[k] == "all")
                    writer = TapeWriter(folder / name, segment_bytes)
            writer.close()
        seal_closed(folder / "sealed", whole=True)
        assert not segment_paths(folder / "sealed")
        for name in ("frames", "sealed"):
            got, texts = gather(read_rows(folder / name))
            assert same(got, rows) and texts == notes
            assert read_refs(folder / name) == ([json.loads(REF)] if ref_after < len(pieces) else [])
            found = check_tape(folder / name)
            assert (found.rows, found.anchor.seq, found.torn) == (len(rows), int(rows["seq"][-1]), 0)
            assert found.digest.hex() == writer.tape_digest.hex()
            with TapeWriter(folder / name, segment_bytes) as again:
                assert (again.tape_digest.hex(), again.rows) == (writer.tape_digest.hex(), len(rows))


def test_only_closed_segments_are_sealed(grown):
    assert [part.segment for part in seal_closed(grown)] == [1, 2, 3, 4]
    assert segment_names(grown) == ["00000005.segment"]
    with TapeWriter(grown, SMALL) as tape:
        assert seal_closed(grown) == []
        with pytest.raises(TapeLocked):
            seal_closed(grown, whole=True)
        tape.append(some_rows(2, first_seq=19))
        tape.append(some_rows(2, first_seq=21))
        assert [part.segment for part in seal_closed(grown)] == [5]
        assert segment_names(grown) == ["00000006.segment"]
        tape.append(some_rows(2, first_seq=23))
    assert gather(read_rows(grown))[0]["seq"].tolist() == list(range(1, 25))
    assert [part.segment for part in seal_closed(grown, whole=True)] == [6]
    with TapeWriter(grown, SMALL) as tape:
        tape.append(some_rows(1, first_seq=25))
    assert segment_names(grown) == ["00000007.segment"]
    assert check_tape(grown).rows == 25


@pytest.mark.sim
def test_one_sealer_at_a_time(grown, monkeypatch):
    seal_segment = rolling.seal_segment

    def meanwhile(folder, *args):
        with pytest.raises(TapeLocked):
            seal_closed(folder)
        return seal_segment(folder, *args)

    monkeypatch.setattr(rolling, "seal_segment", meanwhile)
    assert len(seal_closed(grown)) == 4


def test_read_from_any_seq_over_sealed_and_frames(grown):
    rows, notes = gather(read_rows(grown))
    seal_closed(grown)
    for from_seq in range(20):
        got, texts = gather(read_rows(grown, from_seq))
        assert same(got, rows[rows["seq"] >= from_seq])
        assert texts == {seq: text for seq, text in notes.items() if seq >= from_seq}


def test_the_digest_of_a_restart_is_that_of_all_rows(grown):
    rows, notes = gather(read_rows(grown))
    for k in range(3):
        seal_closed(grown, whole=k == 1)
        with TapeWriter(grown, SMALL) as tape:
            assert tape.tape_digest.hex() == digest_of(rows, notes)
            tape.append(some_rows(3, k, tape.last_seq + 1))
        rows, notes = gather(read_rows(grown))


def test_an_empty_segment_is_sealed_as_well(grown):
    """One whose only frame was torn and cut off."""
    segment_path(grown, 6).write_bytes(b"\1" * 100)
    with TapeWriter(grown, SMALL) as tape:
        tape.append(some_rows(2, first_seq=19))
    assert segment_path(grown, 6).stat().st_size == 0 and segment_path(grown, 7).exists()
    rows, notes = gather(read_rows(grown))
    assert [part.segment for part in seal_closed(grown)] == [1, 2, 3, 4, 5, 6]
    got, texts = gather(read_rows(grown))
    assert same(got, rows) and texts == notes
    check_tape(grown)
    with TapeWriter(grown, SMALL) as tape:
        assert tape.tape_digest.hex() == digest_of(rows, notes)
