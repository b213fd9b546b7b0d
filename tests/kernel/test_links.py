"""Orders that hang together: brackets, pairs, reduce-only; changes of orders; slices of what is too large for one.

Prices are in currency. Every tape is checked against the conservation laws after it.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.codes import Flag, Kind, OrderType, Reason, Status, TimeInForce, TimerCode
from tests.kernel.play import (
    IOC,
    LIMIT,
    MARKET,
    MINUTE,
    STOP,
    TICK,
    bar,
    cancel_order,
    change_order,
    check_books,
    event,
    fills,
    flat,
    of,
    order,
    run_bars,
    script,
    units,
    words,
)

BUY, SELL = 1, -1
HELD, OCO, REDUCE_ONLY = int(Flag.HELD), int(Flag.OCO), int(Flag.REDUCE_ONLY)
TRAILING = OrderType.TRAILING_STOP


def met(tape):
    """(bar, price) of the fills."""
    return [(t, px) for t, _, px in fills(tape)]


def played(scripted, asked, *bars, **settings):
    """The tape of what strategy 1 asks for at bars, (number, signal); checked after every event."""
    engine = scripted(**settings)
    script(engine, 1, 0, asked)
    tape = run_bars(engine, list(bars))
    check_books(engine)
    return engine, tape


def bracket(entry, stop=98.0, profit=103.0, trail=0.0):
    """The three intents of a bracket at the first bar."""
    exits = [(1, order(-entry.side, entry.qty, STOP, 0, stop, flags=HELD | OCO, link=1))] if stop else []
    if trail:
        exits += [(1, order(-entry.side, entry.qty, TRAILING, trail=trail, flags=HELD | OCO, link=1))]
    if profit:
        exits += [(1, order(-entry.side, entry.qty, LIMIT, profit, flags=HELD | OCO, link=1))]
    return [(1, entry), *exits]


# Brackets: bars after the first (flat at 100) -> (bar, px) of the fills, for a market entry of 10 at the open of bar 2
BRACKETS = {
    "nothing met": ([(100, 101, 99, 100)], [(2, 100)]),
    "stop in the bar of the entry": ([(100, 101, 97, 100)], [(2, 100), (2, 98)]),
    "profit in the bar of the entry": ([(100, 104, 99, 103)], [(2, 100), (2, 103)]),
    "both in the bar of the entry: the loss": ([(100, 104, 97, 100)], [(2, 100), (2, 98)]),
    "profit touched is not met": ([(100, 103, 99, 103)], [(2, 100)]),
    "both later: the loss": ([(100, 101, 99, 100), (100, 105, 95, 100)], [(2, 100), (3, 98)]),
    "profit at a gap": ([(100, 101, 99, 100), (105, 106, 104, 105)], [(2, 100), (3, 105)]),
    "stop at a gap": ([(100, 101, 99, 100), (95, 96, 94, 95)], [(2, 100), (3, 95)]),
    "entry beyond the stop": ([(97, 99, 96, 98)], [(2, 97), (2, 97)]),
}


@pytest.mark.parametrize("name", BRACKETS)
def test_brackets(scripted, name):
    bars, expected = BRACKETS[name]
    stream = [flat(1, 100), *(bar(2 + k, *prices) for k, prices in enumerate(bars)), bar(9, 100, 120, 80, 100)]
    engine, tape = played(scripted, bracket(order(BUY, 10)), *stream)
    if len(expected) == 1:  # the last bar does what the others did not
        expected = [*expected, (9, 98)]
    assert met(tape) == expected
    assert engine.account.open_orders == 0, "the other of the pair is canceled"
    ended = of(tape, Kind.ORDER_CANCELED)
    assert ended["reason"].tolist() == [Reason.ONE_CANCELS_OTHER]


def test_a_limit_entry_touched_within_a_bar_has_its_stop_and_not_its_profit_in_that_bar(scripted):
    """Whether the high or the low came after the entry is unknown: the stop counts, the profit does not."""
    asked = bracket(order(BUY, 10, LIMIT, 99.5))
    _, tape = played(scripted, asked, flat(1, 100), bar(2, 100, 104, 99, 103), bar(3, 103.5, 104, 103, 103.5))
    assert met(tape) == [(2, 99.5), (3, 103.5)]
    _, tape = played(scripted, asked, flat(1, 100), bar(2, 100, 104, 97, 103))
    assert met(tape) == [(2, 99.5), (2, 98)]


def test_the_life_of_a_bracket_on_the_tape(scripted):
    _, tape = played(scripted, bracket(order(BUY, 10)), flat(1, 100), bar(2, 100, 101, 99, 100), flat(3, 104))
    assert words(tape) == [
        "BAR", "SIGNAL", "ORDER_SUBMITTED", "SIGNAL", "ORDER_SUBMITTED", "SIGNAL", "ORDER_SUBMITTED",
        "BAR", "ORDER_FILLED", "ORDER_RELEASED", "ORDER_ACCEPTED", "ORDER_RELEASED", "ORDER_ACCEPTED",
        "BAR", "ORDER_FILLED", "ORDER_CANCEL_SUBMITTED", "ORDER_CANCELED",
    ]  # fmt: skip
    entry, stop, profit = of(tape, Kind.ORDER_SUBMITTED)
    assert stop["status"] == profit["status"] == Status.PENDING_NEW
    assert stop["parent"] == profit["parent"] == entry["order_id"]
    assert (of(tape, Kind.ORDER_RELEASED)["cause"] == of(tape, Kind.ORDER_FILLED)["seq"][0]).all()


@pytest.mark.parametrize("reason", ["canceled", "ioc", "denied"])
def test_what_waits_for_an_entry_that_is_gone_goes_too(scripted, reason):
    entry = {
        "canceled": order(BUY, 10, LIMIT, 90),
        "ioc": order(BUY, 10, LIMIT, 90, tif=IOC),
        "denied": order(BUY, 10**7, LIMIT, 90),
    }[reason]
    asked = bracket(entry)
    if reason == "canceled":
        first = played(scripted, asked, flat(1, 100))[1]
        asked = [*asked, (2, cancel_order(int(of(first, Kind.ORDER_SUBMITTED)["order_id"][0])))]
    engine, tape = played(scripted, asked, flat(1, 100), flat(2, 100), flat(3, 100))
    assert engine.account.open_orders == 0 and met(tape) == []
    gone = of(tape, Kind.ORDER_DENIED if reason == "denied" else Kind.ORDER_CANCELED)[1:]
    assert gone["reason"].tolist() == [Reason.PARENT_GONE] * 2


def test_a_split_before_the_entry_restates_what_waits(scripted):
    from tests.kernel.play import split

    asked = bracket(order(BUY, 10, LIMIT, 98), stop=96, profit=102)
    engine, tape = played(
        scripted, asked, flat(1, 100), split(1.5, 2, 1), bar(2, 50, 50.5, 48.5, 49), bar(3, 49, 52, 48.5, 51)
    )
    assert met(tape) == [(2, 49), (3, 51)]
    assert of(tape, Kind.ORDER_FILLED)["qty"].tolist() == [20, 20]
    assert engine.account.open_orders == 0


# Trailing stops -------------------------------------------------------------------------------------------------------


def test_a_trailing_stop_follows_and_never_goes_back(scripted):
    stream = [flat(1, 100), flat(2, 100), bar(3, 100, 106, 100, 105), bar(4, 105, 105.5, 104.1, 105), flat(5, 103)]
    asked = [(1, order(BUY, 5)), (2, order(SELL, 5, TRAILING, trail=2.0))]
    engine, tape = played(scripted, asked, *stream[:3])
    assert int(engine.state.orders["trigger_px"].max()) == units(104)
    _, tape = played(scripted, asked, *stream)
    assert met(tape) == [(2, 100), (5, 103)], "104 was touched by no bar, then gapped through"
    short = [(1, order(SELL, 5)), (2, order(BUY, 5, TRAILING, trail=2.0))]
    _, tape = played(scripted, short, flat(1, 100), flat(2, 100), bar(3, 100, 101, 94, 95), bar(4, 95, 97, 95, 96))
    assert met(tape) == [(2, 100), (4, 96)]


def test_the_bar_that_moves_a_trailing_stop_does_not_set_it_off(scripted):
    """Its high may have come after its low."""
    asked = [(1, order(BUY, 5)), (2, order(SELL, 5, TRAILING, trail=2.0))]
    engine, tape = played(scripted, asked, flat(1, 100), flat(2, 100), bar(3, 100, 110, 99, 101))
    assert met(tape) == [(2, 100)]
    assert int(engine.state.orders["trigger_px"].max()) == units(108)


def test_a_held_trailing_stop_begins_at_the_entrys_fill(scripted):
    asked = bracket(order(BUY, 10), stop=0, profit=0, trail=3.0)
    engine, tape = played(scripted, asked, flat(1, 100), bar(2, 102, 103, 101, 102))
    assert of(tape, Kind.ORDER_RELEASED)["trigger_px"].tolist() == [units(99)]


@given(st.lists(st.tuples(st.integers(-40, 40), st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=40))
def test_a_sell_trailing_trigger_only_rises(scripted, moves):
    """At the end of every bar it is the highest high since the order, less the trail."""
    engine = scripted()
    script(engine, 1, 0, [(1, order(BUY, 5)), (1, order(SELL, 5, TRAILING, trail=5.0, flags=HELD, link=1))])
    run_bars(engine, [flat(1, 100), flat(2, 100)])
    px, best = 100.0, 100.0
    for k, (move, up, down) in enumerate(moves):
        opened, px = px, max(10.0, px + move * 0.05)
        high, low = max(opened, px) + up * 0.05, min(opened, px) - down * 0.05
        before = int(engine.state.orders["trigger_px"].max())
        tape = run_bars(engine, [bar(3 + k, opened, high, low, px)])
        if len(fills(tape)):
            assert units(low) <= before
            return
        best = max(best, high)
        assert int(engine.state.orders["trigger_px"].max()) == units(best - 5.0)
    check_books(engine)


# Pairs, reduce-only ---------------------------------------------------------------------------------------------------


def test_one_cancels_other(scripted):
    pair = [(1, order(BUY, 5, STOP, 0, 102, flags=OCO)), (1, order(SELL, 5, STOP, 0, 98, flags=OCO, link=1))]
    engine, tape = played(scripted, pair, flat(1, 100), bar(2, 100, 103, 97, 100), bar(3, 100, 103, 97, 100))
    assert met(tape) == [(2, 102)], "the first of the pair that the bar reaches; the other is gone at once"
    assert engine.account.open_orders == 0


def test_reduce_only_is_cut_to_the_position(scripted):
    asked = [(1, order(BUY, 10)), (2, order(SELL, 50, flags=REDUCE_ONLY))]
    engine, tape = played(scripted, asked, *(flat(t, 100) for t in range(1, 5)))
    assert of(tape, Kind.SIGNAL)["qty"].tolist() == [10, 50]
    assert of(tape, Kind.ORDER_SUBMITTED)["qty"].tolist() == [10, 10]
    assert engine.state.positions["qty"].sum() == 0


def test_reduce_only_without_a_position_is_denied(scripted):
    _, tape = played(scripted, [(1, order(SELL, 5, flags=REDUCE_ONLY))], flat(1, 100), flat(2, 100))
    [denied] = of(tape, Kind.ORDER_DENIED)
    assert (denied["reason"], denied["actual"], denied["allowed"]) == (Reason.NOTHING_TO_REDUCE, 5, 0)


def test_reduce_only_orders_shrink_and_go_with_the_position(scripted):
    asked = [
        (1, order(BUY, 10)),
        (2, order(SELL, 10, STOP, 0, 90, flags=REDUCE_ONLY)),
        (2, order(SELL, 10, LIMIT, 110, flags=REDUCE_ONLY)),
        (3, order(SELL, 4)),
        (5, order(SELL, 6)),
    ]
    stream = [flat(t, 100) for t in range(1, 8)]
    engine, tape = played(scripted, asked, *stream[:4])
    assert sorted(engine.state.orders["leaves_qty"][engine.state.orders["order_id"] > 0]) == [6, 6]
    engine, tape = played(scripted, asked, *stream)
    assert engine.account.open_orders == 0 and engine.state.positions["qty"].sum() == 0
    assert of(tape, Kind.ORDER_CANCELED)["reason"].tolist() == [Reason.NOTHING_TO_REDUCE] * 2
    assert engine.purse.reserved == 0


# Changes --------------------------------------------------------------------------------------------------------------


def test_a_change_moves_price_and_quantity_and_what_is_set_aside(scripted):
    asked = [(1, order(BUY, 10, LIMIT, 95)), (2, change_order(qty=20, px=96)), (3, change_order(qty=4))]
    stream = [flat(t, 100) for t in range(1, 4)]
    for count, qty, px in ((1, 10, 95), (2, 20, 96), (3, 4, 96)):
        engine, tape = played(scripted, asked, *stream[:count])
        [o] = engine.state.orders[engine.state.orders["order_id"] > 0]
        assert (o["qty"], o["px"], o["status"]) == (qty, units(px), Status.ACCEPTED)
        assert engine.purse.reserved == qty * units(px)
    assert words(tape)[-3:] == ["SIGNAL", "ORDER_REPLACE_SUBMITTED", "ORDER_REPLACED"]


def test_a_changed_order_meets_only_bars_that_open_after_the_change(scripted):
    asked = [(1, order(BUY, 10, LIMIT, 90)), (2, change_order(px=101))]
    _, tape = played(scripted, asked, flat(1, 100), flat(2, 100), flat(3, 100))
    assert met(tape) == [(3, 100)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (change_order(qty=10**6), Reason.CASH),
        (change_order(order_id=99), Reason.NOT_WORKING),
        (change_order(qty=10**10), Reason.QTY_OVER_LIMIT),
    ],
)
def test_a_change_that_risk_refuses_changes_nothing(scripted, change, why):
    asked = [(1, order(BUY, 10, LIMIT, 95)), (2, change)]
    engine, tape = played(scripted, asked, flat(1, 100), flat(2, 100))
    [denied] = of(tape, Kind.ORDER_DENIED)
    assert denied["reason"] == why
    assert engine.purse.reserved == 10 * units(95)


def working(engine):
    return engine.state.orders[engine.state.orders["order_id"] > 0]


def test_a_change_under_way_sets_the_dearer_aside_and_a_refusal_gives_it_back(scripted):
    """A venue that answers late: either the old or the new order may fill."""
    engine = scripted(simulate=0)
    script(engine, 1, 0, [(1, order(BUY, 10, LIMIT, 95)), (2, change_order(qty=20, px=90))])
    run_bars(engine, [flat(1, 100), flat(2, 100)])
    [o] = working(engine)
    number = int(o["order_id"])
    assert (o["status"], engine.purse.reserved) == (Status.PENDING_REPLACE, 20 * units(95))
    run_bars(engine, [event(Kind.ORDER_FILLED, 2.1, 0, order_id=number, qty=3, px=units(95))])
    assert working(engine)["status"].tolist() == [Status.PENDING_REPLACE]
    run_bars(engine, [event(Kind.ORDER_REPLACE_REJECTED, 2.2, 0, order_id=number)])
    [o] = working(engine)
    assert (o["status"], o["qty"], o["leaves_qty"]) == (Status.PARTIALLY_FILLED, 10, 7)
    assert engine.purse.reserved == 7 * units(95)
    check_books(engine)


def test_a_cancel_that_is_refused_leaves_the_order_where_it_stood(scripted):
    engine = scripted(simulate=0)
    script(engine, 1, 0, [(1, order(BUY, 10, LIMIT, 95)), (2, cancel_order())])
    run_bars(engine, [flat(1, 100), event(Kind.ORDER_ACCEPTED, 1.5, 0, order_id=3), flat(2, 100)])
    [o] = working(engine)
    assert o["status"] == Status.PENDING_CANCEL
    run_bars(engine, [event(Kind.ORDER_CANCEL_REJECTED, 2.2, 0, order_id=3)])
    assert working(engine)["status"].tolist() == [Status.ACCEPTED]


def test_a_fill_that_was_under_way_when_its_order_was_canceled_counts(scripted):
    engine = scripted(simulate=0)
    script(engine, 1, 0, [(1, order(BUY, 10, LIMIT, 95))])
    run_bars(engine, [flat(1, 100)])
    late = [
        event(Kind.ORDER_CANCELED, 2, 0, order_id=3),
        event(Kind.ORDER_FILLED, 2.1, 0, order_id=3, qty=4, px=units(95)),
        event(Kind.ORDER_FILLED, 2.2, 0, order_id=3, qty=6, px=units(95)),
        event(Kind.ORDER_FILLED, 2.3, 0, order_id=3, qty=1, px=units(95)),
    ]
    tape = run_bars(engine, late)
    told = ["ORDER_FILLED", "ANOMALY"]
    assert words(tape) == ["ORDER_CANCELED", *told, *told, *told]
    assert of(tape, Kind.ANOMALY)["reason"].tolist() == [Reason.LATE_FILL, Reason.LATE_FILL, Reason.OVERFILL]
    assert engine.state.positions["qty"].sum() == 10 and engine.account.fills == 2
    check_books(engine)


# Time in force --------------------------------------------------------------------------------------------------------


def test_day_orders_end_with_their_session_and_no_other(scripted):
    """One that was sent after the close is for the next session."""
    terms = {"instruments": ((0, TICK, 1, 0, 7),)}
    asked = [(1, order(BUY, 1, LIMIT, 90, tif=TimeInForce.DAY)), (2, order(BUY, 2, LIMIT, 90, tif=TimeInForce.DAY))]
    close = event(Kind.TIMER, 1.5, code=TimerCode.SESSION_CLOSE, setting=7)
    elsewhere = event(Kind.TIMER, 1.2, code=TimerCode.SESSION_CLOSE, setting=6)
    late = event(Kind.TIMER, 2, code=TimerCode.SESSION_CLOSE, setting=7)
    late["ts_init"] = int(2.5 * MINUTE)
    engine, tape = played(scripted, asked, flat(1, 100), elsewhere, close, flat(2, 100), late, flat(3, 100), **terms)
    [ended] = of(tape, Kind.ORDER_EXPIRED)
    assert (ended["qty"], ended["reason"], ended["status"]) == (1, Reason.SESSION_ENDED, Status.EXPIRED)
    assert working(engine)["qty"].tolist() == [2]


def test_good_till_date(scripted):
    asked = [(1, order(BUY, 1, LIMIT, 90, tif=TimeInForce.GTD, expires=int(2.5 * MINUTE)))]
    _, tape = played(scripted, asked, flat(1, 100), flat(2, 100), flat(3, 100), bar(4, 100, 100, 80, 90))
    assert met(tape) == []
    assert of(tape, Kind.ORDER_EXPIRED)["reason"].tolist() == [Reason.TIME_PASSED]
    asked = [(1, order(BUY, 1, LIMIT, 90, tif=TimeInForce.GTD, expires=MINUTE))]
    _, tape = played(scripted, asked, flat(1, 100))
    assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.TIME_PASSED]


def test_fill_or_kill(scripted):
    asked = [(1, order(BUY, 1, LIMIT, 90, tif=TimeInForce.FOK)), (2, order(BUY, 1, LIMIT, 101, tif=TimeInForce.FOK))]
    _, tape = played(scripted, asked, flat(1, 100), flat(2, 100), flat(3, 100))
    assert met(tape) == [(3, 100)]
    assert of(tape, Kind.ORDER_CANCELED)["qty"].tolist() == [1]


# Slices ---------------------------------------------------------------------------------------------------------------

FREEZE = {"instruments": ((0, TICK, 25, 1_800, 0),)}


@pytest.mark.parametrize(("qty", "parts"), [(1_800, [1_800]), (1_825, [1_800, 25]), (5_400, [1_800] * 3)])
def test_more_than_the_freeze_quantity_becomes_slices(scripted, qty, parts):
    engine, tape = played(scripted, [(1, order(BUY, qty))], flat(1, 100), flat(2, 100), **FREEZE)
    sent = of(tape, Kind.ORDER_SUBMITTED)
    [signal] = of(tape, Kind.SIGNAL)
    assert sent["qty"].tolist() == parts
    sliced = len(parts) > 1
    assert set(sent["parent"]) == {signal["seq"] if sliced else 0}
    assert ((sent["flags"] & Flag.SLICE) != 0).all() == sliced
    assert engine.state.positions["qty"].sum() == qty


def test_too_many_slices_are_denied(scripted):
    _, tape = played(scripted, [(1, order(BUY, 5_425))], flat(1, 100), limits={"max_slices": 3}, **FREEZE)
    [denied] = of(tape, Kind.ORDER_DENIED)
    assert (denied["reason"], denied["actual"], denied["allowed"]) == (Reason.QTY_OVER_FREEZE, 5_425, 5_400)


def test_a_bracket_is_sliced_with_its_entry(scripted):
    asked = bracket(order(BUY, 4_000, MARKET), stop=98, profit=103)
    engine, tape = played(
        scripted, asked, flat(1, 100), bar(2, 100, 101, 99, 100), bar(3, 100, 101, 97, 98), cash=1e6, **FREEZE
    )
    sent = of(tape, Kind.ORDER_SUBMITTED)
    assert sent["qty"].tolist() == [1_800, 1_800, 400] * 3
    entries = sent["order_id"][:3].tolist()
    assert sent["parent"][3:].tolist() == entries * 2
    assert engine.state.positions["qty"].sum() == 0 and engine.account.open_orders == 0


# Products -------------------------------------------------------------------------------------------------------------


def test_a_position_has_one_product(scripted):
    asked = [(1, order(BUY, 1, product=1)), (2, order(BUY, 1, product=2)), (2, order(BUY, 1)), (3, order(SELL, 2))]
    _, tape = played(scripted, asked, *(flat(t, 100) for t in range(1, 6)))
    [denied] = of(tape, Kind.ORDER_DENIED)
    assert (denied["reason"], denied["actual"], denied["allowed"]) == (Reason.PRODUCT_MIXED, 2, 1)
    assert of(tape, Kind.ORDER_SUBMITTED)["product"].tolist() == [1, 1, 1]
