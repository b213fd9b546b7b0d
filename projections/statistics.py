"""Figures of a run, computed from its equity points and trades. Pure: no I/O, no clock.

Money is int in 1/10,000 of the currency, times are int ns UTC. A figure that is not defined is None, never inf or NaN.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
YEAR_NS = 365.25 * DAY_NS
TRADING_DAYS = 252  # a year, for annualising
DAYS_LEAST = 30  # fewer daily equities than this give no volatility and no Sharpe ratio


@dataclass(frozen=True, slots=True)
class TradeFigures:
    """Of closed trades only; `pnl` is net of fees, a trade of exactly zero is neither won nor lost."""

    closed: int
    open: int
    won: int
    lost: int
    win_rate: float | None
    profit_factor: float | None
    average_win: int | None
    average_loss: int | None  # negative
    expectancy: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    net: int
    return_fraction: float | None
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    days: int
    longest_drawdown_ns: int | None
    exposure_share: float | None
    exposure_average: float | None
    trades: TradeFigures


def ratio(a: float, b: float) -> float | None:
    """a / b as a float, or None where that is undefined or not finite."""
    if not b:
        return None
    value = a / b
    return value if math.isfinite(value) else None


def divide_half_up(a: int, b: int) -> int:
    """Integer a / b for b > 0, the nearest, a tie away from zero."""
    quotient = (2 * abs(a) + b) // (2 * b)
    return -quotient if a < 0 else quotient


def local_times(ts: ArrayLike, timezone: str) -> np.ndarray:
    """Local wall times (datetime64[ns]) of ns UTC; zones change their offset on whole UTC hours."""
    ns = np.asarray(ts, dtype=np.int64)
    zone = ZoneInfo(timezone)
    hours, inverse = np.unique(ns // HOUR_NS, return_inverse=True)
    offsets = np.array([_offset_ns(int(hour), zone) for hour in hours], dtype=np.int64)
    return (ns + offsets[inverse] if len(ns) else ns).astype("datetime64[ns]")


def _offset_ns(hour: int, zone: ZoneInfo) -> int:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    return int(offset / timedelta(microseconds=1)) * 1000


def last_of_each(periods: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The periods (datetime64, ascending) without repeats, and the last value in each."""
    if not len(periods):
        return periods, values
    ends = np.append(np.flatnonzero(periods[1:] != periods[:-1]), len(periods) - 1)
    return periods[ends], values[ends]


def daily_equity(ts: ArrayLike, equity: ArrayLike, timezone: str) -> tuple[np.ndarray, np.ndarray]:
    """(dates, the last equity of each local date)."""
    days = local_times(ts, timezone).astype("datetime64[D]")
    return last_of_each(days, np.asarray(equity, dtype=np.int64))


def monthly_returns(
    ts: ArrayLike, equity: ArrayLike, timezone: str, opening: int
) -> list[tuple[int, int, float | None]]:
    """[(year, month, return)]: last equity of the month over that of the month before, at first over `opening`."""
    months = local_times(ts, timezone).astype("datetime64[M]")
    rows, before = [], opening
    for month, last in zip(*last_of_each(months, np.asarray(equity, dtype=np.int64)), strict=True):
        year, number = divmod(int(month.astype(np.int64)), 12)
        rows.append((1970 + year, number + 1, ratio(int(last) - before, before if before > 0 else 0)))
        before = int(last)
    return rows


def volatility_and_sharpe(daily: ArrayLike) -> tuple[float | None, float | None]:
    """Annualised over 252 days from daily equities, risk-free rate 0, sample deviation; (None, None) below 30 days."""
    values = np.asarray(daily, dtype=np.float64)
    if len(values) < DAYS_LEAST or (values <= 0).any():
        return None, None
    returns = values[1:] / values[:-1] - 1.0
    deviation = float(returns.std(ddof=1))
    if not deviation > 1e-15:  # a flat account has no ratio
        return 0.0, None
    return deviation * math.sqrt(TRADING_DAYS), float(returns.mean()) / deviation * math.sqrt(TRADING_DAYS)


def longest_drawdown_ns(ts: ArrayLike, equity: ArrayLike, peak: ArrayLike) -> int | None:
    """The longest time from a peak to the next, or to the end, with a point below it; None where no point is below.

    A peak is made between two points: it is counted from the first that knows it to the first that knows the next.
    """
    times, peaks = np.asarray(ts, dtype=np.int64), np.asarray(peak, dtype=np.int64)
    below = np.asarray(equity, dtype=np.int64) < peaks
    if not below.any():
        return None
    starts = np.concatenate(([0], np.flatnonzero(peaks[1:] != peaks[:-1]) + 1))
    ends = np.append(starts[1:], len(times) - 1)
    fell = np.logical_or.reduceat(below, starts)
    return int((times[ends] - times[starts])[fell].max())


def cagr(opening: int, final: int, span_ns: int) -> float | None:
    """Yearly growth over the span; None up to one year, or when either end is not positive."""
    if span_ns <= YEAR_NS or opening <= 0 or final <= 0:
        return None
    return (final / opening) ** (YEAR_NS / span_ns) - 1.0


def trade_figures(trades: Sequence[Mapping[str, Any]]) -> TradeFigures:
    """`trades` are dicts with `pnl` and `closed_ts` (None while open)."""
    closed = [trade["pnl"] for trade in trades if trade["closed_ts"] is not None]
    won = [pnl for pnl in closed if pnl > 0]
    lost = [pnl for pnl in closed if pnl < 0]
    return TradeFigures(
        closed=len(closed),
        open=len(trades) - len(closed),
        won=len(won),
        lost=len(lost),
        win_rate=ratio(len(won), len(closed)),
        profit_factor=ratio(sum(won), -sum(lost)),
        average_win=divide_half_up(sum(won), len(won)) if won else None,
        average_loss=divide_half_up(sum(lost), len(lost)) if lost else None,
        expectancy=divide_half_up(sum(closed), len(closed)) if closed else None,
    )


def figures(data: Mapping[str, Any]) -> Figures:
    """All figures of a run given as the dict of `api/report.py`."""
    points, opening, final = data["equity"], data["cash"], data["final_equity"]
    _, daily = daily_equity(points["ts"], points["equity"], data["timezone"])
    volatility, sharpe = volatility_and_sharpe(daily)
    exposure = np.abs(np.asarray(points["exposure"], dtype=np.float64))
    equity = np.asarray(points["equity"], dtype=np.float64)
    solvent = equity > 0
    return Figures(
        net=final - opening,
        return_fraction=ratio(final - opening, opening if opening > 0 else 0),
        cagr=cagr(opening, final, data["last_ts"] - data["first_ts"]),
        volatility=volatility,
        sharpe=sharpe,
        days=len(daily),
        longest_drawdown_ns=longest_drawdown_ns(points["ts"], points["equity"], points["peak"]),
        exposure_share=ratio(int(np.count_nonzero(exposure)), len(exposure)),
        exposure_average=float((exposure[solvent] / equity[solvent]).mean()) if solvent.any() else None,
        trades=trade_figures(data["trades"]),
    )
