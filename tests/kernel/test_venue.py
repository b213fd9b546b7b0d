"""The simulated exchange: one row per rule of kernel/venue.py, on both sides, at, just inside and just outside.

Every case is one scripted order placed at the close of a first bar at 100, and the bars it then meets.
"""

import pytest

from kernel.codes import Kind, Origin, Reason, Status
from tests.kernel.play import (
    IOC,
    LIMIT,
    MARKET,
    MINUTE,
    STOP,
    STOP_LIMIT,
    TICK,
    bar,
    cancel_order,
    check_books,
    fills,
    flat,
    of,
    order,
    run_bars,
    script,
    split,
    units,
    words,
)

BUY, SELL = 1, -1
UP = 0.05  # a tick


def met(scripted, signal, *bars, first=100.0):
    """The tape of one order placed at the close of a flat first bar and then meeting (o, h, l, c) bars."""
    engine = scripted()
    script(engine, 1, 0, [(1, signal)])
    tape = run_bars(engine, [flat(1, first)] + [bar(2 + k, *prices) for k, prices in enumerate(bars)])
    check_books(engine)
    return engine, tape


# order, bars it meets, [(bar, px)] of its fill: nothing is [] and bar 2 is the first it meets
CASES = {
    # MARKET: the next open, whatever the bar does
    "market buys at the next open": (order(BUY, 10), [(101, 105, 90, 95)], [(2, 101)]),
    "market sells at the next open": (order(SELL, 10), [(101, 105, 90, 95)], [(2, 101)]),
    "market fills far from the mark": (order(BUY, 10), [(150, 150, 150, 150)], [(2, 150)]),
    # LIMIT: open when as good or better, else only through
    "buy limit, open below": (order(BUY, 1, LIMIT, 99), [(98, 99, 97, 98)], [(2, 98)]),
    "buy limit, open at it": (order(BUY, 1, LIMIT, 99), [(99, 101, 99, 100)], [(2, 99)]),
    "buy limit touched": (order(BUY, 1, LIMIT, 99), [(100, 101, 99, 100)], []),
    "buy limit traded through by a tick": (order(BUY, 1, LIMIT, 99), [(100, 101, 99 - UP, 100)], [(2, 99)]),
    "buy limit missed by a tick": (order(BUY, 1, LIMIT, 99), [(100, 101, 99 + UP, 100)], []),
    "buy limit rests": (order(BUY, 1, LIMIT, 99), [(100, 101, 99, 100), (100, 100, 98, 99)], [(3, 99)]),
    "sell limit, open above": (order(SELL, 1, LIMIT, 101), [(102, 103, 101, 102)], [(2, 102)]),
    "sell limit, open at it": (order(SELL, 1, LIMIT, 101), [(101, 101, 99, 100)], [(2, 101)]),
    "sell limit touched": (order(SELL, 1, LIMIT, 101), [(100, 101, 99, 100)], []),
    "sell limit traded through by a tick": (order(SELL, 1, LIMIT, 101), [(100, 101 + UP, 99, 100)], [(2, 101)]),
    "sell limit missed by a tick": (order(SELL, 1, LIMIT, 101), [(100, 101 - UP, 99, 100)], []),
    # STOP_MARKET: open on a gap, else the trigger once touched
    "buy stop, open above": (order(BUY, 1, STOP, 0, 102), [(103, 104, 101, 102)], [(2, 103)]),
    "buy stop, open at it": (order(BUY, 1, STOP, 0, 102), [(102, 104, 101, 102)], [(2, 102)]),
    "buy stop touched": (order(BUY, 1, STOP, 0, 102), [(100, 102, 99, 100)], [(2, 102)]),
    "buy stop missed by a tick": (order(BUY, 1, STOP, 0, 102), [(100, 102 - UP, 99, 100)], []),
    "sell stop, open below": (order(SELL, 1, STOP, 0, 98), [(97, 99, 96, 98)], [(2, 97)]),
    "sell stop, open at it": (order(SELL, 1, STOP, 0, 98), [(98, 99, 96, 98)], [(2, 98)]),
    "sell stop touched": (order(SELL, 1, STOP, 0, 98), [(100, 102, 98, 100)], [(2, 98)]),
    "sell stop missed by a tick": (order(SELL, 1, STOP, 0, 98), [(100, 102, 98 + UP, 100)], []),
    "sell stop rests": (order(SELL, 1, STOP, 0, 98), [(100, 100, 99, 99), (90, 91, 89, 90)], [(3, 90)]),
    # STOP_LIMIT set off by touch: at the trigger if the limit allows that, else not before the next bar
    "buy stop limit, touched, limit above": (order(BUY, 1, STOP_LIMIT, 103, 102), [(100, 104, 99, 100)], [(2, 102)]),
    "buy stop limit, touched, limit at it": (order(BUY, 1, STOP_LIMIT, 102, 102), [(100, 104, 99, 100)], [(2, 102)]),
    "buy stop limit, touched, limit below": (order(BUY, 1, STOP_LIMIT, 101, 102), [(100, 104, 99, 100)], []),
    "buy stop limit, touched, filled next bar": (
        order(BUY, 1, STOP_LIMIT, 101, 102),
        [(100, 104, 99, 103), (103, 103, 100, 101)],
        [(3, 101)],
    ),
    "buy stop limit, not touched": (order(BUY, 1, STOP_LIMIT, 103, 102), [(100, 102 - UP, 99, 100)], []),
    "sell stop limit, touched, limit below": (order(SELL, 1, STOP_LIMIT, 97, 98), [(100, 101, 96, 100)], [(2, 98)]),
    "sell stop limit, touched, limit at it": (order(SELL, 1, STOP_LIMIT, 98, 98), [(100, 101, 96, 100)], [(2, 98)]),
    "sell stop limit, touched, limit above": (order(SELL, 1, STOP_LIMIT, 99, 98), [(100, 101, 96, 100)], []),
    "sell stop limit, touched, filled next bar": (
        order(SELL, 1, STOP_LIMIT, 99, 98),
        [(100, 101, 96, 97), (97, 99 + UP, 97, 98)],
        [(3, 99)],
    ),
    "sell stop limit, not touched": (order(SELL, 1, STOP_LIMIT, 97, 98), [(100, 102, 98 + UP, 100)], []),
    # STOP_LIMIT set off by the open: a limit order for the whole bar
    "buy stop limit, gap within the limit": (order(BUY, 1, STOP_LIMIT, 105, 102), [(104, 106, 103, 105)], [(2, 104)]),
    "buy stop limit, gap past it, comes back": (
        order(BUY, 1, STOP_LIMIT, 103, 102),
        [(104, 106, 103 - UP, 105)],
        [(2, 103)],
    ),
    "buy stop limit, gap past it, touches it": (order(BUY, 1, STOP_LIMIT, 103, 102), [(104, 106, 103, 105)], []),
    "buy stop limit, gap past it, later": (
        order(BUY, 1, STOP_LIMIT, 103, 102),
        [(104, 106, 104, 105), (101, 102, 100, 101)],
        [(3, 101)],
    ),
    "sell stop limit, gap within the limit": (order(SELL, 1, STOP_LIMIT, 95, 98), [(96, 97, 94, 95)], [(2, 96)]),
    "sell stop limit, gap past it, comes back": (
        order(SELL, 1, STOP_LIMIT, 97, 98),
        [(96, 97 + UP, 94, 95)],
        [(2, 97)],
    ),
    "sell stop limit, gap past it, touches it": (order(SELL, 1, STOP_LIMIT, 97, 98), [(96, 97, 94, 95)], []),
    # IOC: its first bar or never
    "ioc limit fills at once": (order(BUY, 1, LIMIT, 99, tif=IOC), [(98.5, 100, 98, 99)], [(2, 98.5)]),
    "ioc limit takes no later price": (order(BUY, 1, LIMIT, 99, tif=IOC), [(100, 100, 98, 99)], []),
    "ioc limit does not wait": (order(BUY, 1, LIMIT, 99, tif=IOC), [(100, 100, 99, 99), (90, 90, 90, 90)], []),
    "ioc market fills": (order(SELL, 1, MARKET, tif=IOC), [(99, 100, 98, 99)], [(2, 99)]),
}


