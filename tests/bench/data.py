"""The benchmark's bars: NSE-shaped minute sessions, a geometric walk on a 0.05 tick, the same on every machine.

One symbol x 1,000,000 (a) or 50 x 20,000 (b) give the published cross-check figures; any size can be made.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from adapters.market.instruments import Instrument, Registry
from adapters.market.tape import ACTION_COLUMNS, Manifest
from adapters.market.writer import MarketWriter

SEED = 20240101
TICK = 500  # units
PER_DAY, MINUTE = 375, 60_000_000_000
TICKS_A_RUPEE = 20


def session_times(bars: int) -> np.ndarray:
    """Open times, ns UTC, of `bars` minutes: 09:15 to 15:29 IST, Monday to Friday, from 2015-01-01."""
    days_needed = -(-bars // PER_DAY)
    days = np.arange(np.datetime64("2015-01-01"), np.datetime64("2015-01-01") + int(days_needed * 7 / 5) + 14)
    weekdays = days[(days.astype("i8") + 3) % 7 < 5][:days_needed]
    first = weekdays.astype("i8") * 86_400 + 9 * 3_600 + 15 * 60 - 19_800
    return (first[:, None] + np.arange(PER_DAY)[None, :] * 60).ravel()[:bars] * 1_000_000_000


def walk(rng: np.random.Generator, bars: int, start: float) -> tuple[np.ndarray, ...]:
    """open, high, low, close in ticks and volume of one symbol."""
    steps = rng.standard_normal((bars, 4)) * (6e-4 / np.sqrt(4))
    steps[:, 0] += rng.standard_normal(bars) * 1e-4
    path = np.log(start) + np.cumsum(steps.ravel()).reshape(bars, 4)
    ticks = np.maximum(np.rint(np.exp(path) * TICKS_A_RUPEE).astype("i8"), 5 * TICKS_A_RUPEE)
    high, low = ticks.max(axis=1), ticks.min(axis=1)
    high = high + rng.integers(0, 3, bars)
    low = np.maximum(low - rng.integers(0, 3, bars), 1)
    return ticks[:, 0], high, low, ticks[:, -1], rng.integers(100, 50_000, bars)


def workload(symbols: int, bars: int) -> dict[str, np.ndarray]:
    """Columns in order of (time, symbol): `symbols` x `bars` rows. symbols == 1 is a, otherwise b."""
    if symbols == 1:
        walks = [walk(np.random.default_rng([SEED, 1]), bars, 1000.0)]
    else:
        rng = np.random.default_rng([SEED, 2])
        walks = [walk(rng, bars, rng.uniform(200, 3000)) for _ in range(symbols)]
    names = ("open", "high", "low", "close", "volume")
    columns = {name: np.stack([w[k] for w in walks], axis=1).ravel() for k, name in enumerate(names)}
    for name in names[:4]:
        columns[name] = columns[name] * TICK
    columns["ts_init"] = np.repeat(session_times(bars) + MINUTE, symbols)
    columns["instrument"] = np.tile(np.arange(symbols, dtype=np.int32), bars)
    columns["span"] = np.full(symbols * bars, MINUTE)
    return columns


def pieces(columns: dict[str, np.ndarray], rows: int = 1 << 17) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(columns["ts_init"]), rows):
        yield {name: values[start : start + rows] for name, values in columns.items()}


def write_home(home: Path, symbols: int, bars: int) -> Manifest:
    """A home with one market tape `bench` of that workload."""
    registry = Registry.load(home)
    added = registry.add(Instrument(0, f"S{n:02d}", TICK) for n in range(symbols))
    registry.save()
    none = {name: np.zeros(0, width) for name, width in ACTION_COLUMNS.items()}
    with MarketWriter(home, "bench", [(i.number, i.symbol) for i in added]) as tape:
        for piece in pieces(workload(symbols, bars)):
            tape.add(piece)
        return tape.finish(none, [], {})
