"""For the tests of strategies: bars written in code, a backtest over them, and what the strategy did, bar by bar.

Everything goes the way of `onetape backtest`: a market tape, the kernel, a sealed run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from adapters.files import import_lock
from adapters.market.actions import action_columns
from adapters.market.instruments import Instrument, Registry
from adapters.market.prices import SCALE
from adapters.market.writer import MarketWriter, free_name
from adapters.settings import Settings
from adapters.tape.reader import read_rows
from api.backtest import run_backtest
from api.request import Request
from kernel.codes import Kind, OrderType, Side

MINUTE = 60_000_000_000
FIRST_OPEN = int(datetime(2024, 1, 1, 3, 45, tzinfo=UTC).timestamp()) * 10**9  # 09:15 in India, ns UTC
SYMBOL = "TEST"
TICK = 100  # units: 0.01


class Bar(NamedTuple):
    """A bar in currency and shares."""

    open: float
    high: float
    low: float
    close: float
    volume: int = 1_000


class Order(NamedTuple):
    """An order as the strategy asked for it, on bar number `bar`, from 0."""

    bar: int
    side: str  # BUY or SELL
    qty: int
    order_type: str  # such as MARKET


class Fill(NamedTuple):
    """A fill within bar number `bar`; the price in currency."""

    bar: int
    side: str
    qty: int
    price: float


@dataclass(frozen=True)
class Played:
    """What a strategy did. `digest` is one of everything it decided: the same twice, or something is not repeatable."""

    orders: list[Order]
    fills: list[Fill]
    faults: list[str]  # `file:line: what happened`, where the strategy raised an exception
    digest: str


def bars_from_closes(closes: Sequence[float]) -> list[Bar]:
    """Bars that open at the close before and go straight to theirs."""
    opens = [*closes[:1], *closes[:-1]]
    return [Bar(a, max(a, b), min(a, b), b) for a, b in zip(opens, closes, strict=True)]


def play(strategy: str | Path, bars: Sequence[Bar], folder: Path) -> Played:
    """Run `NAME` or `path/to/file.py:Class`, with `,parameter=value` behind it, over minute bars of one instrument with
    1,000,000 to spend and no fees. `folder` is for what that writes. Raises StrategyError, NotFound and ConfigError.
    """
    home = Path(folder)
    tape = _write(home, bars)
    result = run_backtest(home, Settings(), Request([str(strategy)], tapes=[tape]))
    orders, fills = list[Order](), list[Fill]()
    for rows, _ in read_rows(result.folder):
        for row in rows[np.isin(rows["kind"], (int(Kind.ORDER_SUBMITTED), int(Kind.ORDER_FILLED)))]:
            bar, side, qty = _bar_of(row), Side(int(row["side"])).name, int(row["qty"])
            if row["kind"] == Kind.ORDER_FILLED:
                fills.append(Fill(bar, side, qty, int(row["px"]) / SCALE))
            else:
                orders.append(Order(bar, side, qty, OrderType(int(row["order_type"])).name))
    return Played(orders, fills, result.faults, str(result.manifest["decision_digest"]))


def _bar_of(row: np.void) -> int:
    """The bar that was the last when this happened."""
    return (int(row["ts_init"]) - FIRST_OPEN) // MINUTE - 1


def _write(home: Path, bars: Sequence[Bar]) -> str:
    """Put the bars onto a market tape of `home`; its name."""
    with import_lock(home):
        registry = Registry.load(home)
        number = registry.add([Instrument(-1, SYMBOL, TICK)])[0].number
        registry.save()
        prices = {name: [round(getattr(bar, name) * SCALE) for bar in bars] for name in Bar._fields[:4]}
        columns = {
            "ts_init": FIRST_OPEN + MINUTE * np.arange(1, len(bars) + 1, dtype="i8"),
            "instrument": np.full(len(bars), number, "i4"),
            "span": np.full(len(bars), MINUTE, "i8"),
            **{name: np.array(values, "i8") for name, values in prices.items()},
            "volume": np.array([bar.volume for bar in bars], "i8"),
        }
        with MarketWriter(home, free_name(home, "bars"), [(number, SYMBOL)]) as tape:
            tape.add(columns)
            return tape.finish(action_columns([]), [], {}).name
