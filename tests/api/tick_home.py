"""A small home with ticks: days of NSE trades and quotes, and a strategy that decides by both and by bars."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from adapters.market.actions import action_columns
from adapters.market.instruments import Instrument
from adapters.market.writer import MarketWriter
from tests.api.sessions_home import MINUTE, add_instruments, at

OPEN, CLOSE = 9 * 60 + 15, 15 * 60 + 30
STRATEGY = '''
from onetape import HOLD, Int, Param, buy, sell, strategy


@strategy
class Ticker:
    """Buys at every `every`-th trade, sells by quotes, and counts the bars it is shown."""

    every = Param(40, low=1)
    trades = Int()
    quotes = Int()
    bars = Int()

    def on_trade(self, trade, ctx):
        self.trades += 1
        if ctx.position == 0 and ctx.working == 0 and self.trades % self.every == 0:
            return buy(10)
        return HOLD

    def on_quote(self, quote, ctx):
        self.quotes += 1
        if ctx.position > 0 and ctx.working == 0 and self.quotes % self.every == 0:
            return sell(ctx.position)
        return HOLD

    def on_bar(self, bar, ctx):
        self.bars += 1
        if ctx.position == 0 and ctx.working == 0 and bar.close > bar.open and self.bars % 5 == 0:
            return buy(5)
        return HOLD
'''


def write_ticks(home: Path, name: str, numbers: list[int], days: list[int], each: int, seed: int = 1) -> None:
    """`each` ticks a day and instrument, half trades, a trade in every minute; many of one time, some late."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[np.ndarray]] = {key: [] for key in ("ts", "number", "px", "trade", "lag")}
    for day in days:
        for number in numbers:
            minutes = np.arange(CLOSE - OPEN) * MINUTE + rng.integers(0, MINUTE - 10**9, CLOSE - OPEN)
            more = np.sort(rng.integers(0, (CLOSE - OPEN) * MINUTE, each - (CLOSE - OPEN)))
            ts = at(day, OPEN) + np.concatenate([minutes, more]) // (10**9) * 10**9  # whole seconds: ties abound
            columns["ts"].append(ts)
            columns["number"].append(np.full(each, number))
            columns["px"].append(100_0000 + 500 * np.cumsum(rng.integers(-1, 2, each)))
            columns["trade"].append(np.r_[np.ones(CLOSE - OPEN, bool), rng.random(len(more)) < 0.3])
            columns["lag"].append(rng.integers(0, 2, each) * 5 * 10**8)
    table = {key: np.concatenate(parts) for key, parts in columns.items()}
    table["ts"] = table["ts"] + table["lag"]
    order = np.lexsort((table["number"], table["ts"]))
    table = {key: values[order] for key, values in table.items()}
    with MarketWriter(home, name, [(n, f"S{n}") for n in numbers]) as tape:
        for kind, chosen in (("quotes", ~table["trade"]), ("trades", table["trade"])):
            ts, number, px, lag = (table[key][chosen] for key in ("ts", "number", "px", "lag"))
            rows = {"ts_init": ts, "instrument": number, "lag": lag}
            if kind == "trades":
                rows |= {"trade_px": px, "trade_qty": np.full(len(px), 10)}
            else:
                rows |= {"bid_px": px - 500, "ask_px": px + 500, "bid_qty": np.full(len(px), 50)}
                rows["ask_qty"] = rows["bid_qty"]
            tape.add_ticks(kind, rows)
        tape.finish(action_columns([]), [], {})


def make_home(home: Path, days: int = 2, each: int = 900, calendar: str = "NSE_EQ") -> Path:
    """Two shares with ticks on the tape `ticks`, and the strategy file `ticker.py`."""
    shares = [replace(Instrument(-1, symbol, 500), calendar=calendar) for symbol in ("S0", "S1")]
    known = add_instruments(home, shares)
    write_ticks(home, "ticks", [one.number for one in known], list(range(days)), each)
    (home / "ticker.py").write_text(STRATEGY)
    return home
