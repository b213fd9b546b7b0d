"""Import files of bars or ticks as one market tape: all checks first, then one atomic write."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from adapters.files import import_lock, make_folder, sha256_file
from adapters.market.actions import Action, StatedAction, action_columns, read_actions_file
from adapters.market.apply import collect_actions
from adapters.market.edges import edges_of
from adapters.market.findings import Finding
from adapters.market.instruments import Instrument, Registry
from adapters.market.load import LoadedFile, Progress, Symbols, load_file
from adapters.market.options import AUTO_TICKS, ImportOptions
from adapters.market.overlap import compare_stored, select
from adapters.market.source import expand, stem
from adapters.market.spool import TICK_WIDTHS, WIDTHS, Spool
from adapters.market.tape import Columns, Manifest, list_tapes, tapes_folder
from adapters.market.tick_overlap import in_order, note_overlaps, stored_already
from adapters.market.ticks_file import load_ticks, tick_columns
from adapters.market.writer import ROW_GROUP, MarketWriter, free_name
from adapters.market.zones import show_time
from kernel.errors import ConfigError, ImportRefused

_OFF_TICK = (
    "{}: prices are off the tick: where they are right, name a smaller one with --tick, or let --tick auto find it "
    "(0.0001 is the least); where the vendor added digits, --round-to-tick rounds half up and says how far"
)
_BAR_PRICES = ("open", "high", "low", "close", "volume", "open_interest")


@dataclass
class FileReport:
    """One file: `new` + `skipped` (stored already, or equal in an earlier file) + `empty` = `rows` unless
    refused."""

    path: Path
    rows: int = 0
    new: int = 0
    skipped: int = 0
    empty: int = 0
    findings: list[Finding] = field(default_factory=list)  # the first 20
    findings_total: int = 0

    @property
    def refused(self) -> bool:
        return self.findings_total > 0


@dataclass
class ImportReport:
    """What an import did. `tapes` is empty when there was nothing new."""

    files: list[FileReport]
    tapes: list[str]
    instruments: list[Instrument]  # with new bars or actions
    new: int
    splits: int
    dividends: int
    actions: list[Action]
    notes: list[str]
    seconds: float
    rows_per_second: float

    @property
    def refused(self) -> bool:
        """Whether any file was: the command then ends non-zero."""
        return any(file.refused for file in self.files)


def import_files(
    home: Path, paths: list[Path], options: ImportOptions | None = None, progress: Progress | None = None
) -> ImportReport:
    """Import `paths` (files, or folders of files) into `home` as one tape.

    A file with findings contributes nothing and is reported; the others go on. `progress(rows_done,
    rows_total or
    None, file name)` is called while reading. Raises ConfigError, NotFound, ImportRefused (a file that is
    not bars at
    all, given alone), TapeLocked, TapeCorrupt.
    """
    options = options or ImportOptions()
    options.check()
    began, home = time.perf_counter(), Path(home)
    files = expand([Path(path) for path in paths])
    if not files:
        raise ImportRefused("no files were given: name a CSV or Parquet file, or a folder of them")
    stated = read_actions_file(Path(options.actions)) if options.actions is not None else []
    with import_lock(home):
        make_folder(tapes_folder(home))
        with (
            tempfile.TemporaryDirectory(prefix=".import.", dir=tapes_folder(home)) as folder,
            Spool(Path(folder), TICK_WIDTHS if options.ticks else WIDTHS) as spool,
        ):
            run = _TickImport(home, options, spool) if options.ticks else _Import(home, options, spool, stated)
            run.load(files, progress)
            report = run.store(_tape_name(options, [Path(path) for path in paths]))
    report.seconds = time.perf_counter() - began
    report.rows_per_second = sum(file.rows for file in report.files) / max(report.seconds, 1e-9)
    return report


class _Import:
    """One import of bars under the lock."""

    load_file = staticmethod(load_file)

    def __init__(self, home: Path, options: ImportOptions, spool: Spool, stated: Sequence[StatedAction] = ()) -> None:
        self.home, self.options, self.spool = home, options, spool
        self.registry = Registry.load(home)
        self.stated = [replace(item, symbol=self._present(item.symbol)) for item in stated]
        self.tapes = list_tapes(home)
        self.symbols = Symbols(self.registry, options.tick_units(), options.tick_default)
        self.loaded: list[LoadedFile] = []

    def load(self, files: list[Path], progress: Progress | None) -> None:
        for path in files:
            start = self.spool.rows
            try:
                self.loaded.append(self.load_file(path, self.options, self.symbols, self.spool, progress))
            except ImportRefused as error:
                self.spool.truncate(start)
                if len(files) == 1:
                    raise
                self.loaded.append(_unreadable(path, start, str(error)))
        for file in self.loaded:  # terms of known instruments: before anything is compared or written
            for code in np.unique(self.spool.column("code", file.start, file.stop)):
                self.registry.check(self._wanted(int(code)))
                self._check_owner(file, int(code))

    def _present(self, symbol: str) -> str:
        known = self.registry.find(symbol)
        return known.symbol if known else symbol

    def _check_owner(self, file: LoadedFile, code: int) -> None:
        """Raise ConfigError where bars are of a time when their symbol meant another instrument."""
        owners = self.registry.owners(self.symbols.names[code])
        if len({owned.number for owned in owners}) < 2:
            return
        rows = file.start + np.flatnonzero(self.spool.column("code", file.start, file.stop) == code)
        stamps = self.spool.column("stamp")[rows]
        first, last = (show_time(int(ts), self.options.tz)[:10] for ts in (stamps.min(), stamps.max()))
        newest = owners[-1]
        if first < newest.start or last >= newest.end:
            raise ConfigError(
                f"{file.path}: {newest.symbol} means instrument {newest.number} from {newest.start} on, and these bars "
                f"are of {first} to {last}: bring those of the earlier one in under its present symbol, with --symbol"
            )

    def _wanted(self, code: int) -> Instrument:
        """The instrument as this import describes it; its number is settled by the registry."""
        symbols, options = self.symbols, self.options
        known = self.registry.find(symbols.names[code])
        tick = options.tick_units()
        if tick == 0 and known is None:
            tick = next(t for t in AUTO_TICKS if symbols.common[code] % t == 0)
        elif not tick:
            tick = known.tick if known else options.tick_default
        lot = options.lot or (known.lot if known else options.lot_default)
        multiplier = known.multiplier if known else 1
        return Instrument(-1, symbols.names[code], tick, lot, multiplier, options.currency, options.tz)

    def _numbers(self) -> np.ndarray:
        found = [self.registry.find(name) for name in self.symbols.names]
        return np.array([instrument.number if instrument else -1 for instrument in found], "i8")

    def _rank(self) -> np.ndarray:
        """Per code, its place among this import's symbols in the order their numbers have or will have."""
        numbers, names = self._numbers(), self.symbols.names
        ordered = sorted(range(len(names)), key=lambda c: (numbers[c] < 0, max(numbers[c], 0), names[c]))
        rank = np.zeros(len(names), "i8")
        rank[ordered] = np.arange(len(names))
        return rank

    def store(self, name: str) -> ImportReport:
        options, spool = self.options, self.spool
        notes: list[str] = []
        while True:  # a file refused here may have hidden another file's bars as repeats: look again without it
            before = sum(file.findings.total for file in self.loaded)
            chosen = select(spool, self.loaded, self._rank(), self.symbols.names, options.tz)
            known = compare_stored(self.tapes, spool, self.loaded, chosen.order, self._numbers(), options.tz)
            actions = collect_actions(
                self.registry,
                self.tapes,
                spool,
                self.loaded,
                chosen.order,
                known,
                self.symbols.names,
                self.stated,
                options,
                notes,
            )
            if sum(file.findings.total for file in self.loaded) == before:
                break
            notes.clear()
        skipped = np.concatenate([chosen.duplicates, chosen.order[known]])
        return self._report(name, chosen.order[~known], skipped, actions, notes)

    def _report(
        self,
        name: str,
        order: np.ndarray,
        skipped: np.ndarray,
        actions: "list[tuple[str, Action]]",
        notes: list[str],
    ) -> ImportReport:
        """Write the rows of `order`, if there are any, and say what became of all."""
        notes += [note for file in self.loaded if not file.findings.total for note in file.notes]
        notes += [_OFF_TICK.format(file.path) for file in self.loaded if _is_off_tick(file)]
        reports = [self._file_report(file, order, skipped) for file in self.loaded]
        report = ImportReport(reports, [], [], len(order), 0, 0, [], notes, 0.0, 0.0)
        if len(order) or actions:
            self._write(name, order, actions, report)
        return report

    def _file_report(self, file: LoadedFile, order: np.ndarray, skipped: np.ndarray) -> FileReport:
        new = int(np.sum((order >= file.start) & (order < file.stop)))
        old = int(np.sum((skipped >= file.start) & (skipped < file.stop)))
        return FileReport(file.path, file.rows, new, old, file.empty, file.findings.shown, file.findings.total)

    def _write(self, name: str, order: np.ndarray, actions: "list[tuple[str, Action]]", report: ImportReport) -> None:
        """Register the instruments, then write the tape: a number may be left unused, but never stands for
        two symbols."""
        codes = np.unique(self.spool.column("code")[order]) if len(order) else np.zeros(0, "i4")
        named = {self.symbols.names[code] for code in codes} | {symbol for symbol, _ in actions}
        wanted = [self._wanted(self.symbols.codes[symbol]) for symbol in named if symbol in self.symbols.codes]
        wanted += [i for symbol in named - self.symbols.codes.keys() if (i := self.registry.find(symbol)) is not None]
        report.instruments = sorted(self.registry.add(wanted), key=lambda i: i.number)
        self.registry.save()
        number = {i.symbol: i.number for i in report.instruments}
        numbered = [replace(action, instrument=number[symbol]) for symbol, action in actions]
        report.actions = sorted(numbered, key=Action.place)
        report.splits = sum(action.numerator > 0 for action in report.actions)
        report.dividends = len(report.actions) - report.splits
        used = [file for file in self.loaded if not file.findings.total]
        sources = [{"name": file.path.name, "sha256": sha256_file(file.path)} for file in used]
        if self.options.actions is not None:
            sources.append({"name": Path(self.options.actions).name, "sha256": sha256_file(Path(self.options.actions))})
        manifest = self._write_tape(free_name(self.home, name), order, report, sources)
        report.tapes = [manifest.name]

    def _write_tape(
        self, name: str, order: np.ndarray, report: ImportReport, sources: list[dict[str, str]]
    ) -> Manifest:
        columns = {column: self.spool.column(column) for column in ("stamp", "span", "code", *_BAR_PRICES)}
        interest = bool(np.any(columns["open_interest"][order])) if len(order) else False
        numbers = self._numbers()
        symbols = [(i.number, i.symbol) for i in report.instruments]
        with MarketWriter(self.home, name, symbols, ["open_interest"] if interest else []) as tape:
            for start in range(0, len(order), ROW_GROUP):
                rows = order[start : start + ROW_GROUP]
                piece = {column: values[rows] for column, values in columns.items()}
                piece["ts_init"], piece["instrument"] = piece.pop("stamp"), numbers[piece.pop("code")]
                tape.add(piece)
            edges = {name: self.spool.column(name)[order] for name in ("stamp", "adj_close", "code")}
            edges["ts_event"], edges["instrument"] = edges.pop("stamp"), numbers[edges.pop("code")]
            return tape.finish(action_columns(report.actions), sources, self.options.described(), edges_of(edges))


