"""Tie corporate actions to the bars they take effect before, and drop those that are recorded already."""

from datetime import date

import numpy as np

from adapters.market.actions import StatedAction
from adapters.market.edges import Sides, neighbours
from adapters.market.gaps import split_like_gaps
from adapters.market.inference import infer
from adapters.market.instruments import Registry
from adapters.market.load import LoadedFile
from adapters.market.options import ImportOptions
from adapters.market.reader import bar_batches
from adapters.market.recorded import Named, Placed, new_inferred, new_stated, recorded_actions
from adapters.market.spool import Spool
from adapters.market.tape import Manifest
from adapters.market.zones import DAY, to_utc
from kernel.codes import Kind

_EPOCH = date(1970, 1, 1)


def collect_actions(
    registry: Registry,
    tapes: list[Manifest],
    spool: Spool,
    files: list[LoadedFile],
    order: np.ndarray,
    known: np.ndarray,
    names: list[str],
    stated: list[StatedAction],
    options: ImportOptions,
    notes: list[str],
) -> list[Named]:
    """The new actions of this import, in order; `known` marks the rows of `order` that are stored.

    Inference trouble becomes findings. Raises ImportRefused when a stated action contradicts a recorded one.
    """
    recorded = recorded_actions(registry, tapes)
    stored = _stored_beside(registry, tapes, spool, order, names)
    fresh: list[Named] = []
    if options.actions is not None:
        placed = _place(stated, registry, tapes, spool, order, names, options, notes)
        fresh = new_stated(placed, recorded, str(options.actions))
    elif options.infer_actions:
        found, untold = infer(spool, files, order, known, names, stored, options.tz)
        notes += untold
        fresh = new_inferred(found, recorded, options.tz)
    all_known = [*fresh, *((symbol, action) for symbol, actions in recorded.items() for action in actions)]
    explained = {(symbol, action.ts) for symbol, action in all_known if action.kind == Kind.SPLIT}
    notes += split_like_gaps(spool, order, known, names, stored, explained, options.tz)
    return sorted(fresh, key=lambda named: (named[0], named[1].place()))


def _stored_beside(
    registry: Registry, tapes: list[Manifest], spool: Spool, order: np.ndarray, names: list[str]
) -> dict[str, Sides]:
    """By symbol: the stored bars before its first row and after its last one."""
    if not len(order) or not tapes:
        return {}
    codes, stamps = spool.column("code")[order], spool.column("stamp")[order]
    opened = stamps - spool.column("span")[order]
    first, last = np.full(len(names), -1), np.full(len(names), -1)
    last[codes] = np.arange(len(order))  # the last write to a slot stays
    first[codes[::-1]] = np.arange(len(order))[::-1]
    ends: dict[int, tuple[int, int]] = {}
    for code in np.flatnonzero(first >= 0).tolist():
        instrument = registry.find(names[code])
        if instrument is not None:
            ends[instrument.number] = (int(opened[first[code]]), int(stamps[last[code]]))
    return {registry[number].symbol: sides for number, sides in neighbours(tapes, ends).items()}


def _place(
    stated: list[StatedAction],
    registry: Registry,
    tapes: list[Manifest],
    spool: Spool,
    order: np.ndarray,
    names: list[str],
    options: ImportOptions,
    notes: list[str],
) -> list[Placed]:
    """Each stated action at the open of the symbol's first bar on or after its ex-date; others are noted
    and left out."""
    placed: list[Placed] = []
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
        placed.append(Placed(item.line, item.symbol, item.at(int(times[at])), item.note))
    return placed


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
