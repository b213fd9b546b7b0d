"""Every indicator bar by bar: against TA-Lib's values of real bars, warm-up included, and against the plain formulas."""

import math
import statistics
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

import onetape
from kernel.indicators import INDICATORS
from kernel.jit import COMPILED
from tests.golden.talib_values import VALUES, make, sample_bars, worst
from tests.kernel.streaming import names_of, numbers, plain_bars, stream, stream_compiled

GOLDEN = np.load(VALUES)
KINDS = sorted({key.rpartition(").")[0] + ")" for key in GOLDEN.files})
MOVED = {  # those TA-Lib has none of, and second sets of numbers
    *("Keltner(12, 30, 1.5)", "RealizedVolatility(20, 252.0)", "Ichimoku()", "Ichimoku(5, 9, 14, 3)", "ZigZag(5.0)"),
    *("Pivots()", "OpeningRange(3)", "Quantile(20, 0.9)", "Highest(1)", "Kama(5, 3, 20)", "Hma(9)"),
}


@pytest.fixture(scope="module")
def bars():
    return sample_bars()


@pytest.fixture(scope="module")
def plain(bars):
    return plain_bars(bars)


def first_of(values: np.ndarray) -> int:
    return int(np.flatnonzero(values == values)[0])


@pytest.mark.parametrize("text", KINDS)
def test_bar_by_bar_as_talib(text, bars, plain):
    indicator = make(text)
    ours = stream(indicator, plain)
    price = float(bars["close"].mean())
    compared = [name for name in names_of(indicator) if f"{text}.{name}" in GOLDEN]
    assert compared[0] == "value"
    for name in compared:
        theirs = GOLDEN[f"{text}.{name}"]
        assert worst(text, name, ours[name], theirs, price) < 1e-9, name
        warm = indicator.warm_up(SimpleNamespace(**numbers(indicator)), name)
        assert first_of(ours[name]) == first_of(theirs) == warm - 1, name


def test_none_is_left_out():
    tested = {text.partition("(")[0] for text in (*KINDS, *MOVED)}
    assert tested == {kind.__name__ for kind in INDICATORS} <= set(onetape.__all__)


# ---- the formulas, with exact sums, for what TA-Lib has none of, or less exactly ----


def windows(values, n):
    return [None if k < n - 1 else values[k - n + 1 : k + 1] for k in range(len(values))]


def each(found, values):
    """NaN where there is no window."""
    return [math.nan if w is None else found(w) for w in values]


def near(ours, expected, rel=1e-9, floor=1e-300):
    assert ours.tolist() == pytest.approx(expected, rel=rel, abs=floor, nan_ok=True)


def line(w):
    """(end, slope, r2) of the least-squares line, in exact fractions."""
    x, y, n = range(len(w)), [Fraction(v) for v in w], len(w)
    mx, my = Fraction(n - 1, 2), sum(y) / n
    xy, xx, yy = (
        sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)),
        sum((a - mx) ** 2 for a in x),
        sum((b - my) ** 2 for b in y),
    )
    slope = xy / xx
    return float(my + slope * (n - 1 - mx)), float(slope), float(xy * xy / (xx * yy))


def test_lines_bands_and_scores_are_exact(plain):
    closes = [b.close for b in plain]
    ours = stream(make("LinearRegression(14)"), plain)
    for place, name in enumerate(("value", "slope", "r2")):
        near(ours[name], each(lambda w, place=place: line(w)[place], windows(closes, 14)))
    bands = stream(make("Bollinger(20, 2.5)"), plain)
    spread = each(lambda w: statistics.pstdev(map(Fraction, w)), windows(closes, 20))
    mean = each(math.fsum, windows([c / 20 for c in closes], 20))
    near(bands["percent"], [(c - m + 2.5 * s) / (5 * s) for c, m, s in zip(closes, mean, spread, strict=True)])
    near(bands["width"], [5 * s / m for m, s in zip(mean, spread, strict=True)])
    near(
        stream(make("ZScore(20)"), plain)["value"],
        [(c - m) / s for c, m, s in zip(closes, mean, spread, strict=True)],
        floor=1e-9,
    )


