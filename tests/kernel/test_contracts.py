"""Futures and options: variation, margin, expiry, exercise, delivery, to the unit."""

import pytest

from kernel.codes import InstrumentClass, Kind, OrderType, Product, Reason
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.play import (
    TICK,
    check_books,
    day_end,
    event,
    flat,
    of,
    order,
    run_bars,
    script,
    units,
)

BUY, SELL = 1, -1
FUTURE, OPTION, INDEX = InstrumentClass.FUTURE, InstrumentClass.OPTION, InstrumentClass.INDEX
A_FIFTH = SHARE // 5


def future(number=0, **more) -> Terms:
    return Terms(number, TICK, 1, calendar=1, asset=FUTURE, margin=A_FIFTH, **more)


def option(number, right, strike, **more) -> Terms:
    terms = {"asset": OPTION, "margin": A_FIFTH, "right": right, "strike": units(strike), "underlying": 0, **more}
    return Terms(number, TICK, 1, calendar=1, **terms)


def expiry(t, instrument, px=0.0):
    return event(Kind.EXPIRY, t, instrument, underlying_px=units(px))


def test_a_future_costs_nothing_but_its_margin_and_pays_each_days_difference(scripted):
    engine = scripted(1, cash=10_000, instruments=[future()])
    script(engine, 1, 0, [(1, order(BUY, 100)), (4, order(SELL, 40))])
    q, p = engine.purse, engine.state.positions[1]
    run_bars(engine, [flat(1, 100), flat(2, 100)])
    assert (q.cash, q.hold, q.market_value, q.cost) == (units(10_000), units(2_000), 0, 0)
    run_bars(engine, [flat(3, 103)])
    assert (q.cash, q.market_value, q.hold) == (units(10_000), units(300), units(2_060))
    tape = run_bars(engine, [day_end(3)])
    settled = of(tape, Kind.SETTLED)[0]
    assert (settled["reason"], settled["variation"], settled["px"]) == (Reason.VARIATION, units(300), units(103))
    assert (q.cash, q.market_value, p.cost, p.realized) == (units(10_300), 0, units(10_300), units(300))
    run_bars(engine, [flat(4, 99), flat(5, 98), day_end(5)])
    # 40 closed at 98 against 103: -200; the other 60 marked down: -300
    assert (q.cash, p.qty, p.realized) == (units(9_800), 60, units(-200))
    check_books(engine)


def test_margin_is_what_denies_a_future(scripted):
    engine = scripted(1, cash=1_999, instruments=[future()])
    script(engine, 1, 0, [(1, order(BUY, 100)), (2, order(BUY, 99))])
    tape = run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 100)])
    denied = of(tape, Kind.ORDER_DENIED)[0]
    assert (denied["reason"], denied["actual"], denied["allowed"]) == (Reason.CASH, units(2_000), units(1_999))
    assert engine.state.positions[1]["qty"] == 99
    check_books(engine)


def test_an_open_loss_of_a_future_leaves_less_to_spend(scripted):
    engine = scripted(1, cash=10_000, instruments=[future()])
    script(engine, 1, 0, [(1, order(SELL, 100))])
    run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 110)])
    assert engine.purse.hold == units(2_200 + 1_000)
    check_books(engine)


@pytest.mark.parametrize("fifo", [0, 1])
def test_futures_of_several_lots_settle_and_close_the_same(scripted, fifo):
    engine = scripted(1, cash=100_000, instruments=[future()], fifo=fifo)
    script(engine, 1, 0, [(1, order(BUY, 7)), (2, order(BUY, 5)), (3, order(SELL, 9)), (4, order(SELL, 10))])
    inputs = [
        flat(1, 100),
        flat(2, 101),
        day_end(2),
        flat(3, 103.35),
        day_end(3),
        flat(4, 104),
        flat(5, 99),
        day_end(5),
    ]
    run_bars(engine, inputs)
    assert engine.purse.cash - units(100_000) == units(7 * 2.35 + 7 * 0.65 + 5 * 0.65 - 3 * 5)
    assert engine.state.positions[1]["qty"] == -7
    check_books(engine)


