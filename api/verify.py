"""`onetape verify`: stored bytes are what was written, and every gap is exactly the bars it refers to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import canonical_json
from adapters.market.instruments import Registry
from adapters.market.intact import check_inputs
from adapters.market.tape import TICK_FILES, Manifest, open_tape, tapes_folder
from adapters.market.ticks import count_rows
from adapters.market.verify import verify_tape
from adapters.tape.check import check_tape
from adapters.tape.digest import TapeDigest
from adapters.tape.reader import is_sealed, list_account_folders, list_run_folders, read_manifest, read_refs, read_rows
from adapters.tape.retire import retired_inputs
from adapters.tape.sealed import check_files, check_rows
from api.run_universe import members_of
from kernel.errors import OnetapeError, TapeCorrupt


@dataclass(frozen=True)
class Verified:
    """A tape whose every byte was read and agreed. `torn`: bytes of a last write that a crash cut short; `retired`:
    ticks among the events that were taken off, whose tombstones are there."""

    name: str
    events: int
    tape_digest: str
    torn: int = 0
    retired: int = 0

    def line(self, width: int = 64) -> str:
        text = f"ok  {self.name}: {self.events:,} events, tape {self.tape_digest[:width]}"
        text += f" ({self.retired:,} ticks of them retired: no replay)" if self.retired else ""
        return text + (f" (then {self.torn:,} bytes of a torn last write, put aside on opening)" if self.torn else "")


def verify_run(home: Path, folder: Path) -> Verified:
    """Check a run or account tape: files, frames or sealed rows, digests, gaps, and the market tapes it refers to.

    Raises TapeCorrupt naming what is wrong.
    """
    torn = retired = 0
    if is_sealed(folder):
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        decisions = check_rows(folder, manifest)
        if decisions.hex() != manifest["decision_digest"]:
            raise TapeCorrupt(f"{folder}: the sealed rows have another decision digest than the manifest")
        digest, stored = manifest["tape_digest"], manifest["rows"]
    else:
        found = check_tape(folder)
        digest, stored, torn = found.digest.hex(), found.rows, found.torn
        retired = sum(gone.rows for gone in retired_inputs(folder))
    refs = read_refs(folder)
    gaps = _gaps(folder, refs, retired)
    referred = sum(int(ref["count"]) for ref in refs)
    if gaps != referred:
        raise TapeCorrupt(f"{folder}: {gaps:,} events are not stored, but its references cover {referred:,}")
    gone = sum(_check_ref(home, folder, ref) for ref in refs)
    return Verified(folder.name, stored + gaps, digest, torn, retired + gone)


def _gaps(folder: Path, refs: list[dict[str, Any]], retired: int) -> int:
    """Events that `seq` counts and the tape never held; rows out of order are an error. `retired` ones it did hold."""
    last, missing = 0, -retired
    for rows, _ in read_rows(folder):
        steps = np.diff(rows["seq"], prepend=last)
        if (steps <= 0).any():
            raise TapeCorrupt(f"{folder}: seq {int(rows['seq'][int(np.argmax(steps <= 0))])} comes out of order")
        missing += int((steps - 1).sum())
        last = int(rows["seq"][-1])
    if missing and not refs:
        raise TapeCorrupt(f"{folder}: {missing:,} events are missing and nothing refers to them")
    return missing


def _check_ref(home: Path, folder: Path, ref: dict[str, Any]) -> int:
    """Hold a reference to the market tapes it is about; returns how many ticks it covers that were retired there."""
    stated = ref["digest"]
    digest = TapeDigest()
    digest.add_ref(canonical_json({name: value for name, value in ref.items() if name != "digest"}))
    if digest.hex() != stated:
        raise TapeCorrupt(f"{folder}: a reference to market data was altered")
    for tape in ref["selection"]["tapes"]:
        found = open_tape(tapes_folder(home) / tape["name"])
        if found.content_digest != tape["content_digest"]:
            raise TapeCorrupt(f"{folder}: market tape {tape['name']} is not the one it was made from")
    tapes = [open_tape(tapes_folder(home) / tape["name"]) for tape in ref["selection"]["tapes"]]
    check_inputs(tapes)
    gone = 0
    for sort, stated in ref.get("counts", {"bars": ref["count"]}).items():
        if any(TICK_FILES.get(sort) in tape.retired for tape in tapes):
            gone += int(stated)
            continue
        there = _rows_of(home, ref["selection"], sort)
        if there != int(stated):
            raise TapeCorrupt(f"{folder}: it refers to {int(stated):,} {sort}, its market tapes hold {there:,} of them")
    return gone


def _rows_of(home: Path, selection: dict[str, Any], sort: str) -> int:
    """How many bars, quotes or trades the market tapes of a reference hold of it."""
    chosen, first, last = set(selection["instruments"]), selection["first_ts"], selection["last_ts"]
    paths = [tapes_folder(home) / tape["name"] for tape in selection["tapes"]]
    members, batches = members_of(selection), count_rows(paths, sort, chosen, first, last)
    return sum(len((batch if members is None else members.taken(batch))["ts_init"]) for batch in batches)


def check_instruments(home: Path, tape: Manifest) -> None:
    """Raise TapeCorrupt unless the instrument table still gives a tape's numbers to its symbols."""
    registry = Registry.load(home)
    for row in tape.instruments:
        if not registry.had(row.number, row.symbol):
            raise TapeCorrupt(
                f"{registry.path}: on market tape {tape.name} number {row.number} is {row.symbol}, here it is "
                f"{registry[row.number].symbol if row.number < len(registry) else 'missing'}: restore it from a backup"
            )


def verify_market(home: Path, folder: Path) -> str:
    """Check a market tape and say so in a line. Raises NotFound, TapeCorrupt."""
    tape = verify_tape(folder)
    check_instruments(home, tape)
    held = [f"{count:,} {name}" for name, count in (("quotes", tape.quotes), ("trades", tape.trades)) if count]
    gone = f" ({', '.join(sorted(tape.retired))} retired: no replay)" if tape.retired else ""
    held = [f"{tape.bars:,} bars", *held] if tape.bars or not held else held
    return f"ok  market tape {tape.name}: {', '.join(held)}{gone}, content {tape.content_digest[:16]}"


def verify_home(home: Path, seen: Callable[[str], None]) -> tuple[int, list[str]]:
    """Verify every tape and run of a home; `seen(line)` hears of each. Returns how many were checked, and what is
    wrong with each that is damaged: one does not hide the others."""
    count, damaged = 0, []
    market = [path for path in sorted(tapes_folder(home).glob("*")) if path.is_dir() and path.name[0] != "."]
    for folder in [*market, *list_run_folders(home), *list_account_folders(home)]:
        if folder.parent.name == "runs" and not is_sealed(folder):
            seen(f"--  {folder.name}: a backtest that did not finish, or still runs: no tape")
            continue
        try:
            seen(verify_market(home, folder) if folder in market else verify_run(home, folder).line(16))
        except OnetapeError as error:
            damaged.append(str(error))
            seen(f"!!  {folder.name}: damaged: {error}")
        count += 1
    return count, damaged