@pytest.mark.parametrize("name", CASES)
def test_rule(scripted, name):
    signal, bars, expected = CASES[name]
    engine, tape = met(scripted, signal, *bars)
    assert fills(tape) == [(minute, signal.side * signal.qty, px) for minute, px in expected]
    ended = bool(expected) or signal.tif == IOC
    assert engine.account.open_orders == (0 if ended else 1)
    if signal.tif == IOC and not expected:
        gone = of(tape, Kind.ORDER_CANCELED)[0]
        assert (gone["reason"], gone["ts_event"]) == (Reason.NOT_FILLED_AT_ONCE, 2 * MINUTE)
        assert engine.purse.reserved == 0


@pytest.mark.parametrize("name", [n for n, (signal, *_) in CASES.items() if "stop limit" in n])
def test_a_stop_limit_says_when_it_was_set_off(scripted, name):
    signal, bars, _ = CASES[name]
    _, tape = met(scripted, signal, *bars)
    told = of(tape, Kind.ORDER_TRIGGERED)
    if "not touched" in name:
        assert len(told) == 0
    else:
        assert [(e["ts_event"] // MINUTE, e["status"]) for e in told] == [(2, Status.TRIGGERED)]


def test_the_life_of_a_fill_on_the_tape(scripted):
    engine = scripted(fee_rate=1_000_000)  # 0.1 %
    script(engine, 1, 0, [(1, order(BUY, 10, strength=0.5))])
    tape = run_bars(engine, [flat(1, 100), bar(2, 101, 105, 90, 95)])
    assert words(tape) == ["BAR", "SIGNAL", "ORDER_SUBMITTED", "BAR", "ORDER_FILLED"]
    assert tape["seq"].tolist() == [1, 2, 3, 4, 5]
    assert tape["cause"].tolist() == [0, 1, 2, 0, 4], "a fill's cause is the bar, an order's the signal"
    assert tape["origin"].tolist() == [
        Origin.EXTERNAL, Origin.KERNEL, Origin.KERNEL, Origin.EXTERNAL, Origin.VENUE_SIM
    ]  # fmt: skip
    signal, submitted, fill = tape[1], tape[2], tape[4]
    assert (signal["value"], signal["qty"], signal["side"]) == (0.5, 10, 1)
    assert submitted["order_id"] == submitted["seq"] == fill["order_id"] == 3
    assert (submitted["ref"], submitted["parent"], submitted["status"]) == (0, 0, Status.SUBMITTED)
    assert submitted["reserve_px"] == units(100)
    assert (fill["qty"], fill["px"], fill["cum_qty"], fill["leaves_qty"]) == (10, units(101), 10, 0)
    assert (fill["fee"], fill["status"], fill["strategy"]) == (units(1.01), Status.FILLED, 1)
    assert (fill["ts_event"], fill["ts_init"]) == (2 * MINUTE, 2 * MINUTE), "a fill is known when its bar is"


def test_an_order_never_meets_the_bar_that_caused_it(scripted):
    """The bar's range would fill the limit; only a bar that opens later may."""
    engine = scripted()
    script(engine, 1, 0, [(1, order(BUY, 1, LIMIT, 99))])
    tape = run_bars(engine, [bar(1, 100, 101, 90, 100), bar(2, 100, 101, 99, 100)])
    assert fills(tape) == []


@pytest.mark.parametrize(("minutes", "expected"), [(1, [(3, 1, 100.0)]), (1.0001, []), (2, [])])
def test_a_bar_that_opened_before_the_order_does_not_fill_it(scripted, minutes, expected):
    """The order is of minute 2; a bar that closes at 3 meets it only if it opened at 2 or later."""
    engine = scripted()
    script(engine, 1, 0, [(1, order(BUY, 1))])
    tape = run_bars(engine, [flat(2, 100), flat(3, 100, minutes=minutes)])
    assert fills(tape) == expected


def test_ioc_is_not_cancelled_by_a_bar_it_could_not_meet(scripted):
    engine = scripted()
    script(engine, 1, 0, [(1, order(BUY, 1, LIMIT, 99, tif=IOC))])
    tape = run_bars(engine, [flat(2, 100), flat(3, 100, minutes=2), flat(4, 98)])
    assert fills(tape) == [(4, 1, 98.0)]


def test_the_loss_comes_first(scripted):
    """A bar that could hit the stop and the limit: the stop fills before, though it was placed after."""
    engine = scripted()
    script(
        engine,
        1,
        0,
        [(1, order(BUY, 10)), (2, order(SELL, 10, LIMIT, 110)), (2, order(SELL, 10, STOP, 0, 90))],
    )
    tape = run_bars(engine, [flat(1, 100), flat(2, 100), bar(3, 100, 120, 80, 100)])
    assert fills(tape) == [(2, 10, 100.0), (3, -10, 90.0), (3, -10, 110.0)]


def test_market_then_stops_then_limits_each_oldest_first(scripted):
    engine = scripted()
    placed = [
        order(SELL, 1, LIMIT, 101),
        order(BUY, 2, STOP, 0, 101),
        order(BUY, 3),
        order(SELL, 4, LIMIT, 102),
        order(SELL, 5, STOP, 0, 99),
        order(SELL, 6),
    ]
    script(engine, 1, 0, [(1, one) for one in placed])
    tape = run_bars(engine, [flat(1, 100), bar(2, 100, 103, 98, 100)])
    assert [abs(qty) for _, qty, _ in fills(tape)] == [3, 6, 2, 5, 1, 4]
    check_books(engine)


def test_orders_of_other_instruments_rest(scripted):
    engine = scripted(instruments=((0, TICK, 1), (1, TICK, 1)))
    script(engine, 1, 0, [(1, order(BUY, 1))])
    script(engine, 1, 1, [(1, order(BUY, 2))])
    tape = run_bars(engine, [flat(1, 100, 0, end=False), flat(1, 50, 1), flat(2, 51, 1), flat(3, 101, 0)])
    assert fills(tape) == [(2, 2, 51.0), (3, 1, 101.0)]


def test_resting_orders_are_accepted_and_market_orders_just_fill(scripted):
    engine = scripted()
    script(engine, 1, 0, [(1, order(BUY, 1, LIMIT, 90)), (1, order(BUY, 1))])
    tape = run_bars(engine, [flat(1, 100)])
    assert words(tape)[1:] == ["SIGNAL", "ORDER_SUBMITTED", "ORDER_ACCEPTED", "SIGNAL", "ORDER_SUBMITTED"]
    accepted = of(tape, Kind.ORDER_ACCEPTED)[0]
    assert (accepted["cause"], accepted["origin"], accepted["px"]) == (3, Origin.VENUE_SIM, units(90))


def test_without_simulation_nothing_is_answered(scripted):
    engine = scripted(simulate=0)
    script(engine, 1, 0, [(1, order(BUY, 1, LIMIT, 90)), (1, order(BUY, 1)), (2, cancel_order())])
    tape = run_bars(engine, [flat(1, 100), flat(2, 50)])
    assert set(tape["origin"].tolist()) == {Origin.EXTERNAL, Origin.KERNEL}
    assert words(tape)[-2:] == ["ORDER_CANCEL_SUBMITTED"] * 2
    assert engine.account.open_orders == 2
    assert set(engine.state.orders["status"][:2].tolist()) == {Status.PENDING_CANCEL}


class TestCancel:
    def test_all_of_this_strategy_here(self, scripted):
        engine = scripted(2, instruments=((0, TICK, 1), (1, TICK, 1)))
        for strategy in (1, 2):
            for instrument in (0, 1):
                script(engine, strategy, instrument, [(1, order(BUY, 1, LIMIT, 90)), (1, order(BUY, 2, LIMIT, 91))])
        run_bars(engine, [flat(1, 100, 0, end=False), flat(1, 100, 1)])
        held = engine.purse.reserved
        script(engine, 1, 0, [(2, cancel_order())])
        tape = run_bars(engine, [flat(2, 100, 0, end=False), flat(2, 100, 1)])
        assert words(tape)[2:] == ["SIGNAL"] + ["ORDER_CANCEL_SUBMITTED", "ORDER_CANCELED"] * 2
        asked, gone = of(tape, Kind.ORDER_CANCEL_SUBMITTED), of(tape, Kind.ORDER_CANCELED)
        assert (asked["cause"] == tape[2]["seq"]).all()
        assert gone["cause"].tolist() == asked["seq"].tolist()
        assert set(gone["reason"].tolist()) == {Reason.REQUESTED}
        assert (gone["leaves_qty"] + gone["cum_qty"] == gone["qty"]).all()
        assert engine.account.open_orders == 6
        assert held - engine.purse.reserved == units(90 + 182)
        check_books(engine)

    def test_one_by_its_id(self, scripted):
        engine = scripted()
        script(engine, 1, 0, [(1, order(BUY, 1, LIMIT, 90)), (1, order(BUY, 2, LIMIT, 91))])
        first, second = of(run_bars(engine, [flat(1, 100)]), Kind.ORDER_SUBMITTED)["order_id"].tolist()
        script(engine, 1, 0, [(2, cancel_order(second))])
        tape = run_bars(engine, [flat(2, 100)])
        assert of(tape, Kind.ORDER_CANCELED)["order_id"].tolist() == [second]
        assert engine.account.open_orders == 1
        tape = run_bars(engine, [bar(3, 100, 100, 80, 85)])
        assert of(tape, Kind.ORDER_FILLED)["order_id"].tolist() == [first]

    def test_of_anothers_order_or_of_none_does_nothing(self, scripted):
        engine = scripted(2)
        script(engine, 1, 0, [(1, order(BUY, 1, LIMIT, 90))])
        (theirs,) = of(run_bars(engine, [flat(1, 100)]), Kind.ORDER_SUBMITTED)["order_id"].tolist()
        script(engine, 2, 0, [(2, cancel_order(theirs)), (2, cancel_order(999)), (2, cancel_order())])
        tape = run_bars(engine, [flat(2, 100)])
        assert words(tape) == ["BAR", "SIGNAL", "SIGNAL", "SIGNAL"]
        assert engine.account.open_orders == 1

    def test_and_place_in_one_call_frees_what_was_reserved(self, scripted):
        """The cancel is folded in before the next signal is checked: the whole cash is free again."""
        engine = scripted(cash=100)
        script(engine, 1, 0, [(1, order(BUY, 1, LIMIT, 100)), (2, cancel_order()), (2, order(BUY, 1, LIMIT, 99))])
        tape = run_bars(engine, [flat(1, 101), flat(2, 101)])
        assert len(of(tape, Kind.ORDER_DENIED)) == 0
        assert engine.purse.reserved == units(99)


class TestSplit:
    def restated(self, scripted, signal, numerator, denominator, *, tick=TICK, px=100.0):
        engine = scripted(instruments=((0, tick, 1),), cash=1e11)
        script(engine, 1, 0, [(1, signal)])
        tape = run_bars(engine, [flat(1, px), split(2, numerator, denominator)])
        check_books(engine)
        return engine, tape[-1]

    @pytest.mark.parametrize(
        ("signal", "ratio", "expected"),
        [  # (qty, px, trigger) after the split, px in currency
            (order(BUY, 10, LIMIT, 98), (2, 1), (20, 49, 0)),
            (order(BUY, 7, LIMIT, 98), (3, 2), (10, 65.35, 0)),  # 65.333.. to the tick of 0.05
            (order(BUY, 7, LIMIT, 98.05), (2, 1), (14, 49.05, 0)),  # 49.025: a tie goes up
            (order(SELL, 4, STOP, 0, 90), (4, 1), (16, 0, 22.5)),
            (order(BUY, 9, STOP_LIMIT, 111, 110), (1, 2), (4, 222, 220)),
            (order(BUY, 5), (3, 1), (15, 0, 0)),
        ],
    )
    def test_restates_quantity_and_prices(self, scripted, signal, ratio, expected):
        engine, e = self.restated(scripted, signal, *ratio)
        assert (e["kind"], e["origin"]) == (Kind.ORDER_RESTATED, Origin.VENUE_SIM)
        assert (e["qty"], e["px"], e["trigger_px"]) == (expected[0], units(expected[1]), units(expected[2]))
        assert (e["leaves_qty"], e["cum_qty"]) == (expected[0], 0)
        assert e["cause"] == e["seq"] - 1, "the split is the cause"
        row = engine.state.orders[engine.state.orders["order_id"] == e["order_id"]][0]
        assert (row["qty"], row["leaves_qty"], row["px"], row["trigger_px"]) == (
            e["qty"], e["qty"], e["px"], e["trigger_px"]
        )  # fmt: skip
        assert row["status"] == (Status.SUBMITTED if signal.order_type == MARKET else Status.ACCEPTED)

    @pytest.mark.parametrize(
        ("signal", "ratio", "tick"),
        [
            (order(BUY, 2, LIMIT, 98), (1, 3), TICK),  # less than one share is left
            (order(BUY, 2, LIMIT, 0.05), (100, 1), TICK),  # a price below half a tick
            (order(BUY, 2, STOP_LIMIT, 200, 0.05), (100, 1), TICK),
            (order(BUY, 1_000, LIMIT, 8e6), (1, 1_000), TICK),  # beyond what a price may be
        ],
    )
    def test_that_leaves_nothing_cancels(self, scripted, signal, ratio, tick):
        engine, e = self.restated(scripted, signal, *ratio, tick=tick, px=8e6 if signal.price > 1e6 else 100.0)
        assert (e["kind"], e["reason"]) == (Kind.ORDER_CANCELED, Reason.SPLIT_LEFT_NOTHING)
        assert (e["qty"], e["leaves_qty"], e["px"]) == (signal.qty, signal.qty, units(signal.price))
        assert engine.account.open_orders == engine.purse.reserved == 0

    def test_then_fills_in_new_shares(self, scripted):
        engine = scripted()
        script(engine, 1, 0, [(1, order(BUY, 10, LIMIT, 98))])
        tape = run_bars(engine, [flat(1, 100), split(2, 2, 1), bar(3, 50, 50, 48, 49)])
        assert fills(tape) == [(3, 20, 49.0)]
        assert engine.purse.reserved == 0
        check_books(engine)

    def test_a_strategys_prices_are_adjusted_and_an_orders_are_raw(self, scripted):
        """After 2:1 the strategy still sees 100; its limit of 98 is an order at 49."""
        engine = scripted()
        placed = [order(BUY, 1, LIMIT, 98), order(SELL, 1, STOP, 0, 90), order(BUY, 1, STOP_LIMIT, 112, 110)]
        script(engine, 1, 0, [(2, one) for one in placed])
        tape = run_bars(engine, [flat(1, 100), split(2, 2, 1), flat(3, 50)])
        for kind in (Kind.SIGNAL, Kind.ORDER_SUBMITTED):
            rows = of(tape, kind)
            assert rows["px"].tolist() == [units(49), 0, units(56)]
            assert rows["trigger_px"].tolist() == [0, units(45), units(55)]

    def test_leaves_other_instruments_alone(self, scripted):
        engine = scripted(instruments=((0, TICK, 1), (1, TICK, 1)))
        script(engine, 1, 0, [(1, order(BUY, 10, LIMIT, 98))])
        tape = run_bars(engine, [flat(1, 100, 0, end=False), flat(1, 100, 1), split(2, 2, 1, instrument=1)])
        assert words(tape)[-1] == "SPLIT"
        assert engine.state.orders["qty"].max() == 10
