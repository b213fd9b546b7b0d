"""Universes in time: who was a member when, whatever happened to the symbols since, and lists of survivors only."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.market.instrument import FOREVER, Instrument
from adapters.market.instruments import Registry
from adapters.reference.universe import (
    Span,
    Universe,
    import_universe,
    list_universes,
    load_universe,
    members,
    membership,
    survivorship,
    universes_folder,
)
from kernel.errors import ConfigError, ImportRefused, NotFound

START = date(2024, 1, 1)
DAYS = [(START + timedelta(days=k)).isoformat() for k in range(10)]
GOOD = "symbol,from,to\nZOMATO,2022-01-03,\nYESBANK,2015-03-27,2020-03-18\nYESBANK,2021-01-01,2021-01-01\nDHFL,2010-01-01,\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    registry = Registry.load(tmp_path)
    registry.add([
        Instrument(-1, "DHFL", 5, delisted="2021-06-14"),
        Instrument(-1, "YESBANK", 5),
        Instrument(-1, "ZOMATO", 5, listed="2021-07-23"),
    ])  # fmt: skip
    registry.rename("ZOMATO", "ETERNAL", "2025-04-09")
    registry.add([Instrument(-1, "ZOMATO", 5, listed="2026-01-01")])
    registry.save()
    return tmp_path


def bring(home: Path, text: str, name: str = "nifty50") -> Universe:
    path = home / f"{name}.csv"
    path.write_text(text)
    return import_universe(home, path)


def test_members_by_date(home):
    bring(home, GOOD)
    assert list_universes(home) == ["nifty50"]
    by_day = {day: members(home, "nifty50", day) for day in ("2009-12-31", "2015-03-27", "2020-03-18", "2020-03-19",
                                                             "2021-01-01", "2021-06-14", "2022-01-03", "2026-11-25")}  # fmt: skip
    assert list(by_day.values()) == [[], [0, 1], [0, 1], [0], [0, 1], [], [2], [2]]
    found = membership(home, "nifty50", "2020-01-01", "2023-12-31")
    assert [column.dtype.str for column in found] == ["<i4", "<i8", "<i8"]
    as_days = [
        tuple(str(np.datetime64(int(day), "D")) for day in row) for row in zip(found.first, found.last, strict=True)
    ]
    assert found.number.tolist() == [0, 1, 1, 2] and as_days == [
        ("2020-01-01", "2021-06-13"), ("2020-01-01", "2020-03-18"), ("2021-01-01", "2021-01-01"), ("2022-01-03", "2023-12-31"),
    ]  # fmt: skip
    assert len(membership(home, "nifty50", "2000-01-01", "2000-12-31").number) == 0
    with pytest.raises(ConfigError, match="is after"):
        membership(home, "nifty50", "2021-01-01", "2020-01-01")
    with pytest.raises(ConfigError, match="write YYYY-MM-DD"):
        members(home, "nifty50", "today")


def test_what_is_kept_reads_back(home):
    universe = bring(home, "\ufeff" + GOOD.replace("symbol,from,to\n", "") + "\n , ,\n")
    again = load_universe(home, "nifty50")
    assert [s[:3] for s in again.spans] == [s[:3] for s in universe.spans]
    assert (
        (universes_folder(home) / "nifty50.csv").read_text().startswith("symbol,from,to\nDHFL,2010-01-01,2021-06-13\n")
    )
    with pytest.raises(NotFound, match="there are nifty50"):
        load_universe(home, "nifty")
    for name in ("../x", "", ".x", "a/b"):
        with pytest.raises(ConfigError, match="a name has"):
            load_universe(home, name)
    with pytest.raises(NotFound):
        import_universe(home, home / "none.csv")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("YESBANK,2015-03-27,2014-01-01", "goes on 2014-01-01, before it comes on 2015-03-27"),
        ("YESBANK,27-03-2015,", "from of YESBANK is '27-03-2015'"),
        ("YESBANK,,", "from of YESBANK is ''"),
        ("YESBANK,2015-03-27,soon", "to of YESBANK is 'soon'"),
        ("YESBANK", "is not symbol,from,to"),
        ("YESBANK,2015-03-27,,x", "is not symbol,from,to"),
        (",2015-03-27,", "is not symbol,from,to"),
        ("NOBODY,2015-03-27,", "no instrument is called so"),
        ("ZOMATO,2020-01-01,", "nothing is called so then, only from 2021-07-23 to 2025-04-08, 2026-01-01 to now"),
        ("ETERNAL,2024-01-01,", "only from 2025-04-09 to now"),
        ("DHFL,2021-06-14,", "nothing is called so then, only from ever to 2021-06-13"),
        ("DHFL,2015-01-01,2021-06-14", "stays until 2021-06-14, but it is gone from 2021-06-14 on"),
        ("ZOMATO,2022-01-01,\nETERNAL,2025-05-01,", "ETERNAL is a member by line 2 at that time already"),
        ("YESBANK,2016-01-01,\nYESBANK,2015-01-01,2016-01-01", "line 2"),
    ],
)
def test_lines_that_are_no_memberships(home, line, words):
    bring(home, "YESBANK,2015-03-27,2020-03-18\n")
    with pytest.raises(ImportRefused) as refused:
        bring(home, "symbol,from,to\n" + line + "\n")
    assert words in str(refused.value) and "nifty50.csv:" in str(refused.value)
    assert len(load_universe(home, "nifty50").spans) == 1  # the old one stands


def test_files_that_are_no_lists(home):
    for text, words in (("", "holds no members"), ("symbol,from,to\n", "holds no members")):
        with pytest.raises(ImportRefused, match=words):
            bring(home, text)
    (home / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ImportRefused, match="is no CSV text"):
        import_universe(home, home / "x.csv")


def test_survivors_only(home):
    registry, today = Registry.load(home), "2026-11-25"
    survivors = bring(home, "YESBANK,2015-03-27,\nZOMATO,2022-01-03,\n")
    said = survivorship(survivors, registry, today)
    assert (
        "nifty50 looks like survivors only: all of its 2 instruments still trade after 11.7 years, and none ever left"
        in said
    )
    assert survivorship(survivors, registry, "2017-03-27") == ""  # not over so long a time
    assert survivorship(survivors, registry, "2017-03-27", years=1.5) != ""
    left = bring(home, "YESBANK,2015-03-27,2020-03-18\nZOMATO,2022-01-03,\n")
    assert "none of those that left it was delisted" in survivorship(left, registry, today)
    assert survivorship(bring(home, GOOD), registry, today) == ""
    later = bring(home, "DHFL,2010-01-01,2019-12-31\nYESBANK,2010-01-01,2020-12-31\n")  # it was delisted after the end
    assert survivorship(later, registry, today) != ""


days = st.integers(0, 9)


@given(spans=st.lists(st.tuples(st.integers(0, 2), days, days), max_size=8), ranges=st.tuples(days, days))
def test_members_and_memberships_agree(spans, ranges, tmp_path_factory):
    """Legal exactly when no instrument is a member twice on a day; and then both answers are the plain one, day by day."""
    home = tmp_path_factory.mktemp("home")
    registry = Registry.load(home)
    registry.add([Instrument(-1, symbol, 5) for symbol in "ABC"])
    registry.edit([replace(registry[2], delisted=DAYS[8])])
    registry.save()
    legal = [(n, a, b if n < 2 else min(b, 7)) for n, a, b in spans if a <= b and (n < 2 or a <= 7)]
    text = "".join(f"{'ABC'[n]},{DAYS[a]},{DAYS[b]}\n" for n, a, b in legal)
    plain = [[n for n, a, b in legal if a <= k <= b] for k in range(10)]
    if not legal or any(len(set(day)) < len(day) for day in plain):
        with pytest.raises(ImportRefused):
            bring(home, text)
        return
    universe = bring(home, text)
    assert [universe.members(day) for day in DAYS] == [sorted(day) for day in plain]
    first, last = sorted(ranges)
    found = universe.membership(DAYS[first], DAYS[last])
    rows = list(zip(*(column.tolist() for column in found), strict=True))
    assert rows == sorted(rows)
    base = (START - date(1970, 1, 1)).days
    for k in range(10):
        inside = [n for n, a, b in rows if a <= base + k <= b]
        assert inside == (sorted(plain[k]) if first <= k <= last else [])


def test_a_span_without_end_goes_on():
    assert Universe("u", (Span(3, "2024-01-01", FOREVER, 1, "A"),)).members("2200-01-01") == [3]
