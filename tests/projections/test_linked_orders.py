"""Orders that hang together, changed and late: the read models say what the kernel's own table says."""

from pathlib import Path

import numpy as np
import pytest

from kernel.codes import Kind, Status
from tests.projections.handmade import BUY, HandTape
from tests.projections.recording import record, with_actions
from tests.projections.test_projector import one, project, tables

SPEC = f"{Path(__file__).parents[1] / 'kernel' / 'linked.py'}:Linked"


@pytest.fixture(scope="module")
def linked():
    def change(bars):
        return with_actions(bars, 900, Kind.SPLIT, 0, numerator=2, denominator=1)

    return record(600, specs=(SPEC, f"{SPEC},distance=1.4"), change=change)


def test_the_strategy_does_all_of_it(linked):
    rows = linked[0]
    asked = {int(kind): int((rows["kind"] == kind).sum()) for kind in Kind}
    for kind in (Kind.ORDER_RELEASED, Kind.ORDER_REPLACED, Kind.ORDER_CANCELED, Kind.ORDER_RESTATED, Kind.ORDER_FILLED):
        assert asked[kind] > 0, kind.name
    assert asked[Kind.STRATEGY_FAULT] == 0
    assert (rows["status"][rows["kind"] == Kind.ORDER_SUBMITTED] == Status.PENDING_NEW).any()


def test_working_orders_are_those_of_the_kernel(linked):
    rows, notes, engine = linked
    connection = project(rows, notes)
    mine = engine.state.orders[engine.state.orders["order_id"] > 0]
    expected = [
        (
            int(o["order_id"]), Status(int(o["status"])).name,
            int(o["full_qty"] if o["status"] == Status.PENDING_NEW else o["qty"]),
            int(o["cum_qty"]), int(o["leaves_qty"]), int(o["px"]),
        )
        for o in np.sort(mine, order="order_id")
    ]  # fmt: skip
    ended = "('FILLED', 'CANCELED', 'DENIED', 'REJECTED', 'EXPIRED')"
    query = f"SELECT order_id, status, qty, cum_qty, leaves_qty, px FROM orders WHERE status NOT IN {ended} ORDER BY 1"
    assert one(connection, query) == expected
    last = int(rows["seq"][-1])
    as_of = one(connection, f"SELECT * EXCLUDE (reason) FROM orders_as_of('t', {last}) ORDER BY order_id")
    now = one(connection, "SELECT * EXCLUDE (reason, reason_text) FROM orders ORDER BY order_id")
    assert as_of == now
    fills = one(connection, "SELECT sum(qty) FROM fills")
    assert fills == one(connection, "SELECT sum(cum_qty) FROM orders")
    assert one(connection, "SELECT count(*) FROM orders o ANTI JOIN signals s ON s.seq = o.signal_seq") == [(0,)]


@pytest.mark.parametrize("fresh", [False, True])
def test_rebuild_equals_incremental(linked, fresh):
    rows, notes, _ = linked
    whole = tables(project(rows, notes))
    assert tables(project(rows, notes, range(97, len(rows), len(rows) // 6), fresh)) == whole


@pytest.mark.parametrize("fresh", [False, True])
def test_a_fill_that_was_under_way_when_its_order_was_canceled(fresh):
    tape = HandTape()
    order_id = tape.submit(1, 0, BUY, 10)
    tape.fill(order_id, 2, 500, 1)
    tape.put(Kind.ORDER_CANCELED, instrument=0, order_id=order_id)
    before = len(tape.made)
    tape.put(Kind.ORDER_FILLED, instrument=0, order_id=order_id, qty=3, px=500, fee=1)
    tape.put(Kind.ORDER_FILLED, instrument=0, order_id=order_id, qty=6, px=500, fee=1)  # 5 were left
    connection = project(tape.rows(), tape.notes, [before], fresh)
    assert one(connection, "SELECT status, cum_qty, leaves_qty, filled_value, fees FROM orders") == [
        ("CANCELED", 5, 5, 2_500, 2)
    ]
    assert one(connection, "SELECT qty FROM positions") == [(5,)]
    assert one(connection, "SELECT count(*) FROM fills") == [(2,)]