class _TickImport(_Import):
    """One import of quotes or trades under the lock."""

    load_file = staticmethod(load_ticks)

    def store(self, name: str) -> ImportReport:
        names, tz = self.symbols.names, self.options.tz
        note_overlaps(self.spool, self.loaded, names, tz)
        known = stored_already(self.tapes, self.spool, self.loaded, self._numbers(), names, self.options)
        order = in_order(self.spool, self.loaded, self._rank())
        return self._report(name, order[~known[order]], order[known[order]], [], [])

    def _write_tape(
        self, name: str, order: np.ndarray, report: ImportReport, sources: list[dict[str, str]]
    ) -> Manifest:
        assert self.options.ticks is not None
        numbers, symbols = self._numbers(), [(i.number, i.symbol) for i in report.instruments]
        interest = bool(np.any(self.spool.column("open_interest")[order]))
        with MarketWriter(self.home, name, symbols) as tape:
            for start in range(0, len(order), ROW_GROUP):
                rows = order[start : start + ROW_GROUP]
                piece: Columns = {column: self.spool.column(column)[rows] for column in self.spool.widths}
                piece["instrument"] = numbers[piece["code"]]
                tape.add_ticks(self.options.ticks, tick_columns(piece, self.options, interest))
            return tape.finish(action_columns([]), sources, self.options.described())


def _is_off_tick(file: LoadedFile) -> bool:
    return any("is off the tick" in finding.message for finding in file.findings.shown)


def _unreadable(path: Path, start: int, message: str) -> LoadedFile:
    from adapters.market.findings import Findings

    findings = Findings(str(path))
    findings.add(0, message.removeprefix(f"{path}: "))
    return LoadedFile(path, start, start, 0, 0, findings)


def _tape_name(options: ImportOptions, paths: list[Path]) -> str:
    """The name asked for, else the file's or folder's, else the first file's `-and-N-more`; made fit for a
    folder."""
    if options.name is not None:
        return options.name
    import re

    first = paths[0].resolve()
    base = first.name if first.is_dir() else stem(first)
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", base).strip(".-_")[:80] or "bars"
    return base if len(paths) == 1 else f"{base}-and-{len(paths) - 1}-more"
