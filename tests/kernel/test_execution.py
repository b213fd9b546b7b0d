"""The venue's models of slippage, size, protection and latency, each on the bars that show it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.codes import Flag, Kind, OrderType, Reason, Status, TimeInForce
from kernel.execution import draw, square_root
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.play import (
    FOK,
    IOC,
    LIMIT,
    MINUTE,
    STOP,
    STOP_LIMIT,
    TICK,
    bar,
    cancel_order,
    change_order,
    check_books,
    fills,
    flat,
    market,
    of,
    order,
    run_bars,
    script,
    units,
    words,
)

BUY, SELL = 1, -1
PERCENT = SHARE // 100


def played(scripted, asked, *bars, **settings):
    engine = scripted(1, **settings)
    script(engine, 1, 0, asked)
    tape = run_bars(engine, [flat(1, 100), *bars])
    check_books(engine)
    return engine, tape


RANGE = bar(2, 100, 104, 96, 100)  # a range of 8
SLIPPAGE = {
    "none": ({}, order(BUY, 10), 100.0),
    "ticks": ({"slip_ticks": 3}, order(BUY, 10), 100.15),
    "ticks down for a sale": ({"slip_ticks": 3}, order(SELL, 10), 99.85),
    "half a spread": ({"slip_share": SHARE // 1000}, order(SELL, 10), 99.90),
    "a part of the range": ({"slip_range": 5 * PERCENT}, order(BUY, 10), 100.40),
    "a half tick is a whole one against us": ({"slip_range": 4 * PERCENT + PERCENT // 16}, order(BUY, 10), 100.35),
    "square root of the part of the volume": ({"slip_impact": SHARE // 2}, order(BUY, 40), 100.80),  # sqrt(.04) * 8 / 2
    "all of it": ({"slip_impact": SHARE // 2, "slip_ticks": 1, "slip_range": PERCENT}, order(BUY, 40), 100.95),
    "a stop that is set off": ({"slip_ticks": 2}, order(BUY, 10, STOP, trigger=102), 102.10),
    "not a limit": ({"slip_ticks": 2}, order(BUY, 10, LIMIT, 99), 99.0),
    "not a stop limit": ({"slip_ticks": 2}, order(BUY, 10, STOP_LIMIT, 103, 102), 102.0),
    "never below a tick": ({"slip_ticks": 10_000}, order(SELL, 10), 0.05),
}


@pytest.mark.parametrize("name", SLIPPAGE)
def test_slippage(scripted, name):
    rules, asked, px = SLIPPAGE[name]
    _, tape = played(scripted, [(1, asked)], RANGE, **rules)
    assert [one[2] for one in fills(tape)] == [px]


@given(st.integers(0, 2**62 - 1))
def test_a_square_root_is_the_whole_part(x):
    assert square_root(x) ** 2 <= x < (square_root(x) + 1) ** 2


def test_draws_are_even_and_depend_on_every_word():
    drawn = np.array([draw(7, order_id, 0, 9) for order_id in range(20_000)])
    counts = np.bincount(drawn, minlength=10)
    assert counts.size == 10 and abs(counts - 2_000).max() < 200
    assert len({tuple(draw(*words, k, 999) for k in range(8)) for words in ((1, 1), (2, 1), (1, 2), (1 << 40, 1))}) == 4


def test_the_same_seed_gives_the_same_fills(scripted):
    asked = [(n, order([BUY, SELL][n % 2], 10)) for n in range(1, 40)]

    def prices(seed):
        engine = scripted(1, slip_random=20, seed=seed)
        script(engine, 1, 0, asked)
        return [px for *_, px in fills(run_bars(engine, market(3, 50, 1)))]

    assert prices(1) == prices(1) != prices(2)


class TestParticipation:
    def test_a_large_order_fills_bar_after_bar(self, scripted):
        bars = [flat(t, 100, volume=1_000) for t in range(2, 6)]
        engine, tape = played(scripted, [(1, order(BUY, 250))], *bars, participation=10 * PERCENT)
        assert fills(tape) == [(2, 100, 100.0), (3, 100, 100.0), (4, 50, 100.0)]
        assert of(tape, Kind.ORDER_FILLED)["status"].tolist() == [*[Status.PARTIALLY_FILLED] * 2, Status.FILLED]

    def test_orders_share_a_bar(self, scripted):
        asked = [(1, order(BUY, 70)), (1, order(BUY, 70))]
        _, tape = played(scripted, asked, flat(2, 100), flat(3, 100), participation=10 * PERCENT)
        assert fills(tape) == [(2, 70, 100.0), (2, 30, 100.0), (3, 40, 100.0)]

    def test_only_whole_lots(self, scripted):
        lots = [Terms(0, TICK, 75)]
        bars = [flat(2, 100, volume=1_000), flat(3, 100, volume=2_000)]
        _, tape = played(scripted, [(1, order(BUY, 150))], *bars, participation=10 * PERCENT, instruments=lots)
        assert fills(tape) == [(2, 75, 100.0), (3, 75, 100.0)]

    def test_no_volume_no_fill(self, scripted):
        engine, tape = played(scripted, [(1, order(BUY, 10))], flat(2, 100, volume=0), participation=PERCENT)
        assert fills(tape) == [] and engine.account.open_orders == 1

    @pytest.mark.parametrize(("tif", "filled"), [(IOC, [(2, 100, 100.0)]), (FOK, [])])
    def test_what_lives_for_one_bar(self, scripted, tif, filled):
        asked = [(1, order(BUY, 150, tif=tif))]
        engine, tape = played(scripted, asked, flat(2, 100), flat(3, 100), participation=10 * PERCENT)
        assert fills(tape) == filled and engine.account.open_orders == 0
        assert of(tape, Kind.ORDER_CANCELED)["reason"].tolist() == [Reason.NOT_FILLED_AT_ONCE]

    def test_a_stop_that_is_set_off_goes_on_as_a_market_order(self, scripted):
        bars = [bar(2, 100, 103, 100, 103), flat(3, 105)]
        _, tape = played(scripted, [(1, order(BUY, 150, STOP, trigger=102))], *bars, participation=10 * PERCENT)
        assert fills(tape) == [(2, 100, 102.0), (3, 50, 105.0)]

    def test_a_stop_no_bar_has_room_for_is_set_off_all_the_same(self, scripted):
        bars = [bar(2, 100, 103, 100, 103, volume=0), flat(3, 99)]
        _, tape = played(scripted, [(1, order(BUY, 10, STOP, trigger=102))], *bars, participation=10 * PERCENT)
        assert words(of(tape, Kind.ORDER_TRIGGERED, Kind.ORDER_FILLED)) == ["ORDER_TRIGGERED", "ORDER_FILLED"]
        assert fills(tape) == [(3, 10, 99.0)]

    def test_exits_are_for_what_was_filled_and_an_entry_whose_exit_is_done_goes(self, scripted):
        """Entry 150, of which a bar fills 100; its stop closes them; the rest would be without one."""
        stop = order(SELL, 150, STOP, trigger=95, flags=Flag.HELD, link=1)
        bars = [flat(2, 100), bar(3, 94, 94, 94, 94, volume=0), flat(4, 94), flat(5, 94)]
        engine, tape = played(
            scripted, [(1, order(BUY, 150, LIMIT, 100)), (1, stop)], *bars, participation=10 * PERCENT
        )
        assert engine.state.positions["qty"].sum() == 0 and engine.account.open_orders == 0
        assert sum(qty for _, qty, _ in fills(tape) if qty > 0) < 150


class TestProtection:
    def test_a_gap_beyond_the_band_rests(self, scripted):
        bars = [flat(2, 104), bar(3, 104, 104, 101, 102), flat(4, 100)]
        engine, tape = played(scripted, [(1, order(BUY, 10))], *bars, band=2 * PERCENT)
        assert of(tape, Kind.ORDER_SUBMITTED)["px"].tolist() == [units(102)]
        assert fills(tape) == [(3, 10, 102.0)]

    def test_slippage_counts(self, scripted):
        _, tape = played(scripted, [(1, order(BUY, 10))], flat(2, 100), band=PERCENT, slip_ticks=21)
        assert fills(tape) == [(2, 10, 100.0)], "it rests at 101, and the bar opens at 100"

    def test_a_stop_is_protected_from_its_trigger(self, scripted):
        bars = [flat(2, 90), flat(3, 94), flat(4, 97)]
        _, tape = played(scripted, [(1, order(SELL, 10, STOP, trigger=98))], *bars, band=2 * PERCENT)
        assert fills(tape) == [(4, -10, 97.0)]
        assert len(of(tape, Kind.ORDER_TRIGGERED)) == 1


class TestLatency:
    def test_an_order_is_there_later(self, scripted):
        bars = [flat(t, 100 + t) for t in range(2, 6)]
        _, tape = played(scripted, [(1, order(BUY, 10))], *bars, latency_ns=2 * MINUTE)
        assert fills(tape) == [(4, 10, 104.0)]

    def test_so_many_bars_later(self, scripted):
        bars = [flat(t, 100 + t) for t in range(2, 6)]
        _, tape = played(scripted, [(1, order(BUY, 10))], *bars, latency_events=2)
        assert fills(tape) == [(4, 10, 104.0)]

    def test_it_is_accepted_when_it_is_there(self, scripted):
        bars = [flat(t, 100) for t in range(2, 5)]
        _, tape = played(scripted, [(1, order(BUY, 10, LIMIT, 90))], *bars, latency_ns=MINUTE)
        assert [int(e["ts_event"]) // MINUTE for e in of(tape, Kind.ORDER_ACCEPTED)] == [3]

    def test_it_may_be_filled_while_it_is_canceled(self, scripted):
        asked = [(1, order(BUY, 10, LIMIT, 90)), (3, cancel_order())]
        bars = [flat(2, 100), flat(3, 100), bar(4, 100, 100, 89, 95), flat(5, 95)]
        engine, tape = played(scripted, asked, *bars, latency_ns=MINUTE)
        assert fills(tape) == [(4, 10, 90.0)] and len(of(tape, Kind.ORDER_CANCELED)) == 0

    def test_a_cancel_that_arrives_first(self, scripted):
        asked = [(1, order(BUY, 10, LIMIT, 90)), (3, cancel_order())]
        bars = [flat(2, 100), flat(3, 100), flat(4, 100), bar(5, 100, 100, 89, 95)]
        engine, tape = played(scripted, asked, *bars, latency_ns=MINUTE)
        assert fills(tape) == [] and engine.account.open_orders == 0
        assert of(tape, Kind.ORDER_CANCELED)["reason"].tolist() == [Reason.REQUESTED]

    def test_a_change_stands_as_it_was_until_it_is_there(self, scripted):
        asked = [(1, order(BUY, 10, LIMIT, 90)), (3, change_order(px=80.0))]
        bars = [flat(2, 100), flat(3, 100), bar(4, 100, 100, 89, 95)]
        _, tape = played(scripted, asked, *bars, latency_ns=MINUTE)
        assert fills(tape) == [(4, 10, 90.0)]
        later = [flat(2, 100), flat(3, 100), flat(4, 100), bar(5, 100, 100, 85, 90), bar(6, 90, 90, 79, 85)]
        _, tape = played(scripted, asked, *later, latency_ns=MINUTE)
        assert fills(tape) == [], "changed at 5, and its place in the queue is new: the bar of 6 opened at 5"
        assert [int(e["ts_event"]) // MINUTE for e in of(tape, Kind.ORDER_REPLACED)] == [5]


def test_bounds_of_resting_orders_change_nothing(scripted):
    """Thirty orders that rest: met exactly as when each is looked at with every bar."""
    asked = [(1, order(BUY if n % 2 else SELL, 5, LIMIT, 100 + (-1) ** n * (0.5 + n / 9))) for n in range(14)]
    asked += [(2, order(SELL if n % 2 else BUY, 5, STOP, trigger=100 + (-1) ** n * (0.7 + n / 7))) for n in range(14)]
    asked += [(40, cancel_order()), (60, order(BUY, 5, LIMIT, 99))]
    for seed in range(6):
        tapes = []
        for forget in (False, True):
            engine = scripted(1)
            script(engine, 1, 0, asked)
            parts = []
            for one in market(seed, 120, 1, sigma=0.002):
                if forget:
                    engine.state.bounds["rests"] = 0
                parts.append(run_bars(engine, [one]))
            tapes.append(b"".join(part.tobytes() for part in parts))
        assert tapes[0] == tapes[1]


def test_types_that_need_more_than_one_bar(scripted):
    _, tape = played(scripted, [(1, order(BUY, 1, OrderType.STOP_MARKET, trigger=102, tif=TimeInForce.IOC))])
    assert of(tape, Kind.ORDER_DENIED)["reason"].tolist() == [Reason.TIF_NOT_POSSIBLE]
