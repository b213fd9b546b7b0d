"""Updates a second of every indicator, compiled: one loop over an array of bars, its record in the cache.

`python -m tests.bench.indicators` measures them alone.
"""

import sys
import time
from typing import Any

import numpy as np

import onetape
from kernel.indicators import GROUPS, Indicator
from tests.bench.data import workload
from tests.kernel.streaming import BARS, make_loop, numbers

CHEAP = ("Ema", "Rsi", "Atr", "Vwap")
TARGET = 20.0  # M updates a second, of those
WRITTEN = {  # with the numbers they are usually asked for, where these have to be written
    **{name: f"{name}(20)" for name in ("Sma", "Ema", "Wma", "Dema", "Tema", "Hma", "Kama", "Vwma", "Roc", "Momentum")},
    **{name: f"{name}(14)" for name in ("Rsi", "Atr", "Natr")},
    **{name: f"{name}(20, against=OPEN)" for name in ("Correlation", "Beta")},
}


def bars_of(count: int) -> np.ndarray:
    columns = workload(1, count)
    bars = np.zeros(count, BARS)
    for name in ("open", "high", "low", "close"):
        bars[name] = columns[name] / 10_000
    bars["volume"], bars["ts"] = columns["volume"], columns["ts_init"]
    bars["ts_open"] = bars["ts"] - columns["span"]
    bars["session"] = bars["ts_open"] // 86_400_000_000_000
    return bars


def rate(indicator: Indicator, bars: np.ndarray, rounds: int = 5) -> float:
    """M updates a second, the best of some rounds."""
    loop, none = make_loop(indicator), np.zeros((0, 1 + len(indicator.outputs)))
    best = np.inf
    for _ in range(rounds + 1):
        memory = np.zeros(1, indicator.dtype())
        indicator.configure(memory[0], numbers(indicator))
        started = time.perf_counter()
        loop(memory.ctypes.data, bars, none)
        best = min(best, time.perf_counter() - started)
    return len(bars) / best / 1e6


def rates(count: int, rounds: int = 5) -> list[tuple[str, float, float | None]]:
    """(indicator as written, M updates a second, target)."""
    bars, found = bars_of(count), []
    for kind in (kind for group in GROUPS.values() for kind in group):
        text = WRITTEN.get(kind.__name__, f"{kind.__name__}()")
        indicator: Any = eval(text, dict(vars(onetape)))
        found.append((text, rate(indicator, bars, rounds), TARGET if kind.__name__ in CHEAP else None))
    return found


if __name__ == "__main__":
    for text, value, target in rates(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000):
        print(f"{text:32} {value:8.1f} M/s" + (f"  (target {target:g})" if target else ""))
