"""The Upstox master: exact rows or none, and what changed since the last one."""

import gzip
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.market.instrument import Instrument, InstrumentKind
from adapters.market.instruments import Registry
from adapters.reference import json_rows as reading
from adapters.reference.json_rows import json_rows
from adapters.reference.master_import import MasterReport, import_master
from adapters.reference.upstox_master import Choice, read_master, to_instrument
from kernel.errors import ConfigError, ImportRefused, NotFound
from tests.adapters.reference.make_sample import DECEMBER, contract, equity, index, rows

SAMPLE = Path(__file__).parent / "upstox_sample.json"
DAY, NEXT, LATER = "2026-11-25", "2026-11-26", "2026-12-10"


def bring(home: Path, listed: list[dict] | Path, day: str = DAY, choice: Choice | None = None, **how) -> MasterReport:
    path = listed
    if not isinstance(listed, Path):
        path = home.parent / "master.json"
        path.write_text(json.dumps(listed))
    return import_master(home, path, choice or Choice(), day, **how)


def as_read(row: dict) -> dict:
    """A row as the reader gives it: numbers with a point are exact."""
    return json.loads(json.dumps(row), parse_float=Decimal)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the sample of DAY."""
    bring(tmp_path / "home", SAMPLE)
    return tmp_path / "home"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_sample(tmp_path, suffix):
    report = bring(tmp_path / "home", SAMPLE.with_name(SAMPLE.name + suffix))
    assert (report.rows, report.chosen, report.tests, report.bad, report.written) == (11, 10, 1, [], True)
    registry = Registry.load(tmp_path / "home")
    assert [one.symbol for one in registry] == report.added and len(report.added) == 10
    assert registry.find("RELIANCE") == Instrument(
        0, "RELIANCE", 1_000, exchange="NSE", segment="NSE_EQ", isin="INE002A01018", freeze=100_000, calendar="NSE_EQ_CAS",
        broker_keys={"upstox": "NSE_EQ|INE002A01018"},
    )  # fmt: skip
    assert registry.find("BSE:RELIANCE").segment == "BSE_EQ"
    nifty = registry.find("NIFTY")
    assert (nifty.kind, nifty.tick, nifty.lot, nifty.calendar) == (InstrumentKind.INDEX, 100, 1, "NSE_EQ")
    put = registry.find("NIFTY 25000 PE 30 DEC 26")
    assert (put.kind, put.right, put.strike, put.expiry) == (InstrumentKind.OPTION, "PUT", 250_000_000, "2026-12-30")
    assert (put.tick, put.lot, put.freeze, put.underlying, put.settlement) == (500, 65, 1800, "NIFTY", "CASH")
    call = registry.find("RELIANCE 1407.5 CE 28 JAN 27")
    assert (call.strike, call.expiry, call.settlement) == (14_075_000, "2027-01-28", "PHYSICAL")
    future = registry.find("USDINR FUT 29 DEC 26")
    assert (future.tick, future.multiplier, future.kind, future.calendar) == (25, 1000, InstrumentKind.FUTURE, "")
    assert registry.find_key("upstox", "NSE_FO|43651") == put


def test_the_committed_samples_are_made_by_the_code():
    assert (
        json.loads(SAMPLE.read_text())
        == json.loads(gzip.decompress(SAMPLE.with_suffix(".json.gz").read_bytes()))
        == rows()
    )


@pytest.mark.parametrize(
    ("choice", "count"),
    [
        (Choice(segments=["NSE_EQ"]), 2),
        (Choice(segments=["NSE_EQ", "NSE_INDEX"]), 3),
        (Choice(symbols=["RELIANCE"]), 2),  # of both exchanges
        (Choice(symbols=["BSE:RELIANCE", "SENSEX"]), 2),
        (Choice(underlyings=["NIFTY"]), 3),
        (Choice(segments=["NSE_FO"], underlyings=["RELIANCE", "NIFTY"], symbols=["NIFTY FUT 30 DEC 26"]), 1),
        (Choice(segments=["MCX_FO"]), 0),
    ],
)
def test_rows_are_chosen(choice, count):
    assert len(read_master(SAMPLE, choice).rows) == count


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tick_size": 5.003}, "tick_size is 5.003, which is no multiple of 0.01"),
        ({"tick_size": 0}, "tick is 0"),
        ({"tick_size": None}, "tick_size is missing"),
        ({"tick_size": "5"}, "which is no number"),
        ({"tick_size": True}, "which is no number"),
        ({"tick_size": 1e300}, "beyond what we hold"),
        ({"lot_size": 1.5}, "no multiple of 1"),
        ({"lot_size": 0}, "lot is 0"),
        ({"freeze_quantity": -5}, "freeze is -5"),
        ({"isin": "INE002"}, "isin is 'INE002'"),
        ({"isin": 7}, "which is no plain text"),
        ({"segment": "NSE_XX"}, "is nothing we know"),
        ({"instrument_type": "CE"}, "is nothing we know"),
        ({"instrument_key": "BSE_EQ|INE002A01018"}, "begins with the segment"),
        ({"instrument_key": None}, "instrument_key is missing"),
        ({"trading_symbol": "A,B"}, "holds no comma"),
        ({"trading_symbol": "A\nB"}, "no plain text"),
        ({"trading_symbol": " A"}, "no plain text"),
        ({"qty_multiplier": 0.5}, "no multiple of 1"),
    ],
)
def test_rows_that_do_not_fit(tmp_path, change, words):
    listed = [equity("GOOD", "INE758T01015"), equity("RELIANCE", "INE002A01018") | change]
    with pytest.raises(ImportRefused, match="1 of the chosen rows do not fit, so nothing was imported") as refused:
        bring(tmp_path / "home", listed)
    assert "row 2 " in str(refused.value) and words in str(refused.value)
    assert not Registry.load(tmp_path / "home")
    report = bring(tmp_path / "home", listed, skip_bad=True)
    assert report.added == ["GOOD"] and [bad.row for bad in report.bad] == [2]
    assert bring(tmp_path / "home", listed, NEXT, Choice(segments=["BSE_EQ"])).bad == []  # not chosen, not looked at


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expiry": None}, "expiry is missing"),
        ({"expiry": 1_798_655_399}, "no time in ms of this century"),
        ({"expiry": "2026-12-30"}, "no time in ms"),
        ({"strike_price": 0.0}, "strike and right are missing"),
        ({"strike_price": 0.00001}, "no multiple of 0.0001"),
        ({"expiry": 1_700_000_000_000}, "expired on 2023-11-15: the file is older than"),
        ({"underlying_symbol": "NIFTY 25000 CE 30 DEC 26"}, "which is itself"),
    ],
)
def test_contracts_that_do_not_fit(tmp_path, change, words):
    with pytest.raises(ImportRefused) as refused:
        bring(tmp_path / "home", [contract("NIFTY 25000 CE 30 DEC 26", 1, "CE", strike=25000.0) | change])
    assert words in str(refused.value)


def test_rows_that_are_no_rows(tmp_path):
    twice = equity("A", "INE002A01018")
    report = bring(
        tmp_path / "home", [3, None, {}, twice, twice, twice | {"instrument_key": "NSE_EQ|X"}], skip_bad=True
    )
    assert [bad.row for bad in report.bad] == [1, 2, 3, 5, 6] and report.added == ["A"]
    assert "is that of row 4, too" in str(report.bad[-1]) and "without a name" in str(report.bad[0])


def test_the_last_evening_of_a_day_in_india_is_that_day():
    for ms, day in ((DECEMBER, "2026-12-30"), (DECEMBER + 1_000, "2026-12-31"), (DECEMBER - 86_399_000, "2026-12-30")):
        assert to_instrument(as_read(contract("NIFTY FUT", 1, "FUT", ms))).expiry == day


@given(st.integers(1, 10**7))
def test_paise_become_units_exactly(hundredths):
    assert to_instrument(as_read(equity("A", "INE002A01018", tick_size=hundredths / 100))).tick == hundredths


# Again ----------------------------------------------------------------------------------------------------------------


def test_the_same_again_adds_nothing(home):
    path = Registry.load(home).path
    before = path.read_bytes()
    report = bring(home, SAMPLE)
    assert (report.unchanged, report.added, report.changes, report.missing, report.written) == (10, [], [], [], False)
    assert path.read_bytes() == before
    assert bring(home, SAMPLE, NEXT).written  # that day is noted


def test_terms_and_names_change_from_the_day(home):
    listed = rows()
    listed[0] |= {"tick_size": 5.0}
    listed[1] |= {"trading_symbol": "ETERNAL"}
    listed[6] |= {"lot_size": 75, "freeze_quantity": 2700.0}
    dry = bring(home, listed, LATER, dry_run=True)
    assert not dry.written and Registry.load(home).find("ETERNAL") is None
    report = bring(home, listed, LATER)
    assert report.changes == dry.changes == [
        "RELIANCE: tick 0.1 -> 0.05", "ZOMATO: symbol ZOMATO -> ETERNAL",
        "NIFTY FUT 30 DEC 26: lot 65 -> 75", "NIFTY FUT 30 DEC 26: freeze 1800 -> 2700",
    ]  # fmt: skip
    registry = Registry.load(home)
    assert registry.find("ZOMATO", "2026-12-09") == registry.find("ETERNAL", LATER) == registry[1]
    future = registry.find("NIFTY FUT 30 DEC 26")
    assert [future.terms_at(day)[2:] for day in ("2026-12-09", LATER)] == [(65, 1800), (75, 2700)]
    assert bring(home, listed, LATER).unchanged == 10
    with pytest.raises(ConfigError, match="a master of 2026-12-10 is in already"):
        bring(home, rows(), NEXT)


def test_two_swap_their_symbols(home):
    listed = rows()
    listed[0], listed[1] = listed[0] | {"trading_symbol": "ZOMATO"}, listed[1] | {"trading_symbol": "RELIANCE"}
    assert len(bring(home, listed, LATER).changes) == 2
    registry = Registry.load(home)
    assert [registry.find(s, d).number for d in (DAY, LATER) for s in ("RELIANCE", "ZOMATO")] == [0, 1, 1, 0]


def test_a_symbol_that_went_to_another_company(home):
    listed = [*rows(), equity("ZOMATO", "INE009A01021")]
    listed[1] = listed[1] | {"trading_symbol": "ETERNAL"}
    assert bring(home, listed, LATER).added == ["ZOMATO"]
    registry = Registry.load(home)
    assert registry.find("ZOMATO", DAY).number == 1 and registry.find("ZOMATO", LATER).number == 10
    assert registry[10].listed == LATER


def test_a_new_isin(home):
    split = equity("ZOMATO", "INE758T01023", tick_size=1.0)  # the issuer's next serial
    report = bring(home, [split], NEXT, Choice(symbols=["ZOMATO"]))
    assert report.described == ["ZOMATO: isin, broker_keys"] and report.added == [] and report.missing == []
    other = equity("ZOMATO", "INE009A01021", tick_size=1.0)
    with pytest.raises(ImportRefused, match="where that is another company"):
        bring(home, [other], NEXT, Choice(symbols=["ZOMATO"]))


def test_missing_rows_are_said_and_delisted_when_asked(home):
    listed = [row for row in rows() if row["trading_symbol"] not in ("ZOMATO", "NIFTY 25000 PE 30 DEC 26")]
    assert bring(home, listed, NEXT, Choice(segments=["NSE_EQ"])).missing == ["ZOMATO"]
    assert Registry.load(home).find("ZOMATO", LATER) is not None
    report = bring(home, listed, NEXT, delist_missing=True)
    assert report.missing == ["ZOMATO", "NIFTY 25000 PE 30 DEC 26"] and report.delisted
    registry = Registry.load(home)
    assert registry.find("ZOMATO").delisted == NEXT and registry.find("ZOMATO", NEXT) is None
    assert bring(home, listed, LATER).missing == []
    with pytest.raises(ImportRefused, match="it was delisted on 2026-11-26 here"):
        bring(home, rows(), LATER, Choice(symbols=["ZOMATO"]))
    left = bring(home, listed[6:9], "2027-01-29", Choice(underlyings=["NIFTY"]), skip_bad=True)
    assert left.missing == [] and len(left.bad) == 1  # expired, not missing


def test_a_file_of_one_exchange_says_nothing_of_others(home):
    report = bring(home, [equity("RELIANCE", "INE002A01018", tick_size=10)], NEXT, delist_missing=True)
    assert report.missing == ["ZOMATO"] and Registry.load(home).find("BSE:RELIANCE", LATER) is not None


def test_a_bad_row_is_not_a_missing_one(home):
    listed = rows()
    listed[0] = listed[0] | {"tick_size": 0.001}
    report = bring(home, listed, NEXT, skip_bad=True, delist_missing=True)
    assert report.missing == [] and Registry.load(home).find("RELIANCE", LATER) is not None


def test_a_new_name_that_another_still_has(home):
    listed = [equity("ZOMATO", "INE002A01018", tick_size=10)]
    with pytest.raises(ImportRefused, match="still that of instrument 1"):
        bring(home, listed, NEXT, Choice(segments=["NSE_EQ"]))
    report = bring(home, listed, NEXT, Choice(segments=["NSE_EQ"]), delist_missing=True)
    assert report.changes == ["RELIANCE: symbol RELIANCE -> ZOMATO"] and report.missing == ["ZOMATO"]
    assert [Registry.load(home).find("ZOMATO", day).number for day in (DAY, NEXT)] == [1, 0]


def test_a_token_is_used_again_after_an_expiry(home):
    again = contract("NIFTY 26000 CE 28 JAN 27", 43650, "CE", 1_801_160_999_000, 26000.0)
    with pytest.raises(ImportRefused, match="which trades with strike 250000000 and not 260000000"):
        bring(home, [again], LATER, Choice(segments=["NSE_FO"]))
    assert bring(home, [again], "2026-12-31", Choice(segments=["NSE_FO"])).added == ["NIFTY 26000 CE 28 JAN 27"]
    assert Registry.load(home).find_key("upstox", "NSE_FO|43650", "2027-01-05").strike == 260_000_000


def test_an_instrument_of_imported_bars_is_taken_over(tmp_path):
    registry = Registry.load(tmp_path / "home")
    registry.add([Instrument(-1, "NIFTY", 500), Instrument(-1, "USD", 100, currency="USD")])
    registry.save()
    report = bring(tmp_path / "home", [index("NIFTY", "Nifty 50")])
    assert report.added == [] and report.changes == []  # the file has no tick of an index
    nifty = Registry.load(tmp_path / "home").find("NIFTY")
    assert (nifty.number, nifty.kind, nifty.tick, nifty.changes) == (0, InstrumentKind.INDEX, 500, ())
    with pytest.raises(ImportRefused, match="it is instrument 1 with currency USD here"):
        bring(tmp_path / "home", [equity("USD", "INE002A01018")])


def test_other_fields_of_a_known_one_stay(home):
    registry = Registry.load(home)
    registry.edit(
        [replace(registry[0], listed="1995-11-29", broker_keys=registry[0].broker_keys | {"other": "500325"})]
    )
    registry.save()
    listed = rows()
    listed[0] = listed[0] | {"tick_size": 5.0}
    bring(home, listed, NEXT)
    one = Registry.load(home)[0]
    assert one.listed == "1995-11-29" and one.broker_keys == {"upstox": "NSE_EQ|INE002A01018", "other": "500325"}


# The file -------------------------------------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    listed=st.lists(values, max_size=6),
    chunk=st.integers(1, 9),
    packed=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_rows_come_through_chunks_of_any_size(listed, chunk, packed, indent, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "rows.json"
    text = json.dumps(listed, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    path.write_bytes(gzip.compress(text, 1) if packed else text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK_BYTES", chunk)
        assert list(json_rows(path)) == listed


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[", b"[{}", b"[{},]", b"[{} {}]", b"[1]]", b"[NaN]", b"\xff", b"[\"\xff\"]", b"[1", b"[" * 100_000],
    ids=lambda text: repr(text[:9]),
)  # fmt: skip
def test_files_that_are_no_lists(tmp_path, text):
    path = tmp_path / "m.json"
    for data in (text, gzip.compress(text)):
        path.write_bytes(data)
        with pytest.raises(ImportRefused, match=r"m\.json: after row \d+ it is no JSON array"):
            list(json_rows(path))


def test_a_broken_gzip_and_no_file(tmp_path):
    whole = SAMPLE.with_suffix(".json.gz").read_bytes()
    path = tmp_path / "m.json.gz"
    for data in (whole[:-30], whole[:200] + b"\0\0\0\0" + whole[204:], whole[:-6] + b"xx" + whole[-4:]):
        path.write_bytes(data)
        with pytest.raises(ImportRefused, match="get the file again"):
            read_master(path, Choice())
    with pytest.raises(NotFound):
        read_master(tmp_path / "none.json", Choice())
    with pytest.raises(ConfigError, match="--date yesterday"):
        import_master(tmp_path, SAMPLE, Choice(), "yesterday")
