"""`onetape sql`: the figures of a run, asked in SQL, as text, CSV and JSON."""

import csv
import io

import pytest

from tests.api.conftest import SYMBOLS
from tests.api.running import TWO


@pytest.fixture
def run(home, good):
    return good(home, "backtest", *TWO)


def test_figures_agree_with_the_run(home, run, good):
    def one(query: str):
        [row] = good(home, "sql", query)
        [value] = row.values()
        return value

    assert one("select count(*) n from fills") == run["fills"]
    assert one("select count(*) n from orders") == run["orders"]
    assert one("select count(*) n from bars") == run["bars"]
    assert one("select sum(fee)::bigint f from fills") == round(run["fees"] * 10_000)
    assert one("select last(equity order by seq) e from equity") == round(run["final_equity"] * 10_000)
    assert one("select string_agg(distinct symbol, ',' order by symbol) s from fills") == ",".join(sorted(SYMBOLS))
    assert one("select run_id from runs") == run["run_id"]


def test_csv_json_and_text(home, run, call):
    query = "select symbol, count(*) as n from fills group by 1 order by 1"
    as_json = call(home, "sql", query, "--json").json
    as_csv = list(csv.DictReader(io.StringIO(call(home, "sql", query, "--csv").out)))
    assert [(r["symbol"], str(r["n"])) for r in as_json] == [(r["symbol"], r["n"]) for r in as_csv]
    assert len(as_json) == len(SYMBOLS)
    text = call(home, "sql", query)
    assert text.code == 0 and all(symbol in text.out for symbol in SYMBOLS)


def test_which_run(home, run, good):
    other = good(home, "backtest", *TWO[:2], "--symbols", "ACC")
    query = "select count(*) n from fills"
    assert good(home, "sql", query)[0]["n"] == other["fills"]
    assert good(home, "sql", query, "--run", run["run_id"])[0]["n"] == run["fills"]
    paper = good(home, "live", *TWO[:2], "--symbols", "ACC", "--feed", "replay:nse@max")
    assert good(home, "sql", query, "--run", "main-paper")[0]["n"] == paper["fills"] == other["fills"]


def test_questions_that_are_none(home, run, call):
    for query, word in (("selec 1", "selec"), ("select x from fills", "x"), ("select * from nothing", "nothing")):
        said = call(home, "sql", query)
        assert said.code == 2 and said.err.startswith("onetape: sql: ") and word in said.err and said.out == ""


def test_without_a_run(home, call, good):
    assert good(home, "sql", "select count(*) n from bars")[0]["n"] > 1_000
    assert call(home, "sql", "select * from fills").code == 2