def test_a_multiplier_makes_a_point_worth_more(scripted):
    engine = scripted(1, cash=100_000, instruments=[future(num=50)])
    script(engine, 1, 0, [(1, order(BUY, 2)), (2, order(SELL, 2))])
    run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 101.5)])
    assert engine.purse.realized == units(2 * 50 * 1.5)
    assert engine.purse.cash == units(100_000 + 150)
    check_books(engine)


def both_sides(scripted, terms, first=100.0, last=100.0, premium=5.0, settle=112.0, **more):
    """Strategy 1 buys 10 of the contract, strategy 2 writes 10; it ends with its underlying at `settle`."""
    engine = scripted(2, cash=100_000, instruments=[Terms(0, TICK, 1, calendar=1), terms], **more)
    script(engine, 1, 1, [(1, order(BUY, 10))])
    script(engine, 2, 1, [(1, order(SELL, 10))])
    bars = [flat(t, px, end=False) for t, px in ((1, first), (2, last))]
    ends = [flat(t, premium, 1) for t in (1, 2)]
    tape = run_bars(engine, [bars[0], ends[0], bars[1], ends[1], expiry(3, 1, settle)])
    check_books(engine)
    return engine, tape


@pytest.mark.parametrize(
    ("right", "settle", "worth"), [(1, 112, 12), (1, 95, 0), (-1, 95, 5), (-1, 112, 0), (1, 100, 0)]
)
def test_an_option_ends_at_what_it_is_worth(scripted, right, settle, worth):
    engine, tape = both_sides(scripted, option(1, right, 100), settle=settle)
    bought, written = engine.state.positions.reshape(3, 2)[1:, 1]
    assert (bought["qty"], written["qty"]) == (0, 0)
    assert bought["realized"] == units(10 * (worth - 5)) == -written["realized"]
    reasons = of(tape, Kind.SETTLED)["reason"].tolist()
    assert reasons == [Reason.EXERCISED if worth else Reason.INSTRUMENT_EXPIRED] * 2
    assert engine.purse.cash == units(100_000) and engine.purse.hold == 0


def test_a_written_option_holds_its_worth_and_margin(scripted):
    engine = scripted(1, cash=1_000, instruments=[Terms(0, TICK, 1), option(1, 1, 100)])
    script(engine, 1, 1, [(1, order(SELL, 10))])
    run_bars(engine, [flat(1, 5, 1), flat(2, 5, 1), flat(3, 8, 1)])
    assert engine.purse.cash == units(1_050)
    assert engine.purse.hold == units(80 + 200)
    check_books(engine)


def test_a_written_option_beyond_the_margin_is_denied(scripted):
    engine = scripted(1, cash=199, instruments=[Terms(0, TICK, 1), option(1, -1, 100)])
    script(engine, 1, 1, [(1, order(SELL, 10))])
    tape = run_bars(engine, [flat(1, 5, 1), flat(2, 5, 1)])
    assert [(e["reason"], e["actual"]) for e in of(tape, Kind.ORDER_DENIED)] == [(Reason.CASH, units(200))]


@pytest.mark.parametrize(("right", "settle", "side"), [(1, 112.0, 1), (-1, 95.0, -1)])
def test_an_option_that_ends_in_shares_pays_the_strike_in_all(scripted, right, settle, side):
    engine, tape = both_sides(scripted, option(1, right, 100, physical=1), settle=settle)
    shares = engine.state.positions.reshape(3, 2)[1:, 0]
    assert shares["qty"].tolist() == [side * 10, -side * 10]
    assert shares["cost"].tolist() == [side * units(10 * settle), -side * units(10 * settle)]
    flows = engine.state.books["cash_flow"].tolist()
    assert flows[1:] == [-units(50) - side * units(1_000), units(50) + side * units(1_000)]
    assert [e["reason"] for e in of(tape, Kind.SETTLED)] == [Reason.EXERCISED, Reason.DELIVERED] * 2


