"""One file into the spool: read, convert, check, and find each bar's open and close time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adapters.market.check import PRICES, by_symbol, check_order, check_rows, note_problems
from adapters.market.findings import Findings
from adapters.market.instruments import Registry
from adapters.market.options import ImportOptions
from adapters.market.prices import MISSING, Problems, Rounding, px_column, qty_column
from adapters.market.source import RawBatch, Source, stem, time_column
from adapters.market.spans import check_daily, spans_of_rows
from adapters.market.spool import Spool
from adapters.market.stamps import DATE, INSTANT, NAIVE, Stamps
from adapters.market.tape import Columns
from adapters.market.zones import DAY, local_midnight, show_time, to_local, to_utc

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[int, int | None, str], None]


@dataclass
class Symbols:
    """Codes of symbols in order of appearance; per code the tick to check, in time, and what its prices have in
    common."""

    registry: Registry
    tick_asked: int | None
    tick_default: int = 1  # of symbols the table does not know
    names: list[str] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)  # the newest
    changes: dict[int, list[tuple[str, int]]] = field(default_factory=dict)  # by code: ticks from local days on
    common: list[int] = field(default_factory=list)  # gcd of all prices, units
    codes: dict[str, int] = field(default_factory=dict)

    def code(self, name: str) -> int:
        """Of a former name of an instrument, that of its present one."""
        if name not in self.codes:
            known = self.registry.find(name)
            if known is not None and known.symbol != name:
                self.codes[name] = self.code(known.symbol)
                return self.codes[name]
            self.codes[name] = len(self.names)
            self.names.append(name)
            default = self.tick_default if self.tick_asked is None else 1  # auto: whatever the prices say
            self.ticks.append(self.tick_asked or (known.tick if known else default))
            if known and not self.tick_asked and len(line := known.timeline("tick")) > 1:
                self.changes[self.codes[name]] = line
            self.common.append(0)
        return self.codes[name]

    def ticks_at(self, codes: np.ndarray, stamp: np.ndarray, kind: str, tz: str) -> np.ndarray | int:
        """The tick in force at each row's time as its file wrote it, units; one number where all have the same."""
        used = np.unique(codes).tolist()
        dated = [code for code in used if code in self.changes]
        if not dated:
            ticks = {self.ticks[code] for code in used}
            return ticks.pop() if len(ticks) == 1 else np.array(self.ticks, "i8")[codes]
        found = np.array(self.ticks, "i8")[codes]
        local = to_local(stamp, tz) if kind == INSTANT else stamp
        for code in dated:
            mine = codes == code
            starts = np.array([local_midnight(start) for start, _ in self.changes[code]], "i8")
            values = np.array([tick for _, tick in self.changes[code]], "i8")
            found[mine] = values[np.searchsorted(starts, local[mine], "right") - 1]
        return found

    def note_prices(self, codes: np.ndarray, *prices: np.ndarray) -> None:
        """Keep the greatest common divisor of each symbol's prices, for tick = auto."""
        common = np.gcd.reduce(prices)
        order = by_symbol(codes)
        codes = codes if order is None else codes[order]
        common = common if order is None else common[order]
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]) if len(codes) else np.zeros(0, "i8")
        for code, value in zip(codes[starts], np.gcd.reduceat(common, starts) if len(starts) else (), strict=True):
            self.common[code] = int(np.gcd(self.common[code], int(value)))


@dataclass
class LoadedFile:
    """Where one file's rows are in the spool and what was found in it."""

    path: Path
    start: int
    stop: int
    rows: int  # in the file, empty ones too
    empty: int
    findings: Findings
    notes: list[str] = field(default_factory=list)


def load_file(
    path: Path, options: ImportOptions, symbols: Symbols, spool: Spool, progress: Progress | None
) -> LoadedFile:
    """Append the bars of `path` to the spool; a file with findings leaves none. Raises ImportRefused,
    NotFound."""
    source = Source(path, options)
    findings = Findings(str(path))
    stamps = Stamps(str(path), options.date_format, source.time_texts)
    start, rows, empty, unread = spool.rows, 0, 0, 0
    notes: list[str] = []
    rounding = Rounding() if options.round_to_tick else None
    for batch in source.batches(findings):
        rows += len(batch.lines)
        if options.skip_empty:
            kept = _without_empty(batch)
            empty += len(batch.lines) - len(kept.lines)
            batch = kept  # noqa: PLW2901
        if len(batch.lines):
            columns = _convert(batch, options, symbols, stamps, findings, stem(path), rounding)
            unread += int(np.sum(columns.pop("bad")))
            if not findings.total:
                symbols.note_prices(columns["code"], *(columns[name] for name in PRICES))
            spool.append(columns)
        if progress is not None:
            progress(rows, max(rows, source.rows_total) if source.rows_total is not None else None, path.name)
    if rounding is not None and rounding.rows:
        notes.append(rounding.note(str(path)))
    if rows == 0 and not findings.total:
        findings.add(0, "holds no bars: there is nothing below its header")
    if not unread and spool.rows > start:  # with unreadable times the rest would only repeat the trouble
        _finish_times(spool, start, stamps.kind, options, symbols, findings, notes)
    if findings.total:
        spool.truncate(start)
    return LoadedFile(path, start, spool.rows, rows, empty, findings, notes)


