"""The step: what is known when, in which order things are decided, and that cutting the work up changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.codes import Flag, Kind, Reason
from kernel.jit import COMPILED
from kernel.schema import join_rows
from kernel.state import room_for_a_call
from tests.kernel.play import (
    LIMIT,
    MINUTE,
    SCRIPTED,
    STOP,
    TICK,
    bar,
    cancel_order,
    check_books,
    event,
    fills,
    flat,
    make_engine,
    market,
    of,
    order,
    run_bars,
    script,
    split,
    tape_digest,
    units,
    words,
)

BUY, SELL = 1, -1
TWO = ((0, TICK, 1), (1, TICK, 1))
THREE = tuple((k, TICK, 1) for k in range(3))


# ---- slices: nothing is decided before the slice ends, nothing is filled by the past -------------------------------


def test_b_cannot_be_bought_at_an_open_before_as_close(scripted):
    """A closes at 10; B's bar of 9 to 11 opened before. The order waits for B's next open."""
    engine = scripted(instruments=TWO)
    script(engine, 1, 0, [(1, order(BUY, 1, instrument=1))])
    stream = [
        flat(9, 50, 1, minutes=2),
        flat(10, 100, 0),
        bar(11, 40, 60, 30, 55, 1, minutes=2),  # its open of 40 was at 9: unreachable
        bar(13, 56, 57, 55, 56, 1, minutes=2),
    ]
    assert fills(run_bars(engine, stream)) == [(13, 1, 56.0)]


@pytest.mark.parametrize("first", [0, 1])
def test_b_cannot_be_bought_in_the_slice_of_as_close(scripted, first):
    """Both bars close at 2: whichever comes first on the tape, the decision comes after both and fills in none."""
    engine = scripted(instruments=TWO)
    for instrument in (0, 1):
        script(engine, 1, instrument, [(2, order(BUY, 1, LIMIT, 99, instrument=1 - instrument))])
    wild = [bar(2, 100, 101, 90, 100, k, end=k != first) for k in (first, 1 - first)]
    tape = run_bars(engine, [flat(1, 100, 0, end=False), flat(1, 100, 1), *wild])
    assert fills(tape) == []
    assert tape["kind"].tolist()[2:5] == [Kind.BAR, Kind.BAR, Kind.SIGNAL], "bars first, then decisions"
    assert engine.account.open_orders == 2


def test_strategies_decide_in_order_whatever_the_order_of_bars(scripted):
    engine = scripted(2, instruments=THREE)
    for strategy in (1, 2):
        for instrument in range(3):
            script(engine, strategy, instrument, [(1, order(BUY, 10 * strategy + instrument))])
    tape = run_bars(engine, [flat(1, 10, k, end=k == 1) for k in (2, 0, 1)])
    signals = of(tape, Kind.SIGNAL)
    assert signals["qty"].tolist() == [10, 11, 12, 20, 21, 22]
    assert signals["cause"].tolist() == [2, 3, 1, 2, 3, 1], "each names the bar of its instrument"
    assert words(tape)[3:] == ["SIGNAL", "ORDER_SUBMITTED"] * 6, "each is carried out before the next is asked"


def test_only_instruments_with_a_bar_are_decided(scripted):
    engine = scripted(instruments=THREE)
    for k in range(3):
        script(engine, 1, k, [(1, order(BUY, 1))])
    tape = run_bars(engine, [flat(1, 10, 0, end=False), flat(1, 10, 2), flat(2, 10, 1)])
    assert of(tape, Kind.SIGNAL)["instrument"].tolist() == [0, 2, 1]


def test_the_last_bar_of_an_instrument_in_a_slice_counts_once(scripted):
    engine = scripted()
    script(engine, 1, 0, [(1, order(BUY, 1)), (2, order(BUY, 1))])
    tape = run_bars(engine, [flat(1, 10, end=False), flat(1, 11)])
    assert words(tape) == ["BAR", "BAR", "SIGNAL", "ORDER_SUBMITTED"]
    assert engine.state.markets["mark"][0] == units(11)


def test_cash_is_reserved_in_the_order_of_the_calls(scripted):
    engine = scripted(2, instruments=TWO, cash=1_000)
    script(engine, 1, 0, [(1, order(BUY, 3)), (1, order(BUY, 4))])
    script(engine, 1, 1, [(1, order(BUY, 2))])
    script(engine, 2, 0, [(1, order(BUY, 2)), (1, order(BUY, 1))])
    tape = run_bars(engine, [flat(1, 100, 1, end=False), flat(1, 100, 0)])
    answers = of(tape, Kind.ORDER_SUBMITTED, Kind.ORDER_DENIED)
    assert [(int(e["qty"]), Reason(int(e["reason"]))) for e in answers] == [
        (3, Reason.NONE), (4, Reason.NONE), (2, Reason.NONE), (2, Reason.CASH), (1, Reason.NONE)
    ]  # fmt: skip
    assert engine.purse.reserved == units(1_000)


def test_on_fill_comes_before_on_bar_and_meets_the_next_bar(scripted):
    engine = scripted()
    script(engine, 1, 0, [(1, order(BUY, 5)), (2, order(BUY, 2))], at_fills=[(1, order(SELL, 5, STOP, 0, 90))])
    tape = run_bars(engine, [flat(1, 100), bar(2, 100, 110, 80, 100), bar(3, 100, 100, 90, 95)])
    assert [(int(e["side"]), int(e["qty"])) for e in of(tape, Kind.SIGNAL)] == [(1, 5), (-1, 5), (1, 2)]
    told = of(tape, Kind.SIGNAL)[1]
    assert told["cause"] == of(tape, Kind.ORDER_FILLED)[0]["seq"]
    assert fills(tape) == [(2, 5, 100.0), (3, 2, 100.0), (3, -5, 90.0)], "the stop did not see the 80 of its own bar"


# ---- warm-up, equity, the end of a run ------------------------------------------------------------------------------


def test_warm_up_bars_teach_and_send_nothing(scripted):
    engine = scripted(equity_interval=0)
    script(engine, 1, 0, [(n, order(BUY, 1)) for n in (1, 2, 3, 4)])
    tape = run_bars(engine, [flat(1, 10, warm_up=True), flat(2, 11, warm_up=True), flat(3, 12), flat(4, 13)])
    sent = ["SIGNAL", "ORDER_SUBMITTED"]
    assert words(tape) == ["BAR", "BAR", "BAR", *sent, "BAR", "ORDER_FILLED", *sent]
    assert engine.memory_of(1)[0]["bars_seen"] == 4


def test_equity_is_told_by_the_first_slice_of_a_new_interval(scripted):
    """Interval of 10 minutes: bars at 1, 9 | 10 | 31; each first bar of an interval tells how the last one ended."""
    engine = scripted(equity_interval=10 * MINUTE, cash=1_000, instruments=TWO)
    script(engine, 1, 0, [(1, order(BUY, 10))])
    stream = [
        flat(1, 50, 0, end=False),
        flat(1, 7, 1),
        flat(9, 60, 0),  # filled at 60
        flat(10, 70, 0, end=False),  # the first interval is over: before this bar the mark was 60
        flat(10, 7, 1),
        flat(19, 75, 0),
        flat(31, 80, 0),
        event(Kind.RUN_ENDED, 32),
    ]
    tape = run_bars(engine, stream)
    told = of(tape, Kind.EQUITY)
    rows = [
        (
            int(e["ts_event"]) // MINUTE,
            int(e["ts_init"]) // MINUTE,
            int(e["equity"]) // 10_000,
            int(e["exposure"]) // 10_000,
        )
        for e in told
    ]
    assert rows == [(0, 1, 1_000, 0), (9, 10, 1_000, 600), (19, 31, 1_150, 750), (32, 32, 1_200, 800)]
    assert told["cause"].tolist() == (told["seq"] - 1).tolist(), "it follows the bar that told it"
    assert tape["kind"][told[:3]["cause"] - 1].tolist() == [Kind.BAR] * 3
    last = told[-1]
    assert (last["cash"], last["equity"], last["unrealized"]) == (units(400), units(1_200), units(200))
    assert (last["realized"], last["fees"], last["dividends"], last["peak"]) == (0, 0, 0, units(1_200))


def test_a_fall_between_two_equity_points_is_on_the_tape(scripted):
    """Down by 300 and back up inside one interval: no point shows it, `max_drawdown` does."""
    engine = scripted(equity_interval=60 * MINUTE, cash=1_000)
    script(engine, 1, 0, [(1, order(BUY, 10))])
    prices = [50, 60, 80, 50, 90, 90]  # bought at 60; equity 1000 1000 1200 900 1300 1300
    tape = run_bars(
        engine, [*(flat(1 + k, px) for k, px in enumerate(prices)), flat(70, 95), event(Kind.RUN_ENDED, 70)]
    )
    told = of(tape, Kind.EQUITY)
    assert told["equity"].tolist() == [units(x) for x in (1_000, 1_300, 1_350)]
    assert told["max_drawdown"].tolist() == [0, units(300), units(300)]
    assert told["value"].tolist() == [0.0, 0.25, 0.25]


def test_the_largest_share_may_be_another_fall(scripted):
    """Half of a small account is more than a tenth of a large one, though it is less money."""
    engine = scripted(equity_interval=MINUTE, cash=1_000)
    script(engine, 1, 0, [(1, order(BUY, 10))])
    prices = [100, 100, 50, 1_000, 900, 940]  # equity 1000 1000 500 10000 9000 9400
    told = of(
        run_bars(engine, [*(flat(1 + k, px) for k, px in enumerate(prices)), event(Kind.RUN_ENDED, 70)]), Kind.EQUITY
    )
    assert told["max_drawdown"].tolist()[-1] == units(1_000) and told["value"].tolist()[-1] == 0.5


def test_sums_beyond_what_money_holds_stop_the_run(scripted):
    """Each position fits, the two together do not: no sum comes round to the other side."""
    engine = scripted(equity_interval=0, cash=2**62 // 10_000 - 1, instruments=[(0, 1, 1), (1, 1, 1)])
    engine.state.limits[0].max_order_qty = engine.state.limits[0].max_position_qty = 2**45
    engine.state.limits[0].max_order_notional = 2**62 - 1
    script(engine, 1, 0, [(1, order(BUY, 2**40))])
    script(engine, 1, 1, [(1, order(BUY, 2**40))])
    run_bars(engine, [bar for k in (1, 2) for bar in (flat(k, 10, 0), flat(k, 10, 1))])
    with pytest.raises(AssertionError, match="together are worth more than money holds"):
        run_bars(engine, [flat(3, 300, 0), flat(3, 300, 1)])


def test_no_equity_events_when_the_interval_is_zero(scripted):
    engine = scripted(equity_interval=0)
    assert words(run_bars(engine, [flat(1, 10), flat(9_999, 10)])) == ["BAR", "BAR"]


# ---- the order of the tape is asserted -----------------------------------------------------------------------------


@pytest.mark.parametrize("e", [flat(4.999, 10), event(Kind.TIMER, 4), split(1, 2, 1)])
def test_time_that_goes_back_is_refused(scripted, e):
    engine = scripted()
    run_bars(engine, [flat(5, 10), event(Kind.TIMER, 5)])
    with pytest.raises(AssertionError, match="ts_init goes back"):
        run_bars(engine, [e])


def test_an_unknown_instrument_is_refused(scripted):
    engine = scripted()
    with pytest.raises(AssertionError):
        run_bars(engine, [flat(1, 10, 1)])


def test_a_position_beyond_money_is_refused(scripted):
    engine = scripted(simulate=0, cash=1e14, limits=dict.fromkeys(["max_order_qty", "max_position_qty"], 2**46))
    script(engine, 1, 0, [(1, order(BUY, 2**44, LIMIT, 0.05))])
    tape = run_bars(engine, [flat(1, 0.05)])
    fill = {"order_id": of(tape, Kind.ORDER_SUBMITTED)["order_id"][0], "qty": 2**44, "px": 500}
    run_bars(engine, [event(Kind.ORDER_FILLED, 2, 0, **fill)])
    with pytest.raises(AssertionError, match="beyond what money holds"):
        run_bars(engine, [flat(3, 30)])


def test_seq_is_gapless_and_time_never_goes_back(scripted):
    engine = busy(scripted)
    tape = run_bars(engine, market(1, 300))
    assert tape["seq"].tolist() == list(range(1, len(tape) + 1))
    assert (np.diff(tape["ts_init"]) >= 0).all()
    assert (tape["cause"] < tape["seq"]).all()
    by_seq = tape["ts_init"][tape["cause"][tape["cause"] > 0] - 1]
    assert (tape["ts_init"][tape["cause"] > 0] == by_seq).all(), "what we make copies its cause's time"


# ---- cutting the work up -------------------------------------------------------------------------------------------


def busy(scripted, seed=3, **settings):
    """An engine whose two scripted strategies keep many orders of all types in flight."""
    engine = scripted(2, instruments=THREE, fee_rate=1_000_000, cash=60_000, **settings)
    rng = np.random.default_rng(seed)
    for strategy in (1, 2):
        for instrument in range(3):
            near = 100.0 * (instrument + 1)
            plan = []
            for _ in range(40):
                kind, side = int(rng.integers(0, 6)), int(rng.choice([BUY, SELL]))
                px, trigger = near * rng.uniform(0.97, 1.03), near * rng.uniform(0.97, 1.03)
                wish = cancel_order() if kind == 0 else order(side, int(rng.integers(1, 50)), min(kind, 4), px, trigger)
                plan.append((int(rng.integers(1, 60)), wish))
            script(
                engine, strategy, instrument, plan, at_fills=[(n, order(SELL, 3, STOP, 0, near * 0.99)) for n in (1, 4)]
            )
    return engine


def stream_of(seed, slices=80):
    """Bars with a split, a dividend, a command and the end of the run."""
    bars = market(seed, slices)
    half = int(np.searchsorted(bars["ts_init"], bars["ts_init"][len(bars) // 2]))
    t = bars["ts_init"][half] / MINUTE - 0.5
    extra = [
        split(t, 3, 2, 1),
        event(Kind.DIVIDEND, t, 0, amount=2_500),
        event(Kind.LIMIT_CHANGED, t, code=4, setting=50),
    ]
    return join_rows(
        [bars[:half], *[e.reshape(1) for e in extra], bars[half:], event(Kind.RUN_ENDED, slices + 1).reshape(1)]
    )


@pytest.fixture(scope="module")
def whole(scripted):
    engine = busy(scripted, equity_interval=15 * MINUTE)
    tape = run_bars(engine, stream_of(5))
    kinds = set(tape["kind"].tolist())
    assert kinds >= {
        Kind.BAR, Kind.SPLIT, Kind.DIVIDEND, Kind.SIGNAL, Kind.ORDER_SUBMITTED, Kind.ORDER_DENIED, Kind.ORDER_ACCEPTED,
        Kind.ORDER_TRIGGERED, Kind.ORDER_FILLED, Kind.ORDER_CANCELED, Kind.ORDER_RESTATED, Kind.EQUITY,
    }, "the stream is not busy enough to prove anything"  # fmt: skip
    return tape, engine.digest()


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_batches_change_nothing(scripted, whole, batch):
    engine = busy(scripted, equity_interval=15 * MINUTE)
    tape = run_bars(engine, stream_of(5), batch)
    assert tape.tobytes() == whole[0].tobytes()
    assert engine.digest() == whole[1]


@pytest.mark.parametrize(
    "room", [room_for_a_call(32, 0, 2, 0), room_for_a_call(32, 0, 2, 0) + 1, room_for_a_call(32, 0, 2, 0) + 60]
)
def test_a_small_out_stops_inside_slices_and_changes_nothing(scripted, whole, room):
    engine = busy(scripted, equity_interval=15 * MINUTE)
    engine._tables["out_count"] = room
    inputs, parts, stopped_inside, k = stream_of(5), [], 0, 0
    engine.inputs[: len(inputs)] = inputs
    while k < len(inputs):
        k += engine.run(k, len(inputs) - k)
        assert len(engine.outputs) <= room
        stopped_inside += engine.account.cursor >= 0
        parts.append(engine.outputs.copy())
    tape = join_rows([engine.inputs[: len(inputs)], *parts])
    tape = tape[np.argsort(tape["seq"], kind="stable")]
    assert stopped_inside > 0
    assert tape.tobytes() == whole[0].tobytes()
    assert engine.digest() == whole[1]


def test_a_stop_inside_a_slice_survives_a_snapshot(scripted, whole):
    inputs, parts, k, moved = stream_of(5), [], 0, 0
    engine = busy(scripted, equity_interval=15 * MINUTE)
    engine._tables["out_count"] = room_for_a_call(32, 0, 2, 0)
    while k < len(inputs):
        engine.inputs[: len(inputs) - k] = inputs[k:]
        took = engine.run(0, len(inputs) - k)
        parts += [engine.inputs[:took].copy(), engine.outputs.copy()]
        if engine.account.cursor >= 0:  # the bar that ends the slice is recorded, though not taken
            parts.append(engine.inputs[took : took + 1].copy())
            saved, engine = engine.save(), scripted(2, instruments=THREE, fee_rate=1_000_000, cash=1)
            engine.load(saved)
            engine._tables["out_count"] = room_for_a_call(32, 0, 2, 0)
            inputs[k + took] = parts[-1][0]
            moved += 1
        k += took
    tape = join_rows(parts)
    tape = tape[np.unique(tape["seq"], return_index=True)[1]]
    assert moved > 0
    assert engine.digest() == whole[1]
    assert tape.tobytes() == whole[0].tobytes()


@pytest.mark.sim
@settings(max_examples=60 if COMPILED else 8)
@given(cut=st.integers(0, 240))
def test_cut_at_a_snapshot_and_resumed(scripted, whole, cut):
    inputs = stream_of(5)
    cut = min(cut, len(inputs))
    first = busy(scripted, equity_interval=15 * MINUTE)
    before = run_bars(first, inputs[:cut])
    saved, digest = first.save(), first.digest()
    run_bars(first, inputs[cut:])  # the first goes on; what was saved must not move with it
    second = scripted(2, instruments=THREE, equity_interval=1, cash=1)
    second.load(saved)
    assert second.digest() == digest
    after = run_bars(second, inputs[cut:])
    assert join_rows([before, after]).tobytes() == whole[0].tobytes()
    assert second.digest() == first.digest() == whole[1]


def test_a_snapshot_of_other_sizes_is_refused(scripted):
    saved = scripted(open_orders=32).save()
    with pytest.raises(ValueError, match="the snapshot's table orders has 32 rows, this run's has 16"):
        scripted(open_orders=16).load(saved)


@settings(max_examples=25 if COMPILED else 5)
@given(seed=st.integers(0, 2**20), cut=st.integers(1, 80), other=st.integers(0, 2**20))
def test_the_future_changes_nothing_before_it(scripted, seed, cut, other):
    """Two histories that agree up to a slice's end have one tape up to there, whatever comes later."""
    inputs, fork = market(seed, 60), market(other, 60)
    ends = np.flatnonzero(inputs["flags"] & Flag.SLICE_END)
    cut = int(ends[min(cut, len(ends)) - 1]) + 1
    later = fork[fork["ts_open"] >= inputs["ts_init"][cut - 1]]
    engines = [busy(scripted, seed) for _ in range(3)]
    full = run_bars(engines[0], inputs)
    forked = run_bars(engines[1], join_rows([inputs[:cut], later]))
    prefix = run_bars(engines[2], inputs[:cut])
    assert len(of(prefix, Kind.BAR)) == cut
    assert full[: len(prefix)].tobytes() == prefix.tobytes() == forked[: len(prefix)].tobytes()


