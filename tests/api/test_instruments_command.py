"""`onetape instruments` and `onetape universe`: what they print, and one sentence where something is wrong."""

import json
from pathlib import Path

import pytest

from tests.adapters.reference.make_sample import equity

SAMPLE = Path(__file__).parents[1] / "adapters" / "reference" / "upstox_sample.json.gz"


@pytest.fixture
def listed(tmp_path: Path, good) -> Path:
    """A home with the sample master of 2026-11-25."""
    report = good(tmp_path / "h", "instruments", "import", SAMPLE, "--date", "2026-11-25")
    assert report["written"] and len(report["added"]) == 10 and report["tests"] == 1
    return tmp_path / "h"


def symbols(rows: list[dict]) -> list[str]:
    return [row["symbol"] for row in rows]


def test_listing(listed, good, call):
    assert len(good(listed, "instruments")) == 10
    assert symbols(good(listed, "instruments", "*RELIANCE")) == ["RELIANCE", "BSE:RELIANCE"]
    assert symbols(good(listed, "instruments", "--kind", "INDEX")) == ["NIFTY", "BSE:SENSEX"]
    assert symbols(good(listed, "instruments", "--underlying", "NIFTY", "--kind", "FUTURE")) == ["NIFTY FUT 30 DEC 26"]
    assert symbols(good(listed, "instruments", "--expiry", "2027-01-28")) == ["RELIANCE 1407.5 CE 28 JAN 27"]
    assert symbols(good(listed, "instruments", "--segment", "NSE_FO", "--on", "2027-01-01")) == [
        "RELIANCE 1407.5 CE 28 JAN 27"
    ]
    said = call(listed, "instruments", "RELIANCE*")
    assert said.code == 0 and said.out.splitlines()[0].split()[:5] == ["number", "symbol", "kind", "segment", "tick"]
    assert "1407.5" in said.out and "no such instruments" in call(listed, "instruments", "X*").out


def test_a_lot_is_set_and_a_name_changed(listed, good, call):
    row = good(listed, "instruments", "set", "NIFTY FUT 30 DEC 26", "lot=75", "freeze=2700", "from=2026-12-01")
    assert row["lot"] == 75 and row["changes"] == [
        {"from": "", "lot": 65, "freeze": 1800}, {"from": "2026-12-01", "lot": 75, "freeze": 2700},
    ]  # fmt: skip
    assert good(listed, "instruments", "NIFTY FUT*", "--on", "2026-11-30")[0]["lot"] == 65
    said = call(listed, "instruments", "rename", "ZOMATO", "ETERNAL", "--from", "2026-12-01")
    assert said.out.splitlines()[1:] == [
        "  at first: ZOMATO, tick 0.01, lot 1, freeze 100000", "  2026-12-01: ETERNAL, tick 0.01, lot 1, freeze 100000",
    ]  # fmt: skip
    assert symbols(good(listed, "instruments", "ZOMATO")) == ["ETERNAL"]  # by any name it had
    assert symbols(good(listed, "instruments", "ZOMATO", "--on", "2026-11-30")) == ["ZOMATO"]
    assert good(listed, "instruments", "ZOMATO", "--on", "2026-12-01") == []
    assert good(listed, "instruments", "set", "ETERNAL", "listed=2021-07-23", "tick=0.05", "from=start")["tick"] == 500


