"""The strategies that come with Onetape in small markets in which every decision is known: bar, side, size and price."""

import math

import numpy as np
import pytest

from api.library import PARTS_OF_DOC, strategy_docs
from kernel.codes import Kind
from kernel.units import SCALE
from tests.kernel.play import MINUTE, TICK, bar, check_books, flat, make_engine, of, run_bars, split

DAY = 1440  # minutes


def traded(load, spec, rows, instruments=1, **settings):
    """(minute, instrument, signed quantity, price) of every fill; nothing was denied, no strategy failed."""
    one = load(spec)
    engine = make_engine(
        [(one.program, one.params)], instruments=[(k, TICK, 1) for k in range(instruments)], **settings
    )
    tape = run_bars(engine, rows)
    check_books(engine)
    assert engine.account.faults == engine.account.denied == 0
    done = of(tape, int(Kind.ORDER_FILLED))
    return [
        (int(e["ts_event"]) // MINUTE, int(e["instrument"]), int(e["side"] * e["qty"]), int(e["px"]) / SCALE)
        for e in done
    ], engine


def closes(prices, start=1):
    return [flat(t, px) for t, px in enumerate(prices, start)]


def together(*series):
    """A slice for each place of the series, one series an instrument."""
    last = len(series) - 1
    return [
        flat(t, px, k, end=k == last) for t, row in enumerate(zip(*series, strict=True), 1) for k, px in enumerate(row)
    ]


@pytest.mark.parametrize("name", strategy_docs())
def test_each_says_idea_source_parameters_and_when_it_fails(load, name):
    said = strategy_docs()[name]
    assert all(len(said[part]) > 30 for part in ("Idea", *PARTS_OF_DOC))
    params = load(name).definition.params
    assert params
    for param in params.values():
        assert param.doc and param.low is not None and param.high is not None


TURTLE = "donchian_breakout,entry=3,leave=2,period=2,risk=0.00101"
QUIET = [bar(t, 100, 101, 99, 100) for t in range(1, 5)]  # an ATR of 2
BREAK = [bar(5, 100, 103, 100, 102.5), bar(6, 103, 105, 102.5, 104.5), bar(7, 104, 104.5, 103, 103.5)]


@pytest.mark.parametrize(
    ("rows", "last"),
    [
        ([bar(8, 103, 103, 98, 98.5)], (8, 0, -808, 99.0)),  # the stop, 2 ATR of 2.5 below the last fill
        ([bar(8, 103, 103, 100, 101), flat(9, 101.5)], (9, 0, -808, 101.5)),  # a close below the low of 2 bars
    ],
)
def test_donchian_breakout(load, rows, last):
    """An ATR of 2.5 on both bars, so that 0.101 % of a million is 404 shares; half of it, 1.25, adds a unit."""
    done, engine = traded(load, TURTLE, [*QUIET, *BREAK, *rows, flat(10, 101.5)])
    assert done == [(6, 0, 404, 103.0), (7, 0, 404, 104.0), last]
    assert engine.account.open_orders == 0


def test_donchian_breakout_has_its_limits(load):
    rows = [*QUIET, *BREAK, flat(8, 103.5)]
    assert traded(load, f"{TURTLE},units=1", rows)[0] == [(6, 0, 404, 103.0)]
    assert traded(load, f"{TURTLE},units=1,most=0.01", rows)[0] == [(6, 0, int(10_000 / 102.5), 103.0)]
    assert traded(load, f"{TURTLE},units=1", rows, cash=10_000)[0] == [(6, 0, 4, 103.0)]


def test_donchian_breakout_over_a_split(load):
    """Two new shares for one before bar 7: the same decisions in twice as many shares at half the prices."""
    halves = [bar(7, 52, 52.25, 51.5, 51.75), bar(8, 51.5, 51.5, 49, 49.25)]
    done, _ = traded(load, TURTLE, [*QUIET, *BREAK[:2], split(7, 2, 1), *halves])
    assert [(t, qty) for t, _, qty, _ in done[:1]] == [(6, 404)]
    assert done[1][0] == 7 and done[1][3] == 52.0 and done[2] == (8, 0, -808 - done[1][2], 49.5)


def test_rsi_mean_reversion(load):
    """RSI 44 after 119 and 31 after 117, with a mean of 8 bars of 115; 121 is the first above the mean of 3."""
    rows = closes([100, 104, 108, 112, 116, 120, 124, 119, 117, 118, 121, 122, 122])
    done, _ = traded(load, "rsi_mean_reversion,trend=8,recovery=3,oversold=40", rows)
    assert done == [(10, 0, int(100_000 / 117), 118.0), (12, 0, -int(100_000 / 117), 122.0)]
    assert traded(load, "rsi_mean_reversion,trend=8,recovery=3,oversold=30", rows)[0] == []
    falling = closes([140, 132, 124, 116, 108, 100, 101, 96, 95, 94, 97, 98])
    assert traded(load, "rsi_mean_reversion,trend=8,recovery=3,oversold=40", falling)[0] == []


@pytest.mark.parametrize(
    ("rows", "last"),
    [
        ([flat(8, 99), flat(9, 99.5)], (9, 99.5)),  # above the middle
        ([bar(8, 96, 96, 90, 91), flat(9, 88)], (8, 92.7)),  # 97 less 1.5 times the half band of 2.861
    ],
)
def test_bollinger_reversion(load, rows, last):
    """94 is below 98 - sqrt(8); 97 is back above 97.75 - sqrt(8.1875)."""
    rows = [*closes([102, 98, 102, 98, 94, 97, 96]), *rows, flat(10, 80)]
    done, engine = traded(load, "bollinger_reversion,period=4,multiple=1", rows)
    assert done == [(7, 0, 1030, 96.0), (last[0], 0, -1030, last[1])]
    assert engine.account.open_orders == 0


def test_supertrend(load):
    """The fall to 95 turns it (ATR 4.5, the band 2.25 above 95 a bar later), 104 turns it back, 90 again."""
    rows = closes([100, 101, 102, 103, 95, 95, 104, 105, 90, 91, 92])
    shares = int(100_000 / 104)
    done, _ = traded(load, "supertrend,period=2,multiple=1", rows)
    assert done == [(8, 0, shares, 105.0), (10, 0, -shares, 91.0)]
    done, _ = traded(load, "supertrend,period=2,multiple=1,short=1", rows)
    assert [(t, math.copysign(1, qty)) for t, _, qty, _ in done] == [(6, -1), (8, 1), (10, -1)]


RANGE = [bar(1, 100, 101, 99, 100), bar(2, 100, 101, 99.5, 100.5), bar(3, 100, 100.5, 99, 100), flat(4, 100.5)]
ORB = "opening_range_breakout,minutes=3,hold=10"


def test_opening_range_breakout(load):
    """Long above 101, stopped at 99; then short, once; closed after the minute the holding time is over."""
    rows = [flat(5, 102), bar(6, 102.5, 102.5, 102, 102), bar(7, 102, 102, 98, 98.5), flat(8, 98), flat(9, 98.2)]
    rows += [flat(10, 98), flat(11, 97.5), flat(12, 90), flat(13, 110)]
    done, engine = traded(load, ORB, [*RANGE, *rows])
    short = int(0.1 * (1_000_000 - 980 * 3.5) / 98.5)
    assert done == [(6, 0, 980, 102.5), (7, 0, -980, 99.0), (8, 0, -short, 98.0), (11, 0, short, 97.5)]
    assert engine.account.open_orders == 0
    assert len(traded(load, f"{ORB},short=0", [*RANGE, *rows])[0]) == 2
    assert traded(load, f"{ORB},risk=0.00031", [*RANGE, *rows])[0][0][2] == 103, "310 over a distance of 3"


def test_opening_range_breakout_on_the_next_day(load):
    """A position that found no bar in time is closed by the first of the next day, which has a range of its own."""
    later = [bar(DAY + t, 200, 201, 199, 200) for t in (1, 2, 3)]
    rows = [*RANGE, flat(5, 102), flat(6, 102), *later, flat(DAY + 4, 202), flat(DAY + 5, 203)]
    done, _ = traded(load, ORB, rows)
    assert [(t, px) for t, _, _, px in done] == [(6, 102.0), (DAY + 2, 200.0), (DAY + 5, 203.0)]
    assert done[0][2] == 980 == -done[1][2]


VWAP = "vwap_reversion,multiple=1,settle=4,hold=20"


@pytest.mark.parametrize(("flip", "side"), [(0, 1), (200, -1)])
def test_vwap_reversion(load, flip, side):
    """97 is outside (mean 100.2, deviation 1.83), 99.5 is back, 101 is beyond the mean; the same upside down."""
    prices = [100, 102, 100, 102, 97, 99.5, 99.5, 101, 101]
    done, engine = traded(load, VWAP, closes([abs(flip - px) for px in prices]))
    shares = side * int(100_000 / abs(flip - 99.5))
    assert [(t, qty) for t, _, qty, _ in done] == [(7, shares), (9, -shares)]
    assert engine.account.open_orders == 0
    assert not traded(load, VWAP + ",settle=7", closes(prices))[0]
    assert bool(traded(load, VWAP + ",short=0", closes([abs(flip - px) for px in prices]))[0]) == (side == 1)


def test_vwap_reversion_stops_and_ends(load):
    before = [100, 102, 100, 102, 97, 99.5]
    mean, deviation = np.mean(before), np.std(before)
    stop = round((mean - 2 * deviation) / 0.05) * 0.05
    done, _ = traded(load, VWAP, [*closes([*before, 99.5]), bar(8, 99, 99, 94, 95), flat(9, 95)])
    assert done[1][0] == 8 and done[1][3] == pytest.approx(stop)
    done, _ = traded(load, VWAP.replace("20", "9"), closes([*before, 99.5, 99, 99, 98.5, 98.5]))
    assert [(t, px) for t, _, _, px in done] == [(7, 99.5), (10, 98.5)], "the session's nine minutes are over"
    silent = [flat(t, px, volume=0) for t, px in enumerate([*before, 99.5, 101, 101], 1)]
    assert traded(load, VWAP, silent)[0] == []


PAIRS = "pairs_zscore,period=10,share=0.5,enter=3,leave=0.5,stop=50"


def pair(*ends):
    """Ten slices of a pair around log y = log x + log 2, in step but for small residuals, then y / x at `ends`."""
    x = [100 + 5 * math.sin(k) for k in range(10)]
    ratios = [2 + 0.004 * (-1) ** (k // 2) for k in range(10)]
    xs, ratios = [*x, *[100.0] * len(ends)], [*ratios, *ends]
    return [[round(px * 20) / 20 for px in series] for series in (np.multiply(xs, ratios), xs)]


def test_pairs_zscore(load):
    """The hedge is the slope of a plain regression of the first ten; both legs close when the ratio is back."""
    y, x = pair(2.02, 2.02, 2.0, 2.0)
    slope = np.polyfit(np.log(x[:10]), np.log(y[:10]), 1)[0]
    part = 0.5 * 1_000_000 / (1 + slope)
    done, _ = traded(load, PAIRS, together(y, x), 2)
    assert [(t, k) for t, k, _, _ in done] == [(12, 0), (12, 1), (14, 0), (14, 1)]
    assert [qty for _, _, qty, _ in done[:2]] == [-int(part / y[10]), int(part * slope / x[10])]
    assert [qty for _, _, qty, _ in done[2:]] == [-qty for _, _, qty, _ in done[:2]]
    other, _ = traded(load, PAIRS + ",first=1,second=0", together(x, y), 2)
    assert [qty for _, _, qty, _ in other] == [done[1][2], done[0][2], done[3][2], done[2][2]]


def test_pairs_zscore_gives_up_and_waits(load):
    """At 2.2 it is beyond the stop: both are closed, and nothing is entered until the two have met again."""
    y, x = pair(2.02, 2.02, 2.2, 2.2, 2.2, 2.2)
    done, engine = traded(load, PAIRS.replace("stop=50", "stop=9"), together(y, x), 2)
    assert [(t, k) for t, k, _, _ in done] == [(12, 0), (12, 1), (14, 0), (14, 1)]
    assert not engine.state.positions["qty"].any()


def test_pairs_zscore_does_not_keep_one_leg(load):
    """Without short sales the dear leg is denied; the other one goes again."""
    one = load(PAIRS)
    engine = make_engine(
        [(one.program, one.params)], instruments=[(0, TICK, 1), (1, TICK, 1)], limits={"allow_short": 0}
    )
    run_bars(engine, together(*pair(2.02, 2.02, 2.02, 2.02, 2.02)))
    assert engine.account.denied == 1 and not engine.state.positions["qty"].any()
    assert traded(load, PAIRS, closes(range(100, 120)))[0] == [], "one instrument is no pair"


def test_cross_sectional_momentum(load):
    """The choice of slice 6 is bought by slice 7 and there in 8; that of slice 11 sells what fell behind first."""
    fast = [100, 102, 104, 106, 108, 110, 112, 112, 112, 112, 112, 112, 112, 112, 112]
    late = [100, 100, 100, 100, 100, 100, 100, 104, 110, 116, 120, 124, 124, 124, 124]
    slow = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114]
    down = [100, 99, 98, 97, 96, 95, 94, 93, 92, 91, 90, 89, 88, 87, 86]
    spec = "cross_sectional_momentum,lookback=4,skip=1,keep=2,every=5,invested=0.8"
    done, _ = traded(load, spec, together(fast, late, slow, down), 4)
    shares = {0: int(400_000 / 112), 2: int(400_000 / 106)}
    assert done[:2] == [(8, 0, shares[0], 112.0), (8, 2, shares[2], 107.0)]
    assert done[2] == (12, 0, -shares[0], 112.0)
    assert [(t, k, qty > 0) for t, k, qty, _ in done[3:]] == [(13, 1, True), (13, 2, False)]
    worst, _ = traded(load, spec, together(down, down[::-1]), 2)
    assert {k for _, k, _, _ in worst} == {1}, "what fell is not held, even among the best two"


def test_volatility_target(load):
    """Five returns of 1 % up and down; twice as wild, it holds about half; within the buffer it does nothing."""
    calm = [100, 101, 100, 101, 100, 101, 100, 101]
    wild = [99, 101, 99, 101, 99, 101]
    returns = np.diff(np.log([*calm, *wild]))
    volatility = [np.std(returns[k - 6 : k - 1], ddof=1) * 252**0.5 for k in range(7, 16)]
    spec = "volatility_target,period=5,goal=0.1"
    done, _ = traded(load, spec + ",buffer=0.3", closes([*calm, *wild]))
    assert done[0] == (7, 0, int(0.1 / np.std(returns[:5], ddof=1) / 252**0.5 * 100_000 / 101), 100.0)
    assert len(done) > 1 and done[1][2] < 0 and volatility
    held = sum(qty for _, _, qty, _ in done)
    aim = 0.1 / (np.std(returns[-5:], ddof=1) * 252**0.5) * 100_000 / 101
    assert 0.7 * aim < held < 1.3 * aim
    assert traded(load, spec + ",goal=1,most=1.5", closes(calm))[0][0][2] == int(150_000 / 101)
