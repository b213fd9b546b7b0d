"""Charge schedules: every rule with dates and a source, bands at their edges, refusals that say how to mend, the rows."""

import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.reference.charges import DATA, OVERRIDES, load, load_file, overrides_of
from adapters.reference.charges_codes import OPEN, ChargeRow
from kernel.codes import Basis, Item, Product
from kernel.errors import ConfigError

FILE = DATA / "charges_india.toml"
TEXT = FILE.read_text()
INDIA = load()
NSE = ["NSE:EQUITY", "NSE:FUTURE", "NSE:OPTION"]
LONG = (date(2023, 4, 1), date(2026, 12, 31))
ZERO_STT = 'item = "STT"\nkind = "EQUITY"\nproduct = "INTRADAY"\nside = "BUY"\n'


def refusal(call, *arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(folder, old: str, new: str):
    """The shipped file with one place changed."""
    assert TEXT.count(old) >= 1, old
    file = folder / "charges.toml"
    file.write_text(TEXT.replace(old, new, 1))
    return file


def over(folder, text: str):
    file = folder / "over.toml"
    file.write_text(text)
    return file


def rows(item: Item, segment: str, first: date, last: date | None = None, plan: str = "zero", schedule=INDIA):
    return [row for row in schedule.rows([segment], plan, first, last or first) if row.item == item]


def rate(item: Item, segment: str, day: str, side: int = 0, plan: str = "zero", schedule=INDIA) -> int:
    """The one rate in percent times 1e7 that the rows of a day have."""
    found = [row for row in rows(item, segment, date.fromisoformat(day), None, plan, schedule) if row.basis != 3]
    assert len(found) <= 1
    assert not found or side in (0, found[0].side) or found[0].side == 0
    return found[0].rate if found else 0


def test_numbers_never_change():
    assert [item.name for item in Item] == ["BROKERAGE", "STT", "TRANSACTION", "IPFT", "SEBI", "STAMP", "GST", "DP"]
    assert [int(item) for item in Item] == list(range(8))
    assert {basis.name: int(basis) for basis in Basis} == {"VALUE": 0, "ORDER": 1, "ITEMS": 2, "EXERCISE": 3, "DAY": 4}
    assert ChargeRow._fields == (
        "item", "segment", "product", "side", "since", "until", "basis", "rate", "flat", "cap", "of", "round",
    )  # fmt: skip


def test_every_rule_cites_its_source_and_dates():
    document = tomllib.loads(TEXT)
    listed = [*document["rule"], *(rule for plan in document["plans"].values() for rule in plan["rule"])]
    assert len(listed) > 45
    for rule in listed:
        assert len(rule["source"]) >= 7 and rule["from"] >= date(2023, 4, 1), rule
        assert isinstance(rule["verified"], bool) and ("doubt" in rule) == (not rule["verified"]), rule
        assert re.search(r"\[(facts|page|recall)\]|by definition", rule["source"]), rule
    assert all(group["source"] for group in document["group"])
    assert any(not rule["verified"] for rule in listed)


@pytest.mark.parametrize(
    ("item", "segment", "edges"),
    [
        (Item.STT, "NSE:FUTURE", {"2023-04-01": 125_000, "2024-09-30": 125_000, "2024-10-01": 200_000, "2026-03-31": 200_000, "2026-04-01": 500_000}),
        (Item.STT, "BSE:OPTION:INDEX", {"2023-04-01": 625_000, "2024-09-30": 625_000, "2024-10-01": 1_000_000, "2026-03-31": 1_000_000, "2026-04-01": 1_500_000}),
        (Item.TRANSACTION, "NSE:EQUITY", {"2023-04-01": 32_500, "2024-03-31": 32_500, "2024-04-01": 32_200, "2024-09-30": 32_200, "2024-10-01": 29_700}),
        (Item.TRANSACTION, "NSE:FUTURE", {"2023-04-01": 19_000, "2024-03-31": 19_000, "2024-04-01": 18_800, "2024-09-30": 18_800, "2024-10-01": 17_300}),
        (Item.TRANSACTION, "NSE:OPTION", {"2023-04-01": 500_000, "2024-03-31": 500_000, "2024-04-01": 495_000, "2024-09-30": 495_000, "2024-10-01": 350_300}),
        (Item.TRANSACTION, "BSE:OPTION:INDEX", {"2023-10-31": 50_000, "2023-11-01": 375_000, "2024-05-12": 375_000, "2024-05-13": 495_000, "2024-09-30": 495_000, "2024-10-01": 325_000}),
        (Item.TRANSACTION, "BSE:OPTION:OTHER", {"2023-04-01": 50_000, "2026-04-01": 50_000}),
        (Item.TRANSACTION, "BSE:FUTURE", {"2023-04-01": 0, "2026-04-01": 0}),
        (Item.TRANSACTION, "BSE:EQUITY:MAIN", {"2023-04-01": 37_500, "2026-04-01": 37_500}),
        (Item.TRANSACTION, "BSE:EQUITY:X", {"2023-04-01": 1_000_000}),
        (Item.TRANSACTION, "BSE:EQUITY:SS", {"2023-04-01": 10_000_000}),
        (Item.IPFT, "NSE:OPTION", {"2023-04-01": 5_000}),
        (Item.IPFT, "NSE:EQUITY", {"2023-04-01": 1_000}),
        (Item.IPFT, "BSE:EQUITY:MAIN", {"2023-04-01": 0}),
        (Item.SEBI, "BSE:FUTURE", {"2023-04-01": 1_000}),
        (Item.STAMP, "NSE:FUTURE", {"2023-04-01": 20_000}),
        (Item.GST, "NSE:FUTURE", {"2023-04-01": 180_000_000}),
    ],
    ids=lambda value: getattr(value, "name", value if isinstance(value, str) else ""),
)  # fmt: skip
def test_bands_at_their_edges(item, segment, edges):
    assert {day: rate(item, segment, day) for day in edges} == edges


def test_exercise_is_charged_to_the_holder():
    for day, expected in ((date(2026, 3, 31), 1_250_000), (date(2026, 4, 1), 1_500_000)):
        found = [row for row in rows(Item.STT, "NSE:OPTION", day) if row.basis == Basis.EXERCISE]
        assert [(row.rate, row.side, row.product) for row in found] == [(expected, 1, 0)]


def test_rows_are_compact_and_in_whole_numbers():
    day = date(2026, 11, 23)
    found = INDIA.rows(["NSE:EQUITY"], "zero", day, day)
    since = int(datetime(2023, 4, 1, tzinfo=ZoneInfo("Asia/Kolkata")).timestamp()) * 10**9
    stt = [row for row in found if row.item == Item.STT]
    assert stt == [
        ChargeRow(1, 1, Product.INTRADAY, -1, since, OPEN, 0, 250_000, 0, 0, 0, 10_000),
        ChargeRow(1, 1, Product.DELIVERY, 0, since, OPEN, 0, 1_000_000, 0, 0, 0, 10_000),
    ]
    gst = [row for row in found if row.item == Item.GST]
    assert [(row.basis, row.rate, row.of, row.product, row.side, row.round) for row in gst] == [
        (Basis.ITEMS, 180_000_000, 0b10011101, 0, 0, 100)
    ]
    assert all(row.rate or row.flat for row in found) and all(type(value) is int for row in found for value in row)
    assert {row.item for row in found} == {1, 2, 3, 4, 5, 6}


def test_local_midnights_bound_a_rule():
    found = rows(Item.STT, "NSE:FUTURE", *LONG)
    assert [row.until for row in found[:-1]] == [row.since for row in found[1:]] and found[-1].until == OPEN
    starts = [datetime.fromtimestamp(row.since // 10**9, UTC) for row in found]
    assert [f"{start:%F %R}" for start in starts] == ["2023-03-31 18:30", "2024-09-30 18:30", "2026-03-31 18:30"]


def test_only_rules_of_the_days_asked_for():
    assert len(rows(Item.STT, "NSE:FUTURE", date(2024, 9, 30))) == 1
    assert len(rows(Item.STT, "NSE:FUTURE", date(2024, 9, 30), date(2024, 10, 1))) == 2
    assert {row.segment for row in INDIA.rows(NSE, "upstox", *LONG)} == {1, 2, 3}


def test_upstox_brokerage():
    day = date(2026, 11, 23)
    found = {
        (segment, row.product): (row.rate, row.flat, row.cap, row.basis)
        for segment in NSE
        for row in rows(Item.BROKERAGE, segment, day, plan="upstox")
    }
    assert found == {
        ("NSE:EQUITY", Product.INTRADAY): (1_000_000, 0, 200_000, Basis.ORDER),
        ("NSE:EQUITY", Product.DELIVERY): (0, 200_000, 0, Basis.ORDER),
        ("NSE:FUTURE", 0): (500_000, 0, 200_000, Basis.ORDER),
        ("NSE:OPTION", 0): (0, 200_000, 0, Basis.ORDER),
    }
    dp = rows(Item.DP, "NSE:EQUITY", day, plan="upstox")
    assert [(row.product, row.side, row.flat, row.basis) for row in dp] == [(Product.DELIVERY, -1, 200_000, Basis.DAY)]
    assert rows(Item.DP, "NSE:EQUITY", date(2024, 9, 30), plan="upstox")[0].flat == 185_000
    assert rows(Item.DP, "NSE:OPTION", day, plan="upstox") == rows(Item.DP, "NSE:EQUITY", day) == []


def test_every_side_product_and_day_has_one_rule_or_none():
    segments = [INDIA.segment(exchange, kind) for exchange, kind in product(INDIA.exchanges, INDIA.kinds)]
    for row, other in product(INDIA.rows(segments, "upstox", *LONG), repeat=2):
        same = row.item == other.item and row.segment == other.segment and (row.basis == 3) == (other.basis == 3)
        if row is not other and same and row.since < other.until and other.since < row.until:
            apart_by_product = row.product and other.product and row.product != other.product
            apart_by_side = row.side * other.side == -1
            assert apart_by_product or apart_by_side, (row, other)


def test_segments():
    assert INDIA.segment("NSE", "EQUITY") == "NSE:EQUITY"
    assert INDIA.segment("BSE", "EQUITY") == INDIA.segment("BSE", "EQUITY", "A") == "BSE:EQUITY:MAIN"
    assert INDIA.segment("BSE", "EQUITY", "XT") == INDIA.segment("BSE", "EQUITY", "Z") == "BSE:EQUITY:X"
    assert INDIA.segment("BSE", "OPTION") == INDIA.segment("BSE", "OPTION", "SENSEX") == "BSE:OPTION:INDEX"
    assert "did you mean NSE? Known are NSE, BSE" in refusal(INDIA.segment, "NYSE", "EQUITY")
    assert "did you mean OPTION?" in refusal(INDIA.segment, "NSE", "OPTIONS")
    assert 'no group of BSE EQUITY "QQ": known are MAIN, A' in refusal(INDIA.segment, "BSE", "EQUITY", "QQ")
    assert 'no group of NSE EQUITY "X": it has none' in refusal(INDIA.segment, "NSE", "EQUITY", "X")


def test_days_before_the_first_band_are_refused_by_name():
    assert INDIA.first_day("zero") == INDIA.first_day("upstox") == date(2023, 4, 1)
    text = refusal(INDIA.rows, NSE, "upstox", date(2023, 3, 31), date(2023, 4, 30))
    assert "the charges of 2023-03-31 are not known" in text and "begins on 2023-04-01" in text
    assert OVERRIDES in text and "upstox" in text
    assert refusal(INDIA.in_force, date(2023, 3, 31), "zero")


def test_unknown_words_of_a_question():
    assert 'no plan "upstx", did you mean upstox?' in refusal(INDIA.rows, NSE, "upstx", *LONG)
    assert 'no segment "NSE"' in refusal(INDIA.rows, ["NSE"], "zero", *LONG)
    assert 'no charge schedule "mars": known are india' in refusal(load, "mars")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('rate = "0.1"', 'rate = 0.1', r'rule 1 rate must be a plain number of percent in quotes such as "0.05", not 0.1$'),
        ('rate = "0.1"', 'rate = "-0.1"', r"rule 1 rate must be a plain number"),
        ('rate = "0.1"', 'rate = "1e-3"', r"rule 1 rate must be a plain number"),
        ('rate = "0.1"', 'rate = "0.00000001"', r"rule 1 rate 0.00000001 has more than 7 decimals"),
        ('rate = "0.1"', 'rate = "100.1"', r"rule 1 rate 100.1 is over 100 percent"),
        ('cap = "20"', 'cap = "20.00001"', r"plans.upstox rule 1 cap 20.00001 has more than 4 decimals"),
        ('cap = "20"', 'cap = "0"', r"plans.upstox rule 1 cap cannot be 0: leave it out"),
        ('item = "STT"', 'item = "SST"', r'rule 1 item "SST" is unknown, did you mean STT\? Known are BROKERAGE'),
        ('item = "STT"', 'item = "DP"', r"rule 1 item DP does not belong here: put it under \[\[plans.NAME.rule\]\]"),
        ('item = "DP"', 'item = "STT"', r"plans.zero rule 2 item STT does not belong here: put it under \[\[rule\]\]"),
        ('kind = "EQUITY"\nproduct', 'kind = "EQUITIES"\nproduct', r'rule 1 kind "EQUITIES" is unknown, did you mean EQUITY\?'),
        ('exchange = "NSE"\nkind = "EQUITY"\nfrom', 'exchange = "NES"\nkind = "EQUITY"\nfrom', r'rule 13 exchange "NES" is unknown, did you mean NSE\?'),
        ('product = "DELIVERY"', 'product = "MARGIN"', r'rule 1 product "MARGIN" is unknown: known are INTRADAY, DELIVERY'),
        ('kind = "EQUITY"\nproduct = "DELIVERY"', 'product = "DELIVERY"', r"rule 1 product FUTURE is charged alike for every product"),
        ('side = "SELL"', 'side = "sell"', r'rule 3 side "sell" is unknown'),
        ('basis = "VALUE"', 'basis = "TURNOVER"', r'rule 1 basis "TURNOVER" is unknown: known are VALUE, ORDER'),
        ('basis = "VALUE"', 'basis = "DAY"', r"rule 1 rate does not go with basis DAY, which takes flat"),
        ('basis = "VALUE"\nrate = "0.1"', 'basis = "VALUE"', r"rule 1 basis VALUE needs rate"),
        ('basis = "VALUE"', 'basis = "EXERCISE"', r'rule 1 basis EXERCISE is charged to the holder of an option: it needs kind = "OPTION"'),
        ('side = "SELL"\nfrom = 2024-10-01\nbasis = "DAY"', 'from = 2024-10-01\nbasis = "DAY"', r'plans.upstox rule 8 basis DAY is for what was sold: a charge on it needs side = "SELL"'),
        ('basis = "ORDER"', 'basis = "EXERCISE"', r"plans.zero rule 1 basis EXERCISE is known for STT only, not for BROKERAGE"),
        ('of = ["BROKERAGE", ', 'of = ["GST", ', r'of "GST" is unknown'),
        ('of = ["BROKERAGE", "TRANSACTION", "IPFT", "SEBI", "DP"]\n', "", r"of is missing: name the items"),
        ('item = "GST"', 'item = "GST"\nkind = "EQUITY"', r"kind must be left out with basis ITEMS"),
        ('group = "X"', 'group = "Y"', r'rule 23 group "Y" is unknown: known are MAIN, X, SS, SME'),
        ('from = 2023-04-01', 'from = "2023-04-01"', r'rule 1 from "2023-04-01" is no date: write YYYY-MM-DD without quotes'),
        ('to = 2024-09-30', 'to = 2022-09-30', r"rule 5 to 2022-09-30 is before from = 2023-04-01: `to` is the last day"),
        ('source = "[facts] upstox pricing page for', 'sauce = "[facts] upstox pricing page for', r"rule 1 sauce is an unknown key, did you mean source\?"),
        ('verified = true\n', '', r"rule 1 lacks verified"),
        ('verified = true', 'verified = "yes"', r'rule 1 verified must be true or false, not "yes"'),
        ('verified = true', 'verified = false', r"rule 1 verified is false, so add a `doubt`"),
        ('verified = true', 'verified = true\ndoubt = "x"', r"rule 1 doubt does not go with verified = true"),
        ('STT = "1"', 'STT = "0"', r'round STT cannot be "0"'),
        ('STT = "1" #', '#', r"round lacks STT"),
        ('zone = "Asia/Kolkata"', 'zone = "Asia/Kolkatta"', r"zone must be a time zone"),
        ('members = ["ST"]', 'members = ["Z"]', r"groups of BSE EQUITY: Z is in them twice"),
        ('default = true\n', '', r"groups of BSE EQUITY: one of them must say default = true, and only one"),
        ('zone =', 'tariff = 1\nzone =', r"tariff is an unknown key"),
        ('about = "no brokerage', '# about = "no brokerage', r"plans.zero lacks about"),
    ],
    ids=lambda value: value[:30].replace("\n", " "),
)  # fmt: skip
def test_errors_name_file_row_field_and_what_is_allowed(old, new, said, tmp_path):
    file = changed(tmp_path, old, new)
    text = refusal(load_file, "india", file)
    assert text.startswith(f"{file}:") and re.search(said, text), text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("to = 2024-09-30", "to = 2024-10-01", r"rule 6 from: STT of NSE FUTURE SELL has another rule on 2024-10-01, .*rule 5: let it end with to = 2024-09-30"),
        (ZERO_STT, ZERO_STT.replace('side = "BUY"\n', ""), r"rule 3 from: STT of NSE EQUITY INTRADAY SELL has another rule"),
        ('product = "DELIVERY"\n', "", r"rule 2 from: STT of NSE EQUITY INTRADAY BUY has another rule on 2023-04-01"),
        ('group = "X"\n', "", r"from: TRANSACTION of BSE EQUITY MAIN INTRADAY BUY has another rule"),
    ],
)  # fmt: skip
def test_overlaps_are_refused(old, new, said, tmp_path):
    text = refusal(load_file, "india", changed(tmp_path, old, new))
    assert re.search(said, text), text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("to = 2024-09-30", "to = 2024-09-20", r"no rule says STT of NSE FUTURE SELL from 2024-09-21 to 2024-09-30: add a rule, with rate = \"0\""),
        ('rate = "0.05"\nsource', 'to = 2026-12-31\nrate = "0.05"\nsource', r"no rule says STT of NSE FUTURE SELL from 2027-01-01 on"),
        ('group = "SS"\nfrom', 'group = "SS"\nside = "BUY"\nfrom', r"no rule says TRANSACTION of BSE EQUITY SS INTRADAY SELL: add"),
        ('kind = ["FUTURE", "OPTION"]\nfrom', 'kind = "FUTURE"\nfrom', r"no rule says DP of NSE OPTION BUY \(plan upstox\): add"),
        ('to = 2026-03-31\nbasis = "EXERCISE"', 'to = 2026-03-30\nbasis = "EXERCISE"', r"no rule says STT of NSE OPTION BUY on exercise from 2026-03-31 to 2026-03-31"),
    ],
)  # fmt: skip
def test_gaps_are_refused(old, new, said, tmp_path):
    text = refusal(load_file, "india", changed(tmp_path, old, new))
    assert re.search(said, text), text


