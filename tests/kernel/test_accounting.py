"""Money to the unit: a ledger written out by hand, and the conservation laws over arbitrary streams."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.codes import Kind, Reason
from tests.kernel.play import (
    IOC,
    LIMIT,
    MARKET,
    STOP,
    STOP_LIMIT,
    TICK,
    bar,
    cancel_order,
    check_books,
    dividend,
    event,
    fills,
    flat,
    of,
    order,
    run_bars,
    script,
    split,
    units,
)

BUY, SELL = 1, -1

# Ten trades in one stock: 10,000.00 paid in, charges 0.1 % of a fill's value, rounded half up to 0.01. Worked out by
# hand. A signal of bar n fills at bar n + 1.
# minute: (cash, qty, open cost, realized, fees, dividends) once that event is in
LEDGER = {
    # 1. buy 10 at 100.00 = 1000.00, fee 1.00
    2: (8_999.00, 10, 1_000.00, 0.00, 1.00, 0.00),
    # 2. buy 5 at 103.00 = 515.00 (gap from 101), fee 0.515 -> 0.52
    3: (8_483.48, 15, 1_515.00, 0.00, 1.52, 0.00),
    # 3. sell 4 at 99.95 = 399.80, fee 0.3998 -> 0.40; their cost 1515 * 4/15 = 404.00: -4.20
    4: (8_882.88, 11, 1_111.00, -4.20, 1.92, 0.00),
    # 4. sell 3 limit 108, opens at 110.00 = 330.00, fee 0.33; their cost 1111 * 3/11 = 303.00: +27.00
    5: (9_212.55, 8, 808.00, 22.80, 2.25, 0.00),
    # split 2:1
    6: (9_212.55, 16, 808.00, 22.80, 2.25, 0.00),
    # 5. buy 1, ordered before the split, so 2 at 55.35 = 110.70, fee 0.1107 -> 0.11
    7: (9_101.74, 18, 918.70, 22.80, 2.36, 0.00),
    # 6. flip: sell 28 at 50.00 = 1400.00, fee 1.40; closes 18: 900.00 - 918.70 = -18.70, opens -10 at 50
    8: (10_500.34, -10, -500.00, 4.10, 3.76, 0.00),
    # 7. cover 3 by a stop at 55, opens at 56.00 = 168.00, fee 0.168 -> 0.17; sold for 150.00: -18.00
    9: (10_332.17, -7, -350.00, -13.90, 3.93, 0.00),
    # dividend 0.25 charged to 7 short: -1.75
    10: (10_330.42, -7, -350.00, -13.90, 3.93, -1.75),
    # 8. flip: buy 14 limit 45, opens at 40.00 = 560.00, fee 0.56; closes 7: 350 - 280 = +70.00, opens 7 at 40
    11: (9_769.86, 7, 280.00, 56.10, 4.49, -1.75),
    # split 3:2 of 7 = 10.5: half a share paid at the new mark 42 * 2/3 = 28.00, so 14.00; its cost is
    # 280 * 0.5/10.5 = 13.3333: +0.6667
    13: (9_783.86, 10, 266.6667, 56.7667, 4.49, -1.75),
    # 9. sell 4, ordered before the split, so 6 at 29.00 = 174.00, fee 0.174 -> 0.17; cost 266.6667 * 6/10 = 160.0000
    14: (9_957.69, 4, 106.6667, 70.7667, 4.66, -1.75),
    # dividend 0.30 on 4: +1.20
    15: (9_958.89, 4, 106.6667, 70.7667, 4.66, -0.55),
    # 10. sell 4 by a stop at 25, opens at 24.00 = 96.00, fee 0.096 -> 0.10; cost 106.6667: -10.6667
    16: (10_054.79, 0, 0.00, 60.1000, 4.76, -0.55),
}
PLAN = [  # (bar number, signal)
    (1, order(BUY, 10)),
    (2, order(BUY, 5)),
    (3, order(SELL, 4)),
    (4, order(SELL, 3, LIMIT, 108)),
    (5, order(BUY, 1)),
    (6, order(SELL, 28)),
    (7, order(BUY, 3, STOP, 0, 110)),  # a strategy's prices are adjusted: 55 after 2:1
    (8, order(BUY, 14, LIMIT, 90)),  # 45
    (10, order(SELL, 4)),
    (11, order(SELL, 4, STOP, 0, 75)),  # 25 after 2:1 and 3:2
]
STREAM = [
    flat(1, 100.00),
    bar(2, 100.00, 102, 100, 101.00),
    bar(3, 103.00, 104, 99, 100.00),
    bar(4, 99.95, 101, 99, 100.50),
    bar(5, 110.00, 111, 109, 110.00),
    split(6, 2, 1),
    bar(7, 55.35, 56, 55, 55.50),
    bar(8, 50.00, 52, 49, 51.00),
    bar(9, 56.00, 57, 54, 55.00),
    dividend(10, 0.25),
    bar(11, 40.00, 42, 39, 41.00),
    flat(12, 42.00),
    split(13, 3, 2),
    bar(14, 29.00, 30, 28, 29.50),
    dividend(15, 0.30),
    bar(16, 24.00, 25, 23, 24.50),
]
TRADES = [
    (2, 10, 100.0), (3, 5, 103.0), (4, -4, 99.95), (5, -3, 110.0), (7, 2, 55.35),
    (8, -28, 50.0), (9, 3, 56.0), (11, 14, 40.0), (14, -6, 29.0), (16, -4, 24.0),
]  # fmt: skip


def test_ten_trades_by_hand(scripted):
    engine = scripted(cash=10_000, fee_rate=1_000_000, fee_round=100)
    script(engine, 1, 0, PLAN)
    seen = []
    for minute, e in enumerate(STREAM, 1):
        seen += fills(run_bars(engine, [e]))
        check_books(engine)
        if minute in LEDGER:
            cash, qty, cost, realized, fees, dividends = LEDGER[minute]
            a, p, b = engine.purse, engine.state.positions[1], engine.state.books[1]
            assert (a.cash, p.qty, p.cost) == (units(cash), qty, units(cost)), minute
            for row in (a, p, b):
                found = (row.realized, row.fees, row.dividends)
                assert found == (units(realized), units(fees), units(dividends)), minute
            assert a.market_value == qty * engine.state.markets["mark"][0]
    assert seen == TRADES
    assert engine.purse.cash - engine.purse.paid_in == units(60.10 - 0.55 - 4.76)


@pytest.mark.parametrize(
    ("rule", "qty", "px", "fee"),
    [
        ({"fee_rate": 1_000_000}, 1, 0.05, 0.0001),  # 0.00005 is half a unit: up
        ({"fee_rate": 999_999}, 1, 0.05, 0.0),
        ({"fee_rate": 1_000_000, "fee_round": 100}, 1, 5.0, 0.01),  # 0.005 to 0.01: half up
        ({"fee_rate": 1_000_000, "fee_round": 100}, 1, 4.95, 0.0),  # 0.00495 is nearer to 0 than to 0.01: rounded once
        ({"fee_rate": 1_000_000, "fee_round": 100}, 1, 4.90, 0.0),
        ({"fee_flat": 200_000}, 7, 100.0, 20.0),
        ({"fee_rate": 1_000_000, "fee_flat": 10_000}, 10, 100.0, 2.0),
        ({"fee_rate": 1_000_000, "fee_min": 50_000}, 10, 100.0, 5.0),
        ({"fee_rate": 1_000_000, "fee_min": 10_000}, 10, 100.0, 1.0),
        ({"fee_rate": 1_000_000, "fee_max": 200_000}, 1_000, 100.0, 20.0),
        ({"fee_rate": 1_000_000, "fee_max": 1_000_000}, 1_000, 100.0, 100.0),
        ({"fee_rate": 1_000_000, "fee_max": 0}, 1_000, 100.0, 100.0),
        ({"fee_rate": 300_000, "fee_round": 100}, 10, 18.30, 0.05),  # 0.0549
    ],
)
def test_the_fee_rule(scripted, rule, qty, px, fee):
    engine = scripted(**rule)
    script(engine, 1, 0, [(1, order(BUY, qty))])
    tape = run_bars(engine, [flat(1, px), flat(2, px)])
    assert of(tape, Kind.ORDER_FILLED)["fee"].tolist() == [units(fee)]
    assert engine.purse.cash == units(1_000_000 - qty * px) - units(fee)


@pytest.mark.parametrize(
    ("buys", "cost", "released"),
    [
        ([(2, 10.00), (1, 10.05)], 300_500, 100_167),  # 100,166.67: the nearest
        ([(7, 0.05), (1, 0.10)], 4_500, 562),  # 562.5: a tie goes to the even one
        ([(5, 0.05), (3, 0.10)], 5_500, 688),  # 687.5
    ],
)
def test_the_cost_of_a_partial_close_is_rounded_once_and_the_rest_stays(scripted, buys, cost, released):
    engine = scripted()
    script(engine, 1, 0, [(n, order(BUY, qty)) for n, (qty, _) in enumerate(buys, 1)] + [(3, order(SELL, 1))])
    run_bars(engine, [flat(1, 10), *(flat(n + 1, px) for n, (_, px) in enumerate(buys, 1))])
    assert engine.state.positions[1]["cost"] == cost
    run_bars(engine, [flat(4, 20)])
    p = engine.state.positions[1]
    assert (p["cost"], p["realized"]) == (cost - released, 200_000 - released)
    check_books(engine)


def test_partial_fills_from_outside_release_the_reserve_in_parts(scripted):
    engine = scripted(simulate=0, cash=1_000)
    script(engine, 1, 0, [(1, order(BUY, 7, LIMIT, 10))])
    tape = run_bars(engine, [flat(1, 10)])
    number = int(of(tape, Kind.ORDER_SUBMITTED)["order_id"][0])
    held = units(70)
    for k, (qty, px, left) in enumerate([(2, 9.5, 5), (4, 10.0, 1), (1, 9.0, 0)]):
        assert engine.purse.reserved == held
        before = 7 if k == 0 else {1: 5, 2: 1}[k]
        run_bars(engine, [event(Kind.ORDER_FILLED, 2 + k, 0, order_id=number, qty=qty, px=units(px), fee=3)])
        held -= held * qty // before
        check_books(engine)
        assert engine.state.positions[1]["working_buy"] == left
    assert engine.purse.reserved == held == 0
    assert engine.account.open_orders == 0
    assert engine.purse.cash == units(1_000 - 19 - 40 - 9) - 9


def test_a_split_of_a_short_position_charges_its_fraction(scripted):
    engine = scripted(cash=1_000)
    script(engine, 1, 0, [(1, order(SELL, 5))])
    run_bars(engine, [flat(1, 30), flat(2, 30)])
    assert engine.purse.hold == units(300)
    run_bars(engine, [split(3, 1, 2)])  # -2.5: half a share bought at the new mark of 60
    a, p = engine.purse, engine.state.positions[1]
    assert (p.qty, p.cost, p.realized) == (-2, units(-120), 0)
    assert a.cash == units(1_000 + 150 - 30)
    assert a.hold == units(240)
    assert engine.state.markets["mark"][0] == units(60)
    check_books(engine)


def test_a_reverse_split_may_end_a_position(scripted):
    engine = scripted(cash=1_000)
    script(engine, 1, 0, [(1, order(BUY, 3))])
    run_bars(engine, [flat(1, 10), flat(2, 10), flat(3, 12), split(4, 1, 4)])
    a, p = engine.purse, engine.state.positions[1]
    assert (p.qty, p.cost, p.realized) == (0, 0, units(6))
    assert (a.cash, a.market_value, a.exposure) == (units(1_006), 0, 0)
    check_books(engine)


def test_peak_and_drawdown_are_taken_at_slice_ends(scripted):
    engine = scripted(cash=1_000)
    script(engine, 1, 0, [(1, order(BUY, 10))])
    equity = []
    for e in [flat(1, 50), bar(2, 50, 70, 40, 60), flat(3, 45), flat(4, 55), flat(5, 65)]:
        run_bars(engine, [e])
        equity.append(engine.purse.cash + engine.purse.market_value)
    assert equity == [units(v) for v in (1_000, 1_100, 950, 1_050, 1_150)]
    assert engine.account.peak == units(1_150)
    assert engine.account.drawdown == units(150)


def test_cash_paid_in_and_out_is_neither_gain_nor_fall(scripted):
    engine = scripted(cash=1_000)
    tape = [flat(1, 10), event(Kind.CASH_ADJUSTED, 2, amount_money=units(-400)), flat(3, 10)]
    run_bars(engine, tape)
    a = engine.account
    assert (engine.purse.cash, engine.purse.paid_in, a.peak, a.drawdown) == (units(600), units(600), units(600), 0)
    check_books(engine)


# ---- conservation over arbitrary streams -----------------------------------------------------------------------------

PRICES = st.integers(200, 4_000).map(lambda ticks: ticks * TICK / 10_000)
ORDERS = st.builds(
    order,
    st.sampled_from([BUY, SELL]),
    st.integers(1, 40),
    st.sampled_from([MARKET, MARKET, LIMIT, STOP, STOP_LIMIT]),
    PRICES,
    PRICES,
    st.sampled_from([1, 1, 1, int(IOC)]),
)
WISHES = st.lists(
    st.tuples(st.integers(1, 12), st.one_of(ORDERS, ORDERS, ORDERS, st.just(cancel_order()))), max_size=14
)


@st.composite
def streams(draw):
    """Slices of one or two instruments, with splits, dividends and money moved in between."""
    out = []
    for t in range(1, draw(st.integers(2, 14))):
        more = draw(st.integers(0, 9))
        if more == 0:
            out.append(split(t, draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.integers(0, 1))))
        elif more == 1:
            out.append(dividend(t, draw(st.integers(0, 50)) / 100, draw(st.integers(0, 1))))
        elif more == 2:
            out.append(event(Kind.CASH_ADJUSTED, t, amount_money=draw(st.integers(-(10**7), 10**7))))
        here = draw(st.sampled_from([(0,), (1,), (0, 1)]))
        for instrument in here:
            o, c, spread = draw(PRICES), draw(PRICES), draw(st.integers(0, 100)) * TICK / 10_000
            high, low = max(o, c) + spread, max(0.05, min(o, c) - spread)
            out.append(bar(t + 0.5, o, high, low, c, instrument, end=instrument == here[-1], minutes=0.5))
    return out


@given(
    stream=streams(),
    wishes=st.lists(WISHES, min_size=4, max_size=4),
    told=WISHES,
    cash=st.sampled_from([500, 5_000, 1e6]),
    fee=st.fixed_dictionaries(
        {"fee_rate": st.sampled_from([0, 333_333, 10_000_000]), "fee_round": st.sampled_from([1, 100])},
        optional={"fee_flat": st.just(70_000), "fee_min": st.just(12_345), "fee_max": st.just(50_000)},
    ),
)
def test_nothing_is_ever_lost(scripted, stream, wishes, told, cash, fee):
    engine = scripted(2, cash=cash, instruments=((0, TICK, 1), (1, TICK, 1)), **fee)
    for k, pairs in enumerate(wishes):
        script(engine, 1 + k // 2, k % 2, pairs, told if k == 0 else ())
    for e in stream:
        tape = run_bars(engine, [e])
        check_books(engine)
        assert (of(tape, Kind.ORDER_DENIED)["reason"] != Reason.NONE).all()
    if engine.account.open_orders == 0:
        assert engine.purse.reserved == 0
    script(engine, 1, 0), script(engine, 1, 1), script(engine, 2, 0), script(engine, 2, 1)
    for strategy in (1, 2):
        for instrument in (0, 1):
            seen = int(engine.memory_of(strategy)[instrument]["bars_seen"])
            script(engine, strategy, instrument, [(seen + 1, cancel_order())])
    last = [flat(99, 50, 0, end=False), flat(99, 50, 1)]
    run_bars(engine, last)
    assert engine.account.open_orders == engine.purse.reserved == 0
    check_books(engine)


CALM = st.lists(
    st.tuples(
        st.integers(1, 12),
        st.one_of(
            st.builds(order, st.just(BUY), st.integers(1, 40), st.just(LIMIT), PRICES),
            st.builds(order, st.just(BUY), st.integers(1, 40), st.just(STOP_LIMIT), PRICES, PRICES),
            st.builds(order, st.just(SELL), st.integers(1, 40), st.sampled_from([MARKET, LIMIT, STOP]), PRICES, PRICES),
        ),
    ),
    max_size=14,
)


@given(stream=streams(), wishes=st.lists(CALM, min_size=4, max_size=4))
def test_limit_orders_cannot_overdraw_the_account(scripted, stream, wishes):
    """Only what is filled past its reference price (market, stop) can; bought at a limit, free cash stays >= 0."""
    engine = scripted(
        2, cash=2_000, instruments=((0, TICK, 1), (1, TICK, 1)), fee_rate=3_000_000, limits={"allow_short": 0}
    )
    for k, pairs in enumerate(wishes):
        script(engine, 1 + k // 2, k % 2, pairs)
    for e in stream:
        if e["kind"] == Kind.CASH_ADJUSTED:
            continue
        run_bars(engine, [e])
        a = engine.purse
        assert a.cash - a.reserved - a.hold >= 0
        assert (engine.state.positions["qty"] >= 0).all()


@pytest.mark.parametrize(("opens", "free"), [(100, 0.0), (101, -10.0)])
def test_a_market_order_that_gaps_is_the_stated_exception(scripted, opens, free):
    engine = scripted(cash=1_000)
    script(engine, 1, 0, [(1, order(BUY, 10))])
    run_bars(engine, [flat(1, 100), flat(2, opens)])
    assert engine.purse.cash == units(free)


def test_positions_belong_to_their_strategy(scripted):
    engine = scripted(2)
    script(engine, 1, 0, [(1, order(BUY, 10)), (3, order(SELL, 10))])
    script(engine, 2, 0, [(1, order(SELL, 4))])
    run_bars(engine, [flat(1, 100), flat(2, 100)])
    assert engine.state.positions["qty"].tolist() == [0, 10, -4]
    assert engine.state.markets["net_qty"].tolist() == [6]
    run_bars(engine, [flat(3, 110), flat(4, 110)])
    assert engine.state.books["realized"].tolist() == [0, units(100), 0]
    assert np.array_equal(engine.state.positions["qty"], [0, 0, -4])
    check_books(engine)
