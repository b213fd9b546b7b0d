"""Capital by strategy: what each may work with grows and shrinks by what it makes, whatever the others do."""

import pytest

from kernel.codes import Kind, Reason
from tests.kernel.play import bar, flat, make_engine, of, run_bars, units

SIZED = '''
@strategy
class Sized:
    """Half of its capital on the second bar, all of it on the fourth; keeps what it was told."""

    share = Param(0.5)
    bars = Int()
    capital = Float()
    equity = Float()

    def on_bar(self, bar, ctx):
        self.bars += 1
        self.capital, self.equity = ctx.capital, ctx.equity
        if self.bars == 2:
            return buy(qty_of_percent(ctx, self.share))
        if self.bars == 4:
            return buy(qty_of_percent(ctx, 1.0))
        return HOLD
'''
OVER, DENIED, FILLED = Reason.OVER_CAPITAL, int(Kind.ORDER_DENIED), int(Kind.ORDER_FILLED)


def engine_of(load, strategy_file, count: int, **limits):
    one = load(str(strategy_file(SIZED)))
    return make_engine([(one.program, one.params)] * count, instruments=[(0, 500, 1)], limits=limits)


def test_each_has_its_own(load, strategy_file):
    engine = engine_of(load, strategy_file, 2, capital=units(100_000), strategies={"2": {"capital": units(40_000)}})
    tape = run_bars(engine, [flat(t, 100.0) for t in (1, 2, 3)])
    assert sorted((int(e["strategy"]), int(e["qty"])) for e in of(tape, FILLED)) == [(1, 500), (2, 200)]
    assert [engine.memory_of(n)[0]["capital"] for n in (1, 2)] == [100_000.0, 40_000.0]
    run_bars(engine, [bar(4, 100.0, 110.0, 100.0, 110.0)])
    assert [engine.memory_of(n)[0]["capital"] for n in (1, 2)] == [105_000.0, 42_000.0]
    assert [engine.memory_of(n)[0]["equity"] for n in (1, 2)] == [1_007_000.0] * 2


@pytest.mark.parametrize(("close", "room"), [(120.0, 500 * 20), (100.0, 0), (60.0, -500 * 40)])
def test_what_it_made_counts(load, strategy_file, close, room):
    """All of its capital on top of the half it holds is too much, by the numbers the denial carries."""
    engine = engine_of(load, strategy_file, 1, capital=units(100_000))
    run_bars(engine, [flat(t, 100.0) for t in (1, 2, 3)])
    tape = run_bars(engine, [bar(4, 100.0, max(100.0, close), min(100.0, close), close)])
    [denied] = of(tape, DENIED)
    has = 100_000 + room
    asked = int(has / close)
    assert (denied["reason"], denied["allowed"]) == (OVER, units(has))
    worth = units(500 * close) + units(asked * close)
    assert worth <= denied["actual"] <= worth * 1.02, "a market order is valued with the market buffer"


def test_without_any_it_is_the_accounts(load, strategy_file):
    engine = engine_of(load, strategy_file, 1)
    run_bars(engine, [flat(t, 100.0) for t in (1, 2, 3)])
    assert engine.memory_of(1)[0]["capital"] == engine.memory_of(1)[0]["equity"] == 1_000_000.0


def test_closing_is_always_possible(load, strategy_file):
    text = SIZED.replace("buy(qty_of_percent(ctx, 1.0))", "sell(ctx.position)")
    one = load(str(strategy_file(text)))
    engine = make_engine([(one.program, one.params)], instruments=[(0, 500, 1)], limits={"capital": units(100_000)})
    tape = run_bars(engine, [*(flat(t, 100.0) for t in (1, 2, 3)), bar(4, 20.0, 20.0, 1.0, 1.0), flat(5, 1.0)])
    assert not len(of(tape, DENIED)) and len(of(tape, FILLED)) == 2
