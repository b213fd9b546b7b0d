"""Crash a session at every operation in every way, recover with the real writer, and hold it to what was promised.

A world is a chain of sessions made from one seed: each goes on from a crash of the one before, so that recovery is
recorded and crashed as well.
"""

import itertools
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from adapters.tape.check import check_tape
from adapters.tape.digest import TapeDigest
from adapters.tape.reader import durable_seq, read_rows
from adapters.tape.scan import SUFFIX, segment_paths
from adapters.tape.watermark import NAME, SLOT, read_watermark, unpack
from adapters.tape.writer import TapeWriter
from kernel.errors import NotFound
from kernel.schema import EVENT
from tests.adapters.tape.rows import gather
from tests.simulation.disk import RANDOM, Files, Mode, Op, Platter
from tests.simulation.sessions import Session, Torn, Written, aside_in, place_of, play

SEGMENT_BYTES = (1_500, 4_096, 8_192)
STEPS = (8, 4, 3)  # of the sessions of a world
SEALING = 26  # every so many worlds, closed segments become Parquet between the sessions
CHECKED = 8  # every so many states, `check_tape` looks first
AGAIN = 3  # of so many states one is opened a second time and gone on with


class Crash(NamedTuple):
    """Where and how the power went. With the world's seed and the session's place it gives the same files again."""

    operation: int
    mode: Mode
    seed: int
    promised: int  # seq: to the caller, or to a reader
    marked: int  # seq of the watermark that was synced
    segment: int  # nobody goes on in one before it


class Recovered(NamedTuple):
    """What was there after a crash: the last seq that readers saw, that of the tape, and where it goes on."""

    seen: int
    last_seq: int
    segment: int


class Lost(AssertionError):
    """The tape broke a promise; says which, and how to see it again."""


@dataclass
class Marks:
    """What the watermark file says while a session runs, and what of that is synced."""

    file: int = -1
    said: int = 0
    synced: int = 0

    def take(self, op: Op) -> None:
        if op.what == "create" and op.path == f"{NAME}.tmp":
            self.file = op.file
        elif op.file == self.file and op.what == "write" and len(op.data) < SLOT:
            mark = unpack(op.data.ljust(SLOT, b"\0"))
            assert mark is not None
            self.said = max(self.said, mark.seq)
        elif op.file == self.file and op.what == "sync":
            self.synced = self.said


def crashes(session: Session, seeds: int) -> Iterator[tuple[Crash, Files]]:
    """Every operation of a session and every mode, those with chance in them `seeds` times, and what is left."""
    platter, promised, segment = Platter(session.start), session.promised, 0
    marks = Marks(*mark_of(session.start))
    for k, op in enumerate(session.log):
        if op.what == "note":
            promised, segment = max(promised, op.offset), max(segment, op.file)
        else:
            platter.take(op)
            marks.take(op)
        for mode in [Mode.KEEP] if platter.is_synced else Mode:
            for seed in range(seeds if mode in RANDOM else 1):
                crash = Crash(k, mode, seed, max(promised, marks.said), marks.synced, segment)
                yield crash, platter.after_crash(mode, hash((k, seed)))


def mark_of(start: Files) -> tuple[int, int, int]:
    """The number of the watermark file and the seq it says."""
    if NAME not in start:
        return -1, 0, 0
    raw = start[NAME] or b""
    slots = [unpack(raw[k * SLOT : (k + 1) * SLOT]) for k in (0, 1)]
    seq = max(((slot.counter, slot.seq) for slot in slots if slot), default=(0, 0))[1]
    return sorted(start).index(NAME) + 1, seq, seq


def lay_out(folder: Path, files: Files) -> None:
    folder.mkdir()
    for name, content in files.items():  # folders come before what is in them
        if content is None:
            os.mkdir(f"{folder}/{name}")
        else:
            with open(f"{folder}/{name}", "wb", buffering=0) as file:
                file.write(content)


def written_in(files: Files) -> dict[str, bytes]:
    """What is written in the segments, without those that were only reserved."""
    held = {name: (files[name] or b"").rstrip(b"\0") for name in files if name.endswith(SUFFIX)}
    return {name: content for name, content in held.items() if content}


def segments_of(folder: Path) -> dict[str, bytes]:
    return written_in({path.name: path.read_bytes() for path in segment_paths(folder)})


