"""What a bar must be, checked for whole batches at once."""

from collections.abc import Callable

import numpy as np

from adapters.market.findings import SHOWN, Findings
from adapters.market.prices import SCALE, Problems, show_px
from adapters.market.tape import Columns
from adapters.market.zones import show_time

PRICES = ("open", "high", "low", "close")


def note_problems(findings: Findings, lines: np.ndarray, field: str, problems: Problems, bad: np.ndarray) -> None:
    """Report values that could not be read and mark their rows in `bad`, which later checks leave alone."""
    label = field.replace("_", " ")
    for row, problem in problems.items():
        bad[row] = True
        findings.add(lines[row], f"{label} {problem}")


def check_rows(findings: Findings, rows: Columns, tick: np.ndarray | int, bad: np.ndarray) -> None:
    """Report bars that no market can have printed. `tick` is in units, one for all or one per row; `bad` is
    extended."""
    lines, good = rows["line"], ~bad
    o, h, low, c = (rows[name] for name in PRICES)
    for name in PRICES:
        px = rows[name]
        wrong = good & (px <= 0)
        findings.add_rows(wrong, lines, says(name, px, "is not positive"))
        bad |= wrong
        off = good & (px % tick != 0)
        findings.add_rows(off, lines, says(name, px, "is off the tick", tick))
        bad |= off
    good = ~bad
    crossed = good & (h < low)
    findings.add_rows(crossed, lines, lambda i: f"high {show_px(h[i])} is below low {show_px(low[i])}")
    good &= ~crossed
    findings.add_rows(
        good & (low > np.minimum(o, c)),
        lines,
        lambda i: f"low {show_px(low[i])} is above open {show_px(o[i])} or close {show_px(c[i])}",
    )
    findings.add_rows(
        good & (h < np.maximum(o, c)),
        lines,
        lambda i: f"high {show_px(h[i])} is below open {show_px(o[i])} or close {show_px(c[i])}",
    )
    for name in ("volume", "open_interest"):
        values = rows[name]
        findings.add_rows(values < 0, lines, says(name, values * SCALE, "is negative"))


def says(name: str, values: np.ndarray, what: str, tick: np.ndarray | int | None = None) -> Callable[[int], str]:
    """`volume -3 is negative` for the row asked; `values` in units of 1/SCALE."""
    label = name.replace("_", " ")

    def message(row: int) -> str:
        end = "" if tick is None else f" {show_px(_at(tick, row))}"
        return f"{label} {show_px(values[row])} {what}{end}"

    return message


def _at(tick: np.ndarray | int, row: int) -> int:
    return int(tick[row]) if isinstance(tick, np.ndarray) else tick


def by_symbol(codes: np.ndarray, times: np.ndarray | None = None) -> np.ndarray | None:
    """Row order that groups symbols and keeps the file's order inside each; None when the file is already
    so. With `times`, rows of a symbol come in order of time instead."""
    if times is not None:
        return np.lexsort((times, codes))
    if not len(codes) or np.all(codes[1:] >= codes[:-1]):
        return None
    small = codes.astype("u2") if int(codes.max()) < 2**16 else codes  # numpy sorts 16-bit keys by radix
    return np.argsort(small, kind="stable")


def stretches(codes: np.ndarray) -> list[np.ndarray]:
    """The places of each symbol, in the order they have."""
    if not len(codes):
        return []
    order = by_symbol(codes)
    places = np.arange(len(codes)) if order is None else order
    return np.split(places, np.flatnonzero(np.diff(codes[places])) + 1)


def check_order(
    findings: Findings,
    codes: np.ndarray,
    times: np.ndarray,
    lines: np.ndarray,
    symbols: list[str],
    tz: str,
    any_order: bool = False,
) -> None:
    """Report rows whose time goes back (unless `any_order`) or repeats for their symbol. `times` is ns UTC."""
    order = by_symbol(codes, times if any_order else None)
    if order is not None:
        codes, times = codes[order], times[order]
    back = np.flatnonzero((codes[1:] == codes[:-1]) & (times[1:] <= times[:-1])) + 1
    mask = np.zeros(len(codes), bool)
    rows = back if order is None else order[back]
    mask[rows] = True
    first = np.argsort(rows, kind="stable")[:SHOWN]  # the only ones whose message is asked for
    place_of = {int(rows[i]): int(back[i]) for i in first}

    def message(row: int) -> str:
        place = place_of[row]
        before = place - 1 if order is None else int(order[place - 1])
        symbol, here, there = symbols[int(codes[place])], int(times[place]), int(times[place - 1])
        if here == there:
            return f"time {show_time(here, tz)} of {symbol} repeats that of line {lines[before]}"
        return (
            f"time of {symbol} goes back to {show_time(here, tz)} from {show_time(there, tz)} in line "
            f"{lines[before]}: "
            f"sort the file oldest first, or import it with --sort"
        )

    findings.add_rows(mask, lines, message)
