"""Every reason an order can be denied for, at its exact threshold: the last that passes, the first that does not."""

import pytest

from kernel import rows
from kernel.codes import Kind, Reason, Status, TradingState
from kernel.jit import COMPILED
from kernel.risk import check
from kernel.rows import LIMIT_BOUNDS
from kernel.tables import tables_at
from tests.kernel.play import (
    LIMIT,
    MARKET,
    STOP,
    STOP_LIMIT,
    TICK,
    bar,
    check_books,
    event,
    flat,
    of,
    order,
    run_bars,
    script,
    units,
)

BUY, SELL = 1, -1
LIMITS = list(rows.LIMITS.names)


WITHOUT_NUMBERS = {Reason.UNKNOWN_ORDER_TYPE, Reason.TRADING_HALTED, Reason.OVERFLOW}


def verdicts(scripted, *signals, px=100.0, held=None, before=(), **settings) -> list[Reason]:
    """Reason.NONE or the denial of each signal, all given at one bar; `held` is bought (sold) first."""
    engine = scripted(**settings)
    stream, placed, at = [flat(1, px)], [], 1
    if held is not None:
        placed, stream, at = [(1, order(BUY if held > 0 else SELL, abs(held)))], [*stream, flat(2, px)], 2
    stream += [*before, flat(9, px)]
    script(engine, 1, 0, placed + [(at + 1, signal) for signal in signals])
    tape = run_bars(engine, stream)
    answered = of(tape, Kind.ORDER_SUBMITTED, Kind.ORDER_DENIED)[len(placed) :]
    denied = answered[answered["kind"] == Kind.ORDER_DENIED]
    assert (denied["status"] == Status.DENIED).all()
    assert (denied["order_id"] == denied["seq"]).all()
    assert (denied["actual"] != denied["allowed"]).all() or set(denied["reason"]) <= WITHOUT_NUMBERS
    assert engine.account.denied == len(denied)
    check_books(engine)
    return [Reason(int(r)) for r in answered["reason"]]


