"""Strategies in plain Python: the same step, the same tape as the compiled one that says the same."""

import pytest

from adapters.strategies.fault import explain_faults
from adapters.strategies.load import check_strategy
from kernel.codes import Kind, Reason
from kernel.errors import StrategyError
from tests.kernel.play import check_books, make_engine, market, of, run_bars, tape_digest

BODY = """
{head}
    fast = Param(3, low=1)
    quick = Ema(fast)
    slow = Ema(8)
    {memory}

    def on_bar(self, bar, ctx):
        self.bars += 1
        if ctx.working > 4:
            cancel(ctx)
            return HOLD
        if crossed_above(self.quick, self.slow) and ctx.position == 0:
            bracket(ctx, buy(20), bar.close * 0.99, bar.close * 1.02)
        elif crossed_below(self.quick, self.slow):
            place(ctx, buy_limit(5, bar.low - 1.0))
            return target(ctx, 0)
        return sell_stop(3, bar.low - 2.0) if self.bars % 7 == 0 and ctx.position > 10 else None

    def on_fill(self, fill, ctx):
        self.filled += fill.qty * fill.side
        return with_tif(sell_limit(2, fill.price + 5.0), IOC) if fill.side > 0 else HOLD
"""
NAMES = (
    "from onetape import HOLD, IOC, Ema, Int, Param, PythonStrategy, bracket, buy, buy_limit, cancel, crossed_above\n"
    "from onetape import crossed_below, place, sell_limit, sell_stop, strategy, target, with_tif\n\n"
)
PYTHON = NAMES + BODY.format(
    head='class Mine(PythonStrategy):\n    """Mine."""\n',
    memory="\n    def start(self):\n        self.bars = self.filled = 0",
)
COMPILED = NAMES + BODY.format(
    head='@strategy\nclass Mine:\n    """Mine."""\n', memory="bars = Int()\n    filled = Int()"
).replace("self.bars += 1", "self.bars += 1")
INSTRUMENTS = [(k, 500, 1) for k in range(3)]


def play(one, **more):
    engine = make_engine([(one.program, one.params)], instruments=INSTRUMENTS, **more)
    return run_bars(engine, market(7, 150, 3)), engine


def test_it_is_the_compiled_one(load, strategy_file):
    """One instrument, since `self` of plain Python is one for all of them."""
    tapes = []
    for name, text in (("plain.py", PYTHON), ("compiled.py", COMPILED)):
        one = load(f"{strategy_file(text, name)}:Mine")
        engine = make_engine([(one.program, one.params)])
        tapes.append(run_bars(engine, market(7, 250, 1)))
        check_books(engine)
        assert engine.account.faults == 0, explain_faults(engine, [one])
    assert len(of(tapes[0], Kind.ORDER_FILLED)) > 20
    assert tape_digest(tapes[0]) == tape_digest(tapes[1])


def test_every_run_has_an_object_of_its_own(load, strategy_file):
    one = load(f"{strategy_file(PYTHON)}:Mine")
    (first, a), (second, b) = play(one), play(one)
    assert tape_digest(first) == tape_digest(second) and not a.savable and not b.savable
    whole, _ = play(one, batch=64)
    assert tape_digest(whole) == tape_digest(first)


def test_the_whole_slice_and_its_indicators(load, strategy_file):
    path = strategy_file(
        "from onetape import PythonStrategy, Sma, order_target\n\n\n"
        'class Best(PythonStrategy):\n    """Best."""\n\n    mean = Sma(5)\n\n'
        "    def start(self):\n        self.seen = []\n\n"
        "    def on_bar(self, bar, ctx):\n        self.seen.append((ctx.instrument, self.mean.value))\n\n"
        "    def on_slice(self, universe, ctx):\n"
        "        ready = [one for one in universe if one.ready]\n"
        "        best = max(ready, key=lambda one: one.price / one.mean.value, default=None)\n"
        "        for one in ready:\n"
        "            assert one.mean.value == dict(self.seen)[one.instrument]\n"
        "            order_target(one, 10 if one is best else 0)\n"
    )
    tape, engine = play(load(f"{path}:Best"))
    assert engine.account.faults == 0, engine.models[0].fault
    assert len(of(tape, Kind.ORDER_FILLED)) > 20
    check_books(engine)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("return 1 / 0", "ZeroDivisionError: division by zero: 'return 1 / 0'"),
        ("return 7", "TypeError: it returned 7: a hook returns one signal, HOLD or None"),
        ("return bar.opem", "AttributeError: 'Bar' object has no attribute 'opem'"),
        ("self.mean.valu", "no field"),
    ],
)
def test_what_fails_stops_it_alone(load, strategy_file, line, says):
    path = strategy_file(
        "from onetape import PythonStrategy, Sma\n\n\n"
        f'class Bad(PythonStrategy):\n    """Bad."""\n\n    mean = Sma(2)\n\n    def on_bar(self, bar, ctx):\n        {line}\n'
    )
    one, other = load(f"{path}:Bad"), load("buy_and_hold")
    engine = make_engine([(one.program, one.params), (other.program, other.params)])
    tape = run_bars(engine, market(7, 20, 1))
    [fault] = of(tape, Kind.STRATEGY_FAULT)
    assert (fault["strategy"], fault["reason"]) == (1, Reason.EXCEPTION)
    assert len(of(tape, Kind.ORDER_FILLED)) == 1
    [said] = explain_faults(engine, [one, other])
    assert says in said and (f"{path}:" in said)


