"""Limits that look beyond one order: each with what passes, what does not, and the numbers it says."""

import numpy as np
import pytest

from kernel.codes import Flag, InstrumentClass, Kind, OrderType, Product, Reason, TimerCode
from kernel.rows import LIMITS, RING
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.play import (
    LIMIT,
    MINUTE,
    TICK,
    cancel_order,
    check_books,
    event,
    fills,
    flat,
    market,
    of,
    order,
    run_bars,
    script,
    units,
)

BUY, SELL = 1, -1
SECOND = 10**9
PERCENT = SHARE // 100
NAMES = list(LIMITS.names)
PLACES = ["account", "strategy"]


def limited(place, **limits):
    """The same limits, of the account or of strategy 1."""
    return {"limits": limits if place == "account" else {"strategies": {"1": limits}}}


def denials(tape):
    return [(Reason(int(e["reason"])).name, int(e["actual"]), int(e["allowed"])) for e in of(tape, Kind.ORDER_DENIED)]


def played(scripted, asked, *inputs, strategies=1, **settings):
    engine = scripted(strategies, **settings)
    for number, signals in enumerate(asked if strategies > 1 else [asked], 1):
        script(engine, number, 0, signals)
    tape = run_bars(engine, inputs)
    check_books(engine)
    return engine, tape


BARS = [flat(t, 100) for t in range(1, 9)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("limits", "asked", "expected"),
    [
        ({"max_open_orders": 2}, [(1, order(BUY, 1, LIMIT, 90 + n)) for n in range(3)], [("OPEN_ORDERS", 3, 2)]),
        ({"max_orders_day": 2}, [(n, order(BUY, 1)) for n in (1, 2, 3)], [("ORDERS_OF_DAY", 3, 2)]),
        ({"max_trades_day": 2}, [(n, order(BUY, 1)) for n in (1, 2, 3)], [("TRADES_OF_DAY", 3, 2)]),
        ({"max_orders_second": 2}, [(1, order(BUY, n)) for n in (1, 2, 3)], [("ORDERS_A_SECOND", 3, 2)]),
        ({"max_orders_minute": 2}, [(1, order(BUY, n)) for n in (1, 2, 3)], [("ORDERS_A_MINUTE", 3, 2)]),
        (
            {"duplicate_within": 2 * MINUTE},
            [(1, order(BUY, 5)), (2, order(BUY, 5)), (2, order(BUY, 6)), (4, order(BUY, 6))],
            [("DUPLICATE_ORDER", MINUTE, 2 * MINUTE)],
        ),
        (
            {"repeat_count": 2, "repeat_within": 5 * MINUTE},
            [(n, order(BUY, n)) for n in (1, 2, 3)] + [(7, order(BUY, 1))],
            [("REPEATED", 3, 2)],
        ),
        (
            {"max_gross": units(1_000)},
            [(1, order(BUY, 6)), (2, order(BUY, 4, LIMIT, 90)), (3, order(BUY, 1))],
            [("GROSS_OVER_LIMIT", units(600 + 360 + 100), units(1_000))],
        ),
        ({"max_net": units(1_000)}, [(1, order(BUY, 6)), (2, order(BUY, 5))], [("NET_OVER_LIMIT", units(1_100), units(1_000))]),
        (
            {"max_underlying": units(1_000)},
            [(1, order(BUY, 6)), (2, order(BUY, 5))],
            [("UNDERLYING_OVER_LIMIT", units(1_100), units(1_000))],
        ),
        ({"collar": 3 * PERCENT}, [(1, order(BUY, 1, LIMIT, 97)), (1, order(BUY, 1, LIMIT, 96.95))], [("COLLAR", units(96.95), units(97))]),
        (
            {"self_cross": 1},
            [(1, order(SELL, 1, LIMIT, 105)), (1, order(BUY, 1, LIMIT, 104)), (1, order(BUY, 1, LIMIT, 105))],
            [("SELF_CROSS", units(105), 3)],
        ),
        ({"self_cross": 1}, [(1, order(SELL, 1, LIMIT, 105)), (1, order(BUY, 1))], [("SELF_CROSS", 0, 3)]),
    ],
)  # fmt: skip
def test_a_limit(scripted, place, limits, asked, expected):
    _, tape = played(scripted, asked, *BARS, **limited(place, **limits))
    assert denials(tape) == expected


