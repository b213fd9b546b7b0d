"""What `onetape doctor` looks at on tapes: watermark, frames, sealed parts by size, locks, leftovers; not all bytes."""

import time
from collections.abc import Iterator
from pathlib import Path

from adapters.market.tape import open_tape, tapes_folder
from adapters.tape.check import foreign_paths, is_being_written
from adapters.tape.parts import SEALED, sealed_parts, start_of
from adapters.tape.reader import is_sealed, read_manifest
from adapters.tape.scan import examine
from adapters.tape.watermark import read_watermark
from adapters.tape.writer import QUARANTINE
from api.doctor import BAD, OK, WARN, Check
from api.run_lock import still_runs
from api.tapes import ACCOUNT, MARKET, Tape, all_tapes, bytes_in
from kernel.errors import OnetapeError, TapeCorrupt


def tapes(home: Path) -> Iterator[Check]:
    """A line for each account tape, one for all that is well otherwise, one for each trouble."""
    found = all_tapes(home)
    count = 0
    for tape in found:
        try:
            lines = list(_account(tape) if tape.kind == ACCOUNT else _whole(tape))
        except OnetapeError as error:
            mend = "`onetape tape repair`" if tape.kind == ACCOUNT else "put the folder back from a backup"
            lines = [Check(f"tape {tape.name}", BAD, str(error), mend)]
        count += not lines
        yield from lines
    if count:
        yield Check("tapes", OK, f"{count} market tapes and runs have their files (`onetape verify` reads every byte)")
    yield from _leftovers(home)


def _whole(tape: Tape) -> Iterator[Check]:
    """A tape that does not change: its manifest, and its files by size."""
    if tape.kind != MARKET and not is_sealed(tape.folder):
        if time.time() - tape.folder.stat().st_mtime > 3_600 and not still_runs(tape.folder):
            mend = "`onetape prune --runs --older-than 1` removes it"
            yield Check(f"run {tape.name}", WARN, "a backtest that did not finish", mend)
        return
    _check_sizes(
        tape.folder, open_tape(tape.folder).files if tape.kind == MARKET else read_manifest(tape.folder)["files"]
    )


def _check_sizes(folder: Path, files: dict) -> None:
    for name, about in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != about["bytes"]:
            raise TapeCorrupt(f"{path} is missing or cut: {about['bytes']:,} bytes were written")


def _account(tape: Tape) -> Iterator[Check]:
    name, folder = f"tape {tape.name}", tape.folder
    writing = is_being_written(folder)
    for part in sealed_parts(folder):
        _check_sizes(part.folder, read_manifest(part.folder)["files"])
    mark = read_watermark(folder)
    found = examine(folder, mark, start_of(folder), being_written=writing)
    text = f"{found.anchor.seq:,} events, writer {mark.epoch}, segment {found.segment}"
    yield Check(name, OK, text + (", being written now" if writing else ""))
    if found.torn and not writing:
        yield Check(name, WARN, f"ends in {found.torn:,} bytes of a torn write", "the next start puts them aside")
    for path in foreign_paths(folder):
        yield Check(
            name,
            BAD,
            f"{path} is no part of the tape",
            f"move it elsewhere, or `onetape tape repair {tape.name} --yes`",
        )
    if (folder / QUARANTINE).is_dir() and (kept := bytes_in(folder / QUARANTINE)):
        yield Check(name, WARN, f"{kept:,} bytes in {folder / QUARANTINE}", "look at them, then move them elsewhere")
    unfinished = [*(folder / SEALED).glob(".*.part"), *folder.rglob("*.tmp")]
    if unfinished and not writing:
        yield Check(
            name, WARN, f"{unfinished[0]} was left by a process that was killed", "`onetape tape seal` goes on there"
        )


def _leftovers(home: Path) -> Iterator[Check]:
    """Half-made folders of imports and backups."""
    for path in [*tapes_folder(home).glob(".*"), *home.glob("*.tmp"), *(home / "instruments").glob("*.tmp")]:
        if time.time() - path.stat().st_mtime > 3_600:
            yield Check("leftovers", WARN, f"{path} was left by a process that was killed", f"remove {path}")
