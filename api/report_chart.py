"""Charts as percentages and SVG path text; the template draws them. No currency or layout lives here beyond labels.

Coordinates: x runs 0..WIDTH, y runs 0..HEIGHT downwards; the browser stretches both, so labels are placed in percent.
"""

import math
from dataclasses import dataclass

import numpy as np

from api.report_format import SCALE, axis_text, percent_text
from projections.statistics import local_times

WIDTH, HEIGHT = 1600, 1000
COLUMNS = 798  # of two points each, and the two ends: never more than 1,598 points a path
GAP_STEPS = 3  # a pause longer than this many usual steps (night, weekend) is drawn as this many
TICKS_MOST = 11
TRIPS_MOST = 20  # marks on the equity line
PHONE_GAP, DESKTOP_GAP = 24.0, 7.5  # least distance of time labels, in percent of the width


@dataclass(frozen=True, slots=True)
class Tick:
    at: float  # percent of the axis
    text: str
    minor: bool = False  # left out on a narrow screen

    @property
    def anchor(self):
        return "start" if self.at < 3 else "end" if self.at > 97 else "middle"


def downsample(x, y, columns=COLUMNS):
    """Indices, ascending, of the first, the last, and per column of x the lowest and highest y: no extreme is lost."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y)
    if len(x) <= 2 * columns:
        return np.arange(len(x))
    column = np.minimum(((x - x[0]) / (x[-1] - x[0]) * columns).astype(np.int64), columns - 1)
    order = np.lexsort((y, column))
    ends = np.flatnonzero(np.diff(column[order]))
    lowest = order[np.append(0, ends + 1)]
    highest = order[np.append(ends, len(order) - 1)]
    return np.unique(np.concatenate(([0, len(x) - 1], lowest, highest)))


def place_times(ts):
    """(x of each time in 0..1, whether pauses were cut): time runs evenly but for pauses, which are shortened."""
    if len(ts) < 2:
        return np.full(len(ts), 0.5), False
    steps = np.diff(ts)
    usual = GAP_STEPS * max(int(np.median(steps)), 1)
    x = np.concatenate(([0.0], np.cumsum(np.minimum(steps, usual), dtype=np.float64)))
    return (x / x[-1] if x[-1] else np.linspace(0, 1, len(ts))), bool((steps > 2 * usual).any())


def value_ticks(low, high, count=5):
    """(lowest, highest, step): integers, multiples of a round step, around low..high in at most `count` + 1 steps."""
    if high <= low:
        pad = max(abs(high) // 100, SCALE)
        low, high = low - pad, high + pad
    rough = (high - low) / count
    power = 10 ** max(math.floor(math.log10(rough)), 0)
    step = next(s for s in (power, 2 * power, 5 * power, 10 * power, 20 * power) if s >= rough)
    return low // step * step, -(-high // step) * step, step


_UNITS = (  # (numpy unit, how many, label)
    ("m", 15, "clock"), ("h", 1, "clock"), ("D", 1, "day"), ("W", 1, "day"), ("M", 1, "month"), ("M", 3, "month"),
    ("Y", 1, "year"), ("Y", 2, "year"), ("Y", 5, "year"), ("Y", 10, "year"),
)  # fmt: skip


def time_ticks(ts, x, timezone):
    """Labels where the local calendar turns, in the finest unit that gives at most TICKS_MOST of them."""
    local = local_times(ts, timezone)
    starts, label = np.array([], dtype=np.int64), "day"
    for unit, many, label in _UNITS:  # noqa: B007 the unit found stays bound
        shifted = local + np.timedelta64(3, "D") if unit == "W" else local  # numpy weeks begin on Thursday
        key = shifted.astype(f"datetime64[{unit}]").astype(np.int64) // many
        starts = np.flatnonzero(np.diff(key)) + 1
        if len(starts) <= TICKS_MOST:
            break
    if len(starts) < 2:
        starts = np.unique([0, len(ts) - 1]) if len(ts) else starts
        one_day = len(ts) > 1 and local[0].astype("datetime64[D]") == local[-1].astype("datetime64[D]")
        label = "clock" if one_day else "full"
    return _spread([(100 * float(x[i]), _tick_text(local[i], label)) for i in starts])


def _tick_text(moment, label):
    when = moment.astype("datetime64[s]").item()
    if label == "clock":
        return f"{when:%H:%M}"
    if label == "year":
        return f"{when:%Y}"
    if label == "month":
        return f"{when:%Y}" if when.month == 1 else f"{when:%b}"
    return f"{when.day} {when:%b %Y}" if label == "full" else f"{when.day} {when:%b}"


def _spread(ticks):
    """Ticks far enough apart to read; `minor` where a phone has no room."""
    shown, last, last_phone = [], -math.inf, -math.inf
    for at, text in ticks:
        if at - last < DESKTOP_GAP:
            continue
        minor = at - last_phone < PHONE_GAP
        shown.append(Tick(round(at, 2), text, minor))
        last, last_phone = at, last_phone if minor else at
    return shown


def path_text(x, y):
    """An SVG path through the points: x in 0..1, y in 0..1 downwards."""
    points = (f"{a:.1f} {b:.1f}" for a, b in zip(x * WIDTH, y * HEIGHT, strict=True))
    return "M" + "L".join(points) if len(x) else ""


def _strip(x, y, low, high, base):
    """(line, area down or up to `base`) of one series, drawn from its own extremes."""
    keep = downsample(x, y)
    scaled = (high - y[keep]) / (high - low)
    line = path_text(x[keep], scaled)
    floor = (high - base) / (high - low) * HEIGHT
    area = f"{line}L{x[keep[-1]] * WIDTH:.1f} {floor:.1f}L{x[keep[0]] * WIDTH:.1f} {floor:.1f}Z"
    return line, area


def build_charts(data):
    """Everything the template needs to draw equity, drawdown and exposure on one time axis; None without points."""
    points = data["equity"]
    ts = np.asarray(points["ts"], dtype=np.int64)
    if not len(ts):
        return None
    equity = np.asarray(points["equity"], dtype=np.int64)
    peak = np.maximum(np.asarray(points["peak"], dtype=np.int64), equity)
    exposure = np.asarray(points["exposure"], dtype=np.int64)
    x, cut = place_times(ts)
    drawdown = np.where(peak > 0, (equity - peak) / np.where(peak > 0, peak, 1), 0.0)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "cut": cut,
        "single": len(ts) == 1,
        "times": time_ticks(ts, x, data["timezone"]),
        "equity": _equity_chart(x, equity, data["cash"], data["currency"]),
        "drawdown": _drawdown_chart(x, drawdown),
        "trips": [round(100 * float(np.interp(trip["ts"], ts, x)), 2) for trip in data["trips"][:TRIPS_MOST]],
        "exposure": _exposure_chart(x, exposure, equity) if exposure.any() else None,
        "keep": downsample(x, equity),
        "x": x,
        "drawdown_values": drawdown,
    }


def _equity_chart(x, equity, cash, currency):
    low, high, step = value_ticks(min(int(equity.min()), cash), max(int(equity.max()), cash))
    line, area = _strip(x, equity, low, high, cash)
    ticks = [
        Tick(round(100 * (high - value) / (high - low), 2), axis_text(value, currency, step))
        for value in range(low, high + 1, step)
    ]
    return {
        "line": line,
        "area": area,
        "ticks": ticks,
        "base": round(100 * (high - cash) / (high - low), 2),
        "end_x": round(100 * float(x[-1]), 2),
        "end_y": round(100 * (high - int(equity[-1])) / (high - low), 2),
        "low": low,
        "high": high,
    }


def _share_ticks(low, high, count):
    """(lowest, highest, step) of fractions, exact in 1/10,000."""
    return value_ticks(math.floor(low * SCALE), math.ceil(high * SCALE), count)


def _percent_places(step):
    return 0 if step % 100 == 0 else 1 if step % 10 == 0 else 2


def _drawdown_chart(x, drawdown):
    worst = int(np.argmin(drawdown))
    low, _, step = _share_ticks(min(float(drawdown[worst]), -0.0005), 0.0, 3)
    line, area = _strip(x, drawdown, low / SCALE, 0.0, 0.0)
    at = 100 * float(x[worst])
    return {
        "line": line,
        "area": area,
        "ticks": [
            Tick(round(100 * value / low, 2), percent_text(value / SCALE, _percent_places(step)))
            for value in range(0, low - 1, -step)
        ],
        "worst_x": round(at, 2),
        "worst_y": round(100 * float(drawdown[worst]) * SCALE / low, 2),
        "worst": percent_text(float(drawdown[worst])) if drawdown[worst] < 0 else None,
        "worst_anchor": "end" if at > 80 else "start",
    }


def _exposure_chart(x, exposure, equity):
    share = np.where(equity > 0, exposure / np.where(equity > 0, equity, 1), 0.0)
    low, high, step = _share_ticks(min(float(share.min()), 0.0), max(float(share.max()), 0.0005), 2)
    line, area = _strip(x, share, low / SCALE, high / SCALE, 0.0)
    return {
        "line": line,
        "area": area,
        "ticks": [
            Tick(round(100 * (high - value) / (high - low), 2), percent_text(value / SCALE, _percent_places(step)))
            for value in range(low, high + 1, step)
        ],
    }
