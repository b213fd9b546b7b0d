"""One file of quotes or trades into the spool: read, convert, check. A price of 0 of a quote is a side nobody shows."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adapters.market.check import by_symbol, note_problems, says
from adapters.market.findings import Findings
from adapters.market.load import LoadedFile, Progress, Symbols, codes_of
from adapters.market.options import ImportOptions
from adapters.market.prices import MISSING, SCALE, Rounding, px_column, qty_column
from adapters.market.source import RawBatch, Source, stem, time_column
from adapters.market.spool import TICK_WIDTHS, Spool
from adapters.market.stamps import DATE, NAIVE, Stamps
from adapters.market.tape import Columns
from adapters.market.zones import show_time, to_utc

if TYPE_CHECKING:
    import pyarrow as pa

# field of the file -> column of the spool
PRICES = {"quotes": {"bid": "px", "ask": "ask_px"}, "trades": {"price": "px"}}
QUANTITIES = {
    "quotes": {"bid_qty": "qty", "ask_qty": "ask_qty"},
    "trades": {"qty": "qty", "open_interest": "open_interest"},
}
# column of the spool -> column of the tape
STORED = {
    "quotes": {"px": "bid_px", "ask_px": "ask_px", "qty": "bid_qty", "ask_qty": "ask_qty"},
    "trades": {"px": "trade_px", "qty": "trade_qty"},
}


def load_ticks(
    path: Path, options: ImportOptions, symbols: Symbols, spool: Spool, progress: Progress | None
) -> LoadedFile:
    """Append the ticks of `path` to the spool; a file with findings leaves none. Raises ImportRefused, NotFound."""
    assert options.ticks is not None
    source, findings = Source(path, options), Findings(str(path))
    stamps = Stamps(str(path), options.date_format, source.time_texts)
    start, rows, empty, unread = spool.rows, 0, 0, 0
    rounding = Rounding() if options.round_to_tick else None
    for batch in source.batches(findings):
        rows += len(batch.lines)
        columns = _convert(batch, options, symbols, stamps, findings, stem(path), rounding)
        bad, gone = columns.pop("bad"), columns.pop("empty")
        unread += int(np.sum(bad))
        empty += int(np.sum(gone))
        columns = columns if not gone.any() else {name: values[~gone] for name, values in columns.items()}
        if not findings.total:
            prices = [columns[name] for name in PRICES[options.ticks].values()]
            symbols.note_prices(columns["code"], *prices)
        spool.append(columns)
        if progress is not None:
            progress(rows, max(rows, source.rows_total) if source.rows_total is not None else None, path.name)
    notes = [rounding.note(str(path))] if rounding is not None and rounding.rows else []
    if rows == 0 and not findings.total:
        findings.add(0, "holds no ticks: there is nothing below its header")
    if not unread and spool.rows > start:
        _finish_times(spool, start, stamps.kind, options, symbols, findings)
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
    kind = options.ticks or ""
    lines, given, count = batch.lines, batch.columns, len(batch.lines)
    bad = np.zeros(count, bool)
    rows: Columns = {name: np.zeros(count, width) for name, width in TICK_WIDTHS.items()}
    rows |= {"line": lines, "bad": bad, "code": codes_of(batch, options.symbol or file_stem, symbols, findings, bad)}
    rows["stamp"], problems = stamps.read(time_column(given))
    note_problems(findings, lines, "time", problems, bad)
    tick = symbols.ticks_at(rows["code"], rows["stamp"], stamps.kind, options.tz)
    moved = np.zeros(count, bool)
    missing = {field: _missing(given[field]) for field in PRICES[kind]}
    rows["empty"] = np.logical_and.reduce(list(missing.values())) if options.skip_empty else np.zeros(count, bool)
    for field, name in PRICES[kind].items():
        optional = missing[field] if kind == "quotes" else rows["empty"]
        given_px = _zeroed(given[field], optional)
        rows[name], problems = px_column(given_px, tick)
        if rounding is not None:
            rows[name], problems = rounding.column(given_px, tick, rows[name], problems, moved)
        note_problems(findings, lines, field, problems, bad)
    for field, name in QUANTITIES[kind].items():
        if field in given:
            rows[name], problems = qty_column(_zeroed(given[field], _missing(given[field])))
            note_problems(findings, lines, field, problems, bad)
    if rounding is not None:
        rounding.rows += int(np.sum(moved))
    _check(findings, rows, kind, tick, bad)
    return rows


def _missing(column: "pa.Array") -> np.ndarray:
    """Which values are not there: empty, NaN, null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        gone = pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(column)), pa.array(sorted(MISSING), column.type))
        return pc.fill_null(gone, True).to_numpy(zero_copy_only=False)
    return pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)


