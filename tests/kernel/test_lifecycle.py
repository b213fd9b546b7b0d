"""Reports from a venue: legal ones move an order, all others are recorded, named, and change nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.codes import Kind, Origin, Reason, Status
from kernel.evolve import evolve
from kernel.jit import COMPILED
from kernel.lifecycle import LEGAL_MOVES, TERMINAL, TRANSITION
from kernel.rows import RING
from kernel.state import PERSISTENT
from kernel.tables import tables_at
from tests.kernel.play import (
    LIMIT,
    STOP_LIMIT,
    cancel_order,
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
REPORTS = [kind for kind in Kind if Kind.ORDER_CANCEL_SUBMITTED <= kind <= Kind.ORDER_REPLACE_REJECTED]


def picture(engine) -> dict[str, bytes]:
    """Every byte of the state except the place on the tape."""
    saved = {name: getattr(engine.state, name).copy() for name, _ in PERSISTENT}
    saved["account"]["seq"] = saved["account"]["ts"] = 0
    saved["account"]["errors"] = saved["recents"]["instrument"][-RING:] = 0  # a refused report counts as an error
    return {name: table.tobytes() for name, table in saved.items()}


def live(scripted, *signals, **settings):
    """An engine without a simulated venue and its open orders' ids; instrument 0 trades at 100."""
    engine = scripted(simulate=0, instruments=((0, 500, 1), (1, 500, 1)), **settings)
    script(engine, 1, 0, [(1, one) for one in signals])
    tape = run_bars(engine, [flat(1, 100, 0, end=False), flat(1, 100, 1)])
    return engine, of(tape, Kind.ORDER_SUBMITTED)["order_id"].tolist()


def status_of(engine, order_id) -> Status:
    """The order's status in the table, NONE once it has left it."""
    row = engine.state.orders[engine.state.orders["order_id"] == order_id]
    return Status(int(row["status"][0])) if len(row) else Status.NONE


# Written out a second time, on purpose: what may follow what is a decision, not an implementation detail.
ENDS = "CANCELED>CANCELED EXPIRED>EXPIRED"
ASKED = f"CANCEL_SUBMITTED>PENDING_CANCEL REPLACE_SUBMITTED>PENDING_REPLACE {ENDS}"
MAY = {
    "NONE": "SUBMITTED>SUBMITTED DENIED>DENIED",
    "PENDING_NEW": f"RELEASED>SUBMITTED {ENDS} RESTATED>PENDING_NEW",
    "SUBMITTED": (
        f"ACCEPTED>ACCEPTED REJECTED>REJECTED FILLED>PARTIALLY_FILLED TRIGGERED>TRIGGERED {ASKED} RESTATED>SUBMITTED"
    ),
    "ACCEPTED": f"REJECTED>REJECTED FILLED>PARTIALLY_FILLED TRIGGERED>TRIGGERED {ASKED} RESTATED>ACCEPTED",
    "TRIGGERED": f"ACCEPTED>TRIGGERED REJECTED>REJECTED FILLED>PARTIALLY_FILLED {ASKED} RESTATED>TRIGGERED",
    "PARTIALLY_FILLED": f"ACCEPTED>PARTIALLY_FILLED REJECTED>REJECTED FILLED>PARTIALLY_FILLED {ASKED} RESTATED>PARTIALLY_FILLED",
    "PENDING_CANCEL": (
        "ACCEPTED>PENDING_CANCEL REJECTED>REJECTED TRIGGERED>PENDING_CANCEL FILLED>PENDING_CANCEL "
        f"{ENDS} RESTATED>PENDING_CANCEL CANCEL_REJECTED>NONE REPLACED>PENDING_CANCEL REPLACE_REJECTED>PENDING_CANCEL"
    ),
    "PENDING_REPLACE": (
        "ACCEPTED>PENDING_REPLACE REJECTED>REJECTED TRIGGERED>PENDING_REPLACE FILLED>PENDING_REPLACE "
        f"CANCEL_SUBMITTED>PENDING_CANCEL {ENDS} RESTATED>PENDING_REPLACE REPLACED>NONE REPLACE_REJECTED>NONE"
    ),
}


def test_the_moves_are_these_and_no_others():
    expected = {
        (Status[before], Kind[f"ORDER_{kind}"], Status[after])
        for before, moves in MAY.items()
        for kind, after in (move.split(">") for move in moves.split())
    }
    assert set(LEGAL_MOVES) == expected


