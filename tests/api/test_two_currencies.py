"""A run with rupees and dollars: a purse each, equity in the account's own by dated rates, the same in every mode."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.settings_source import load_settings
from api.bootstrap import make_config, make_engine
from api.request import Request
from api.run_money import money_missed
from api.show import report_data
from kernel.codes import Kind, Reason
from kernel.units import SHARE
from projections.statistics import figures
from tests.api.running import FILLED, account_of, live, stored

HOLD = ("--strategy", "buy_and_hold,quantity=10", "--fees", "zero")
CASH = ("--cash", "INR:10000,USD:1000")
TURN = '''
from onetape import HOLD, Int, buy, sell, strategy


@strategy
class Turn:
    """Buys 10 with the first bar and sells them with the second."""

    seen = Int()

    def on_bar(self, bar, ctx):
        self.seen += 1
        if self.seen == 1:
            return buy(10)
        if ctx.position > 0:
            return sell(10)
        return HOLD
'''
RATES = """date,from,to,rate
2023-12-29,USD,INR,79
2023-12-31,USD,INR,80
2024-01-01,USD,INR,81
2024-01-02,USD,INR,82
2024-01-03,USD,INR,83.5
2024-01-01,EUR,INR,90.1
"""
FX_RATE, CASH_ADJUSTED, BALANCE, DENIED = (
    int(Kind.FX_RATE), int(Kind.CASH_ADJUSTED), int(Kind.BALANCE), int(Kind.ORDER_DENIED),
)  # fmt: skip
MIDNIGHT = 1_704_047_400 * 10**9  # 2024-01-01 in Kolkata
DAY = 86_400 * 10**9


def bars(symbol: str, prices) -> str:
    lines = [f"2024-01-0{k},{symbol},{px},{px},{px},{px},1000" for k, px in enumerate(prices, 1)]
    return "date,symbol,open,high,low,close,volume\n" + "\n".join(lines) + "\n"


@pytest.fixture
def home(tmp_path, load, good):
    """ACC on `nse`, AAPL on `us`, three days; rates in rates.csv."""
    home = tmp_path / "home"
    (tmp_path / "nse.csv").write_text(bars("ACC", (100, 110, 121)))
    (tmp_path / "us.csv").write_text(bars("AAPL", (50, 52, 55)))
    good(home, "import", str(tmp_path / "nse.csv"))
    there = ("--tz", "America/New_York", "--currency", "USD", "--session-close", "16:00")
    good(home, "import", str(tmp_path / "us.csv"), *there)
    (tmp_path / "rates.csv").write_text(RATES)
    return home


def rates(home: Path) -> str:
    return str(home.parent / "rates.csv")


def told(rows, kind: int, *names: str) -> list[tuple[int, ...]]:
    return [tuple(int(row[name]) for name in names) for row in rows[rows["kind"] == kind]]


def test_purses_and_equity_to_the_unit(home, good):
    """10 ACC at 110 and 10 AAPL at 52: 8,900 rupees and 480 dollars are left, and both are marked at the last close."""
    run = good(home, "backtest", *HOLD, *CASH, "--tapes", "nse,us", "--fx", rates(home))
    rows, notes = stored(home / "runs" / run["run_id"])
    config = json.loads(notes[1])
    assert config["currency"] == "INR" and config["currencies"] == ["INR", "USD"] and config["cash"] == 100_000_000
    assert config["purses"] == {"USD": 10_000_000} and config["rules"]["currencies"] == 2
    assert config["timezone"] == "Asia/Kolkata" and config["fx"]["source"] == "rates.csv" and config["fx"]["rates"] == 4
    assert told(rows, FX_RATE, "ts_init", "currency", "rate") == [
        (MIDNIGHT + k * DAY, 1, int(px * SHARE)) for k, px in enumerate((80, 81, 82, 83.5))
    ]
    assert told(rows, CASH_ADJUSTED, "ts_init", "code", "amount_money") == [(MIDNIGHT, 1, 10_000_000)]
    assert sorted(told(rows, FILLED, "qty", "px")) == [(10, 520_000), (10, 1_100_000)]
    balances = rows[rows["kind"] == BALANCE][-2:]
    assert balances["cash"].tolist() == [89_000_000, 4_800_000]
    assert balances["market_value"].tolist() == [12_100_000, 5_500_000]
    assert balances["paid_in"].tolist() == [100_000_000, 10_000_000]
    # 8,900 + 1,210 + (480 + 550) * 83.5
    assert run["final_equity"] == pytest.approx(96_115) and rows[-3]["equity"] == 961_150_000
    assert run["cash"] == pytest.approx(8_900 + 480 * 83.5)
    assert config["fx"]["opening_worth"] == 80_000 * 10_000
    data = report_data(home / "runs" / run["run_id"])
    assert (data["cash"], data["final_equity"]) == (900_000_000, 961_150_000), "a return of 6.79%"
    first = rows[rows["kind"] == int(Kind.EQUITY)][0]
    assert first["equity"] == 10_000 * 10_000 + 1_000 * 80 * 10_000, "opening cash at the rate of then"


def test_a_report_is_in_the_accounts_currency(home, good):
    """A trade of 10 AAPL from 52 to 55 made 30 dollars, 2,505 rupees by the last rate; ACC made 110 rupees."""
    (home / "turn.py").write_text(TURN)
    run = good(home, "backtest", "--strategy", f"{home}/turn.py:Turn", "--fees", "zero", *CASH, "--fx", rates(home))
    data = report_data(home / "runs" / run["run_id"])
    won = {row["symbol"]: row["pnl"] for row in data["trades"]}
    assert won == {"ACC": 1_100_000, "AAPL": 25_050_000}
    assert {row["symbol"]: row["net"] for row in data["by_instrument"]} == won
    assert [row["net"] for row in data["by_strategy"]] == [26_150_000] and data["realized"] == 26_150_000
    assert figures(data).trades.expectancy == 13_075_000
    said = good(home, "sql", "select symbol, pnl from v_trades order by symbol")
    assert [float(row["pnl"]) for row in said] == [30, 110], "in SQL each is in its instrument's own"


def test_the_replay_is_identical_and_needs_the_kept_rates(home, good, call):
    run = good(home, "backtest", *HOLD, *CASH, "--fx", rates(home))
    Path(rates(home)).unlink()
    again = good(home, "replay", run["run_id"])
    assert again["identical"] and again["tape_digest"] == run["tape_digest"]
    assert good(home, "verify")["damaged"] == []
    [kept] = (home / "instruments" / "fx").glob("*.csv")
    text = kept.read_text()
    kept.write_text(text.replace("83500000000", "83600000000"))
    said = call(home, "replay", run["run_id"])
    assert said.code == 2 and "is not what the run used" in said.err
    kept.unlink()
    said = call(home, "replay", run["run_id"])
    assert said.code == 2 and "put" in said.err and str(kept) in said.err


def test_other_rates_are_another_run(home, good):
    run = good(home, "backtest", *HOLD, *CASH, "--fx", rates(home))
    Path(rates(home)).write_text(RATES.replace("2024-01-01,EUR,INR,90.1", "2024-01-01,EUR,INR,90.2"))
    same = good(home, "backtest", *HOLD, *CASH, "--fx", rates(home))
    assert same["tape_digest"] == run["tape_digest"], "rates that the run has no use for"
    Path(rates(home)).write_text(RATES.replace("82", "82.000000001"))
    other = good(home, "backtest", *HOLD, *CASH, "--fx", rates(home))
    assert other["tape_digest"] != run["tape_digest"] and other["decision_digest"] == run["decision_digest"]


@pytest.mark.parametrize("stops", [[], [1], [2, 4]])
def test_live_is_the_backtest(home, good, stops, monkeypatch):
    monkeypatch.setenv("ONETAPE_FEES__RULE", "zero")
    run = good(home, "backtest", *HOLD, *CASH, "--fx", rates(home))
    request = Request([HOLD[1]], cash=CASH[1], fx=rates(home))
    for stop in stops:
        live(home, stop, request)
    found = live(home, None, request)
    assert found["decision_digest"] == run["decision_digest"] and found["final_equity"] == "96115.00"
    rows, _ = stored(account_of(home))
    assert [row[1] for row in told(rows, FX_RATE, "currency", "rate")] == [80 * SHARE, 81 * SHARE, 82 * SHARE, 83.5e9]
    assert len(told(rows, CASH_ADJUSTED, "code")) == 1
    assert good(home, "replay", "main-paper")["identical"] and good(home, "verify")["damaged"] == []


def test_an_account_goes_on_with_rates_that_came_since(home, good, monkeypatch):
    """The file grows from day to day; what it was late with is told when the account goes on."""
    monkeypatch.setenv("ONETAPE_FEES__RULE", "zero")
    Path(rates(home)).write_text("".join(RATES.splitlines(True)[:3]))
    request = Request([HOLD[1]], cash=CASH[1], fx=rates(home))
    live(home, 2, request)
    Path(rates(home)).write_text(RATES)
    found = live(home, None, request)
    assert found["final_equity"] == "96115.00" and report_data(account_of(home))["cash"] == 900_000_000
    rows, _ = stored(account_of(home))
    assert [row[0] for row in told(rows, FX_RATE, "rate")] == [80 * SHARE, 81 * SHARE, 82 * SHARE, 83.5e9]
    assert good(home, "replay", "main-paper")["identical"]


def test_the_account_may_be_in_dollars(home, good):
    (home.parent / "turned.csv").write_text("ts,pair,rate\n2024-01-01T00:00:00+05:30,INRUSD,0.0125\n")
    turned = str(home.parent / "turned.csv")
    run = good(home, "backtest", *HOLD, *CASH, "--currency", "USD", "--fx", turned)
    assert run["final_equity"] == pytest.approx(480 + 550 + (8_900 + 1_210) * 0.0125)
    first = good(home, "backtest", *HOLD, *CASH, "--tapes", "us,nse", "--fx", turned)
    assert first["final_equity"] == run["final_equity"], "the currency of the tape that is named first"


def test_an_account_in_a_currency_without_instruments(home, good, call):
    said = call(home, "backtest", *HOLD, "--symbols", "AAPL", "--currency", "INR")
    assert said.code == 2 and "the run has USD beside INR, and no rates: give --fx FILE" in said.err
    run = good(home, "backtest", *HOLD, "--symbols", "AAPL", "--currency", "INR", "--fx", rates(home), *CASH)
    assert run["final_equity"] == pytest.approx(10_000 + 1_030 * 83.5)
    assert good(home, "replay", run["run_id"])["identical"]


def test_a_purse_without_cash_denies(home, good, caplog):
    run = good(home, "backtest", *HOLD, "--cash", "10000", "--fx", rates(home))
    assert any("no cash in USD" in record.getMessage() for record in caplog.records)
    rows, _ = stored(home / "runs" / run["run_id"])
    assert set(told(rows, DENIED, "reason", "instrument")) == {(int(Reason.CASH), 1)}
    assert any("America/New_York, Asia/Kolkata" in record.getMessage() for record in caplog.records)


def test_no_rate_until_one_comes(home, good, caplog):
    """Without dollars to begin with the run goes, and orders in dollars say why they do not."""
    Path(rates(home)).write_text("date,from,to,rate\n2024-01-02,USD,INR,82\n")
    run = good(home, "backtest", *HOLD, "--cash", "10000", "--fx", rates(home))
    assert any("has no rate of USD in INR by" in record.getMessage() for record in caplog.records)
    rows, _ = stored(home / "runs" / run["run_id"])
    assert told(rows, DENIED, "reason", "instrument")[0] == (int(Reason.NO_RATE), 1)
    assert good(home, "replay", run["run_id"])["identical"]


WRONG = [
    ("", "the run has USD beside INR, and no rates: give --fx FILE"),
    (
        "date,from,to,rate\n2024-01-02,USD,INR,82\n",
        "no rate of USD in INR by 2024-01-01 00:00:00+05:30, when the run beg",
    ),
    ("date,from,to,rate\n2024-02-02,USD,INR,82\n", "nor up to"),
    (
        "date,from,to,rate\n2023-12-31,INR,USD,0.0125\n",
        "line 2: it says what one INR is worth in USD: give what one USD",
    ),
    ("date,from,to,rate\n2023-12-31,USD,INR,82\n2023-12-31,USD,INR,83\n", "line 3: another rate of USD was given for"),
    (
        "date,from,to,rate\n2023-12-31,USD,INR,82.0000000001\n",
        "line 2: rate 82.0000000001 has more than the nine decima",
    ),
    (
        f"date,from,to,rate\n2023-12-31,USD,INR,82.{'0' * 30}1\n",
        "has more than the nine decimals",
    ),
    ("date,from,to,rate\n2023-12-31,USD,INR,1e-999999999\n", "has more than the nine decimals"),
    (
        'date,from,to,rate,note\n2023-12-31,USD,INR,82,"a fixing\n2024-01-01,USD,INR,83,\n',
        "line 3: unexpected end of data: mend its quotes",
    ),
    (f"date,from,to,rate\n2023-12-31,USD,INR,{'9' * 200_000}\n", "line 2: field larger than field limit (131072)"),
    ("date,from,to,rate\n2023-12-31,USD,INR,-1\n", "line 2: rate -1 is not between 0 and"),
    ("date,from,to,rate\n2023-12-31,USD,INR,x\n", "line 2: rate 'x' is not a number such as 83.25"),
    ("date,from,to,rate\n31-12-2023,USD,INR,80\n", "line 2: date '31-12-2023': write YYYY-MM-DD"),
    ("ts,pair,rate\nsoon,USDINR,80\n", "line 2: ts 'soon': write 2024-01-02T15:30:00+05:30"),
    ("ts,pair,rate\n2023-12-31 10:00,USD-INR,80\n", "line 2: pair 'USD-INR': write USDINR or USD/INR"),
    ("date,from,to,rate\n2023-12-31,US$,INR,80\n", "line 2: from 'US$' to 'INR': write currencies"),
    ("date,rate\n2023-12-31,80\n", "its header is date, rate: write date,from,to,rate"),
    ("when,pair,rate\n2023-12-31,USDINR,80\n", "it needs either a column date or a column ts"),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_what_is_refused(home, call, text, words):
    Path(rates(home)).write_text(text)
    given = ("--fx", rates(home)) if text else ()
    said = call(home, "backtest", *HOLD, *CASH, *given)
    assert said.code == 2 and words in said.err.replace("\n", " ")
    assert not list((home / "runs").glob("*")), "nothing was begun"


def test_what_flags_are_refused(home, call, monkeypatch):
    for cash, words in (
        ("GBP:5", "cash in GBP: the run's currencies are INR, USD"),
        ("USD:5,USD:6", "--cash: USD is there twice"),
        ("100,USD:6", "write CURRENCY:AMOUNT"),
        ("USD:x", "--cash USD:x: must be an amount"),
    ):
        said = call(home, "backtest", *HOLD, "--cash", cash, "--fx", rates(home))
        assert said.code == 2 and words in said.err, said.err
    said = call(home, "backtest", *HOLD, "--currency", "rupees", "--fx", rates(home))
    assert said.code == 2 and "--currency rupees: write its letters, such as INR" in said.err
    said = call(home, "backtest", *HOLD, "--fx", str(home / "none.csv"))
    assert said.code == 2 and "no file of rates" in said.err
    monkeypatch.setenv("ONETAPE_ACCOUNT__PURSES", '["INR:5"]')
    said = call(home, "backtest", *HOLD, "--fx", rates(home))
    assert said.code == 2 and "account.purses: INR is the account's own currency" in said.err


def test_settings_say_the_same(home, good, monkeypatch):
    run = good(home, "backtest", *HOLD, *CASH, "--fx", rates(home))
    for name, value in (("CASH", "10000"), ("PURSES", '["USD:1000"]'), ("FX", rates(home)), ("CURRENCY", "INR")):
        monkeypatch.setenv(f"ONETAPE_ACCOUNT__{name}", value)
    assert good(home, "backtest", *HOLD)["tape_digest"] == run["tape_digest"]


def test_one_currency_is_as_it_was(home):
    """Nothing of this is in the configuration of a run with one."""
    request = Request((), symbols=("ACC",), fx="nowhere.csv")
    config = make_config(home, load_settings(), request, [], "BACKTEST")
    assert not {"currencies", "purses", "fx"} & set(config) and "currencies" not in config["rules"]
    assert make_config(home, load_settings(), replace(request, currency="INR", fx=None), [], "BACKTEST") == config


def test_a_backup_has_the_rates(home, good, tmp_path):
    run = good(home, "backtest", *HOLD, *CASH, "--fx", rates(home))
    good(home, "backup", str(tmp_path / "backups"))
    shutil.rmtree(home)
    good(home, "restore", str(tmp_path / "backups"))
    assert good(home, "replay", run["run_id"])["identical"]


def test_shown(home, good, call):
    good(home, "backtest", *HOLD, *CASH, "--fx", rates(home))
    shown = call(home, "tape", "show", "latest", "--kind", "FX_RATE,CASH_ADJUSTED,BALANCE").out
    assert "USD at 83.50 INR" in shown and "USD 1,000.00" in shown and "USD  cash 480.00" in shown
    found = good(home, "sql", "select currency, rate from fx_rate order by seq")
    assert [row["rate"] for row in found] == [int(px * SHARE) for px in (80, 81, 82, 83.5)]


def test_a_crash_before_the_first_bar_leaves_no_purse_empty(home):
    """RUN_STARTED is on the tape, and nothing after it: the account is told its cash and rates when it goes on."""
    request = Request((), cash=CASH[1], fx=rates(home))
    config = make_config(home, load_settings(), request, [], "PAPER")
    engine = make_engine(config, [], 64)
    at_once, cash = money_missed(home, config, engine.state, MIDNIGHT)
    assert told(at_once, FX_RATE, "currency", "rate") == [(1, 80 * SHARE)]
    assert told(cash, CASH_ADJUSTED, "code", "amount_money", "ts_event") == [(1, 10_000_000, MIDNIGHT)]
    engine.state.purses["rate"][1], engine.state.purses["paid_in"][1] = 81 * SHARE, 10_000_000
    known, paid = money_missed(home, config, engine.state, MIDNIGHT + DAY)
    assert len(known) == len(paid) == 0