class Judge:
    """Holds the tape in a folder to what a session promised."""

    def __init__(self, session: Session) -> None:
        self.session, self._tried = session, 0
        self.rows = b"".join(frame.rows for frame in session.frames)
        self.ends = {frame.last_seq: frame for frame in session.frames}
        self.ends[0] = Written(b"", {}, 0, 0, TapeDigest().hex())

    def read(self, folder: Path, after: int, seq: int) -> None:
        """A reader sees the events behind seq `after` up to `seq`, byte for byte, and no other."""
        rows, notes = gather(read_rows(folder, after + 1))
        wanted = self.rows[self.ends[after].count * EVENT.itemsize : self.ends[seq].count * EVENT.itemsize]
        assert rows.tobytes() == wanted, f"{len(rows)} rows read, {len(wanted) // EVENT.itemsize} expected"
        frames = (frame for frame in self.session.frames if after < frame.last_seq <= seq)
        assert notes == {each: text for frame in frames for each, text in frame.notes.items()}

    def before(self, folder: Path) -> int:
        """What a reader sees of the crashed tape; returns the seq its watermark says."""
        seq = durable_seq(folder)
        try:
            self.read(folder, 0, seq)
        except NotFound:
            assert seq == 0
        return seq

    def check_end(self, tape: TapeWriter) -> int:
        """The tape ends with a frame that was appended, and is what it was then; returns its last seq."""
        end = self.ends.get(tape.last_seq)
        assert end is not None, f"the tape ends at seq {tape.last_seq}, where no frame ends"
        assert (tape.rows, tape.tape_digest.hex()) == (end.count, end.digest)
        return tape.last_seq

    def try_state(self, folder: Path, files: Files) -> Recovered:
        """Everything a tape must do after a crash."""
        lay_out(folder, files)
        seen = self.before(folder)
        self._tried += 1
        checked = check_tape(folder).anchor.seq if NAME in files and self._tried % CHECKED == 0 else None
        with TapeWriter(folder, self.session.segment_bytes) as tape:
            found = self.check_end(tape)
        assert found >= seen, f"readers saw seq {seen}, recovered was {found}"
        assert checked in (None, found), "what `check_tape` found is not what the writer found"
        once, segment = segments_of(folder), read_watermark(folder).segment
        nothing_destroyed(folder, written_in(files), once)
        for torn in self.session.torn:
            assert is_kept(folder, torn), f"what was torn at byte {torn.offset} of {torn.segment} before is gone"
        if self._tried % AGAIN == 0:
            self.go_on(folder, seen, found, once)
        return Recovered(seen, found, segment)

    def go_on(self, folder: Path, seen: int, found: int, once: dict[str, bytes]) -> None:
        """Opening it once more changes nothing, and what is appended then is read back."""
        with TapeWriter(folder, self.session.segment_bytes) as tape:
            assert self.check_end(tape) == found and segments_of(folder) == once, "twice is not once"
            row = np.frombuffer(bytes([7]) * EVENT.itemsize, EVENT).copy()
            row["seq"] = found + 1
            self.read(folder, seen, found)
            tape.append(row, {found + 1: "on"})
        rows, notes = gather(read_rows(folder, found + 1))
        assert rows.tobytes() == row.tobytes() and notes == {found + 1: "on"}, "the tape does not go on"


def hold(crash: Crash, found: Recovered) -> None:
    """Compare what was promised before a crash with what was there after it."""
    assert found.last_seq >= crash.promised, f"seq {crash.promised} was promised, {found.last_seq} is there"
    assert found.seen >= crash.marked, f"the watermark was synced at seq {crash.marked}, readers see {found.seen}"
    assert found.segment >= crash.segment, f"segment {found.segment} goes on, {crash.segment} was begun or to be begun"


def nothing_destroyed(folder: Path, before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """What recovery cut off a segment is in quarantine, named for where it stood."""
    for name, content in before.items():
        held = after.get(name, b"")
        assert content.startswith(held)
        if len(held) < len(content):
            stem = name.removesuffix(SUFFIX)
            places = {
                offset for segment, offset in (place_of(path.name) for path in aside_in(folder)) if segment == stem
            }
            assert any(is_kept(folder, Torn(stem, at, content[at:])) for at in places), f"the rest of {name} is gone"


def is_kept(folder: Path, torn: Torn) -> bool:
    """Whether torn bytes are in quarantine, under the name of their place."""
    aside = (path for path in aside_in(folder) if place_of(path.name) == (torn.segment, torn.offset))
    return any(path.read_bytes() == torn.content for path in aside)


class World:
    """The sessions of one seed and their crashes. `known` counts the distinct states."""

    def __init__(self, seed: int, room: Path, seeds: int = 4, known: set[int] | None = None) -> None:
        self.seed, self.room, self.seeds = seed, room, seeds
        self.known = set() if known is None else known
        self._rng = random.Random(seed)
        self._numbers = itertools.count()

    def folder(self) -> Path:
        return self.room / f"{self.seed}-{next(self._numbers)}"

    def explore(self) -> None:
        """Raises Lost at the first promise that is broken."""
        start: Files = {}
        found: list[Written] = []
        for place, steps in enumerate(STEPS):
            folder = self.folder()
            lay_out(folder, start)
            size = self._rng.choice(SEGMENT_BYTES)
            session = play(folder, self._rng.getrandbits(32), steps, found, size, self.seed % SEALING == 0)
            shutil.rmtree(folder)
            start, last_seq = self.crash(place, session)
            found = session.up_to(last_seq)

    def crash(self, place: int, session: Session) -> tuple[Files, int]:
        """Try every crash of a session; returns one of them, to go on from."""
        judge, tried = Judge(session), dict[int, Recovered]()
        chosen: tuple[Files, int] = ({}, 0)
        for crash, files in crashes(session, self.seeds):
            key = hash(tuple(files.items()))
            try:
                if key not in tried:
                    folder = self.folder()
                    tried[key] = judge.try_state(folder, files)
                    shutil.rmtree(folder)
                    if self._rng.random() * len(tried) < 1:
                        chosen = files, tried[key].last_seq
                hold(crash, tried[key])
            except Exception as error:
                op = session.log[crash.operation]
                raise Lost(
                    f"{error}\nWorld({self.seed}, ..., seeds={self.seeds}), session {place}, after operation "
                    f"{crash.operation} ({op.what} {op.path or op.file}), {crash.mode.value}, seed {crash.seed}"
                ) from error
        self.known.update(tried)
        return chosen
