"""Several bar sizes in one strategy: bars of a longer time, complete before they are seen, and indicators on them."""

import math

import numpy as np
import pytest

from adapters.strategies.load import check_strategy
from kernel.errors import StrategyError
from tests.kernel.play import bar, make_engine, run_bars, tape_digest

TWO = '''
@strategy
class Two:
    """Fifteen minutes and its average, beside the minutes of the run; keeps what it saw on every bar."""

    m15: Bars = minutes(15)
    day: Bars = daily()
    slow = Ema(3).on(m15)
    range15 = Atr(2).on(m15)
    smooth = Sma(2, of=slow)
    quick = Ema(5)
    seen = Float()
    closes = Float()
    fresh = Int()
    calls = Int()

    def on_bar(self, bar, ctx):
        self.calls += 1
        self.seen, self.closes = self.slow.value, self.m15.close
        if self.m15.fresh:
            self.fresh += 1
            return target(ctx, 10 if self.quick.value > self.slow.value else 0)
        return HOLD
'''


def minutes_of(seed: int, gaps: float, days: int = 2, first: int = 555, count: int = 200):
    """(minute of the run, open, high, low, close) with holes; a day is 1,440 minutes."""
    rng, px, rows = np.random.default_rng(seed), 100.0, []
    for day in range(days):
        for k in range(count):
            o, px = px, max(50.0, px + rng.normal(0, 0.4))
            high, low = max(o, px) + rng.random() * 0.3, min(o, px) - rng.random() * 0.3
            if rng.random() >= gaps:
                rows.append((day * 1440 + first + k, *(round(v / 0.05) * 0.05 for v in (o, high, low, px))))
    return rows


def as_bars(rows):
    """A bar of minute t is available at t + 1."""
    return [bar(t + 1, *prices, volume=10) for t, *prices in rows]


