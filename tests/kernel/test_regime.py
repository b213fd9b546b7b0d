"""Regimes: told by Wilder's averages, entered and left at different levels, the same by any way through the kernel."""

import math

import numpy as np
import pytest

from kernel.codes import Kind, Regime
from kernel.fold import Fold
from kernel.state import Capacity, Rules
from tests.kernel.play import MINUTE, bar, make_engine, of, run_bars, split, tape_digest, units

RULES = {
    "regime_period": 5, "regime_average": 20, "regime_trend": 2_500, "regime_range": 2_000, "regime_volatile": 180,
    "regime_calm": 140, "regime_turn": 500,
}  # fmt: skip
CHANGED = int(Kind.REGIME_CHANGED)
ASKS = '''
@strategy
class Asks:
    """Keeps what it is told."""

    regime = Int()
    direction = Int()

    def on_bar(self, bar, ctx):
        self.regime, self.direction = ctx.regime, ctx.direction
        return HOLD
'''


def story(seed: int) -> list[tuple[float, float, float, float]]:
    """A range, a rise, a wild stretch, a fall: open, high, low, close."""
    rng, px, rows = np.random.default_rng(seed), 100.0, []
    for drift, noise, count in ((0.0, 0.3, 60), (0.5, 0.2, 40), (0.0, 2.5, 25), (0.0, 0.3, 60), (-0.5, 0.2, 40)):
        for _ in range(count):
            o, px = px, max(20.0, px + drift + rng.normal(0, noise))
            wick = abs(rng.normal(0, noise)) + 0.05
            rows.append(tuple(round(v / 0.05) * 0.05 for v in (o, max(o, px) + wick, min(o, px) - wick, px)))
    return rows


def expected(rows, period=5, average=20, trend=25.0, flat=20.0, wild=1.8, calm=1.4, turn=5.0):
    """[(bar number, regime, direction)] of every change, in plain floats from the published formulas."""

    def smooth(values, n):
        out, mean = [], 0.0
        for k, x in enumerate(values, 1):
            mean = mean + x / n if k <= n else mean + (x - mean) / n
            out.append(mean)
        return out

    moves, shares, ranges, plus, minus = [], [], [], [], []
    for (_, h0, l0, c0), (_, h, low, c) in zip(rows, rows[1:], strict=False):
        up, down = h - h0, l0 - low
        ranges.append(max(h - low, abs(h - c0), abs(low - c0)))
        plus.append(up if up > down and up > 0 else 0.0)
        minus.append(down if down > up and down > 0 else 0.0)
        shares.append(ranges[-1] / c)
        moves.append(1)
    tr, p, m = smooth(ranges, period), smooth(plus, period), smooth(minus, period)
    short, long = smooth(shares, period), smooth(shares, average)
    dx = [100 * abs(a - b) / (a + b) if a + b > 0 else None for a, b in zip(p, m, strict=True)]
    found, regime, direction, adx, seen = [], Regime.UNKNOWN, 0, 0.0, 0
    for k in range(len(ranges)):
        if k + 1 >= period and dx[k] is not None:
            seen = k + 1 - period + 1
            adx = adx + dx[k] / period if seen <= period else adx + (dx[k] - adx) / period
        if k + 2 <= max(2 * period - 1, average):
            continue
        ratio, lead = short[k] / long[k], 100 * (p[k] - m[k]) / tr[k]
        if ratio >= (calm if regime == Regime.VOLATILE else wild):
            now = Regime.VOLATILE
        else:
            now = Regime.TREND if adx >= (flat if regime == Regime.TREND else trend) else Regime.RANGE
        way = 1 if lead > turn else -1 if lead < -turn else direction
        if (now, way) != (regime, direction):
            found.append((k + 1, int(now), way))
        regime, direction = now, way
    return found


def told(tape, instrument=0):
    rows = of(tape, CHANGED)
    return [
        (int(r["ts_event"]) // MINUTE - 1, int(r["regime"]), int(r["direction"]))
        for r in rows[rows["instrument"] == instrument]
    ]


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_it_is_the_published_formula(load, seed):
    engine, rows = make_engine([], **RULES), story(seed)
    tape = run_bars(engine, [bar(t, *row) for t, row in enumerate(rows, 1)])
    wanted = expected(rows)
    assert told(tape) == wanted
    assert {regime for _, regime, _ in wanted} == {1, 2, 3} and {way for *_, way in wanted} >= {1, -1}
    changed = of(tape, CHANGED)
    assert (changed["before"][1:] == changed["regime"][:-1]).all() and changed["before"][0] == 0


def test_levels_to_leave_are_not_those_to_enter(load):
    """With one level for both it flickers more."""
    bars = [bar(t, *row) for t, row in enumerate(story(1), 1)]
    held = told(run_bars(make_engine([], **RULES), bars))
    one_level = RULES | {"regime_range": 2_500, "regime_calm": 180, "regime_turn": 0}
    assert len(told(run_bars(make_engine([], **one_level), bars))) > len(held)


def test_strategies_know_it_in_the_same_slice(load, strategy_file):
    one = load(str(strategy_file(ASKS)))
    assert one.definition.reads_regime and not load("ema_cross").definition.reads_regime
    engine = make_engine([(one.program, one.params)], **RULES)
    rows, k = story(2), 0
    for t, row in enumerate(rows, 1):
        run_bars(engine, [bar(t, *row)])
        m, memory = engine.state.markets[0], engine.memory_of(1)[0]
        assert (memory["regime"], memory["direction"]) == (m["regime"], m["direction"])
        k += m["regime"] != 0
    assert k > 100


def test_a_split_is_no_move(load):
    rows = story(3)
    plain = told(run_bars(make_engine([], **RULES), [bar(t, *row) for t, row in enumerate(rows, 1)]))
    at = 90
    halved = [*(bar(t, *row) for t, row in enumerate(rows[:at], 1)), split(at, 2, 1)]
    halved += [bar(t, *(v / 2 for v in row)) for t, row in enumerate(rows[at:], at + 1)]
    assert told(run_bars(make_engine([], **RULES), halved))[: len(plain) // 2] == plain[: len(plain) // 2]


@pytest.mark.parametrize("batch", [16, 64])
def test_pieces_a_fold_and_a_rehearsal_come_to_the_same(load, strategy_file, batch):
    one = load(str(strategy_file(ASKS)))
    bars = [bar(t, *row, k, end=k == 1) for t, row in enumerate(story(5), 1) for k in range(2)]
    two = ((0, 500, 1), (1, 500, 1))
    whole, cut, again = (
        make_engine([(one.program, one.params)], instruments=two, batch=size, **RULES) for size in (4096, batch, 4096)
    )
    tape = run_bars(whole, bars)
    assert tape_digest(run_bars(cut, bars)) == tape_digest(tape) and told(tape, 0) == told(tape, 1) != []
    assert again.rehearse(tape) == 0 and again.digest() == whole.digest() == cut.digest()
    fold = Fold(Capacity(batch=4096), Rules(cash=units(1e6), equity_interval=0, **RULES), {}, two, 1, ())
    fold.add(tape)
    assert (fold.state.regimes == whole.state.regimes).all() and (
        fold.state.markets["regime"] == whole.state.markets["regime"]
    ).all()


def test_off_there_are_none(load):
    engine = make_engine([])
    assert not len(of(run_bars(engine, [bar(t, *row) for t, row in enumerate(story(1), 1)]), CHANGED))
    assert len(engine.state.regimes) == 1 and math.isclose(engine.state.regimes["adx"][0], 0.0)
