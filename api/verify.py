"""`onetape verify`: stored bytes are what was written, and every gap is exactly the bars it refers to."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import canonical_json
from adapters.market.instruments import Registry
from adapters.market.reader import bar_batches
from adapters.market.tape import Manifest, list_tapes, open_tape, tapes_folder
from adapters.market.verify import verify_tape
from adapters.tape.digest import TapeDigest
from adapters.tape.reader import is_sealed, list_account_folders, list_run_folders, read_manifest, read_refs, read_rows
from adapters.tape.scan import SUFFIX, Scan, check_digests
from adapters.tape.sealed import check_files, check_rows
from api.bootstrap import check_input_files
from kernel.errors import TapeCorrupt

BESIDE = ("writer.lock", "sources.json")  # what a live process keeps next to its segments; in no digest


@dataclass(frozen=True)
class Verified:
    """A tape whose every byte was read and agreed. `torn`: bytes of a last write that a crash cut short."""

    name: str
    events: int
    tape_digest: str
    torn: int = 0

    def line(self, width: int = 64) -> str:
        text = f"ok  {self.name}: {self.events:,} events, tape {self.tape_digest[:width]}"
        return text + (f" (then {self.torn:,} bytes of a torn last write, put aside on opening)" if self.torn else "")


def verify_run(home: Path, folder: Path) -> Verified:
    """Check a run or account tape: files, frames or sealed rows, digests, gaps, and the market tapes it refers to.

    Raises TapeCorrupt naming what is wrong.
    """
    torn = 0
    if is_sealed(folder):
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        decisions = check_rows(folder, manifest)
        if decisions.hex() != manifest["decision_digest"]:
            raise TapeCorrupt(f"{folder}: the sealed rows have another decision digest than the manifest")
        digest, stored = manifest["tape_digest"], manifest["rows"]
    else:
        _check_names(folder)
        digest, stored, torn = _check_frames(folder)
    refs = read_refs(folder)
    gaps = _gaps(folder, refs)
    referred = sum(int(ref["count"]) for ref in refs)
    if gaps != referred:
        raise TapeCorrupt(f"{folder}: {gaps:,} events are not stored, but its references cover {referred:,}")
    for ref in refs:
        _check_ref(home, folder, ref)
    return Verified(folder.name, stored + gaps, digest, torn)


def _check_names(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        own = path.suffix == SUFFIX or path.name in BESIDE or re.fullmatch(r"torn-\d{8}-\d+\.bin", path.name)
        if path.is_dir() or path.parent != folder or not own:
            raise TapeCorrupt(f"{path} is no part of the tape: nothing else belongs in its folder")


def _check_frames(folder: Path) -> tuple[str, int, int]:
    scan = Scan(folder)
    digest, stored = check_digests(scan)
    return digest.hex(), stored, scan.end.torn


def _gaps(folder: Path, refs: list[dict[str, Any]]) -> int:
    """Events that `seq` counts and the tape does not hold; rows out of order are an error."""
    last, missing = 0, 0
    for rows, _ in read_rows(folder):
        steps = np.diff(rows["seq"], prepend=last)
        if (steps <= 0).any():
            raise TapeCorrupt(f"{folder}: seq {int(rows['seq'][int(np.argmax(steps <= 0))])} comes out of order")
        missing += int((steps - 1).sum())
        last = int(rows["seq"][-1])
    if missing and not refs:
        raise TapeCorrupt(f"{folder}: {missing:,} events are missing and nothing refers to them")
    return missing


def _check_ref(home: Path, folder: Path, ref: dict[str, Any]) -> None:
    stated = ref["digest"]
    digest = TapeDigest()
    digest.add_ref(canonical_json({name: value for name, value in ref.items() if name != "digest"}))
    if digest.hex() != stated:
        raise TapeCorrupt(f"{folder}: a reference to market data was altered")
    for tape in ref["selection"]["tapes"]:
        found = open_tape(tapes_folder(home) / tape["name"])
        if found.content_digest != tape["content_digest"]:
            raise TapeCorrupt(f"{folder}: market tape {tape['name']} is not the one it was made from")
    check_input_files(home, ref["selection"])
    there = _bars_of(home, ref["selection"])
    if there != int(ref["count"]):
        raise TapeCorrupt(f"{folder}: it refers to {int(ref['count']):,} bars, its market tapes hold {there:,} of them")


def _bars_of(home: Path, selection: dict[str, Any]) -> int:
    chosen, first, last = set(selection["instruments"]), selection["first_ts"], selection["last_ts"]
    paths = [tapes_folder(home) / tape["name"] for tape in selection["tapes"]]
    columns = ("ts_init", "instrument")
    return sum(len(b["ts_init"]) for p in paths for b in bar_batches(p, chosen, first, last, columns=columns))


def check_instruments(home: Path, tape: Manifest) -> None:
    """Raise TapeCorrupt unless the instrument table still gives a tape's numbers to its symbols."""
    registry = Registry.load(home)
    for row in tape.instruments:
        known = registry.find(row.symbol)
        if known is None or known.number != row.number:
            raise TapeCorrupt(
                f"{registry.path}: on market tape {tape.name} number {row.number} is {row.symbol}, here it is "
                f"{registry[row.number].symbol if row.number < len(registry) else 'missing'}: restore it from a backup"
            )


def verify_home(home: Path, seen: Callable[[str], None]) -> int:
    """Verify every tape and run of a home; `seen(line)` hears of each. Returns how many were checked."""
    count = 0
    for tape in list_tapes(home):
        verify_tape(tape.path)
        check_instruments(home, tape)
        seen(f"ok  market tape {tape.name}: {tape.bars:,} bars, content {tape.content_digest[:16]}")
        count += 1
    for folder in [*list_run_folders(home), *list_account_folders(home)]:
        if folder.parent.name == "runs" and not is_sealed(folder):
            seen(f"--  {folder.name}: a backtest that did not finish, or still runs: no tape")
            continue
        seen(verify_run(home, folder).line(16))
        count += 1
    return count
