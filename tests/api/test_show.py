"""`onetape runs` and the read models of one run: a damaged folder hides no other, open positions have their value."""

import json

import pytest

from tests.api.running import TWO


def flip(path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    path.write_bytes(content)


@pytest.fixture
def runs(home, good):
    return [good(home, "backtest", *TWO[:2], "--symbols", symbol)["run_id"] for symbol in ("ACC", "TCS", "INFY")]


def test_a_damaged_run_hides_no_other(home, runs, call, good):
    good(home, "live", *TWO[:2], "--symbols", "ACC", "--feed", "replay:nse@max")
    flip(home / "runs" / runs[1] / "manifest.json")
    said = call(home, "runs")
    assert said.code == 65 and all(run in said.out for run in (*runs, "main-paper"))
    assert f"damaged: {home / 'runs' / runs[1] / 'manifest.json'}" in said.out
    said = call(home, "runs", "--json")
    assert said.code == 65
    assert [line["mode"] for line in said.json] == ["BACKTEST", "damaged", "BACKTEST", "PAPER"]
    assert "manifest.json" in said.json[1]["damaged"]
    said = call(home, "sql", "select run_id, mode from runs order by run_id", "--json", "--run", runs[0])
    assert said.code == 0 and [row["mode"] for row in said.json] == ["BACKTEST", "damaged", "BACKTEST", "PAPER"]


def test_verify_goes_on_after_damage(home, runs, call, good):
    for run in runs[:2]:
        flip(home / "runs" / run / "manifest.json")
    said = call(home, "verify")
    assert said.code == 65 and said.err.startswith("onetape: 2 tapes are damaged; ")
    assert said.out.count("ok  ") == 2 and said.out.count(": damaged: ") == 2  # the market tape and the third run
    said = call(home, "verify", "--json")
    assert said.code == 65 and said.json["verified"] == 2 and len(said.json["damaged"]) == 2


def test_a_damaged_market_tape_hides_no_other(home, runs, call):
    flip(home / "tapes" / "market" / "nse" / "manifest.json")
    said = call(home, "verify")
    assert said.code == 65 and f"!!  {runs[0]}: damaged:" in said.out  # its bars cannot be told any more
    said = call(home, "runs", "--tapes")
    assert said.code == 65 and "damaged: " in said.out
    [line] = json.loads(call(home, "runs", "--tapes", "--json").out)
    assert line["tape"] == "nse" and "manifest.json" in line["damaged"]


def test_open_positions_of_a_backtest_have_their_value(home, good, call):
    """The bars are on the market tape, so the last prices come from the manifest."""
    run = good(home, "backtest", "--strategy", "buy_and_hold", "--symbols", "ACC,TCS")
    rows = call(home, "sql", "select symbol, qty, mark, unrealized from v_positions order by symbol", "--json").json
    last = "select symbol, last(close order by available) as close from bars group by symbol order by symbol"
    closes = {row["symbol"]: float(row["close"]) for row in call(home, "sql", last, "--json").json}
    assert [row["symbol"] for row in rows] == ["ACC", "TCS"]
    assert all(float(row["mark"]) == closes[row["symbol"]] for row in rows)
    opened = run["final_equity"] - 1_000_000 + float(run["fees"])
    assert sum(float(row["unrealized"]) for row in rows) == pytest.approx(opened, abs=1e-4)
