"""A home with an index and its options of two expiries, priced by Black and Scholes at a volatility that wanders."""

import math
from pathlib import Path

import numpy as np

from adapters.market.actions import action_columns
from adapters.market.instrument import Instrument, InstrumentKind
from adapters.market.writer import MarketWriter
from tests.api.sessions_home import MINUTE, add_instruments, at

EXPIRIES = ("2024-01-02", "2024-01-09")  # the second day of the tape, and a week on
STRIKES, LOT, TICK, OPEN = range(23_800, 24_201, 100), 50, 500, 9 * 60 + 15
MINUTES, YEAR = 150, 365 * 24 * 60  # of each morning; minutes of a year


def chain() -> list[Instrument]:
    """The index first, then calls and puts by expiry and strike."""
    named = {"exchange": "NSE", "calendar": "NSE_FO"}
    found = [Instrument(-1, "NIFTY", TICK, kind=InstrumentKind.INDEX, **named)]
    for day in EXPIRIES:
        for strike in STRIKES:
            for right in ("CALL", "PUT"):
                more = {"expiry": day, "strike": strike * 10_000, "right": right, "underlying": "NIFTY", **named}
                symbol = f"NIFTY {day} {strike} {right}"
                found.append(Instrument(-1, symbol, TICK, LOT, kind=InstrumentKind.OPTION, settlement="CASH", **more))
    return found


def black_scholes(spot: float, strike: float, right: int, years: float, volatility: float) -> float:
    """What a European option is worth without interest. F. Black and M. Scholes, Journal of Political Economy, 1973."""
    spread = volatility * math.sqrt(years)
    d = math.log(spot / strike) / spread + spread / 2.0
    return right * (spot * normal(right * d) - strike * normal(right * (d - spread)))


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def paths(seed: int, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Closes of the index and its volatility a year, minute by minute from one before the first."""
    rng, count = np.random.default_rng(seed), days * MINUTES + 1
    spot, volatility = [24_000.0], [0.15]
    for k in range(1, count):
        wild = 6.0 if k % 100 > 70 else 2.0  # points a minute: a range, then moves
        spot.append(spot[-1] + 0.02 * (24_000.0 - spot[-1]) + wild * rng.standard_normal())
        volatility.append(max(0.08, volatility[-1] + 0.05 * (0.15 - volatility[-1]) + 0.006 * rng.standard_normal()))
    return np.array(spot), np.array(volatility)


def write_options(home: Path, seed: int = 5, days: int = 2) -> Path:
    """The market tape `options`."""
    known = add_instruments(home, chain())
    spot, volatility = paths(seed, days)
    closes = np.zeros((days * MINUTES + 1, len(known)))
    closes[:, 0] = spot
    for n, one in enumerate(known[1:], 1):
        right, strike = (1 if one.right == "CALL" else -1), one.strike / 10_000
        ends = at(int(one.expiry[-2:]) - 1, 15 * 60 + 40)
        for k in range(days * MINUTES + 1):
            left = max(1.0, (ends - time_of(max(k - 1, 0))) / MINUTE) / YEAR
            closes[k, n] = black_scholes(spot[k], strike, right, left, volatility[k])
    ticks = np.maximum(np.rint(closes * 10_000 / TICK), 1).astype(np.int64) * TICK
    before, after = ticks[:-1].ravel(), ticks[1:].ravel()
    rng = np.random.default_rng([seed, 1])
    columns = {
        "ts_init": np.repeat([time_of(k) for k in range(days * MINUTES)], len(known)),
        "instrument": np.tile(np.array([one.number for one in known], "i4"), days * MINUTES),
        "span": np.full(len(after), MINUTE),
        "open": before,
        "high": np.maximum(before, after) + TICK,
        "low": np.maximum(np.minimum(before, after) - TICK, TICK),
        "close": after,
        "volume": rng.integers(1, 100, len(after)) * LOT,
    }
    with MarketWriter(home, "options", [(one.number, one.symbol) for one in known]) as tape:
        tape.add(columns)
        tape.finish(action_columns([]), [], {})
    return home


def time_of(k: int) -> int:
    """When the bar of minute `k` of the tape is available, ns UTC."""
    return at(k // MINUTES, OPEN + k % MINUTES + 1)