PATHS: dict[Status, tuple[Kind, ...]] = {
    Status.SUBMITTED: (),
    Status.ACCEPTED: (Kind.ORDER_ACCEPTED,),
    Status.TRIGGERED: (Kind.ORDER_TRIGGERED,),
    Status.PARTIALLY_FILLED: (Kind.ORDER_FILLED,),
    Status.PENDING_CANCEL: (Kind.ORDER_REPLACE_SUBMITTED, Kind.ORDER_CANCEL_SUBMITTED),
    Status.PENDING_REPLACE: (Kind.ORDER_REPLACE_SUBMITTED,),
}


def saying(kind, order_id, t=2.0, **fields):
    if kind == Kind.ORDER_FILLED:
        fields = {"qty": 1, "px": units(100), **fields}
    if kind == Kind.ORDER_RESTATED:
        fields = {"qty": 10, "leaves_qty": 10, "px": units(100), "trigger_px": units(99), **fields}
    if kind in (Kind.ORDER_REPLACE_SUBMITTED, Kind.ORDER_REPLACED):
        fields = {"qty": 12, "px": units(100), "trigger_px": units(99), **fields}
    ours = kind in (Kind.ORDER_CANCEL_SUBMITTED, Kind.ORDER_REPLACE_SUBMITTED, Kind.ORDER_RELEASED)
    return event(kind, t, 0, order_id=order_id, origin=Origin.KERNEL if ours else Origin.EXTERNAL, **fields)


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("status", PATHS)
def test_every_square_of_the_table(scripted, status, kind):
    engine, (number,) = live(scripted, order(BUY, 10, STOP_LIMIT, 100, 99))
    run_bars(engine, [saying(step, number) for step in PATHS[status]])
    assert status_of(engine, number) == status
    before = picture(engine)
    more = {"cum_qty": 1, "leaves_qty": 9} if status == Status.PARTIALLY_FILLED and kind == Kind.ORDER_RESTATED else {}
    tape = run_bars(engine, [saying(kind, number, **more)])
    after = TRANSITION[status, kind]
    if after == Status.ILLEGAL:
        assert tape["kind"].tolist() == [kind, Kind.ANOMALY]
        assert (tape[1]["reason"], tape[1]["cause"]) == (Reason.ILLEGAL_MOVE, tape[0]["seq"])
        assert (tape[1]["order_id"], tape[1]["origin"]) == (number, Origin.KERNEL)
        assert picture(engine) == before
    else:
        assert tape["kind"].tolist() == [kind]
        stood = Status.SUBMITTED if after == Status.NONE else after  # a cancel or change that was refused, or is done
        if kind == Kind.ORDER_CANCEL_REJECTED:
            stood = Status.PENDING_REPLACE  # which was under way before
        assert status_of(engine, number) == (Status.NONE if after in TERMINAL else stood)
        same = kind in (Kind.ORDER_RESTATED, Kind.ORDER_ACCEPTED, Kind.ORDER_REPLACE_REJECTED) and status == after
        assert picture(engine) != before or same
        if after in TERMINAL:
            assert engine.account.open_orders == engine.purse.reserved == 0
    check_books(engine)


