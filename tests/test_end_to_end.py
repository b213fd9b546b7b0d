"""The user's whole sentence on real data: import, backtest, replay, paper, and back. Skipped where the data is not."""

import json
import os
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from api.cli import main

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("ONETAPE_SHARED_DATA") or ROOT.parent / "shared" / "data")
US = ("--tz", "America/New_York", "--currency", "USD")
SETS = {  # how to import it, and the part that paper trades on (the five-stock set is the sample)
    "us_daily_raw_11sym_lean": ([*US, "--tick", "0.0001", "--session-close", "16:00"], ["--to", "1998-08-31"]),
    "us_equity_1m_trade_quote_2013-10": (
        [*US, "--tick", "auto", "--span", "1m"],
        ["--symbols", "IBM", "--to", "2013-10-07"],
    ),
    "nse_1m_lean_2019": (["--tick", "0.0001"], ["--to", "2019-01-01"]),
    "nse_daily_bhav_nifty50_fastbt": (["--tick", "auto", "--sort"], []),
    "nse_nifty_index_daily_fastbt": (["--tick", "0.0001"], ["--to", "2011-12-31"]),
}


@pytest.fixture
def say(tmp_path, capsys, monkeypatch):
    """A command's JSON; it must succeed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONETAPE_HOME", raising=False)

    def said(*arguments):
        capsys.readouterr()
        code = main(["--home", str(tmp_path / "home"), *map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        assert code == 0, err + out
        return json.loads(out)

    return said


def whole_sentence(say, part: list[str]) -> dict:
    """Backtest and replay of all; paper, its replay, verify and SQL of a part. Returns the backtest's figures."""
    common = ("--strategy", "ema_cross,fast=3,slow=8,quantity=5", "--cash", "10000000")
    run = say("backtest", *common)
    assert run["bars"] > 1_000 and run["fills"] > 10
    again = say("replay", run["run_id"])
    assert again["identical"] and again["tape_digest"] == run["tape_digest"]
    short = say("backtest", *common, *part)
    paper = say("live", *common, *part, "--feed", "replay:all@max")
    assert (paper["decision_digest"], paper["state_digest"]) == (short["decision_digest"], short["state_digest"])
    assert say("replay", "main-paper")["identical"]
    assert say("verify")["verified"] == 4
    assert say("sql", "select count(*) n from fills", "--run", run["run_id"])[0]["n"] == run["fills"]
    return run


def test_the_sample_that_comes_along(say, load):
    report = say("import", "--sample")
    assert (report["new"], report["splits"]) == (12_154, 3)
    run = whole_sentence(say, ["--to", "2000-12-31"])
    assert run["bars"] == 12_154
    assert say("import", "--sample")["new"] == 0


@pytest.mark.parametrize("name", SETS)
def test_shared_data(say, load, tmp_path, name):
    file, (how, part) = DATA / f"{name}.parquet", SETS[name]
    if not file.is_file():
        pytest.skip(f"{file} is not there (ONETAPE_SHARED_DATA names its folder)")
    if "trade_quote" in name or "bhav" in name:
        table = pq.read_table(file)
        if "trade_quote" in name:  # minutes with quotes alone have no bar of trades
            table = table.filter(pc.is_valid(table.column("open")))
        else:  # as it comes, its days are in no order, which an import refuses
            table = table.sort_by([("date", "ascending"), ("symbol", "ascending")])
        file = tmp_path / file.name
        pq.write_table(table, file)
    report = say("import", file, *how)
    assert report["new"] > 1_000 and not report["files"][0]["refused"]
    whole_sentence(say, part)
    assert say("import", file, *how)["new"] == 0
