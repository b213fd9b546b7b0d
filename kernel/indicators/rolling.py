"""What indicators are made of: sums, averages, extremes and moments of the last `period` inputs, an input at a time.

Each works on any record with its fields: an indicator's own, or one within it. Sums are added up anew once a round of
the window, so that what floats lose does not pile up.
"""

import math
from typing import Any

import numpy as np

from kernel.jit import jit_indicator
from kernel.schema import Record


def part(*fields: tuple) -> np.dtype:
    """A record within an indicator's."""
    return np.dtype((Record, list(fields)))


def sum_part(room: int) -> np.dtype:
    """What `slide_sum` and `slide_weighted` keep for up to `room` inputs."""
    fields = [(name, "i8") for name in ("period", "count", "place", "zeros")]
    return part(*fields, ("total", "f8"), ("weighted", "f8"), ("window", "f8", (room,)))


AVERAGE = part(("period", "i8"), ("count", "i8"), ("alpha", "f8"), ("total", "f8"), ("value", "f8"))
WILDER = part(("period", "i8"), ("count", "i8"), ("total", "f8"), ("value", "f8"))


def extreme_part(room: int) -> np.dtype:
    """What `slide_highest` keeps for up to `room` inputs."""
    fields = [(name, "i8") for name in ("period", "count", "front", "size")]
    return part(*fields, ("values", "f8", (room,)), ("places", "i8", (room,)))


def moment_fields(room: int) -> list[tuple]:
    """What `slide_moments` keeps, beside period and count, for up to `room` inputs."""
    fields: list[tuple] = [(name, "i8") for name in ("place", "same")]
    fields += [(name, "f8") for name in ("last", "shift", "total", "squares")]
    return [*fields, ("window", "f8", (room,))]


def set_average(a: Any, period: int, alpha: float | None = None) -> None:
    """Set up an AVERAGE."""
    a.period, a.value = period, math.nan
    a.alpha = 2.0 / (period + 1) if alpha is None else alpha


@jit_indicator
def next_average(a, x):
    """The exponential average after `x`, NaN until `period` inputs were seen: their mean begins it. To be kept in
    `a.value`."""
    a.count += 1
    if a.count > a.period:
        return a.value + a.alpha * (x - a.value)
    a.total += x
    return a.total / a.period if a.count == a.period else math.nan


@jit_indicator
def average(a, x):
    """The same of a part, which keeps it."""
    a.value = next_average(a, x)
    return a.value


@jit_indicator
def wilder(a, x):
    """Wilder's average after `x`: alpha is 1 / period, and the mean of the first `period` inputs begins it."""
    a.count += 1
    if a.count > a.period:
        a.value += (x - a.value) / a.period
    else:
        a.total += x
        if a.count == a.period:
            a.value = a.total / a.period
    return a.value


@jit_indicator
def slide_sum(w, x):
    """The sum of the last `period` inputs after `x`; of those there are, before. Exactly 0 where they all are."""
    oldest = w.window[w.place]
    w.window[w.place] = x
    w.count += 1
    w.place += 1
    if w.place == w.period:
        w.place = 0
        total = 0.0
        for k in range(w.period):
            total += w.window[k]
        w.total = total
    elif w.count > w.period:
        w.total += x - oldest
    else:
        w.total += x
    w.zeros = w.zeros + 1 if x == 0.0 else 0
    if w.zeros >= w.period:
        w.total = 0.0
    return w.total


@jit_indicator
def slide_weighted(w, x):
    """The sum of the last `period` inputs, each times its place from 1, the oldest's; NaN until there are so many."""
    oldest = w.window[w.place]
    w.window[w.place] = x
    w.count += 1
    w.place += 1
    if w.place == w.period:
        w.place = 0
        total = weighted = 0.0
        for k in range(w.period):
            total += w.window[k]
            weighted += (k + 1) * w.window[k]
        w.total, w.weighted = total, weighted
    elif w.count > w.period:
        w.weighted += w.period * x - w.total
        w.total += x - oldest
    return w.weighted if w.count >= w.period else math.nan


@jit_indicator
def weighted_mean(w, x):
    """The mean of the last `period` inputs with weights from 1, the oldest's, to `period`; NaN until it has them."""
    return slide_weighted(w, x) / (0.5 * w.period * (w.period + 1))


@jit_indicator
def slide_highest(d, x):
    """The highest of the last `period` inputs, after `x`. For the lowest, hand it opposites.

    A monotone queue: what a newer input is not below can never be the highest again, so each is put in and taken out
    once. The most recent of equals counts."""
    d.count += 1
    if d.size > 0 and d.places[d.front] <= d.count - d.period:
        d.size -= 1
        d.front = d.front + 1 if d.front + 1 < d.period else 0
    while d.size > 0:
        back = d.front + d.size - 1
        back = back - d.period if back >= d.period else back
        if d.values[back] > x:
            break
        d.size -= 1
    place = d.front + d.size
    place = place - d.period if place >= d.period else place
    d.values[place], d.places[place] = x, d.count
    d.size += 1
    return d.values[d.front]


@jit_indicator
def highest_age(d):
    """How many inputs ago the highest was."""
    return d.count - d.places[d.front]


@jit_indicator
def slide_moments(w, x):
    """Take `x` into sums around `shift`, a level near the inputs, so that squares of large numbers do not eat what
    small differences say."""
    w.same = w.same + 1 if x == w.last and w.count > 0 else 1
    w.last = x
    oldest = w.window[w.place]
    w.window[w.place] = x
    w.count += 1
    w.place += 1
    if w.count == 1:
        w.shift = x
    if w.place == w.period:
        w.place, w.shift = 0, x
        total = squares = 0.0
        for k in range(w.period):
            off = w.window[k] - x
            total += off
            squares += off * off
        w.total, w.squares = total, squares
        return
    off = x - w.shift
    w.total += off
    w.squares += off * off
    if w.count > w.period:
        off = oldest - w.shift
        w.total -= off
        w.squares -= off * off


@jit_indicator
def mean_of(w):
    """The mean of the last `period` inputs; exactly theirs where they are all equal."""
    return w.last if w.same >= w.period else w.shift + w.total / w.period


@jit_indicator
def variance_of(w):
    """The mean square distance from that mean; exactly 0 where they are all equal."""
    mean = w.total / w.period
    found = w.squares / w.period - mean * mean
    return found if found > 0.0 and w.same < w.period else 0.0


@jit_indicator
def true_range(bar, last):
    """The larger of the bar's range and its distances from the close before, `last`."""
    return max(bar.high - bar.low, abs(bar.high - last), abs(bar.low - last))


@jit_indicator
def share(part, whole):
    """100 * part / whole; 50, the middle, where there is no whole."""
    return 100.0 * part / whole if whole > 0.0 else 50.0