BOUNDS = {  # name: (what passes, what does not, why, settings)
    "quantity zero": (order(BUY, 1), order(BUY, 0), Reason.QTY_NOT_POSITIVE, {}),
    "quantity negative": (order(BUY, 1), order(BUY, -1), Reason.QTY_NOT_POSITIVE, {}),
    "order quantity": (order(BUY, 50), order(BUY, 51), Reason.QTY_OVER_LIMIT, {"limits": {"max_order_qty": 50}}),
    "lot": (order(BUY, 50), order(BUY, 51), Reason.QTY_OFF_LOT, {"instruments": ((0, TICK, 25),)}),
    "value of a market order": (
        order(BUY, 10),
        order(BUY, 11),
        Reason.NOTIONAL_OVER_LIMIT,
        {"limits": {"max_order_notional": units(1_000)}},
    ),
    "value one unit over": (
        order(BUY, 10, LIMIT, 100),
        order(BUY, 10, LIMIT, 100.05),
        Reason.NOTIONAL_OVER_LIMIT,
        {"limits": {"max_order_notional": units(1_000)}},
    ),
    "value counts the market buffer": (
        order(BUY, 10, LIMIT, 100),
        order(BUY, 10),
        Reason.NOTIONAL_OVER_LIMIT,
        {"limits": {"max_order_notional": units(1_000), "market_buffer_bps": 1}},
    ),
    "value of a stop is at its trigger": (
        order(BUY, 10, STOP, 0, 100),
        order(BUY, 10, STOP, 0, 100.05),
        Reason.NOTIONAL_OVER_LIMIT,
        {"limits": {"max_order_notional": units(1_000)}},
    ),
    "value of a stop limit is at its limit": (
        order(BUY, 10, STOP_LIMIT, 100, 90),
        order(BUY, 10, STOP_LIMIT, 100.05, 90),
        Reason.NOTIONAL_OVER_LIMIT,
        {"limits": {"max_order_notional": units(1_000)}},
    ),
    "position": (order(BUY, 30), order(BUY, 31), Reason.POSITION_OVER_LIMIT, {"limits": {"max_position_qty": 30}}),
    "short position": (
        order(SELL, 30),
        order(SELL, 31),
        Reason.POSITION_OVER_LIMIT,
        {"limits": {"max_position_qty": 30}},
    ),
    "limit price zero": (order(BUY, 1, LIMIT, 0.05), order(BUY, 1, LIMIT, 0), Reason.PRICE_NOT_POSITIVE, {}),
    "limit price negative": (order(BUY, 1, LIMIT, 0.05), order(BUY, 1, LIMIT, -5), Reason.PRICE_NOT_POSITIVE, {}),
    "limit price below half a tick": (
        order(BUY, 1, LIMIT, 0.025),
        order(BUY, 1, LIMIT, 0.0249),
        Reason.PRICE_NOT_POSITIVE,
        {},
    ),
    "limit price is no number": (
        order(BUY, 1, LIMIT, 1),
        order(BUY, 1, LIMIT, float("nan")),
        Reason.PRICE_NOT_POSITIVE,
        {},
    ),
    "trigger zero": (order(SELL, 1, STOP, 0, 0.05), order(SELL, 1, STOP, 5, 0), Reason.PRICE_NOT_POSITIVE, {}),
    "stop limit without trigger": (
        order(BUY, 1, STOP_LIMIT, 5, 5),
        order(BUY, 1, STOP_LIMIT, 5, 0),
        Reason.PRICE_NOT_POSITIVE,
        {},
    ),
    "stop limit without limit": (
        order(BUY, 1, STOP_LIMIT, 5, 5),
        order(BUY, 1, STOP_LIMIT, 0, 5),
        Reason.PRICE_NOT_POSITIVE,
        {},
    ),
    "order type unknown": (order(BUY, 1, 4, 1, 1), order(BUY, 1, 6), Reason.UNKNOWN_ORDER_TYPE, {}),
    "time in force unknown": (order(BUY, 1, tif=2), order(BUY, 1, tif=6), Reason.UNKNOWN_ORDER_TYPE, {}),
    "time in force missing": (order(BUY, 1, tif=1), order(BUY, 1, tif=0), Reason.UNKNOWN_ORDER_TYPE, {}),
    "side unknown": (order(SELL, 1), order(2, 1), Reason.UNKNOWN_ORDER_TYPE, {}),
    "instrument unknown": (order(BUY, 1), order(BUY, 1, instrument=1), Reason.UNKNOWN_INSTRUMENT, {}),
    "instrument not of this run": (
        order(BUY, 1),
        order(BUY, 1, instrument=1),
        Reason.UNKNOWN_INSTRUMENT,
        {"instruments": ((0, TICK, 1), (2, TICK, 1))},
    ),
    "instrument has not traded": (
        order(BUY, 1),
        order(BUY, 1, LIMIT, 5, instrument=1),
        Reason.NO_MARK,
        {"instruments": ((0, TICK, 1), (1, TICK, 1))},
    ),
    "quantity beyond numbers": (
        order(BUY, 2**46 - 1, LIMIT, 0.05),
        order(BUY, 2**46, LIMIT, 0.05),
        Reason.OVERFLOW,
        {"limits": dict.fromkeys(LIMITS[:3], 2**62), "cash": 2**58 / 10_000},
    ),
    "value beyond money": (
        order(BUY, 2**45, LIMIT, 13.1),  # 2**45 * 131000 < 2**62 <= 2**45 * 131500
        order(BUY, 2**45, LIMIT, 13.15),
        Reason.OVERFLOW,
        {"limits": dict.fromkeys(LIMITS[:3], 2**62), "cash": (2**62 - 2**46) / 10_000},
    ),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_bound(scripted, name):
    passes, fails, why, settings = BOUNDS[name]
    assert verdicts(scripted, passes, **settings) == [Reason.NONE]
    assert verdicts(scripted, fails, **settings) == [why]


FEE = {"fee_rate": 1_000_000, "fee_flat": 10_000}  # 0.1 % and 1.00


@pytest.mark.parametrize(
    ("signal", "needs", "settings"),
    [  # cash that is exactly enough, in units
        (order(BUY, 10, LIMIT, 100), units(1_000), {}),
        (order(BUY, 10, LIMIT, 100), units(1_000 + 1 + 1), FEE),
        (order(BUY, 10, STOP_LIMIT, 100, 90), units(1_000 + 2), FEE),
        (order(BUY, 10), units(1_000 + 2), FEE),
        # 100 * 1.0037 = 100.37 the share, fee 1.0037 + 1.00
        (order(BUY, 10), units(1_003.70) + units(2.0037), {**FEE, "limits": {"market_buffer_bps": 37}}),
        (order(BUY, 10, STOP, 0, 100), units(1_003.70 + 2.0037), {**FEE, "limits": {"market_buffer_bps": 37}}),
        # the buffer is rounded up to a unit: 100.05 * 1.0001 = 100.060005 -> 100.0601
        (order(BUY, 3, STOP, 0, 100.05), 3 * 1_000_601, {"limits": {"market_buffer_bps": 1}}),
        # a short is held in full, too
        (order(SELL, 10, LIMIT, 100), units(1_000 + 2), FEE),
        (order(SELL, 10), units(1_002), FEE),
    ],
)
def test_cash_exactly_enough_and_one_unit_short(scripted, signal, needs, settings):
    assert verdicts(scripted, signal, cash=needs / 10_000, **settings) == [Reason.NONE]
    assert verdicts(scripted, signal, cash=(needs - 1) / 10_000, **settings) == [Reason.CASH]


def test_what_is_set_aside_is_written_on_the_order(scripted):
    engine = scripted(**FEE)
    script(engine, 1, 0, [(1, order(BUY, 10, LIMIT, 99))])
    tape = run_bars(engine, [flat(1, 100)])
    assert of(tape, Kind.ORDER_SUBMITTED)["reserve_px"].tolist() == [units(99)]
    assert engine.purse.reserved == units(991.99)


class TestClosing:
    """What closes a position needs no cash; what goes beyond it is an opening order."""

    def test_a_sale_needs_no_cash(self, scripted):
        assert verdicts(scripted, order(SELL, 10), held=10, cash=1_000) == [Reason.NONE]

    def test_a_cover_needs_no_cash(self, scripted):
        assert verdicts(scripted, order(BUY, 10), held=-10, cash=1_000) == [Reason.NONE]

    def test_beyond_the_position_needs_cash_for_the_rest_only(self, scripted):
        assert verdicts(scripted, order(SELL, 13), held=10, cash=1_300) == [Reason.NONE]
        assert verdicts(scripted, order(SELL, 13), held=10, cash=1_299.99) == [Reason.CASH]

    def test_where_nothing_may_open_a_sale_only_reduces(self, scripted):
        no_short = {"limits": {"allow_short": 0}}
        first = order(SELL, 6, LIMIT, 110)
        assert verdicts(scripted, first, order(SELL, 4), held=10, **no_short) == [Reason.NONE, Reason.NONE]

    def test_working_buys_do_not_count_for_a_sale(self, scripted):
        no_short = {"limits": {"allow_short": 0}}
        pair = order(BUY, 5, LIMIT, 90), order(SELL, 1)
        assert verdicts(scripted, *pair, **no_short) == [Reason.NONE, Reason.SHORT_NOT_ALLOWED]

    def test_shorts_off(self, scripted):
        no_short = {"limits": {"allow_short": 0}}
        assert verdicts(scripted, order(SELL, 10), held=10, **no_short) == [Reason.NONE]
        assert verdicts(scripted, order(SELL, 11), held=10, **no_short) == [Reason.SHORT_NOT_ALLOWED]
        assert verdicts(scripted, order(SELL, 1), **no_short) == [Reason.SHORT_NOT_ALLOWED]

    def test_anothers_position_is_not_mine_to_close(self, scripted):
        engine = scripted(2, limits={"allow_short": 0})
        script(engine, 1, 0, [(1, order(BUY, 10))])
        script(engine, 2, 0, [(2, order(SELL, 10))])
        tape = run_bars(engine, [flat(1, 100), flat(2, 100)])
        assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.SHORT_NOT_ALLOWED]

    def test_proceeds_count_only_once_filled(self, scripted):
        pair = order(SELL, 10), order(BUY, 1)
        assert verdicts(scripted, *pair, held=10, cash=1_000) == [Reason.NONE, Reason.CASH]

    def test_proceeds_of_a_short_are_held(self, scripted):
        assert verdicts(scripted, order(BUY, 11, LIMIT, 1), held=-10, cash=1_000) == [Reason.CASH]
        assert verdicts(scripted, order(SELL, 1), held=-10, cash=1_099.99) == [Reason.CASH]
        assert verdicts(scripted, order(SELL, 1), held=-10, cash=1_100) == [Reason.NONE]

    def test_position_limit_counts_what_works_on_the_same_side(self, scripted):
        cap = {"limits": {"max_position_qty": 30}}
        assert verdicts(scripted, order(BUY, 10, LIMIT, 90), order(BUY, 10), held=10, **cap) == [Reason.NONE] * 2
        assert verdicts(scripted, order(BUY, 10, LIMIT, 90), order(BUY, 11), held=10, **cap) == [
            Reason.NONE,
            Reason.POSITION_OVER_LIMIT,
        ]

    def test_position_limit_lets_a_position_shrink(self, scripted):
        lower = event(Kind.LIMIT_CHANGED, 3, code=2, setting=5)
        assert verdicts(scripted, order(SELL, 4), held=10, before=[lower]) == [Reason.NONE]
        assert verdicts(scripted, order(BUY, 1), held=10, before=[lower]) == [Reason.POSITION_OVER_LIMIT]


