"""Quotes and trades: fills, queue, bad ticks, strategies that decide by them, and the bars made of them."""

from pathlib import Path

import numpy as np
import pytest

from kernel.codes import Kind, Origin, TimerCode
from kernel.schema import join_rows
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.play import (
    FOK,
    IOC,
    LIMIT,
    MINUTE,
    STOP,
    TICK,
    bar,
    check_books,
    event,
    fills,
    flat,
    make_engine,
    of,
    order,
    run_bars,
    script,
    tape_digest,
    units,
)

BUY, SELL = 1, -1
TICKING = f"{Path(__file__).parent / 'ticking.py'}:Ticking"


def quote(t, bid, ask, bid_qty=100, ask_qty=100, instrument=0):
    return event(Kind.QUOTE, t, instrument, bid_px=units(bid), ask_px=units(ask), bid_qty=bid_qty, ask_qty=ask_qty)


def trade(t, px, qty=10, instrument=0, **more):
    return event(Kind.TRADE, t, instrument, trade_px=units(px), trade_qty=qty, **more)


def played(scripted, asked, *ticks, **settings):
    """Orders asked for at bar 1, which opens and closes at 100; then ticks."""
    engine = scripted(1, **settings)
    script(engine, 1, 0, asked)
    tape = run_bars(engine, [flat(1, 100), *ticks])
    check_books(engine)
    return engine, tape