def test_a_charge_of_nothing_must_be_said(tmp_path):
    block = next(
        part for part in TEXT.split("\n\n") if 'item = "TRANSACTION"\nexchange = "BSE"\nkind = "FUTURE"' in part
    )
    text = refusal(load_file, "india", changed(tmp_path, block, ""))
    assert 'no rule says TRANSACTION of BSE FUTURE BUY: add a rule, with rate = "0" if nothing is charged' in text


def test_a_file_that_is_no_charge_file(tmp_path):
    assert "cannot be read" in refusal(load, "india", tmp_path / "none.toml")
    assert "is not valid TOML" in refusal(load, "india", over(tmp_path, "[[rule"))
    assert "rule must be tables [[rule]]" in refusal(load, "india", over(tmp_path, "rule = 3"))
    assert "rule 1 must be a table" in refusal(load, "india", over(tmp_path, "rule = [3]"))
    assert "zone is an unknown key" in refusal(load, "india", over(tmp_path, 'zone = "UTC"'))


OWN_RATE = """
[[rule]]
item = "TRANSACTION"
exchange = "NSE"
kind = "EQUITY"
from = 2026-12-01
basis = "VALUE"
rate = "0.003"
source = "a circular"
verified = true
"""


def test_an_override_stands_over_the_shipped_rules(tmp_path):
    mine = load("india", over(tmp_path, OWN_RATE))
    day = date(2026, 11, 30)
    assert rate(Item.TRANSACTION, "NSE:EQUITY", str(day), schedule=mine) == 29_700
    assert rate(Item.TRANSACTION, "NSE:EQUITY", str(day + timedelta(days=1)), schedule=mine) == 30_000
    assert rate(Item.TRANSACTION, "NSE:FUTURE", "2026-12-01", schedule=mine) == 17_300
    found = rows(Item.TRANSACTION, "NSE:EQUITY", day, date(2026, 12, 2), schedule=mine)
    assert [row.until for row in found] == [found[1].since, OPEN]


