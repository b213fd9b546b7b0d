"""How long the bars of a file are: each symbol's own steps tell, and where they leave a doubt it is asked for.

A bar that is stamped at its open is known at stamp + length, so a length taken too short shows the future. Two bars
never overlap, so no bar is longer than the step to the next one: a symbol's smallest step is safe for all its bars
when they are of one length. That they are is what has to be shown, because minutes without a trade are absent and
leave the same steps as longer bars do.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import log

import numpy as np

from adapters.market.check import by_symbol
from adapters.market.findings import Findings
from adapters.market.zones import DAY, MINUTE, SECOND, show_time, to_local

HOUR = 60 * MINUTE
FEW = 30  # steps; fewer say nothing of chance, so they have to be equal
CLEAR = 3  # equal steps that make a length of a symbol's own, beside other lengths in the file
# How many runs on a coarser grid luck may be expected to make in a symbol before they count as longer bars.
LUCK, LUCK_STATED = 1e-2, 1e-6
_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s"))
# Every usual length is a multiple of one of these (75m of 15m, 125m of 5m).
_COARSE = (
    *(DAY, 4 * HOUR, 2 * HOUR, HOUR, 30 * MINUTE, 15 * MINUTE, 10 * MINUTE, 5 * MINUTE, 3 * MINUTE, 2 * MINUTE),
    *(MINUTE, 30 * SECOND, 15 * SECOND, 10 * SECOND, 5 * SECOND),
)


@dataclass(frozen=True)
class Bars:
    """One symbol's bars in order of time. `step[i]` ns lie between bars i and i+1: true time where `within` one local
    day, else on the wall, where a clock change keeps the grid."""

    symbol: str
    times: np.ndarray  # ns UTC
    rows: np.ndarray  # in the file
    step: np.ndarray
    within: np.ndarray


@dataclass(frozen=True)
class Doubt:
    """Why a symbol's length cannot be told; `place` is the bar to point at, -1 the whole file."""

    place: int
    text: str


def show_span(ns: int) -> str:
    """ns as `--span` takes it: 300 s -> '5m'."""
    return next((f"{ns // unit}{name}" for unit, name in _UNITS if ns % unit == 0), f"{ns / SECOND:g}s")


def spans_of_rows(
    times: np.ndarray,
    codes: np.ndarray,
    lines: np.ndarray,
    symbols: list[str],
    tz: str,
    any_order: bool,
    stated: int | None,
    findings: Findings,
    notes: list[str],
) -> np.ndarray:
    """Each row's length in ns, the same for all rows of a symbol; `stated` is the one the user gave. Doubts and
    contradictions go to `findings`, symbols of different lengths to `notes`. `times` is ns UTC."""
    told: dict[int, int] = {}
    clear: dict[int, int] = {}
    for code, bars in _each(times, codes, symbols, tz, any_order):
        if stated is not None:
            told[code] = stated
            _report(findings, bars, lines, tz, _contradiction(bars, stated))
            continue
        span, doubt = _told(bars)
        told[code] = span
        _report(findings, bars, lines, tz, doubt)
        if doubt is None and np.count_nonzero(bars.within) >= CLEAR:
            clear[code] = span
    if not findings.total and len(set(told.values())) > 1:
        _sort_out(told, clear, symbols, findings, notes)
    table = np.zeros(max(told, default=0) + 1, "i8")
    table[list(told)] = list(told.values())
    return table[codes]


