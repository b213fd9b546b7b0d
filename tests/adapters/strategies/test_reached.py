"""Checks that follow a hook: every way to a name, every helper, whatever the names there."""

import re

import pytest

from adapters.strategies.load import check_strategy, load_strategy
from kernel.errors import StrategyError
from kernel.jit import COMPILED
from tests.adapters.strategies.writing import hook

FLOWS = {  # body: the name that may have no value, or ""
    "if self.n == 7:\n    q = 3\nreturn buy(q + 1)": "q",
    "for k in range(self.n):\n    q = k\nreturn buy(q)": "q",
    "for k in range(self.n):\n    pass\nreturn buy(k)": "k",
    "while self.n > 3:\n    q = 1\n    break\nreturn buy(q)": "q",
    "q += 1\nreturn buy(q)": "q",
    "if self.n > 1:\n    q = 1\nelif self.n > 2:\n    p = 1\nelse:\n    q = 2\nreturn buy(q)": "q",
    "total = [j for j in (1, 2)]\nreturn buy(j)": "j",
    "if self.n > 1:\n    q = 1\nelse:\n    return HOLD\nreturn buy(q)": "",
    "for k in range(3):\n    q = k\nreturn buy(q + k)": "",
    "for k in range(3):\n    if k == 1:\n        break\n    q = k\nreturn buy(q + k)": "q",
    "while True:\n    q = 1\n    if q > self.n:\n        break\nreturn buy(q)": "",
    "q = 1 if self.n > 2 else 2\nassert q > 0\nreturn buy(q)": "",
    "a, (b, c) = 1, (2, 3)\nreturn buy(sum([a * k for k in (b, c)]))": "",
}


@pytest.mark.parametrize("body", FLOWS)
def test_a_name_without_a_value(strategy_file, body):
    """Compiled code would read what happens to be there."""
    path = strategy_file(hook(body))
    if not FLOWS[body]:
        check_strategy(str(path))
        return
    with pytest.raises(StrategyError) as caught:
        check_strategy(str(path))
    place = re.match(
        rf"{re.escape(str(path))}:(\d+): {FLOWS[body]} may have no value on line \1: give it", str(caught.value)
    )
    assert place, caught.value
    assert FLOWS[body] in path.read_text().splitlines()[int(place[1]) - 1]


HELPERS = {  # helper, call of it: what is said
    ("def evil(me):\n    me.size = 7", "evil(self)"): "me.size is a parameter and stays as the run set it",
    ("def evil(a, b):\n    b.warming = 0", "evil(1, ctx)"): "b.warming is given, not set",
    ("def evil(b):\n    c = b\n    c.close = 1.0", "evil(b=bar)"): "c.close is given, not set",
    ("def evil(m):\n    m.value = 1.0", "evil(self.mean)"): "m.value is given, not set",
    ("def evil(w):\n    w[0] = 1.0", "evil(self.mean.window)"): "w is given, not set: take a copy() first",
    ("def evil(w):\n    part = w[1:]\n    part[0] += 1.0", "evil(self.mean.window)"): "part is given, not set",
    ("def evil(s):\n    return s.nope", "evil(self)"): "s.nope is not declared in Mine: add `nope = Float()`",
    ("def evil(b):\n    return b.clsoe", "evil(bar)"): "b.clsoe does not exist: did you mean b.close?",
    ("def evil(x):\n    return np.empty(3)[0]", "evil(1)"): "cannot use np.empty()",
    ("def evil(x):\n    if x > 1:\n        q = 1\n    return q", "evil(1)"): "q may have no value on line",
    ("def evil(x, kept=np.zeros(2)):\n    kept[0] = x", "evil(1.0)"): "evil(): the default of kept can be changed",
    (
        "def evil(x, *, kept=[0]):\n    kept[0] = x",
        "evil(1)",
    ): "and would be remembered from call to call: hand it over",
    ("def evil(x):\n    print(x)", "evil(1)"): "a strategy cannot use print()",
    ("def evil(x):\n    return [k for k in {1, 2}][0]", "evil(1)"): "evil cannot use a set",
    ("def evil(a):\n    return evil(a + 1.0) + 1.0", "evil(1.0)"): "evil -> evil: a function that calls itself",
    (
        "def evil(a):\n    return other(a)\n\n@helper\ndef other(a):\n    return evil(a)",
        "evil(1.0)",
    ): "evil -> other -> evil",
    ("def evil(*a):\n    return a[0]", "evil(1.0)"): "evil() cannot take * or **: name its arguments",
}


@pytest.mark.parametrize(("text", "call"), HELPERS)
def test_what_a_helper_may_not_do(strategy_file, text, call):
    """The same checks hold wherever a hook's call leads, whatever the names there."""
    path = strategy_file(hook(f"{call}\nreturn HOLD", before=f"import numpy as np\n@helper\n{text}\n"))
    with pytest.raises(StrategyError, match=re.escape(HELPERS[text, call])) as caught:
        check_strategy(str(path))
    assert re.match(rf"{re.escape(str(path))}:\d+: ", str(caught.value))


UNCOMPILED = {  # body, with the line the compiler stumbles over last: what is said
    "q = None\nif bar.close > 3:\n    q = 2\nreturn buy(q + 1)": "+ cannot take a number that may be None and a whole number",
    "xs = [0, 0]\nxs[0] = 2.5": "a list of whole numbers cannot take a float: begin it with floats, [0.0]",
    "w = self.mean.window ** 2": "arrays of floats take + - * / only: write a loop over their elements",
    "s = 5\nif bar.close > 3:\n    s = buy(1)\nreturn s": "s has two kinds of value",
    "return twice(3)": "Mine.on_bar returns twice(3), which is no signal: a hook returns one signal, HOLD or None",
}


@pytest.mark.skipif(not COMPILED, reason="only the compiler sees this")
@pytest.mark.parametrize("body", UNCOMPILED)
@pytest.mark.sim
def test_what_only_the_compiler_sees(strategy_file, body):
    """File, line and reason in a sentence; not the compiler's page."""
    path = strategy_file(hook(body, before="@helper\ndef twice(x):\n    return x * 2\n"))
    with pytest.raises(StrategyError) as caught:
        load_strategy(str(path))
    said = str(caught.value)
    place = re.match(rf"{re.escape(str(path))}:(\d+): ", said)
    assert place, said
    assert path.read_text().splitlines()[int(place[1]) - 1].strip() == body.splitlines()[-1].strip()
    assert UNCOMPILED[body] in said
    assert len(said) < 400
    assert "\n" not in said


def test_an_input_that_is_an_output_has_one_hash(strategy_file):
    """Not the place in memory of what it is an output of."""
    text = "    macd = Macd(5, 9, 4)\n    smooth = Ema(3, of=macd.{})\n    both = Correlation(3, against=macd.signal)\n"
    files = [str(strategy_file(hook("return HOLD", declared=text.format(output)))) for output in ("signal", "signal")]
    first, again = (check_strategy(file) for file in files)
    assert first.code_hash == again.code_hash
    assert "'of': 'macd.signal'" in first.reach.constants["mine.smooth"]
