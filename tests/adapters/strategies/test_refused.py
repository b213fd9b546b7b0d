"""What hooks, classes and files may not do: refused before anything is compiled, with file, line and construct."""

import re
from pathlib import Path

import pytest

from adapters.strategies import allowed
from adapters.strategies.load import check_strategy
from kernel.errors import NotFound, StrategyError
from tests.adapters.strategies.writing import EMPTY, hook

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
    # memory, numbers in another order, other functions
    "w = np.empty(4)": "cannot use np.empty(): it holds whatever was in memory before",
    "w = np.empty_like(self.mean.window)": "cannot use np.empty_like(): it holds whatever was in memory",
    "w = np.ndarray(4)": "cannot use np.ndarray(): it holds whatever was in memory",
    "return buy(np.sum(self.mean.window))": "cannot use np.sum(): it adds in another order compiled",
    "return buy(self.mean.window.mean())": "cannot use self.mean.window.mean(): it adds in another order compiled",
    "return buy(np.exp(x))": "cannot use np.exp(): it may differ in the last bit compiled: use math.exp",
    "return buy(np.median(self.mean.window))": "cannot use np.median()",
    "return buy(math.gamma(x))": "cannot use math.gamma(): of math a strategy calls exp",
    "return buy(hash(x))": "cannot use hash(): it differs from run to run",
    "return buy(sorted([x, 1.0])[0])": "cannot use sorted()",
    "return buy(divmod(3, 2)[0])": "cannot use divmod(): a strategy calls Onetape's functions",
    "w = np.zeros(3, np.float32)": "np.float32 is",
    "return buy(jitted(3))": "jitted() needs `@helper` above its definition",
    "f = math.floor": "math.floor is a function: call it",
    "return buy(np.fooo(3))": "np.fooo does not exist",
    "return buy(sum(k for k in (1, 2)))": "cannot use a generator: write a list",
    # arguments and answers
    "cancel(ctx, order=1)": "cancel(): got an unexpected keyword argument 'order': it takes (ctx, order_id=0, instrument",
    "return target(ctx, 10, instrument=1)": "target(): got an unexpected keyword argument 'instrument'",
    "return buy()": "buy(): missing a required argument: 'qty'",
    "return buy(ctx, 10)": "buy() of ctx: ctx is a record, not a number",
    "return buy(self.mean)": "buy() of self.mean: self.mean is a record, not a number",
    "return target(10, 5)": "target() takes ctx first",
    "return sized(1, 2, 3)": "sized(): too many positional arguments: it takes (n)",
    "return 5": "Mine.on_bar returns 5: a hook returns one signal, HOLD or None",
    "return 5 if bar.close > 3 else buy(1)": "Mine.on_bar returns 5: a hook returns one signal",
    "return buy(q := 3)": "cannot use :=: give the name its value on a line of its own",
    "return 'buy'": "Mine.on_bar returns 'buy': a hook returns one signal",
    "return [buy(1), sell(1)]": "Mine.on_bar returns [buy(1), sell(1)]: a hook returns one signal",
    "return bar.close > 3 and buy(1)": "a hook returns one signal, HOLD or None",
    "return self.n": "Mine.on_bar returns self.n: a hook returns one signal",
    "return crossed_above(1, 2)": "a hook returns one signal, HOLD or None",
    "return buy(TABLE[0])": "TABLE is a list, which may change while a strategy runs: write a tuple",
    "return buy(HUGE)": "HUGE is beyond the 64 bits of a whole number",
    "return buy(2 ** 70 + 9223372036854775808)": "9223372036854775808 is beyond the 64 bits",
    "return buy(SINGLE[0])": "SINGLE has numbers of the kind float32",
    # given, not set
    "self.mean.value = 3.0": "self.mean.value is given, not set",
    "self.mean.window[0] = 3.0": "self.mean.window is given, not set",
    "self.bars_seen = 3": "self.bars_seen is given, not set",
    "ctx.count = 0": "ctx.count is given, not set",
    "ctx.intents[0].side = 1": "ctx.intents[0].side is given, not set",
    "WEIGHTS[0] = 3.0": "WEIGHTS is a constant",
    "bar = 3": "bar is given, not set",
}
PLAIN = """import math, random, time
import numpy as np
from numba import njit
TABLE, HUGE, SINGLE, WEIGHTS = [1], 2**64, np.zeros(3, np.float32), np.zeros(3)
def plain(x):
    return buy(x)
@njit
def jitted(x):
    return x
@helper
def sized(n):
    return buy(n)
"""


@pytest.mark.parametrize("body", REFUSED)
def test_what_a_hook_may_not_do(strategy_file, body):
    path = strategy_file(hook(f"x = 1.0\n{body}", before=PLAIN))
    with pytest.raises(StrategyError) as caught:
        check_strategy(str(path))
    said = str(caught.value)
    place = re.match(rf"{re.escape(str(path))}:(\d+): ", said)
    assert place, said
    assert REFUSED[body] in said
    line = path.read_text().splitlines()[int(place[1]) - 1]
    assert line.strip() == body.splitlines()[0], "the line of the construct"


def test_what_on_fill_may_not_do(strategy_file):
    text = hook("return HOLD") + "\n    def on_fill(self, fill, ctx):\n        return buy(fill.prise)\n"
    path = strategy_file(text)
    line = 1 + path.read_text().splitlines().index("        return buy(fill.prise)")
    with pytest.raises(StrategyError, match=rf"mine.py:{line}: fill.prise does not exist: did you mean fill.price\?"):
        check_strategy(str(path))


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
        check_strategy(str(path))


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
        (EMPTY + EMPTY.replace("Mine", "Other"), "mine.py has several strategies: write .*mine.py:Mine or :Other"),
    ],
)
def test_a_file_that_is_none(strategy_file, text, said):
    with pytest.raises(StrategyError, match=said):
        check_strategy(str(strategy_file(text)))


def test_what_is_not_there(strategy_file, tmp_path):
    with pytest.raises(
        NotFound, match=r"no strategy 'ema': the built-in ones are buy_and_hold, ema_cross, sma_rsi_stop"
    ):
        check_strategy("ema")
    with pytest.raises(NotFound, match="no such strategy file"):
        check_strategy(f"{tmp_path}/none.py")
    with pytest.raises(NotFound, match=r"mine\.py has no strategy Yours; it has Mine"):
        check_strategy(f"{strategy_file(EMPTY)}:Yours")


def test_what_may_be_called_is_documented():
    """The lists of docs/strategies.md are those of the check."""
    text = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text(encoding="utf-8")
    assert " ".join(allowed.BUILTINS) + "\n" in text
    listed = " ".join(text.split())
    assert "math: " + " ".join(allowed.MATH) in listed
    assert "np: " + " ".join(allowed.NUMPY) in listed
    assert f"`{' '.join(allowed.METHODS)}`" in listed