def test_an_indicator_of_none_is_refused(load, strategy_file):
    path = strategy_file(
        "from onetape import PythonStrategy, Sma\n\n\n"
        'class Whole(PythonStrategy):\n    """W."""\n\n    mean = Sma(2)\n\n'
        "    def on_slice(self, universe, ctx):\n        self.last = self.mean.value\n"
    )
    _, engine = play(load(f"{path}:Whole"))
    assert engine.account.faults == 1 and "write one.NAME for an indicator" in engine.models[0].fault


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import time\n\n\ndef f():\n    return time.time()\n", "time.time: a strategy has no clock"),
        (
            "import random\n\n\ndef f():\n    return random.random()\n",
            "random.random: a strategy draws no random numbers",
        ),
        ("import numpy as np\n\n\ndef f():\n    return np.random.rand()\n", "draws no random numbers"),
        ("import numpy as np\n\n\ndef f():\n    return np.datetime64('now')\n", "has no clock"),
        ("from datetime import datetime\n\n\ndef f():\n    return datetime.now()\n", "has no clock"),
        ("import requests\n\n\ndef f():\n    return requests.get('x')\n", "asks no other machine"),
        ("import os\n\n\ndef f():\n    return os.environ['x']\n", "reads nothing from outside"),
        ("def f():\n    return [x for x in {1, 2}]\n", "another order in every run"),
    ],
)
def test_what_decides_otherwise_tomorrow_is_refused(strategy_file, text, says):
    """In functions, too: what they do is not compiled."""
    own = 'from onetape import PythonStrategy\n\n\nclass Mine(PythonStrategy):\n    """M."""\n\n    def on_bar(self, bar, ctx):\n'
    path = strategy_file(text + own + "        return None\n")
    if "requests" in text:
        path.write_text(path.read_text().replace("import requests", "from urllib import request as requests"))
    with pytest.raises(StrategyError, match=f"mine.py:\\d+: .*{says}"):
        check_strategy(f"{path}:Mine")


def test_a_generator_with_a_seed_is_no_dice(load, strategy_file):
    path = strategy_file(
        "import numpy as np\n\nfrom onetape import HOLD, PythonStrategy, buy\n\n\n"
        'class Seeded(PythonStrategy):\n    """S."""\n\n    def start(self):\n        self.rng = np.random.default_rng(7)\n\n'
        "    def on_bar(self, bar, ctx):\n        return buy(1) if self.rng.random() < 0.3 else HOLD\n"
    )
    one = load(f"{path}:Seeded")
    assert tape_digest(play(one)[0]) == tape_digest(play(one)[0])


def test_it_is_not_compiled_as_well(strategy_file):
    own = 'from onetape import PythonStrategy, strategy\n\n\n@strategy\nclass Mine(PythonStrategy):\n    """M."""\n\n'
    path = strategy_file(own + "    def on_bar(self, bar, ctx):\n        return None\n")
    with pytest.raises(StrategyError, match="needs no @strategy"):
        check_strategy(f"{path}:Mine")


def test_memory_is_declared_in_start(strategy_file):
    own = 'from onetape import Int, PythonStrategy\n\n\nclass Mine(PythonStrategy):\n    """M."""\n\n    n = Int()\n\n'
    path = strategy_file(own + "    def on_bar(self, bar, ctx):\n        return None\n")
    with pytest.raises(StrategyError, match=r"keeps what it likes: set self.n in start\(\)"):
        check_strategy(f"{path}:Mine")


def test_the_versions_of_libraries_are_code(strategy_file, monkeypatch):
    import adapters.strategies.python as own

    path = strategy_file("import numpy as np\n" + PYTHON)
    before = check_strategy(f"{path}:Mine").code_hash
    assert check_strategy(f"{path}:Mine").code_hash == before
    monkeypatch.setattr(own, "version", lambda package: "99")
    assert check_strategy(f"{path}:Mine").code_hash != before