CASES = {
    "a buy takes the ask": ((order(BUY, 10),), [quote(2, 99, 101)], [(2, 10, 101.0)]),
    "a sale takes the bid": ((order(SELL, 10),), [quote(2, 99, 101)], [(2, -10, 99.0)]),
    "as much as is shown": (
        (order(BUY, 150),),
        [quote(2, 99, 101), quote(3, 99, 102)],
        [(2, 100, 101.0), (3, 50, 102.0)],
    ),
    "without quotes the trade": ((order(BUY, 10),), [trade(2, 100.5)], [(2, 10, 100.5)]),
    "a marketable limit takes the quote": ((order(BUY, 10, LIMIT, 102),), [quote(2, 99, 101)], [(2, 10, 101.0)]),
    "a limit that the market comes to": (
        (order(BUY, 10, LIMIT, 98),),
        [quote(2, 99, 101), quote(3, 96, 97)],
        [(3, 10, 98.0)],
    ),
    "a trade through it": ((order(BUY, 10, LIMIT, 98),), [quote(2, 99, 101), trade(3, 97.95)], [(3, 10, 98.0)]),
    "a trade at it": ((order(BUY, 10, LIMIT, 98),), [quote(2, 99, 101), trade(3, 98)], []),
    "as much as was traded": ((order(BUY, 10, LIMIT, 98),), [quote(2, 99, 101), trade(3, 97, 4)], [(3, 4, 98.0)]),
    "a stop is set off by a trade and takes the worse of it and the quote": (
        (order(BUY, 10, STOP, trigger=102),),
        [quote(2, 99, 101), trade(3, 102), quote(4, 102, 103)],
        [(3, 10, 102.0)],
    ),
    "a quote is taken once": (
        (order(BUY, 150),),
        [quote(2, 99, 101), trade(3, 100, 1), quote(4, 99, 101), quote(5, 99, 101, ask_qty=60)],
        [(2, 100, 101.0), (5, 50, 101.0)],
    ),
    "a stop is set off by quotes alone": (
        (order(SELL, 10, STOP, trigger=98),),
        [quote(2, 99, 101), quote(3, 98, 100)],
        [(3, -10, 98.0)],
    ),
    "ioc takes what is there": ((order(BUY, 150, tif=IOC),), [quote(2, 99, 101), quote(3, 99, 101)], [(2, 100, 101.0)]),
    "fok takes all or nothing": ((order(BUY, 150, tif=FOK),), [quote(2, 99, 101, ask_qty=149)], []),
    "an ioc limit does not rest": (
        (order(BUY, 10, LIMIT, 98, tif=IOC),),
        [quote(2, 99, 101), trade(3, 97)],
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rule(scripted, name):
    asked, ticks, expected = CASES[name]
    _, tape = played(scripted, [(1, one) for one in asked], *ticks)
    assert fills(tape) == expected


def test_bars_no_longer_match_what_has_ticks(scripted):
    engine, tape = played(scripted, [(1, order(BUY, 10, LIMIT, 98))], quote(2, 99, 101), bar(3, 100, 100, 90, 95))
    assert fills(tape) == [] and engine.account.open_orders == 1


def test_a_queue_is_waited_for(scripted):
    """98 is the bid with 100 before us: 60 and 45 trade there, so 5 are ours; then all that trades."""
    ticks = [quote(2, 98, 101), trade(3, 98, 60), trade(4, 98, 45), trade(5, 98, 4)]
    _, tape = played(scripted, [(1, order(BUY, 10, LIMIT, 98))], *ticks, queue=1)
    assert fills(tape) == [(4, 5, 98.0), (5, 4, 98.0)] or fills(tape) == [(4, 5, 98.0), (5, 5, 98.0)]


def test_latency_counts_for_ticks(scripted):
    ticks = [quote(2, 99, 101), quote(4, 99, 102)]
    _, tape = played(scripted, [(1, order(BUY, 10))], *ticks, latency_ns=2 * MINUTE)
    assert fills(tape) == [(4, 10, 102.0)]


@pytest.mark.parametrize(
    "bad",
    [quote(2, 102, 101), quote(2, 0, 0), trade(2, 0), trade(2, -5), trade(2, 100, -1), trade(2, 131), trade(2, 69)],
)
def test_bad_ticks_are_counted_and_not_believed(scripted, bad):
    engine, tape = played(scripted, [(1, order(BUY, 10))], bad, tick_band=SHARE * 3 // 10)
    assert fills(tape) == [] and engine.state.markets[0]["mark"] == units(100)
    assert (engine.state.markets[0]["bad"], engine.state.markets[0]["ticks"]) == (1, 0)


def test_a_price_that_five_ticks_agree_on_is_one(scripted):
    engine, _ = played(scripted, [], *(trade(t, 140 + t / 10) for t in range(2, 9)), tick_band=SHARE * 3 // 10)
    assert engine.state.markets[0]["bad"] == 4 and engine.state.markets[0]["mark"] == units(140.8)


class TestStrategy:
    @pytest.fixture
    def ticking(self, load):
        one = load(TICKING)

        def engine(values=None, **settings):
            return make_engine([(one.program, {**one.params, **(values or {})})], **settings)

        return engine

    def test_it_decides_by_trades_and_is_told_its_fills_at_once(self, ticking):
        engine = ticking()
        tape = run_bars(engine, [quote(1, 99, 101), trade(2, 100), trade(3, 100), quote(4, 100, 102)])
        assert fills(tape) == [(4, 10, 102.0)]
        memory = engine.memory_of(1)[0]
        assert (memory["quotes"], memory["trades"], memory["told"], memory["last"]) == (2, 2, 1, 100.0)
        assert memory["spread"] == 2.0
        check_books(engine)

    def test_nothing_it_sends_meets_the_tick_it_saw(self, ticking):
        engine = ticking({"buy_at": 1, "limit": 105.0})
        tape = run_bars(engine, [trade(1, 100), trade(2, 103)])
        assert [minute for minute, *_ in fills(tape)] == [2]

    def test_a_kill_by_a_guard_closes_without_bars(self, ticking):
        engine = ticking({"buy_at": 1}, limits={"max_day_loss": units(50), "trip_level": 4})
        run_bars(engine, [trade(1, 100), trade(2, 100), trade(3, 94), trade(4, 94), trade(5, 94)])
        assert engine.account.kill_level == 4 and engine.state.positions["qty"].sum() == 0
        check_books(engine)

    @pytest.mark.parametrize("batch", [1, 3, 17])
    def test_batches_and_small_outs_change_nothing(self, ticking, batch):
        def run(batch, room=None):
            engine = ticking({"buy_at": 3, "sell_at": 5}, bar_kind=2, bar_size=4, instruments=MANY)
            if room is not None:
                engine._tables["out_count"] = room
            return run_bars(engine, stream(7), batch), engine.digest()

        whole, digest = run(None)
        part, other = run(batch)
        assert tape_digest(part) == tape_digest(whole) and digest == other


MANY = [Terms(k, TICK, 1, calendar=1) for k in range(3)]


def stream(seed, count=400):
    """Quotes and trades of three instruments, some late, some bad, with the timers of their minutes."""
    rng = np.random.default_rng(seed)
    px, rows, ts = np.full(3, 100.0), [], 0
    edge = MINUTE
    for _ in range(count):
        ts += int(rng.integers(1, 5 * 10**9))
        while edge + 2 * 10**9 <= ts:
            t = event(Kind.TIMER, 0, code=TimerCode.BAR_CLOSE, setting=1)
            t["ts_event"], t["ts_init"] = edge, edge + 2 * 10**9
            rows.append(t)
            edge += MINUTE
        k = int(rng.integers(0, 3))
        px[k] = round(px[k] * (1 + rng.standard_normal() * 0.001) / 0.05) * 0.05
        one = (
            quote(0, px[k] - 0.05, px[k] + 0.05, instrument=k)
            if rng.random() < 0.4
            else trade(0, px[k], int(rng.integers(1, 50)), k)
        )
        one["ts_init"], one["ts_event"] = ts, ts - int(rng.integers(0, 3 * 10**9))
        rows.append(one)
    return join_rows([np.array([row]) if row.ndim == 0 else row for row in rows])


class TestBars:
    def made(self, scripted, ticks, **rules):
        engine = scripted(1, instruments=MANY[:1], **rules)
        tape = run_bars(engine, ticks)
        check_books(engine)
        return engine, of(tape, Kind.BAR)

    @staticmethod
    def rows(bars):
        names = ("open", "high", "low", "close")
        return [(*(int(e[name]) / 10_000 for name in names), int(e["volume"])) for e in bars]

    @pytest.mark.parametrize(
        ("kind", "size", "expected"),
        [
            (2, 2, [(100, 101, 100, 101, 20), (102, 102, 99, 99, 20)]),
            (3, 30, [(100, 102, 100, 102, 30)]),
            (4, units(3_000), [(100, 102, 100, 102, 30)]),
            (5, units(2), [(100, 102, 100, 102, 30)]),
        ],
    )
    def test_closed_by_the_trade_that_fills_them(self, scripted, kind, size, expected):
        ticks = [trade(t, px) for t, px in ((1, 100), (2, 101), (3, 102), (4, 99), (5, 100))]
        _, bars = self.made(scripted, ticks, bar_kind=kind, bar_size=size)
        assert self.rows(bars) == expected
        assert set(bars["origin"]) == {Origin.KERNEL} and bars["ts_event"][0] == bars["ts_init"][0]

    def timer(self, minute, grace=2):
        t = event(Kind.TIMER, minute, code=TimerCode.BAR_CLOSE, setting=1)
        t["ts_init"] += grace * 10**9
        return t

    def at(self, seconds, px, came=None):
        one = trade(0, px)
        one["ts_event"], one["ts_init"] = int(seconds * 10**9), int((came or seconds) * 10**9)
        return one

    MINUTES = {"bar_kind": 1, "bar_size": MINUTE, "bar_grace": 2 * 10**9}

    def test_closed_by_a_timer_after_its_grace(self, scripted):
        ticks = [self.at(5, 100), self.at(59, 101), self.at(60.5, 105), self.at(59.5, 99, came=61), self.timer(1)]
        _, bars = self.made(scripted, ticks, **self.MINUTES)
        assert self.rows(bars) == [(100, 101, 99, 99, 30)]
        assert (bars["ts_open"][0], bars["ts_event"][0], bars["ts_init"][0]) == (0, MINUTE, 62 * 10**9)

    def test_trades_of_the_next_bar_are_kept_for_it(self, scripted):
        ticks = [self.at(5, 100), self.at(61, 105), self.timer(1), self.at(63, 106), self.timer(2)]
        _, bars = self.made(scripted, ticks, **self.MINUTES)
        assert self.rows(bars) == [(100, 100, 100, 100, 10), (105, 106, 105, 106, 20)]

    def test_late_trades_are_counted_and_never_folded_back(self, scripted):
        ticks = [self.at(5, 100), self.timer(1), self.at(50, 90, came=63), self.at(64, 101), self.timer(2)]
        engine, bars = self.made(scripted, ticks, **self.MINUTES)
        assert self.rows(bars)[1] == (101, 101, 101, 101, 10) and engine.state.markets[0]["late"] == 1

    def test_without_timers_a_trade_proves_the_grace_over(self, scripted):
        _, bars = self.made(scripted, [self.at(5, 100), self.at(61, 101), self.at(63, 102)], **self.MINUTES)
        assert self.rows(bars) == [(100, 100, 100, 100, 10)]

    def test_a_trade_may_prove_more_than_one_bar_over(self, scripted):
        """5, 61 and 125 seconds: two bars are over, the third is the trade's own."""
        ticks = [self.at(5, 100), self.at(61, 105), self.at(125, 90), self.at(190, 91)]
        _, bars = self.made(scripted, ticks, **self.MINUTES)
        assert self.rows(bars) == [(100, 100, 100, 100, 10), (105, 105, 105, 105, 10), (90, 90, 90, 90, 10)]

    def test_a_trade_between_two_bars_under_way_has_one_of_its_own(self, scripted):
        ticks = [self.at(5, 100), self.at(121, 105, came=61), self.at(70, 102, came=61.5), self.at(190, 91)]
        _, bars = self.made(scripted, ticks, **self.MINUTES)
        assert [row[0] for row in self.rows(bars)] == [100, 102, 105]

    def test_a_session_has_375_minutes_and_no_drift(self, scripted):
        """09:15 to 15:30: the first bar opens with the session, the last closes with it."""
        opened = (9 * 60 + 15) * 60
        began = event(Kind.TIMER, 9 * 60 + 15, code=TimerCode.SESSION_OPEN, setting=1)
        rng = np.random.default_rng(1)
        seconds = np.sort(rng.uniform(0, 375 * 60, 4_000))
        ticks, edge = [began], 1
        for second in seconds:
            while second > edge * 60 + 2:
                ticks.append(self.timer(9 * 60 + 15 + edge))
                edge += 1
            ticks.append(self.at(opened + second, 100 + round(second / 1000) * 0.05))
        ticks += [self.timer(9 * 60 + 15 + n) for n in range(edge, 376)]
        _, bars = self.made(scripted, ticks, **self.MINUTES)
        offsets = (bars["ts_open"] - opened * 10**9) // MINUTE
        assert len(bars) == 375 and offsets.tolist() == list(range(375))
        assert (bars["ts_open"] - opened * 10**9 == offsets * MINUTE).all()
        assert int(bars["volume"].sum()) == 10 * len(seconds)

    def test_bars_of_one_moment_are_one_slice(self, scripted):
        engine = scripted(1, instruments=MANY, **self.MINUTES)
        script(engine, 1, 2, [(1, order(BUY, 5))])
        inputs = [trade(0.1 + k / 10, 100, instrument=k) for k in range(3)]
        tape = run_bars(engine, [*inputs, self.timer(1), trade(1.2, 101, instrument=2)])
        bars = of(tape, Kind.BAR)
        assert bars["instrument"].tolist() == [0, 1, 2] and (bars["flags"] & 1).tolist() == [0, 0, 1]
        assert fills(tape) == [(1, 5, 101.0)]
        assert engine.account.slices > 0

    def test_open_interest_is_carried(self, scripted):
        _, bars = self.made(scripted, [trade(1, 100, trade_interest=77), trade(2, 100)], bar_kind=2, bar_size=2)
        assert bars["open_interest"].tolist() == [77]


@pytest.mark.parametrize("seed", range(4))
def test_a_recorded_tape_is_rehearsed_to_the_same_state(load, seed):
    """Recorded rows folded again, strategies called for their memory only: the same state."""
    one = load(TICKING)

    def engine():
        program = (one.program, {**one.params, "buy_at": 3, "sell_at": 5})
        rules = {"bar_kind": 1, "bar_size": MINUTE, "bar_grace": 2 * 10**9}
        return make_engine([program] * 2, instruments=MANY, **rules)

    first, again = engine(), engine()
    tape = run_bars(first, stream(seed))
    assert len(of(tape, Kind.ORDER_FILLED)) and len(of(tape, Kind.BAR))
    assert again.rehearse(tape) == 0
    assert again.digest() == first.digest()
