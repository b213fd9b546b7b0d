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
    "return buy(self.mean)": "buy() of self.mean: self.mean is an indicator, not a number: write self.mean.value",
    "return target(10, 5)": "target() takes ctx first",
    "return sized(1, 2, 3)": "sized(): too many positional arguments: it takes (n)",
    "return 5": "Mine.on_bar returns 5: a hook returns one signal, HOLD or None",
    "return 5 if bar.close > 3 else buy(1)": "Mine.on_bar returns 5: a hook returns one signal",
    "return buy(q := 3)": "cannot use :=: give the name its value on a line of its own",
    "return 'buy'": "Mine.on_bar returns 'buy': a hook returns one signal",
    "return [buy(1), sell(1)]": "Mine.on_bar returns [buy(1), sell(1)]: a hook returns one signal",
    "return bar.close > 3 and buy(1)": "a hook returns one signal, HOLD or None",
    "return self.n": "Mine.on_bar returns self.n: a hook returns one signal",
    "return crossed_above(self.mean, 2)": "a hook returns one signal, HOLD or None",
    "return buy(TABLE[0])": "TABLE is a list, which may change while a strategy runs: write a tuple",
    "return buy(HUGE)": "HUGE is beyond the 64 bits of a whole number",
    "return buy(2 ** 70 + 9223372036854775808)": "9223372036854775808 is beyond the 64 bits",
    "return buy(SINGLE[0])": "SINGLE has numbers of the kind float32",
    # a signal nobody hears of
    "buy(10)": "buy(10): its result is not used: return it, or place(ctx, ...)",
    "sell_stop(1, 2.0) if x > 3 else HOLD": "sell_stop(1, 2.0): its result is not used",
    "x > 3 and buy(1)": "buy(1): its result is not used",
    "target(ctx, 5)": "target(ctx, 5): its result is not used",
    "HOLD": "HOLD: its result is not used: return it",
    "sized(3)": "sized(3): its result is not used",
    # crossings of what has no bar before
    "if crossed_above(bar.close, self.mean):\n    return HOLD": "crossed_above() of bar.close: what it was on the bar "
    "before is not known: declare `close = Sma(1)` and pass self.close",
    "if crossed_below(self.mean, bar.high):\n    return HOLD": "declare `high = Sma(1, source=HIGH)` and pass self.high",
    "if crossed_above(a=self.mean, b=ctx.price):\n    return HOLD": "declare `close = Sma(1)` and pass self.close",
    "if crossed_above(bar.open_interest, self.mean):\n    return HOLD": "keep the number of the bar before in a Float()",
    "if crossed_above((bar.high + bar.low) / 2, self.mean):\n    return HOLD": "it comes from bar.high, which moves: "
    "declare `high = Sma(1, source=HIGH)` and compare it yourself, with self.high.value and self.high.previous",
    "if crossed_above(self.mean.value, self.mean):\n    return HOLD": "pass self.mean itself",
    "if crossed_above(self.mean, self.mean.value * 1.01):\n    return HOLD": "compare it yourself, with self.mean.value and",
    "if crossed_above(self.mean, self.mean.window):\n    return HOLD": "self.mean.window is an array: it takes indicators",
    "if crossed_above(self.mean, bar):\n    return HOLD": "crossed_above() of bar: bar is a record: it takes indicators",
    "if crossed_above(self.x, 3):\n    return HOLD": "neither self.x nor 3 is an indicator, and a number alone never crosses",
    # an indicator where its value should be
    "if self.mean > 100:\n    return HOLD": "self.mean is an indicator, not a number: write self.mean.value",
    "if x < self.mean < 3:\n    return HOLD": "self.mean is an indicator, not a number: write self.mean.value",
    "if not self.mean:\n    return HOLD": "self.mean is an indicator, not a number",
    "if x > 1 and self.mean:\n    return HOLD": "self.mean is an indicator, not a number",
    "if self.mean:\n    return HOLD": "self.mean is an indicator, not a number",
    "x = 2 * self.mean": "self.mean is an indicator, not a number: write self.mean.value",
    "x = -self.mean": "self.mean is an indicator, not a number",
    "x += self.mean": "self.mean is an indicator, not a number",
    "self.x = self.mean": "self.mean is an indicator, not a number",
    "x = max(self.mean, x)": "self.mean is an indicator, not a number",
    "x = bar + 1": "bar is a record, not a number: name a field of it",
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


THROUGH = {  # lines of a hook: what is said of the crossing that the last one makes
    "now = bar.close\nif crossed_above(now, self.mean):\n    return HOLD": "crossed_above() of now: it comes from bar.close",
    "now = bar.low\nlevel = now * 2\nlevel += 1\nif crossed_above(self.mean, level):\n    return HOLD": "it comes from bar.low",
    "a, b = bar.open, 1.0\nif crossed_above(self.mean, a):\n    return HOLD": "it comes from bar.open",
    "if above(bar.close, self.mean):\n    return HOLD": "crossed_above() of a: it comes from bar.close",
    "if crossed_above(doubled(bar), self.mean):\n    return HOLD": "crossed_above() of doubled(bar): it comes from b.close",
}
ABOVE = """
@helper
def above(a, b):
    return crossed_above(a, b)
@helper
def doubled(b):
    return 2 * b.close
"""


