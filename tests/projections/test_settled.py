"""Charges, contracts that end, guards, denials and currencies: the read models say what the kernel's own tables say."""

import io
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from adapters.tape.export import Names
from api.event_text import EventText
from api.report import html_report, terminal_report
from kernel.codes import KillLevel, Kind, Reason
from projections.bounds import denied_text, trip_text
from projections.marks import value_at
from projections.names import read_config
from projections.summary import run_report
from tests.kernel.play import LIMIT, STOP, day_end, dividend, event, flat, order, split, units
from tests.projections.charged import RULES, SHARES, config_for, contract, order_ids, play
from tests.projections.recording import record
from tests.projections.test_projector import one, project, tables
from tests.projections.test_summary import GIVEN
from tests.projections.test_views import check_everywhere

BUY, SELL = 1, -1
ENDED = event(Kind.RUN_ENDED, 100)


def expiry(t, instrument, px):
    return event(Kind.EXPIRY, t, instrument, underlying_px=units(px))


def check_state(connection, engine, run):
    """Positions, balances and the account against the tables of the kernel, to the unit."""
    state, width = engine.state, len(engine.state.markets)
    names = ("qty", "cost", "realized", "fees", "dividends")
    wanted = {
        (run.strategies[n // width], run.symbols[n % width], *(int(p[name]) for name in names))
        for n, p in enumerate(state.positions)
        if any(p[name] for name in names)
    }
    found = one(connection, f"SELECT strategy, symbol, {', '.join(names)} FROM positions")
    assert {row for row in found if any(row[2:])} == wanted
    purse = state.purses[0]
    sums = ("cash", "realized", "fees", "dividends", "paid_in")
    assert one(connection, f"SELECT {', '.join(sums)} FROM accounts") == [tuple(int(purse[name]) for name in sums)]
    assert one(connection, f"SELECT {', '.join(sums)}, rate FROM balances ORDER BY rate = 0, currency") == [
        (*(int(q[name]) for name in sums), int(q["rate"])) for q in state.purses
    ]
    # what is in no trade: what a day's end charges, and dividends
    of_days = one(connection, "SELECT coalesce(sum(total), 0) FROM charges WHERE strategy = 'account'")[0][0]
    [(realized, fees, pnl)] = one(connection, "SELECT sum(realized), sum(fees), sum(pnl) FROM trades")
    total = sum(int(q["fees"]) for q in state.purses)
    assert (realized, fees + of_days) == (sum(int(q["realized"]) for q in state.purses), total)
    assert pnl == realized - fees
    moved = one(
        connection,
        "SELECT (SELECT coalesce(sum(fee), 0) FROM fills) + (SELECT coalesce(sum(charges), 0) FROM settlements)",
    )
    assert moved[0][0] + of_days == total
    assert one(connection, "SELECT sum(fees) FROM orders") == one(connection, "SELECT sum(fee) FROM fills")
    assert one(connection, "SELECT count(*) FROM trades WHERE closed_seq IS NULL") == one(
        connection, "SELECT count(*) FROM positions WHERE qty <> 0"
    )


@pytest.fixture(scope="module")
def charged(scripted):
    """Two strategies that buy, add, flip and close shares at a fee and charges, over three days with a split."""
    rng = np.random.default_rng(7)
    config = config_for([SHARES], 2, charges=RULES, fee_rate=1_000_000, equity_interval=10**9)
    plans = [
        [(n, order(int(rng.choice([BUY, SELL])), int(rng.integers(1, 40)))) for n in range(1, 20)] for _ in range(2)
    ]
    inputs = [flat(t, 100 + int(rng.integers(-9, 9)) / 20) for t in range(1, 25)]
    inputs[22:22] = [dividend(22, 0.35), split(22, 3, 2)]
    inputs[15:15], inputs[8:8] = [day_end(15)], [day_end(8)]
    scripts = [(1, 0, plans[0]), (2, 0, plans[1])]
    return *play(scripted, config, scripts, [*inputs, day_end(26), day_end(27), ENDED], bars=True), config


def test_charges_are_the_engines(charged):
    rows, notes, engine, config = charged
    connection = project(rows, notes)
    check_state(connection, engine, read_config(notes[1]))
    assert one(connection, "SELECT count(*) FROM charges WHERE strategy = 'account' AND total <> 0")[0][0] > 2
    items = one(connection, "SELECT sum(brokerage), sum(stt), sum(stamp), sum(gst), sum(dp), sum(total) FROM charges")[
        0
    ]
    assert all(items) and items[-1] + one(connection, "SELECT sum(fee - charges) FROM fills")[0][0] == engine.purse.fees
    assert (
        one(connection, "SELECT last(cash ORDER BY seq) FROM fills")[0][0]
        + one(connection, "SELECT sum(dividends) FROM positions")[0][0]
        >= engine.purse.cash
    )
    [[segment]] = one(connection, "SELECT DISTINCT segment FROM v_charges")
    assert segment == "NSE:EQUITY"


def test_the_question_of_the_page_adds_up(charged):
    rows, notes, *_ = charged
    page = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()
    [question] = re.findall(r"```sql\n(-- with charges.*?)```", page, re.S)
    connection = project(rows, notes)
    found = one(connection, question)
    assert {row[1] for row in found} == {"NSE:EQUITY"} and {"stt", "gst", "dp"} <= {row[2] for row in found}
    assert [(sum(row[3] for row in found),)] == one(connection, "SELECT sum(total) FROM v_charges")


@pytest.mark.parametrize("fresh", [False, True])
def test_rebuild_equals_incremental(charged, fresh):
    """Cut right after every fill, between it and its charges."""
    rows, notes, *_ = charged
    cuts = np.flatnonzero(rows["kind"] == Kind.ORDER_FILLED) + 1
    assert tables(project(rows, notes, cuts.tolist()[:: 4 if fresh else 1], fresh)) == tables(project(rows, notes))


def test_as_of_is_the_fold_between_a_fill_and_its_charges(charged):
    rows, notes, *_ = charged
    check_everywhere(rows, notes, rows["seq"][::3])


def test_a_flip_divides_its_charges(scripted):
    config = config_for([SHARES], charges=RULES)
    orders = [(1, order(BUY, 30)), (2, order(SELL, 100))]
    rows, notes, engine = play(scripted, config, [(1, 0, orders)], [flat(t, 100) for t in (1, 2, 3)])
    for cuts in ((), range(1, len(rows))):
        connection = project(rows, notes, cuts)
        first, second = [fee for (fee,) in one(connection, "SELECT fee FROM fills ORDER BY seq")]
        found = one(connection, "SELECT fees FROM trades ORDER BY opened_seq")
        assert (
            found == [(first + second - second * 7 // 10,), (second * 7 // 10,)] and first + second == engine.purse.fees
        )


def test_a_late_fill_is_charged_with_its_order(scripted):
    config = config_for([SHARES], charges=RULES, simulate=0)
    rows, notes, _ = play(scripted, config, [(1, 0, [(1, order(BUY, 100))])], [flat(1, 100)])
    [order_id] = order_ids(rows)
    about = {"instrument": 0, "order_id": order_id, "px": units(100)}
    reports = [event(kind, t, qty=50, **about) for t, kind in ((2, Kind.ORDER_CANCELED), (3, Kind.ORDER_FILLED))]
    rows, notes, engine = play(scripted, config, [(1, 0, [(1, order(BUY, 100))])], [flat(1, 100), *reports])
    for cuts in ((), range(1, len(rows))):
        connection = project(rows, notes, cuts)
        check_state(connection, engine, read_config(notes[1]))
        assert one(connection, "SELECT reason FROM anomalies") == [("LATE_FILL",)]
        assert one(connection, "SELECT fees FROM orders") == [(engine.purse.fees,)] and engine.purse.fees > 0


# Contracts ------------------------------------------------------------------------------------------------------------


def test_a_variation_is_part_of_the_open_trade(scripted):
    config = config_for([SHARES | {"charged": 0}, contract(1, "FUTURE")])
    orders = [(1, order(BUY, 100)), (3, order(SELL, 100))]
    inputs = [flat(1, 100, 1), flat(2, 100, 1), flat(3, 103, 1), day_end(3)]
    rows, notes, engine = play(scripted, config, [(1, 1, orders)], inputs)
    connection = project(rows, notes)
    check_state(connection, engine, read_config(notes[1]))
    assert one(connection, "SELECT closed_seq, max_qty, entry_px, realized, pnl FROM trades") == [
        (None, 100, units(100), units(300), units(300))
    ]
    assert one(connection, "SELECT reason, side, realized, position_qty, position_cost FROM settlements") == [
        ("VARIATION", None, units(300), 100, units(10_300))
    ]
    rows, notes, engine = play(scripted, config, [(1, 1, orders)], [*inputs, flat(4, 102, 1)])
    for cuts in ((), range(1, len(rows))):
        connection = project(rows, notes, cuts)
        check_state(connection, engine, read_config(notes[1]))
        found = one(connection, "SELECT closed_seq IS NOT NULL, exit_px, realized FROM trades")
        assert found == [(True, units(102), units(200))]


@pytest.mark.parametrize(("settle", "reason"), [(112.0, "EXERCISED"), (95.0, "INSTRUMENT_EXPIRED")])
def test_a_contract_that_ends_closes_its_trade_and_delivers_another(scripted, settle, reason):
    call = contract(1, "OPTION", right="CALL", strike=units(100), settlement="PHYSICAL", charged=1)
    config = config_for([SHARES, call], 2, charges=RULES)
    scripts = [(1, 1, [(1, order(BUY, 10))]), (2, 1, [(1, order(SELL, 10))])]
    inputs = [e for t in (1, 2) for e in (flat(t, 100, end=False), flat(t, 5, 1))]
    rows, notes, engine = play(scripted, config, scripts, [*inputs, expiry(3, 1, settle), day_end(4), day_end(5)])
    for cuts in ((), range(1, len(rows))):
        connection = project(rows, notes, cuts, fresh=True)
        check_state(connection, engine, read_config(notes[1]))
        worth = max(0, settle - 100)
        options = one(connection, "SELECT side, exit_px, realized FROM trades WHERE symbol = 'OPTION1' ORDER BY side")
        gain = units(10 * (worth - 5))
        assert options == [("LONG", units(worth), gain), ("SHORT", units(worth), -gain)]
        shares = one(
            connection, "SELECT side, entry_px, closed_seq, fees > 0 FROM trades WHERE symbol = 'ALPHA' ORDER BY side"
        )
        delivered = [("LONG", units(settle), None, True), ("SHORT", units(settle), None, True)]
        assert shares == (delivered if worth else [])
        reasons = {r for (r,) in one(connection, "SELECT reason FROM settlements")}
        assert reasons == {reason, "DELIVERED"} if worth else {reason}
    check_everywhere(rows, notes, rows["seq"])


def test_a_contract_leaves_exact_prices_of_its_own_scale(scripted):
    coin = {
        "number": 0,
        "symbol": "COIN",
        "tick": 100,
        "lot": 1,
        "currency": "INR",
        "price_decimals": 8,
        "qty_decimals": 8,
    }
    config = config_for([coin], cash=10**9, limits={"max_order_qty": 2**45, "max_position_qty": 2**45})
    bars = [flat(t, 1) for t in (1, 2, 3)]
    for e, px in zip(bars, (6_123_456_780_000, 6_123_456_780_000, 6_123_456_780_100), strict=True):
        for name in ("open", "high", "low", "close"):
            e[name] = px
    scripts = [(1, 0, [(1, order(BUY, 10**10)), (2, order(BUY, 5))])]  # a hundred coins: qty * px passes 64 bits
    rows, notes, engine = play(scripted, config, scripts, bars, bars=True)
    connection = project(rows, notes, [len(rows) // 2])
    check_state(connection, engine, read_config(notes[1]))
    assert one(connection, "SELECT price FROM v_fills ORDER BY seq") == [
        (Decimal("61234.5678"),), (Decimal("61234.567801"),)
    ]  # fmt: skip
    assert one(connection, "SELECT entry_price FROM v_trades") == [(Decimal("61234.5678"),)]
    q = engine.purse
    assert one(connection, "SELECT unrealized, mark FROM v_positions") == [
        (Decimal(int(q.market_value - q.cost)) / 10_000, Decimal("61234.567801"))
    ]
    report = run_report(connection, "t")
    assert [row["unrealized"] for row in report["by_instrument"]] == [q.market_value - q.cost]


# Guards, denials, currencies ------------------------------------------------------------------------------------------


def test_trips_say_what_was_over_what(scripted):
    config = config_for(
        [SHARES | {"charged": 0}],
        2,
        limits={"max_day_loss": units(100), "strategies": {"2": {"max_drawdown": 5 * 10**4}}},
    )
    buys = [(1, order(BUY, 10))]
    person = [event(Kind.KILL_RESET, 4), event(Kind.KILL_RESET, 4), event(Kind.TRIPPED, 4, level=9)]
    tripped = event(Kind.TRIPPED, 5, level=int(KillLevel.REDUCE_ONLY), reason=int(Reason.OPERATOR))
    inputs = [flat(1, 100), flat(2, 100), flat(3, 93.5), *person, tripped]
    rows, notes, _ = play(scripted, config, [(1, 0, buys), (2, 0, buys)], inputs)
    for cuts in ((), range(1, len(rows))):
        connection = project(rows, notes, cuts)
        found = one(connection, "SELECT kind, strategy, level, kill_level, reason, text FROM v_trips ORDER BY seq")
        assert found == [
            ("TRIPPED", "account", "CANCEL_ALL", "CANCEL_ALL", "DAY_LOSS", "DAY_LOSS 130.00 over 100.00"),
            ("TRIPPED", "s2", None, "CANCEL_ALL", "DRAWDOWN", "DRAWDOWN 0.0065% over 0.005%"),
            ("KILL_RESET", "account", None, "OFF", None, ""),
            ("TRIPPED", "account", "REDUCE_ONLY", "REDUCE_ONLY", "OPERATOR", "OPERATOR"),
        ]
        assert one(connection, "SELECT reason FROM anomalies") == [("BAD_COMMAND",)] * 2
        assert one(connection, "SELECT kill_level FROM accounts") == [("REDUCE_ONLY",)]
        assert one(connection, "SELECT DISTINCT kill_level FROM account_changes ORDER BY 1") == [
            ("CANCEL_ALL",), ("OFF",), ("REDUCE_ONLY",)
        ]  # fmt: skip
    assert [trip["text"] for trip in run_report(connection, "t")["trips"]] == [row[5] for row in found]


def test_trips_say_who_and_why(scripted):
    """As the notes have it, wherever a batch ends; a guard's own has none, and a note of another sort says nothing."""
    config = config_for([SHARES | {"charged": 0}], limits={"max_day_loss": units(100)})
    level = int(KillLevel.FLATTEN)
    inputs = [flat(1, 100), flat(2, 100), flat(3, 85), event(Kind.TRIPPED, 4, level=level), event(Kind.KILL_RESET, 5)]
    inputs += [event(Kind.TRIPPED, 6, level=level), event(Kind.TRIPPED, 7, level=level)]
    rows, notes, _ = play(scripted, config, [(1, 0, [(1, order(BUY, 10))])], inputs)
    by_guard, by_file, reset, by_hand = rows["seq"][np.isin(rows["kind"], (Kind.TRIPPED, Kind.KILL_RESET))][:4].tolist()
    said = {
        by_file: '{"who": "asha", "why": "fat finger", "source": "home file"}',
        reset: '{"who": "ravi", "why": "checked"}',
        by_hand: "no JSON",
    }
    wanted = [
        (by_guard, None, None, None),
        (by_file, "asha", "fat finger", "home file"),
        (reset, "ravi", "checked", None),
        (by_hand, None, None, None),
    ]
    for cuts in ((), range(1, len(rows))):
        connection = project(rows, notes | said, cuts)
        assert one(connection, "SELECT seq, who, why, source FROM v_trips ORDER BY seq LIMIT 4") == wanted
    report = run_report(connection, "t") | GIVEN
    console = Console(file=io.StringIO(), width=200)
    terminal_report(report, console)
    for text in (console.file.getvalue(), html_report(report)):
        assert "by asha: fat finger" in text and "the kill switch was reset by ravi: checked" in text


def test_collateral_is_valued_at_the_last_price(scripted):
    """A backtest's bars are on no tape of its own: what its manifest says they came to is what the engine had."""
    future = contract(1, "FUTURE")
    config = config_for([SHARES | {"charged": 0}, future | {"margin": 2 * 10**8}], 2)
    scripts = [(1, 0, [(1, order(SELL, 10))]), (2, 1, [(1, order(BUY, 5)), (3, order(SELL, 1))])]
    inputs = [
        e for t, px in ((1, 100), (2, 100), (3, 109), (4, 117)) for e in (flat(t, px, end=False), flat(t, 200 - px, 1))
    ]
    rows, notes, engine = play(scripted, config, scripts, [*inputs, ENDED])
    connection = project(rows, notes)
    figures = "SELECT short_hold, hold FROM accounts JOIN balances USING (tape)"
    hold = int(engine.purse.hold)
    assert one(connection, figures) != [(hold, hold)] and hold > 0
    marks = {symbol: int(engine.state.markets["mark"][n]) for n, symbol in enumerate(("ALPHA", "FUTURE1"))}
    before = one(connection, "SELECT * EXCLUDE (mark) FROM positions ORDER BY symbol")
    for _ in range(2):
        value_at(connection, "t", marks)
        assert one(connection, figures) == [(hold, hold)]
        assert one(connection, "SELECT symbol, mark FROM positions ORDER BY symbol") == list(marks.items())
    assert one(connection, "SELECT * EXCLUDE (mark) FROM positions ORDER BY symbol") == before
    check_state(connection, engine, read_config(notes[1]))


def test_a_denial_says_what_was_allowed(scripted):
    config = config_for([SHARES | {"charged": 0}], limits={"collar": 3 * 10**7, "max_order_qty": 50}, cash=1_000)
    asked = [order(BUY, 1, LIMIT, 96.95), order(SELL, 1, STOP, 0, 103.05), order(BUY, 51), order(BUY, 20)]
    rows, notes, _ = play(scripted, config, [(1, 0, [(1, one) for one in asked])], [flat(1, 100)])
    connection = project(rows, notes)
    assert one(connection, "SELECT reason, text FROM denials ORDER BY seq") == [
        ("COLLAR", "COLLAR 96.95 allowed 97.00"),
        ("COLLAR", "COLLAR 103.05 allowed 103.00"),
        ("QTY_OVER_LIMIT", "QTY_OVER_LIMIT 51 allowed 50"),
        ("CASH", "CASH 2,000.00 allowed 1,000.00"),
    ]
    assert one(
        connection, "SELECT count(*) FROM denials d JOIN orders o ON o.order_id = d.seq AND o.reason = d.reason"
    ) == [(4,)]


@pytest.mark.parametrize(
    ("reason", "actual", "allowed", "text"),
    [
        (Reason.STALE_PRICE, 90_500_000_000, 60 * 10**9, "STALE_PRICE 90.5 s allowed 60 s"),
        (Reason.SELF_CROSS, units(5), 12, "SELF_CROSS 5.00 with order 12"),
        (Reason.KILLED, 3, 0, "KILLED CANCEL_ALL"),
        (Reason.PRODUCT_MIXED, 1, 2, "PRODUCT_MIXED INTRADAY allowed DELIVERY"),
        (Reason.TIME_PASSED, 0, 10**9, "TIME_PASSED 1970-01-01 00:00:00 allowed 1970-01-01 00:00:01"),
        (Reason.NO_MARK, 0, 1, "NO_MARK"),
        (250, 1, 2, "reason 250: 1 allowed 2"),
    ],
)
def test_units_of_limits(reason, actual, allowed, text):
    assert denied_text(int(reason), actual, allowed) == text


def test_every_reason_has_words():
    for reason in Reason:
        assert denied_text(int(reason), 1, 2).startswith(reason.name)
        assert trip_text(int(reason), 3, 2).startswith("" if reason == Reason.NONE else reason.name)


def test_balances_by_currency(scripted):
    dollars = {"number": 1, "symbol": "USDX", "tick": 500, "lot": 1, "currency": "USD"}
    config = config_for([SHARES | {"charged": 0}, dollars], cash=1_000, currencies=2)
    paid = [
        event(Kind.FX_RATE, 0, currency=1, rate=80 * 10**9),
        event(Kind.CASH_ADJUSTED, 0, code=1, amount_money=units(500)),
    ]
    inputs = [*paid, flat(1, 20, 1), flat(2, 20, 1), ENDED]
    rows, notes, engine = play(scripted, config, [(1, 1, [(1, order(BUY, 10))])], inputs)
    connection = project(rows, notes)
    assert one(connection, "SELECT currency, cash, paid_in, rate FROM v_balances ORDER BY currency") == [
        ("INR", 1_000, 1_000, 1), ("USD", 300, 500, 80)
    ]  # fmt: skip
    assert one(connection, "SELECT symbol, currency FROM run_instruments ORDER BY number") == [
        ("ALPHA", "INR"),
        ("USDX", "USD"),
    ]
    check_state(connection, engine, read_config(notes[1]))


def test_events_in_words(charged, scripted):
    """What `onetape show` says of kinds that orders alone do not have."""
    rows, notes, *_ = charged
    text = EventText(Names({0: "ALPHA", 1: "COIN"}, {1: "s1"}), "UTC", scales={1: 10**8})

    def said(kind, **fields):
        return text.line(event(kind, 0, **fields), None).split(maxsplit=4)[-1]

    first = rows[rows["kind"] == Kind.CHARGED][0]
    assert "stt " in text.line(first, None) and f"order {int(first['order_id'])}" in text.line(first, None)
    about = {"instrument": 0, "px": units(103), "held_qty": 100}
    assert "100 held @ 103.00: 300.00" in said(Kind.SETTLED, variation=units(300), reason=Reason.VARIATION, **about)
    assert "sell 100 @ 103.00, 100 held before" in said(
        Kind.SETTLED, qty=100, side=SELL, reason=Reason.EXERCISED, **about
    )
    assert "CANCEL_ALL  DAY_LOSS 130.00 over 100.00" in said(
        Kind.TRIPPED, level=KillLevel.CANCEL_ALL, reason=Reason.DAY_LOSS, measured=units(130), bound=units(100)
    )
    assert "currency 1 at 80.50" in said(Kind.FX_RATE, currency=1, rate=80_500_000_000)
    denied = {
        "reason": Reason.COLLAR,
        "actual": 6_123_456_780_000,
        "allowed": 6_200_000_000_000,
        "px": 6_123_456_780_000,
    }
    assert "(COLLAR 61,234.5678 allowed 62,000.00)" in said(Kind.ORDER_DENIED, instrument=1, side=BUY, **denied)
    assert text.json(event(Kind.ORDER_DENIED, 0, 1, **denied), None)["px"] == "61234.56780000"
    assert "cash 5.00" in said(Kind.BALANCE, currency=1, cash=units(5))


# The report -----------------------------------------------------------------------------------------------------------


def test_the_report_lists_charges_that_sum_to_the_fees(charged):
    rows, notes, engine, _ = charged
    report = run_report(project(rows, notes), "t") | GIVEN
    assert sum(row["amount"] for row in report["charges"]) == report["fees"] == engine.purse.fees
    assert {row["item"] for row in report["charges"]} >= {"Brokerage", "STT", "Stamp duty", "GST", "DP", "Venue fee"}
    console = Console(file=io.StringIO(), width=80)
    terminal_report(report, console)
    for text in (console.file.getvalue(), html_report(report)):
        assert "Charges" in text and "Stamp duty" in text and "NSE:EQUITY" in text


def test_a_run_without_charges_has_no_such_table():
    rows, notes, _ = record(60, 1, specs=("buy_and_hold",))
    report = run_report(project(rows, notes), "t") | GIVEN
    assert report["charges"] == [] and report["trips"] == [] and "Charges" not in html_report(report)
