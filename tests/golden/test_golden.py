"""A small slice of the peer benchmark: fixed digests, and trades equal to an independent loop over plain floats.

The digests stand for every byte on the tape and in the state. A change that moves them must be meant, and said in
CHANGELOG.md; print the new ones with `python -m tests.golden.test_golden`.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from kernel.codes import Flag, Kind
from kernel.schema import EVENT
from kernel.units import SCALE
from tests.kernel.play import TICK, make_engine, of, run_bars, tape_digest

STRATEGIES = Path(__file__).parents[1] / "bench" / "strategies.py"
SYMBOLS, BARS, MINUTE = 2, 3_000, 60 * 10**9
TAPE = {
    "light": "7b3e850613e4414b210d69941e0a4fd3a9dec9f1ab51e8de9fd2e4be00424db6",
    "heavy": "e09a64f4784f8b256d4ae1b66b603d1c98ecef7e39080ce34ebe8691670b48c6",
}
STATE = {
    "light": "b109782093d474d55d6ace2f95c8dfc118fe1f83fb06de38e530470cffbbce88",
    "heavy": "9ba68db400366d31b2cf28f32f4a0f75b7687f24fcbe7b528c844ec2ef0b7154",
}


def walk(rng, n, start):
    """Open, high, low, close in ticks of 0.05 and volume, by the formulae of the benchmark's generator, with steps
    three times as large, so that stops are hit in so few bars."""
    steps = rng.standard_normal((n, 4)) * (2e-3 / 2.0)
    steps[:, 0] += rng.standard_normal(n) * 1e-4
    log_px = math.log(start) + np.cumsum(steps.ravel()).reshape(n, 4)
    ticks = np.maximum(np.rint(np.exp(log_px) * 20).astype(np.int64), 100)
    high = ticks.max(axis=1) + rng.integers(0, 3, n)
    low = np.maximum(ticks.min(axis=1) - rng.integers(0, 3, n), 1)
    return ticks[:, 0], high, low, ticks[:, -1], rng.integers(100, 50_000, n)


def bars() -> np.ndarray:
    rng = np.random.default_rng([20240101, 2])
    out = np.zeros((BARS, SYMBOLS), EVENT)
    for symbol in range(SYMBOLS):
        o, h, low, c, volume = walk(rng, BARS, rng.uniform(200, 3000))
        out["instrument"][:, symbol], out["volume"][:, symbol] = symbol, volume
        for name, ticks in (("open", o), ("high", h), ("low", low), ("close", c)):
            out[name][:, symbol] = ticks * TICK
    out["kind"] = Kind.BAR
    out["ts_open"] = (1_420_083_900 * 10**9 + np.arange(BARS) * MINUTE)[:, None]
    out["ts_event"] = out["ts_init"] = out["ts_open"] + MINUTE
    out["flags"][:, -1] = Flag.SLICE_END
    return out.ravel()


def played(load, name):
    one = load(f"{STRATEGIES}:{name.title()}")
    engine = make_engine(
        [(one.program, one.params)],
        cash=100_000_000,
        instruments=tuple((k, TICK, 1) for k in range(SYMBOLS)),
        fee_rate=300_000,
        equity_interval=86_400 * 10**9,
    )
    return engine, run_bars(engine, bars())


def reference(heavy: bool):
    """(fills as (bar, symbol, signed qty, price), PnL) by straightforward floats, signals from bar 500 on."""
    listed, pnl = [], 0.0
    table = bars().reshape(BARS, SYMBOLS)
    for symbol in range(SYMBOLS):
        o, _, low, c = (table[n][:, symbol] / SCALE for n in ("open", "high", "low", "close"))
        fast, slow = (mean(c, 10), mean(c, 30)) if heavy else (smoothed(c, 10), smoothed(c, 30))
        strength = wilder_rsi(c, 14)
        held, stop, order = 0, 0.0, 0
        for i in range(BARS):
            px = 0.0
            if order:
                px, side, order = o[i], order, 0
            elif held and heavy and low[i] <= stop:
                px, side = min(o[i], stop), -1
            if px:
                listed.append((i, symbol, 100 * side, round(px, 2)))
                pnl -= 100 * side * px + 0.0003 * 100 * px
                held, stop = held + 100 * side, math.floor(px * 0.98 * 20 + 0.5) / 20
            if i < 500:
                continue
            now, before = fast[i] - slow[i], fast[i - 1] - slow[i - 1]
            if not held and now > 1e-6 and before <= 1e-6 and (not heavy or 50 < strength[i] < 70):
                order = 1
            elif held and now < -1e-6 and before >= -1e-6:
                order = -1
        pnl += held * c[-1]
    return sorted(listed), pnl


def smoothed(x, n):
    out = np.full(len(x), np.nan)
    out[n - 1] = sum(x[:n]) / n
    for i in range(n, len(x)):
        out[i] = out[i - 1] + (x[i] - out[i - 1]) * 2 / (n + 1)
    return out


def mean(x, n):
    return np.array([math.fsum(x[i - n + 1 : i + 1]) / n if i >= n - 1 else math.nan for i in range(len(x))])


def wilder_rsi(x, n):
    out, moves = np.full(len(x), np.nan), np.diff(x)
    up, down = sum(moves[:n].clip(0)) / n, sum(-moves[:n].clip(None, 0)) / n
    for i in range(n, len(x)):
        if i > n:
            up, down = (up * (n - 1) + max(moves[i - 1], 0)) / n, (down * (n - 1) + max(-moves[i - 1], 0)) / n
        out[i] = 100 * up / (up + down)
    return out


@pytest.mark.parametrize("name", ["light", "heavy"])
def test_trades_are_those_of_plain_floats(load, name):
    engine, tape = played(load, name)
    listed, pnl = reference(name == "heavy")
    done = of(tape, Kind.ORDER_FILLED)
    first = int(bars()["ts_event"][0])
    mine = sorted(
        ((int(e["ts_event"]) - first) // MINUTE, int(e["instrument"]), int(e["side"] * e["qty"]), int(e["px"]) / SCALE)
        for e in done
    )
    assert mine == listed
    assert len(listed) > 150
    a = engine.account
    assert a.denied == a.faults == 0
    q = engine.purse
    assert abs((int(q.cash) + int(q.market_value) - int(q.paid_in)) / SCALE - pnl) < 0.00005 * len(listed) + 1e-6
    if name == "heavy":
        assert {1, 3} <= set(done["order_type"].tolist()), "no stop was hit"


@pytest.mark.parametrize("name", ["light", "heavy"])
def test_every_byte_is_what_it_was(load, name):
    engine, tape = played(load, name)
    assert tape_digest(tape) == TAPE[name]
    assert engine.digest() == STATE[name]


if __name__ == "__main__":
    from adapters.strategies.load import load_strategy

    for name in TAPE:
        engine, tape = played(load_strategy, name)
        print(name, len(of(tape, Kind.ORDER_FILLED)), tape_digest(tape), engine.digest())
