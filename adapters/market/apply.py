"""Tie corporate actions to the bars they take effect before, and drop those that are recorded already."""

from collections.abc import Iterator
from datetime import date

import numpy as np

from adapters.market.actions import Action, StatedAction, combined, infer_actions
from adapters.market.findings import Findings
from adapters.market.gaps import split_like_gaps
from adapters.market.instruments import Registry
from adapters.market.load import LoadedFile
from adapters.market.options import ImportOptions
from adapters.market.prices import show_px
from adapters.market.reader import bar_batches, read_actions
from adapters.market.spool import Spool
from adapters.market.tape import Manifest
from adapters.market.zones import DAY, show_time, to_utc
from kernel.codes import Kind
from kernel.errors import ImportRefused

Named = tuple[str, Action]  # symbol, action whose instrument number is not settled yet (-1)
_EPOCH = date(1970, 1, 1)


def collect_actions(
    registry: Registry,
    tapes: list[Manifest],
    spool: Spool,
    files: list[LoadedFile],
    order: np.ndarray,
    names: list[str],
    stated: list[StatedAction],
    options: ImportOptions,
    notes: list[str],
) -> list[Named]:
    """The new actions of this import, in order. Inference trouble becomes findings; a stated contradiction
    raises.

    Raises ImportRefused when an action differs from a recorded one.
    """
    if options.actions is not None:
        found: list[tuple[Named, Findings | None]] = [
            (named, None) for named in _place(stated, registry, tapes, spool, order, names, options, notes)
        ]
    elif options.infer_actions:
        found = [*_infer(spool, files, names, options.tz)]
    else:
        found = []
    recorded = _recorded(registry, tapes)
    notes += _unexplained(
        registry, tapes, spool, order, names, [*(named for named, _ in found), *_splits(recorded)], options
    )
    fresh: dict[tuple[str, int, int], Named] = {}
    for (symbol, action), findings in found:
        key = (symbol, action.ts, action.kind)
        stored = recorded.get(key) or (fresh[key][1] if key in fresh else None)
        if stored is None:
            fresh[key] = (symbol, action)
        elif not _same(stored, action, findings is not None):
            when = show_time(action.ts, options.tz)[:10]
            text = f"{_said(action)} of {symbol} on {when} differs from the recorded {_said(stored)}"
            if findings is None:
                raise ImportRefused(f"{options.actions}: {text}: recorded actions never change; correct the file")
            findings.add(0, f"{text}: give an actions file, or --no-infer-actions")
    return [fresh[key] for key in sorted(fresh)]


def _splits(recorded: dict[tuple[str, int, int], Action]) -> list[Named]:
    return [(symbol, action) for (symbol, _, _), action in recorded.items()]


def _unexplained(
    registry: Registry,
    tapes: list[Manifest],
    spool: Spool,
    order: np.ndarray,
    names: list[str],
    actions: list[Named],
    options: ImportOptions,
) -> list[str]:
    explained = {(symbol, action.ts) for symbol, action in actions if action.kind == Kind.SPLIT}
    return split_like_gaps(registry, tapes, spool, order, names, explained, options.tz)


def _infer(spool: Spool, files: list[LoadedFile], names: list[str], tz: str) -> Iterator[tuple[Named, Findings]]:
    """From the adjusted closes of all files as one history: an action may fall between two of them."""
    usable = [file for file in files if not file.findings.total and file.start < file.stop]
    places = np.concatenate([np.arange(file.start, file.stop) for file in usable]) if usable else np.zeros(0, "i8")
    if not len(places) or not np.any(np.isfinite(spool.column("adj_close")[places])):
        return
    starts = np.array([file.start for file in usable])
    codes, stamps = spool.column("code")[places], spool.column("stamp")[places]
    ordered = np.lexsort((places, stamps, codes))
    codes, stamps, places = codes[ordered], stamps[ordered], places[ordered]
    for rows in np.split(np.arange(len(places)), np.flatnonzero(np.diff(codes)) + 1):
        kept = places[rows[np.append(True, np.diff(stamps[rows]) != 0)]]  # a bar that two files have counts once
        columns = {name: spool.column(name)[kept] for name in ("open", "close", "adj_close", "stamp", "span", "line")}
        symbol = names[int(codes[rows[0]])]

        def findings_of(row: int, kept: np.ndarray = kept) -> Findings:
            return usable[int(np.searchsorted(starts, kept[row], "right")) - 1].findings

        for row, action in infer_actions(columns, -1, symbol, tz, findings_of):
            yield (symbol, action), findings_of(row)


