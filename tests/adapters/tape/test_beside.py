"""A tape that changes while it is looked at is no damaged tape: sealed, retired from, or taken up by a writer.

Each test has the other process do its work between two steps of the one that looks.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adapters.tape import check, digest, parts, reader, retire, scan, sealed, writer
from adapters.tape.check import check_tape, find_end
from adapters.tape.parts import digest_at, part_path, sealed_parts, steadily
from adapters.tape.reader import Tail, read_notes, read_refs, read_rows
from adapters.tape.rolling import seal_closed
from adapters.tape.scan import segment_path
from adapters.tape.writer import TapeWriter
from kernel.codes import Kind
from kernel.errors import TapeCorrupt
from tests.adapters.tape.growing import SMALL, segment_names
from tests.adapters.tape.rows import gather, make_rows, same, some_rows

pytestmark = pytest.mark.sim  # many runs of whole processes; CI has the paths they share


def meanwhile(patch: pytest.MonkeyPatch, place: object, name: str, do: Callable[[], object], call: int = 1) -> None:
    """Have `do` happen once, right after the `call`-th call of a function; 0: right before the first."""
    really, calls = getattr(place, name), [0]

    def stand_in(*args, **named):
        calls[0] += 1
        mine = calls[0]
        if mine == 1 and call == 0:
            do()
        found = really(*args, **named)
        if mine == call:
            do()
        return found

    patch.setattr(place, name, stand_in)


LOOKS = {
    "verify": (check, "sealed_parts", lambda folder: check_tape(folder).anchor.seq),
    "doctor": (check, "start_of", lambda folder: find_end(folder).anchor.seq),
    "digest": (parts, "sealed_parts", lambda folder: digest_at(folder, 4)),
    "refs": (reader, "sealed_parts", read_refs),
    "notes": (reader, "sealed_parts", read_notes),
}


@pytest.mark.parametrize("look", LOOKS)
def test_sealed_between_the_parts_and_the_segments(grown, monkeypatch, look):
    place, name, act = LOOKS[look]
    with TapeWriter(grown, SMALL) as tape:
        tape.append_ref(b'{"x":1}', 20)
    wanted = act(grown)
    meanwhile(monkeypatch, place, name, lambda: seal_closed(grown))
    assert act(grown) == wanted
    assert len(sealed_parts(grown)) == 4, "it was sealed meanwhile"


@pytest.mark.parametrize("listing", [1, 2], ids=["of the watermark's look", "of the frames"])
def test_sealed_between_the_listing_and_the_opening_of_segments(grown, monkeypatch, listing):
    meanwhile(monkeypatch, scan, "segment_paths", lambda: seal_closed(grown), listing)
    assert check_tape(grown).anchor.seq == 18
    assert len(sealed_parts(grown)) == 4


def test_sealed_while_a_writer_opens(grown, monkeypatch):
    meanwhile(monkeypatch, writer, "start_of", lambda: seal_closed(grown))
    with TapeWriter(grown, SMALL) as tape:
        assert tape.last_seq == 18 and segment_names(grown) == ["00000005.segment"]
        tape.append(some_rows(2, first_seq=19))
    assert check_tape(grown).anchor.seq == 20


@pytest.mark.parametrize("ends", [False, True], ids=["runs on", "ended"])
@pytest.mark.parametrize("when", ["examine", "mark_in_force", "is_being_written"])
def test_a_writer_comes_while_it_is_verified(grown, monkeypatch, when, ends):
    """Its frames are of an epoch that the watermark which was read does not know."""
    came = []

    def come():
        tape = TapeWriter(grown, SMALL)
        for k in range(3):
            tape.append(some_rows(2, k, tape.last_seq + 1), durable=k < 2)
        came.append(tape)
        if ends:
            tape.close()

    meanwhile(monkeypatch, check, when, come, 0 if when == "examine" else 1)
    assert check_tape(grown).anchor.seq in (24, 24 if ends else 22)  # at least what it promised
    came[0].close()
    assert check_tape(grown).anchor.seq == 24


def test_damage_is_told_all_the_same(grown, monkeypatch):
    """While a writer runs, while it is sealed: what is damaged does not become right by looking again."""
    seal_closed(grown)
    with TapeWriter(grown, SMALL) as tape:
        for k in range(4):
            tape.append(some_rows(2, k, tape.last_seq + 1))
        path = segment_path(grown, 5)
        content = path.read_bytes()
        path.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
        for look in (check_tape, find_end):
            with pytest.raises(TapeCorrupt) as error:
                look(grown)
            assert (error.value.segment, error.value.offset) == (path.name, 0)
        path.write_bytes(content)


def test_a_tape_that_never_lies_still(grown):
    """There is an end to looking."""
    looks = []

    def look():
        looks.append(TapeWriter(grown, SMALL).close())
        raise TapeCorrupt("what was read does not fit")

    with pytest.raises(TapeCorrupt, match="changed at each of 100 looks"):
        steadily(grown, look)
    assert len(looks) == 100


# Retention beside readers ---------------------------------------------------------------------------------------------


@pytest.fixture
def ticks(tmp_path, monkeypatch) -> Path:
    """A tape of ticks in three sealed parts and a segment. Chunks of 16 seqs, so that a small tape has full ones."""
    for place in (digest, parts, check):
        monkeypatch.setattr(place, "CHUNK_SEQS", 16)
    folder = tmp_path / "t"
    rows = make_rows([int(Kind.QUOTE), int(Kind.BAR), int(Kind.TRADE), int(Kind.BAR)] * 25, 5)
    rows["ts_init"] = rows["seq"]
    with TapeWriter(folder, 4_096) as tape:
        for start in range(0, 100, 10):
            tape.append(rows[start : start + 10])
    seal_closed(folder)
    assert len(sealed_parts(folder)) == 4
    return folder


def retire_all(folder: Path) -> None:
    files = retire.tick_files(folder, 10**18)
    assert {file.path.parent.name for file in files} >= {"00000001", "00000002"}
    retire.retire(folder, files, "2024-02-01T00:00:00Z")


def without_ticks(rows: np.ndarray, got: np.ndarray) -> bool:
    """Whether all is there but ticks."""
    bars = rows[rows["kind"] == int(Kind.BAR)]
    return same(got[got["kind"] == int(Kind.BAR)], bars)


def test_retired_between_the_manifest_and_the_files(ticks, monkeypatch):
    rows = gather(read_rows(ticks))[0]
    meanwhile(monkeypatch, sealed, "layout_of", lambda: retire_all(ticks))
    got = gather(read_rows(ticks))[0]
    assert without_ticks(rows, got) and len(got) < len(rows)


def test_retired_under_a_reader_that_is_in_the_middle_of_a_part(ticks):
    """What it has open it reads to the end; the next part comes without ticks."""
    rows, tail, got = gather(read_rows(ticks))[0], Tail(ticks), []
    for batch in tail.poll():
        if not got:
            retire_all(ticks)
        got.append(batch)
    assert without_ticks(rows, gather(iter(got))[0])


def test_retired_while_it_is_verified(ticks, monkeypatch):
    before = check_tape(ticks).digest.hex()
    meanwhile(monkeypatch, check, "read_manifest", lambda: retire_all(ticks))
    assert check_tape(ticks).digest.hex() == before


def test_a_file_that_is_missing_is_damage(ticks):
    """Its manifest says that it was not retired."""
    (part_path(ticks, 2) / "quote.parquet").unlink()
    for look in (check_tape, lambda folder: gather(read_rows(folder)), lambda folder: digest_at(folder, 40)):
        with pytest.raises(TapeCorrupt, match=r"00000002.*"):
            look(ticks)
