"""Indicators against published tables and straightforward loops; seeding as in TA-Lib."""

import math

import numpy as np
import pytest

from kernel.indicators.base import numbers_of
from kernel.units import SCALE
from onetape import Atr, Ema, Rsi, Sma
from tests.kernel.play import bar, flat, make_engine, market, run_bars, split

ALL = """
@strategy
class All:
    n = Param(10, low=1, high=60)
    ema = Ema(n)
    sma = Sma(n)
    rsi = Rsi(14)
    atr = Atr(5)
    fast = Ema(4)
    slow = Sma(6, source=HLC3)
    signal = Ema(3, of=slow)
    signal_sma = Sma(2, of=signal)
    opens = Sma(1, source=OPEN)
    highs = Sma(1, source=HIGH)
    lows = Sma(1, source=LOW)
    closes = Sma(1, source=CLOSE)
    volumes = Sma(1, source=VOLUME)
    middles = Sma(1, source=HL2)
    typicals = Sma(1, source=HLC3)
    averages = Sma(1, source=OHLC4)
    ready_at = Int()

    def on_bar(self, bar, ctx):
        if self.ready_at == 0:
            self.ready_at = self.bars_seen
        return HOLD
"""


@pytest.fixture(scope="module")
def every(load, tmp_path_factory):
    path = tmp_path_factory.mktemp("indicators") / "all.py"
    path.write_text("from onetape import *\n" + ALL)
    return load(f"{path}:All")


def series(every, stream, *names, **params):
    """Values of the named indicators after each bar, and the memory at the end."""
    instruments = tuple((k, 1, 1) for k in range(1 + max(int(e["instrument"]) for e in stream)))
    engine = make_engine([(every.program, {**every.params, **params})], instruments=instruments)
    memory = engine.memory_of(1)[0]
    out = {name: [] for name in names}
    for e in stream:
        run_bars(engine, [e])
        for name in names:
            out[name].append(float(memory[name]["value"]))
    return out, engine.memory_of(1)


def closes_of(prices):
    return [flat(t, px) for t, px in enumerate(prices, 1)]


# StockCharts ChartSchool, "Moving Averages": Intel, 10-day SMA and EMA, to the cent.
INTC = [
    22.27, 22.19, 22.08, 22.17, 22.18, 22.13, 22.23, 22.43, 22.24, 22.29, 22.15, 22.39, 22.38, 22.61, 23.36,
    24.05, 23.75, 23.83, 23.95, 23.63, 23.82, 23.87, 23.65, 23.19, 23.10, 23.33, 22.68, 23.10, 22.40, 22.17,
]  # fmt: skip
INTC_SMA = [
    22.22, 22.21, 22.23, 22.26, 22.31, 22.42, 22.61, 22.77, 22.91, 23.08, 23.21, 23.38, 23.53, 23.65, 23.71,
    23.69, 23.61, 23.51, 23.43, 23.28, 23.13,
]  # fmt: skip
INTC_EMA = [
    22.22, 22.21, 22.24, 22.27, 22.33, 22.52, 22.80, 22.97, 23.13, 23.28, 23.34, 23.43, 23.51, 23.54, 23.47,
    23.40, 23.39, 23.26, 23.23, 23.08, 22.92,
]  # fmt: skip
# StockCharts ChartSchool, "Relative Strength Index": QQQQ, 14 days.
QQQQ = [
    44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931, 46.0328,
    45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521, 45.7137, 46.4515,
    45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314,
]  # fmt: skip
QQQQ_RSI = [
    70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46, 41.87,
    45.46, 37.30, 33.08, 37.77,
]  # fmt: skip


def test_published_moving_averages(every):
    out, _ = series(every, closes_of(INTC), "sma", "ema")
    for name, table in (("sma", INTC_SMA), ("ema", INTC_EMA)):
        assert all(math.isnan(v) for v in out[name][:9])
        assert out[name][9:] == pytest.approx(table, abs=0.0101)  # its prices are rounded to the cent


def test_published_rsi(every):
    out, _ = series(every, closes_of(QQQQ), "rsi")
    assert all(math.isnan(v) for v in out["rsi"][:14])
    assert out["rsi"][14:] == pytest.approx(QQQQ_RSI, abs=0.011)


def test_true_range_by_hand(every):
    """(high, low, close): the range starts with the second bar, gaps count, and five of them make the seed."""
    rows = [(10, 8, 9), (11, 9, 10), (15, 14, 14), (13, 12, 13), (13, 12, 12.5), (9, 8, 8.5), (9, 8.5, 9), (20, 9, 20)]
    ranges = [2, 5, 2, 1, 4.5, 0.5, 11]
    out, _ = series(every, [bar(t, low, h, low, c) for t, (h, low, c) in enumerate(rows, 1)], "atr")
    seed = sum(ranges[:5]) / 5
    sixth = (seed * 4 + ranges[5]) / 5
    assert all(math.isnan(v) for v in out["atr"][:5])
    assert out["atr"][5:] == pytest.approx([seed, sixth, (sixth * 4 + 11) / 5], abs=1e-12)