class TestTradingState:
    def state(self, value):
        return [event(Kind.TRADING_STATE_CHANGED, 3, setting=value)]

    def test_halted_stops_everything(self, scripted):
        halted = self.state(TradingState.HALTED)
        assert verdicts(scripted, order(SELL, 5), held=10, before=halted) == [Reason.TRADING_HALTED]

    def test_reducing_lets_out_and_not_in(self, scripted):
        reducing = self.state(TradingState.REDUCING)
        assert verdicts(scripted, order(SELL, 10), held=10, before=reducing) == [Reason.NONE]
        assert verdicts(scripted, order(SELL, 11), held=10, before=reducing) == [Reason.TRADING_REDUCING]
        assert verdicts(scripted, order(BUY, 1), held=10, before=reducing) == [Reason.TRADING_REDUCING]
        assert verdicts(scripted, order(BUY, 10), held=-10, before=reducing) == [Reason.NONE]

    def test_active_again(self, scripted):
        back = [*self.state(TradingState.HALTED), event(Kind.TRADING_STATE_CHANGED, 4, setting=TradingState.ACTIVE)]
        assert verdicts(scripted, order(BUY, 1), before=back) == [Reason.NONE]

    def test_what_works_already_goes_on(self, scripted):
        engine = scripted()
        script(engine, 1, 0, [(1, order(BUY, 1))])
        tape = run_bars(engine, [flat(1, 100), *self.state(TradingState.HALTED), flat(4, 100)])
        assert len(of(tape, Kind.ORDER_FILLED)) == 1


