"""Terms that change: tick, lot and freeze hold from their TERMS_CHANGED on, and what works at the venue stays as it is."""

import pytest

from kernel.codes import Flag, Kind, Reason
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.play import (
    LIMIT,
    TICK,
    change_order,
    check_books,
    event,
    fills,
    flat,
    of,
    order,
    run_bars,
    script,
    units,
    words,
)

BUY, SELL = 1, -1
LOTS_OF_75 = Terms(0, TICK, 75, freeze=1_800)


def terms(t, instrument=0, tick=TICK, lot=1, freeze=0):
    return event(Kind.TERMS_CHANGED, t, instrument, tick=tick, lot=lot, freeze_qty=freeze)


def denied(tape) -> list[tuple]:
    return [(Reason(int(e["reason"])), int(e["actual"]), int(e["allowed"])) for e in of(tape, Kind.ORDER_DENIED)]


def test_an_order_of_the_old_lot_is_denied_from_then_on(scripted):
    engine = scripted(1, instruments=[LOTS_OF_75])
    asked = [(1, order(BUY, 75)), (2, order(BUY, 75)), (3, order(BUY, 65)), (3, order(BUY, 130))]
    script(engine, 1, 0, asked)
    tape = run_bars(engine, [flat(1, 100), terms(1.5, lot=65), flat(2, 100), flat(3, 100), flat(4, 100)])
    assert denied(tape) == [(Reason.QTY_OFF_LOT, 75, 65)]
    assert fills(tape) == [(2, 75, 100.0), (4, 65, 100.0), (4, 130, 100.0)]
    row = engine.state.instruments[0]
    assert (row["tick"], row["lot"], row["freeze"]) == (TICK, 65, 0)
    check_books(engine)


def test_a_working_order_stays_and_a_change_of_it_goes_by_the_new_terms(scripted):
    engine = scripted(1, instruments=[LOTS_OF_75])
    script(engine, 1, 0, [(1, order(BUY, 150, LIMIT, 99)), (2, change_order(px=98.0)), (3, change_order(qty=195))])
    inputs = [flat(1, 100), terms(1.5, lot=65), flat(2, 100), flat(3, 100), flat(4, 100), flat(5, 98)]
    tape = run_bars(engine, inputs)
    assert denied(tape) == [(Reason.QTY_OFF_LOT, 150, 65)], "another price for the old quantity"
    assert of(tape, Kind.ORDER_REPLACED)["qty"].tolist() == [195]
    assert [(qty, px) for _, qty, px in fills(tape)] == [(195, 98.0)]
    check_books(engine)


def test_a_position_of_an_odd_lot_is_closed_by_the_next_whole_one(scripted):
    engine = scripted(1, instruments=[LOTS_OF_75])
    asked = [(1, order(BUY, 75)), (2, order(SELL, 75)), (3, order(SELL, 130, flags=Flag.REDUCE_ONLY))]
    script(engine, 1, 0, asked)
    tape = run_bars(engine, [flat(1, 100), terms(1.5, lot=65), *(flat(t, 100) for t in (2, 3, 4))])
    assert denied(tape) == [(Reason.QTY_OFF_LOT, 75, 65)]
    assert fills(tape) == [(2, 75, 100.0), (4, -75, 100.0)] and engine.state.positions[1]["qty"] == 0
    check_books(engine)


def test_the_freeze_quantity_slices_what_comes_after_it(scripted):
    engine = scripted(1, instruments=[LOTS_OF_75])
    script(engine, 1, 0, [(1, order(BUY, 1_500)), (2, order(SELL, 1_500))])
    tape = run_bars(engine, [flat(1, 100), terms(1.5, lot=75, freeze=600), flat(2, 100), flat(3, 100)])
    assert of(tape, Kind.ORDER_SUBMITTED)["qty"].tolist() == [1_500, 600, 600, 300]
    check_books(engine)


def test_prices_and_slippage_are_rounded_to_the_tick_in_force(scripted):
    """Of orders asked for at 100.03, and of a slip of one tick."""
    engine = scripted(1, instruments=[Terms(0, 100, 1)], slip_ticks=1)
    script(engine, 1, 0, [(1, order(BUY, 1)), (2, order(BUY, 1, LIMIT, 90.03)), (2, order(BUY, 1)), (3, order(BUY, 1))])
    inputs = [flat(1, 100), flat(2, 100), terms(2.5, tick=TICK), flat(3, 100), flat(4, 100)]
    tape = run_bars(engine, inputs)
    assert [px for *_, px in fills(tape)] == [100.01, 100.05, 100.05]
    limits = of(tape, Kind.ORDER_SUBMITTED)["px"]
    assert limits.tolist() == [0, units(90.03), 0, 0], "asked for before: the tick was 0.01"


def test_market_protection_goes_by_the_tick_in_force(scripted):
    """A buy stop set off at 100, which may go to 100.10 and fills nowhere: from then on it rests there on the tick."""
    for tick, rests_at in ((100, 100.0), (2_000, 100.0)):
        engine = scripted(1, instruments=[Terms(0, 100, 1)], band=SHARE // 1_000)
        script(engine, 1, 0, [(1, order(BUY, 1, 3, trigger=100.0))])
        inputs = [flat(1, 95), flat(2, 105), flat(3, 104), terms(3.5, tick=tick), flat(4, 104), flat(5, rests_at)]
        tape = run_bars(engine, inputs)
        assert fills(tape) == [(5, 1, rests_at)]
        check_books(engine)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (terms(2, 9), Reason.UNKNOWN_INSTRUMENT),
        (terms(2, -1), Reason.UNKNOWN_INSTRUMENT),
        (terms(2, 1), Reason.UNKNOWN_INSTRUMENT),  # a number that is no instrument's
        (terms(2, tick=0), Reason.BAD_COMMAND),
        (terms(2, tick=2**46), Reason.BAD_COMMAND),
        (terms(2, lot=0), Reason.BAD_COMMAND),
        (terms(2, lot=2**46), Reason.BAD_COMMAND),
        (terms(2, freeze=-1), Reason.BAD_COMMAND),
        (terms(2, freeze=2**46), Reason.BAD_COMMAND),
    ],
)
def test_terms_that_cannot_be_are_refused_and_recorded(scripted, bad, reason):
    engine = scripted(1, instruments=[LOTS_OF_75, Terms(2, TICK, 1)])
    before = engine.state.instruments.copy()
    tape = run_bars(engine, [flat(1, 100), bad])
    assert [Reason(int(e["reason"])) for e in of(tape, Kind.ANOMALY)] == [reason]
    assert (engine.state.instruments == before).all()


def test_the_equity_of_an_interval_comes_with_the_terms_of_the_next(scripted):
    """What lies between two days says the first one's equity, as every event there does."""
    engine = scripted(1, instruments=[LOTS_OF_75], equity_interval=24 * 60 * 60 * 10**9)
    day = 24 * 60
    tape = run_bars(engine, [flat(1, 100), terms(day, lot=65), flat(day + 1, 100)])
    assert words(tape) == ["BAR", "EQUITY", "TERMS_CHANGED", "EQUITY", "BAR"]


def test_a_state_with_other_terms_is_saved_and_loaded(scripted):
    engine = scripted(1, instruments=[LOTS_OF_75])
    run_bars(engine, [flat(1, 100), terms(1.5, lot=65)])
    again = scripted(1, instruments=[LOTS_OF_75])
    again.load(engine.save())
    assert again.digest() == engine.digest() and again.state.instruments[0]["lot"] == 65
