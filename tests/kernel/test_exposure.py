"""What a strategy's positions come to is kept between two moves of a mark: at every prefix it is what it is made anew."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernel.codes import InstrumentClass, Kind
from kernel.engine import Engine
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.play import TICK, day_end, event, market, order, run_bars, script, split, worth
from tests.kernel.test_currencies import paid, rate
from tests.kernel.test_terms import terms

CHOSEN = [
    Terms(0, TICK, 1, calendar=1),
    Terms(1, TICK, 1, currency=1, calendar=1, num=3, den=7),
    Terms(2, TICK, 1, calendar=1, asset=int(InstrumentClass.FUTURE), margin=SHARE // 5),
]
STRATEGIES = 2


def anew(engine: Engine, strategy: int) -> tuple[int, int]:
    """(gross, net) of a strategy's positions in plain integers."""
    s, gross, net = engine.state, 0, 0
    for row, m, p in zip(s.instruments, s.markets, s.positions.reshape(-1, len(CHOSEN))[strategy], strict=True):
        money = worth(row, p["qty"], m["mark"])
        value = worth({"num": int(s.purses["rate"][row["currency"]]), "den": SHARE}, money, 1)
        gross, net = gross + abs(value), net + value
    return gross, net


def check(engine: Engine) -> int:
    """Whatever counts as up to date is; how many do."""
    weights, fresh = engine.state.weights, 0
    for strategy in range(1, STRATEGIES + 1):
        if weights["marks"][strategy] == weights["marks"][0]:
            fresh += 1
            assert (weights["gross"][strategy], weights["net"][strategy]) == anew(engine, strategy)
    return fresh


def inputs_of(rng: np.random.Generator) -> list:
    """Bars of all, and between their slices what moves positions, marks and rates otherwise."""
    found = [rate(0, 1, 80), paid(0, 1, 10_000_000)]
    for e in market(int(rng.integers(2**31)), 24, len(CHOSEN)):
        found.append(e)
        if e["flags"]:
            t, which, n = e["ts_init"] / (60 * 10**9), int(rng.integers(8)), int(rng.integers(len(CHOSEN)))
            other = {
                0: split(t, int(rng.integers(1, 5)), int(rng.integers(1, 4)), n),
                1: rate(t, 1, float(rng.integers(60, 100))),
                2: terms(t, n, lot=int(rng.integers(1, 3))),
                3: day_end(t),
                4: event(Kind.DIVIDEND, t, n, amount=5_000),
            }.get(which)
            found += [] if other is None else [other]
    return found


@given(st.integers(0, 2**31 - 1))
def test_what_is_kept_is_what_it_is_made_anew(scripted, seed):
    """Two strategies go in and out, both ways; now and then an engine is put back to where it was, or another goes on."""
    rng = np.random.default_rng(seed)
    made = {
        "instruments": CHOSEN,
        "currencies": 2,
        "cash": 100_000_000,
        "limits": {"strategies": {str(n): {"max_gross": 10**16, "allow_short": 1} for n in range(1, STRATEGIES + 1)}},
    }
    engine, fresh = scripted(STRATEGIES, **made), 0
    for strategy in range(1, STRATEGIES + 1):
        for n in range(len(CHOSEN)):
            asked = [(k, order(int(rng.choice([1, -1])), 2 * int(rng.integers(1, 40)))) for k in range(1, 25)]
            script(engine, strategy, n, asked)
    before = engine.save()
    for e in inputs_of(rng):
        run_bars(engine, [e])
        fresh += check(engine)
        chance = rng.random()
        if chance < 0.1:
            before = engine.save()
        elif chance < 0.15:
            engine.load(before)
            check(engine)
        elif chance < 0.2:
            engine, other = scripted(STRATEGIES, **made), engine
            engine.load(other.save())
            check(engine)
    assert fresh > 0, "nothing was kept"