def test_a_limit_of_one_strategy_is_no_other_ones(scripted):
    asked = [[(1, order(BUY, 5)), (2, order(BUY, 5))], [(1, order(BUY, 5)), (2, order(BUY, 5))]]
    limits = {"limits": {"strategies": {"2": {"max_orders_day": 1, "max_order_qty": 5}}}}
    engine, tape = played(scripted, asked, *BARS, strategies=2, **limits)
    assert [int(e["strategy"]) for e in of(tape, Kind.ORDER_DENIED)] == [2]


def test_the_accounts_limit_counts_all_strategies(scripted):
    asked = [[(1, order(BUY, 5))], [(1, order(BUY, 5))]]
    engine, tape = played(scripted, asked, *BARS, strategies=2, limits={"max_orders_day": 1})
    assert [int(e["strategy"]) for e in of(tape, Kind.ORDER_DENIED)] == [2]


def test_what_closes_passes_counts_and_sizes(scripted):
    limits = {"max_orders_day": 1, "max_gross": units(1_000), "max_orders_second": 1, "max_trades_day": 1}
    engine, tape = played(scripted, [(1, order(BUY, 10)), (2, order(SELL, 10))], *BARS, limits=limits)
    assert denials(tape) == [] and engine.state.positions["qty"].sum() == 0


