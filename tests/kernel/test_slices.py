"""on_slice: a strategy sees all instruments at once, and what it aims at is carried out, what reduces first."""

import numpy as np
import pytest

from adapters.strategies.fault import explain_faults
from adapters.strategies.load import check_strategy
from kernel.codes import Flag, Kind, Reason
from kernel.errors import StrategyError
from tests.kernel.play import bar, check_books, flat, make_engine, market, of, run_bars, tape_digest

ROTATE = '''
@strategy
class Rotate:
    """All of the equity in the instrument that rose most since the slice before; what it saw is kept."""

    share = Param(0.9)
    mean = Ema(3)
    before = Float()
    rise = Float()
    seen = Int()
    slices = Int()

    def on_bar(self, bar, ctx):
        self.seen += 1
        return HOLD

    def on_slice(self, universe, ctx):
        self.slices += 1
        best, most = -1, -1e9
        for k in range(len(universe)):
            one = universe[k]
            one.rise = one.price / one.before - 1.0 if one.before > 0.0 and one.tradable and one.ready else -1e9
            if one.fresh:
                one.before = one.price
            if one.rise > most:
                best, most = one.instrument, one.rise
        for one in universe:
            order_target_percent(ctx, one, self.share if one.instrument == best else 0.0)
'''
INSTRUMENTS = [(k, 500, 1) for k in range(4)]
SIGNAL, FILLED, DENIED = int(Kind.SIGNAL), int(Kind.ORDER_FILLED), int(Kind.ORDER_DENIED)


def engine_of(one, **more):
    return make_engine([(one.program, one.params)], instruments=INSTRUMENTS, **more)


def test_what_reduces_comes_first(load, strategy_file):
    one = load(str(strategy_file(ROTATE)))
    engine = engine_of(one)
    tape = run_bars(engine, market(3, 120, 4))
    check_books(engine)
    assert engine.account.faults == 0 and len(of(tape, FILLED)) > 40
    signals = of(tape, SIGNAL)
    assert (signals["flags"] & Flag.ON_SLICE != 0).all() and (signals["order_type"] == 1).all()
    turned = 0
    for cause in np.unique(signals["cause"]):
        sides = signals["side"][signals["cause"] == cause].tolist()
        assert sides == sorted(sides), "the sale stands before the purchase"
        turned += len(set(sides)) > 1
    assert turned > 10
    last = tape[tape["kind"] == int(Kind.BAR)]["seq"]
    assert set(signals["cause"].tolist()) <= set(last.tolist())
    memory = engine.memory_of(1)
    assert memory["slices"].tolist()[-1] == len(np.unique(of(tape, int(Kind.BAR))["ts_init"]))
    assert memory["seen"][:-1].sum() > 0 and memory["seen"][-1] == 0


def test_an_aim_is_to_the_unit(load, strategy_file):
    """Half of a million at 100.05 in lots of 7, then at the next price what is missing of it."""
    text = ROTATE.replace("one.instrument == best", "one.instrument == 0").replace("Param(0.9)", "Param(0.5)")
    one = load(str(strategy_file(text)))
    engine = make_engine([(one.program, one.params)], instruments=[(0, 500, 7), (1, 500, 1)])
    slices = [[bar(t, px, px, px, px, 0, end=False), flat(t, 50, 1)] for t, px in ((1, 100.05), (2, 100.05), (3, 90.0))]
    tape = run_bars(engine, [row for rows in slices for row in rows])
    bought = [(int(s["side"]), int(s["qty"])) for s in of(tape, SIGNAL)]
    first = int(0.5 * 1_000_000 / 100.05) // 7 * 7
    equity = 1_000_000 + first * (90.0 - 100.05)
    assert bought == [(1, first), (1, int(0.5 * equity / 90.0) // 7 * 7 - first)]
    assert int(engine.state.positions["qty"].reshape(2, 2)[1, 0]) == first


@pytest.mark.parametrize("batch", [8, 64])
def test_pieces_change_nothing(load, strategy_file, batch):
    one = load(str(strategy_file(ROTATE)))
    whole, cut = engine_of(one), engine_of(one, batch=batch)
    bars = market(5, 90, 4)
    assert tape_digest(run_bars(whole, bars)) == tape_digest(run_bars(cut, bars))
    assert whole.digest() == cut.digest()


def test_it_is_rehearsed(load, strategy_file):
    """Recorded rows in the place of decisions leave the memory that the run left."""
    one = load(str(strategy_file(ROTATE)))
    ran, again = engine_of(one), engine_of(one)
    tape = run_bars(ran, market(5, 60, 4))
    assert again.rehearse(tape) == 0
    assert again.memory_of(1).tobytes() == ran.memory_of(1).tobytes()
    assert again.digest() == ran.digest()
    other = load(str(strategy_file(ROTATE.replace("Param(0.9)", "Param(0.4)"), "other.py")))
    different = make_engine([(other.program, {"share": 0.0})], instruments=INSTRUMENTS)
    assert different.rehearse(tape) > 10


def test_its_fault_is_found(load, strategy_file):
    path = strategy_file(ROTATE.replace("best, most = -1, -1e9", "best, most = -1, 1 // (self.slices - 3)"))
    one, other = load(str(path)), load("buy_and_hold")
    engine = make_engine([(one.program, one.params), (other.program, other.params)], instruments=INSTRUMENTS)
    tape = run_bars(engine, market(5, 20, 4))
    [fault] = of(tape, int(Kind.STRATEGY_FAULT))
    assert (fault["instrument"], fault["reason"], fault["strategy"]) == (-1, Reason.EXCEPTION, 1)
    [said] = explain_faults(engine, [one, other])
    assert "mine.py:" in said and "ZeroDivisionError" in said and "best, most" in said
    assert not engine.memory_of(1)["aimed"].any()


def test_signals_of_it_name_their_instrument(load, strategy_file):
    text = ROTATE.replace(
        "        for one in universe:\n", "        place(ctx, buy(3, instrument=1))\n        return buy(5)\n", 1
    )
    text = text[: text.index("            order_target_percent")]
    engine = engine_of(load(str(strategy_file(text))))
    tape = run_bars(engine, [flat(1, 10, 0, end=False), flat(1, 20, 1)])
    assert [(int(s["instrument"]), int(s["qty"])) for s in of(tape, SIGNAL)] == [(1, 3), (-1, 5)]
    [denied] = of(tape, DENIED)
    assert denied["reason"] == Reason.UNKNOWN_INSTRUMENT


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("one.before = one.price", "one.price = 1.0", r"one.price is given, not set"),
        ("one.before = one.price", "one.mean.value = 1.0", r"is given, not set"),
        ("one.before = one.price", "universe[k].before = 1.0", r"set it through self|give"),
        ("one.tradable and", "one.tradeble and", r"one.tradeble does not exist: did you mean one.tradable"),
        ("order_target_percent(ctx, one,", "order_target_percent(ctx, self,", r"takes one of the universe"),
        ("order_target_percent(ctx, one,", "order_target_percent(one, one,", r"takes ctx first"),
        ("    seen = Int()", "    seen = Int()\n    price = Float()", r"price is a name Onetape uses itself"),
    ],
)
def test_what_it_may_not_do(strategy_file, old, new, says):
    text = ROTATE.replace(old, new)
    assert text != ROTATE
    with pytest.raises(StrategyError, match=rf"mine\.py:\d+.*({says})"):
        check_strategy(str(strategy_file(text)))