def check_daily(
    days: np.ndarray,
    codes: np.ndarray,
    lines: np.ndarray,
    symbols: list[str],
    any_order: bool,
    findings: Findings,
    notes: list[str],
) -> None:
    """Bars that are dated: that they are of a day and not of a week or month, which its first date would give away
    before it is over. `days` is local midnights, ns."""
    for _, bars in _each(days, codes, symbols, "UTC", any_order):
        step = bars.step // DAY
        for what, on, odds in (
            ("a week", step % 7 == 0, 0.2),
            ("a week", (step >= 6) & (step <= 8), 0.3),
            ("a month", (step >= 26) & (step <= 35), 0.3),
            ("some months", step >= 80, 0.1),
        ):
            edges = np.flatnonzero(np.diff(np.concatenate(([False], on, [False])).astype("i1")))
            starts, counts = edges[::2], edges[1::2] - edges[::2]
            if len(counts) and log(len(step)) + counts.max() * log(odds) < log(LUCK):
                first = int(starts[np.argmax(counts)])
                when = show_time(int(bars.times[first]), "UTC")[:10]
                text = f"the {counts.max() + 1} bars of {bars.symbol} from {when} on are {what} apart, so they are not"
                findings.add(int(lines[bars.rows[first]]), f"{text} bars of a day: import daily bars")
                break
        else:
            if len(step) and step.min() >= 6:
                text = (
                    f"the {len(bars.times)} bars of {bars.symbol}, {step.min()} days or more from each other, are taken"
                )
                text += " as bars of a day; bars of a week or month would be known before they are over"
                notes.append(f"{findings.path}: {text}")


def _each(times: np.ndarray, codes: np.ndarray, symbols: list[str], tz: str, any_order: bool):  # type: ignore[no-untyped-def]
    order = by_symbol(codes, times if any_order else None)
    rows = np.arange(len(codes)) if order is None else order
    if order is not None:
        times, codes = times[order], codes[order]
    local = to_local(times, tz)
    within = local[1:] // DAY == local[:-1] // DAY
    step = np.where(within, np.diff(times), np.diff(local))
    edges = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist(), len(codes)]
    for a, b in pairwise(edges):
        if a < b:
            bars = Bars(symbols[int(codes[a])], times[a:b], rows[a:b], step[a : b - 1], within[a : b - 1])
            yield int(codes[a]), bars


def _report(findings: Findings, bars: Bars, lines: np.ndarray, tz: str, doubt: Doubt | None) -> None:
    if doubt is None:
        return
    if doubt.place < 0:
        findings.add(0, f"{bars.symbol}: {doubt.text}")
    else:
        when = show_time(int(bars.times[doubt.place]), tz)
        findings.add(int(lines[bars.rows[doubt.place]]), f"{bars.symbol} at {when}: {doubt.text}")


_SAY = "give --span, such as 1m, if all bars of the file are of one length; else give each length a file of its own"


