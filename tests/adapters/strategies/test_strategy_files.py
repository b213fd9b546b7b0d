"""Strategy files as users write them: what runs, what is refused and in which words, what happens when one fails."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adapters.strategies.load import built_in_names, load_strategy, split_spec
from kernel.codes import Kind, Reason
from kernel.errors import NotFound, StrategyError
from kernel.jit import COMPILED
from kernel.strategy import resolve_params, warm_up_bars
from tests.kernel.play import TICK, check_books, flat, make_engine, market, of, order, run_bars, script, words

ROOT = Path(__file__).parents[3]


def played(*loaded, stream=None, instruments=1, **rules):
    engine = make_engine(
        [(one.program, one.params) for one in loaded],
        instruments=tuple((k, TICK, 1) for k in range(instruments)),
        **rules,
    )
    return engine, run_bars(engine, stream if stream is not None else [flat(t, 10 + t) for t in range(1, 7)])


def bought(tape) -> list[tuple[int, int]]:
    return [(int(e["side"]), int(e["qty"])) for e in of(tape, Kind.SIGNAL)]


# ---- parameters ----------------------------------------------------------------------------------------------------

PARAMS = """
@strategy
class Mine:
    size = Param(5, low=1, high=50)
    ratio = Param(0.5, low=0.0, high=1.0)
    free = Param(3)
    mean = Sma(size)

    def on_bar(self, bar, ctx):
        return buy(self.size)
