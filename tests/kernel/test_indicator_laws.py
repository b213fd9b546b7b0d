"""What holds of every indicator on any bars: it goes on from a copy of its record, and prices in other money say the same."""

import copy
import inspect
import math
import re
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onetape
from api.docs import indicator_told
from kernel.indicators import INDICATORS
from tests.bench.indicators import WRITTEN
from tests.golden.talib_values import make
from tests.kernel.streaming import names_of, numbers, plain_memory, stream

SMALL = {"ZigZag": "ZigZag(3.0)", "Ichimoku": "Ichimoku(3, 5, 8, 4)", "Macd": "Macd(3, 6, 4)", "Adx": "Adx(4)"}
TEXTS = {kind.__name__: WRITTEN.get(kind.__name__, f"{kind.__name__}()") for kind in INDICATORS}
SHORT = {name: SMALL.get(name, re.sub(r"\b(14|20)\b", "5", text)) for name, text in TEXTS.items()}
FOUR = 4.0  # a power of two: products are exact


@st.composite
def walks(draw):
    """Bars on a coarse grid, so that prices stand still, repeat and touch; some without volume; days of nine bars."""
    bars, close = [], 40
    for k, (steps, volume) in enumerate(draw(st.lists(STEP, min_size=25, max_size=45))):
        path = [close, *(max(1, close + step) for step in steps)]
        close = path[-1]
        bars.append(
            SimpleNamespace(
                ts=(k + 1) * 10**9, ts_open=k * 10**9, session=k // 9, session_open=0, volume=float(volume),
                open=path[0] / 4, high=max(path) / 4, low=min(path) / 4, close=close / 4,
            )
        )  # fmt: skip
    return bars


STEP = st.tuples(st.lists(st.integers(-5, 5), min_size=1, max_size=3), st.sampled_from((0, 1, 7, 1000)))


@settings(max_examples=4)  # of every indicator
@given(walks())
def test_it_goes_on_from_a_copy_of_its_record(bars):
    """As a run does that is restored from a snapshot, or replayed to a place."""
    half = len(bars) // 2
    for text in SHORT.values():
        indicator = make(text)
        whole = stream(indicator, bars)
        memory = plain_memory(indicator.dtype())
        indicator.configure(memory, numbers(indicator))
        take = eval(f"lambda bar: ({', '.join(indicator.inputs())},)")
        for bar in bars[:half]:
            indicator.update(memory, *take(bar))
        memory = copy.deepcopy(memory)
        for bar in bars[half:]:
            indicator.update(memory, *take(bar))
        for name in names_of(indicator):
            assert repr(whole[name][-1]) == repr(whole[name].dtype.type(getattr(memory, name))), (text, name)


@settings(max_examples=4)  # of every indicator
@given(walks())
def test_prices_in_other_money_say_the_same(bars):
    """Each output is a price, and four times as large with prices four times as large, or a share, and the same."""
    prices = ("open", "high", "low", "close")
    dear = [SimpleNamespace(**{**vars(b), **{name: FOUR * getattr(b, name) for name in prices}}) for b in bars]
    for text in SHORT.values():
        indicator = make(text)
        cheap, other = stream(indicator, bars), stream(indicator, dear)
        for name in names_of(indicator):
            times = {
                repr(float(b)) in (repr(float(a)), repr(float(FOUR * a)))
                for a, b in zip(cheap[name], other[name], strict=True)
            }
            assert times == {True}, (text, name)


@pytest.mark.parametrize("kind", INDICATORS, ids=lambda kind: kind.__name__)
def test_what_is_written_of_it(kind):
    """The warm-up in words is the one it has; numbers have the bounds that their defaults keep; it is public."""
    what, warm_up, source, _ = indicator_told(kind)
    assert len(what) > 20 and re.search(r"\d{4}|chapter", source)
    indicator = make(TEXTS[kind.__name__])
    n = numbers(indicator)
    first = re.split(r"; |, but |, and ", warm_up)[0]
    told = eval(first, {"isqrt": math.isqrt, "max": max}, dict(n))
    assert told in (indicator.warm_up(SimpleNamespace(**n)), indicator.slowest(SimpleNamespace(**n)))
    assert indicator.slowest(SimpleNamespace(**n)) >= indicator.warm_up(SimpleNamespace(**n))
    assert getattr(onetape, kind.__name__) is kind
    taken = set(inspect.signature(kind.__init__).parameters) - {"self", "source", "of", "against"}
    assert taken == {number.name for number in kind.numbers}
    assert len(set(indicator.dtype().names)) == len(indicator.dtype().names)
