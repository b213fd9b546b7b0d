"""Sealed tapes: the same events as the frames they came from, and every file of them vouched for."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.files import canonical_json
from adapters.tape import sealed
from adapters.tape.digest import DecisionDigest
from adapters.tape.reader import is_sealed, read_manifest, read_refs, read_rows
from adapters.tape.sealed import SealedWriter, check_files, check_rows, file_of
from kernel.errors import TapeCorrupt
from kernel.schema import FAMILIES
from tests.adapters.tape.rows import KINDS, cut, fresh_folder, gather, make_rows, notes_in, same, some_rows, tapes

REF = canonical_json({"inputs": "bars", "count": 3})


def write_sealed(folder: Path, pieces, notes, ref_after: int | None = None) -> dict:
    with SealedWriter(folder) as tape:
        for k, piece in enumerate(pieces):
            if k == ref_after:
                tape.add_ref(REF)
            tape.add(piece, notes_in(notes, piece))
        if ref_after is not None and ref_after >= len(pieces):
            tape.add_ref(REF)
        return tape.finish({"made": "by a test"})


@settings(max_examples=12)
@given(tapes(), st.lists(st.integers(0, 100), max_size=5), st.lists(st.integers(0, 100), max_size=5), st.integers(0, 6))
def test_what_is_sealed_is_read_back(tape, cuts, other_cuts, ref_after):
    """And where batches end matters to no digest."""
    rows, notes = tape
    pieces = cut(rows, cuts)
    ref_after = min(ref_after, len(pieces))
    with fresh_folder() as folder:
        direct = write_sealed(folder / "direct", pieces, notes, ref_after)
        got, texts = gather(read_rows(folder / "direct"))
        assert same(got, rows) and texts == notes
        assert read_refs(folder / "direct") == [json.loads(REF)] and is_sealed(folder / "direct")
        check(folder / "direct")
        if ref_after in (0, len(pieces)):
            again = write_sealed(folder / "again", cut(rows, other_cuts), notes, ref_after and 99)
            for name in ("tape_digest", "decision_digest", "rows", "last_seq", "refs"):
                assert again[name] == direct[name], name


@pytest.mark.parametrize("batch", [7, 64, sealed.BATCH])
@pytest.mark.sim
def test_read_from_any_seq(tmp_path, monkeypatch, batch):
    """All families, several row groups and batches that end in the middle of anything."""
    monkeypatch.setattr(sealed, "ROW_GROUP", 50)
    monkeypatch.setattr(sealed, "BATCH", batch)
    rows = make_rows(KINDS * 12, 3, 5, [k % 4 for k in range(len(KINDS) * 12)])
    notes = {int(seq): f"note of {seq}" for seq in rows["seq"][::17]}
    write_sealed(tmp_path / "t", cut(rows, [40, 111, 250]), notes)
    assert {path.stem for path in (tmp_path / "t").glob("*.parquet")} == {f.name for f in FAMILIES} | {"notes"}
    last = int(rows["seq"][-1])
    for from_seq in {0, 1, 5, *range(6, last, 41), last - 1, last, last + 1}:
        got, texts = gather(read_rows(tmp_path / "t", from_seq))
        assert same(got, rows[rows["seq"] >= from_seq]), from_seq
        assert texts == {seq: text for seq, text in notes.items() if seq >= from_seq}
    decisions = DecisionDigest()
    decisions.add(rows)
    assert read_manifest(tmp_path / "t")["decision_digest"] == decisions.hex()


@pytest.fixture
def whole(tmp_path):
    folder = tmp_path / "t"
    write_sealed(folder, [make_rows(KINDS * 3, 1)], {2: "a note"}, 1)
    return folder


def check(folder: Path) -> None:
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    check_rows(folder, manifest)


def test_an_edit_of_any_file_is_named(whole):
    check(whole)
    for path in sorted(whole.iterdir()):
        content = path.read_bytes()
        for place in range(0, len(content), max(1, len(content) // 30)):
            path.write_bytes(content[:place] + bytes([content[place] ^ 0x04]) + content[place + 1 :])
            with pytest.raises(TapeCorrupt) as found:
                check(whole)
            assert path.name in str(found.value)
        for other in (content[:-1], content + b"\n", b""):
            path.write_bytes(other)
            with pytest.raises(TapeCorrupt) as found:
                check(whole)
            assert path.name in str(found.value)
        path.write_bytes(content)
    check(whole)


def test_stray_and_missing_files_are_named(whole):
    stray = whole / "sub" / "extra.txt"
    stray.parent.mkdir()
    stray.write_text("hello")
    with pytest.raises(TapeCorrupt, match=r"sub/extra.txt is not covered"):
        check(whole)
    stray.unlink()
    check(whole)
    for path in sorted(whole.glob("*.*")):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(TapeCorrupt, match=rf"{path.name}"):
            check(whole)
        path.write_bytes(content)
    check(whole)


@pytest.mark.parametrize("field", ["tape_digest", "rows", "decision_digest", "made", "refs"])
def test_a_manifest_says_what_was_sealed(whole, field):
    """Also figures that no digest of the rows covers: nobody edits a result unnoticed."""
    path = whole / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest[field] = 7 if isinstance(manifest[field], int) else [] if field == "refs" else manifest[field][::-1]
    path.write_text(json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    with pytest.raises(TapeCorrupt, match=r"manifest.json"):
        check(whole)


def test_manifests_that_are_none(whole):
    path = whole / "manifest.json"
    for text in ("", "[]", "{}", "{", '"x"', '{"format": 99}', "\x00"):
        path.write_text(text)
        with pytest.raises(TapeCorrupt):
            read_manifest(whole)
    path.unlink()
    with pytest.raises(TapeCorrupt, match="did not finish"):
        read_manifest(whole)


def test_writer_without_finish_leaves_no_tape(tmp_path):
    with pytest.raises(RuntimeError), SealedWriter(tmp_path / "t") as tape:
        tape.add(some_rows(3), {})
        raise RuntimeError
    assert not is_sealed(tmp_path / "t")


def test_rows_must_follow(tmp_path):
    with SealedWriter(tmp_path / "t") as tape:
        tape.add(some_rows(3), {})
        with pytest.raises(AssertionError, match="seq order"):
            tape.add(some_rows(1, first_seq=3), {})


def test_every_family_has_its_file_and_nothing_else(tmp_path):
    for family in FAMILIES:
        folder = tmp_path / family.name
        rows = make_rows([int(kind) for kind in family.kinds] * 2, 9)
        write_sealed(folder, [rows], {})
        assert {p.name for p in folder.iterdir()} == {file_of(family), "notes.parquet", "manifest.json"}
        assert same(gather(read_rows(folder))[0], rows)
        assert np.array_equal(gather(read_rows(folder, 2))[0]["seq"], rows["seq"][1:])
