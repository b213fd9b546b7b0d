"""The tapes of a home by name, whatever their kind: what each is, and its events as far as they can be read."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from adapters.market.feed import MarketFeed, Selection
from adapters.market.instruments import Instrument, Registry
from adapters.market.tape import MANIFEST, open_tape, tapes_folder
from adapters.tape.behind import numbers_in
from adapters.tape.check import is_being_written
from adapters.tape.export import Names
from adapters.tape.frame import EVENTS, unpack_events
from adapters.tape.parts import SEALED, SealedPart, part_path
from adapters.tape.reader import Batch, Tail, config_of, is_sealed, list_run_folders, read_manifest, read_rows
from adapters.tape.retire import bounds, retired_inputs
from adapters.tape.scan import Anchor, Walk, segment_paths
from adapters.tape.sealed import NOTES, check_files, read_sealed
from adapters.tape.watermark import NAME, Watermark, read_watermark
from adapters.tape.writer import BALLAST, QUARANTINE
from kernel.errors import NotFound, TapeCorrupt
from kernel.schema import EVENT

MARKET, ACCOUNT, RUN = "market", "account", "run"
BATCH = 16_384


@dataclass(frozen=True)
class Tape:
    """A tape of a home: `kind` is market, account or run."""

    kind: str
    name: str
    folder: Path


def all_tapes(home: Path) -> list[Tape]:
    """Every tape of a home, damaged ones as well; nothing but names is looked at."""
    accounts = [path for path in sorted((home / "tapes" / "accounts").glob("*")) if path.is_dir()]
    markets = [path for path in sorted(tapes_folder(home).glob("*")) if path.is_dir() and path.name[0] != "."]
    found = [Tape(MARKET, path.name, path) for path in markets]
    found += [Tape(ACCOUNT, path.name, path) for path in accounts if any(path.glob("*.segment")) or
              (path / SEALED).is_dir() or (path / NAME).exists()]  # fmt: skip
    return found + [Tape(RUN, path.name, path) for path in list_run_folders(home)]


def find_tape(home: Path, name: str, kinds: tuple[str, ...] = (ACCOUNT, RUN, MARKET)) -> Tape:
    """A tape by its name, the beginning of a run's, `latest` for the newest run, or a path. Raises NotFound."""
    tapes = [tape for tape in all_tapes(home) if tape.kind in kinds]
    runs = [tape for tape in tapes if tape.kind == RUN]
    if name == "latest" and (whole := [run for run in runs if is_sealed(run.folder)]):
        return whole[-1]
    exact = sorted((tape for tape in tapes if tape.name == name), key=lambda tape: kinds.index(tape.kind))
    begun = [run for run in runs if name and run.name.startswith(name)]
    if exact or len(begun) == 1:
        return (exact or begun)[0]
    if begun:
        raise NotFound(f"{name} could be {', '.join(run.name for run in begun[:5])}: write more of it")
    if (tape := _by_path(Path(name))) and tape.kind in kinds:
        return tape
    near = get_close_matches(name, [tape.name for tape in tapes], 1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "`onetape tape ls` lists them"
    raise NotFound(f"no {' or '.join(kinds)} tape {name!r} in {home}: {hint}")


def _by_path(path: Path) -> Tape | None:
    if any(path.glob("*.segment")) or (path / NAME).is_file() or (path / SEALED).is_dir():
        return Tape(ACCOUNT, path.resolve().name, path)
    if (path / NOTES).is_file():
        return Tape(RUN, path.resolve().name, path)
    return Tape(MARKET, path.resolve().name, path) if (path / MANIFEST).is_file() else None


# Reading --------------------------------------------------------------------------------------------------------------


def rows_of(tape: Tape, from_seq: int = 0) -> Iterator[Batch]:
    """(EVENT rows, notes) of a tape from a seq on. The rows of a sealed file come once its hash was compared.

    Of a damaged tape it gives what can be read before the damage, then raises TapeCorrupt. A market tape's seqs are the
    places of its bars and actions.
    """
    if tape.kind == MARKET:
        yield from _market_rows(tape.folder, from_seq)
    elif is_sealed(tape.folder):
        check_files(tape.folder, read_manifest(tape.folder))
        yield from read_sealed(tape.folder, from_seq)
    elif tape.kind == RUN:
        raise NotFound(f"{tape.name} is a backtest that did not finish, or still runs: it has no tape")
    else:
        yield from _account_rows(tape.folder, from_seq)


def _market_rows(folder: Path, from_seq: int) -> Iterator[Batch]:
    open_tape(folder)
    feed, last = MarketFeed([folder], Selection()), 0
    table = np.zeros(BATCH, EVENT)
    while count := feed.read_into(table):
        rows = table[:count].copy()
        rows["seq"] = np.arange(last + 1, last + count + 1)
        last += count
        if last >= from_seq:
            yield rows[max(from_seq - last + count - 1, 0) :], {}


def _account_rows(folder: Path, from_seq: int) -> Iterator[Batch]:
    anchor = Anchor()
    for number in range(1, max(numbers_in(folder / SEALED), default=0) + 1):
        part = SealedPart.read(part_path(folder, number))
        if (part.before.number, part.before.sha) != (anchor.number, anchor.sha):
            raise TapeCorrupt(f"{part.folder} does not follow the sealed part before it: see `onetape tape repair`")
        check_files(part.folder, read_manifest(part.folder))
        if part.anchor.seq >= from_seq:
            yield from read_sealed(part.folder, from_seq)
        anchor = part.anchor
    try:
        read_watermark(folder)
    except TapeCorrupt:
        yield from _frames_without_watermark(folder, anchor, from_seq)
        raise
    yield from Tail(folder, max(from_seq, anchor.seq + 1)).poll()


def _frames_without_watermark(folder: Path, anchor: Anchor, from_seq: int) -> Iterator[Batch]:
    """The frames that are whole and follow, although nothing says how many there should be."""
    done = max(numbers_in(folder / SEALED), default=0)
    for path in [path for path in segment_paths(folder) if int(path.stem) > done]:
        walk = Walk(path, anchor, from_seq=from_seq)
        for place in walk:
            if place.header.kind == EVENTS and place.body:
                rows, notes = unpack_events(place.body)
                first = int(np.searchsorted(rows["seq"], from_seq))
                yield rows[first:], {seq: text for seq, text in notes.items() if seq >= from_seq}
        anchor = walk.anchor


def names_of(home: Path, tape: Tape) -> tuple[Names, str, str]:
    """(what numbers stand for, time zone, currency): what a tape's configuration cannot say, the home's table does."""
    registry: list[Instrument] = []
    with suppress(TapeCorrupt):
        registry = list(Registry.load(home))
    symbols = {row.number: row.symbol for row in registry}
    zone, currency = (registry[0].tz, registry[0].currency) if registry else ("UTC", "")
    config: dict[str, Any] = {}
    with suppress(TapeCorrupt, NotFound, ValueError):
        config = config_of(tape.folder) if tape.kind != MARKET else {}
    symbols = {row["number"]: row["symbol"] for row in config.get("instruments", [])} or symbols
    strategies = {row["number"]: row["name"] for row in config.get("strategies", [])}
    currencies = dict(enumerate(config.get("currencies") or [config.get("currency", currency)]))
    names = Names(symbols, strategies, scales_of(config.get("instruments", [])), currencies)
    return names, config.get("timezone", zone), config.get("currency", currency)


def scales_of(rows: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Price units in one of the currency by number, of the instruments where they are not 1/10,000."""
    return {row["number"]: 10 ** row["price_decimals"] for row in rows if row.get("price_decimals", 4) != 4}


# Listing --------------------------------------------------------------------------------------------------------------


def describe(tape: Tape) -> dict[str, Any]:
    """One line of figures about a tape; `problem` says what keeps it from being read. Times are ns UTC."""
    line: dict[str, Any] = {"tape": tape.name, "kind": tape.kind, "bytes": bytes_in(tape.folder)}
    try:
        of = {MARKET: _market_line, ACCOUNT: _account_line, RUN: _run_line}[tape.kind]
        return line | of(tape.folder)
    except (TapeCorrupt, NotFound) as error:
        return line | {"problem": str(error)}


def bytes_in(folder: Path) -> int:
    """Bytes of all files in a folder but the ballast; reserved space counts."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != BALLAST)


def _market_line(folder: Path) -> dict[str, Any]:
    found = open_tape(folder)
    first, last = (found.first_ts, found.last_ts) if found.bars or found.ticks else (None, None)
    events = found.events
    return {"events": events, "rows": events, "first_ts": first, "last_ts": last}


def _run_line(folder: Path) -> dict[str, Any]:
    if not is_sealed(folder):
        return {"problem": "did not finish, or still runs: no tape"}
    about = read_manifest(folder)
    try:
        spans = [bounds(folder / name, "ts_init") for name in about["files"] if name != NOTES]
    except OSError as error:
        raise TapeCorrupt(f"{folder} cannot be read ({error}): run `onetape verify`") from error
    first, last = (min(a for a, _ in spans), max(b for _, b in spans)) if spans else (None, None)
    return {"events": about["last_seq"], "rows": about["rows"], "first_ts": first, "last_ts": last}


def _account_line(folder: Path) -> dict[str, Any]:
    mark: Watermark = read_watermark(folder)
    sealed = numbers_in(folder / SEALED)
    quarantine = folder / QUARANTINE
    line = {
        "events": mark.seq,
        "rows": mark.rows,
        "sealed": len(sealed),
        "frames": sum(int(path.stem) not in sealed for path in segment_paths(folder)),
        "being_written": is_being_written(folder),
        "epoch": mark.epoch,
        "durable_seq": mark.seq,
        "quarantined_bytes": bytes_in(quarantine) if quarantine.is_dir() else 0,
        "retired_rows": sum(gone.rows for gone in retired_inputs(folder)),
    }
    first = next(read_rows(folder), None) if mark.seq else None
    last = first
    for batch in read_rows(folder, mark.seq) if mark.seq else ():
        last = batch
    if first and last:
        line |= {"first_ts": int(first[0]["ts_init"][0]), "last_ts": int(last[0]["ts_init"][-1])}
    return line