def test_an_override_may_be_of_one_side_and_of_days_in_the_middle(tmp_path):
    text = OWN_RATE.replace("from = 2026-12-01", 'side = "SELL"\nfrom = 2025-01-01\nto = 2025-01-31')
    mine = load("india", over(tmp_path, text))
    found = rows(Item.TRANSACTION, "NSE:EQUITY", date(2024, 12, 31), date(2025, 2, 1), schedule=mine)
    assert sorted((row.side, row.rate) for row in found) == [(-1, 29_700), (-1, 29_700), (-1, 30_000), (1, 29_700)]


def test_a_plan_of_ones_own(tmp_path):
    text = """
    [plans.flat]
    about = "my broker"
    [[plans.flat.rule]]
    item = "BROKERAGE"
    from = 2025-01-01
    basis = "ORDER"
    flat = "5"
    rate = "0.01"
    cap = "15"
    source = "my contract"
    verified = true
    [[plans.flat.rule]]
    item = "DP"
    from = 2025-01-01
    basis = "DAY"
    flat = "0"
    source = "my contract"
    verified = true
    """
    mine = load("india", over(tmp_path, text))
    assert mine.first_day("flat") == date(2025, 1, 1) and mine.first_day("zero") == date(2023, 4, 1)
    found = rows(Item.BROKERAGE, "NSE:OPTION", date(2025, 1, 1), plan="flat", schedule=mine)
    assert [(row.rate, row.flat, row.cap) for row in found] == [(100_000, 50_000, 150_000)]
    assert "the charges of 2024-12-31" in refusal(mine.rows, NSE, "flat", date(2024, 12, 31), date(2025, 1, 5))