def _place(
    stated: list[StatedAction],
    registry: Registry,
    tapes: list[Manifest],
    spool: Spool,
    order: np.ndarray,
    names: list[str],
    options: ImportOptions,
    notes: list[str],
) -> list[Named]:
    """Each stated action at the open of the symbol's first bar on or after its ex-date; others are noted
    and left out."""
    landed: dict[tuple[str, int], list[StatedAction]] = {}
    opens: dict[str, np.ndarray] = {}
    for item in stated:
        known = registry.find(item.symbol)
        if item.symbol not in opens:
            opens[item.symbol] = _opens(item.symbol, known.number if known else -1, tapes, spool, order, names)
        times = opens[item.symbol]
        tz = known.tz if known else options.tz
        midnight = int(to_utc(np.array([(item.day - _EPOCH).days * DAY]), tz)[0][0])
        at = int(np.searchsorted(times, midnight))
        before_all = at == 0 and len(times) and int(times[0]) >= midnight + DAY
        if at == len(times) or before_all:
            why = (
                "no bars of it" if not len(times) else "its bars begin later" if before_all else "its bars end earlier"
            )
            notes.append(f"{options.actions}:{item.line}: {item.symbol} {item.day} left out: {why}")
            continue
        landed.setdefault((item.symbol, int(times[at])), []).append(item)
    return [
        (symbol, action)
        for (symbol, ts), items in landed.items()
        for action in combined(ts, items, str(options.actions))
    ]


def _opens(
    symbol: str, number: int, tapes: list[Manifest], spool: Spool, order: np.ndarray, names: list[str]
) -> np.ndarray:
    """Sorted open times of all bars of a symbol, new and stored; two columns of one instrument, so small."""
    parts = [np.zeros(0, "i8")]
    if symbol in names and len(order):
        rows = order[spool.column("code")[order] == names.index(symbol)]
        parts.append(spool.column("stamp")[rows] - spool.column("span")[rows])
    for tape in tapes:
        if number in {i.number for i in tape.instruments if i.bars}:
            for batch in bar_batches(tape.path, {number}):
                parts.append(batch["ts_init"] - batch.get("lag", 0) - batch["span"])  # noqa: PERF401
    return np.unique(np.concatenate(parts))


def _recorded(registry: Registry, tapes: list[Manifest]) -> dict[tuple[str, int, int], Action]:
    recorded = {}
    for tape in tapes:
        if tape.actions:
            columns = read_actions(tape.path)
            for row in zip(*(columns[name].tolist() for name in columns), strict=True):
                _, ts, number, kind, numerator, denominator, amount = row
                symbol = registry[number].symbol
                recorded[symbol, ts, kind] = Action(ts, number, kind, numerator, denominator, amount)
    return recorded


def _same(stored: Action, new: Action, inferred: bool) -> bool:
    """Equal; an inferred dividend may differ by the rounding of the vendor's next edition of its factors."""
    if stored.kind == Kind.SPLIT:
        return stored.numerator * new.denominator == new.numerator * stored.denominator
    slack = max(2, stored.amount // 100) if inferred else 0
    return abs(stored.amount - new.amount) <= slack


def _said(action: Action) -> str:
    if action.kind == Kind.SPLIT:
        return f"split {action.numerator}:{action.denominator}"
    return f"dividend {show_px(action.amount)}"
