"""The running digests: the same however rows come, and able to go on from what another one kept."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.tape.digest import CHUNK_DECISIONS, CHUNK_SEQS, DecisionDigest, TapeDigest, chunk_of, notes_within
from kernel.codes import Kind
from kernel.schema import EVENT

SEQS = np.array([1, 2, CHUNK_SEQS - 1, CHUNK_SEQS, CHUNK_SEQS + 1, CHUNK_SEQS + 5, 4 * CHUNK_SEQS, 4 * CHUNK_SEQS + 1])
NOTES = {2: "a", CHUNK_SEQS: "ä", CHUNK_SEQS + 1: "", 4 * CHUNK_SEQS + 1: "d"}


def rows_of(seqs) -> np.ndarray:
    rows = np.zeros(len(seqs), EVENT)
    rows["seq"], rows["kind"], rows["qty"] = seqs, int(Kind.SIGNAL), np.asarray(seqs) % 97
    return rows


def whole(seqs=SEQS, notes=NOTES) -> str:
    digest = TapeDigest()
    digest.add(rows_of(seqs), notes_within(rows_of(seqs), notes))
    return digest.hex()


def by_the_book(seqs, notes) -> str:
    """The definition in docs/tape.md, without any of the code."""
    over_all = hashlib.sha256()
    for number in sorted({(int(seq) - 1) // 65_536 for seq in seqs}):
        chunk = hashlib.sha256()
        for row in rows_of([seq for seq in seqs if (int(seq) - 1) // 65_536 == number]):
            chunk.update(row.tobytes())
            text = notes.get(int(row["seq"]))
            if text is not None:
                said = text.encode()
                chunk.update(b"NOTE" + int(row["seq"]).to_bytes(8, "little") + len(said).to_bytes(8, "little") + said)
        over_all.update(number.to_bytes(8, "little") + chunk.digest())
    return over_all.hexdigest()


def test_the_definition():
    assert whole() == by_the_book(SEQS, NOTES)
    assert whole([1], {}) != whole([2], {}) != whole([CHUNK_SEQS + 1], {})
    assert TapeDigest().hex() == hashlib.sha256().hexdigest()


@given(st.lists(st.integers(0, len(SEQS)), max_size=6))
def test_any_pieces(cuts):
    digest, places = TapeDigest(), sorted({0, *cuts, len(SEQS)})
    for a, b in zip(places, places[1:], strict=False):
        part = rows_of(SEQS[a:b])
        digest.add(part, notes_within(part, NOTES))
    assert digest.hex() == whole()


@pytest.mark.parametrize("cut", range(1, len(SEQS)))
def test_going_on_from_the_full_chunks(cut):
    before = TapeDigest()
    before.add(rows_of(SEQS[:cut]), notes_within(rows_of(SEQS[:cut]), NOTES))
    after = TapeDigest(before.chunks)
    again = rows_of([seq for seq in SEQS if chunk_of(int(seq)) >= chunk_of(int(SEQS[cut - 1]))])
    after.add(again, notes_within(again, NOTES))
    assert after.hex() == whole()


def test_a_reference_counts_where_it_stands():
    first, second = TapeDigest(), TapeDigest()
    first.add(rows_of([1]), {})
    first.add_ref(b"{}")
    second.add_ref(b"{}")
    second.add(rows_of([1]), {})
    assert len({first.hex(), second.hex(), whole([1], {})}) == 3


@pytest.mark.parametrize("cut", [0, 1, CHUNK_DECISIONS - 1, CHUNK_DECISIONS, CHUNK_DECISIONS + 1, 3 * CHUNK_DECISIONS])
def test_decisions_saved_and_loaded(cut):
    rows = rows_of(np.arange(1, 3 * CHUNK_DECISIONS + 8))
    together, before = DecisionDigest(), DecisionDigest()
    together.add(rows)
    before.add(rows[:cut])
    after = DecisionDigest.load(before.save())
    assert after.hex() == before.hex() and after.save() == before.save()
    after.add(rows[cut:])
    assert after.hex() == together.hex()
