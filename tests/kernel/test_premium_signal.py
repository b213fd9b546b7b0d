"""What `premium_signal` decides on markets made by hand: which strikes, when, and when it is out of them."""

import numpy as np
import pytest

from kernel.codes import Flag, InstrumentClass, Kind, Reason
from kernel.state import Terms
from kernel.terms import terms_of
from kernel.units import SHARE
from tests.kernel.play import TICK, as_events, bar, check_books, flat, make_engine, of, run_bars, tape_digest, units

REGIMES = {
    "regime_period": 2, "regime_average": 4, "regime_trend": 2_500, "regime_range": 2_000, "regime_volatile": 300,
    "regime_calm": 200, "regime_turn": 500,
}  # fmt: skip
INDEX, STRIKES, LOT, DAY = 0, (90, 95, 100, 105, 110), 10, 24 * 60
PARAMS = {
    "root": -1,
    "lots": 2,
    "band": 0.05,
    "wings": 1,
    "stop_loss": 20.0,
    "exit_after": 40,
    "last_days": 1,
    "period": 3,
}
CALLS = {strike: 1 + k for k, strike in enumerate(STRIKES)}
PUTS = {strike: 6 + k for k, strike in enumerate(STRIKES)}
TERMS = [Terms(INDEX, TICK, 1, asset=InstrumentClass.INDEX)]


