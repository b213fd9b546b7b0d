"""Readers: they see the durable prefix, all of it and nothing else, however the tape moves under them."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.disk import Disk
from adapters.tape.reader import Tail, durable_seq, read_rows
from adapters.tape.rolling import seal_closed
from adapters.tape.scan import segment_path, segment_paths
from adapters.tape.watermark import NAME
from adapters.tape.writer import TapeWriter
from kernel.errors import NotFound, TapeCorrupt, TapePoisoned
from tests.adapters.tape.growing import SMALL, photograph, put_back, write
from tests.adapters.tape.rows import Notes, fresh_folder, gather, same, some_rows

STEPS = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["durable", "later", "tick", "close", "seal", "note"])), max_size=14
)


class Watch:
    """Tails that were begun at different times and seqs, and what each got."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.tails: list[tuple[Tail, int, list]] = []

    def begin(self, from_seq: int) -> None:
        self.tails.append((Tail(self.folder, from_seq), from_seq, []))

    def poll(self) -> None:
        for tail, _, got in self.tails:
            got += [(rows.copy(), notes) for rows, notes in tail.poll()]

    def check(self, rows, notes: Notes, seq: int) -> None:
        """Each has what lies between its first seq and `seq`: no gap, no event twice."""
        for _, from_seq, got in self.tails:
            seen, texts = gather(iter(got))
            wanted = rows[(rows["seq"] >= from_seq) & (rows["seq"] <= seq)]
            assert same(seen, wanted)
            assert texts == {each: text for each, text in notes.items() if from_seq <= each <= seq}


@settings(max_examples=20)
@given(STEPS, st.sampled_from([400, 544, 1_072, SMALL, 6_000]), st.integers(0, 2**32))
def test_tails_see_the_durable_prefix_and_nothing_else(steps, segment_bytes, seed):
    """Whatever is done: any sizes, frames that fill a segment exactly, new writers, segments sealed in between."""
    rows, notes, now = some_rows(9 * len(steps) + 1, seed), {}, [0.0]
    with fresh_folder() as folder:
        tape, watch = TapeWriter(folder, segment_bytes, 0.05, lambda: now[0]), Watch(folder)
        watch.begin(0)
        for count, what in steps:
            if what == "close":
                tape.close()
                tape = TapeWriter(folder, segment_bytes, 0.05, lambda: now[0])
            elif what == "seal":
                seal_closed(folder)
            elif what == "tick":
                now[0] += 0.06
                tape.tick()
            else:
                piece = rows[tape.last_seq : tape.last_seq + count]
                texts = {int(piece["seq"][-1]): f"né {count}"} if what == "note" else {}
                notes |= texts
                tape.append(piece, texts, durable=what == "durable")
            assert durable_seq(folder) == tape.durable_seq
            watch.poll()
            watch.check(rows, notes, tape.durable_seq)
            watch.begin(count)
        tape.close()
        watch.poll()
        watch.check(rows, notes, tape.last_seq)
        got, texts = gather(read_rows(folder))
        assert same(got, rows[: tape.last_seq]) and texts == notes


def test_opening_hides_nothing_from_readers(tmp_path):
    folder = tmp_path / "t"
    for k in range(3):
        with TapeWriter(folder) as tape:
            assert len(gather(read_rows(folder))[0]) == durable_seq(folder) == tape.last_seq == 2 * k
            tape.append(some_rows(2, first_seq=1 + 2 * k), durable=k % 2 == 0)
        assert len(gather(read_rows(folder))[0]) == 2 * (k + 1)


def test_reading_stops_where_the_consumer_stops(tmp_path):
    """Half a poll: the next one goes on with the next batch, also in sealed parts."""
    folder = tmp_path / "t"
    write(folder, [some_rows(2, k, 1 + 2 * k) for k in range(8)], {})
    whole = gather(read_rows(folder))[0]
    for sealing in (False, True):
        if sealing:
            seal_closed(folder)
        tail, got = Tail(folder), []
        while len(got) < 16:
            for batch in tail.poll():
                got += [batch]
                break
            else:
                break
        assert same(gather(iter(got))[0], whole)