"""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("size=0", "mine: size=0 is outside 1 .. 50"),
        ("size=51", "mine: size=51 is outside 1 .. 50"),
        ("ratio=1.01", "mine: ratio=1.01 is outside 0.0 .. 1.0"),
        ("ratio=-0.01", "mine: ratio=-0.01 is outside 0.0 .. 1.0"),
        ("size=2.5", "mine: size is a whole number, not 2.5"),
        ("siez=3", "mine has no parameter siez; did you mean size?"),
        ("zzz=3", "mine has no parameter zzz; it has size, ratio, free"),
        ("size=nan", "mine: size is a number, not nan"),
        ("ratio=nan", "mine: ratio is a number, not nan"),
        ("free=inf", "mine: free is a number, not inf"),
        ("size", "'size' is not name=number"),
        ("size=", "'size=' is not name=number"),
        ("size=ten", "'size=ten' is not name=number"),
    ],
)
def test_a_parameter_that_cannot_be(strategy_file, given, said):
    with pytest.raises(StrategyError, match=re.escape(said)):
        load_strategy(f"{strategy_file(PARAMS)},{given}")


def test_parameters_keep_their_kind_and_default(strategy_file):
    definition = load_strategy(f"{strategy_file(PARAMS)}:Mine,size=50,ratio=0").definition
    assert resolve_params(definition, {}) == {"size": 5, "ratio": 0.5, "free": 3}
    values = resolve_params(definition, {"size": 50.0, "ratio": 1, "free": -4})
    assert [(v, type(v)) for v in values.values()] == [(50, int), (1.0, float), (-4, int)]


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
    one = load_strategy(f"{strategy_file(text)},size=6")
    with pytest.raises(
        StrategyError, match=r"mine.py:\d+: mean: a period of 6 needs room: declare its Param with high=6"
    ):
        make_engine([(one.program, one.params)])


def test_a_period_below_one_is_said_before_the_run(strategy_file):
    text = PARAMS.replace("Param(5, low=1, high=50)", "Param(5, high=50)")
    one = load_strategy(f"{strategy_file(text)},size=0")
    with pytest.raises(StrategyError, match=r"mine.py:\d+: mean: a period is 1 or more, not 0"):
        make_engine([(one.program, one.params)])


@pytest.mark.parametrize(("warmup", "bars"), [("", 12), ("    warmup = 3\n", 3), ("    warmup = size\n", 5)])
def test_warm_up(strategy_file, warmup, bars):
    text = PARAMS.replace("    mean", f"{warmup}    slow = Sma(10)\n    chained = Ema(3, of=slow)\n    mean")
    one = load_strategy(str(strategy_file(text)))
    assert warm_up_bars(one.definition, one.params) == bars


# ---- what hooks may do ---------------------------------------------------------------------------------------------

CLASS = (
    "@strategy\nclass Mine:\n    x = Float()\n    n = Int()\n    size = Param(5)\n    mean = Sma(3)\n    warmup = 1\n"
)


def hook(body: str, name: str = "on_bar(self, bar, ctx)", before: str = "") -> str:
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return f"{before}\n{CLASS}\n    def {name}:\n{lines}"


RUNS = {
    "HOLD": ("return HOLD", []),
    "None": ("return None", []),
    "nothing": ("self.n += 1", []),
    "a signal": ("return buy(2)", [(1, 2)] * 3),
    "signal or HOLD": ("if bar.close > 12.5:\n    return sell(1)\nreturn HOLD", [(-1, 1)]),
    "signal or None": ("if bar.close > 12.5:\n    return sell(1)\nreturn None", [(-1, 1)]),
    "signal or the end": ("if bar.close > 12.5:\n    return buy(7)", [(1, 7)]),
    "whole-number float": ("return buy(2.0)", [(1, 2)] * 3),
    "a fraction is cut": ("return buy(2.99)", [(1, 2)] * 3),
    "int or float": ("return buy(3) if bar.close > 12.5 else buy(4.0)", [(1, 4), (1, 4), (1, 3)]),
    "NaN is no quantity": ("return buy(self.mean.value * 0.0 + 1.0)", [(1, 0), (1, 0), (1, 1)]),
    "too large is not small": ("return buy(1e300)", [(1, 2**46)] * 3),
    "too small is not large": ("return buy(-1e300)", [(1, -(2**46))] * 3),
    "place beside return": ("place(ctx, buy(1))\nplace(ctx, HOLD)\nreturn sell(2)", [(1, 1), (-1, 2)] * 3),
    "target": ("return target(ctx, 10)", [(1, 10)]),
    "target down": ("return target(ctx, 5 if bar.close < 12.5 else -2.0)", [(1, 5), (-1, 7)]),
    "memory": ("self.n += 1\nself.x += 0.5\nreturn buy(self.n) if self.x > 1 else HOLD", [(1, 3)]),
    "a comprehension": ("return buy(sum([k for k in (1, 2)]))", [(1, 3)] * 3),
    "a list comprehension's name": ("total = 0\nfor k in range(3):\n    total += k\nreturn buy(total)", [(1, 3)] * 3),
    "crossed above a number": ("if crossed_above(self.mean, 11.5):\n    return buy(1)\nreturn HOLD", []),
    "a branch on context": ("return buy(1) if ctx.ready and not ctx.warming and ctx.cash > 0 else HOLD", [(1, 1)] * 3),
    "the clock of the bar": ("return buy(bar.ts // 60000000000)", [(1, 1), (1, 2), (1, 3)]),
}


@pytest.fixture(scope="module")
def ways(load, tmp_path_factory):
    """Every strategy of RUNS from one file each, run on closes 11, 12, 13."""
    folder = tmp_path_factory.mktemp("ways")

    def run(name):
        path = folder / f"way_{list(RUNS).index(name)}.py"
        path.write_text("from onetape import *\n" + hook(RUNS[name][0]))
        return played(load(str(path)), stream=[flat(t, 10 + t) for t in (1, 2, 3)])

    return run


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.sim
def test_what_a_hook_may_do(ways, name):
    engine, tape = ways(name)
    assert bought(tape) == RUNS[name][1]
    assert engine.account.faults == 0
    check_books(engine)


CROSSES = """
@strategy
class Mine:
    mean = Sma(1)
    level = Param(10.0)
    warmup = 1

    def on_bar(self, bar, ctx):
        if crossed_above(self.mean, 10) or crossed_above(self.mean, self.level):
            place(ctx, buy(1))
        if crossed_below(self.mean, 10.0):
            place(ctx, sell(1))
        if crossed_above(10, self.mean):
            place(ctx, sell(2))
