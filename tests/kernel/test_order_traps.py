"""What could go wrong with orders that hang together and with reports from outside, one trap a test.

Found by a review of the first version; each was wrong money.
"""

import pytest

from kernel.codes import Flag, Kind, OrderType, Product, Reason, Status, TradingState
from kernel.state import Terms
from tests.kernel.play import (
    LIMIT,
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
    split,
    units,
)

BUY, SELL = 1, -1
HELD, OCO, REDUCE_ONLY = Flag.HELD, Flag.OCO, Flag.REDUCE_ONLY


def played(scripted, asked, *inputs, **settings):
    engine = scripted(1, **settings)
    script(engine, 1, 0, asked)
    tape = run_bars(engine, inputs)
    check_books(engine)
    return engine, tape


def exits(at, qty, stop=98.0, profit=103.0, link=1):
    return [
        (at, order(SELL, qty, STOP, trigger=stop, flags=HELD | OCO, link=link)),
        (at, order(SELL, qty, LIMIT, profit, flags=HELD | OCO, link=link)),
    ]


def report(kind, t, **fields):
    return event(kind, t, 0, order_id=3, **fields)


class TestLinked:
    @pytest.mark.parametrize("short", [5, 10, 15])
    def test_an_exit_never_opens(self, scripted, short):
        asked = [(1, order(SELL, short)), (2, order(BUY, 10)), *exits(2, 10)]
        engine, tape = played(scripted, asked, flat(1, 100), flat(2, 100), bar(3, 100, 101, 97, 100), flat(4, 95))
        assert engine.state.positions["qty"].sum() == min(0, 10 - short)

    def test_a_stop_that_is_cut_to_the_position_still_watches_the_bar(self, scripted):
        asked = [(1, order(BUY, 10)), *exits(1, 10, 95, 120), (2, order(SELL, 4))]
        _, tape = played(scripted, asked, flat(1, 100), flat(2, 100), bar(3, 100, 100, 90, 99))
        assert fills(tape)[1:] == [(3, -4, 100.0), (3, -6, 95.0)]

    def test_a_closing_order_beside_a_reduce_only_one_does_not_open(self, scripted):
        asked = [(1, order(BUY, 10)), (2, order(SELL, 10, LIMIT, 110)), (2, order(SELL, 10, flags=REDUCE_ONLY))]
        bars = [flat(1, 100), flat(2, 100), flat(3, 100), flat(4, 112)]
        engine, _ = played(scripted, asked, *bars, cash=1_000, limits={"allow_short": 0})
        assert engine.state.positions["qty"].sum() == 0 and engine.account.open_orders == 0

    def test_nor_where_trading_only_reduces(self, scripted):
        asked = [(1, order(BUY, 10)), *exits(1, 10, 94, 130), (3, order(SELL, 10, LIMIT, 110))]
        reducing = event(Kind.TRADING_STATE_CHANGED, 2, setting=TradingState.REDUCING)
        bars = [flat(1, 100), flat(2, 100), reducing, flat(3, 100), flat(4, 93), flat(5, 112)]
        engine, _ = played(scripted, asked, *bars)
        assert engine.state.positions["qty"].sum() == 0

    def test_an_entry_without_its_exits_is_not_sent(self, scripted):
        engine, tape = played(scripted, [(1, order(BUY, 10, LIMIT, 95)), *exits(1, 10)], flat(1, 100), open_orders=2)
        assert of(tape, Kind.ORDER_DENIED)["reason"].tolist()[0] == Reason.GROUP_DENIED
        assert len(of(tape, Kind.ORDER_SUBMITTED)) == 0

    def test_limits_of_size_are_the_entrys(self, scripted):
        bars, limits = [flat(1, 105), bar(2, 100, 100, 94, 100)], {"max_order_notional": units(1_000)}
        engine, tape = played(scripted, [(1, order(BUY, 10, LIMIT, 95)), *exits(1, 10, 90, 120)], *bars, limits=limits)
        assert len(of(tape, Kind.ORDER_DENIED)) == 0 and engine.account.open_orders == 2

    def test_a_pair_stands_or_falls_together(self, scripted):
        pair = [(1, order(BUY, 5, LIMIT, 90, flags=OCO)), (1, order(BUY, 50, LIMIT, 90, flags=OCO, link=1))]
        engine, tape = played(scripted, pair, flat(1, 100), cash=1_000)
        assert engine.account.open_orders == 0
        assert of(tape, Kind.ORDER_CANCELED)["reason"].tolist() == [Reason.GROUP_DENIED]

    def test_a_change_of_an_exit_is_kept(self, scripted):
        asked = [(1, order(BUY, 10)), *exits(1, 10, 90, 120), (3, change_order(qty=4)), (4, order(BUY, 1))]
        engine, _ = played(scripted, asked, *(flat(t, 100) for t in range(1, 6)))
        assert sorted(engine.state.orders["leaves_qty"])[-2:] == [4, 10]

    def test_a_larger_entry_has_larger_exits(self, scripted):
        asked = [(1, order(BUY, 10, LIMIT, 95)), *exits(1, 10, 90, 120)]
        engine = scripted(1)
        script(engine, 1, 0, [*asked, (2, change_order(3, qty=20))])
        tape = run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 94)])
        check_books(engine)
        entry = int(of(tape, Kind.ORDER_SUBMITTED)[0]["order_id"])
        assert entry == 3
        assert engine.state.positions["qty"].sum() == 20
        assert sorted(engine.state.orders["leaves_qty"])[-2:] == [20, 20]

    def test_a_slice_does_not_grow_beyond_its_parent(self, scripted):
        terms = [Terms(0, TICK, 1, freeze=10)]
        asked = [(1, order(BUY, 25, LIMIT, 90)), (2, change_order(qty=10))]
        _, tape = played(scripted, asked, flat(1, 100), flat(2, 100), instruments=terms)
        assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.QTY_OVER_FREEZE]

    def test_what_waits_for_a_market_order_is_one(self, scripted):
        asked = [(1, order(SELL, 10)), (1, order(BUY, 10, flags=HELD, link=1))]
        _, tape = played(scripted, asked, flat(1, 100), bar(2, 100, 105, 95, 101), flat(3, 102))
        assert fills(tape) == [(2, -10, 100.0), (3, 10, 102.0)] and len(of(tape, Kind.ORDER_TRIGGERED)) == 0

    def test_what_waits_goes_with_an_entry_that_a_split_ended(self, scripted):
        asked = [(1, order(BUY, 5, LIMIT, 90)), (1, order(SELL, 5, STOP, trigger=80, flags=HELD, link=1))]
        engine, _ = played(scripted, asked, flat(1, 100), split(2, 1, 10))
        assert engine.account.open_orders == 0