def test_the_example_of_the_manual_loads(tmp_path):
    page = (Path(__file__).parents[3] / "docs/charges.md").read_text()
    mine = load("india", over(tmp_path, re.findall(r"```toml\n(.*?)```", page, re.S)[0]))
    edges = {"2026-11-30": 29_700, "2026-12-01": 30_000, "2027-03-31": 30_000, "2027-04-01": 29_700}
    assert {day: rate(Item.TRANSACTION, "NSE:EQUITY", day, schedule=mine) for day in edges} == edges
    assert mine.plans["mine"] == "my broker" and mine.first_day("mine") == date(2025, 1, 1)
    for basis in Basis:
        assert f"| `{basis.name}` |" in page


def test_a_group_of_ones_own_needs_the_rules_it_lacks(tmp_path):
    group = '[[group]]\nname = "EXCLUSIVE"\nexchange = "BSE"\nkind = "EQUITY"\nmembers = []\nsource = "mine"\n'
    assert "no rule says TRANSACTION of BSE EQUITY EXCLUSIVE" in refusal(load, "india", over(tmp_path, group))
    rule = OWN_RATE.replace('"NSE"', '"BSE"\ngroup = "EXCLUSIVE"').replace("2026-12-01", "2023-04-01")
    mine = load("india", over(tmp_path, group + rule))
    assert rate(Item.TRANSACTION, "BSE:EQUITY:EXCLUSIVE", "2026-12-01", schedule=mine) == 30_000
    assert rate(Item.SEBI, "BSE:EQUITY:EXCLUSIVE", "2026-12-01", schedule=mine) == 1_000


def test_overrides_of_a_home(tmp_path):
    assert overrides_of(tmp_path) is None
    file = tmp_path / OVERRIDES
    file.parent.mkdir()
    file.write_text(OWN_RATE)
    assert overrides_of(tmp_path) == file
