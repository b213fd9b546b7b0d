"""Which ticks of an import are new. Ticks have no key: two alike at one time are two. So what a file says of a stretch
that is stored must be what is stored there, tick by tick, and files of one import must follow each other."""

import numpy as np

from adapters.market.check import stretches
from adapters.market.load import LoadedFile
from adapters.market.options import MOST_LATENCY, ImportOptions
from adapters.market.reader import tick_batches
from adapters.market.spool import Spool
from adapters.market.tape import Columns, Manifest
from adapters.market.ticks_file import STORED
from adapters.market.zones import show_time
from kernel.errors import ImportRefused


def in_order(spool: Spool, files: list[LoadedFile], rank: np.ndarray) -> np.ndarray:
    """Spool rows of the files without findings by (time, rank), at one time as they came."""
    rows = _kept(files)
    times, ranks = spool.column("stamp")[rows], rank[spool.column("code")[rows]]
    later, same = times[1:] > times[:-1], times[1:] == times[:-1]
    if np.all(later | (same & (ranks[1:] >= ranks[:-1]))):
        return rows
    return rows[np.lexsort((ranks, times))]


def _kept(files: list[LoadedFile]) -> np.ndarray:
    parts = [np.arange(file.start, file.stop) for file in files if not file.findings.total]
    return np.concatenate([np.zeros(0, "i8"), *parts])


def _by_symbol(spool: Spool, file: LoadedFile) -> list[np.ndarray]:
    """Rows of a file, a symbol each, by time."""
    stamp = spool.column("stamp")
    found = []
    for places in stretches(np.asarray(spool.column("code", file.start, file.stop))):
        rows = places + file.start
        times = stamp[rows]
        found.append(rows if np.all(times[1:] >= times[:-1]) else rows[np.argsort(times, kind="stable")])
    return found


def note_overlaps(spool: Spool, files: list[LoadedFile], names: list[str], tz: str) -> None:
    """A file whose ticks of a symbol are not all before or after those of an earlier file gets a finding."""
    spans: dict[int, list[tuple[int, int, LoadedFile]]] = {}
    for file in files:
        if file.findings.total or file.start == file.stop:
            continue
        mine = []
        for rows in _by_symbol(spool, file):
            code = int(spool.column("code")[rows[0]])
            first, last = (int(spool.column("stamp")[rows[k]]) for k in (0, -1))
            mine.append((code, first, last))
            for other_first, other_last, other in spans.get(code, ()):
                if first < other_last and last > other_first:
                    file.findings.add(
                        int(spool.column("line")[rows[0]]),
                        f"its ticks of {names[code]} from {show_time(first, tz)} on overlap those of {other.path}: "
                        "import one after the other, what is known then adds nothing",
                    )
                    break
        if not file.findings.total:
            for code, first, last in mine:
                spans.setdefault(code, []).append((first, last, file))


def stored_already(
    tapes: list[Manifest],
    spool: Spool,
    files: list[LoadedFile],
    numbers: np.ndarray,
    names: list[str],
    options: ImportOptions,
) -> np.ndarray:
    """Mask over the spool: ticks that a tape holds. A file that says otherwise of a stored stretch gets a finding.

    Raises ImportRefused where the stored ticks were retired.
    """
    known = np.zeros(spool.rows, bool)
    assert options.ticks is not None
    for file in files:
        if file.findings.total:
            continue
        for rows in _by_symbol(spool, file):
            number = int(numbers[spool.column("code")[rows[0]]])
            for tape in tapes if number >= 0 else ():
                if any(one.number == number and getattr(one, options.ticks) for one in tape.instruments):
                    if tape.retired:
                        raise ImportRefused(f"ticks of tape {tape.name} were retired: import into another home")
                    _compare(tape, number, spool, file, rows[~known[rows]], known, names, options)
        if file.findings.total:
            known[file.start : file.stop] = False
    return known


def _compare(
    tape: Manifest,
    number: int,
    spool: Spool,
    file: LoadedFile,
    rows: np.ndarray,
    known: np.ndarray,
    names: list[str],
    options: ImportOptions,
) -> None:
    """Walk through what a tape holds of the time of `rows` beside them: each must be the other's beginning, up to the
    last time that both have."""
    kind = options.ticks or ""
    compared = {**STORED[kind], **({"open_interest": "trade_interest"} if kind == "trades" else {})}
    if not len(rows) or file.findings.total:
        return
    times = spool.column("stamp")[rows]
    at, last = -1, 0
    for chunk in tick_batches(tape.path, kind, {number}, int(times[0]), int(times[-1]) + MOST_LATENCY):
        batch = _between(chunk, int(times[0]), int(times[-1]))
        ts = batch["ts_event"]
        if not len(ts):
            continue
        at = int(np.searchsorted(times, ts[0], "left")) if at < 0 else at
        mine = rows[at : at + len(ts)]
        same = times[at : at + len(ts)] == ts[: len(mine)]
        for here, there in compared.items():
            same &= spool.column(here)[mine] == (batch[there][: len(mine)] if there in batch else 0)
        wrong = np.flatnonzero(~same)
        if len(wrong) or len(mine) < len(ts):
            place = int(wrong[0]) if len(wrong) else len(mine) - 1
            if len(wrong) or int(ts[len(mine)]) < int(times[-1]):
                _differs(tape, spool, file, int(mine[place]) if len(mine) else int(rows[-1]), names, options.tz)
                return
        known[mine] = True
        at, last = at + len(mine), int(ts[-1])
    if 0 <= at < len(rows) and int(times[at]) < last:
        _differs(tape, spool, file, int(rows[at]), names, options.tz)


def _between(chunk: Columns, first: int, last: int) -> Columns:
    """The ticks that happened then, with their `ts_event`."""
    ts = chunk["ts_init"] - chunk["lag"] if "lag" in chunk else chunk["ts_init"]
    inside = slice(*np.searchsorted(ts, (first, last + 1)).tolist())
    return {name: values[inside] for name, values in {**chunk, "ts_event": ts}.items()}


def _differs(tape: Manifest, spool: Spool, file: LoadedFile, row: int, names: list[str], tz: str) -> None:
    symbol, ts = names[int(spool.column("code")[row])], int(spool.column("stamp")[row])
    file.findings.add(
        int(spool.column("line")[row]),
        f"{symbol} at {show_time(ts, tz)}: tape {tape.name} holds other ticks of that time: recorded ticks never "
        "change; correct the file, or import into another home",
    )
