"""No order can spend cash that is not there: whatever its own prices say, and whichever of several fills first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.codes import Kind, Reason
from tests.kernel.play import (
    GTC,
    IOC,
    LIMIT,
    MARKET,
    STOP,
    STOP_LIMIT,
    TICK,
    cancel_order,
    check_books,
    flat,
    of,
    order,
    run_bars,
    script,
    split,
    units,
)

BUY, SELL = 1, -1


def free(engine) -> int:
    a = engine.purse
    return int(a.cash) - int(a.reserved) - int(a.hold)


@pytest.mark.parametrize(
    "signal",
    [
        order(BUY, 90, STOP, 0, 0.05),  # on the wrong side: set off at once, at the market
        order(SELL, 90, LIMIT, 0.05),  # marketable: sells at 100, not at 0.05
        order(SELL, 90, STOP_LIMIT, 0.05, 5_000),
        order(SELL, 90, STOP, 0, 0.05),  # may gap anywhere up to the mark
        order(BUY, 90, STOP_LIMIT, 100, 0.05),
    ],
)
def test_an_order_is_worth_what_it_can_fill_at(scripted, signal):
    engine = scripted(cash=8_999.99)
    script(engine, 1, 0, [(1, signal)])
    tape = run_bars(engine, [flat(1, 100), flat(2, 100)])
    assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.CASH]
    engine = scripted(cash=1e9, limits={"max_order_notional": units(8_999.99)})
    script(engine, 1, 0, [(1, signal)])
    tape = run_bars(engine, [flat(1, 100), flat(2, 100)])
    assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.NOTIONAL_OVER_LIMIT]


@pytest.mark.parametrize("side", [BUY, SELL])
def test_two_orders_that_each_could_close(scripted, side):
    """The second one fills first and closes; the first then opens the other way, with its cash still set aside."""
    engine = scripted(cash=30_000)
    rest = order(side, 100, LIMIT, 100 + 10 * -side)
    script(engine, 1, 0, [(1, order(-side, 100)), (2, rest), (2, order(side, 100)), (3, order(BUY, 250, LIMIT, 100))])
    tape = run_bars(engine, [flat(1, 100), flat(2, 100)])
    assert len(of(tape, Kind.ORDER_DENIED)) == 0
    worth = 110 if side == SELL else 100  # the resting limit, or the market order at the mark
    assert engine.purse.reserved == units(100 * worth)
    tape = run_bars(engine, [flat(3, 100)])  # the market order closes
    assert engine.purse.reserved >= units(100 * (110 if side == SELL else 90))
    assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.CASH], "30,000 less what the rest may still open"
    run_bars(engine, [flat(4, 100 + 11 * -side)])
    assert free(engine) >= 0
    check_books(engine)


def test_what_is_set_aside_goes_with_what_is_no_longer_open(scripted):
    engine = scripted(cash=100_000)
    script(
        engine,
        1,
        0,
        [(1, order(SELL, 10, LIMIT, 110)), (1, order(SELL, 5, LIMIT, 120)), (2, order(BUY, 12)), (4, cancel_order())],
    )
    run_bars(engine, [flat(1, 100)])
    assert engine.purse.reserved == units(10 * 110 + 5 * 120)
    run_bars(engine, [flat(2, 100), flat(3, 100)])  # long 12: of 15 only 3 could open, at worst the dear ones
    assert engine.purse.reserved == units(10 * 110 + 5 * 120 - 12 * 110)
    run_bars(engine, [flat(4, 100)])
    assert engine.purse.reserved == 0
    check_books(engine)


def test_a_short_that_loses_leaves_less_to_spend(scripted):
    engine = scripted(cash=1_000_000, instruments=((0, TICK, 1), (1, TICK, 1)))
    script(engine, 1, 0, [(1, order(SELL, 4_000)), (3, order(BUY, 10_000, instrument=1)), (4, order(BUY, 4_000))])
    bars = [(1, 100), (2, 100), (3, 400), (4, 300)]
    tape = run_bars(engine, [b for t, px in bars for b in (flat(t, px, 0, end=False), flat(t, 10, 1))])
    assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.CASH], "its equity is below zero"
    assert free(engine) == units(1_400_000 - 400_000 - 4_000 * 300)
    tape = run_bars(engine, [flat(5, 300, 0, end=False), flat(5, 10, 1)])
    assert engine.purse.hold == 0 and len(of(tape, Kind.ORDER_FILLED)) == 1, "a cover needs no cash"
    check_books(engine)


def test_a_short_and_a_long_of_two_strategies_do_not_net(scripted):
    engine = scripted(2, cash=100_000)
    script(engine, 1, 0, [(1, order(BUY, 10))])
    script(engine, 2, 0, [(1, order(SELL, 10))])
    run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 250)])
    assert engine.state.markets[0]["net_qty"] == 0
    assert engine.purse.hold == units(1_000 + 2_500)
    check_books(engine)


def test_a_fill_beyond_money_is_canceled(scripted):
    """Bought within its limits at the mark, gapped to where the value leaves the numbers."""
    engine = scripted(
        cash=4e14, limits=dict.fromkeys(("max_order_qty", "max_order_notional", "max_position_qty"), 2**62 - 1)
    )
    script(engine, 1, 0, [(1, order(BUY, 2**44))])
    tape = run_bars(engine, [flat(1, 10), flat(2, 5_000)])
    assert of(tape, Kind.ORDER_CANCELED)["reason"].tolist() == [Reason.OVERFLOW]
    assert engine.purse.reserved == engine.account.open_orders == 0


@pytest.mark.parametrize("instrument", [-1, -5, 7])
def test_an_instrument_that_is_none_is_not_this_one(scripted, instrument):
    engine = scripted()
    script(engine, 1, 0, [(1, order(BUY, 1, instrument=instrument))])
    tape = run_bars(engine, [flat(1, 100), flat(2, 100)])
    assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.UNKNOWN_INSTRUMENT]


@pytest.mark.parametrize(("px", "why"), [(1e300, Reason.OVERFLOW), (-1e300, Reason.PRICE_NOT_POSITIVE)])
def test_a_price_out_of_range_says_so(scripted, px, why):
    engine = scripted()
    script(engine, 1, 0, [(1, order(BUY, 1, LIMIT, px))])
    assert of(run_bars(engine, [flat(1, 100)]), Kind.ORDER_DENIED)["reason"].tolist() == [why]


ORDERS = st.tuples(
    st.integers(1, 12),  # at which bar
    st.sampled_from([1, 2]),  # strategy
    st.sampled_from([0, 1]),  # instrument
    st.builds(
        order,
        st.sampled_from([BUY, SELL]),
        st.integers(1, 60),
        st.sampled_from([MARKET, LIMIT, STOP, STOP_LIMIT]),
        st.sampled_from([1.0, 60.0, 90.0, 100.0, 110.0, 300.0]),
        st.sampled_from([1.0, 90.0, 100.0, 110.0, 300.0]),
        st.sampled_from([GTC, IOC]),
    )
    | st.just(cancel_order()),
)


@given(st.lists(ORDERS, max_size=14), st.sampled_from([0, 1_000_000]), st.booleans())
def test_at_a_steady_price_nothing_is_overdrawn(scripted, asked, fee_rate, is_split):
    """Any orders at any prices in any order: free cash is never below zero, before or after any slice."""
    engine = scripted(
        2, cash=10_000, fee_rate=fee_rate, fee_flat=fee_rate // 100, instruments=((0, TICK, 1), (1, TICK, 1))
    )
    for strategy in (1, 2):
        for instrument in (0, 1):
            mine = [(at, signal) for at, who, where, signal in asked if (who, where) == (strategy, instrument)]
            script(engine, strategy, instrument, mine[:8])
    for t in range(1, 14):
        px = 50 if is_split and t > 6 else 100
        stream = [flat(t, px, 0, end=False), flat(t, 100, 1)]
        run_bars(engine, [split(t, 2, 1, 0), *stream] if is_split and t == 7 else stream)
        assert free(engine) >= 0
        check_books(engine)
