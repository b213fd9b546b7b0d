"""Which bars of an import are new: against each other and against every stored tape, by instrument, close
time and span."""

from dataclasses import dataclass

import numpy as np

from adapters.market.check import by_symbol
from adapters.market.load import LoadedFile
from adapters.market.prices import show_px
from adapters.market.reader import bar_batches
from adapters.market.spans import show_span
from adapters.market.spool import Spool
from adapters.market.tape import Columns, Manifest
from adapters.market.zones import DAY, show_time

COMPARED = ("open", "high", "low", "close", "volume", "open_interest")


@dataclass
class NewBars:
    """`order`: spool rows to store, by (time, rank, span); `rank` orders symbol codes as their numbers
    will."""

    order: np.ndarray
    duplicates: np.ndarray  # spool rows that repeat an equal bar


def select(spool: Spool, files: list[LoadedFile], rank: np.ndarray, symbols: list[str], tz: str) -> NewBars:
    """Sort the rows of all files without findings; equal repeats between files are left out.

    A bar that differs from an earlier file's becomes a finding of the later file, which then takes no part.
    """
    while True:
        keep = np.zeros(spool.rows, bool)
        for file in files:
            keep[file.start : file.stop] = file.findings.total == 0
        rows = np.flatnonzero(keep)
        order = _sorted(spool, rows, rank)
        again = _repeats(spool, order)
        if not len(again):
            if _overlap_reported(spool, files, order, symbols, tz):
                continue
            return NewBars(order, np.zeros(0, "i8"))
        earlier, later = order[again - 1], order[again]
        # a run of three and more repeats is compared neighbour by neighbour: equality carries over
        differs = np.zeros(len(again), bool)
        for name in COMPARED:
            values = spool.column(name)
            differs |= values[earlier] != values[later]
        if not differs.any():
            single = np.delete(order, again)
            if _overlap_reported(spool, files, single, symbols, tz):
                continue
            return NewBars(single, later)
        first = int(np.flatnonzero(differs)[0])
        _report_between(spool, files, int(earlier[first]), int(later[first]), symbols, tz)


def _sorted(spool: Spool, rows: np.ndarray, rank: np.ndarray) -> np.ndarray:
    numbers, times, spans = (
        rank[spool.column("code")[rows]],
        spool.column("stamp")[rows],
        spool.column("span")[rows],
    )
    if len(rows) and np.any(spans != spans[0]):
        return rows[np.lexsort((spans, numbers, times))]
    grouped = by_symbol(
        numbers
    )  # files one symbol after the other leave long ascending runs, which the next sort merges
    if grouped is not None:
        rows, times = rows[grouped], times[grouped]
    if np.all(times[1:] >= times[:-1]):
        return rows
    return rows[np.argsort(times, kind="stable")]


def _repeats(spool: Spool, order: np.ndarray) -> np.ndarray:
    """Places in `order` whose row has the key of the one before."""
    same = np.ones(max(len(order) - 1, 0), bool)
    for name in ("stamp", "code", "span"):
        values = spool.column(name)[order]
        same &= values[1:] == values[:-1]
    return np.flatnonzero(same) + 1


def _file_of(files: list[LoadedFile], row: int) -> LoadedFile:
    return next(file for file in files if file.start <= row < file.stop)


def _report_between(
    spool: Spool, files: list[LoadedFile], earlier: int, later: int, symbols: list[str], tz: str
) -> None:
    name = next(n for n in COMPARED if spool.column(n)[earlier] != spool.column(n)[later])
    values = spool.column(name)
    there = _file_of(files, earlier)
    symbol = symbols[int(spool.column("code")[later])]
    when = show_time(int(spool.column("stamp")[later]), tz)
    _file_of(files, later).findings.add(
        int(spool.column("line")[later]),
        f"{symbol} at {when}: {name} {_shown(name, int(values[later]))} differs from "
        f"{_shown(name, int(values[earlier]))} "
        f"in {there.path}:{int(spool.column('line')[earlier])}: import only the right one",
    )


