"""The kill switch: what trips it, what each level does, and that only a person lets go of it."""

import pytest

from kernel.codes import Flag, KillLevel, Kind, Origin, Reason
from kernel.rows import LIMITS
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.play import (
    LIMIT,
    STOP,
    TICK,
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
OFF, REDUCE_ONLY, NO_NEW_ORDERS, CANCEL_ALL, FLATTEN = KillLevel


def kill(t, level, reason=Reason.OPERATOR):
    return event(Kind.TRIPPED, t, level=level, reason=reason)


def reset(t):
    return event(Kind.KILL_RESET, t)


def held(scripted, *asked, strategies=1, **settings):
    """Long 10 since minute 2, and whatever was asked for."""
    engine = scripted(strategies, **settings)
    script(engine, 1, 0, [(1, order(BUY, 10)), *asked])
    run_bars(engine, [flat(1, 100), flat(2, 100)])
    return engine


def reasons(tape):
    return of(tape, Kind.ORDER_DENIED)["reason"].tolist()


class TestLevels:
    @pytest.mark.parametrize(
        ("level", "signal", "denied"),
        [
            (REDUCE_ONLY, order(BUY, 1), True),
            (REDUCE_ONLY, order(SELL, 10), False),
            (NO_NEW_ORDERS, order(SELL, 10), True),
            (CANCEL_ALL, order(SELL, 10), True),
            (FLATTEN, order(SELL, 10), True),
        ],
    )
    def test_what_is_still_sent(self, scripted, level, signal, denied):
        engine = held(scripted, (3, signal))
        assert reasons(run_bars(engine, [kill(2, level), flat(3, 100)])) == ([Reason.KILLED] if denied else [])
        check_books(engine)

    @pytest.mark.parametrize(("level", "left"), [(REDUCE_ONLY, 1), (NO_NEW_ORDERS, 1), (CANCEL_ALL, 0), (FLATTEN, 0)])
    def test_what_works_already(self, scripted, level, left):
        """What may open is taken back at every level, what only closes from the third on."""
        closing = order(SELL, 10, LIMIT, 110, flags=Flag.REDUCE_ONLY)
        engine = held(scripted, (2, order(BUY, 10, LIMIT, 90)), (2, closing))
        tape = run_bars(engine, [kill(2, level)])
        assert len(of(tape, Kind.ORDER_CANCELED)) == 2 - left
        assert engine.account.open_orders == left + (1 if level == FLATTEN else 0)

    @pytest.mark.parametrize("level", [REDUCE_ONLY, NO_NEW_ORDERS])
    def test_exits_stay_and_a_plain_order_that_would_close_goes(self, scripted, level):
        """docs/kill.md: the exits of a filled bracket work on; a limit order to sell what is held could open."""
        links = Flag.HELD | Flag.OCO
        exits = [order(SELL, 10, STOP, 0, 98, flags=links, link=1), order(SELL, 10, LIMIT, 103, flags=links, link=1)]
        engine = scripted(2)
        script(engine, 1, 0, [(1, order(BUY, 10)), *((1, one) for one in exits)])
        script(engine, 2, 0, [(1, order(BUY, 5)), (2, order(SELL, 5, LIMIT, 103))])
        run_bars(engine, [flat(1, 100), flat(2, 100)])
        tape = run_bars(engine, [kill(2, level), flat(3, 104)])
        assert of(tape, Kind.ORDER_CANCELED)["reason"].tolist() == [Reason.KILLED, Reason.ONE_CANCELS_OTHER]
        assert of(tape, Kind.ORDER_CANCELED)["strategy"].tolist() == [2, 1]
        assert engine.state.positions["qty"].sum() == 5 and engine.account.open_orders == 0
        check_books(engine)

    @pytest.mark.parametrize("level", [CANCEL_ALL, FLATTEN])
    def test_what_is_held(self, scripted, level):
        engine = held(scripted)
        tape = run_bars(engine, [kill(2, level), flat(3, 95)])
        assert engine.state.positions["qty"].sum() == (0 if level == FLATTEN else 10)
        if level == FLATTEN:
            assert of(tape, Kind.SIGNAL)["reason"].tolist() == [Reason.FLATTENED]
        check_books(engine)

    def test_every_position_of_every_strategy_closes(self, scripted):
        engine = scripted(3, instruments=[Terms(k, TICK, 1, freeze=7) for k in range(3)])
        for k in range(3):
            script(engine, k + 1, k, [(1, order(BUY if k % 2 else SELL, 10 + k))])
        inputs = [flat(t, 100, k, end=k == 2) for t in (1, 2) for k in range(3)]
        run_bars(engine, [*inputs, kill(2, FLATTEN), *(flat(3, 100, k, end=k == 2) for k in range(3))])
        assert not engine.state.positions["qty"].any()
        check_books(engine)


class TestLatch:
    def test_it_only_rises(self, scripted):
        engine = held(scripted)
        run_bars(engine, [kill(2, CANCEL_ALL), kill(2, REDUCE_ONLY)])
        assert engine.account.kill_level == CANCEL_ALL

    def test_a_snapshot_keeps_it(self, scripted):
        engine = held(scripted)
        run_bars(engine, [kill(2, NO_NEW_ORDERS)])
        other = scripted(1)
        other.load(engine.save())
        script(other, 1, 0, [(3, order(SELL, 10))])
        assert reasons(run_bars(other, [flat(3, 100)])) == [Reason.KILLED]

    def test_the_trading_state_does_not_lift_it(self, scripted):
        engine = held(scripted, (3, order(SELL, 10)))
        inputs = [kill(2, NO_NEW_ORDERS), event(Kind.TRADING_STATE_CHANGED, 2, setting=0), flat(3, 100)]
        assert reasons(run_bars(engine, inputs)) == [Reason.KILLED]

    def test_a_person_resets_it(self, scripted):
        engine = held(scripted, (3, order(SELL, 10)))
        assert reasons(run_bars(engine, [kill(2, NO_NEW_ORDERS), reset(2), flat(3, 100)])) == []

    @pytest.mark.parametrize(
        "bad", [reset(2), kill(2, 0), kill(2, 5), kill(2, -1), event(Kind.TRIPPED, 2, strategy=9, level=0)]
    )
    def test_what_makes_no_sense_is_refused(self, scripted, bad):
        engine = held(scripted)
        tape = run_bars(engine, [bad])
        assert of(tape, Kind.ANOMALY)["reason"].tolist() == [Reason.BAD_COMMAND]
        assert engine.account.kill_level == OFF


GUARDS = {"max_day_loss": units(100), "max_drawdown": SHARE // 10_000}


class TestGuards:
    @pytest.mark.parametrize(("name", "reason"), [("max_day_loss", Reason.DAY_LOSS), ("max_drawdown", Reason.DRAWDOWN)])
    def test_a_loss_trips_it(self, scripted, name, reason):
        engine = held(scripted, (3, order(BUY, 1)), limits={name: GUARDS[name]})
        assert len(of(run_bars(engine, [flat(3, 90)]), Kind.TRIPPED)) == 0, "100.00 is the limit and not over it"
        tape = run_bars(engine, [flat(4, 89.95)])
        [e] = of(tape, Kind.TRIPPED)
        assert (e["reason"], e["origin"], e["level"]) == (reason, Origin.KERNEL, CANCEL_ALL)
        assert e["measured"] > e["bound"] == GUARDS[name]
        assert engine.account.kill_level == CANCEL_ALL
        assert len(of(run_bars(engine, [flat(5, 80)]), Kind.TRIPPED)) == 0, "it is on already"

    def test_the_level_is_a_limit(self, scripted):
        engine = held(scripted, limits={**GUARDS, "trip_level": FLATTEN})
        run_bars(engine, [flat(3, 89), flat(4, 89)])
        assert engine.state.positions["qty"].sum() == 0
        check_books(engine)

    def test_the_slice_that_trips_it_decides_nothing(self, scripted):
        engine = held(scripted, (3, order(BUY, 1)), limits=GUARDS)
        assert reasons(run_bars(engine, [flat(3, 80)])) == [Reason.KILLED]

    def test_a_day_begins_anew(self, scripted):
        day = 24 * 60
        engine = held(scripted, limits={"max_day_loss": units(100)})
        tape = run_bars(engine, [flat(3, 91), flat(day, 91), flat(day + 1, 82), flat(day + 2, 80)])
        assert [int(e["ts_event"]) // (60 * 10**9) for e in of(tape, Kind.TRIPPED)] == [day + 2]

    def test_after_a_reset_losses_count_from_there(self, scripted):
        engine = held(scripted, limits=GUARDS)
        tape = run_bars(engine, [flat(3, 80), reset(3), flat(4, 75), flat(5, 69)])
        assert len(of(tape, Kind.TRIPPED)) == 2 and engine.account.kill_level == CANCEL_ALL

    @pytest.mark.parametrize("name", GUARDS)
    @pytest.mark.parametrize("other", ["max_orders_day", "max_drawdown", "max_day_loss"])
    def test_another_limit_forgives_nothing(self, scripted, name, other):
        """Down by 100.00, a person sets a limit of another sort: the next fall is counted from where it was."""
        engine = held(scripted, limits={name: GUARDS[name]})
        run_bars(engine, [flat(3, 90)])
        setting = 10 * GUARDS[name] if other == name else SHARE
        run_bars(engine, [event(Kind.LIMIT_CHANGED, 3, code=LIMITS.names.index(other), setting=setting)])
        trips = of(run_bars(engine, [flat(4, 89)]), Kind.TRIPPED)
        assert [(e["bound"], e["measured"] > e["bound"]) for e in trips] == [(GUARDS[name], True)] * (other != name)

    def test_a_guard_counts_from_where_it_was_set(self, scripted):
        for name, setting in GUARDS.items():
            engine = held(scripted)
            wanted = event(Kind.LIMIT_CHANGED, 3, code=LIMITS.names.index(name), setting=setting)
            assert len(of(run_bars(engine, [flat(3, 80), wanted, flat(4, 70.05)]), Kind.TRIPPED)) == 0
            assert len(of(run_bars(engine, [flat(5, 69)]), Kind.TRIPPED)) == 1

    @pytest.mark.parametrize("name", GUARDS)
    def test_a_strategys_own_guard_stops_that_strategy(self, scripted, name):
        engine = scripted(2, limits={"strategies": {"2": {name: GUARDS[name]}}})
        for number in (1, 2):
            script(engine, number, 0, [(1, order(BUY, 10)), (4, order(BUY, 1)), (5, order(BUY, 1))])
        tape = run_bars(engine, [flat(1, 100), flat(2, 100), flat(3, 89), flat(4, 89)])
        [e] = of(tape, Kind.TRIPPED)
        assert (e["strategy"], e["level"], engine.account.kill_level) == (2, 0, OFF)
        assert of(tape, Kind.SIGNAL)["strategy"].tolist() == [1, 2, 1]
        resumed = event(Kind.STRATEGY_RESUMED, 4, strategy=2)
        tape = run_bars(engine, [resumed, flat(5, 89)])
        assert of(tape, Kind.SIGNAL)["strategy"].tolist() == [1], "its loss still stands"

    def test_rejects_a_minute(self, scripted):
        engine = scripted(1, simulate=False, limits={"max_rejects_minute": 2})
        script(engine, 1, 0, [(1, order(BUY, n)) for n in range(1, 5)])
        tape = run_bars(engine, [flat(1, 100)])
        ids = of(tape, Kind.ORDER_SUBMITTED)["order_id"].tolist()
        rejects = [event(Kind.ORDER_REJECTED, t, 0, order_id=one) for t, one in zip((1.1, 1.1, 1.6), ids, strict=False)]
        assert len(of(run_bars(engine, [*rejects[:2], flat(1.5, 100, minutes=0.5)]), Kind.TRIPPED)) == 0
        [e] = of(run_bars(engine, [rejects[2], flat(2, 100, minutes=0.5)]), Kind.TRIPPED)
        assert (e["reason"], e["measured"], e["bound"]) == (Reason.REJECT_RATE, 3, 2)

    def test_errors_a_minute(self, scripted):
        engine = held(scripted, limits={"max_errors_minute": 2})
        odd = [event(Kind.ORDER_CANCELED, 2.1, 0, order_id=99) for _ in range(3)]
        [e] = of(run_bars(engine, [*odd, flat(3, 100)]), Kind.TRIPPED)
        assert (e["reason"], e["measured"], e["bound"]) == (Reason.ERROR_RATE, 3, 2)
