"""The instrument table: what it refuses, terms by date, and one owner of a symbol at any date."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.market.instrument import FOREVER, Change, Instrument, InstrumentKind, fault_of
from adapters.market.instruments import Registry
from kernel.errors import ConfigError, NotFound, TapeCorrupt

OPTION = Instrument(
    -1, "NIFTY 25000 CE 30 DEC 26", 500, 65, kind=InstrumentKind.OPTION, exchange="NSE", segment="NSE_FO", freeze=1800,
    expiry="2026-12-30", strike=250_000_000, right="CALL", underlying="NIFTY", settlement="CASH", calendar="NSE_FO",
    broker_keys={"upstox": "NSE_FO|43650"},
)  # fmt: skip
FIRST = {"number": 0, "symbol": "A", "tick": 5, "lot": 1, "multiplier": 1, "currency": "INR", "tz": "Asia/Kolkata"}
DAYS = [(date(2024, 1, 1) + timedelta(days=k)).isoformat() for k in range(12)]
days = st.sampled_from(DAYS)
dated = st.sampled_from(["tick", "lot", "freeze"])


def table(tmp_path, *instruments: Instrument) -> Registry:
    registry = Registry.load(tmp_path)
    registry.add(instruments)
    return registry


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tick": 0}, "tick is 0"),
        ({"tick": 2**46}, "tick is"),
        ({"lot": 0}, "lot is 0"),
        ({"freeze": -1}, "freeze is -1"),
        ({"multiplier": 0}, "multiplier is 0"),
        ({"currency": "rupees"}, "currency is 'rupees'"),
        ({"currency": ""}, "currency is missing"),
        ({"exchange": "nse"}, "exchange is 'nse'"),
        ({"segment": "NSE EQ"}, "segment is 'NSE EQ'"),
        ({"isin": "INE002A0101"}, "isin is 'INE002A0101'"),
        ({"expiry": "2026-12-30"}, "expiry and underlying are those of futures"),
        ({"underlying": "NIFTY"}, "expiry and underlying are those of futures"),
        ({"strike": 1}, "strike and right are those of an option"),
        ({"kind": InstrumentKind.FUTURE}, "expiry is missing"),
        ({"kind": InstrumentKind.OPTION, "expiry": "2026-12-30"}, "strike and right are missing"),
        ({"kind": InstrumentKind.FUTURE, "expiry": "30-12-2026"}, "expiry is '30-12-2026'"),
        ({"kind": InstrumentKind.FUTURE, "expiry": "2026-12-30", "underlying": "A"}, "which is itself"),
        ({"right": "CE"}, "right is 'CE'"),
        ({"settlement": "cash"}, "settlement is 'cash'"),
        ({"price_decimals": 11}, "price_decimals is 11"),
        ({"qty_decimals": -1}, "qty_decimals is -1"),
        ({"broker_keys": {"upstox": ""}}, "broker_keys is"),
        ({"listed": "20240101"}, "listed is '20240101'"),
        ({"delisted": "2024-02-30"}, "delisted is '2024-02-30'"),
        ({"listed": "2024-01-02", "delisted": "2024-01-02"}, "gone already"),
        ({"changes": (Change("2024-01-01", lot=1),)}, "do not say what lot was at first"),
        ({"changes": (Change("", lot=2), Change("2024-01-01", lot=3))}, "end with lot 3, not 1"),
        ({"changes": (Change("2024-01-01", lot=1), Change("", lot=2))}, "not in order"),
        ({"changes": (Change("", lot=2), Change("soon", lot=1))}, "a change is from 'soon'"),
        ({"changes": (Change("", lot=0), Change("2024-01-01", lot=1))}, "lot is 0"),
        ({"changes": (Change("", symbol=""), Change("2024-01-01", symbol="A"))}, "on no day it trades"),
    ],
)
def test_what_cannot_be(tmp_path, fields, words):
    wrong = replace(Instrument(-1, "A", 5), **fields)
    assert words in fault_of(wrong)
    registry = table(tmp_path)
    with pytest.raises(ConfigError) as refused:
        registry.add([Instrument(-1, "B", 5), wrong])
    assert words in str(refused.value) and len(registry) == 0


def test_small_scales_and_an_option_fit(tmp_path):
    coin = Instrument(
        -1, "BTCUSDT", 1, 10_000, currency="USDT", kind=InstrumentKind.CURRENCY, price_decimals=8, qty_decimals=8
    )
    registry = table(tmp_path, coin, OPTION)
    registry.save()
    again = Registry.load(tmp_path)
    assert list(again) == list(registry) and again.find("BTCUSDT").price_decimals == 8
    option = again.find(OPTION.symbol)
    assert option.trades_on("2026-12-30") and not option.trades_on("2026-12-31")
    assert again.find(OPTION.symbol, on="2026-12-30") == option and again.find(OPTION.symbol, on="2026-12-31") is None
    with pytest.raises(ConfigError, match="price_decimals 8, and this import says 4"):
        again.check(Instrument(-1, "BTCUSDT", 1, 10_000, currency="USDT"))


def test_a_table_of_format_1(tmp_path):
    path = tmp_path / "instruments" / "instruments.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"format": 1, "instruments": [FIRST, {**FIRST, "number": 1, "symbol": "B"}]}))
    registry = Registry.load(tmp_path)
    assert list(registry) == [Instrument(0, "A", 5), Instrument(1, "B", 5)]
    registry.save()
    assert json.loads(path.read_text()) == {"format": 2, "instruments": [FIRST, {**FIRST, "number": 1, "symbol": "B"}]}
    assert list(Registry.load(tmp_path)) == list(registry)


@pytest.mark.parametrize(
    "document",
    [
        {"format": 3, "instruments": []},
        {"format": 2},
        {"format": 2, "instruments": {}, "imported": []},
        {"format": 2, "instruments": [], "imported": {"upstox": "yesterday"}},
        {"format": 1, "instruments": [{**FIRST, "isin": "INE002A01018"}]},
        {"format": 2, "instruments": [{**FIRST, "number": 1}]},
        {"format": 2, "instruments": [FIRST, {**FIRST, "number": 1}]},
        {"format": 2, "instruments": [{**FIRST, "colour": "red"}]},
        {"format": 2, "instruments": [{**FIRST, "kind": "SWAP"}]},
        {"format": 2, "instruments": [{**FIRST, "freeze": True}]},
        {"format": 2, "instruments": [{**FIRST, "listed": "once"}]},
        {"format": 2, "instruments": [{**FIRST, "broker_keys": {"upstox": 3}}]},
        {"format": 2, "instruments": [{**FIRST, "changes": [{"lot": 3}]}]},
        {"format": 2, "instruments": [{**FIRST, "changes": [{"from": "", "lot": "3"}]}]},
        {"format": 2, "instruments": [{**FIRST, "changes": [{"from": ""}]}]},
        {"format": 2, "instruments": [{**FIRST, "changes": [{"from": "", "isin": "x"}]}]},
        {"format": 2, "instruments": ["A"]},
        [],
    ],
)
def test_a_table_that_is_not_one(tmp_path, document):
    path = tmp_path / "instruments" / "instruments.json"
    path.parent.mkdir()
    path.write_text(json.dumps(document))
    with pytest.raises(TapeCorrupt, match=r"instruments\.json"):
        Registry.load(tmp_path)


def test_lots_are_revised(tmp_path):
    registry = table(tmp_path, Instrument(-1, "NIFTY", 500, 65))
    registry.change("NIFTY", "", lot=50)
    registry.change("NIFTY", "2024-11-20", lot=75)
    registry.change("NIFTY", "2025-12-30", lot=65, freeze=1800)
    registry.change("NIFTY", "2024-04-26", lot=25)
    one = registry.find("NIFTY")
    lots = [one.terms_at(day).lot for day in ("2010-01-01", "2024-04-26", "2024-11-19", "2024-11-20", "2026-01-01")]
    assert (
        lots == [50, 25, 25, 75, 65] and (one.lot, one.freeze) == (65, 1800) and one.terms_at("2025-12-29").freeze == 0
    )
    registry.check(Instrument(-1, "NIFTY", 500, 25))  # bars of that time say so
    with pytest.raises(ConfigError, match="lot 65, and this import says 40"):
        registry.check(Instrument(-1, "NIFTY", 500, 40))
    for start, terms, words in (
        ("2024-13-01", {"lot": 1}, "not a date"),
        ("", {"lot": 0}, "lot is 0"),
        ("", {"isin": ""}, "isin"),
    ):
        with pytest.raises(ConfigError, match=words):
            registry.change("NIFTY", start, **terms)
    with pytest.raises(NotFound):
        registry.change("NIFTI", "", lot=1)


def test_a_symbol_is_renamed_and_used_again(tmp_path):
    registry = table(tmp_path, Instrument(-1, "ZOMATO", 5))
    registry.rename("ZOMATO", "ETERNAL", "2025-04-09")
    number = registry.find("ETERNAL").number
    assert registry.find("ZOMATO").number == registry.find("ZOMATO", "2025-04-08").number == number
    assert registry.find("ZOMATO", "2025-04-09") is None and registry.find("ETERNAL", "2025-04-08") is None
    [known] = registry.add([Instrument(-1, "ZOMATO", 5)])  # a file of old bars
    assert (known.number, known.symbol) == (number, "ZOMATO") and registry[number].symbol == "ETERNAL"
    with pytest.raises(ConfigError, match="ETERNAL and ZOMATO are two names of instrument 0"):
        registry.add([Instrument(-1, "ZOMATO", 5), Instrument(-1, "ETERNAL", 5), Instrument(-1, "NEW", 5)])
    assert registry.find("NEW") is None
    [other] = registry.add([Instrument(-1, "ZOMATO", 100, listed="2026-01-01")])
    assert other.number == 1 and registry.find("ZOMATO") == other and registry.find("ZOMATO", "2025-12-31") is None
    assert registry.had(0, "ZOMATO") and registry.had(1, "ZOMATO") and not registry.had(1, "ETERNAL")
    assert [(o.number, o.start, o.end) for o in registry.owners("ZOMATO")] == [
        (0, "", "2025-04-09"),
        (1, "2026-01-01", FOREVER),
    ]
    with pytest.raises(ConfigError, match=r"ZOMATO would mean two instruments: 0 until .*, and 1 from 2025-01-01"):
        registry.edit([replace(other, listed="2025-01-01")])
    with pytest.raises(ConfigError, match="would mean two instruments"):
        registry.rename("ETERNAL", "ZOMATO", "2026-01-01")
    for old, new, day, trouble in (
        ("ZOMATO", "X", "2025-05-01", NotFound),
        ("NOBODY", "X", "2025-05-01", NotFound),
        ("ETERNAL", "ETERNAL", "2025-05-01", ConfigError),
        ("ZOMATO", "X", "2026-01-01", ConfigError),  # its first day: never called so
        ("ETERNAL", "X", "then", ConfigError),
    ):
        with pytest.raises(trouble):
            registry.rename(old, new, day)
    registry.save()
    assert list(Registry.load(tmp_path)) == list(registry)


def test_two_swap_their_symbols(tmp_path):
    registry = table(tmp_path, Instrument(-1, "A", 5), Instrument(-1, "B", 5))
    registry.edit([registry[0].changed("2024-01-05", symbol="B"), registry[1].changed("2024-01-05", symbol="A")])
    assert [registry.find(s, d).number for d in DAYS[3:5] for s in "AB"] == [0, 1, 1, 0]


def test_a_brokers_key_is_used_again(tmp_path):
    later = replace(
        OPTION, symbol="NIFTY 26000 CE 28 JAN 27", strike=260_000_000, expiry="2027-01-28", listed="2026-12-31"
    )
    registry = table(tmp_path, OPTION, later)
    keys = [
        registry.find_key("upstox", "NSE_FO|43650", day) for day in ("2026-12-30", "2026-12-31", "2027-01-29", None)
    ]
    assert [one and one.expiry for one in keys] == ["2026-12-30", "2027-01-28", None, "2027-01-28"]
    assert registry.find_key("upstox", "NSE_FO|1") is None and registry.find_key("other", "NSE_FO|43650") is None


@given(st.lists(st.tuples(dated, st.sampled_from(["", *DAYS]), st.integers(1, 4)), max_size=12))
def test_terms_are_those_of_the_last_change_before(edits):
    one = Instrument(0, "A", 1, 1, freeze=1)
    model = {name: {"": 1} for name in ("tick", "lot", "freeze")}
    for name, start, value in edits:
        one = one.changed(start, **{name: value})
        model[name][start] = value
    assert fault_of(one) == ""
    for day in ("2000-01-01", *DAYS, "2100-01-01"):
        expected = {name: line[max(d for d in line if d <= day)] for name, line in model.items()}
        assert one.terms_at(day)._asdict() == {"symbol": "A", **expected}
    assert all(getattr(one, name) == line[max(line)] for name, line in model.items())


moves = st.one_of(
    st.tuples(st.just("add"), st.sampled_from("ABC"), st.sampled_from(["", *DAYS])),
    st.tuples(st.just("rename"), st.sampled_from("ABC"), st.sampled_from("ABC"), days),
    st.tuples(st.just("change"), st.sampled_from("ABC"), days, st.integers(1, 3)),
    st.tuples(st.just("delist"), st.sampled_from("ABC"), days),
)


@given(moves=st.lists(moves, max_size=14))
def test_no_two_own_a_symbol_at_one_date(moves, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    registry = Registry.load(home)
    for move, symbol, *rest in moves:
        before = list(registry)
        try:
            if move == "add":
                registry.edit((), [Instrument(-1, symbol, 5, listed=rest[0])])
            elif move == "rename":
                registry.rename(symbol, *rest)
            elif move == "change":
                registry.change(symbol, rest[0], lot=rest[1])
            elif (known := registry.find(symbol)) is not None:
                registry.edit([replace(known, delisted=rest[0])])
        except (ConfigError, NotFound):
            assert list(registry) == before
    for day in DAYS:
        for symbol in "ABC":
            owners = [one for one in registry if one.trades_on(day) and one.terms_at(day).symbol == symbol]
            assert len(owners) <= 1
            assert registry.find(symbol, day) == (owners[0] if owners else None)
    for one in registry:
        assert registry[one.number] is one and registry.had(one.number, one.symbol)
    registry.save()
    again = Registry.load(home)
    assert list(again) == list(registry)
    assert all(again.owners(symbol) == registry.owners(symbol) for symbol in "ABC")
