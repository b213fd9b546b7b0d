"""`onetape charges`: what it lists, and what it says to a wrong question."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from adapters.reference.charges import OVERRIDES
from api.cli import main


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        code = main(["--home", str(tmp_path), "charges", *words])
        return code, *capsys.readouterr()

    return call


def test_rules_of_a_day_as_text(ask):
    code, out, _ = ask("--on", "2026-04-01", "--exchange", "NSE", "--kind", "FUTURE", "--plan", "upstox")
    lines = out.splitlines()
    assert code == 0 and lines[0] == "# india on 2026-04-01, plan upstox: Upstox: up to Rs 20 per executed order"
    assert "BROKERAGE   NSE FUTURE: 0.05 % per executed order, at most Rs 20  [2023-04-01..]  " in lines[1]
    assert any(line.startswith("STT         NSE FUTURE SELL: 0.05 % of the value  [2026-04-01..]  ") for line in lines)
    assert any(line.startswith("STT         NSE FUTURE BUY: nothing  ") for line in lines)
    assert any(line.startswith("GST         NSE FUTURE: 18 % of BROKERAGE, TRANSACTION, IPFT") for line in lines)
    assert "    unverified: on IPFT:" in out and "OPTION" not in out and "BSE" not in out


def test_rules_of_a_day_as_json(ask):
    code, out, _ = ask("--on", "2024-09-30", "--kind", "EQUITY", "--plan", "upstox", "--json")
    found = json.loads(out)
    assert code == 0 and (found["on"], found["plan"], found["schedule"]) == ("2024-09-30", "upstox", "india")
    dp = next(rule for rule in found["rules"] if rule["item"] == "DP" and rule["flat"])
    assert (dp["flat"], dp["from"], dp["to"], dp["verified"]) == (18.5, "2023-04-01", "2024-09-30", False)
    assert dp["doubt"] and (dp["product"], dp["side"], dp["basis"]) == (["DELIVERY"], ["SELL"], "DAY")
    assert '"rate": 0.00322' in out
    assert [rule["group"] for rule in found["rules"] if rule["item"] == "TRANSACTION"] == [
        [], ["MAIN"], ["X"], ["SS"], ["SME"],
    ]  # fmt: skip


def test_today_and_no_broker_by_default(ask):
    today = datetime.now(ZoneInfo("Asia/Kolkata")).date()
    code, out, _ = ask()
    assert code == 0 and out.startswith(f"# india on {today}, plan zero:")
    assert "BROKERAGE   NSE,BSE EQUITY,FUTURE,OPTION: nothing" in out


def test_the_homes_own_rules_are_shown(ask, tmp_path):
    file = tmp_path / OVERRIDES
    file.parent.mkdir()
    file.write_text(
        '[[rule]]\nitem = "SEBI"\nexchange = "NSE"\nfrom = 2026-12-01\nbasis = "VALUE"\nrate = "0.0002"\n'
        'source = "a circular"\nverified = false\ndoubt = "a draft"\n'
    )
    _, out, _ = ask("--on", "2026-12-01")
    assert (
        "SEBI        NSE EQUITY,FUTURE,OPTION: 0.0002 % of the value  [2026-12-01..]  a circular\n    unverified: a draft"
        in out
    )
    assert "SEBI        BSE EQUITY,FUTURE,OPTION: 0.0001 % of the value  [2023-04-01..]" in out
    _, out, _ = ask("--on", "2026-11-30")
    assert "SEBI        NSE EQUITY,FUTURE,OPTION: 0.0001 % of the value  [2023-04-01..2026-11-30]" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--on", "2023-03-31"], "the charges of 2023-03-31 are not known"),
        (["--on", "1 May"], '--on "1 May" is no date: write YYYY-MM-DD'),
        (["--plan", "upstok"], 'no plan "upstok", did you mean upstox?'),
        (["--exchange", "NYSE"], 'no exchange "NYSE"'),
        (["--kind", "equity"], 'no kind "equity": known are EQUITY, FUTURE, OPTION'),
    ],
)
def test_wrong_questions(ask, words, said):
    code, out, error = ask(*words)
    assert (code, out) == (2, "") and said in error and len(error.splitlines()) == 1
