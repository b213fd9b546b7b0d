"""Charges by rules: lines of a fill, brokerage an order, the day's note and its rounding, shares that leave."""

import numpy as np
import pytest

from kernel.codes import Basis, Item, Kind, Product, Reason
from kernel.rows import CHARGE
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.play import TICK, bar, check_books, day_end, event, flat, of, order, run_bars, script, units

BUY, SELL = 1, -1
INTRADAY, DELIVERY = Product.INTRADAY, Product.DELIVERY
EVER = 2**62
PAISA, RUPEE = 100, 10_000
LINES = ("brokerage", "stt", "transaction", "ipft", "sebi", "stamp", "gst", "dp")


def rule(
    item, percent=0.0, *, product=0, side=0, basis=Basis.VALUE, flat=0.0, cap=0.0, of=(), rounded=PAISA, dates=None
):
    since, until = dates or (-EVER, EVER)
    bits = sum(1 << one for one in of)
    share = round(percent * SHARE / 100)
    return (item, 1, product, side, since, until, basis, share, units(flat), units(cap), bits, rounded)


TAXED = (Item.BROKERAGE, Item.TRANSACTION, Item.IPFT, Item.SEBI, Item.DP)
DELIVERED = [  # shares at the NSE from 2024-10-01, ../shared facts of 2026-11-23
    rule(Item.STT, 0.1, product=DELIVERY, rounded=RUPEE),
    rule(Item.STT, 0.025, product=INTRADAY, side=SELL, rounded=RUPEE),
    rule(Item.TRANSACTION, 0.00297),
    rule(Item.IPFT, 0.0001),
    rule(Item.SEBI, 0.0001),
    rule(Item.STAMP, 0.015, product=DELIVERY, side=BUY),
    rule(Item.STAMP, 0.003, product=INTRADAY, side=BUY),
    rule(Item.GST, 18, basis=Basis.ITEMS, of=TAXED),
]
DP = rule(Item.DP, basis=Basis.DAY, flat=18.5, product=DELIVERY, side=SELL)
TWENTY = rule(Item.BROKERAGE, 0.1, basis=Basis.ORDER, cap=20.0)
SHARES = Terms(0, TICK, 1, calendar=1, segment=1)


def lines_of(tape) -> dict[str, int]:
    charged = of(tape, Kind.CHARGED)
    return {name: int(charged[name].sum()) for name in LINES if charged[name].any()}


def test_the_rules_are_rows_of_the_table():
    assert CHARGE.names[len(rule(Item.STT)) :] == ("turnover", "noted")


def test_the_known_value_of_a_round_trip(scripted):
    """Buy and sell 5000 at 1000, delivery, no brokerage: 11,124.06, the figure brokers' calculators give."""
    engine = scripted(1, cash=20_000_000, instruments=[SHARES], charges=DELIVERED)
    script(engine, 1, 0, [(1, order(BUY, 5000, product=DELIVERY)), (2, order(SELL, 5000, product=DELIVERY))])
    tape = run_bars(engine, [flat(1, 1000), flat(2, 1000), flat(3, 1000), day_end(4)])
    assert lines_of(tape) == {
        name: units(x)
        for name, x in (
            ("stt", 10_000),
            ("transaction", 297),
            ("ipft", 10),
            ("sebi", 10),
            ("stamp", 750),
            ("gst", 57.06),
        )
    }
    assert engine.purse.fees == units(11_124.06) == units(20_000_000) - engine.purse.cash
    check_books(engine)


def test_products_and_sides_are_charged_apart(scripted):
    engine = scripted(1, instruments=[SHARES], charges=DELIVERED)
    script(engine, 1, 0, [(1, order(BUY, 100, product=INTRADAY)), (2, order(SELL, 100, product=INTRADAY))])
    tape = run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 100)])
    assert lines_of(tape)["stt"] == units(2.5) and lines_of(tape)["stamp"] == units(0.3)


def test_a_notes_lines_are_rounded_at_the_end_of_its_day(scripted):
    engine = scripted(1, instruments=[SHARES], charges=DELIVERED)
    script(engine, 1, 0, [(1, order(BUY, 7)), (2, order(BUY, 3))])
    tape = run_bars(engine, [flat(1, 107.35), flat(2, 107.35), flat(3, 107.4)])
    exact = 7 * units(107.35) + 3 * units(107.4)
    assert lines_of(tape)["stt"] == (exact + 500) // 1000  # 7,514.5 and 3,222.0 units: a half goes up
    tape = run_bars(engine, [day_end(4)])
    assert engine.state.segments["note"][0].tolist()[1:7] == [RUPEE, units(0.03), 0, 0, units(0.16), units(0.01)]
    assert engine.purse.fees == RUPEE + units(0.03 + 0.16 + 0.01)
    assert len(of(run_bars(engine, [day_end(5)]), Kind.CHARGED)) == 0, "nothing was traded since"
    check_books(engine)