class TestChanges:
    def change(self, scripted, signal, *, state=None, first=None, **settings):
        between = [] if state is None else [event(Kind.TRADING_STATE_CHANGED, 1, setting=state)]
        asked = [(1, first or order(BUY, 10, LIMIT, 90)), (2, signal)]
        _, tape = played(scripted, asked, flat(1, 100), *between, flat(2, 100), **settings)
        return of(tape, Kind.ORDER_DENIED)["reason"].tolist()

    def test_a_halt_stops_a_change_of_price(self, scripted):
        assert self.change(scripted, change_order(px=101), state=TradingState.HALTED) == [Reason.TRADING_HALTED]
        assert self.change(scripted, change_order(px=101), state=TradingState.REDUCING) == [Reason.TRADING_REDUCING]

    @pytest.mark.parametrize(
        ("signal", "why"),
        [
            (change_order(), Reason.NOTHING_TO_CHANGE),
            (change_order(qty=10), Reason.NOTHING_TO_CHANGE),
            (change_order(px=float("nan")), Reason.PRICE_NOT_POSITIVE),
            (change_order(trigger=95.0), Reason.PRICE_NOT_POSITIVE),
        ],
    )
    def test_a_change_of_nothing_or_of_what_it_has_not(self, scripted, signal, why):
        assert self.change(scripted, signal) == [why]

    def test_a_lot_larger_than_the_freeze(self, scripted):
        _, tape = played(scripted, [(1, order(BUY, 150))], flat(1, 100), instruments=[Terms(0, TICK, 75, freeze=50)])
        assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.QTY_OVER_FREEZE]

    def test_a_close_of_another_product_is_denied(self, scripted):
        asked = [(1, order(BUY, 10, product=Product.DELIVERY)), (2, order(SELL, 10, product=Product.INTRADAY))]
        _, tape = played(scripted, asked, flat(1, 100), flat(2, 100))
        assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.PRODUCT_MIXED]

    def test_reduce_only_is_cut_before_its_size_is_looked_at(self, scripted):
        asked = [(1, order(BUY, 10)), (2, order(SELL, 10**6, flags=REDUCE_ONLY))]
        engine, _ = played(scripted, asked, *(flat(t, 100) for t in (1, 2, 3)), limits={"max_order_qty": 100})
        assert engine.state.positions["qty"].sum() == 0


