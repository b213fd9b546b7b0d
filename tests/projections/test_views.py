"""As-of macros against the kernel's own fold, and the views over stored events against the rows they show."""

from decimal import Decimal

import duckdb
import numpy as np
import pytest

from adapters.tape.families import split_rows, to_table
from kernel.codes import KillLevel, Kind, Status, TradingState
from kernel.fold import Fold
from kernel.schema import FAMILIES, FAMILY_OF, MONEY, PRICE, events
from kernel.state import Capacity, Rules
from kernel.terms import charges_of, terms_of
from projections.event_views import KIND_VIEWS, NAMES, Lot, create_views, stored_columns
from projections.migrate import list_migrations, migrate
from projections.names import read_config
from projections.projector import Projector
from projections.watch import OF_PURSE, WATCHED
from tests.projections.handmade import BUY, SELL, HandTape
from tests.projections.recording import record, with_actions
from tests.projections.test_projector import project, tables

ENDED = [s.name for s in (Status.FILLED, Status.CANCELED, Status.REJECTED, Status.EXPIRED, Status.DENIED)]


def kernel_fold(notes):
    """The plain fold of the kernel, made from the configuration as written."""
    config = read_config(next(iter(notes.values()))).config
    rules = {n: v for n, v in config["rules"].items() if n in Rules.__dataclass_fields__}
    capacity, rules = Capacity(**config["capacity"] | {"batch": 4096}), Rules(**rules | {"cash": config["cash"]})
    count, charges = len(config["strategies"]), charges_of(config)
    return Fold(capacity, rules, config["limits"], terms_of(config), count, charges)


