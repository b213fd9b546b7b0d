"""Every flipped bit and every cut of a segment: found, at the very frame, by the code that opens a tape.

The segment is closed in good order, so the watermark promises all of it, the last frame too. `examine` is what
`TapeWriter` opens with and changes nothing; that the writer refuses and changes nothing either is tested on a sample.
"""

import os
from bisect import bisect
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.files import canonical_json
from adapters.tape import watermark
from adapters.tape.check import check_tape
from adapters.tape.frame import HEADER_BYTES, TRAILER
from adapters.tape.reader import read_rows
from adapters.tape.rolling import seal_closed
from adapters.tape.scan import Place, examine, from_nothing, segment_path
from adapters.tape.sealed import read_manifest
from adapters.tape.watermark import LENGTH, NAME, SLOT, Watermark, read_watermark, unpack
from adapters.tape.writer import TapeWriter
from kernel.errors import TapeCorrupt
from tests.adapters.tape.growing import frames, must_be_corrupt, photograph
from tests.adapters.tape.rows import fresh_folder, gather, some_rows

SHARES = 4  # of the places, so that several test processes work at once


def write_exactly(folder: Path, size: int) -> Path:
    """One closed segment of `size` bytes: a big frame, small ones, two with notes, and a reference that fills it up."""
    with TapeWriter(folder, size) as tape:
        tape.append(some_rows((size - 3_600) // 128, 1))
        for k, notes in enumerate([{0: "ü" * 40}, {}, {0: "x" * 100}]):
            first = tape.last_seq + 1
            notes = {first + place: text for place, text in notes.items()}
            tape.append(some_rows(1 + k % 2, k, first), notes, durable=k % 2 == 0)
    path = segment_path(folder, 1)
    room = size - path.stat().st_size - HEADER_BYTES - TRAILER.size - len(canonical_json({"x": ""}))
    with TapeWriter(folder, size) as tape:
        tape.append_ref(canonical_json({"x": "y" * room}), tape.last_seq + 5)
    assert path.stat().st_size == size and not segment_path(folder, 2).exists()
    return path


def find(folder: Path, mark: Watermark) -> tuple[str, int]:
    """Segment and byte of the damage that is found."""
    try:
        examine(folder, mark, from_nothing())
    except TapeCorrupt as error:
        return error.segment, error.offset
    return "nothing found", -1


def frame_at(places: list[Place], place: int) -> int:
    """Where the frame begins that has byte `place`."""
    return places[bisect([p.offset for p in places], place) - 1].offset


def flip_all(folder: Path, size: int, share: int) -> int:
    """Flip every bit of a share of the bytes, one at a time; returns how many."""
    path = write_exactly(folder, size)
    places, mark, content = frames(folder), read_watermark(folder), path.read_bytes()
    assert len(places) == 5 and len(content) == size
    descriptor, done = os.open(path, os.O_RDWR), 0
    for place in range(share, size, SHARES):
        wanted = path.name, frame_at(places, place)
        for bit in range(8):
            os.pwrite(descriptor, bytes([content[place] ^ 1 << bit]), place)
            assert find(folder, mark) == wanted, f"bit {bit} of byte {place}"
            done += 1
        os.pwrite(descriptor, content[place : place + 1], place)
    os.close(descriptor)
    assert path.read_bytes() == content
    assert find(folder, mark) == ("nothing found", -1)
    return done


@pytest.mark.parametrize("share", [0, *(pytest.param(n, marks=pytest.mark.torture) for n in range(1, SHARES))])
def test_every_flipped_bit_of_8_kib(share):
    with fresh_folder() as folder:
        assert flip_all(folder, 8_192, share) == 8 * 8_192 // SHARES


@pytest.mark.torture
@pytest.mark.parametrize("share", range(SHARES))
def test_every_flipped_bit_of_64_kib(share):
    with fresh_folder() as folder:
        assert flip_all(folder, 65_536, share) == 8 * 65_536 // SHARES


def cut_everywhere(folder: Path, size: int, reserved: bool) -> int:
    """End the file at every byte, or have zeros from there on; returns how many of the cuts lost anything."""
    path = write_exactly(folder, size)
    places, mark, content = frames(folder), read_watermark(folder), path.read_bytes()
    done = 0
    for length in range(size - 1, -1, -1):
        os.truncate(path, length)
        if reserved:
            os.truncate(path, size)
        lost = content[length:].lstrip(b"\0")
        if lost or not reserved:
            first = size - len(lost) if reserved else length
            assert find(folder, mark) == (path.name, frame_at(places, first)), f"cut at {length}"
            done += 1
    return done


@pytest.mark.parametrize(
    "reserved", [pytest.param(False, id="cut"), pytest.param(True, id="zeros", marks=pytest.mark.torture)]
)
def test_every_truncation_of_8_kib(reserved):
    with fresh_folder() as folder:
        assert cut_everywhere(folder, 8_192, reserved) >= 8_192 - 8 * reserved


@pytest.mark.torture
@pytest.mark.parametrize("reserved", [False, True], ids=["cut", "zeros"])
def test_every_truncation_of_64_kib(reserved):
    with fresh_folder() as folder:
        assert cut_everywhere(folder, 65_536, reserved) >= 65_536 - 8 * reserved


def test_sectors_zeroed_and_misdirected():
    """What drives do: a sector of 512 bytes lost, or written in the place of another."""
    with fresh_folder() as folder:
        path = write_exactly(folder, 8_192)
        places, mark, content = frames(folder), read_watermark(folder), path.read_bytes()
        sectors = {at: content[at : at + 512] for at in range(0, 8_192, 512)}
        descriptor = os.open(path, os.O_RDWR)
        for at, right in sectors.items():
            for wrong in (bytes(512), *sectors.values()):
                if wrong != right:
                    os.pwrite(descriptor, wrong, at)
                    first = at + next(k for k in range(512) if wrong[k] != right[k])
                    assert find(folder, mark) == (path.name, frame_at(places, first))
            os.pwrite(descriptor, right, at)
        os.close(descriptor)


def test_the_writer_refuses_what_is_damaged_and_changes_nothing():
    """The same places through the front door: a few bits of every frame, the last byte of the last one included."""
    with fresh_folder() as folder:
        path = write_exactly(folder, 8_192)
        content, places, last = path.read_bytes(), frames(folder), 0
        for frame in places:
            for place in (*range(frame.offset, frame.end, 397), frame.end - 8, frame.end - 1):
                path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
                error = must_be_corrupt(folder, path.name, frame.offset)
                assert error.seq == last + 1 and str(path) in str(error)
                assert (f"seq 1 to {last} can still be read" if last else "nothing before it can be read") in str(error)
            last = frame.header.last_seq
        path.write_bytes(content)
        with TapeWriter(folder) as tape:
            assert tape.last_seq == places[-1].header.last_seq


# The files beside the frames ------------------------------------------------------------------------------------------


def bits_of(places: Iterator[int]) -> Iterator[tuple[int, int]]:
    return ((place, 1 << bit) for place in places for bit in range(8))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A slot is not being written here: no need to wait for it."""
    monkeypatch.setattr(watermark, "PAUSE_SECONDS", 0)


def flip_the_watermark(folder: Path, flips: Iterator[tuple[int, int]]) -> int:
    write_exactly(folder, 8_192)
    path, done = folder / NAME, 0
    content = path.read_bytes()
    for place, bit in flips:
        with path.open("r+b") as file:
            file.seek(place)
            file.write(bytes([content[place] ^ bit]))
        with pytest.raises(TapeCorrupt, match=rf"{NAME}: slot {1 + place // SLOT} of 2 is damaged"):
            read_watermark(folder)
        if bit == 1 and place % 16 == 0:  # whoever opens: refused, and left as it is
            before = photograph(folder)
            for touch in (lambda: TapeWriter(folder), lambda: gather(read_rows(folder))):
                with pytest.raises(TapeCorrupt):
                    touch()
            assert photograph(folder) == before
        path.write_bytes(content)
        done += 1
    return done


def test_every_flipped_bit_of_the_watermarks_records():
    """Both slots: an older one is looked at too, since a slot never tears. `unpack` for all, a sample from the file."""
    with fresh_folder() as folder:
        write_exactly(folder, 8_192)
        content = (folder / NAME).read_bytes()
        for slot in (content[:SLOT], content[SLOT:]):
            assert unpack(slot) is not None
            for place, bit in bits_of(range(LENGTH)):
                assert unpack(slot[:place] + bytes([slot[place] ^ bit]) + slot[place + 1 :]) is None
    with fresh_folder() as folder:
        places = [*range(0, LENGTH, 3), *range(SLOT, SLOT + LENGTH, 3), LENGTH + 77, SLOT - 1, 2 * SLOT - 1]
        assert flip_the_watermark(folder, ((place, 1 << place % 8) for place in places)) == len(places)


@pytest.mark.torture
def test_every_flipped_bit_of_the_watermark_file():
    with fresh_folder() as folder:
        assert flip_the_watermark(folder, bits_of(range(2 * SLOT))) == 16 * SLOT


def sealed_manifest(folder: Path) -> Path:
    write_exactly(folder, 8_192)
    seal_closed(folder, whole=True)
    return folder / "sealed" / "00000001" / "manifest.json"


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.sim), 5])
def test_flipped_bits_of_a_sealed_parts_manifest(step):
    """Each makes it another one, or none at all; 65 names the part. Every byte is seen with some bit, or with all."""
    with fresh_folder() as folder:
        path = sealed_manifest(folder)
        content, done = path.read_bytes(), 0
        for place, bit in list(bits_of(range(len(content))))[::step]:
            path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
            with pytest.raises(TapeCorrupt, match="00000001") as found:
                read_manifest(path.parent)
            assert found.value.exit_code == 65
            done += 1
        assert done > 8_000 // step


def test_flipped_bits_of_a_manifest_stop_whoever_opens_the_tape():
    with fresh_folder() as folder:
        path = sealed_manifest(folder)
        content = path.read_bytes()
        for place, bit in bits_of(range(0, len(content), 101)):
            path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
            for touch in (TapeWriter, check_tape, lambda folder: gather(read_rows(folder))):
                with pytest.raises(TapeCorrupt, match="00000001"):
                    touch(folder)
        path.write_bytes(content)
        TapeWriter(folder).close()