def test_without_the_end_of_the_slice_nothing_is_decided(scripted):
    """A late look at half a slice: bars are recorded, orders of before are matched, no strategy is asked."""
    engine = scripted(instruments=TWO)
    script(engine, 1, 0, [(1, order(BUY, 1)), (2, order(BUY, 2))])
    tape = run_bars(engine, [flat(1, 10, 0), flat(2, 10, 0, end=False)])
    assert words(tape) == ["BAR", "SIGNAL", "ORDER_SUBMITTED", "BAR", "ORDER_FILLED"]
    tape = run_bars(engine, [flat(2, 10, 1)])
    assert of(tape, Kind.SIGNAL)["qty"].tolist() == [2]


def test_order_of_the_tape_is_the_order_of_the_run(load):
    """Two engines in one process share nothing."""
    one = load(SCRIPTED)
    engines = [make_engine([(one.program, one.params)]) for _ in range(2)]
    script(engines[0], 1, 0, [(1, order(BUY, 1))])
    stream = [flat(t, 10) for t in (1, 2)]
    tapes = [run_bars(e, stream) for e in engines]
    assert len(tapes[0]) == 5
    assert len(tapes[1]) == 2
    script(engines[1], 1, 0, [(3, order(BUY, 1))])
    for e in engines:
        check_books(e)
    assert tape_digest(tapes[0]) != tape_digest(tapes[1])