class TestReports:
    """A venue of its own: reports come from outside, late, twice, out of order."""

    def live(self, scripted, *reports, asked=None, bars=(), **settings):
        engine = scripted(1, simulate=False, **settings)
        script(engine, 1, 0, asked or [(1, order(BUY, 10, LIMIT, 95))])
        run_bars(engine, [flat(1, 100), *bars])
        tape = run_bars(engine, list(reports))
        check_books(engine)
        return engine, tape

    def filled(self, t, qty, **more):
        return report(Kind.ORDER_FILLED, t, qty=qty, px=units(95), **more)

    def qty(self, engine):
        return int(engine.state.positions["qty"].sum())

    def test_a_trade_is_booked_once(self, scripted):
        engine, tape = self.live(
            scripted, self.filled(2, 4, ref=777), self.filled(2, 4, ref=777), self.filled(2, 4, ref=778)
        )
        assert self.qty(engine) == 8
        assert of(tape, Kind.ANOMALY)["reason"].tolist() == [Reason.DUPLICATE]

    def test_nor_twice_after_its_order_has_gone(self, scripted):
        engine, tape = self.live(scripted, self.filled(2, 10, ref=777), self.filled(3, 10, ref=777))
        assert self.qty(engine) == 10

    GROWS = ((1, order(BUY, 10, LIMIT, 95)), (2, change_order(qty=20)))

    def test_filled_while_it_is_made_larger(self, scripted):
        more = report(Kind.ORDER_REPLACED, 3, qty=20, px=units(95))
        engine, tape = self.live(
            scripted, self.filled(3, 10), more, self.filled(3, 10), asked=self.GROWS, bars=[flat(2, 100)]
        )
        assert (self.qty(engine), engine.account.open_orders, len(of(tape, Kind.ANOMALY))) == (20, 0, 0)

    def test_filled_and_not_made_larger(self, scripted):
        refused = report(Kind.ORDER_REPLACE_REJECTED, 3)
        engine, _ = self.live(scripted, self.filled(3, 10), refused, asked=self.GROWS, bars=[flat(2, 100)])
        assert (self.qty(engine), engine.account.open_orders) == (10, 0)

    def test_a_fill_that_overtakes_the_change(self, scripted):
        more = report(Kind.ORDER_REPLACED, 3, qty=20, px=units(95))
        engine, tape = self.live(
            scripted, self.filled(3, 15), more, self.filled(3, 5), asked=self.GROWS, bars=[flat(2, 100)]
        )
        assert (self.qty(engine), engine.account.open_orders, len(of(tape, Kind.ANOMALY))) == (20, 0, 0)

    def test_a_cancel_refused_while_a_change_is_under_way(self, scripted):
        asked = (*self.GROWS, (3, cancel_order(3)))
        reports = [report(Kind.ORDER_CANCEL_REJECTED, 4), report(Kind.ORDER_REPLACED, 4, qty=20, px=units(95))]
        engine, tape = self.live(scripted, *reports, self.filled(4, 20), asked=asked, bars=[flat(2, 100), flat(3, 100)])
        assert (self.qty(engine), engine.account.open_orders, len(of(tape, Kind.ANOMALY))) == (20, 0, 0)

    @pytest.mark.parametrize("filled", [4, 6])
    def test_made_smaller_than_it_was_filled(self, scripted, filled):
        asked = ((1, order(BUY, 10, LIMIT, 95)), (2, change_order(qty=4)))
        less = report(Kind.ORDER_REPLACED, 3, qty=4, px=units(95))
        engine, tape = self.live(scripted, self.filled(3, filled), less, asked=asked, bars=[flat(2, 100)])
        assert (self.qty(engine), engine.account.open_orders, engine.purse.reserved) == (filled, 0, 0)

    def test_a_refused_cancel_is_not_asked_for_again_at_once(self, scripted):
        asked = ((1, order(SELL, 10, LIMIT, 105)), (1, order(BUY, 10, LIMIT, 90, flags=REDUCE_ONLY)))
        engine, tape = self.live(scripted, report(Kind.ORDER_CANCEL_REJECTED, 2), asked=asked)
        assert len(of(tape, Kind.ORDER_CANCEL_SUBMITTED)) == 0

    def test_more_fills_in_a_slice_than_there_is_room_to_tell(self, scripted):
        engine, _ = self.live(scripted, *(self.filled(2, 1) for _ in range(6)), open_orders=4)
        assert (self.qty(engine), engine.account.untold) == (6, 2)

    def test_a_change_to_what_was_not_asked_for_is_refused(self, scripted):
        engine, tape = self.live(
            scripted, report(Kind.ORDER_REPLACED, 3, qty=2**45, px=units(95)), asked=self.GROWS, bars=[flat(2, 100)]
        )
        assert of(tape, Kind.ANOMALY)["reason"].tolist() == [Reason.ILLEGAL_MOVE]

    @pytest.mark.parametrize("first", [Kind.ORDER_ACCEPTED, Kind.ORDER_TRIGGERED])
    def test_some_refuse_after_they_accepted(self, scripted, first):
        stop = ((1, order(BUY, 10, OrderType.STOP_LIMIT, 106, 105)),)
        engine, tape = self.live(scripted, report(first, 2), report(Kind.ORDER_REJECTED, 3), asked=stop)
        assert engine.account.open_orders == 0 and len(of(tape, Kind.ANOMALY)) == 0

    def test_a_late_fill_of_an_entry_counts_with_its_exits(self, scripted):
        asked = [(1, order(BUY, 10, LIMIT, 95)), (1, order(SELL, 10, STOP, trigger=90, flags=HELD, link=1))]
        reports = [self.filled(2, 4), report(Kind.ORDER_CANCELED, 3), self.filled(4, 6)]
        engine, tape = self.live(scripted, *reports, asked=asked)
        assert self.qty(engine) == 10
        assert of(tape, Kind.ORDER_REPLACE_SUBMITTED)["qty"].tolist() == [10]
        assert of(tape, Kind.ANOMALY)["reason"].tolist() == [Reason.LATE_FILL]

    def test_a_late_fill_opens_a_position_of_its_orders_product(self, scripted):
        """Whatever was asked for since, and is gone again: an intraday position is squared off, another is not."""
        asked = [
            (1, order(BUY, 10, LIMIT, 95, product=Product.INTRADAY)),
            (2, order(BUY, 5, LIMIT, 95, product=Product.DELIVERY)),
        ]
        engine, _ = self.live(scripted, report(Kind.ORDER_CANCELED, 1.5), asked=asked)
        [second] = of(run_bars(engine, [flat(2, 100)]), Kind.ORDER_SUBMITTED)
        gone = event(Kind.ORDER_CANCELED, 2.5, 0, order_id=int(second["order_id"]))
        run_bars(engine, [gone, self.filled(3, 10)])
        assert engine.state.positions[["qty", "product"]][1].tolist() == (10, Product.INTRADAY)
        check_books(engine)

    def test_cancel_all_leaves_an_entrys_stop_until_the_entry_is_gone(self, scripted):
        asked = [
            (1, order(BUY, 10, LIMIT, 95)),
            (1, order(SELL, 10, STOP, trigger=90, flags=HELD, link=1)),
            (2, cancel_order()),
        ]
        engine, tape = self.live(
            scripted, self.filled(3, 10), report(Kind.ORDER_CANCEL_REJECTED, 3), asked=asked, bars=[flat(2, 100)]
        )
        assert len(of(tape, Kind.ORDER_RELEASED)) == 1
        assert engine.state.orders["status"].max() == Status.SUBMITTED