@pytest.mark.parametrize("kind", [Kind.ORDER_CANCELED, Kind.ORDER_REJECTED, Kind.ORDER_EXPIRED, Kind.ORDER_FILLED])
def test_a_report_after_the_end_finds_no_order(scripted, kind):
    engine, (number,) = live(scripted, order(BUY, 10))
    end = [saying(Kind.ORDER_FILLED, number, qty=10)] * 2 if kind == Kind.ORDER_FILLED else [saying(kind, number)] * 2
    tape = run_bars(engine, end)
    assert tape["kind"].tolist() == [kind, kind, Kind.ANOMALY]
    assert tape[2]["reason"] == Reason.UNKNOWN_ORDER
    check_books(engine)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"qty": 11}, Reason.OVERFILL),
        ({"qty": 0}, Reason.OVERFLOW),
        ({"qty": -1}, Reason.OVERFLOW),
        ({"px": 0}, Reason.OVERFLOW),
        ({"px": -5}, Reason.OVERFLOW),
        ({"px": 2**46}, Reason.OVERFLOW),
        ({"qty": 2**46}, Reason.OVERFLOW),
        ({"fee": 2**62}, Reason.OVERFLOW),
        ({"fee": -(2**63)}, Reason.OVERFLOW),
        ({"order_id": 0}, Reason.UNKNOWN_ORDER),
        ({"order_id": -1}, Reason.UNKNOWN_ORDER),
        ({"instrument": 1}, Reason.UNKNOWN_ORDER),
        ({"instrument": 2}, Reason.UNKNOWN_INSTRUMENT),
        ({"instrument": -1}, Reason.UNKNOWN_INSTRUMENT),
    ],
)
def test_a_fill_that_cannot_be(scripted, fields, why):
    engine, (number,) = live(scripted, order(BUY, 10))
    before = picture(engine)
    e = saying(Kind.ORDER_FILLED, number, qty=10)
    for name, value in fields.items():
        e[name] = value
    tape = run_bars(engine, [e])
    assert tape["kind"].tolist() == [Kind.ORDER_FILLED, Kind.ANOMALY]
    assert tape[1]["reason"] == why
    assert picture(engine) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"qty": 0, "leaves_qty": 0},
        {"qty": 5, "leaves_qty": -5, "cum_qty": 10},
        {"qty": 10, "leaves_qty": 9},
        {"qty": 2**46, "leaves_qty": 2**46},
        {"px": -1},
        {"px": 2**46},
        {"trigger_px": -1},
        {"trigger_px": 2**46},
    ],
)
def test_a_restatement_that_cannot_be(scripted, fields):
    engine, (number,) = live(scripted, order(BUY, 10, STOP_LIMIT, 100, 99))
    before = picture(engine)
    tape = run_bars(engine, [saying(Kind.ORDER_RESTATED, number, **fields)])
    assert tape["kind"].tolist() == [Kind.ORDER_RESTATED, Kind.ANOMALY]
    assert tape[1]["reason"] == Reason.OVERFLOW
    assert picture(engine) == before


@pytest.mark.parametrize(
    ("e", "why"),
    [
        (event(Kind.SPLIT, 2, 0, numerator=0, denominator=1), Reason.OVERFLOW),
        (event(Kind.SPLIT, 2, 0, numerator=2, denominator=0), Reason.OVERFLOW),
        (event(Kind.SPLIT, 2, 0, numerator=-2, denominator=1), Reason.OVERFLOW),
        (event(Kind.SPLIT, 2, 0, numerator=1_000_000, denominator=1), Reason.OVERFLOW),
        (event(Kind.SPLIT, 2, 9, numerator=2, denominator=1), Reason.UNKNOWN_INSTRUMENT),
        (event(Kind.SPLIT, 2, -1, numerator=2, denominator=1), Reason.UNKNOWN_INSTRUMENT),
        (event(Kind.DIVIDEND, 2, 0, amount=-1), Reason.OVERFLOW),
        (event(Kind.DIVIDEND, 2, 0, amount=2**46), Reason.OVERFLOW),
        (event(Kind.DIVIDEND, 2, 9, amount=1), Reason.UNKNOWN_INSTRUMENT),
    ],
)
def test_a_corporate_action_that_cannot_be(scripted, e, why):
    engine, _ = live(scripted, order(BUY, 10, LIMIT, 90))
    before = picture(engine)
    tape = run_bars(engine, [e])
    assert tape["kind"].tolist() == [e["kind"], Kind.ANOMALY]
    assert tape[1]["reason"] == why
    assert picture(engine) == before


QTY = st.one_of(st.integers(-2, 12), st.sampled_from([2**46, 2**46 - 1, -(2**63), 2**63 - 1]))
PX = st.one_of(st.integers(1, 3_000_000), QTY)
REPORT = st.fixed_dictionaries(
    {
        "kind": st.one_of(st.sampled_from(list(REPORTS)), st.just(int(Kind.ORDER_FILLED))),
        "place": st.integers(-1, 8),
        "instrument": st.sampled_from([0, 0, 0, 0, 1, 1, 2, -1]),
        "qty": QTY,
        "px": PX,
        "trigger_px": PX,
        "fee": st.one_of(st.integers(-10, 10_000), st.sampled_from([2**62, -(2**62), -(2**63)])),
        "cum_qty": QTY,
        "leaves_qty": QTY,
        "side": st.integers(-1, 1),
        "cause": st.integers(0, 3),
        "status": st.integers(0, 255),
    }
)