@pytest.mark.parametrize("field", LIMITS)
def test_each_limit_can_be_changed_on_the_way(scripted, field):
    engine = scripted()
    other, before = (0 if field == "allow_short" else min(7, LIMIT_BOUNDS.get(field, 7))), engine.state.limits[0].copy()
    run_bars(engine, [event(Kind.LIMIT_CHANGED, 1, code=LIMITS.index(field), setting=other)])
    for name in LIMITS:
        assert engine.state.limits[0][name] == (other if name == field else before[name])


@pytest.mark.parametrize("field", LIMIT_BOUNDS)
def test_no_limit_can_be_set_to_what_breaks_the_kernel(scripted, field):
    engine = scripted()
    before = int(engine.state.limits[0][field])
    change = event(Kind.LIMIT_CHANGED, 1, code=LIMITS.index(field), setting=LIMIT_BOUNDS[field] + 1)
    tape = run_bars(engine, [change])
    assert [e["reason"] for e in of(tape, Kind.ANOMALY)] == [Reason.BAD_COMMAND]
    assert engine.state.limits[0][field] == before


def test_a_full_order_table_denies_and_a_cancel_makes_room(scripted):
    engine = scripted(open_orders=3)
    resting = [order(BUY, 1, LIMIT, 50 + k) for k in range(4)]
    script(engine, 1, 0, [(1, one) for one in resting] + [(2, order(SELL, 1, MARKET)), (3, order(BUY, 1, LIMIT, 40))])
    tape = run_bars(engine, [flat(1, 100), flat(2, 100)])
    denied = of(tape, Kind.ORDER_DENIED)
    assert denied["reason"].tolist() == [Reason.ORDER_TABLE_FULL] * 2
    assert engine.account.free_slot == -1
    tape = run_bars(engine, [bar(3, 100, 100, 51.5, 60)])  # fills the one at 52, the others rest
    assert len(of(tape, Kind.ORDER_FILLED)) == 1
    assert len(of(tape, Kind.ORDER_SUBMITTED)) == 1
    assert engine.account.open_orders == 3
    check_books(engine)


def test_a_stopped_strategy_is_not_asked(scripted):
    engine = scripted(2)
    for strategy in (1, 2):
        script(engine, strategy, 0, [(n, order(BUY, 1)) for n in (1, 2, 3, 4)])
    pause = event(Kind.STRATEGY_PAUSED, 1.5, strategy=1)
    resume = event(Kind.STRATEGY_RESUMED, 2.5, strategy=1)
    tape = run_bars(engine, [flat(1, 10), pause, flat(2, 10), resume, flat(3, 10)])
    assert of(tape, Kind.SIGNAL)["strategy"].tolist() == [1, 2, 2, 1, 2]
    assert engine.memory_of(1)[0]["bars_seen"] == 2, "a paused strategy sees no bars"
    assert of(tape, Kind.ORDER_FILLED)["strategy"].tolist() == [1, 2, 2], "its working orders stay"


@pytest.mark.skipif(COMPILED, reason="calls a helper of the kernel, which has no entry of its own when compiled")
@pytest.mark.parametrize(
    ("stopped", "why"), [(0, Reason.NONE), (1, Reason.STRATEGY_STOPPED), (2, Reason.STRATEGY_STOPPED)]
)
def test_a_signal_of_a_stopped_strategy_is_denied(scripted, stopped, why):
    """A stopped strategy is not asked, so no run gets here: the second lock is tried by hand."""
    engine = scripted()
    run_bars(engine, [flat(1, 10)])
    engine.state.books[1]["stopped"] = stopped
    fields = {"strategy": 1, "side": 1, "qty": 1, "order_type": MARKET, "tif": 1}
    assert check(tables_at(engine._address), event(Kind.SIGNAL, 2, 0, **fields))[0] == why