class TestTrailingOutside:
    def test_a_venue_outside_is_told_where_a_trigger_stands(self, scripted):
        """One change at a time: what follows while one is under way is told once that was answered."""
        engine = scripted(1, simulate=False)
        script(engine, 1, 0, [(1, order(BUY, 10, OrderType.TRAILING_STOP, trail=5.0))])
        run_bars(engine, [flat(1, 100), report(Kind.ORDER_ACCEPTED, 1)])
        tape = run_bars(engine, [flat(2, 98), flat(3, 97)])
        [asked] = of(tape, Kind.ORDER_REPLACE_SUBMITTED)
        assert (asked["trigger_px"], asked["reason"], asked["qty"]) == (units(103), Reason.TRAILED, 10)
        bars = of(tape, Kind.BAR)
        assert asked["cause"] == bars[0]["seq"]
        replaced = report(Kind.ORDER_REPLACED, 3, qty=10, trigger_px=units(103))
        tape = run_bars(engine, [replaced, flat(4, 99)])
        assert of(tape, Kind.ORDER_REPLACE_SUBMITTED)["trigger_px"].tolist() == [units(102)]
        check_books(engine)

    def test_a_kill_names_itself_as_the_cause_of_every_cancel(self, scripted):
        engine = scripted(1, simulate=False)
        script(engine, 1, 0, [(1, order(BUY, 10, LIMIT, 90 + n)) for n in range(3)])
        run_bars(engine, [flat(1, 100)])
        tape = run_bars(engine, [event(Kind.TRIPPED, 2, level=3)])
        assert of(tape, Kind.ORDER_CANCEL_SUBMITTED)["cause"].tolist() == [int(tape[0]["seq"])] * 3