def sma(x, n):
    return [math.fsum(x[i - n + 1 : i + 1]) / n if i >= n - 1 else math.nan for i in range(len(x))]


def ema(x, n):
    out, live = [], [v for v in x if v == v]
    for i, v in enumerate(live):
        seed = i == n - 1
        out.append(math.nan if i < n - 1 else sum(live[:n]) / n if seed else out[-1] + (v - out[-1]) * 2 / (n + 1))
    return [math.nan] * (len(x) - len(live)) + out


def test_against_plain_loops_on_a_long_walk(every):
    stream = market(21, 400, instruments=1)
    out, memory = series(every, stream, "ema", "sma", "rsi", "atr", "fast", "slow", "signal", "signal_sma", n=25)
    _o, h, low, c = (stream[k] / SCALE for k in ("open", "high", "low", "close"))
    near = {"rel": 1e-12, "abs": 0, "nan_ok": True}
    assert out["sma"] == pytest.approx(sma(c, 25), **near)
    assert out["ema"] == pytest.approx(ema(c, 25), **near)
    assert out["fast"] == pytest.approx(ema(c, 4), **near)
    assert out["slow"] == pytest.approx(sma((h + low + c) / 3, 6), **near)
    chained = ema(out["slow"], 3)
    assert out["signal"] == pytest.approx(chained, **near)
    assert out["signal_sma"][8:] == pytest.approx(sma(chained[7:], 2)[1:], **near)
    assert all(math.isnan(v) for v in out["signal_sma"][:8])
    up, down = np.diff(c).clip(0), -np.diff(c).clip(None, 0)
    a, b, expected = sum(up[:14]) / 14, sum(down[:14]) / 14, [math.nan] * 14
    expected.append(100 * a / (a + b))
    for k in range(14, len(up)):
        a, b = (a * 13 + up[k]) / 14, (b * 13 + down[k]) / 14
        expected.append(100 * a / (a + b))
    assert out["rsi"] == pytest.approx(expected, **{**near, "rel": 1e-10})
    assert memory[0]["ready_at"] == 25


def test_previous_is_the_value_before(every):
    stream = market(22, 60, instruments=1)
    engine = make_engine([(every.program, every.params)], instruments=((0, 1, 1),))
    memory, before = engine.memory_of(1)[0], math.nan
    for e in stream:
        run_bars(engine, [e])
        for name in ("ema",):
            assert memory[name]["previous"] == before or (math.isnan(before) and math.isnan(memory[name]["previous"]))
            before = float(memory[name]["value"])


def test_every_source(every):
    e = bar(1, 10, 14, 8, 12, volume=777)
    names = ("opens", "highs", "lows", "closes", "volumes", "middles", "typicals", "averages")
    out, _ = series(every, [e], *names)
    assert [out[name][0] for name in names] == [10, 14, 8, 12, 777, 11, 34 / 3, 11]


def test_memory_is_kept_for_each_instrument(every):
    """Interleaved bars leave in each record what the instrument's own bars alone would."""
    both = market(23, 90, instruments=2)
    _, memory = series(every, both, "ema")
    for k in (0, 1):
        alone = both[both["instrument"] == k].copy()
        alone["instrument"] = 0
        alone["flags"] = 1
        _, own = series(every, alone, "ema")
        assert own[0].tobytes() == memory[k].tobytes()


def test_splits_do_not_jump(every):
    """2:1 at constant value: forward-adjusted prices stay, volume is halved."""
    stream = [flat(t, 100) for t in range(1, 20)] + [split(19.5, 2, 1)] + [flat(t, 50) for t in range(20, 40)]
    out, _ = series(every, stream, "ema", "sma", "rsi", "closes", "volumes")
    assert set(out["closes"]) == {100.0}
    assert set(out["ema"][9:]) == set(out["sma"][9:]) == {100.0}
    assert set(out["rsi"][14:]) == {50.0}, "nothing moved"
    assert out["volumes"][18:21] == [1_000.0, 1_000.0, 500.0]


def test_the_slowest_indicator_is_waited_for(every):
    for n, ready in ((5, 15), (15, 15), (16, 16), (40, 40)):
        _, memory = series(every, market(24, 50, instruments=1, gaps=0), "ema", n=n)
        assert memory[0]["ready_at"] == memory[0]["bars_needed"] == ready


@pytest.mark.parametrize("period", [0, -1, 100_001])
def test_a_period_has_bounds(period):
    with pytest.raises(ValueError, match=r"a period is between 1 and 100,000, this one may be"):
        Sma(period).dtype()


def test_a_source_is_one_of_the_names():
    with pytest.raises(ValueError, match="source is one of OPEN"):
        Ema(3, source="bar.px")


@pytest.mark.parametrize(("kind", "bars"), [(Ema, 9), (Sma, 9), (Rsi, 10), (Atr, 10)])
def test_bars_to_the_first_value(kind, bars):
    assert kind(9).warm_up(numbers_of(period=9)) == bars