def test_a_future_that_ends_in_shares(scripted):
    engine, tape = both_sides(scripted, future(1, underlying=0, physical=1), premium=100.0, settle=0.0, last=104.0)
    shares = engine.state.positions.reshape(3, 2)[1:, 0]
    assert shares["qty"].tolist() == [10, -10] and shares["cost"].tolist() == [units(1_040), -units(1_040)]
    assert of(tape, Kind.EXPIRY)["settle_px"].tolist() == [units(104)], "the underlying's mark"


def test_nothing_is_sent_after_the_end(scripted):
    engine = scripted(1, instruments=[Terms(0, TICK, 1, calendar=1), option(1, 1, 100)])
    script(engine, 1, 1, [(1, order(BUY, 1, OrderType.LIMIT, 1.0)), (2, order(BUY, 1))])
    tape = run_bars(engine, [flat(1, 5, 1), expiry(2, 1, 100.0), flat(3, 5, 1), expiry(4, 1, 100.0)])
    assert [e["reason"] for e in of(tape, Kind.ORDER_EXPIRED)] == [Reason.INSTRUMENT_EXPIRED]
    assert [e["reason"] for e in of(tape, Kind.ORDER_DENIED)] == [Reason.INSTRUMENT_EXPIRED]
    assert [e["reason"] for e in of(tape, Kind.ANOMALY)] == [Reason.BAD_COMMAND], "a contract ends once"


def test_an_index_is_watched_and_not_traded(scripted):
    engine = scripted(1, instruments=[Terms(0, TICK, 1, asset=INDEX)])
    script(engine, 1, 0, [(1, order(BUY, 1))])
    tape = run_bars(engine, [flat(1, 5)])
    assert [e["reason"] for e in of(tape, Kind.ORDER_DENIED)] == [Reason.NOT_TRADABLE]


def test_shares_on_margin_take_their_share_and_a_loss_leaves_less(scripted):
    engine = scripted(1, cash=1_000, instruments=[Terms(0, TICK, 1, margin=A_FIFTH)])
    script(engine, 1, 0, [(1, order(BUY, 50, product=Product.INTRADAY))])
    q = engine.purse
    run_bars(engine, [flat(1, 100), flat(2, 100)])
    assert (q.cash, q.hold, q.cash - q.hold) == (units(-4_000), units(-4_000), 0)
    run_bars(engine, [flat(3, 90)])
    assert q.cash - q.hold == units(-4_000 + 3_600)
    run_bars(engine, [flat(4, 120)])
    assert q.cash - q.hold == 0, "a gain is not spent before it is made"
    check_books(engine)


def test_shares_for_delivery_are_paid_in_full_whatever_their_margin(scripted):
    engine = scripted(1, cash=1_000, instruments=[Terms(0, TICK, 1, margin=A_FIFTH)])
    script(engine, 1, 0, [(1, order(BUY, 50, product=Product.DELIVERY)), (2, order(BUY, 10, product=Product.DELIVERY))])
    tape = run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 100)])
    assert [e["actual"] for e in of(tape, Kind.ORDER_DENIED)] == [units(5_000)]
    assert engine.purse.hold == 0 and engine.state.positions[1]["qty"] == 10


def test_a_short_on_margin_holds_its_proceeds_and_its_share(scripted):
    engine = scripted(1, cash=1_000, instruments=[Terms(0, TICK, 1, margin=A_FIFTH)])
    script(engine, 1, 0, [(1, order(SELL, 50, product=Product.INTRADAY))])
    run_bars(engine, [flat(1, 100), flat(2, 100)])
    assert (engine.purse.cash, engine.purse.hold) == (units(6_000), units(6_000))
    run_bars(engine, [flat(3, 110)])
    assert engine.purse.hold == units(5_500 * 1.2)
    check_books(engine)
