"""A strategy that looks at the regime anywhere in its code has the run tell them."""

import pytest

ASKS = {
    "a hook": "def on_bar(self, bar, ctx):\n        return HOLD if ctx.regime == 1 else None\n",
    "a comprehension": "def on_slice(self, universe, ctx):\n        [one for one in universe if one.direction > 0]\n",
    "a method": "def on_bar(self, bar, ctx):\n        return self.judge(ctx)\n\n"
    "    def judge(self, ctx):\n        return HOLD if ctx.regime == 1 else None\n",
    "a function": "def on_bar(self, bar, ctx):\n        return judge(ctx)\n\n\n"
    "def judge(ctx):\n    return HOLD if ctx.regime == 1 else None\n",
    "nothing": "def on_bar(self, bar, ctx):\n        return None\n",
}
HELPED = """@helper
def calm(ctx):
    return ctx.regime == 2


@helper
def quiet(ctx):
    return calm(ctx)


@strategy
class Helped:
    def on_bar(self, bar, ctx):
        return buy(1) if quiet(ctx) else HOLD
"""


@pytest.mark.parametrize("where", ASKS)
def test_in_plain_python(load, strategy_file, where):
    path = strategy_file("class Asks(PythonStrategy):\n    " + ASKS[where], f"{where.replace(' ', '_')}.py")
    assert load(f"{path}:Asks").program.definition.reads_regime == (where != "nothing")


def test_in_a_helper_of_a_helper(load, strategy_file):
    assert load(f"{strategy_file(HELPED)}:Helped").program.definition.reads_regime