def option(number, strike, right, last_day=3) -> Terms:
    more = {"asset": InstrumentClass.OPTION, "margin": SHARE // 5, "underlying": INDEX, "last_day": last_day}
    return Terms(number, TICK, LOT, strike=units(strike), right=right, **more)


TERMS += [option(number, strike, 1) for strike, number in CALLS.items()]
TERMS += [option(number, strike, -1) for strike, number in PUTS.items()]
TERMS += [option(11, 100, 1, 10), option(12, 100, -1, 10)]  # of the week after
SOLD = [(CALLS[100], -20), (CALLS[105], 20), (PUTS[95], 20), (PUTS[100], -20)]


def fair(strike, right, spot) -> float:
    """A premium of a few units that falls with the distance; nobody has to believe it."""
    return 2.0 + max(0.0, right * (spot - strike)) + max(0.0, 2.0 - 0.2 * abs(spot - strike))


def slice_at(t, spot, extra=0.0, missing=(), above=None, volume=1_000) -> list[np.ndarray]:
    """Bars of minute `t`: the index, and of every option its fair premium, `extra`, and what `above` has for it."""
    rows = [bar(t, spot, spot + 0.1, spot - 0.1, spot, INDEX, end=False)]
    for one in TERMS[1:]:
        px = fair(one.strike / 10_000, one.right, spot) + extra + (above or {}).get(one.number, 0.0)
        if one.number not in missing:
            rows.append(flat(t, round(px / 0.05) * 0.05, one.number, end=False, volume=volume))
    rows[-1]["flags"] = Flag.SLICE_END
    return rows


def quiet(count, first=1, **more) -> list[np.ndarray]:
    """Minutes in which the index does nothing, so that its regime is RANGE, and the premium neither."""
    return [row for k in range(count) for row in slice_at(first + k, 101.0, **more)]


@pytest.fixture
def play(load):
    one = load("premium_signal")

    def played(rows, offset=0, **more):
        params = {**PARAMS, **more.pop("params", {})}
        engine = make_engine([(one.program, params)], instruments=more.pop("terms", TERMS), **{**REGIMES, **more})
        engine.state.zones["utc_offset"] = offset
        tape = run_bars(engine, rows)
        check_books(engine)
        assert engine.account.faults == 0
        return tape, engine

    return played


def legs(tape) -> list[tuple[int, int, int]]:
    """(minute, instrument, signed quantity) of every fill."""
    return [
        (int(e["ts_event"]) // (60 * 10**9), int(e["instrument"]), int(e["side"] * e["qty"]))
        for e in of(tape, Kind.ORDER_FILLED)
    ]


def back(opened) -> list[tuple[int, int]]:
    return [(number, -qty) for number, qty in opened]


def at(minute, moves) -> list[tuple[int, int, int]]:
    return [(minute, number, qty) for number, qty in moves]


DEAR = [*quiet(12), *slice_at(13, 101, 1.0), *slice_at(14, 101, 1.0)]  # seen at 13, sold at the open of 14


def test_dear_in_a_range_is_sold_between_wings(play):
    tape, engine = play(DEAR)
    assert legs(tape) == at(14, SOLD)
    memory = engine.memory_of(1)
    assert memory["days_left"][:-1].tolist() == [-1] + [3] * 10 + [10] * 2
    assert memory["strike"][[0, 1, 10]].tolist() == [0.0, 90.0, 110.0]
    assert memory["right"][:-1].tolist() == [0] + [1] * 5 + [-1] * 5 + [1, -1]
    assert memory["underlying"][:-1].tolist() == [-1] + [0] * 12


@pytest.mark.parametrize(("wings", "band"), [(1, 0.22), (3, 0.05)])
def test_it_is_not_sold(play, wings, band):
    """Dear by less than the band (10.60 against an average of 8.75), or without wings so far out."""
    assert legs(play(DEAR, params={"wings": wings, "band": band})[0]) == []


def test_the_stop_closes_all_legs(play):
    """Two lots of 20 each may lose 40: the call rises by 1.95, which is 39, then by 2."""
    rows = [*DEAR, *slice_at(15, 101, 1.0, above={CALLS[100]: 1.95}), *slice_at(16, 101, 1.0, above={CALLS[100]: 2.0})]
    tape, _ = play([*rows, *(row for t in range(17, 25) for row in slice_at(t, 101, 1.0 + t % 2))])
    assert legs(tape) == at(14, SOLD) + at(17, back(SOLD))


def test_wings_bound_what_a_gap_takes(play):
    """Sold for 2.60 between strikes 5 apart: 40 points on, 2.40 a unit are gone; without wings 33.40."""
    rows = [*DEAR, *slice_at(15, 140), *slice_at(16, 140), *slice_at(17, 140)]
    for wings, lost in ((1, 2.4), (0, 33.4)):
        tape, engine = play(rows, params={"wings": wings})
        assert len(legs(tape)) == (8 if wings else 4) and not engine.state.positions["qty"].any()
        assert engine.purse.realized == -units(20 * lost)


def test_back_at_its_average_it_is_closed(play):
    tape, _ = play([*DEAR, *quiet(2, 15), *slice_at(17, 101, 2.0), *slice_at(18, 101, 2.0)])
    assert legs(tape) == at(14, SOLD) + at(16, back(SOLD)) + at(18, SOLD), "and sold again, since nothing was lost"


def test_cheap_in_a_trend_is_bought(play):
    rows = [row for t in range(1, 13) for row in slice_at(t, 98.5 + 0.2 * t)]
    rows += [*slice_at(13, 101.1, -1.0), *slice_at(14, 101.3, -1.0)]
    assert legs(play(rows)[0]) == at(14, [(CALLS[100], 20), (PUTS[100], 20)])
    calm = [*quiet(12), *slice_at(13, 101, -1.0), *slice_at(14, 101, -1.0)]
    assert legs(play(calm)[0]) == []


def test_the_strike_is_one_with_both_options(play):
    """Without a put of 100 it is the straddle of 105, whose lower wing is just that put."""
    rows = [*quiet(12), *slice_at(13, 101, 1.0, missing=(PUTS[100],)), *slice_at(14, 101)]
    assert legs(play(rows)[0]) == []
    assert legs(play(rows, params={"wings": 0})[0]) == at(14, [(CALLS[105], -20), (PUTS[105], -20)])


def test_nothing_is_held_late(play):
    rows = DEAR + [row for t in range(15, 60) for row in slice_at(t, 101, t / 14)]
    tape, _ = play(rows)
    assert legs(tape) == at(14, SOLD) + at(41, back(SOLD))


@pytest.mark.parametrize(
    ("day", "last_days", "hours", "chosen"),
    [(2, 1, 0, 100), (3, 1, 0, 0), (3, 0, 0, 100), (4, 0, 0, 0), (3, 1, -2, 100), (2, 1, 24, 0)],
)
def test_the_nearest_expiry_that_is_far_enough(play, day, last_days, hours, chosen):
    """Contracts end on day 3 and on day 10 of local time, which is `hours` ahead."""
    rows = as_events(DEAR)
    for name in ("ts_event", "ts_init", "ts_open"):
        rows[name] += day * DAY * 60 * 10**9
    tape, _ = play(rows, params={"wings": 0, "last_days": last_days}, offset=hours * 3_600 * 10**9)
    pair = (CALLS[100], PUTS[100]) if chosen else (11, 12)
    assert [leg[1:] for leg in legs(tape)] == [(number, -20) for number in pair]


def test_a_leg_that_is_denied_takes_the_others_along(play):
    """For 300 the wings can be bought, and nothing can be sold: 20 % of the strike of 20 are 400."""
    rows = DEAR + [row for t in range(15, 30) for row in slice_at(t, 101, t / 10)]
    tape, engine = play(rows, cash=300)
    wings = [leg for leg in SOLD if leg[1] > 0]
    assert legs(tape) == at(14, wings) + at(15, back(wings))
    assert [int(e["reason"]) for e in of(tape, Kind.ORDER_DENIED)] == [Reason.CASH] * 2
    assert not engine.state.positions["qty"].any()


def test_without_volume_the_mean_stands_in(play):
    rows = [*quiet(12, volume=0), *slice_at(13, 101, 1.0, volume=0), *slice_at(14, 101, volume=0)]
    tape, engine = play(rows)
    assert legs(tape) == at(14, SOLD) and np.isnan(engine.memory_of(1)["vwap"]["value"][1])


def test_what_comes_later_changes_nothing(play):
    """Cut anywhere, and in any pieces, the tape begins as the whole one does."""
    rows = [*DEAR, *quiet(2, 15), *slice_at(17, 101, 2.0), *slice_at(18, 101, 2.0)]
    whole, _ = play(rows)
    for cut in (13, 14, 16):
        tape, _ = play(rows[: cut * 13], batch=64)
        assert tape_digest(tape) == tape_digest(whole[: len(tape)])


def test_a_configuration_says_what_an_option_is():
    """A date is its day since 1970; rows of before said none, and are read as they were."""
    plain = {"number": 0, "symbol": "NIFTY", "tick": 500, "lot": 1}
    option = {"kind": "OPTION", "expiry": "2024-01-09", "strike": 240_000_000, "right": "PUT", "underlying": "NIFTY"}
    index, put = terms_of({"instruments": [plain, {**plain, "number": 1, "symbol": "PE", **option}]})
    assert (index.last_day, index.right, index.underlying) == (0, 0, -1)
    assert (put.last_day, put.right, put.strike, put.underlying) == (19_731, -1, 240_000_000, 0)