@given(reports=st.lists(REPORT, max_size=40))
def test_arbitrary_reports_never_break_the_books(scripted, reports):
    """Whatever a broken broker says: moves are legal, books balance, refusals are named and change nothing."""
    engine, ids = live(
        scripted,
        order(BUY, 10, LIMIT, 100),
        order(SELL, 7),
        order(BUY, 5, STOP_LIMIT, 101, 100),
        order(SELL, 3, LIMIT, 90, instrument=1),
        cancel_order(),
        order(BUY, 8, LIMIT, 10),
        open_orders=8,
    )
    before, seq = picture(engine), int(engine.account.seq)
    where = {number: status_of(engine, number) for number in ids}
    for k, r in enumerate(reports):
        number = ids[r["place"]] if 0 <= r["place"] < len(ids) else r["place"]
        fields = {name: value for name, value in r.items() if name not in ("kind", "place", "instrument")}
        tape = run_bars(engine, [event(r["kind"], 2 + k, r["instrument"], order_id=number, **fields)])
        check_books(engine)
        now = picture(engine)
        seq += len(tape)
        assert engine.account.seq == seq
        if len(tape) == 2:
            assert tape[1]["kind"] == Kind.ANOMALY
            assert tape[1]["reason"] in (
                Reason.ILLEGAL_MOVE, Reason.UNKNOWN_ORDER, Reason.OVERFILL, Reason.OVERFLOW, Reason.UNKNOWN_INSTRUMENT,
                Reason.BAD_COMMAND,
            )  # fmt: skip
            assert now == before
        else:
            assert number in ids
            told = TRANSITION[where[number], r["kind"]]
            assert told != Status.ILLEGAL
            where[number] = status_of(engine, number)
            if where[number] == Status.NONE:
                assert told in TERMINAL or r["kind"] == Kind.ORDER_FILLED
            else:
                assert where[number] == told or told == Status.NONE  # NONE: where it stood before
        before = now
    run_bars(engine, [flat(100, 100, 0, end=False), flat(100, 100, 1)])
    check_books(engine)


def test_reports_of_a_live_day(scripted):
    """Accepted, filled in two parts with the broker's own fees, the other rejected: nothing simulated."""
    engine, (bought, other) = live(scripted, order(BUY, 10, LIMIT, 100), order(BUY, 1, LIMIT, 50), cash=2_000)
    script(engine, 1, 0, [], at_fills=[(2, order(SELL, 10))])
    tape = run_bars(
        engine,
        [
            saying(Kind.ORDER_ACCEPTED, bought),
            saying(Kind.ORDER_REJECTED, other, reason=77),
            saying(Kind.ORDER_FILLED, bought, 3, qty=4, px=units(99.5), fee=units(1.23)),
            saying(Kind.ORDER_FILLED, bought, 4, qty=6, px=units(100), fee=units(2)),
            flat(5, 101),
        ],
    )
    assert tape["kind"].tolist()[-2:] == [Kind.SIGNAL, Kind.ORDER_SUBMITTED], "on_fill is told at the slice's end"
    assert tape[-2]["cause"] == tape[3]["seq"], "its cause is the fill"
    a, p = engine.account, engine.state.positions[2]
    assert (p.qty, p.cost, p.fees) == (10, units(998), units(3.23))
    assert (engine.purse.cash, a.fills, engine.purse.reserved) == (units(2_000 - 998 - 3.23), 2, 0)
    assert np.array_equal(engine.memory_of(1)["fills"], [2, 0])
    check_books(engine)


@pytest.mark.skipif(COMPILED, reason="calls a helper of the kernel, which has no entry of its own when compiled")
@pytest.mark.parametrize("seq", [0, 3, 5])
def test_an_event_that_is_missing_or_comes_twice_is_refused(scripted, seq):
    """The engine numbers its inputs itself, so this is asked of `evolve`; the last event was number 3."""
    engine = scripted()
    run_bars(engine, [flat(t, 10) for t in (1, 2, 3)])
    e = flat(4, 10)
    e["seq"] = seq
    with pytest.raises(AssertionError, match="seq must be gapless"):
        evolve(tables_at(engine._address), e)
    assert engine.account.seq == 3