def _convert(
    batch: RawBatch,
    options: ImportOptions,
    symbols: Symbols,
    stamps: Stamps,
    findings: Findings,
    file_stem: str,
    rounding: Rounding | None,
) -> Columns:
    lines, given = batch.lines, batch.columns
    bad = np.zeros(len(lines), bool)
    rows: Columns = {"line": lines, "bad": bad, "span": np.zeros(len(lines), "i8")}
    rows["code"] = codes_of(batch, options.symbol or file_stem, symbols, findings, bad)
    rows["stamp"], problems = stamps.read(time_column(given))
    note_problems(findings, lines, "time", problems, bad)
    tick = symbols.ticks_at(rows["code"], rows["stamp"], stamps.kind, options.tz)
    moved = np.zeros(len(lines), bool)
    for name in PRICES:
        rows[name], problems = px_column(given[name], tick)
        if rounding is not None:
            rows[name], problems = rounding.column(given[name], tick, rows[name], problems, moved)
        note_problems(findings, lines, name, problems, bad)
    if rounding is not None:
        rounding.rows += int(np.sum(moved))
    for name in ("volume", "open_interest"):
        rows[name], problems = np.zeros(len(lines), "i8"), {}
        if name in given:
            rows[name], problems = qty_column(given[name])
        note_problems(findings, lines, name, problems, bad)
    rows["adj_close"] = np.full(len(lines), np.nan)
    if "adj_close" in given:
        rows["adj_close"], problems = _floats(given["adj_close"])
        note_problems(findings, lines, "adj_close", problems, bad)
    check_rows(findings, rows, tick, bad)
    return rows


def codes_of(batch: RawBatch, default: str, symbols: Symbols, findings: Findings, bad: np.ndarray) -> np.ndarray:
    """The code of each row's symbol; rows without one are reported."""
    if "symbol" not in batch.columns:
        return np.full(len(batch.lines), symbols.code(default), "i4")
    import pyarrow as pa

    encoded = batch.columns["symbol"].cast(pa.string()).fill_null("").dictionary_encode()
    names = [name.strip() for name in encoded.dictionary.to_pylist()]
    table = np.array([symbols.code(name) if name.lower() not in {"", "null"} else -1 for name in names], "i4")
    codes = table[encoded.indices.to_numpy(zero_copy_only=False)]
    nameless = codes < 0
    if nameless.any():
        findings.add_rows(nameless, batch.lines, lambda i: "symbol is missing")
        bad |= nameless
        codes = np.where(nameless, symbols.code(default), codes)
    return codes


def _floats(column: "pa.Array") -> tuple[np.ndarray, Problems]:
    import pyarrow as pa

    try:
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False), {}
    except pa.ArrowInvalid:
        values, problems = np.full(len(column), np.nan), {}
        for row, text in enumerate(column.to_pylist()):
            try:
                values[row] = float(text) if text is not None and text.strip().lower() not in MISSING else np.nan
            except ValueError:
                problems[row] = f"is {text!r}, which is not a number"
        return values, problems


def _without_empty(batch: RawBatch) -> RawBatch:
    """Leave out rows whose four prices are all missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    empty = np.ones(len(batch.lines), bool)
    for name in PRICES:
        column = batch.columns[name]
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            gone = pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(column)), pa.array(sorted(MISSING), column.type))
            empty &= pc.fill_null(gone, True).to_numpy(zero_copy_only=False)
        else:
            empty &= pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)
    keep = pa.array(~empty)
    return RawBatch(batch.lines[~empty], {name: column.filter(keep) for name, column in batch.columns.items()})


def _finish_times(
    spool: Spool,
    start: int,
    kind: str,
    options: ImportOptions,
    symbols: Symbols,
    findings: Findings,
    notes: list[str],
) -> None:
    """Turn stamps into ts_event and span, in place, and check that time goes forward."""
    stamp, span = spool.column("stamp", start), spool.column("span", start)
    codes, lines = spool.column("code", start), spool.column("line", start)
    times = np.array(stamp)
    days = _days(times, kind, options.tz)
    if days is not None:
        opened, _ = to_utc(days, options.tz)
        close = options.close_ns()
        closed, _ = to_utc(days + close, options.tz)
        check_order(findings, codes, closed, lines, symbols.names, options.tz, options.sort)
        if not findings.total:
            check_daily(days, codes, lines, symbols.names, options.sort, findings, notes)
        stamp[:], span[:] = closed, closed - opened
        return
    if kind == NAIVE:
        times, twice = to_utc(times, options.tz)
        findings.add_rows(
            twice,
            lines,
            lambda i: f"time {_wall(stamp[i])} exists twice or not at all in {options.tz} (clock change): give offsets",
        )
    check_order(findings, codes, times, lines, symbols.names, options.tz, options.sort)
    if findings.total:  # a length read off times in disorder would mislead
        return
    lengths = spans_of_rows(
        times, codes, lines, symbols.names, options.tz, options.sort, options.span_ns(), findings, notes
    )
    stamp[:] = times + lengths if options.stamp == "open" else times
    span[:] = lengths


def _wall(local: int) -> str:
    return show_time(local, "UTC")[:19]


def _days(times: np.ndarray, kind: str, tz: str) -> np.ndarray | None:
    """Local midnights if the file holds dates, also such as are written as instants at midnight; else
    None."""
    if kind == DATE:
        return times
    local = to_local(times, tz) if kind == INSTANT else times
    if not np.any(local % DAY):
        return local
    if kind == INSTANT and not np.any(times % DAY):  # 2024-01-02T00:00Z means the date, whatever the zone
        return times
    return None