def _told(bars: Bars) -> tuple[int, Doubt | None]:
    """(the symbol's smallest step, why it may not be the length of all its bars)."""
    inside = bars.step[bars.within]
    if not len(inside):
        return 0, Doubt(-1, f"no two bars of one day tell how long a bar is: {_SAY}")
    span = int(inside.min())
    said, few = show_span(span), len(inside) < FEW
    if (inside != span).any():
        off = np.flatnonzero(bars.within & (bars.step % span != 0))
        if len(off):
            here = show_span(int(bars.step[off[0]]))
            return span, Doubt(int(off[0]) + 1, f"comes {here} after the bar before it, elsewhere it is {said}: {_SAY}")
        counts = _counts(inside // span)
        often = int(np.argmax(counts[2:])) + 2
        if few or counts[1] <= counts[often]:
            place = int(np.flatnonzero(bars.within & (bars.step == (span if not few else often * span)))[0])
            other = show_span(often * span)
            text = f"its steps are {said} ({counts[1]} times) and {other} ({counts[often]} times): bars of {said}"
            return span, Doubt(place + 1, f"{text} with gaps, or of both lengths? {_SAY}")
    alone = np.flatnonzero(~np.append(bars.within, False) & ~np.append(False, bars.within))
    if few and len(alone):
        return span, Doubt(int(alone[0]), f"the only bar of its day, so its length cannot be told: {_SAY}")
    if len(inside) < CLEAR and HOUR % span and span % HOUR:
        return span, Doubt(1, f"its {len(bars.times)} bars are {said} apart, which is no usual length: {_SAY}")
    return span, _overlapping(bars, span) or _coarser(bars, span, LUCK)


def _counts(multiples: np.ndarray) -> np.ndarray:
    """How often each multiple of the smallest step occurs; at least three places."""
    if int(multiples.max()) < 2**20:
        return np.bincount(multiples, minlength=3)
    small = multiples[multiples < 2**20]
    return np.bincount(small, minlength=3)


def _contradiction(bars: Bars, span: int) -> Doubt | None:
    """What in the symbol's bars speaks against a stated length."""
    return _overlapping(bars, span) or _coarser(bars, span, LUCK_STATED)


def _overlapping(bars: Bars, span: int) -> Doubt | None:
    step = np.diff(bars.times)
    close = np.flatnonzero(step < span)
    if not len(close):
        return None
    here = show_span(int(step[close[0]]))
    text = f"opens {here} after the bar before it, which is not over then if bars are {show_span(span)} long"
    return Doubt(int(close[0]) + 1, f"{text}: give --span {here}, or each length a file of its own")


def _coarser(bars: Bars, span: int, luck: float) -> Doubt | None:
    """Bars that all stand on a coarser grid, in a row longer than `luck` makes one: they are longer bars.

    By luck a step is a multiple of a length r times the span once in r times at most, and no more often than the
    symbol has gaps at all.
    """
    gaps = np.flatnonzero(bars.step != span)
    if not len(gaps):
        return None
    step, within = bars.step[gaps], bars.within[gaps]
    share = (np.count_nonzero(within) + 1) / (np.count_nonzero(bars.within) + 2)
    limit = log(luck / len(bars.step))
    follows = np.append(False, np.diff(gaps) == 1)  # the gap before
    inner = _inner(bars.within)[gaps]
    number = np.cumsum(~follows) - 1  # of the row of gaps one is in
    paired = (np.bincount(number) > 1) & (np.bincount(number, ~inner) == 0)
    for length in _COARSE:
        if length <= span or length % span:
            continue
        on = step % length == 0
        odds = np.where(inner, log(min(span / length, share)), log(span / length))
        starts = np.flatnonzero(on & ~(follows & np.append(False, on[:-1])))
        if not len(starts):
            continue
        sums = np.add.reduceat(np.where(on, odds, 0.0), starts)
        best, beside = int(np.argmin(sums)), paired[number]
        if sums[best] < limit:
            return _longer(int(gaps[starts[best]]), length, span)
        if np.all(on[beside]) and odds[beside].sum() < limit:  # short rows of them again and again
            return _longer(int(gaps[np.argmax(beside)]), length, span)
    return None


def _inner(within: np.ndarray) -> np.ndarray:
    """Steps that are neither over night nor the first or last of a day, where sessions have gaps of their own."""
    return within & np.append(False, within[:-1]) & np.append(within[1:], False)


def _longer(place: int, length: int, span: int) -> Doubt:
    own = f" with --span {show_span(length)}" if length < DAY else ", as dates or with --span of a session's length"
    return Doubt(
        place,
        f"from here on bars stand on a grid of {show_span(length)}, too many for bars of {show_span(span)} with gaps: "
        f"put those of {show_span(length)} into a file of their own,{own.removeprefix(',')}",
    )


def _sort_out(
    told: dict[int, int], clear: dict[int, int], symbols: list[str], findings: Findings, notes: list[str]
) -> None:
    """Symbols of different lengths each keep their own where it is clear; one of few bars may just have gaps."""
    for code, span in told.items():
        if code not in clear and (clear.keys() - {code}) and span not in clear.values():
            others = ", ".join(show_span(s) for s in sorted(set(clear.values())))
            text = f"too few bars to tell whether they are {show_span(span)} long, or of {others} with gaps: {_SAY}"
            findings.add(0, f"{symbols[code]}: {text}")
    if not clear:
        shown = ", ".join(f"{symbols[code]} {show_span(span)}" for code, span in list(told.items())[:5])
        findings.add(0, f"its symbols have few bars of different lengths ({shown}): {_SAY}")
    if not findings.total:
        groups = []
        for span in sorted(set(told.values())):
            named = [symbols[code] for code, own in told.items() if own == span]
            more = f" and {len(named) - 3} more" if len(named) > 3 else ""
            groups.append(f"{show_span(span)} ({', '.join(named[:3])}{more})")
        notes.append(f"{findings.path}: bars of different lengths, each symbol's by its own steps: {', '.join(groups)}")