def test_counts_of_a_day_begin_anew(scripted):
    day = 24 * 60
    asked = [(1, order(BUY, 1)), (2, order(BUY, 1)), (3, order(BUY, 1))]
    _, tape = played(scripted, asked, flat(1, 100), flat(2, 100), flat(day + 1, 100), limits={"max_orders_day": 1})
    assert [int(e["ts_event"]) // MINUTE for e in of(tape, Kind.ORDER_DENIED)] == [2]


def test_a_stale_price(scripted):
    """An order of a slice without the instrument's own bar, four minutes after its last."""
    two = {"instruments": ((0, TICK, 1), (1, TICK, 1))}
    asked = [(1, order(BUY, 1, instrument=1)), (3, order(BUY, 1, instrument=1))]
    inputs = [flat(1, 100, 0, end=False), flat(1, 50, 1), flat(3, 100, 0), flat(5, 100, 0)]
    _, tape = played(scripted, asked, *inputs, limits={"stale_after": 3 * MINUTE}, **two)
    assert denials(tape) == [("STALE_PRICE", 4 * MINUTE, 3 * MINUTE)]


def test_all_of_an_underlying_counts_together(scripted):
    future = Terms(1, TICK, 1, asset=InstrumentClass.FUTURE, underlying=0, margin=SHARE // 5)
    terms = {"instruments": (Terms(0, TICK, 1), future, Terms(2, TICK, 1))}
    asked = [(1, order(BUY, 6)), (2, order(SELL, 5, instrument=1)), (2, order(BUY, 50, instrument=2))]
    inputs = [flat(t, 100, k, end=k == 2) for t in (1, 2, 3) for k in range(3)]
    _, tape = played(scripted, asked, *inputs, limits={"max_underlying": units(1_000)}, **terms)
    assert denials(tape) == [
        ("UNDERLYING_OVER_LIMIT", units(1_100), units(1_000)),
        ("UNDERLYING_OVER_LIMIT", units(5_000), units(1_000)),
    ]


def test_messages_a_fill_count_from_a_hundred_on(scripted):
    engine = scripted(1, limits={"max_messages_fill": 10})
    engine.state.tallies[0]["messages"], engine.state.tallies[0]["fills"] = 99, 9
    script(engine, 1, 0, [(1, order(BUY, 1, LIMIT, 90)), (2, order(BUY, 1, LIMIT, 91))])
    tape = run_bars(engine, BARS[:2])
    assert denials(tape) == [("MESSAGES_A_FILL", 11, 10)]


@pytest.mark.parametrize("count", [1, 7, 300, RING - 1])
def test_any_window_holds_at_most_so_many(scripted, count):
    """However orders come: no second and no minute holds more than its limit."""
    rng = np.random.default_rng(count)
    engine = scripted(1, limits={"max_orders_second": count, "max_orders_minute": 3 * count}, cash=10**8)
    sent, ts = [], 0
    for n in range(60):
        ts += int(rng.integers(1, SECOND))
        one = flat(1, 100)
        one["ts_init"] = one["ts_event"] = ts
        script(
            engine,
            1,
            0,
            [(n + 1, order(BUY, k + 1, LIMIT, 1)) for k in range(int(rng.integers(0, 9)))] + [(n + 1, cancel_order())],
        )
        tape = run_bars(engine, [one])
        sent += of(tape, Kind.ORDER_SUBMITTED, Kind.ORDER_CANCEL_SUBMITTED)["ts_init"].tolist()
        opened = np.array(of(tape, Kind.ORDER_SUBMITTED)["ts_init"].tolist() or [0])
        times = np.array(sent)
        for t in opened[opened > 0]:
            before = times[(times > t - SECOND) & (times <= t)]
            assert len(before) - (len(of(tape, Kind.ORDER_CANCEL_SUBMITTED))) <= count


def test_hours(scripted):
    terms = {"instruments": [Terms(0, TICK, 1, calendar=4)]}

    def timer(t, code):
        return event(Kind.TIMER, t, code=code, setting=4)

    inputs = [timer(0, TimerCode.SESSION_OPEN), flat(1, 100), timer(2, TimerCode.SESSION_CLOSE), flat(2, 100)]
    asked = [(1, order(BUY, 1)), (2, order(BUY, 1)), (3, order(BUY, 1))]
    again = [timer(3, TimerCode.SESSION_OPEN), flat(4, 100)]
    _, tape = played(scripted, asked, *inputs, *again, limits={"session_hours": 1}, **terms)
    assert [name for name, *_ in denials(tape)] == ["SESSION_CLOSED"]
    _, tape = played(scripted, asked, *inputs, *again, **terms)
    assert denials(tape) == []


@pytest.mark.parametrize(("strategy", "reason"), [(0, "NOT_ALLOWED"), (1, "NOT_ALLOWED")])
def test_an_instrument_can_be_taken_off_the_list_and_put_back(scripted, strategy, reason):
    asked = [(1, order(BUY, 1)), (2, order(BUY, 1)), (3, order(BUY, 1))]

    def allow(t, yes):
        return event(Kind.LIMIT_CHANGED, t, 0, strategy=strategy, setting=yes)

    inputs = [flat(1, 100), allow(1, 0), flat(2, 100), allow(2, 1), flat(3, 100)]
    engine, tape = played(scripted, asked, *inputs)
    assert [name for name, *_ in denials(tape)] == [reason]


def test_limits_change_by_events_and_by_strategy(scripted):
    change = event(Kind.LIMIT_CHANGED, 1, strategy=1, code=NAMES.index("max_order_qty"), setting=5)
    engine, tape = played(scripted, [(1, order(BUY, 6)), (2, order(BUY, 6))], flat(1, 100), change, flat(2, 100))
    assert denials(tape) == [("QTY_OVER_LIMIT", 6, 5)]
    unknown = event(Kind.LIMIT_CHANGED, 3, strategy=2, code=0, setting=5)
    assert of(run_bars(engine, [unknown]), Kind.ANOMALY)["reason"].tolist() == [Reason.BAD_COMMAND]


class TestSquareOff:
    TERMS = {"instruments": [Terms(0, TICK, 1, calendar=4), Terms(1, TICK, 1, calendar=5)]}

    def at(self, t, code=TimerCode.SQUARE_OFF):
        return event(Kind.TIMER, t, code=code, setting=4)

    def both(self, t, px=100):
        return [flat(t, px, 0, end=False), flat(t, px, 1)]

    def test_intraday_positions_close_and_delivery_stays(self, scripted):
        engine = scripted(3, **self.TERMS)
        script(engine, 1, 0, [(1, order(BUY, 10, product=Product.INTRADAY)), (2, order(SELL, 10, LIMIT, 120))])
        script(engine, 2, 0, [(1, order(BUY, 20, product=Product.DELIVERY))])
        script(engine, 3, 1, [(1, order(SELL, 30, product=Product.INTRADAY))])
        tape = run_bars(engine, [*self.both(1), *self.both(2), self.at(2), *self.both(3)])
        held = engine.state.positions.reshape(4, 2)["qty"]
        assert held[1:].tolist() == [[0, 0], [20, 0], [0, -30]]
        assert of(tape, Kind.ORDER_CANCELED)["reason"].tolist() == [Reason.SQUARED_OFF]
        assert of(tape, Kind.SIGNAL)[-1]["reason"] == Reason.SQUARED_OFF
        check_books(engine)

    def test_nothing_intraday_opens_until_the_next_session(self, scripted):
        engine = scripted(1, **self.TERMS)
        mine = order(BUY, 10, product=Product.INTRADAY)
        script(engine, 1, 0, [(1, mine), (2, mine)])
        inputs = [self.at(1), *self.both(1), self.at(2, TimerCode.SESSION_OPEN), *self.both(2)]
        assert denials(run_bars(engine, inputs)) == [("SQUARED_OFF", 0, 0)]

    def test_it_is_sliced_by_the_freeze_quantity(self, scripted):
        engine = scripted(1, instruments=[Terms(0, TICK, 1, calendar=4, freeze=10)])
        script(engine, 1, 0, [(1, order(BUY, 25, product=Product.INTRADAY))])
        tape = run_bars(engine, [flat(1, 100), flat(2, 100), self.at(2), flat(3, 100)])
        assert [qty for *_, qty, _ in [(0, *one) for one in fills(tape)]][-3:] == [-10, -10, -5]


def test_all_limits_at_once_deny_nothing_that_is_within_them(scripted):
    """Orders within every limit: the same bytes with limits off and on, but for what the limits are."""
    wide = {
        "collar": SHARE, "stale_after": 10**15, "max_gross": 2**60, "max_net": 2**60, "max_underlying": 2**60,
        "max_day_loss": 2**60, "max_drawdown": SHARE, "max_trades_day": 10**6, "max_orders_day": 10**6,
        "max_open_orders": 30, "max_orders_second": RING, "max_orders_minute": RING, "duplicate_within": 1,
        "repeat_count": 10**6, "repeat_within": 10**15, "self_cross": 0, "max_messages_fill": 10**6,
        "session_hours": 1, "max_rejects_minute": RING, "max_errors_minute": RING, "trip_level": 4,
    }  # fmt: skip
    tapes = []
    for limits in ({}, wide):
        engine = scripted(1, limits=limits)
        script(
            engine,
            1,
            0,
            [(n, order(BUY if n % 3 else SELL, n, LIMIT if n % 2 else OrderType.MARKET, 99.5)) for n in range(1, 40)],
        )
        tapes.append(run_bars(engine, market(4, 60, 1)).tobytes())
        check_books(engine)
    assert tapes[0] == tapes[1]


class TestUniverse:
    """An instrument that has left: its strategies learn and close, and open nothing."""

    def left(self, t, px):
        one = flat(t, px)
        one["flags"] |= Flag.LEFT
        return one

    def test_what_opens_is_denied_and_what_closes_is_not(self, scripted):
        asked = [(1, order(BUY, 10)), (3, order(BUY, 1)), (3, order(SELL, 10)), (4, order(SELL, 1))]
        engine, tape = played(scripted, asked, flat(1, 100), flat(2, 100), *(self.left(t, 100) for t in (3, 4, 5)))
        assert denials(tape) == [("NOT_ALLOWED", 0, 0), ("NOT_ALLOWED", 0, 0)]
        assert engine.state.positions["qty"].sum() == 0

    def test_what_rests_to_open_is_taken_back(self, scripted):
        asked = [
            (1, order(BUY, 10)),
            (2, order(BUY, 5, LIMIT, 90)),
            (2, order(SELL, 10, LIMIT, 110, flags=Flag.REDUCE_ONLY)),
        ]
        engine, tape = played(scripted, asked, flat(1, 100), flat(2, 100), self.left(3, 80), self.left(4, 120))
        assert of(tape, Kind.ORDER_CANCELED)["reason"].tolist() == [Reason.NOT_ALLOWED]
        assert [qty for _, qty, _ in fills(tape)] == [10, -10]