"""


def test_crossing_a_number(load, strategy_file):
    """From at or below to above; touching is no crossing, and the first value has no previous."""
    closes = [11, 10, 11, 10, 9, 10, 9, 11, 11]
    _, tape = played(load(str(strategy_file(CROSSES))), stream=[flat(t, px) for t, px in enumerate(closes, 1)])
    minutes = [(int(e["ts_event"]) // (60 * 10**9), int(e["side"] * e["qty"])) for e in of(tape, Kind.SIGNAL)]
    assert minutes == [(3, 1), (5, -1), (5, -2), (7, -1), (7, -2), (8, 1)]


REFUSED = {  # body of on_bar: what is said about it
    "try:\n    pass\nexcept Exception:\n    pass": "cannot use try/except",
    "with x:\n    pass": "cannot use with: a strategy opens nothing",
    "import math": "cannot use import inside a hook: import at the top of the file",
    "from math import pi": "cannot use import inside a hook",
    "global TOTAL": "cannot use global: remember numbers in Float() or Int()",
    "yield 1": "cannot use yield: a hook returns one Signal, HOLD or None",
    "d = {}": "cannot use a dictionary: use Float() and Int() attributes",
    "d = {1, 2}": "cannot use a set",
    "d = {k: k for k in (1, 2)}": "cannot use a dictionary",
    "t = f'{bar.close}'": "cannot use an f-string",
    "def inner():\n    pass": "cannot use a function inside a hook",
    "f = lambda: 1": "cannot use lambda",
    "class A:\n    pass": "cannot use a class inside a hook",
    "print(bar.close)": "a strategy cannot use print()",
    "open('x')": "a strategy cannot use open(): a strategy reads no files",
    "eval('1')": "a strategy cannot use eval()",
    "return self.size_of(3)": "self.size_of() cannot be called, since self is a record of numbers",
    "return plain(3)": "plain() needs `@helper` above its definition",
    "return buy(time.time())": "time: a strategy has no clock but bar.ts and ctx.ts",
    "return buy(random.random())": "random: a strategy draws no random numbers",
    "return by(3)": "by is not defined: did you mean buy?",
    "return buy(qqqqq)": "qqqqq is not defined: import or define it",
    "return buy(self.sise)": "self.sise is not declared in Mine: did you mean self.size?",
    "self.entry = 3.0": "self.entry is not declared in Mine: add `entry = Float()` to the class",
    "self.size = 3": "self.size is a parameter and stays as the run set it",
    "return buy(bar.clsoe)": "bar.clsoe does not exist: did you mean bar.close?",
    "return buy(ctx.zzz)": "ctx.zzz does not exist: it has ts, instrument",
    "bar.close = 3.0": "bar.close is given, not set",
    "ctx.position = 3": "ctx.position is given, not set",
    "return 'buy'": "this cannot be compiled",
    "return 5 if bar.close > 3 else buy(1)": "this cannot be compiled",
}
PLAIN = "import random, time\nimport numpy as np\ndef plain(x):\n    return buy(x)\n"


@pytest.mark.parametrize("body", REFUSED)
def test_what_a_hook_may_not_do(strategy_file, body):
    if not COMPILED and "compiled" in REFUSED[body]:
        pytest.skip("only the compiler sees this")
    path = strategy_file(hook(f"x = 1.0\n{body}", before=PLAIN))
    with pytest.raises(StrategyError) as caught:
        load_strategy(str(path))
    said = str(caught.value)
    place = re.match(rf"{re.escape(str(path))}:(\d+): ", said)
    assert place, said
    assert REFUSED[body] in said
    line = path.read_text().splitlines()[int(place[1]) - 1]
    wanted = body.splitlines()[0]
    if "cannot be compiled" in said:
        assert line.strip()
    else:
        assert line.strip() == wanted, "the line of the construct"


def test_what_on_fill_may_not_do(strategy_file):
    text = hook("return HOLD") + "\n    def on_fill(self, fill, ctx):\n        return buy(fill.prise)\n"
    path = strategy_file(text)
    line = 1 + path.read_text().splitlines().index("        return buy(fill.prise)")
    with pytest.raises(StrategyError, match=rf"mine.py:{line}: fill.prise does not exist: did you mean fill.price\?"):
        load_strategy(str(path))


DECLARED = {
    "limit = 5": r"limit = 5 in Mine is neither parameter nor memory: write limit = Param\(5\), Float\(\) or Int\(\)",
    "name = 'a'": "name = 'a' in Mine is neither parameter nor memory",
    "bars_seen = Int()": "bars_seen is a name Onetape uses itself",
    "early = Sma(later)\n    later = Param(3)": "the period of early must be declared above it in Mine",
    "first = Sma(3, of=second)\n    second = Sma(3)": "the of of first must be declared above it",
    "wide = Sma(200_000)": "wide of Mine: a period is between 1 and 100,000, this one may be 200,000",
    "none = Sma(0)": "none of Mine: a period is between 1 and 100,000",
    "def on_fils(self, fill, ctx): return HOLD": r"Mine.on_fils would never be called: did you mean on_fill\?",
    "def on_slice(self, ctx): return HOLD": "Mine.on_slice would never be called",
}


@pytest.mark.parametrize("text", DECLARED)
def test_what_a_class_may_not_declare(strategy_file, text):
    head = "later = Param(3)\nsecond = Sma(3)\n"
    path = strategy_file(
        f"{head}\n@strategy\nclass Mine:\n    {text}\n\n    def on_bar(self, bar, ctx):\n        return HOLD\n"
    )
    with pytest.raises(StrategyError, match=r"mine\.py:\d+: " + DECLARED[text]):
        load_strategy(str(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@strategy\nclass Mine:\n    pass\n", r"mine.py:2: Mine has no on_bar\(self, bar, ctx\)"),
        (
            "@strategy\nclass Mine:\n    def on_bar(self, bar):\n        pass\n",
            r"mine.py:2: Mine.on_bar must take \(self, bar, ctx\)",
        ),
        ("x = 1\n", "mine.py: no class with @strategy above it"),
        ("def f(:\n", r"mine.py:2: "),
        ("\n\nx = 1 / 0\n", "mine.py:4: ZeroDivisionError: division by zero"),
        ("import nothing_like_it\n", "mine.py:2: ModuleNotFoundError: No module named 'nothing_like_it'"),
        (PARAMS + PARAMS.replace("Mine", "Other"), "mine.py has several strategies: write .*mine.py:Mine or :Other"),
    ],
)
def test_a_file_that_is_none(strategy_file, text, said):
    with pytest.raises(StrategyError, match=said):
        load_strategy(str(strategy_file(text)))


def test_what_is_not_there(strategy_file, tmp_path):
    with pytest.raises(
        NotFound, match=r"no strategy 'ema': the built-in ones are buy_and_hold, ema_cross, sma_rsi_stop"
    ):
        load_strategy("ema")
    with pytest.raises(NotFound, match="no such strategy file"):
        load_strategy(f"{tmp_path}/none.py")
    with pytest.raises(NotFound, match=r"mine\.py has no strategy Yours; it has Mine"):
        load_strategy(f"{strategy_file(PARAMS)}:Yours")


@pytest.mark.parametrize("name", built_in_names())
def test_built_in_strategies_trade(load, name):
    one = load(name)
    assert one.origin == name
    engine, tape = played(one, stream=market(31, 300, instruments=2), instruments=2)
    assert len(of(tape, Kind.ORDER_FILLED)) >= 2
    assert engine.account.faults == 0
    assert one.definition.owner.__doc__


# ---- what goes wrong while it runs ---------------------------------------------------------------------------------

FAULTS = {
    "index out of range": "k = int(bar.close)\nreturn buy((1, 2, 3)[k])",
    "window out of range": "return buy(self.mean.window[int(bar.close)])",
    "division by zero": "return buy(1 // (self.n - 2) + 5)",
    "float division by zero": "return buy(1.0 / (self.n - 2.0) + 5.0)",
    "raised": "if self.n == 2:\n    raise ValueError('enough')\nreturn buy(1)",
    "asserted": "assert self.n < 2\nreturn buy(1)",
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_exception_stops_its_strategy_only(load, scripted, strategy_file, name):
    body = FAULTS[name] if "range" in name else f"self.n += 1\n{FAULTS[name]}"
    bad = load(str(strategy_file(hook(body))))
    good = load("buy_and_hold")
    engine, tape = played(bad, good, stream=[flat(t, 10 * t) for t in (1, 2, 3)])
    (fault,) = of(tape, Kind.STRATEGY_FAULT)
    at = 1 if "range" in name else 2
    assert (fault["strategy"], fault["reason"], fault["ts_event"] // (60 * 10**9)) == (1, Reason.EXCEPTION, at)
    assert fault["instrument"] == 0
    assert tape[fault["cause"] - 1]["kind"] == Kind.BAR
    assert set(of(tape, Kind.SIGNAL)[of(tape, Kind.SIGNAL)["seq"] > fault["seq"]]["strategy"]) <= {2}
    assert (engine.state.positions["qty"].reshape(3, 1)[2] == 100).all(), "the other goes on"
    assert engine.account.faults == 1
    resumed = run_bars(engine, [flat(4, 40)])
    assert Kind.STRATEGY_FAULT not in resumed["kind"].tolist()


def test_signals_before_the_exception_are_dropped(load, strategy_file):
    bad = load(str(strategy_file(hook("place(ctx, buy(1))\nassert bar.close < 0\nreturn HOLD"))))
    engine, tape = played(bad, stream=[flat(1, 10)])
    assert words(tape) == ["BAR", "STRATEGY_FAULT"]
    assert engine.account.open_orders == 0


@pytest.mark.parametrize(("count", "fault"), [(16, False), (17, True), (40, True)])
def test_too_many_signals(load, strategy_file, count, fault):
    one = load(str(strategy_file(hook(f"for k in range({count}):\n    place(ctx, buy(1))\nreturn HOLD"))))
    _, tape = played(one, stream=[flat(1, 10)])
    if fault:
        assert words(tape) == ["BAR", "STRATEGY_FAULT"]
        assert tape[1]["reason"] == Reason.TOO_MANY_SIGNALS
    else:
        assert len(of(tape, Kind.ORDER_SUBMITTED)) == count


def test_cancels_count_as_signals(load, strategy_file):
    one = load(str(strategy_file(hook("for k in range(17):\n    cancel(ctx)\nreturn HOLD"))))
    _, tape = played(one, stream=[flat(1, 10)])
    assert words(tape) == ["BAR", "STRATEGY_FAULT"]


ON_FILL = """
@strategy
class Mine:
    quantity = Param(7)
    paid = Float()
    seen = Int()

    def on_bar(self, bar, ctx):
        return buy(self.quantity) if ctx.position == 0 and ctx.working == 0 else HOLD

    def on_fill(self, fill, ctx):
        self.seen += fill.qty * fill.side
        self.paid += fill.price * fill.qty + fill.fee
        if fill.side > 0:
            return sell_stop(fill.qty, fill.price - 1.0)
        assert ctx.position == 0