def longer(rows, size: int):
    """[(minute of the run at whose bar it is seen, open, high, low, close, bars)] by the words of the docstring."""
    found, under, ends, day, anchor, seen_now = [], [], 0, None, 0, None
    for t, *prices in rows:
        seen_now = None
        if under and (t >= ends or t // 1440 != day):
            seen_now = under
        if seen_now:
            found.append((t, under))
            under = []
        if not under:
            if t // 1440 != day:
                day, anchor = t // 1440, t
            ends = anchor + ((t - anchor) // size + 1) * size
        under.append(prices)
        if t + 1 >= ends and seen_now is None:
            found.append((t, under))
            under = []
    return [
        (t, bars[0][0], max(b[1] for b in bars), min(b[2] for b in bars), bars[-1][3], len(bars)) for t, bars in found
    ]


@pytest.mark.parametrize("gaps", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_they_are_what_minutes_made(load, strategy_file, seed, gaps):
    one = load(str(strategy_file(TWO)))
    engine, rows = make_engine([(one.program, one.params)]), minutes_of(seed, gaps)
    wanted, k, fresh = longer(rows, 15), 0, 0
    for row, event in zip(rows, as_bars(rows), strict=True):
        run_bars(engine, [event])
        m15 = engine.memory_of(1)[0]["m15"]
        if k < len(wanted) and wanted[k][0] == row[0]:
            got = [float(m15[name]) for name in ("open", "high", "low", "close")]
            assert (
                np.allclose(got, wanted[k][1:5], atol=1e-9) and m15["volume"] == 10 * wanted[k][5] and m15["fresh"] == 1
            )
            assert m15["value"] == m15["close"]
            k, fresh = k + 1, fresh + 1
        else:
            assert m15["fresh"] == 0
    assert k == len(wanted) > 5


def test_indicators_on_them_and_the_warm_up(load, strategy_file):
    """The average is that of the closes of complete bars; no call before the slowest of them is warm."""
    one = load(str(strategy_file(TWO)))
    engine, rows = make_engine([(one.program, one.params)]), minutes_of(4, 0.1)
    wanted, average, sums, called = longer(rows, 15), math.nan, [], 0
    for row, event in zip(rows, as_bars(rows), strict=True):
        if wanted and wanted[0][0] == row[0]:
            close = wanted.pop(0)[4]
            sums.append(close)
            if len(sums) == 3:
                average = sum(sums) / 3
            elif len(sums) > 3:
                average += 0.5 * (close - average)
        run_bars(engine, [event])
        memory = engine.memory_of(1)[0]
        if len(sums) >= 3:
            assert math.isclose(memory["slow"]["value"], average, rel_tol=1e-12)
        warm = len(sums) >= 4 and memory["day"]["count"] >= 1  # Sma(2) of Ema(3); Atr(2) takes three
        assert (memory["calls"] > 0) == warm
        called += memory["calls"] > 0
        if warm:
            assert memory["seen"] == memory["slow"]["value"] and memory["closes"] == memory["m15"]["close"]
    assert called > 50


def test_what_comes_later_changes_nothing_before(load, strategy_file):
    """The same minutes with another future: memory after each of them is the same, so none is seen before it is over."""
    one, rows = load(str(strategy_file(TWO))), minutes_of(5, 0.2)
    other = [(t, *(px + 7.0 for px in prices)) if t > rows[150][0] else (t, *prices) for t, *prices in rows]
    engines = [make_engine([(one.program, one.params)]) for _ in range(2)]
    for a, b in zip(as_bars(rows[:151]), as_bars(other[:151]), strict=True):
        tapes = [tape_digest(run_bars(engine, [event])) for engine, event in zip(engines, (a, b), strict=True)]
        assert tapes[0] == tapes[1]
    assert engines[0].memory_of(1).tobytes() == engines[1].memory_of(1).tobytes()


SIZES = '''
@strategy
class Sizes:
    """Keeps sizes by every rule."""

    value = Float()
    percent = Float()
    risk = Float()
    volatility = Float()
    kelly = Float()
    none = Float()

    def on_bar(self, bar, ctx):
        self.value, self.percent = float(qty_of_value(ctx, 5_000.0)), float(qty_of_percent(ctx, 0.25))
        self.risk = float(qty_of_risk(ctx, 0.01, 2.5))
        self.volatility = float(qty_of_volatility(ctx, 0.15, 0.30))
        self.kelly = kelly_fraction(0.55, 1.5)
        self.none = kelly_fraction(0.3, 1.0) + qty_of_risk(ctx, 0.01, 0.0) + qty_of_volatility(ctx, 0.1, bar.close * 0.0)
        return HOLD
'''


def test_sizes(load, strategy_file):
    one = load(str(strategy_file(SIZES)))
    engine = make_engine([(one.program, one.params)], instruments=[(0, 500, 7)])
    run_bars(engine, [bar(1, 99.0, 101.0, 98.0, 100.05)])
    m = engine.memory_of(1)[0]
    assert (m["value"], m["percent"]) == (int(5_000 / 100.05) // 7 * 7, int(250_000 / 100.05) // 7 * 7)
    assert m["risk"] == 10_000 / 2.5 // 7 * 7 and m["volatility"] == int(500_000 / 100.05) // 7 * 7
    assert math.isclose(m["kelly"], 0.55 - 0.45 / 1.5) and m["none"] == 0


def test_a_risk_in_adjusted_prices_is_one_in_shares(load, strategy_file):
    """After a split 2 for 1, prices as the strategy sees them are twice those traded: 5 of them are 2.5 a share."""
    from tests.kernel.play import split

    one = load(str(strategy_file(SIZES.replace("ctx, 0.01, 2.5", "ctx, 0.01, 5.0"))))
    engine = make_engine([(one.program, one.params)], instruments=[(0, 500, 1)])
    run_bars(engine, [bar(1, 100.0, 100.0, 100.0, 100.0), split(2, 2, 1), bar(3, 50.0, 50.0, 50.0, 50.0)])
    assert engine.memory_of(1)[0]["risk"] == 10_000 / 2.5


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("slow = Ema(3).on(minutes(15))", "the bars of slow must be declared above it"),
        ("m15 = minutes(15)\n    vwap = Vwap().on(m15)", "goes by the trading day of the run's own bars"),
        ("m15 = minutes(-1)", "minutes is"),
        ("m15 = minutes(15)\n    x = Ema(3, of=m15.clos)", "did you mean close"),
    ],
)
def test_what_cannot_be(strategy_file, line, says):
    text = (
        f'@strategy\nclass Mine:\n    """M."""\n\n    {line}\n\n    def on_bar(self, bar, ctx):\n        return HOLD\n'
    )
    with pytest.raises(StrategyError, match=says):
        check = check_strategy(str(strategy_file(text)))
        from kernel.strategy import write_memory

        write_memory(check.definition, check.params, np.zeros(1, check.definition.dtype))
