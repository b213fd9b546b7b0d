"""Parameters and warm-up: what may be given, and what is said of the rest."""

import re

import numpy as np
import pytest

from adapters.strategies.load import check_strategy, split_spec
from kernel.errors import StrategyError
from kernel.strategy import resolve_params, warm_up_bars, write_memory
from tests.kernel.play import TICK, flat, make_engine, run_bars

PARAMS = """
@strategy
class Mine:
    size = Param(5, low=1, high=50)
    ratio = Param(0.5, low=0.0, high=1.0)
    free = Param(3)
    least = Param(20, low=20)
    most = Param(1.0, high=2.0)
    mean = Sma(size)

    def on_bar(self, bar, ctx):
        return buy(self.size)
"""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("size=0", "mine: size is between 1 and 50, not 0"),
        ("size=51", "mine: size is between 1 and 50, not 51"),
        ("ratio=1.01", "mine: ratio is between 0.0 and 1.0, not 1.01"),
        ("ratio=-0.01", "mine: ratio is between 0.0 and 1.0, not -0.01"),
        ("size=2.5", "mine: size is a whole number, not 2.5"),
        ("siez=3", "mine has no parameter siez; did you mean size?"),
        ("zzz=3", "mine has no parameter zzz; it has size, ratio, free, least, most"),
        ("size=nan", "mine: size is a number, not nan"),
        ("ratio=nan", "mine: ratio is a number, not nan"),
        ("least=19", "mine.py:3: mine: least is at least 20, not 19"),
        ("most=2.5", "mine.py:3: mine: most is at most 2.0, not 2.5"),
        (f"free={2**70}", f"mine: free is a number of 64 bits, not {2**70}"),
        (f"ratio={10**400}", "mine: ratio is a number of 64 bits, not 1000"),
        ("free=1e30", "mine: free is a number of 64 bits, not 1000"),
        ("free=inf", "mine: free is a number, not inf"),
        ("size", "'size' is not name=number"),
        ("size=", "'size=' is not name=number"),
        ("size=ten", "'size=ten' is not name=number"),
    ],
)
def test_a_parameter_that_cannot_be(strategy_file, given, said):
    with pytest.raises(StrategyError, match=re.escape(said)):
        check_strategy(f"{strategy_file(PARAMS)},{given}")


def test_parameters_keep_their_kind_and_default(strategy_file):
    definition = check_strategy(f"{strategy_file(PARAMS)}:Mine,size=50,ratio=0").definition
    assert resolve_params(definition, {}) == {"size": 5, "ratio": 0.5, "free": 3, "least": 20, "most": 1.0}
    values = resolve_params(definition, {"size": 50.0, "ratio": 1, "free": -4})
    assert [(v, type(v)) for v in values.values()][:3] == [(50, int), (1.0, float), (-4, int)]


def test_spec_is_name_and_numbers():
    assert split_spec("a, b=1 ,c=2.5,d=-1e3") == ("a", {"b": 1, "c": 2.5, "d": -1000.0})


def test_periods_follow_parameters_without_compiling_again(load, strategy_file):
    one = load(str(strategy_file(PARAMS)))
    ways = [(one.program, {**one.params, "size": n}) for n in (1, 3, 50)]
    engine = make_engine(ways, instruments=((0, TICK, 1),))
    run_bars(engine, [flat(t, t) for t in range(1, 61)])
    assert [float(engine.memory_of(k)[0]["mean"]["value"]) for k in (1, 2, 3)] == [60.0, 59.0, 35.5]
    assert [int(engine.memory_of(k)[0]["bars_needed"]) for k in (1, 2, 3)] == [1, 3, 50]


def test_a_window_without_room_is_said_before_the_run(strategy_file):
    text = PARAMS.replace("Param(5, low=1, high=50)", "Param(5)")
    one = check_strategy(f"{strategy_file(text)},size=6")
    with pytest.raises(
        StrategyError, match=r"mine.py:\d+: mean: a period of 6 needs room: declare its Param with high=6"
    ):
        write_memory(one.definition, one.params, np.zeros(1, one.definition.dtype))


def test_a_period_below_one_is_said_before_the_run(strategy_file):
    text = PARAMS.replace("Param(5, low=1, high=50)", "Param(5, high=50)")
    one = check_strategy(f"{strategy_file(text)},size=0")
    with pytest.raises(StrategyError, match=r"mine.py:\d+: mean: a period is 1 or more, not 0"):
        write_memory(one.definition, one.params, np.zeros(1, one.definition.dtype))


@pytest.mark.parametrize(("warmup", "bars"), [("", 12), ("    warmup = 3\n", 3), ("    warmup = size\n", 5)])
def test_warm_up(strategy_file, warmup, bars):
    text = PARAMS.replace("    mean", f"{warmup}    slow = Sma(10)\n    chained = Ema(3, of=slow)\n    mean")
    one = check_strategy(str(strategy_file(text)))
    assert warm_up_bars(one.definition, one.params) == bars


@pytest.mark.parametrize("warmup", ["-3", "2.5", "True", "Param(-1)", "Param(1.5)"])
def test_a_warm_up_that_is_no_number_of_bars(strategy_file, warmup):
    with pytest.raises(StrategyError, match=r"mine.py:\d+: warmup of Mine is a number of bars or a parameter of one"):
        check_strategy(str(strategy_file(PARAMS.replace("    mean", f"    warmup = {warmup}\n    mean"))))


def test_a_warm_up_that_a_run_sets_below_zero(strategy_file):
    text = PARAMS.replace("    mean", "    before = Param(3)\n    warmup = before\n    mean")
    one = check_strategy(f"{strategy_file(text)},before=-2")
    with pytest.raises(StrategyError, match=r"mine.py:\d+: warmup is a number of bars, not -2"):
        warm_up_bars(one.definition, one.params)