@pytest.mark.parametrize("body", THROUGH)
def test_a_crossing_of_what_comes_from_the_bar(strategy_file, body):
    with pytest.raises(StrategyError, match=re.escape(THROUGH[body])):
        check_strategy(str(strategy_file(hook(body, before=ABOVE))))


@pytest.mark.parametrize(
    "body",
    [
        "return HOLD if crossed_above(self.mean, self.x) else None",  # memory is a level that stays
        "return HOLD if crossed_above(self.mean, self.size * 2) else None",
        "return HOLD if crossed_below(3.5, self.mean) else None",
        "m = self.mean\nreturn HOLD if above(m, ctx.entry_price) else None",
        "w = self.mean.window * 2.0\nreturn buy(w[0]) if (self.mean.window[0] > 1) else HOLD",
        "place(ctx, sized(2))\ncancel(ctx)",
    ],
)
def test_what_stays_allowed(strategy_file, body):
    check_strategy(str(strategy_file(hook(body, before=f"{ABOVE}@helper\ndef sized(n):\n    return buy(n)\n"))))


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
    "a = Ema('x')": "a of Mine: the period is a whole number, not 'x'",
    "a = Ema(None)": "a of Mine: the period is a whole number, not None",
    "a = Ema([1])": r"a of Mine: the period is a whole number, not \[1\]",
    "a = Ema(10.5)": "a of Mine: the period is a whole number, not 10.5",
    "a = Sma(True)": "a of Mine: the period is a whole number, not True: write 1",
    "a = Ema(2**70)": "a of Mine: the period is beyond the 64 bits of a whole number",
    "p = Param(10.5)\n    a = Ema(p)": "a of Mine: the period is a whole number, not 10.5",
    "n = Int()\n    a = Ema(n)": r"a of Mine: the period is a whole number or a Param, not Int\(\)",
    "a = Ema(10, of=3)": "a of Mine: of= takes an indicator declared above it, not 3",
    "a = Ema(10, of=Ema)": "a of Mine: of= takes an indicator declared above it, not Ema",
    "a = Param('x')": "a of Mine: the default is a number, not 'x'",
    "a = Param(True)": "a of Mine: the default is a number, not True: write 1",
    "a = Param(10, low='a')": "a of Mine: low is a number, not 'a'",
    "a = Param(10, low=20)": "a of Mine: the default is at least 20, not 10",
    "a = Param(2**70)": "a of Mine: the default is beyond the 64 bits of a whole number",
    "a = Int(2**70)": "a of Mine: the default is beyond the 64 bits of a whole number",
    "a = Int(1.5)": "a of Mine: the default is a whole number, not 1.5",
    "a = Int(True)": "a of Mine: the default is a whole number, not True: write 1",
    "a = Float('x')": "a of Mine: the default is a number, not 'x'",
    "a = Float(10**400)": "a of Mine: the default is beyond the 64 bits",
    "on_fill = Int()": r"on_fill of Mine is a hook, not Int\(\): write def on_fill\(self, fill, ctx\)",
    "none = Sma(0)": "none of Mine: a period is between 1 and 100,000",
    "def on_fils(self, fill, ctx): return HOLD": r"Mine.on_fils would never be called: did you mean on_fill\?",
    "def on_moment(self, ctx): return HOLD": "Mine.on_moment would never be called",
}


@pytest.mark.parametrize("text", DECLARED)
def test_what_a_class_may_not_declare(strategy_file, text):
    head = "later = Param(3)\nsecond = Sma(3)\n"
    path = strategy_file(
        f"{head}\n@strategy\nclass Mine:\n    {text}\n\n    def on_bar(self, bar, ctx):\n        return HOLD\n"
    )
    with pytest.raises(StrategyError, match=r"mine\.py:\d+: " + DECLARED[text]) as caught:
        check_strategy(str(path))
    if " of Mine: " in DECLARED[text]:
        line = path.read_text().splitlines()[int(str(caught.value).partition("mine.py:")[2].partition(":")[0]) - 1]
        assert line.strip() == text.splitlines()[-1].strip(), "the line of the declaration"


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
    with pytest.raises(NotFound, match=r"no strategy 'ema': the built-in ones are .*buy_and_hold,.* ema_cross,"):
        check_strategy("ema")
    with pytest.raises(NotFound, match="no such strategy file"):
        check_strategy(f"{tmp_path}/none.py")
    with pytest.raises(NotFound, match=r"mine\.py has no strategy Yours; it has Mine"):
        check_strategy(f"{strategy_file(EMPTY)}:Yours")


def test_what_may_be_called_is_documented():
    """The lists of docs/strategy-reference.md are those of the check."""
    text = (Path(__file__).parents[3] / "docs" / "strategy-reference.md").read_text(encoding="utf-8")
    assert " ".join(allowed.BUILTINS) + "\n" in text
    listed = " ".join(text.split())
    assert "math: " + " ".join(allowed.MATH) in listed
    assert "np: " + " ".join(allowed.NUMPY) in listed
    assert f"`{' '.join(allowed.METHODS)}`" in listed
