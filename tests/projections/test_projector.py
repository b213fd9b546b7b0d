import json
from decimal import Decimal

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.codes import Flag, Kind, Origin, Status
from kernel.errors import NotReplayable, TapeCorrupt
from kernel.schema import events
from projections.migrate import list_migrations, migrate
from projections.projector import Projector
from projections.tables import READ_MODELS, drop_tape
from tests.projections.handmade import BUY, CONFIG, SELL, HandTape
from tests.projections.recording import record, with_actions


def database():
    connection = duckdb.connect()
    migrate(connection)
    return connection


def tables(connection, tape="t"):
    """Everything about a tape, but for the compressed bytes of the fold, which are compared unpacked by resuming."""
    return {
        table: connection.execute(f"SELECT * FROM {table} WHERE tape = ? ORDER BY ALL", [tape]).fetchall()
        for table in READ_MODELS
    }


def project(rows, notes, cuts=(), fresh=False):
    """A database that took the rows in batches cut at `cuts`; `fresh`: by a new Projector each."""
    connection = database()
    projector = Projector(connection, "t")
    for part in np.split(rows, sorted(set(cuts))):
        projector = Projector(connection, "t") if fresh else projector
        projector.apply(part, notes)
    return connection


def one(connection, sql):
    return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def backtest():
    def change(bars):
        return with_actions(
            with_actions(bars, 300, Kind.SPLIT, 0, numerator=3, denominator=1), 150, Kind.DIVIDEND, 1, amount=12345
        )

    return record(change=change, limits={"max_order_notional": 1_050_000_00}.items())


def test_migrations_are_numbered_without_gaps_and_applied_once():
    assert [m.number for m in list_migrations()] == list(range(1, len(list_migrations()) + 1))
    connection = duckdb.connect()
    assert migrate(connection) == [m.name for m in list_migrations()]
    assert migrate(connection) == []
    ours = {
        name for (name,) in one(connection, "SELECT table_name FROM duckdb_tables() WHERE table_name != 'migration'")
    }
    assert ours == set(READ_MODELS)


def test_backtest_equals_the_engine(backtest):
    rows, notes, engine = backtest
    connection = project(rows, notes)
    account, purse = engine.account, engine.purse
    assert one(connection, "SELECT cash, realized, fees, dividends FROM accounts") == [
        (purse.cash, purse.realized, purse.fees, purse.dividends)
    ]
    assert one(connection, "SELECT sum(realized), sum(fees), sum(pnl) FROM trades") == [
        (purse.realized, purse.fees, purse.realized - purse.fees)
    ]
    assert one(connection, "SELECT count(*), sum(fee), sum(realized) FROM fills") == [
        (account.fills, purse.fees, purse.realized)
    ]
    assert one(connection, "SELECT count(*) FROM orders WHERE status != 'DENIED'") == [(account.orders,)]
    assert one(connection, "SELECT count(*) FROM orders WHERE status = 'DENIED'") == [(account.denied,)]
    assert account.denied > 0
    assert one(connection, "SELECT DISTINCT reason FROM orders WHERE status = 'DENIED'") == [("NOTIONAL_OVER_LIMIT",)]
    assert one(connection, "SELECT count(*) FROM signals") == [(account.signals,)]
    assert one(connection, "SELECT equity FROM equity ORDER BY seq DESC LIMIT 1") == [
        (purse.cash + purse.market_value,)
    ]
    held = {
        (f"SYM{n % 3}", int(p.qty), int(p.cost), int(p.realized), int(p.dividends))
        for n, p in enumerate(engine.state.positions)
        if p.fees
    }
    found = one(connection, "SELECT symbol, qty, cost, realized, dividends FROM positions")
    assert set(found) == held and len(found) == len(held)
    open_now = {(int(o.order_id), int(o.leaves_qty)) for o in engine.state.orders if o.order_id}
    statuses = [s.name for s in (Status.SUBMITTED, Status.ACCEPTED, Status.TRIGGERED)]
    working = f"SELECT order_id, leaves_qty FROM orders WHERE status IN {tuple(statuses)}"
    assert set(one(connection, working)) == open_now


@pytest.mark.parametrize("size", [7, 500])
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.sim
def test_backtest_in_batches(backtest, size, fresh):
    rows, notes, _ = backtest
    rows = rows[:120] if size == 7 else rows
    whole = tables(project(rows, notes))
    assert tables(project(rows, notes, range(size, len(rows), size), fresh)) == whole


