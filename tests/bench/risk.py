"""What risk costs an order, and what orders that rest cost a bar; in seconds of this thread: both are shares."""

import statistics
import time
from pathlib import Path

import numpy as np

from adapters.strategies.load import load_strategy
from kernel.engine import Engine
from kernel.rows import LIMIT_BOUNDS, LIMITS, RING
from kernel.state import Capacity, Rules
from kernel.units import SHARE
from tests.bench import loops
from tests.bench.data import TICK

ROUNDS = 5
FAR = 10**15  # wider than anything the workload comes to
WIDE = {
    **dict.fromkeys(LIMITS.names, FAR),
    **LIMIT_BOUNDS,
    "market_buffer_bps": loops.LIMITS["market_buffer_bps"],
    "max_drawdown": SHARE,
    "duplicate_within": 1,
    "repeat_within": 1,
    "max_order_notional": 10**16,
}
assert min(WIDE.values()) > 0 and WIDE["max_orders_second"] == RING


def make_engine(strategies: Path, spec: str, symbols: int, limits: dict, open_orders: int = 1_024) -> Engine:
    loaded = load_strategy(f"{strategies}:{spec}")
    rules = Rules(cash=10**12, fee_rate=300_000, equity_interval=86_400 * 10**9)
    instruments = [(n, TICK, 1) for n in range(symbols)]
    capacity = Capacity(batch=loops.BATCH, open_orders=open_orders)
    return Engine(capacity, rules, limits, instruments, [(loaded.program, loaded.params)])


def checks_on_against_off(
    columns: dict[str, np.ndarray], strategies: Path, spec: str = "Orders"
) -> tuple[float, float, float]:
    """(orders/s with every limit set, of account and strategy, orders/s with none, bars an order), medians."""
    rows, symbols = loops.as_events(columns), int(columns["instrument"].max()) + 1
    times: dict[bool, list[float]] = {True: [], False: []}
    orders = {}
    for _ in range(ROUNDS):
        for on in (True, False):
            limits = {**WIDE, "strategies": {"1": WIDE}} if on else loops.LIMITS
            engine = make_engine(strategies, spec, symbols, limits)
            engine.run(0, 0)
            times[on].append(loops.run_all(engine, rows, time.thread_time))
            orders[on] = int(engine.account.orders)
            assert engine.account.denied == 0 and engine.account.kill_level == 0
    assert orders[True] == orders[False] > (len(rows) // 2 if spec == "Orders" else 0)
    on, off = (orders[True] / statistics.median(times[which]) for which in (True, False))
    return on, off, len(rows) / orders[True]


def many_against_few(columns: dict[str, np.ndarray], strategies: Path) -> tuple[float, float, int]:
    """(bars/s with 1,024 orders resting, bars/s with 16, how many of the 1,024 still rest at the end), medians."""
    rows, symbols = loops.as_events(columns), int(columns["instrument"].max()) + 1
    times: dict[int, list[float]] = {1_024: [], 16: []}
    left = 0
    for _ in range(ROUNDS):
        for count, found in times.items():
            places = min(symbols, count)
            spec = f"Resting,count={count // places},symbols={places}"
            engine = make_engine(strategies, spec, symbols, loops.LIMITS)
            first = len(rows) // 10  # in which all are sent
            loops.run_all(engine, rows[:first])
            assert engine.account.orders == count // places * places
            found.append(loops.run_all(engine, rows[first:], time.thread_time))
            if count == 1_024:
                left = int(engine.account.open_orders)
    many, few = (len(rows) * 0.9 / statistics.median(times[count]) for count in times)
    return many, few, left