def test_correlation_and_beta_are_exact(plain):
    closes, opens = [b.close for b in plain], [b.open for b in plain]
    pairs = windows(list(zip(closes, opens, strict=True)), 20)
    near(
        stream(make("Correlation(20, against=OPEN)"), plain)["value"],
        each(lambda w: statistics.correlation(*zip(*w, strict=True)), pairs),
    )
    returns = [[b / a - 1.0 for a, b in zip(x[:-1], x[1:], strict=True)] for x in (closes, opens)]
    slopes = each(
        lambda w: statistics.linear_regression(*zip(*w, strict=True)).slope,
        windows(list(zip(*returns[::-1], strict=True)), 12),
    )
    near(stream(make("Beta(12, against=OPEN)"), plain)["value"], [math.nan, *slopes], floor=1e-9)


def test_extremes_ages_and_quantiles(plain):
    highs, lows, closes = ([getattr(b, name) for b in plain] for name in ("high", "low", "close"))
    for n in (1, 2, 20):
        for kind, values, pick in (("Highest", highs, max), ("Lowest", lows, min)):
            ours = stream(make(f"{kind}({n})"), plain)
            near(ours["value"], each(pick, windows(values, n)), rel=0)
            near(ours["age"], each(lambda w, pick=pick: w[::-1].index(pick(w)), windows(values, n)), rel=0)
    for q in (0.0, 0.25, 0.9, 1.0):
        near(
            stream(make(f"Quantile(20, {q})"), plain)["value"],
            each(lambda w, q=q: float(np.quantile(w, q)), windows(closes, 20)),
            rel=1e-14,
        )
    assert set(stream(make("Quantile(5, 0.5)"), [b for b in plain for _ in range(5)])["value"][4::5]) == set(closes)


def test_realized_volatility(plain):
    closes = [b.close for b in plain]
    returns = [math.log(b / a) for a, b in zip(closes[:-1], closes[1:], strict=True)]
    expected = each(lambda w: statistics.stdev(w) * math.sqrt(252.0), windows(returns, 20))
    near(stream(make("RealizedVolatility(20, 252.0)"), plain)["value"], [math.nan, *expected])


def middle(plain, n):
    highs, lows = ([getattr(b, name) for b in plain] for name in ("high", "low"))
    return [
        math.nan if h is None else (max(h) + min(w)) / 2
        for h, w in zip(windows(highs, n), windows(lows, n), strict=True)
    ]


def test_ichimoku(plain):
    ours = stream(make("Ichimoku()"), plain)
    conversion, base, late = (middle(plain, n) for n in (9, 26, 52))
    first = [(a + b) / 2 for a, b in zip(conversion, base, strict=True)]
    for name, expected in (("value", conversion), ("base", base), ("lead_a", first), ("lead_b", late)):
        near(ours[name], expected, rel=1e-15)
    for name, expected in (("span_a", first), ("span_b", late)):
        near(ours[name], [*[math.nan] * 26, *expected][: len(plain)], rel=1e-15)


def test_donchian_knows_the_channel_before_the_bar(plain):
    ours = stream(make("Donchian(20)"), plain)
    for side in ("upper", "lower"):
        assert ours[f"previous_{side}"][20:].tolist() == ours[side][19:-1].tolist()
        assert (
            first_of(ours[f"previous_{side}"])
            == 20
            == make("Donchian(20)").warm_up(SimpleNamespace(period=20), f"previous_{side}") - 1
        )


def test_zigzag_legs(plain):
    """Pivots alternate, each the extreme of its leg and 5 % from the next, and are told only once they are proven."""
    ours = stream(make("ZigZag(5.0)"), plain)
    turns = [k for k in range(1, len(plain)) if ours["direction"][k] != ours["direction"][k - 1]]
    assert len(turns) > 20
    for k, following in zip(turns, turns[1:], strict=False):
        at, up = k - int(ours["age"][k]), ours["direction"][k] > 0
        leg = plain[at : following - int(ours["age"][following]) + 1]
        assert ours["value"][k] == (plain[at].low if up else plain[at].high)
        ends = max(b.high for b in leg) if up else min(b.low for b in leg)
        assert ours["value"][following] == ends
        assert ends / ours["value"][k] > 1.05 - 1e-9 or ends / ours["value"][k] < 0.95 + 1e-9
        reached = [b.high for b in plain[at + 1 : k + 1]] if up else [b.low for b in plain[at + 1 : k + 1]]
        assert ours["extreme"][k] == reached[-1]