@pytest.mark.sim
@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 249), max_size=6), st.booleans())
def test_rebuild_equals_incremental(seed, cuts, fresh):
    tape = HandTape(seed).wander(160)
    rows = tape.rows()
    whole = project(rows, tape.notes)
    assert tables(project(rows, tape.notes, [cut for cut in cuts if cut < len(rows)], fresh)) == tables(whole)
    sums = "SELECT sum(realized), sum(fees) FROM "
    assert (
        one(whole, sums + "trades")
        == one(whole, sums + "positions")
        == one(whole, "SELECT realized, fees FROM accounts")
    )
    assert one(whole, "SELECT count(*) FROM trades WHERE closed_seq IS NULL") == one(
        whole, "SELECT count(*) FROM positions WHERE qty != 0"
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
@pytest.mark.sim
def test_trades_equal_a_slow_fold(seed):
    """Against Python integers, one fill after the other, without splits."""
    random = np.random.default_rng(seed)
    tape, position, open_trade, expected = HandTape(), 0, None, []
    for _ in range(40):
        side, qty, px, fee = int(random.choice([BUY, SELL])), *(int(random.integers(1, n)) for n in (30, 9999, 99))
        seq = tape.trade(1, 0, side, qty, px, fee)
        closing = min(qty, abs(position)) if position * side < 0 else 0
        opening, opening_fee = qty - closing, fee * (qty - closing) // qty if closing else fee
        if closing:
            open_trade["exit_qty"] += closing
            open_trade["exit_value"] += closing * px
            open_trade["fees"] += fee - opening_fee
            position += side * closing
            if position == 0:
                expected.append(open_trade | {"closed_seq": seq})
                open_trade = None
        if opening:
            if open_trade is None:
                open_trade = dict.fromkeys(("entry_qty", "entry_value", "exit_qty", "exit_value", "fees", "max_qty"), 0)
                open_trade |= {"opened_seq": seq, "side": "LONG" if side > 0 else "SHORT", "closed_seq": None}
            open_trade["entry_qty"] += opening
            open_trade["entry_value"] += opening * px
            open_trade["fees"] += opening_fee
            position += side * opening
            open_trade["max_qty"] = max(open_trade["max_qty"], abs(position))
        elif open_trade is not None:
            open_trade["fees"] += opening_fee
    expected += [open_trade] if open_trade else []
    rows = tape.rows()
    connection = project(rows, tape.notes, [len(rows) // 2])
    relation = connection.execute("SELECT * FROM trades ORDER BY opened_seq")
    names = [column[0] for column in relation.description]
    found = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
    assert [{name: row[name] for name in expected[0]} for row in found] == expected
    for row in found:
        if row["closed_seq"] is not None:
            sign = 1 if row["side"] == "LONG" else -1
            assert row["realized"] == sign * (row["exit_value"] - row["entry_value"])
        assert row["pnl"] == row["realized"] - row["fees"]


def test_a_flip_divides_its_fee_and_opens_the_next_trade():
    tape = HandTape()
    tape.trade(1, 0, BUY, 3, 100_0000, 10)
    flip = tape.trade(1, 0, SELL, 10, 110_0000, 11)
    connection = project(tape.rows(), tape.notes)
    columns = "side, opened_seq, closed_seq, max_qty, entry_px, exit_px, fees, pnl"
    assert one(connection, f"SELECT {columns} FROM trades ORDER BY opened_seq") == [
        ("LONG", 3, flip, 3, 100_0000, 110_0000, 10 + 4, 3 * 10_0000 - 14),  # 7/10 of 11, down, is 7
        ("SHORT", flip, None, 7, 110_0000, None, 7, -7),
    ]


def test_a_split_restates_the_open_trade():
    tape = HandTape()
    tape.trade(2, 1, BUY, 5, 100_0000)
    tape.put(Kind.SPLIT, instrument=1, numerator=3, denominator=1)
    tape.trade(2, 1, SELL, 15, 40_0000, 7)
    connection = project(tape.rows(), tape.notes)
    assert one(connection, "SELECT strategy, max_qty, entry_px, exit_px, pnl FROM trades") == [
        ("two#2", 15, 333333, 40_0000, 15 * 40_0000 - 5 * 100_0000 - 7)
    ]


def test_a_split_that_leaves_nothing_closes_the_trade():
    tape = HandTape()
    tape.put(Kind.BAR, instrument=0, open=100, high=100, low=100, close=100, flags=Flag.SLICE_END)
    tape.trade(1, 0, BUY, 1, 100)
    split = tape.put(Kind.SPLIT, instrument=0, numerator=1, denominator=2, settle_px=100)
    connection = project(tape.rows(), tape.notes)
    assert one(connection, "SELECT closed_seq, realized, exit_px FROM trades") == [(split, 0, None)]
    assert one(connection, "SELECT qty, realized FROM positions") == [(0, 0)]


def test_refused_reports_change_no_order_and_are_anomalies():
    tape = HandTape()
    order = tape.submit(1, 0, BUY, 5)
    tape.fill(order, 2, 1000, fee=1, status=Status.FILLED, strategy=3)  # the broker's words are not believed
    tape.fill(order, 4, 1000)
    connection = project(tape.rows(), tape.notes, range(1, len(tape.made)))
    assert one(
        connection, "SELECT strategy, status, cum_qty, leaves_qty, filled_value, fees, avg_fill_px FROM orders"
    ) == [("one", "PARTIALLY_FILLED", 2, 3, 2000, 1, 1000)]
    assert one(connection, "SELECT count(*), min(strategy) FROM fills") == [(1, "one")]
    assert one(connection, "SELECT order_id, reason FROM anomalies") == [(order, "OVERFILL")]


def test_the_venues_own_words_are_kept():
    tape = HandTape()
    order = tape.submit(1, 0, BUY, 5)
    tape.put(Kind.ORDER_REJECTED, "RMS: margin", order_id=order, instrument=0)
    tape.put(Kind.STRATEGY_FAULT, "x.py:7: boom", origin=Origin.KERNEL, strategy=1, instrument=0, reason=40)
    connection = project(tape.rows(), tape.notes)
    assert one(connection, "SELECT status, reason, reason_text FROM orders") == [("REJECTED", None, "RMS: margin")]
    assert one(connection, "SELECT strategy, symbol, hook, reason, text FROM faults") == [
        ("one", "ALPHA", "on_bar", "EXCEPTION", "x.py:7: boom")
    ]


def test_rows_seen_before_change_nothing():
    tape = HandTape(5).wander(60)
    rows, connection = tape.rows(), database()
    projector = Projector(connection, "t")
    assert projector.apply(rows[:40], tape.notes) == 40
    assert projector.apply(rows[:40], tape.notes) == 0
    assert projector.apply(rows[10:], tape.notes) == len(rows) - 40
    assert tables(connection) == tables(project(rows, tape.notes))
    assert projector.last_seq == rows["seq"][-1]


def test_a_failure_saves_nothing_and_the_batch_can_come_again(monkeypatch):
    tape = HandTape(6).wander(80)
    rows, connection = tape.rows(), database()
    projector = Projector(connection, "t")
    projector.apply(rows[:50], tape.notes)
    before = tables(connection)
    with monkeypatch.context() as patch:
        patch.setattr("projections.projector.save_account", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            projector.apply(rows[50:], tape.notes)
    assert tables(connection) == before
    projector.apply(rows[50:], tape.notes)
    assert tables(connection) == tables(project(rows, tape.notes))


def test_tapes_do_not_mix_and_can_be_dropped():
    first, second = HandTape(1).wander(60), HandTape(2).wander(60)
    connection = database()
    for name, tape in (("t", first), ("u", second)):
        Projector(connection, name).apply(tape.rows(), tape.notes)
    alone = tables(project(first.rows(), first.notes))
    assert tables(connection) == alone
    drop_tape(connection, "u")
    assert tables(connection) == alone and not any(tables(connection, "u").values())


def test_another_layout_of_the_kernel_means_rebuild():
    tape = HandTape(3).wander(40)
    connection = project(tape.rows(), tape.notes)
    expected = tables(connection)
    connection.execute("UPDATE checkpoint SET layout = 'older'")
    projector = Projector(connection, "t")
    assert projector.last_seq == 0 and not any(tables(connection).values())
    projector.apply(tape.rows(), tape.notes)
    assert tables(connection) == expected


def test_a_tape_must_begin_with_its_run():
    row = events(1)
    row["seq"], row["kind"] = 1, Kind.EQUITY
    with pytest.raises(TapeCorrupt, match="not RUN_STARTED"):
        Projector(database(), "t").apply(row, {})
    row["kind"] = Kind.RUN_STARTED
    for note in (None, "{", "[]", '{"strategies": 1}'):
        with pytest.raises(TapeCorrupt, match="configuration"):
            Projector(database(), "t").apply(row, {1: note} if note else {})


def test_a_second_run_on_an_account_goes_on():
    tape = HandTape()
    tape.trade(1, 0, BUY, 3, 1000)
    tape.put(Kind.RUN_ENDED)
    tape.put(Kind.RUN_STARTED, json.dumps(CONFIG | {"mode": "LIVE"}))
    tape.trade(1, 0, SELL, 3, 1500)
    connection = project(tape.rows(), tape.notes)
    assert one(connection, "SELECT mode FROM runs ORDER BY seq") == [("PAPER",), ("LIVE",)]
    assert one(connection, "SELECT pnl FROM trades") == [(1500,)]
    assert one(connection, "SELECT ended FROM checkpoint") == [(False,)]
    tape.put(Kind.RUN_STARTED, json.dumps(CONFIG | {"strategies": CONFIG["strategies"][:1]}))
    with pytest.raises(NotReplayable, match="other strategies"):
        Projector(connection, "t").apply(tape.rows(), tape.notes)


def test_views_show_amounts_and_times():
    tape = HandTape()
    tape.trade(1, 0, BUY, 3, 1234567, 15)
    connection = project(tape.rows(), tape.notes)
    found = connection.execute("SELECT price, fee::VARCHAR, happened_at::VARCHAR FROM v_fills").fetchall()
    assert found == [(Decimal("123.4567"), "0.0015", "2024-01-01 03:45:00.000003")]
    for (view,) in one(connection, "SELECT view_name FROM duckdb_views() WHERE NOT internal"):
        connection.execute(f"SELECT * FROM {view}").fetchall()
