"""How the loop goes with the number of strategies and instruments, and with a strategy in plain Python."""

from collections.abc import Iterator
from pathlib import Path

from adapters.strategies.load import load_strategy
from kernel.engine import Engine
from kernel.state import Capacity, Rules
from tests.bench import loops

PLAIN = Path(__file__).parent / "plain.py"
SPECS = (
    "ema_cross", "sma_rsi_stop", "bollinger_reversion", "supertrend", "rsi_mean_reversion",
)  # fmt: skip


def rate(specs: list[str], symbols: int, bars: int) -> float:
    """Bars a second of the kernel's loop, best of three, over `symbols` x `bars`."""
    loaded = [load_strategy(spec) for spec in specs]
    rows, best = loops.as_events(loops.workload(symbols, bars)), 0.0
    for _ in range(3):
        rules = Rules(cash=10**13, fee_rate=300_000, equity_interval=86_400 * 10**9)
        instruments = [(n, loops.TICK, 1) for n in range(symbols)]
        given = [(one.program, one.params) for one in loaded]
        engine = Engine(Capacity(batch=loops.BATCH, open_orders=16_384), rules, loops.LIMITS, instruments, given)
        engine.run(0, 0)
        best = max(best, len(rows) / loops.run_all(engine, rows))
    return best


def table(bars: int) -> Iterator[tuple[str, float, float]]:
    """(symbols x strategies, M bars/s, M calls of strategies a second): the last is flat where it scales."""
    for symbols in (50, 500):
        for count in (1, 2, 5):
            found = rate(list(SPECS[:count]), symbols, bars // symbols) / 1e6
            yield f"{symbols} symbols x {count} strateg{'y' if count == 1 else 'ies'}", found, found * count
