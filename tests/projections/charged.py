"""Scripted runs with charges, contracts and currencies as a tape holds them: rows, notes, and the engine to compare."""

import json

from kernel.codes import Basis, Item, Kind, Product
from kernel.terms import charges_of, terms_of
from kernel.units import SCALE
from tests.kernel.play import TICK, WIDE, event, of, run_bars, script, units
from tests.kernel.test_charged import DP, SELL, TAXED, TWENTY, rule

SHARES = {"number": 0, "symbol": "ALPHA", "tick": TICK, "lot": 1, "currency": "INR", "calendar": 1, "charged": 1}
RULES = [
    rule(Item.STT, 0.1, product=Product.DELIVERY, rounded=10_000),
    rule(Item.STT, 5, basis=Basis.EXERCISE, side=SELL, rounded=10_000),
    rule(Item.TRANSACTION, 0.00297),
    rule(Item.STAMP, 0.015, side=1),
    rule(Item.GST, 18, basis=Basis.ITEMS, of=TAXED),
    DP,
    TWENTY,
]


def contract(number, kind, **more):
    """A row of an instrument that ends: its underlying is ALPHA."""
    about = {"symbol": f"{kind}{number}", "kind": kind, "calendar": 1, "underlying": "ALPHA", "margin": 10**9}
    return {"number": number, "tick": TICK, "lot": 1, "currency": "INR", **about, **more}


def config_for(instruments, strategies=1, cash=1_000_000, charges=(), limits=None, **rules):
    """A configuration that `play.make_engine` makes the same engine of."""
    return {
        "mode": "BACKTEST", "currency": "INR", "timezone": "Asia/Kolkata", "cash": units(cash), "fees": "zero", "seed": 0,
        "rules": {"simulate": 1, "equity_interval": 0, "seed": 0, **rules},
        "limits": {**WIDE, **(limits or {})},
        "capacity": {"open_orders": 32, "instruments": 64, "strategies": 16, "lots": 64},
        "instruments": [{"tz": "Asia/Kolkata", **row} for row in instruments],
        "strategies": [
            {"number": n, "name": f"s{n}", "origin": "s", "code_hash": "0", "params": {}}
            for n in range(1, strategies + 1)
        ],
        "selection": {},
        **({"currencies": ["INR", "USD"]} if rules.get("currencies") == 2 else {}),
        **({"charges": {"rule": "in:x", "segments": ["NSE:EQUITY"], "rows": [list(map(int, r)) for r in charges]}}
           if charges else {}),
    }  # fmt: skip


def play(scripted, config, scripts, inputs, bars=False):
    """(rows, notes, engine) of a run; `scripts` are (strategy, instrument, orders at bars)."""
    chosen = {name: value for name, value in config["rules"].items() if name != "simulate"}
    engine = scripted(
        len(config["strategies"]), cash=config["cash"] / SCALE, instruments=terms_of(config), charges=charges_of(config),
        limits=config["limits"], simulate=bool(config["rules"]["simulate"]), **chosen,
    )  # fmt: skip
    for one in scripts:
        script(engine, *one)
    rows = run_bars(engine, [event(Kind.RUN_STARTED, 0), *inputs])
    return (rows if bars else rows[rows["kind"] != Kind.BAR]), {1: json.dumps(config)}, engine


def order_ids(rows):
    return of(rows, Kind.ORDER_SUBMITTED)["order_id"].tolist()
