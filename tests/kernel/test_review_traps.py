"""What a second review found: one trap a test."""

from kernel.codes import Flag, InstrumentClass, Item, Kind, Product, Reason, TimerCode
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.play import (
    LIMIT,
    STOP,
    TICK,
    bar,
    check_books,
    day_end,
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
from tests.kernel.test_charged import SHARES, rule
from tests.kernel.test_contracts import expiry, option
from tests.kernel.test_ticks import quote, trade

BUY, SELL = 1, -1
PERCENT = SHARE // 100


def denials(tape):
    return [Reason(int(e["reason"])).name for e in of(tape, Kind.ORDER_DENIED)]


def test_brokerage_as_a_share_of_value_is_charged_once(scripted):
    engine = scripted(1, instruments=[SHARES], charges=[rule(Item.BROKERAGE, 0.1)])
    script(engine, 1, 0, [(1, order(BUY, 100))])
    run_bars(engine, [flat(1, 100), flat(2, 100), day_end(3)])
    assert engine.purse.fees == units(10)


def test_exits_of_shares_that_were_delivered_away_go(scripted):
    call = option(1, 1, 100, physical=1)
    engine = scripted(1, cash=1_000_000, instruments=[Terms(0, TICK, 1, calendar=1), call])
    stop = order(SELL, 10, STOP, trigger=95, flags=Flag.HELD, link=1)
    script(engine, 1, 0, [(1, order(BUY, 10)), (1, stop)])
    script(engine, 1, 1, [(1, order(SELL, 10))])
    both = [bar for t in (1, 2) for bar in (flat(t, 100, 0, end=False), flat(t, 5, 1))]
    run_bars(engine, [*both, expiry(3, 1, 110), flat(4, 90)])
    assert engine.state.positions["qty"].sum() == 0
    check_books(engine)


def test_a_quote_of_before_a_split_is_none_after_it(scripted):
    engine = scripted(1)
    script(engine, 1, 0, [(1, order(BUY, 10))])
    tape = run_bars(engine, [quote(0.5, 99, 101), flat(1, 100), split(2, 10, 1), trade(3, 10)])
    assert [px for *_, px in fills(tape)] == [10.0]


def test_latency_counts_before_an_order_sees_its_first_tick(scripted):
    engine = scripted(1, latency_events=1)
    script(engine, 1, 0, [(1, order(BUY, 10, LIMIT, 105))])
    tape = run_bars(engine, [flat(1, 100), quote(2, 99, 100), quote(3, 99, 100), quote(4, 99, 100)])
    assert [px for *_, px in fills(tape)] == [100.0]


MINUTES = {"bar_kind": 1, "bar_size": 60 * 10**9, "bar_grace": 2 * 10**9}


def test_a_late_trade_moves_nothing_and_fills_nothing(scripted):
    engine = scripted(1, instruments=[Terms(0, TICK, 1, calendar=1)], **MINUTES)
    script(engine, 1, 0, [(1, order(BUY, 10, LIMIT, 95))])
    late = trade(3.5, 90)
    late["ts_event"] = int(0.5 * 60 * 10**9)
    closes = event(Kind.TIMER, 1, code=TimerCode.BAR_CLOSE, setting=1)
    tape = run_bars(engine, [trade(0.2, 100), closes, trade(3, 100), late])
    assert fills(tape) == [] and engine.state.markets[0]["mark"] == units(100)
    assert engine.state.markets[0]["late"] == 1


def test_a_bar_made_of_trades_does_not_put_the_mark_back(scripted):
    engine = scripted(1, **MINUTES)
    run_bars(engine, [trade(0.5, 100), trade(1.5, 110)])
    assert engine.state.markets[0]["mark"] == units(110) and engine.state.markets[0]["close"] == units(100)


def test_a_dividend_is_none_of_a_contract(scripted):
    future = Terms(0, TICK, 1, asset=InstrumentClass.FUTURE, margin=SHARE // 5)
    engine = scripted(1, instruments=[future])
    script(engine, 1, 0, [(1, order(BUY, 7))])
    run_bars(engine, [flat(1, 100), flat(2, 100), event(Kind.DIVIDEND, 3, 0, amount=units(5)), split(3, 1, 2)])
    check_books(engine)
    assert engine.purse.dividends == 0


def test_what_is_left_of_a_trailing_stop_stays_set_off(scripted):
    from kernel.codes import OrderType

    engine = scripted(1, participation=PERCENT, band=PERCENT)
    trail = order(SELL, 10, OrderType.TRAILING_STOP, trail=2.0, flags=Flag.REDUCE_ONLY)
    script(engine, 1, 0, [(1, order(BUY, 10)), (2, trail)])
    bars = [flat(1, 100), flat(2, 100, volume=5_000), bar(3, 100, 100, 97, 97, volume=400), flat(4, 120), flat(5, 119)]
    run_bars(engine, [*bars, *(flat(t, 119, volume=5_000) for t in (6, 7))])
    assert engine.state.positions["qty"].sum() == 0


def test_lots_are_kept_for_working_orders_while_one_fills_in_parts(scripted):
    terms = [Terms(0, TICK, 1), Terms(1, TICK, 1)]
    engine = scripted(1, instruments=terms, fifo=1, lots=4, participation=PERCENT)
    script(engine, 1, 0, [(1, order(BUY, 40))])
    script(engine, 1, 1, [(1, order(BUY, 5, LIMIT, 90))])
    bars = [
        one
        for t in range(1, 12)
        for one in (flat(t, 100 + t, 0, end=False, volume=500), flat(t, 100 if t < 9 else 80, 1))
    ]
    run_bars(engine, bars)
    check_books(engine)
    assert engine.state.positions["qty"].sum() == 45


class TestLimits:
    def played(self, scripted, asked, *inputs, strategies=1, **settings):
        engine = scripted(strategies, **settings)
        for number in range(1, strategies + 1):
            script(engine, number, 0, asked)
        tape = run_bars(engine, inputs)
        check_books(engine)
        return engine, tape

    def test_working_orders_count_for_net_and_underlying(self, scripted):
        asked = [(1, order(BUY, 400, LIMIT, 99 - n)) for n in range(5)]
        for name in ("max_net", "max_underlying"):
            _, tape = self.played(scripted, asked, flat(1, 100), limits={name: units(50_000)}, cash=10**7)
            assert len(of(tape, Kind.ORDER_SUBMITTED)) == 1, name

    def test_a_flip_is_no_way_around_the_net(self, scripted):
        asked = [(1, order(BUY, 400)), (2, order(SELL, 10_000))]
        _, tape = self.played(
            scripted, asked, flat(1, 100), flat(2, 100), limits={"max_net": units(50_000)}, cash=10**7
        )
        assert denials(tape) == ["NET_OVER_LIMIT"]

    def test_a_winner_can_be_closed(self, scripted):
        limits = {"max_order_notional": units(10_000), "max_order_qty": 90}
        asked = [(1, order(BUY, 90)), (2, order(BUY, 5)), (3, order(SELL, 95))]
        engine, tape = self.played(
            scripted, asked, *(flat(t, 100 if t < 3 else 150) for t in range(1, 5)), limits=limits
        )
        assert denials(tape) == [] and engine.state.positions["qty"].sum() == 0

    def test_payments_are_no_loss_and_no_gain(self, scripted):
        engine = scripted(1, cash=100_000, limits={"max_drawdown": 5 * PERCENT, "max_day_loss": units(1_000)})
        script(engine, 1, 0, [(1, order(BUY, 100))])
        paid = event(Kind.CASH_ADJUSTED, 2, amount_money=-units(20_000))
        assert len(of(run_bars(engine, [flat(1, 100), flat(2, 100), paid, flat(3, 100)]), Kind.TRIPPED)) == 0
        more = event(Kind.CASH_ADJUSTED, 3, amount_money=units(20_000))
        assert len(of(run_bars(engine, [more, flat(4, 85)]), Kind.TRIPPED)) == 1

    def test_a_strategy_resumed_counts_from_there(self, scripted):
        limits = {"strategies": {"1": {"max_day_loss": units(100)}}}
        engine = scripted(1, limits=limits)
        script(engine, 1, 0, [(1, order(BUY, 10)), (2, order(BUY, 50, LIMIT, 70))])
        tape = run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 85)])
        assert len(of(tape, Kind.TRIPPED)) == 1
        assert [e["reason"] for e in of(tape, Kind.ORDER_CANCELED)] == [Reason.STRATEGY_STOPPED], "its orders go, too"
        tape = run_bars(engine, [event(Kind.STRATEGY_RESUMED, 3, strategy=1), flat(4, 85), flat(5, 80)])
        assert len(of(tape, Kind.TRIPPED)) == 0

    def test_the_accounts_position_is_that_of_all_strategies(self, scripted):
        limits = {"max_position_qty": 100}
        engine, tape = self.played(
            scripted, [(1, order(BUY, 100))], flat(1, 100), flat(2, 100), strategies=2, limits=limits
        )
        assert denials(tape) == ["POSITION_OVER_LIMIT"]

    def test_without_a_rate_nothing_is_worth_anything_known(self, scripted):
        engine = scripted(1, instruments=[Terms(0, TICK, 1), Terms(1, TICK, 1, currency=1)], currencies=2)
        script(engine, 1, 1, [(1, order(BUY, 1))])
        assert denials(run_bars(engine, [flat(1, 100, 1)])) == ["NO_RATE"]

    def test_a_reset_forgets_the_rejects_of_before(self, scripted):
        engine = scripted(1, limits={"max_errors_minute": 2})
        odd = [event(Kind.ORDER_CANCELED, 2.1, 0, order_id=99) for _ in range(3)]
        tape = run_bars(engine, [*odd, flat(2.2, 100), event(Kind.KILL_RESET, 2.2), flat(2.3, 100)])
        assert len(of(tape, Kind.TRIPPED)) == 1

    def test_square_off_looks_again(self, scripted):
        """An entry that was on its way when the time came."""
        terms = [Terms(0, TICK, 1, calendar=4)]
        engine = scripted(1, instruments=terms, latency_events=2)
        script(engine, 1, 0, [(1, order(BUY, 10, product=Product.INTRADAY))])
        at = event(Kind.TIMER, 2, code=TimerCode.SQUARE_OFF, setting=4)
        run_bars(engine, [flat(1, 100), flat(2, 100), at, *(flat(t, 100) for t in range(3, 12))])
        assert engine.state.positions["qty"].sum() == 0

    def test_a_guard_closes_what_has_no_bar_in_its_slice(self, scripted):
        engine = scripted(
            1, instruments=[Terms(k, TICK, 1) for k in range(2)], limits={"max_day_loss": units(100), "trip_level": 4}
        )
        for k in range(2):
            script(engine, 1, k, [(1, order(BUY, 10))])
        inputs = [flat(t, 100, k, end=k == 1) for t in (1, 2) for k in range(2)]
        tape = run_bars(engine, [*inputs, flat(3, 80, 0)])
        closes = of(tape, Kind.SIGNAL)
        assert sorted(closes["instrument"][closes["reason"] == Reason.FLATTENED].tolist()) == [0, 1]
