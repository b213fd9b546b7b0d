"""Several currencies, other scales, lots, and funds that have not arrived."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.codes import Kind, Reason
from kernel.state import Terms, totals_of
from kernel.units import SHARE
from tests.kernel.play import (
    TICK,
    check_books,
    day_end,
    event,
    flat,
    market,
    of,
    order,
    run_bars,
    script,
    split,
    units,
)

BUY, SELL = 1, -1
DOLLARS = Terms(1, TICK, 1, currency=1)
RUPEES = Terms(0, TICK, 1)


def paid(t, currency, money):
    return event(Kind.CASH_ADJUSTED, t, code=currency, amount_money=units(money))


def rate(t, currency, px):
    return event(Kind.FX_RATE, t, currency=currency, rate=round(px * SHARE))


def test_each_currency_has_a_purse_and_equity_is_in_the_first(scripted):
    engine = scripted(1, cash=1_000, instruments=[RUPEES, DOLLARS], currencies=2)
    script(engine, 1, 1, [(1, order(BUY, 10))])
    inputs = [rate(0, 1, 80), paid(0, 1, 500), flat(1, 20, 1), flat(2, 20, 1), flat(3, 25, 1), event(Kind.RUN_ENDED, 3)]
    tape = run_bars(engine, inputs)
    rupees, dollars = engine.state.purses
    assert (rupees["cash"], dollars["cash"], dollars["market_value"]) == (units(1_000), units(300), units(250))
    last = of(tape, Kind.EQUITY)[-1]
    assert last["equity"] == units(1_000 + 80 * 550) and last["unrealized"] == units(80 * 50)
    assert [(e["currency"], e["cash"]) for e in of(tape, Kind.BALANCE)] == [(0, units(1_000)), (1, units(300))]
    check_books(engine)


@pytest.mark.parametrize(("opening", "px"), [(500.0001, 21.05), (500.0001, 21.6), (500.0007, 21.35)])
def test_equity_is_one_figure_wherever_it_is_told(scripted, opening, px):
    """Cash and what is held of a purse are converted together: apart, their sum is a unit off the peak here."""
    engine = scripted(1, cash=1_000, instruments=[RUPEES, DOLLARS], currencies=2)
    script(engine, 1, 1, [(1, order(BUY, 7))])
    inputs = [rate(0, 1, 80.987654321), paid(0, 1, opening), flat(1, 20, 1), flat(2, 20, 1), flat(3, px, 1)]
    last = of(run_bars(engine, [*inputs, event(Kind.RUN_ENDED, 3)]), Kind.EQUITY)[-1]
    assert last["equity"] == totals_of(engine.state)["final_equity"] == last["peak"]


def test_a_purse_cannot_spend_another_ones_cash(scripted):
    engine = scripted(1, cash=1_000_000, instruments=[RUPEES, DOLLARS], currencies=2)
    script(engine, 1, 1, [(1, order(BUY, 10))])
    tape = run_bars(engine, [rate(0, 1, 80), paid(0, 1, 199), flat(1, 20, 1), flat(2, 20, 1)])
    assert [(e["reason"], e["allowed"]) for e in of(tape, Kind.ORDER_DENIED)] == [(Reason.CASH, units(199))]


@pytest.mark.parametrize("bad", [rate(0, 0, 80), rate(0, 2, 80), rate(0, 1, -1), paid(0, 2, 5), paid(0, -1, 5)])
def test_what_names_no_currency_is_refused(scripted, bad):
    engine = scripted(1, instruments=[RUPEES, DOLLARS], currencies=2)
    tape = run_bars(engine, [bad])
    assert [e["reason"] for e in of(tape, Kind.ANOMALY)] == [Reason.BAD_COMMAND]
    assert engine.state.purses["rate"].tolist() == [SHARE, 0]


COIN = Terms(0, 100, 1, num=1, den=10**12, px_scale=10**8)  # prices and quantities in 1e-8, money in 1e-4


def test_a_market_in_hundred_millionths(scripted):
    """0.00012345 of a coin at 61,234.56780000: 7.55940739..., once rounded to 7.5594."""
    engine = scripted(1, cash=100, instruments=[COIN])
    script(engine, 1, 0, [(1, order(BUY, 12_345)), (2, order(SELL, 12_345))])
    bars = [flat(t, 1) for t in (1, 2, 3)]
    for e, px in zip(bars, (6_123_456_780_000, 6_123_456_780_000, 6_200_000_000_000), strict=True):
        for name in ("open", "high", "low", "close"):
            e[name] = px
    run_bars(engine, bars[:2])
    assert engine.purse.cash == units(100) - 75_594
    run_bars(engine, bars[2:])
    assert engine.purse.cash == units(100) - 75_594 + 76_539
    check_books(engine)


def test_first_in_first_out_closes_the_oldest(scripted):
    engine = scripted(1, cash=100_000, fifo=1)
    script(engine, 1, 0, [(1, order(BUY, 10)), (2, order(BUY, 10)), (3, order(SELL, 15)), (4, order(SELL, 15))])
    p = engine.state.positions[1]
    run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 110), flat(4, 120)])
    assert (p.realized, p.cost) == (units(10 * 20 + 5 * 10), units(5 * 110))
    run_bars(engine, [flat(5, 130)])
    assert (p.qty, p.realized, p.cost) == (-10, units(250 + 5 * 20), -units(1_300))
    check_books(engine)


def test_average_cost_of_the_same(scripted):
    engine = scripted(1, cash=100_000)
    script(engine, 1, 0, [(1, order(BUY, 10)), (2, order(BUY, 10)), (3, order(SELL, 15))])
    run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 110), flat(4, 120)])
    p = engine.state.positions[1]
    assert (p.realized, p.cost) == (units(15 * 15), units(5 * 105))


@pytest.mark.parametrize("ratio", [(2, 1), (3, 2), (1, 10), (1, 1000)])
def test_lots_come_through_splits(scripted, ratio):
    engine = scripted(2, cash=1_000_000, fifo=1)
    script(engine, 1, 0, [(n, order(BUY, 7 * n)) for n in range(1, 6)] + [(8, order(SELL, 20))])
    script(engine, 2, 0, [(n, order(SELL, 11 * n)) for n in range(1, 4)] + [(8, order(BUY, 20))])
    inputs = [flat(t, 100 + t) for t in range(1, 7)]
    run_bars(engine, [*inputs, split(6, *ratio), *(flat(t, 100 + t) for t in range(7, 10))])
    check_books(engine)


def test_an_account_without_a_free_lot_denies(scripted):
    engine = scripted(1, cash=1_000_000, fifo=1, lots=3)
    script(engine, 1, 0, [(n, order(BUY, 1)) for n in range(1, 6)])
    tape = run_bars(engine, [flat(t, 100) for t in range(1, 7)])
    assert [e["reason"] for e in of(tape, Kind.ORDER_DENIED)] == [Reason.LOTS_FULL] * 2
    check_books(engine)


@given(st.integers(0, 10**6))
def test_both_methods_come_to_the_same_cash(scripted, seed):
    rng = np.random.default_rng(seed)
    ends = []
    orders = [(n, order(int(rng.choice([BUY, SELL])), int(rng.integers(1, 40)))) for n in range(1, 30)]
    inputs = market(seed, 40, 1)
    for fifo in (0, 1):
        engine = scripted(1, cash=10_000_000, fifo=fifo, fee_rate=1_000_000)
        script(engine, 1, 0, orders)
        run_bars(engine, inputs)
        check_books(engine)
        q = engine.purse
        ends.append((int(q.cash), int(engine.state.positions[1]["qty"]), int(q.realized + q.market_value - q.cost)))
    assert ends[0] == ends[1]


def test_proceeds_arrive_the_day_after(scripted):
    shares = Terms(0, TICK, 1, calendar=1, settles=1)
    engine = scripted(1, cash=1_000, instruments=[shares], unsettled_block=SHARE)
    script(engine, 1, 0, [(1, order(BUY, 10)), (2, order(SELL, 10)), (3, order(BUY, 5)), (4, order(BUY, 5))])
    day = 24 * 60
    tape = run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 100)])
    q = engine.purse
    assert (q.cash, q.sold) == (units(1_000), units(1_000))
    assert [e["reason"] for e in of(tape, Kind.ORDER_DENIED)] == [Reason.CASH]
    tape = run_bars(engine, [day_end(4), day_end(4)])
    assert (q.sold, q.due) == (0, units(1_000)), "once a day"
    run_bars(engine, [day_end(day + 4), flat(day + 5, 100), flat(day + 6, 100)])
    assert (q.sold, q.due, engine.state.positions[1]["qty"]) == (0, 0, 5)
    check_books(engine)
