"""Sessions of a writer on a recording disk, made from a seed: what it appended, what it said was durable, and when."""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from adapters.files import canonical_json
from adapters.tape.check import find_end
from adapters.tape.rolling import seal_closed
from adapters.tape.scan import segment_path, written_rest
from adapters.tape.watermark import NAME, read_watermark
from adapters.tape.writer import QUARANTINE, TapeWriter
from kernel.schema import EVENT
from tests.adapters.tape.rows import Notes, some_rows
from tests.simulation.disk import Files, Killed, Op, RecordingDisk, files_below

GROUP_COMMIT_S = 0.05


@dataclass(frozen=True)
class Written:
    """A frame as it was appended, and what the tape then was: rows, last seq and digest."""

    rows: bytes
    notes: Notes
    count: int
    last_seq: int
    digest: str


class Torn(NamedTuple):
    """Bytes that were cut off, or are to be: of which segment, from which byte on."""

    segment: str
    offset: int
    content: bytes


@dataclass
class Session:
    """What a writer did to `start`. `frames` are all it ever wrote, those it found first; `torn` what it found that
    is none, there or in quarantine: nothing may make that go."""

    seed: int
    start: Files
    promised: int  # seq: at least this was durable before
    segment_bytes: int
    sealing: bool
    frames: list[Written] = field(default_factory=list)
    log: list[Op] = field(default_factory=list)
    torn: list[Torn] = field(default_factory=list)

    def up_to(self, seq: int) -> list[Written]:
        return [frame for frame in self.frames if frame.last_seq <= seq]


def random_rows(rng: random.Random, count: int, first_seq: int) -> np.ndarray:
    """Rows of any bytes, now and then of zeros: nothing about them helps to tell a torn write."""
    raw = bytes(count * EVENT.itemsize) if rng.random() < 0.2 else rng.randbytes(count * EVENT.itemsize)
    rows = np.frombuffer(raw, EVENT).copy()
    rows["seq"] = first_seq + np.arange(count)
    return rows


def named_rows(rng: random.Random, count: int, first_seq: int) -> np.ndarray:
    """Rows that have a place in Parquet."""
    return some_rows(count, rng.getrandbits(32), first_seq)


class _Player:
    def __init__(self, session: Session, folder: Path, disk: RecordingDisk) -> None:
        self.session, self.folder, self.disk = session, folder, disk
        self.rng, self.now = random.Random(session.seed), 0.0
        self.tried: tuple[int, bytes, Notes] = (0, b"", {})  # the frame being appended, with its last seq
        self.tape = self.open()

    def open(self) -> TapeWriter:
        tape = TapeWriter(self.folder, self.session.segment_bytes, GROUP_COMMIT_S, lambda: self.now, disk=self.disk)
        self.note(tape)
        return tape

    def note(self, tape: TapeWriter) -> None:
        """What the caller was told is durable, in the log beside what was done, and before which segment nobody goes on."""
        self.disk.log.append(Op("note", read_watermark(self.folder).segment, offset=tape.durable_seq))

    def wrote(self, rows: bytes, notes: Notes) -> None:
        tape = self.tape
        self.session.frames.append(Written(rows, notes, tape.rows, tape.last_seq, tape.tape_digest.hex()))

    def append(self) -> None:
        count = self.rng.choice([1, 1, 1, 2, 3, 5, 20])  # 20: more than a segment
        make = named_rows if self.session.sealing else random_rows
        rows = make(self.rng, count, self.tape.last_seq + 1)
        noted = self.rng.sample(rows["seq"].tolist(), 1) if self.rng.random() < 0.3 else []
        notes = {seq: self.rng.choice(["", "fünf", "x" * self.rng.randint(1, 600)]) for seq in noted}
        self.tried = int(rows["seq"][-1]), rows.tobytes(), notes
        self.tape.append(rows, notes, durable=self.rng.random() < 0.15)
        self.wrote(rows.tobytes(), notes)

    def refer(self) -> None:
        self.tried = self.tape.last_seq + 2, b"", {}
        self.tape.append_ref(canonical_json({"count": self.rng.randint(0, 10**9)}), self.tape.last_seq + 2)
        self.wrote(b"", {})

    def wait(self) -> None:
        self.now += self.rng.choice([0.02, 0.06])
        self.tape.tick()

    def again(self) -> None:
        self.tape.close()
        self.tape = self.open()

    def take_up(self) -> None:
        """Another process goes on where one was killed, on a system that goes on: nothing is lost but the process."""
        self.tape._give_up()
        self.tape = self.open()
        last = self.session.frames[-1].last_seq if self.session.frames else 0
        if self.tape.last_seq > last:
            assert self.tape.last_seq == self.tried[0]
            self.wrote(*self.tried[1:])

    def play(self, steps: int) -> None:
        moves = [self.append] * 16 + [self.wait] * 3 + [self.refer, self.again, self.mark, self.sync]
        for _ in range(steps):
            self.disk.dies = self.rng.randint(1, 12) if self.rng.random() < 0.1 else 0
            try:
                self.rng.choice(moves)()
                self.note(self.tape)
            except Killed:
                self.take_up()
        self.disk.dies = 0
        if self.rng.random() < 0.5:
            self.tape.close()
            self.note(self.tape)
        else:
            self.tape.sync()
            self.note(self.tape)
            self.tape.close()
            while self.disk.log.pop().what != "note":  # the power went before it was closed
                pass
            self.note(self.tape)

    def mark(self) -> None:
        self.tape.mark()

    def sync(self) -> None:
        self.tape.sync()


def aside_in(folder: Path) -> list[Path]:
    """What is in quarantine; half a file of a crash is not."""
    return [path for path in (folder / QUARANTINE).glob("*.bin*") if path.suffix != ".tmp"]


def torn_in(folder: Path) -> list[Torn]:
    """What is torn at the end of a tape, and what is in its quarantine."""
    found = [Torn(*place_of(path.name), path.read_bytes()) for path in aside_in(folder)]
    if (folder / NAME).exists():
        end = find_end(folder)
        path = segment_path(folder, end.segment)
        found += [Torn(path.stem, end.offset, written_rest(path, end.offset))] if end.torn else []
    return found


def place_of(name: str) -> tuple[str, int]:
    """Segment and byte that a file in quarantine is named for."""
    segment, _, offset = name.partition(".")[0].partition("-")
    return segment, int(offset)


def play(
    folder: Path,
    seed: int,
    steps: int,
    found: list[Written],
    segment_bytes: int,
    sealing: bool,
    log: list[Op] | None = None,
) -> Session:
    """Have a writer work on the tape in `folder`, of which it must find the frames `found`.

    `sealing`: what is closed becomes Parquet first.
    """
    promised = found[-1].last_seq if found else 0
    if sealing and found:
        seal_closed(folder)
    session = Session(seed, files_below(folder), promised, segment_bytes, sealing, list(found), torn=torn_in(folder))
    disk = RecordingDisk(folder, log)
    player = _Player(session, folder, disk)
    player.play(steps)
    session.log = disk.log
    return session
