"""Bring an engine to where a recorded account tape stands, by the code it has now.

The events that the same code wrote are run again and compared. Those of other code are folded as they were recorded,
with strategies called for their memory only: orders and money are the tape's, memory is a warm-up.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import canonical_json
from adapters.tape.reader import read_notes, read_rows
from adapters.tape.retire import require_inputs
from adapters.tape.snapshots import Snapshot
from api.compare import Comparer, Divergence
from api.drive import drive_all
from kernel.codes import Origin
from kernel.engine import Engine
from kernel.errors import LimitExceeded
from kernel.schema import join_rows

EXTERNAL = int(Origin.EXTERNAL)
Config = dict[str, Any]
Seen = Callable[[np.ndarray], None]


@dataclass(frozen=True)
class Span:
    """Events from `seq` on that one start of a session wrote, up to the next span. `code` names what ran."""

    seq: int
    code: str
    config: Config


def code_of(config: Config) -> str:
    """One name for the kernel and the strategies of a configuration; 64 hex digits."""
    codes = [config["kernel_hash"], *(row["code_hash"] for row in config["strategies"])]
    return hashlib.sha256(canonical_json(codes)).hexdigest()


def spans_of(folder: Path, last_seq: int | None = None) -> list[Span]:
    """The spans of an account tape, from the notes of its RUN_STARTED events."""
    found = []
    for seq, text in sorted(read_notes(folder).items()):
        if last_seq is None or seq <= last_seq:
            config = said(text)
            if "kernel_hash" in config:
                found.append(Span(seq, code_of(config), config))
    return found


def said(note: str) -> dict[str, Any]:
    """What a note says, where it is a JSON object; notes may be any text."""
    try:
        found = json.loads(note)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def written_by(spans: list[Span], code: str) -> int | None:
    """The first seq from which on all was written by `code`; None when the last span was not."""
    first = None
    for span in reversed(spans):
        if span.code != code:
            break
        first = span.seq
    return first


@dataclass
class Restored:
    """What `restore` did. `folded`: events of other code; `differing`: calls that ask for something else today."""

    folded: int = 0
    differing: int = 0
    compared: int = 0
    divergence: Divergence | None = None


def restore(
    engine: Engine, folder: Path, first: int | None, seen: Seen, last_ts: int | None = None, from_seq: int = 0
) -> Restored:
    """Take the events from `from_seq` on (those before are in the engine already) up to `last_ts` (ns UTC).

    Events before `first` are folded as recorded, all others run again and compared; None: all are folded. `seen(rows)`
    hears of every event, as it came out.
    """
    require_inputs(folder, from_seq, last_ts)
    done = Restored()
    if first is None or first > from_seq:
        for rows in whole_steps(_upto(folder, from_seq, last_ts, first), len(engine.inputs)):
            done.differing += engine.rehearse(rows)
            done.folded += len(rows)
            seen(rows)
    if first is not None:
        start = max(first, from_seq)
        comparer = Comparer(_upto(folder, start, last_ts))

        def compared(rows: np.ndarray) -> None:
            comparer.add(rows)
            seen(rows)

        inputs = RecordedInputs(_upto(folder, start, last_ts))
        while count := inputs.read_into(engine.inputs):
            compared(drive_all(engine, count))
        comparer.finish()
        done.compared, done.divergence = comparer.events, comparer.divergence
    return done


def restore_snapshot(engine: Engine, snapshot: Snapshot | None) -> int:
    """Load a snapshot; the next seq to take. One of tables of other sizes is passed over."""
    if snapshot is None:
        return 0
    try:
        engine.load(snapshot.tables)
    except ValueError:
        return 0
    return snapshot.seq + 1


def whole_steps(batches: Iterator[np.ndarray], most: int) -> Iterator[np.ndarray]:
    """The same rows in pieces of at most `most` that end where a decision ends: before an EXTERNAL row."""
    held = join_rows([])
    for rows in batches:
        held = join_rows([held, rows])
        while len(held) > most:
            starts = np.flatnonzero(held["origin"][1 : most + 1] == EXTERNAL)
            if not len(starts):
                raise LimitExceeded(
                    f"seq {held['seq'][0]}: one step wrote more than the {most:,} events a batch can hold"
                )
            cut = int(starts[-1]) + 1
            yield held[:cut]
            held = held[cut:]
    if len(held):
        yield held


def _upto(folder: Path, from_seq: int, last_ts: int | None, before: int | None = None) -> Iterator[np.ndarray]:
    for rows, _ in read_rows(folder, from_seq):
        part = rows if last_ts is None else rows[: np.searchsorted(rows["ts_init"], last_ts, "right")]
        part = part if before is None else part[: np.searchsorted(part["seq"], before)]
        if len(part):
            yield part
        if len(part) < len(rows):
            return


class RecordedInputs:
    """The EXTERNAL rows among recorded ones, as a feed."""

    def __init__(self, batches: Iterator[np.ndarray]) -> None:
        self._batches = batches
        self._hand = join_rows([])

    def read_into(self, records: np.ndarray) -> int:
        """Fill `records` from the start; 0 at the end."""
        while len(self._hand) == 0:
            rows = next(self._batches, None)
            if rows is None:
                return 0
            self._hand = rows[rows["origin"] == EXTERNAL].copy()
        count = min(len(records), len(self._hand))
        records[:count] = self._hand[:count]
        self._hand = self._hand[count:]
        return count