def test_a_dry_run_and_what_a_master_left_out(listed, good, call):
    said = call(listed, "instruments", "import", SAMPLE, "--symbols", "ZOMATO", "--date", "2026-11-26", "--dry-run")
    assert said.out == "11 rows, 1 chosen\n1 unchanged, nothing written (--dry-run)\n"
    empty = listed.parent / "empty.json"
    empty.write_text(json.dumps([equity("TCS", "INE467B01029")]))
    said = call(listed, "instruments", "import", empty, "--segment", "NSE_EQ", "--date", "2026-11-26")
    assert "2 not in the file (--delist-missing says they are gone)\n  RELIANCE\n  ZOMATO\n" in said.out
    report = good(
        listed, "instruments", "import", empty, "--segment", "NSE_EQ", "--date", "2026-11-26", "--delist-missing"
    )
    assert report["missing"] == ["RELIANCE", "ZOMATO"] and report["delisted"]
    assert "2026-11-26" in call(listed, "instruments", "RELIANCE").out
    empty.write_text('[{"segment": "NSE_EQ"}]')
    said = call(listed, "instruments", "import", empty, "--date", "2026-11-27", "--dry-run")
    assert said.code == 2 and "row 1 without a name: exchange is missing" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["A", "B"], "one PATTERN at a time"),
        (["--dry-run"], "--dry-run is not of `onetape instruments list`"),
        (["import"], "name one file"),
        (["import", "none.json"], "no file none.json"),
        (["import", SAMPLE, "--on", "2026-01-01"], "--on is not of"),
        (["import", SAMPLE, "--date", "2026-11-24"], "a master of 2026-11-25 is in already"),
        (["rename", "RELIANCE"], "rename OLD NEW --from DATE"),
        (["rename", "RELIANCE", "RIL", "--from", "1 May"], "write YYYY-MM-DD"),
        (["rename", "RELIANCE", "ZOMATO", "--from", "2026-12-01"], "ZOMATO would mean two instruments"),
        (["set", "RELIANCE"], "a symbol and what changes"),
        (["set", "RELIANCE", "lot"], "write TERM=VALUE"),
        (["set", "RELIANCE", "lot=5"], "from=DATE says since when"),
        (["set", "RELIANCE", "from=2026-01-01"], "nothing to set"),
        (["set", "RELIANCE", "lot=x", "from=start"], "lot is 'x', which is no number"),
        (["set", "RELIANCE", "lot=nan", "from=start"], "which is no number"),
        (["set", "RELIANCE", "lot=0.5", "from=start"], "more decimals than RELIANCE can hold"),
        (["set", "RELIANCE", "lot=0", "from=start"], "lot is 0"),
        (["set", "RELIANCE", "lot=5", "from=May"], "write YYYY-MM-DD"),
        (["set", "RELIANCE", "colour=red"], "what can be set is"),
        (["set", "RELIANCE", "isin=INE1"], "isin is 'INE1'"),
        (["set", "NOBODY", "isin="], "no instrument 'NOBODY'"),
        (["--on", "yesterday"], "--on yesterday"),
    ],
)
def test_one_sentence(listed, call, arguments, words):
    before = (listed / "instruments" / "instruments.json").read_bytes()
    said = call(listed, "instruments", *arguments)
    assert said.code == 2 and said.out == "" and words in said.err and said.err.count("\n") == 1, said
    assert (listed / "instruments" / "instruments.json").read_bytes() == before


def test_a_universe(listed, good, call, tmp_path):
    (tmp_path / "mine.csv").write_text("RELIANCE,2015-01-01,\nZOMATO,2021-07-23,2025-12-31\n")
    assert "no universes yet" in call(listed, "universe", "ls").out
    said = call(listed, "universe", "import", tmp_path / "mine.csv", "--name", "two")
    assert said.out.startswith("universe two: 2 memberships of 2 instruments\nwarning: two looks like survivors only")
    [line] = good(listed, "universe", "ls")
    assert (line["universe"], line["instruments"], line["members"], line["first"]) == ("two", 2, 1, "2015-01-01")
    assert symbols(good(listed, "universe", "show", "two", "--on", "2025-12-31")["members"]) == ["RELIANCE", "ZOMATO"]
    shown = call(listed, "universe", "show", "two", "--years", "90")
    assert shown.out == "0 RELIANCE 2015-01-01\n1 ZOMATO 2021-07-23 2025-12-31\n"
    assert call(listed, "universe", "show", "three").code == 2
    assert "warning" in call(listed, "universe", "ls").out
    (tmp_path / "bad.csv").write_text("NOBODY,2015-01-01,\n")
    said = call(listed, "universe", "import", tmp_path / "bad.csv")
    assert said.code == 2 and "bad.csv:1: NOBODY on 2015-01-01: no instrument is called so" in said.err
