"""Indicators with several numbers and outputs: in declarations, in hooks, in chains."""

import math

import pytest

from adapters.strategies.load import check_strategy
from kernel.errors import StrategyError
from kernel.strategy import warm_up_bars
from onetape import Adx, Bollinger, Correlation, Ema, Macd
from tests.adapters.strategies.writing import hook, played
from tests.kernel.play import flat

DECLARED = "    macd = Macd()\n    bands = Bollinger(20, 2.0)\n"
SAID = {  # body of on_bar: what is said about it
    "return buy(self.macd.signl)": "self.macd.signl does not exist: did you mean self.macd.signal?",
    "return buy(self.bands.uper)": "did you mean self.bands.upper?",
    "return buy(self.macd.zzz)": "it has value, previous, signal, histogram, fast, slow, signal_period",
    "return buy(self.bands.squares_)": "it has value, previous, upper, lower, percent, width, period, multiple",
    "self.macd.signal = 3.0": "self.macd.signal is given, not set: keep values in Float() or Int()",
    "if self.macd > self.macd.signal:\n    return HOLD": "self.macd is an indicator, not a number: write self.macd.value",
    "if crossed_above(self.macd, self.macd.signal):\n    return HOLD": "declare `signal = Sma(1, of=macd.signal)` and pass "
    "self.signal",
    "if crossed_above(self.mean, self.bands.upper * 1.01):\n    return HOLD": "it comes from self.bands.upper, which moves: "
    "declare `upper = Sma(1, of=bands.upper)` and compare it yourself, with self.upper.value and self.upper.previous",
}
DECLARATIONS = {  # a declaration: what is said about it
    "    slow = Sma(3, of=macd.signl)\n": "AttributeError: Macd has no output signl: did you mean signal?",
    "    cross = Sma(3, of=late)\n    late = Sma(3)\n": "NameError",
    "    both = Correlation(20, against=5)\n": "against= takes an indicator declared above it, not 5",
    "    both = Correlation(20)\n": "against is one of OPEN .. OHLC4, or an indicator declared above",
    "    wide = Bollinger(20, mean)\n": "multiple is a number or a Param, not Sma()",
    "    wide = Bollinger(20, True)\n": "multiple is a number, not True",
    "    odd = Macd(12.5)\n": "fast is a whole number, not 12.5",
    "    odd = Ema(mean.value)\n": "the period is a whole number or a Param, not Output",
    "    odd = Ema(3, of='macd')\n": "of= takes an indicator declared above it, not 'macd'",
    "    odd = Aroon(200_000)\n": "a period is between 1 and 100,000, this one may be 200,000",
}


@pytest.mark.parametrize("body", SAID)
def test_what_hooks_may_not_do_with_outputs(strategy_file, body):
    with pytest.raises(StrategyError) as refused:
        check_strategy(str(strategy_file(hook(body, declared=DECLARED))))
    assert SAID[body] in str(refused.value)


@pytest.mark.parametrize("declared", DECLARATIONS)
def test_what_a_declaration_may_not_say(strategy_file, declared):
    with pytest.raises(StrategyError) as refused:
        check_strategy(str(strategy_file(hook("return HOLD", declared=DECLARED + declared))))
    assert DECLARATIONS[declared] in str(refused.value)


def test_outputs_before_their_indicator_is_declared(strategy_file):
    head = "from onetape import *\nELSE = Macd()\n"
    path = strategy_file(hook("return HOLD", declared="    late = Sma(3, of=ELSE.signal)\n"), head=head)
    with pytest.raises(StrategyError, match="the of of late must be declared above it in Mine"):
        check_strategy(str(path))


def test_numbers_out_of_bounds_are_refused_by_name():
    for indicator, numbers, words in (
        (Macd(), {"fast": 26, "slow": 12, "signal_period": 9}, "fast is below slow, not 26 with 12"),
        (Adx(), {"period": 1}, "a period is 2 or more, not 1"),
        (Bollinger(), {"period": 20, "multiple": -1.0}, "multiple is between 0.0 and 1000000.0, not -1.0"),
        (Bollinger(), {"period": 20, "multiple": math.nan}, "multiple is between 0.0 and 1000000.0, not nan"),
        (Bollinger(20), {"period": 30, "multiple": 2.0}, "a period of 30 needs room: declare its Param with high=30"),
    ):
        with pytest.raises(ValueError, match=words):
            indicator.configure(type("Memory", (), {})(), numbers)
    with pytest.raises(ValueError, match="source is one of"):
        Ema(3, source="bar.px")
    with pytest.raises(ValueError, match="against is one of"):
        Correlation(20, against="bar.px")


CHAIN = """
    n = Param(4, low=2, high=50)
    wide = Param(2.5, low=0.5)
    fast = Macd(2, n, 3)
    line = Ema(5, of=fast.signal)
    up = Adx(n)
    plus = Sma(2, of=up.plus_di)
    both = Correlation(3, against=up.plus_di, of=line)
    bars = Bollinger(n, wide, of=both)
    day = Vwap(1.0)
"""


def test_chains_of_outputs_are_waited_for_and_run(load, strategy_file):
    """The slowest: fast.signal 6, line 10, both 12, bars 15 with n = 4."""
    body = "if self.n == 0:\n    self.n = self.bars_seen\nself.x = self.bars.percent + self.day.upper\nreturn HOLD"
    path = strategy_file(
        hook(body, declared=CHAIN.replace("    n =", "    k =").replace("n)", "k)").replace("n,", "k,"))
    )
    path.write_text(path.read_text().replace("    warmup = 1\n", ""))
    one = load(str(path))
    assert [warm_up_bars(one.definition, {**one.params, "k": k}) for k in (4, 5, 30)] == [15, 17, 67]
    engine, _ = played(one, stream=[flat(t, 10 + t * t % 7) for t in range(1, 30)])
    memory = engine.memory_of(1)[0]
    assert memory["n"] == memory["bars_needed"] == 15
    assert memory["bars"]["multiple"] == 2.5
    assert memory["fast"]["slow"] == memory["up"]["period"] == 4
    assert math.isfinite(memory["x"]) and memory["line"]["value"] == memory["line"]["value"]
