"""A small backtest as rows and notes, the way a run's tape holds it: bars left out, their seqs jumped."""

import json

import numpy as np

from adapters.strategies.load import load_strategy
from kernel.codes import Kind
from kernel.engine import Engine
from kernel.schema import events, join_rows
from kernel.state import Capacity, Rules

MINUTE = 60 * 10**9
START = 1_704_080_700 * 10**9
LIMITS = {
    "max_order_qty": 10**6,
    "max_order_notional": 10**13,
    "max_position_qty": 10**7,
    "allow_short": 1,
    "market_buffer_bps": 100,
}
SPECS = ("ema_cross,fast=3,slow=8,quantity=10", "sma_rsi_stop,fast=2,slow=5,rsi_low=1,rsi_high=99", "buy_and_hold")


def config(specs=SPECS, symbols=3, cash=10**11, limits=(), mode="BACKTEST"):
    loaded = [load_strategy(spec) for spec in specs]
    return {
        "mode": mode,
        "currency": "INR",
        "timezone": "Asia/Kolkata",
        "cash": cash,
        "fees": "bps:3",
        "rules": {"simulate": 1, "equity_interval": 10 * MINUTE, "seed": 0, "fee_rate": 300_000},
        "limits": LIMITS | dict(limits),
        "capacity": {"open_orders": 64, "instruments": 16, "strategies": 8},
        "instruments": [
            {"number": n, "symbol": f"SYM{n}", "tick": 500, "lot": 1, "currency": "INR", "tz": "Asia/Kolkata"}
            for n in range(symbols)
        ],
        "strategies": [
            {"number": n, "name": s.definition.name, "origin": s.origin, "code_hash": s.code_hash, "params": s.params}
            for n, s in enumerate(loaded, 1)
        ],
        "selection": {},
        "seed": 0,
    }, [(s.program, s.params) for s in loaded]


def control(kind, ts):
    row = events(1)
    row["kind"], row["ts_event"], row["ts_init"], row["instrument"] = kind, ts, ts, -1
    return row


def make_bars(count, symbols, seed):
    """`count` minutes of random walks on the tick grid, every instrument in every slice, as EVENT rows."""
    generator = np.random.default_rng(seed)
    rows = events(count * symbols)
    steps = generator.integers(-8, 9, (count, symbols)) * 500
    close = 1_000_000 + np.cumsum(steps, axis=0)
    first = np.vstack([np.full((1, symbols), 1_000_000), close[:-1]]) + generator.integers(-2, 3, close.shape) * 500
    rows["instrument"] = np.tile(np.arange(symbols), count)
    rows["ts_open"] = START + np.repeat(np.arange(count), symbols) * MINUTE
    rows["ts_event"] = rows["ts_init"] = rows["ts_open"] + MINUTE
    rows["open"], rows["close"] = first.ravel(), close.ravel()
    rows["high"] = np.maximum(rows["open"], rows["close"]) + 500
    rows["low"] = np.minimum(rows["open"], rows["close"]) - 500
    rows["volume"], rows["kind"] = 1000, Kind.BAR
    rows["flags"][symbols - 1 :: symbols] = 1
    return rows


def with_actions(bars, at, kind, instrument, **fields):
    """The same with a corporate action before the slice of bar number `at`."""
    row = events(1)
    row["kind"], row["instrument"] = kind, instrument
    row["ts_event"] = row["ts_init"] = bars["ts_open"][at]
    for name, value in fields.items():
        row[name] = value
    return join_rows([bars[:at], row, bars[at:]])


def run(settings, programs, inputs, capacity=()):
    """(every row, notes, engine) of a run of `inputs`."""
    rules = Rules(cash=settings["cash"], **{**settings["rules"], "simulate": True})
    instruments = [(i["number"], i["tick"], i["lot"]) for i in settings["instruments"]]
    engine = Engine(
        Capacity(**{**settings["capacity"], "batch": 4096}), rules, settings["limits"], instruments, programs
    )
    last = inputs["ts_init"][-1] if len(inputs) else START
    fed = join_rows([control(Kind.RUN_STARTED, START), inputs, control(Kind.RUN_ENDED, last)])
    kept = []
    for start in range(0, len(fed), 4096):
        part = fed[start : start + 4096]
        engine.inputs[: len(part)] = part
        taken = 0
        while taken < len(part):
            step = engine.run(taken, len(part) - taken)
            kept += [engine.inputs[taken : taken + step].copy(), engine.outputs.copy()]
            taken += step
    rows = join_rows(kept)
    rows = rows[np.argsort(rows["seq"], kind="stable")]
    return rows, {1: json.dumps(settings, sort_keys=True)}, engine


def record(count=300, symbols=3, seed=1, specs=SPECS, change=None, **settings):
    """(rows without bars, notes, engine) of a backtest."""
    made, programs = config(specs, symbols, **settings)
    bars = make_bars(count, symbols, seed)
    rows, notes, engine = run(made, programs, change(bars) if change else bars)
    return rows[rows["kind"] != Kind.BAR], notes, engine