def test_pivots_and_sessions(plain):
    ours, vwap = stream(make("Pivots()"), plain), stream(make("Vwap(1.5)"), plain)
    days = sorted({b.session for b in plain})
    for before, day in zip(days, days[1:], strict=False):
        past = [b for b in plain if b.session == before]
        h, low, c = max(b.high for b in past), min(b.low for b in past), past[-1].close
        p = (h + low + c) / 3
        expected = (p, 2 * p - low, 2 * p - h, p + h - low, p - h + low, h + 2 * (p - low), low - 2 * (h - p))
        for k in [k for k, b in enumerate(plain) if b.session == day]:
            assert [ours[name][k] for name in names_of(make("Pivots()"))] == pytest.approx(expected, rel=1e-14)
            so_far = [b for b in plain[: k + 1] if b.session == day]
            mean = vwap["value"][k]
            volume = math.fsum(b.volume for b in so_far)
            squares = math.fsum(b.volume * ((b.high + b.low + b.close) / 3 - mean) ** 2 for b in so_far)
            assert vwap["deviation"][k] == pytest.approx(math.sqrt(squares / volume), rel=1e-9, abs=1e-9)
            assert vwap["upper"][k] - mean == pytest.approx(1.5 * vwap["deviation"][k], rel=1e-9, abs=1e-9)
    assert np.isnan(ours["value"][: sum(b.session == days[0] for b in plain)]).all()


MINUTE = 60 * 10**9


def minute(k, low, high, session=1, opened=0):
    return SimpleNamespace(
        ts=(k + 1) * MINUTE, ts_open=k * MINUTE, session=session, session_open=opened * MINUTE,
        open=low, high=high, low=low, close=high, volume=1.0,
    )  # fmt: skip


def test_opening_range_of_the_first_bar_or_the_calendar():
    day = [minute(553 + k, 100.0 - k, 101.0 + k) for k in range(8)]
    ours = stream(make("OpeningRange(3)"), [*day, minute(2000, 1.0, 2.0, session=2)])
    assert np.isnan(ours["upper"][:2]).all() and np.isnan(ours["upper"][8])
    assert set(ours["upper"][2:8]) == {103.0} and set(ours["lower"][2:8]) == {98.0}
    known = [minute(553 + k, 100.0 - k, 101.0 + k, opened=555 if k > 1 else 0) for k in range(8)]
    late = stream(
        make("OpeningRange(3)"), [SimpleNamespace(**{**vars(b), "session_open": 555 * MINUTE}) for b in known]
    )
    assert np.isnan(late["upper"][:4]).all(), "what comes before the open is no part of it"
    assert set(late["upper"][4:]) == {105.0} and set(late["lower"][4:]) == {96.0}
    assert np.array_equal(stream(make("OpeningRange(3)"), known)["upper"], late["upper"], equal_nan=True)


# ---- what holds for all of them ----


@pytest.mark.parametrize("text", sorted({*KINDS, *MOVED}))
def test_nothing_of_the_future_and_no_noise_where_nothing_moves(text, plain):
    """A prefix gives the prefix of the values; bars that never move give no errors, and one value once warm."""
    indicator = make(text)
    whole, part = stream(indicator, plain), stream(indicator, plain[:130])
    still = SimpleNamespace(**{**vars(plain[0]), **dict.fromkeys(("open", "high", "low", "close"), 0.1)})
    flat = stream(indicator, [still] * 120)
    for name, values in whole.items():
        assert part[name].tobytes() == values[:130].tobytes(), name
        last = flat[name][110:]
        moves = name == "value" and text.startswith(("Obv", "Accum"))
        moves |= name == "age" or (name, text[:3]) == ("direction", "Par")  # touched, it turns with every bar
        assert moves or np.isnan(last).all() or np.ptp(last) < 1e-12, name


@pytest.mark.sim
@pytest.mark.skipif(not COMPILED, reason="compares compiled with interpreted")
@pytest.mark.parametrize("text", sorted({*KINDS, *MOVED}))
def test_compiled_to_the_bit(text, bars, plain):
    indicator = make(text)
    here, there = stream(indicator, plain), stream_compiled(indicator, bars)
    for name, values in here.items():
        assert (values + 0.0).tobytes() == (there[name] + 0.0).tobytes(), name