def dicts(connection, sql, parameters=()):
    found = connection.execute(sql, list(parameters))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def check_as_of(connection, state, run, seq):
    """The three macros at `seq` against the tables of the kernel."""
    [account] = dicts(connection, "SELECT * FROM account_as_of(?, ?)", ["t", seq])
    wanted = {name: int((state.purses if name in OF_PURSE else state.account)[name][0]) for name in WATCHED}
    wanted["trading_state"] = TradingState(wanted["trading_state"]).name
    wanted["kill_level"] = KillLevel(wanted["kill_level"]).name
    assert {name: account[name] for name in WATCHED} == wanted, seq
    held = {
        (p["strategy"], p["symbol"]): p for p in dicts(connection, "SELECT * FROM positions_as_of(?, ?)", ["t", seq])
    }
    width = len(state.markets)
    for number, position in enumerate(state.positions):
        if number // width < len(run.strategies) and number % width < len(run.symbols):
            row = held.pop((run.strategies[number // width], run.symbols[number % width]), None)
            for name in ("qty", "cost", "realized", "fees", "dividends"):
                assert int(position[name]) == (row[name] if row else 0), (seq, number, name)
    assert not held
    working = {
        o["order_id"]: o
        for o in dicts(connection, "SELECT * FROM orders_as_of(?, ?)", ["t", seq])
        if o["status"] not in ENDED
    }
    for order in state.orders[state.orders["order_id"] > 0]:
        row = working.pop(int(order["order_id"]))
        assert row["status"] == Status(int(order["status"])).name
        for name in ("qty", "px", "trigger_px", "cum_qty", "leaves_qty"):
            assert row[name] == int(order[name]), (seq, name)
    assert not working, seq


def check_everywhere(rows, notes, seqs):
    connection = project(rows, notes, [len(rows) // 3, len(rows) // 2])
    fold, run, start = kernel_fold(notes), read_config(next(iter(notes.values()))), 0
    for seq in sorted(seqs):
        end = int(np.searchsorted(rows["seq"], seq, "right"))
        fold.add(rows[start:end])
        start = end
        check_as_of(connection, fold.state, run, int(seq))
    return connection


@pytest.mark.sim
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.sim), pytest.param(2, marks=pytest.mark.sim)])
def test_as_of_is_the_fold_at_every_seq(seed):
    """Random orders, part fills, flips, refused reports, splits, dividends, cash, limits: after each event."""
    tape = HandTape(seed).wander(40)
    for kind, fields in (
        (Kind.CASH_ADJUSTED, {"amount_money": 12_345}),
        (Kind.TRADING_STATE_CHANGED, {"setting": int(TradingState.REDUCING)}),
        (Kind.LIMIT_CHANGED, {"code": 0, "setting": 500}),
        (Kind.CASH_ADJUSTED, {"amount_money": 2**62}),  # refused
    ):
        tape.put(kind, **fields)
        tape.wander(30)
    rows = tape.rows()
    seqs = rows["seq"]
    check_everywhere(rows, tape.notes, seqs if seed == 0 else np.unique(np.append(seqs[::7], seqs[-1])))


@pytest.mark.sim
def test_as_of_a_backtest_with_a_split_and_a_dividend():
    def change(bars):
        bars = with_actions(bars, 300, Kind.SPLIT, 0, numerator=3, denominator=2)
        return with_actions(bars, 150, Kind.DIVIDEND, 1, amount=12345)

    rows, notes, _ = record(change=change)
    around = [int(s) for kind in (Kind.SPLIT, Kind.DIVIDEND) for s in rows["seq"][rows["kind"] == kind]]
    seqs = np.unique([*rows["seq"][::41], *around, *(s - 1 for s in around), rows["seq"][-1]])
    connection = check_everywhere(rows, notes, seqs)
    last = int(rows["seq"][-1])
    same = "order_id, qty, px, trigger_px, status, cum_qty, leaves_qty, filled_value, fees, avg_fill_px, reason, last_ts, last_seq"
    assert dicts(connection, f"SELECT {same} FROM orders_as_of('t', {last}) ORDER BY 1") == dicts(
        connection, f"SELECT {same} FROM orders ORDER BY 1"
    )


@pytest.mark.sim
def test_at_a_moment_is_as_of_the_last_seq_there():
    rows, notes, _ = record(120)
    connection = project(rows, notes)
    for place in range(5, len(rows), 37):
        ts = int(rows["ts_init"][place])
        seq = int(rows["seq"][np.searchsorted(rows["ts_init"], ts, "right") - 1])
        for what in ("orders", "positions", "account"):
            at = dicts(connection, f"SELECT * FROM {what}_at('t', make_timestamp_ns(?)) ORDER BY ALL", [ts])
            assert at == dicts(connection, f"SELECT * FROM {what}_as_of('t', ?) ORDER BY ALL", [seq])
    assert dicts(connection, "SELECT * FROM orders_at('t', '1999-01-01')") == []


def test_a_state_holds_from_one_seq_to_the_next():
    tape = HandTape(8).wander(120)
    connection, last = project(tape.rows(), tape.notes), int(tape.rows()["seq"][-1])
    for seq in range(1, last, 13):
        for view, macro, key in (
            ("v_order_history", "orders_as_of", "order_id, status, cum_qty, leaves_qty, qty"),
            ("v_position_history", "positions_as_of", "strategy, symbol, qty"),
            ("v_account_history", "account_as_of", "open_orders, trading_state"),
        ):
            held = f"SELECT {key} FROM {view} WHERE valid_from <= {seq} AND (valid_to > {seq} OR valid_to IS NULL) ORDER BY ALL"
            assert dicts(connection, held) == dicts(
                connection, f"SELECT {key} FROM {macro}('t', {seq}) ORDER BY ALL"
            ), seq


@pytest.mark.parametrize("macro", ["orders_as_of", "positions_as_of", "account_as_of"])
def test_what_is_not_known_is_an_error(macro):
    tape = HandTape()
    tape.trade(1, 0, BUY, 3, 100)
    connection = project(tape.rows(), tape.notes)
    for name, seq, words in (("t", 4, "known up to seq 3"), ("u", 1, "hold no tape u")):
        with pytest.raises(duckdb.InvalidInputException, match=words):
            connection.execute(f"SELECT * FROM {macro}(?, ?)", [name, seq]).fetchall()


def test_read_models_of_the_first_version_are_folded_in_again():
    """Migration 2 finds no past to make its rows from: the tape is folded anew, and says so by its layout."""
    tape = HandTape(4).wander(60)
    whole = tables(project(tape.rows(), tape.notes))
    connection = duckdb.connect()
    first = list_migrations()[0]
    connection.execute(
        "CREATE TABLE migration (number INTEGER PRIMARY KEY, name VARCHAR NOT NULL, digest VARCHAR NOT NULL)"
    )
    connection.execute(first.sql)
    connection.execute("INSERT INTO migration VALUES (?, ?, ?)", [first.number, first.name, first.digest])
    new = project(tape.rows(), tape.notes)
    for table in ("checkpoint", "runs", "orders"):
        connection.register("copied", new.sql(f"SELECT * FROM {table}").to_arrow_table())
        names = ", ".join(connection.table(table).columns)  # what later migrations added is not there yet
        connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM copied")
        connection.unregister("copied")
    assert migrate(connection) == [m.name for m in list_migrations()[1:]]
    projector = Projector(connection, "t")
    assert projector.last_seq == 0
    projector.apply(tape.rows(), tape.notes)
    assert tables(connection) == whole


# Views over events ----------------------------------------------------------------------------------------------------


SAME = (("ALPHA", 10_000), ("BETA", 10_000))


def over(tapes, **named):
    """A database with the views over rows in memory, by name of their tape; `named`: (symbol, px_scale) of its own."""
    connection = duckdb.connect()
    connection.execute(NAMES)
    stored = {}
    for name, rows in tapes.items():
        connection.execute("INSERT INTO tapes VALUES (?, 'PAPER', ?)", [name, int(rows["seq"][-1])])
        connection.execute("INSERT INTO strategies VALUES (?, 0, 'account'), (?, 1, ?)", [name, name, f"of {name}"])
        for number, (symbol, scale) in enumerate(named.get(name, SAME)):
            about = [name, number, number, symbol, scale]
            connection.execute(
                "INSERT INTO run_instruments VALUES (?, ?, ?, ?, 'EQUITY', NULL, 'INR', 1, 1, ?, 1, 1, 1)", about
            )
        for family, part in split_rows(rows):
            connection.register(f"{name}_{family.name}", to_table(family, part))
            lot = Lot(f"{name}_{family.name}", f"'{name}'", frozenset(stored_columns(family)))
            stored.setdefault(family.name, []).append(lot)
    for statement in create_views(stored):
        connection.execute(statement)
    return connection


def one_of_each():
    """A row of every kind, all its slots different and large."""
    rows = events(len(Kind))
    rows["seq"] = np.arange(1, len(rows) + 1)
    rows["ts_event"] = 1_704_080_700 * 10**9 + rows["seq"] * 7
    rows["ts_init"] = rows["ts_event"] + 3
    rows["cause"], rows["strategy"] = rows["seq"] - 1, 1
    for row, kind in zip(rows, Kind, strict=True):
        row["kind"], row["side"] = kind, -1
        for slot, (name, _) in enumerate(FAMILY_OF[kind].slots):
            row[name] = 2**61 - 1000 * slot - int(kind)
        if FAMILY_OF[kind].value:
            row["value"] = 0.5
    return rows


def test_every_kind_has_its_view_with_exact_values():
    rows = one_of_each()
    connection = over({"a": rows})
    for row, kind in zip(rows, Kind, strict=True):
        [found] = dicts(connection, f"SELECT * FROM {KIND_VIEWS[kind]}")
        assert (found["tape"], found["seq"], found["kind"], found["symbol"]) == (
            "a",
            int(row["seq"]),
            kind.name,
            "ALPHA",
        )
        assert (
            found["strategy"] == "of a" and found["cause"] == int(row["seq"]) - 1 and str(found["day"]) == "2024-01-01"
        )
        for name, what in FAMILY_OF[kind].slots:
            if what in (PRICE, MONEY):
                assert found[name] == Decimal(int(row[name])) / 10_000, name
    every = dicts(connection, "SELECT kind, seq, epoch_ns(ts_init) AS ts FROM events ORDER BY seq")
    assert every == [
        {"kind": k.name, "seq": int(r["seq"]), "ts": int(r["ts_init"])} for r, k in zip(rows, Kind, strict=True)
    ]
    for family in FAMILIES:
        raw = dicts(connection, f"SELECT * FROM stored_{family.name} ORDER BY seq")
        wanted = rows[np.isin(rows["kind"], [int(k) for k in family.kinds])]
        assert [[r[n] for n in stored_columns(family)] for r in raw] == [
            [w[n].item() for n in stored_columns(family)] for w in wanted
        ]


def test_numbers_and_scales_are_each_tapes_own():
    rows = one_of_each()
    connection = over({"a": rows, "b": rows}, b=(("COIN", 10**8), ("OTHER", 1)))
    px = int(rows["px"][rows["kind"] == Kind.ORDER_FILLED][0])
    found = dicts(connection, "SELECT tape, symbol, px, fee FROM order_filled ORDER BY tape")
    fee = Decimal(int(rows["fee"][rows["kind"] == Kind.ORDER_FILLED][0])) / 10_000
    assert found == [
        {"tape": "a", "symbol": "ALPHA", "px": Decimal(px) / 10**4, "fee": fee},
        {"tape": "b", "symbol": "COIN", "px": Decimal(px) / 10**8, "fee": fee},
    ]
    [tripped] = dicts(over({"a": rows}), "SELECT kind, reason, level FROM tripped")
    assert tripped == {"kind": "TRIPPED", "reason": None, "level": None}


def test_the_names_of_a_run_are_one_table():
    """What a bare connection makes is what the migrations make."""
    bare, migrated = duckdb.connect(), duckdb.connect()
    bare.execute(NAMES)
    migrate(migrated)
    columns = "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'run_instruments'"
    assert bare.execute(columns).fetchall() == migrated.execute(columns).fetchall()


def test_tapes_stand_side_by_side_and_events_as_of_is_bound():
    tapes = {"a": HandTape(1).wander(50).rows(), "b": HandTape(2).wander(50).rows()}
    connection = over(tapes)
    for name, rows in tapes.items():
        for seq in rows["seq"][::11].tolist():
            found = connection.execute(
                "SELECT count(*), max(seq) FROM events_as_of($tape, $seq)", {"tape": name, "seq": seq}
            )
            assert found.fetchone() == (int((rows["seq"] <= seq).sum()), seq)
        ts = int(rows["ts_init"][20])
        found = connection.execute(
            "SELECT count(*) FROM events_at($tape, make_timestamp_ns($ts))", {"tape": name, "ts": ts}
        )
        assert found.fetchone() == (int((rows["ts_init"] <= ts).sum()),)
    with pytest.raises(duckdb.InvalidInputException, match="there is no tape c"):
        connection.execute("SELECT * FROM events_as_of('c', 1)").fetchall()
    with pytest.raises(duckdb.InvalidInputException, match="here up to seq"):
        connection.execute("SELECT * FROM events_as_of('a', 10000)").fetchall()


def test_a_column_that_older_files_lack_is_null():
    connection = duckdb.connect()
    connection.execute(NAMES)
    connection.execute(
        "CREATE TABLE old AS SELECT 1::BIGINT AS seq, 73::UTINYINT AS kind, 5::BIGINT AS px, 0 AS instrument"
    )
    lots = {"fill": [Lot("old", "'was'", frozenset(("seq", "kind", "px", "instrument")), (73,))]}
    for statement in create_views(lots):
        connection.execute(statement)
    found = dicts(connection, "SELECT tape, seq, kind, px, qty, ts_init, side FROM order_filled")
    assert found == [
        {
            "tape": "was",
            "seq": 1,
            "kind": "ORDER_FILLED",
            "px": Decimal("0.0005"),
            "qty": None,
            "ts_init": None,
            "side": None,
        }
    ]


def test_a_kind_is_a_constant_where_its_family_has_no_other():
    """So that a question for one kind reads no other family's rows, or only their kinds."""
    connection = over({"a": one_of_each()})
    plan = connection.execute("EXPLAIN SELECT * FROM events WHERE kind = 'BAR' AND seq > 0").fetchall()[0][1]
    assert "a_bar" in plan.lower() or "ARROW_SCAN" in plan
    assert plan.count("ARROW_SCAN") <= 1 + sum(len(family.kinds) > 1 for family in FAMILIES)
    assert SELL == -1
