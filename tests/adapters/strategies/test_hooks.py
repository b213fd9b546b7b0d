"""What hooks may do, and what comes of it."""

import pytest

from adapters.strategies.load import built_in_names
from kernel.codes import Kind, Product
from tests.adapters.strategies.writing import bought, hook, played
from tests.kernel.play import check_books, flat, market, of, order, run_bars, script

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


ELSEWHERE = """
@strategy
class Mine:
    def on_bar(self, bar, ctx):
        if ctx.instrument == 0 and ctx.working == 0:
            return buy_limit(1, bar.close - 5.0)
        if ctx.instrument == 1:
            cancel(ctx, instrument=0)
"""


def test_cancel_in_another_instrument(load, strategy_file):
    one = load(str(strategy_file(ELSEWHERE)))
    _, tape = played(one, stream=[flat(1, 10, 0), flat(2, 10, 1)], instruments=2)
    (canceled,) = of(tape, Kind.ORDER_CANCELED)
    assert canceled["instrument"] == 0


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


NEED_OPTIONS = {"premium_signal"}  # tests/kernel/test_premium_signal.py has a market for it


@pytest.mark.parametrize("name", sorted({*built_in_names()} - NEED_OPTIONS))
def test_built_in_strategies_trade(load, name):
    one = load(name)
    assert one.origin == name
    engine, tape = played(one, stream=market(31, 400, instruments=2), instruments=2)
    assert len(of(tape, Kind.ORDER_FILLED)) >= 2
    assert engine.account.faults == 0
    assert one.definition.owner.__doc__


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


def test_two_strategies_on_the_same_account(load, scripted):
    """A built-in beside the scripted one of the kernel's tests; each has its own numbers."""
    engine = scripted(2)
    script(engine, 2, 0, [(1, order(1, 3))])
    tape = run_bars(engine, [flat(1, 10)])
    assert of(tape, Kind.SIGNAL)["strategy"].tolist() == [2]


PRODUCTS = """
@strategy
class Mine:
    n = Int()

    def on_bar(self, bar, ctx):
        self.n += 1
        if self.n == 1:
            bracket(ctx, with_product(buy(3), INTRADAY), stop_loss=9.0, take_profit=12.0)
        if self.n == 2:
            when_filled(ctx, with_product(buy(2), INTRADAY), sell_limit(2, 12.0))
        return HOLD
"""


def test_exits_are_of_the_product_of_their_entry(load, strategy_file):
    """A position has one product: exits that named none were refused, and took their entry with them."""
    engine, tape = played(
        load(str(strategy_file(PRODUCTS))), stream=[flat(1, 10), flat(2, 10), flat(3, 10), flat(4, 13)]
    )
    assert engine.account.denied == 0
    assert [int(e["side"] * e["qty"]) for e in of(tape, Kind.ORDER_FILLED)] == [3, 2, -3, -2]
    assert set(of(tape, Kind.SIGNAL)["product"].tolist()) == {int(Product.INTRADAY)}