"""


def test_on_fill(load, strategy_file):
    one = load(str(strategy_file(ON_FILL)))
    stream = [flat(1, 10), flat(2, 11), flat(3, 9)]
    engine, tape = played(one, stream=stream, fee_flat=10_000)
    memory = engine.memory_of(1)[0]
    assert (memory["seen"], memory["paid"]) == (0, 7 * 11 + 1 + 7 * 9 + 1)
    assert [(int(e["side"]), int(e["px"])) for e in of(tape, Kind.ORDER_FILLED)] == [(1, 110_000), (-1, 90_000)]
    assert engine.account.faults == 0


def test_an_exception_in_on_fill(load, strategy_file):
    one = load(str(strategy_file(ON_FILL.replace("self.seen += ", "assert self.seen == 99\n        self.seen += "))))
    _, tape = played(one, stream=[flat(1, 10), flat(2, 11)])
    (fault,) = of(tape, Kind.STRATEGY_FAULT)
    assert fault["code"] == 1
    assert tape[fault["cause"] - 1]["kind"] == Kind.ORDER_FILLED


# ---- what was compiled is what is written --------------------------------------------------------------------------


def test_an_edited_neighbour_is_compiled_anew(load, strategy_file, tmp_path):
    """Constants and helpers of local modules are part of the code: yesterday's machine code must not run."""
    path = strategy_file(hook("return buy(sized(2))", before="from sizes import sized\n"))
    seen, hashes = [], []
    for factor in (3, 5, 3):
        (tmp_path / "sizes.py").write_text(
            f"from onetape import helper\nFACTOR = {factor}\n\n\n@helper\ndef sized(x):\n    return x * FACTOR\n"
        )
        one = load_strategy(str(path))
        hashes.append(one.code_hash)
        seen += bought(played(one, stream=[flat(1, 10)])[1])
    assert seen == [(1, 6), (1, 10), (1, 6)]
    assert hashes[0] == hashes[2] != hashes[1]