def test_brokerage_is_an_orders_however_it_is_filled(scripted):
    engine = scripted(1, cash=10_000_000, instruments=[SHARES], charges=[TWENTY], simulate=False)
    script(engine, 1, 0, [(1, order(BUY, 1_000))])
    tape = run_bars(engine, [flat(1, 100)])
    order_id = int(of(tape, Kind.ORDER_SUBMITTED)[0]["order_id"])

    def fill(t, qty):
        return event(Kind.ORDER_FILLED, t, 0, order_id=order_id, qty=qty, px=units(100))

    charged = [lines_of(run_bars(engine, [fill(t, qty)])) for t, qty in ((2, 50), (3, 100), (4, 300), (5, 550))]
    assert charged == [{"brokerage": units(5)}, {"brokerage": units(10)}, {"brokerage": units(5)}, {}]
    check_books(engine)


def test_a_late_fill_goes_on_with_its_orders_brokerage(scripted):
    engine = scripted(1, cash=10_000_000, instruments=[SHARES], charges=[TWENTY], simulate=False)
    script(engine, 1, 0, [(1, order(BUY, 1_000))])
    tape = run_bars(engine, [flat(1, 100)])
    order_id = int(of(tape, Kind.ORDER_SUBMITTED)[0]["order_id"])
    about = {"instrument": 0, "order_id": order_id}
    run_bars(
        engine, [event(Kind.ORDER_FILLED, 2, qty=150, px=units(100), **about), event(Kind.ORDER_CANCELED, 3, **about)]
    )
    tape = run_bars(engine, [event(Kind.ORDER_FILLED, 4, qty=150, px=units(100), **about)])
    assert lines_of(tape) == {"brokerage": units(5)}
    check_books(engine)


@pytest.mark.parametrize(("sold", "times"), [(100, 1), (40, 1), (0, 0)])
def test_shares_that_leave_are_charged_once_a_day(scripted, sold, times):
    engine = scripted(2, instruments=[SHARES], charges=[*DELIVERED, DP])
    script(engine, 1, 0, [(1, order(BUY, 100)), (2, order(SELL, 30)), (3, order(SELL, 30))])
    script(engine, 2, 0, [(2, order(BUY, 60 - sold if sold < 60 else 1))])
    tape = run_bars(
        engine, [flat(1, 100), flat(2, 100), day_end(3), flat(4, 100), flat(5, 100), day_end(6), day_end(7)]
    )
    assert lines_of(tape).get("dp", 0) == units(18.5) * times
    check_books(engine)


def test_rules_have_their_dates(scripted):
    later = rule(Item.STT, 0.2, dates=(3 * 60 * 10**9, EVER))
    before = rule(Item.STT, 0.1, dates=(-EVER, 3 * 60 * 10**9))
    engine = scripted(1, instruments=[SHARES], charges=[before, later])
    script(engine, 1, 0, [(1, order(BUY, 100)), (2, order(BUY, 100))])
    tape = run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 100)])
    assert of(tape, Kind.CHARGED)["stt"].tolist() == [units(10), units(20)]


def test_charges_are_set_aside_with_the_order(scripted):
    engine = scripted(1, cash=1_001, instruments=[SHARES], charges=[rule(Item.STT, 0.2)])
    script(engine, 1, 0, [(1, order(BUY, 10))])
    tape = run_bars(engine, [flat(1, 100), flat(2, 100)])
    denied = of(tape, Kind.ORDER_DENIED)[0]
    assert (denied["reason"], denied["actual"]) == (Reason.CASH, units(1_002))


def test_no_stream_overdraws_the_account_but_for_rounding(scripted):
    rng = np.random.default_rng(5)
    engine = scripted(1, cash=5_000, instruments=[SHARES], charges=[*DELIVERED, DP, TWENTY], limits={"allow_short": 0})
    orders = [(n, order(int(rng.choice([BUY, SELL])), int(rng.integers(1, 40)))) for n in range(1, 45)]
    script(engine, 1, 0, orders)
    px = 100.0
    for t in range(1, 50):
        run_bars(engine, [bar(t, px, px, px, px)])
        assert engine.purse.cash >= 0
        check_books(engine)
    run_bars(engine, [day_end(60)])
    assert engine.purse.cash >= -units(25), "what a day's end charges is not set aside"
    check_books(engine)