def _overlap_reported(spool: Spool, files: list[LoadedFile], order: np.ndarray, symbols: list[str], tz: str) -> bool:
    """Whether a bar opens before the one before it of its symbol, of another file, has closed: minutes beside days, or
    one vendor's stamps beside another's, would trade every move twice. The later file gets the finding."""
    if sum(file.findings.total == 0 and file.stop > file.start for file in files) < 2:
        return False  # each file was held to this when it was read
    codes, closed = spool.column("code")[order], spool.column("stamp")[order]
    opened = closed - spool.column("span")[order]
    grouped = by_symbol(codes)
    places = np.arange(len(order)) if grouped is None else grouped
    codes, closed, opened = codes[places], closed[places], opened[places]
    found = np.flatnonzero((codes[1:] == codes[:-1]) & (opened[1:] < closed[:-1]))
    if not len(found):
        return False
    rows = sorted(int(order[places[place]]) for place in (found[0], found[0] + 1))
    there, here = (_file_of(files, row) for row in rows)
    length = [show_span(int(spool.column("span")[row])) for row in rows]
    when = show_time(int(spool.column("stamp")[rows[1]]), tz)
    here.findings.add(
        int(spool.column("line")[rows[1]]),
        f"the bar of {symbols[int(codes[found[0]])]} of {length[1]} up to {when} overlaps that of {length[0]} in "
        f"{there.path}:{int(spool.column('line')[rows[0]])}: import one of them, or each on a tape of its own",
    )
    return True


def _shown(name: str, value: int) -> str:
    return show_px(value) if name in ("open", "high", "low", "close") else str(value)


def compare_stored(
    tapes: list[Manifest], spool: Spool, files: list[LoadedFile], order: np.ndarray, numbers: np.ndarray, tz: str
) -> np.ndarray:
    """Mask over `order`: bars that a tape holds already, equal in every field.

    `numbers` is the registered number per symbol code, -1 for new ones. The first bar that differs from a
    stored one
    becomes a finding of its file. Tapes are read only where they overlap, a batch at a time.
    """
    known = np.zeros(len(order), bool)
    if not len(order) or not np.any(numbers >= 0):
        return known
    rows: Columns = {name: spool.column(name)[order] for name in ("stamp", "code", "span")}
    rows["number"] = numbers[rows["code"]]
    first, last = int(rows["stamp"][0]), int(rows["stamp"][-1])
    wanted = set(numbers[np.unique(rows["code"])].tolist()) - {-1}
    code_of = {int(number): code for code, number in enumerate(numbers) if number >= 0}
    reported: set[int] = set()
    for tape in tapes:
        shared = {i.number for i in tape.instruments if i.bars and i.number in wanted}
        shared &= {i.number for i in tape.instruments if i.last_ts >= first and i.first_ts <= last + DAY}
        if not shared:
            continue
        for batch in bar_batches(
            tape.path, shared, first, last + DAY
        ):  # DAY: feeds store when a bar came in, not its close
            mine, theirs = _match(rows, batch)
            known[mine] = True
            for name in COMPARED:
                stored = batch[name][theirs] if name in batch else np.zeros(len(theirs), "i8")
                new = spool.column(name)[order[mine]]
                for place in np.flatnonzero(new != stored):
                    file = _file_of(files, int(order[mine[place]]))
                    if file.start not in reported:
                        reported.add(file.start)
                        where = int(order[mine[place]])
                        symbol = next(
                            i.symbol for i in tape.instruments if code_of.get(i.number) == rows["code"][mine[place]]
                        )
                        file.findings.add(
                            int(spool.column("line")[where]),
                            f"{symbol} at {show_time(int(rows['stamp'][mine[place]]), tz)}: {name} "
                            f"{_shown(name, int(new[place]))} differs from "
                            f"{_shown(name, int(stored[place]))} on tape "
                            f"{tape.name}: recorded bars never change; correct the file, or import into "
                            f"another home",
                        )
                    if len(reported) == len(files):
                        break
    return known


def _match(rows: Columns, batch: Columns) -> tuple[np.ndarray, np.ndarray]:
    """(places in `rows`, places in `batch`) of equal (close time, instrument, span); `rows` is in time
    order."""
    event = batch["ts_init"] - batch["lag"] if "lag" in batch else batch["ts_init"]
    start = int(np.searchsorted(rows["stamp"], event.min(), "left"))
    stop = int(np.searchsorted(rows["stamp"], event.max(), "right"))
    window = slice(start, stop)
    spans = np.unique(np.concatenate([batch["span"], rows["span"][window]]))
    times = np.unique(rows["stamp"][window])
    if not len(times):
        return np.zeros(0, "i8"), np.zeros(0, "i8")
    top = int(max(batch["instrument"].max(), rows["number"][window].max())) + 2

    def keys(time: np.ndarray, number: np.ndarray, span: np.ndarray) -> np.ndarray:
        place = np.searchsorted(times, time)
        return (place * top + number + 1) * len(spans) + np.searchsorted(spans, span)

    inside = np.isin(event, times)
    theirs = np.flatnonzero(inside)
    stored = keys(event[inside], batch["instrument"][inside].astype("i8"), batch["span"][inside])
    new = keys(rows["stamp"][window], rows["number"][window].astype("i8"), rows["span"][window])
    _, here, there = np.intersect1d(new, stored, assume_unique=True, return_indices=True)
    return here + start, theirs[there]