class Torn(Disk):
    """Writes half of a frame, once asked to."""

    broken = False

    def write(self, descriptor, parts, offset):
        if not self.broken:
            return super().write(descriptor, parts, offset)
        data = b"".join(parts)
        return super().write(descriptor, [data[: len(data) // 2]], offset)


def test_a_reader_outlives_its_writers(tmp_path):
    """The first frame of a segment is torn, the next writer recovers and appends nothing, the third goes on.

    The reader was told of the segment that is empty again: nobody goes back behind it.
    """
    folder, disk, watch = tmp_path / "t", Torn(), Watch(tmp_path / "t")
    rows, size = some_rows(8), 1_700  # room for two frames of two rows and one of one
    tape = TapeWriter(folder, size, disk=disk)
    tape.append(rows[:2])
    tape.append(rows[2:4])
    watch.begin(0)
    disk.broken = True
    with pytest.raises(TapePoisoned):
        tape.append(rows[4:])
    tape.close()
    for appends in (0, 0, 1, 2, 1):
        with TapeWriter(folder, size) as tape:
            watch.begin(0)
            watch.poll()
            tape.append(rows[tape.last_seq : tape.last_seq + appends])
        watch.poll()
        watch.check(rows, {}, tape.last_seq)
    assert tape.last_seq == 8


def test_a_tape_without_events(tmp_path):
    with pytest.raises(NotFound):
        list(Tail(tmp_path / "t").poll())
    with TapeWriter(tmp_path / "t"):
        assert list(Tail(tmp_path / "t").poll()) == []
    assert durable_seq(tmp_path / "t") == 0


# Damage that readers meet ---------------------------------------------------------------------------------------------


def test_readers_tell_damage_before_the_watermark(tmp_path):
    """Any byte of any frame, also while the tape is being written and nobody else has looked yet."""
    folder = tmp_path / "t"
    with TapeWriter(folder, SMALL) as tape:
        for k in range(5):
            tape.append(some_rows(2, first_seq=1 + 2 * k))
        for path in segment_paths(folder):
            content = path.read_bytes()
            for place in range(0, len(content.rstrip(b"\0")), 61):
                path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
                with pytest.raises(TapeCorrupt) as found:
                    list(Tail(folder).poll())
                assert found.value.segment == path.name
            path.write_bytes(content)
        assert len(gather(Tail(folder).poll())[0]) == 10


def test_a_tape_put_back_under_a_reader(tmp_path):
    folder = tmp_path / "t"
    write(folder, [some_rows(2)], {})
    old = photograph(folder)
    write(folder, [some_rows(2, first_seq=3)], {})
    tail = Tail(folder)
    assert len(list(tail.poll())) == 2
    put_back(folder, old)
    with pytest.raises(TapeCorrupt, match="went back"):
        list(tail.poll())


def test_a_segment_that_goes_missing_under_a_reader(tmp_path):
    folder = tmp_path / "t"
    write(folder, [some_rows(2, k, 1 + 2 * k) for k in range(6)], {})
    segment_path(folder, 2).unlink()
    with pytest.raises(TapeCorrupt, match="segment 2 is missing") as found:
        list(Tail(folder).poll())
    assert (found.value.segment, found.value.seq) == ("00000002.segment", 5)


def test_exchanged_sealed_parts_are_named_before_a_wrong_event_is_read(tmp_path):
    folder = tmp_path / "t"
    write(folder, [some_rows(2, k, 1 + 2 * k) for k in range(8)], {})
    seal_closed(folder)
    one, two = (folder / "sealed" / f"{k:08d}" for k in (1, 2))
    for a, b in ((one, folder / "x"), (two, one), (folder / "x", two)):
        a.rename(b)
    seen = []
    with pytest.raises(TapeCorrupt):
        for rows, _ in Tail(folder).poll():
            seen.append(rows)
    assert seen == []
    with pytest.raises(TapeCorrupt):
        TapeWriter(folder)
    shutil.rmtree(one)
    with pytest.raises(TapeCorrupt, match="segment 1 is missing"):
        list(Tail(folder).poll())
    assert (folder / NAME).exists()