def test_an_edited_constant_is_compiled_anew(load, strategy_file):
    seen = []
    for size in (4, 9):
        path = strategy_file(hook("return buy(SIZE)", before=f"SIZE = {size}\n"))
        seen += bought(played(load_strategy(str(path)), stream=[flat(1, 10)])[1])
    assert seen == [(1, 4), (1, 9)]


@pytest.mark.sim
def test_a_neighbour_edited_between_processes(strategy_file, tmp_path):
    """The disk cache of one process must not serve another that has different sources."""
    path = strategy_file(hook("return buy(sized(2))", before="from sizes_far import sized\n"))
    code = (
        "import sys; from tests.kernel.play import *; from adapters.strategies.load import load_strategy\n"
        f"one = load_strategy({str(path)!r}); e = make_engine([(one.program, one.params)])\n"
        "print([int(q) for q in of(run_bars(e, [flat(1, 10)]), 64)['qty']])"
    )
    said = []
    for factor in (3, 5):
        (tmp_path / "sizes_far.py").write_text(
            f"from onetape import helper\n\n\n@helper\ndef sized(x):\n    return x * {factor}\n"
        )
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=True
        )
        said.append(json.loads(done.stdout))
    assert said == [[6], [10]]


def test_loading_leaves_the_standard_library_alone(strategy_file, monkeypatch):
    """Python may live under the folder of the strategy, as uv's does in a home folder."""
    import adapters.strategies.load as loading

    above = Path(json.__file__).parents[2]
    assert not loading._is_local(json, above)
    assert not loading._is_local(np, above)


def test_two_strategies_on_the_same_account(load, scripted):
    """A built-in beside the scripted one of the kernel's tests; each has its own numbers."""
    engine = scripted(2)
    script(engine, 2, 0, [(1, order(1, 3))])
    tape = run_bars(engine, [flat(1, 10)])
    assert of(tape, Kind.SIGNAL)["strategy"].tolist() == [2]