def _zeroed(column: "pa.Array", mask: np.ndarray) -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    if not mask.any():
        return column
    zero = "0" if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) else 0
    return pc.if_else(pa.array(mask), pa.scalar(zero, column.type), column)


def _check(findings: Findings, rows: Columns, kind: str, tick: np.ndarray | int, bad: np.ndarray) -> None:
    lines, gone = rows["line"], rows["empty"]
    lowest, word = (1, "is not positive") if kind == "trades" else (0, "is not a price")
    for field, name in PRICES[kind].items():
        px = rows[name]
        wrong = ~bad & ~gone & (px < lowest)
        findings.add_rows(wrong, lines, says(field, px, word))
        off = ~bad & ~wrong & (px % tick != 0)
        findings.add_rows(off, lines, says(field, px, "is off the tick", tick))
        bad |= wrong | off
    if kind == "quotes":
        none = ~bad & ~gone & (rows["px"] == 0) & (rows["ask_px"] == 0)
        findings.add_rows(none, lines, lambda i: "has neither bid nor ask (--skip-empty leaves such rows out)")
        bad |= none
    for field, name in QUANTITIES[kind].items():
        findings.add_rows(rows[name] < 0, lines, says(field, rows[name] * SCALE, "is negative"))


def _finish_times(
    spool: Spool, start: int, kind: str, options: ImportOptions, symbols: Symbols, findings: Findings
) -> None:
    """Turn stamps into ts_event, in place, and check that time does not go back; several ticks may have one time."""
    stamp, codes, lines = (spool.column(name, start) for name in ("stamp", "code", "line"))
    if kind == DATE:
        findings.add(0, "its times are dates: a tick has a time of day")
        return
    if kind == NAIVE:
        times, twice = to_utc(np.array(stamp), options.tz)
        findings.add_rows(
            twice,
            lines,
            lambda i: (
                f"time {show_time(int(stamp[i]), 'UTC')[:19]} exists twice or not at all in {options.tz} "
                "(clock change): give offsets"
            ),
        )
        stamp[:] = times
    if options.sort or findings.total:
        return
    order = by_symbol(codes)
    times, codes = (np.asarray(stamp), codes) if order is None else (stamp[order], codes[order])
    back = np.flatnonzero((codes[1:] == codes[:-1]) & (times[1:] < times[:-1])) + 1
    for place in back[:1].tolist():
        here = place if order is None else int(order[place])
        findings.add(
            int(lines[here]),
            f"time of {symbols.names[int(codes[place])]} goes back to {show_time(int(times[place]), options.tz)} from "
            f"{show_time(int(times[place - 1]), options.tz)}: sort the file oldest first, or import it with --sort",
        )
    findings.total += max(len(back) - 1, 0)


def tick_columns(rows: Columns, options: ImportOptions, interest: bool) -> Columns:
    """Rows of the spool as the columns of a tape."""
    assert options.ticks is not None
    latency = options.latency_ns()
    found = {"ts_init": rows["stamp"] + latency, "instrument": rows["instrument"]}
    found |= {there: rows[here] for here, there in STORED[options.ticks].items()}
    if interest and options.ticks == "trades":
        found["trade_interest"] = rows["open_interest"]
    if latency:
        found["lag"] = np.full(len(rows["stamp"]), latency)
    return found
