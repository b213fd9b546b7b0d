"""How long a bar is: no bar is known before it is over, whatever lengths a file mixes."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adapters.market.importer import import_files
from adapters.market.instruments import Registry
from adapters.market.options import ImportOptions
from tests.adapters.market.test_import import stored

MORNING = datetime(2024, 1, 1, 9, 15)
Rows = list[tuple[str, datetime, int]]  # symbol, open, its true length in seconds


def bars(symbol: str, seconds: int, count: int, begin: datetime = MORNING) -> Rows:
    return [(symbol, begin + timedelta(seconds=seconds * i), seconds) for i in range(count)]


def bring(folder: Path, rows: Rows, **options):
    text = "".join(f"{s},{t},100,101,99,100,5\n" for s, t, _ in sorted(rows, key=lambda row: (row[1], row[0])))
    path = folder / "mix.csv"
    path.write_text("symbol,datetime,open,high,low,close,volume\n" + text)
    return import_files(folder / "home", [path], ImportOptions(**options))


def said(report) -> str:
    return "\n".join(str(finding) for finding in report.files[0].findings)


def lengths(folder: Path) -> dict[str, set[int]]:
    """Of each symbol: the lengths on tape, in seconds."""
    names, on_tape = {i.number: i.symbol for i in Registry.load(folder / "home")}, stored(folder / "home", "mix")
    found: dict[str, set[int]] = {}
    for number, span in zip(on_tape["instrument"].tolist(), on_tape["span"].tolist(), strict=True):
        found.setdefault(names[number], set()).add(span // 10**9)
    return found


def early(folder: Path, rows: Rows) -> list[str]:
    """Bars on tape that are known before their true close."""
    names, on_tape = {i.number: i.symbol for i in Registry.load(folder / "home")}, stored(folder / "home", "mix")
    utc = timedelta(hours=5, minutes=30)
    known = {
        (names[n], datetime(1970, 1, 1) + timedelta(seconds=(t - s) // 10**9) + utc): t - (t - s) // 10**9 * 10**9
        for n, t, s in zip(*(on_tape[c].tolist() for c in ("instrument", "ts_init", "span")), strict=True)
    }
    assert len(known) == len(rows)
    return [f"{s} {t}" for s, t, seconds in rows if known[s, t] < seconds * 10**9]


def test_each_symbol_has_its_own_length(tmp_path):
    rows = bars("A", 60, 61) + bars("B", 300, 12)
    report = bring(tmp_path, rows)
    assert lengths(tmp_path) == {"A": {60}, "B": {300}} and not early(tmp_path, rows)
    assert report.notes == [
        f"{tmp_path / 'mix.csv'}: bars of different lengths, each symbol's by its own steps: 1m (A), 5m (B)"
    ]


MANY = bars("A", 60, 100)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (bars("A", 60, 60) + bars("A", 300, 20, datetime(2024, 1, 2, 9, 15)), "A at 2024-01-02 09:15:00+05:30: from"),
        (bars("A", 60, 60) + bars("A", 300, 20, datetime(2024, 1, 1, 10, 15)), "stand on a grid of 5m"),
        (bars("A", 300, 60) + bars("A", 60, 20, datetime(2024, 1, 2, 9, 15)), "its steps are 1m (19 times) and 5m"),
        (bars("A", 60, 5) + bars("A", 300, 4, datetime(2024, 1, 1, 9, 20)), "with gaps, or of both lengths?"),
        (bars("A", 120, 20) + bars("A", 180, 20, datetime(2024, 1, 2, 9, 15)), "comes 3m after the bar before it"),
        (bars("A", 1, 600) + bars("A", 60, 20, datetime(2024, 1, 2, 9, 15)), "stand on a grid of 1m"),
        # half an hour, then hours, as US files have them
        ([row for day in (2, 3, 4, 5, 8, 9) for row in bars("A", 1800, 1, datetime(2024, 1, day, 9, 30))
          + bars("A", 3600, 6, datetime(2024, 1, day, 10))], "its steps are 30m (6 times) and 1h (30 times)"),
        # days among minutes, stamped at midnight or at the open
        (MANY + [("B", datetime(2024, 1, day), 86400) for day in range(1, 20)], "B: no two bars of one day tell"),
        (MANY + [("A", datetime(2024, 1, day, 9, 15), 22500) for day in range(2, 9)], "stand on a grid of 1d"),
        # a few bars show too little
        (MANY + bars("B", 300, 1), "B: no two bars of one day tell how long a bar is"),
        (MANY + bars("B", 300, 2), "B: too few bars to tell whether they are 5m long, or of 1m with gaps"),
        (bars("A", 60, 2) + bars("B", 300, 2), "its symbols have few bars of different lengths (A 1m, B 5m)"),
        (bars("A", 420, 2), "its 2 bars are 7m apart, which is no usual length"),
        (bars("A", 60, 3) + bars("A", 60, 1, datetime(2024, 1, 2, 9, 15)), "the only bar of its day"),
    ],
)  # fmt: skip
def test_doubts_are_refused_and_a_stated_length_mends_them(tmp_path, rows, message):
    for stamp in ("open", "close"):
        report = bring(tmp_path, rows, stamp=stamp)
        assert report.refused and not report.tapes and message in said(report), said(report)
        assert "--span" in said(report)


def test_gaps_are_no_longer_bars(tmp_path):
    """Lunch, the bar before the session, an outage, and minutes nobody traded in."""
    rows = [row for i, row in enumerate(bars("A", 60, 300)) if i % 7 not in (2, 3) and i % 11]
    rows += [row for i, row in enumerate(bars("B", 60, 375)) if not 150 <= i < 210 and not 220 <= i < 225]
    for day in range(1, 9):
        rows += bars("C", 60, 40, datetime(2024, 1, day, 9, 15)) + bars("C", 60, 1, datetime(2024, 1, day, 9, 7))
    report = bring(tmp_path, rows)
    assert not report.refused, said(report)
    assert lengths(tmp_path) == {"A": {60}, "B": {60}, "C": {60}} and not report.notes


@pytest.mark.parametrize("seconds", [1, 5, 30, 60, 180, 300, 900, 3600, 4500, 7500, 14400])
def test_usual_lengths(tmp_path, seconds):
    count = min(22500 // seconds + 1, 400)
    rows = [row for day in range(1, 6) for row in bars("A", seconds, count, datetime(2024, 1, day, 9, 15))]
    report = bring(tmp_path, rows)
    assert not report.refused, said(report)
    assert lengths(tmp_path) == {"A": {seconds}}


def test_a_stated_length_is_held_to_the_rows(tmp_path):
    report = bring(tmp_path, bars("A", 300, 12) + bars("B", 60, 3), span="5m")
    assert "B at 2024-01-01 09:16:00+05:30: opens 1m after the bar before it" in said(report)
    report = bring(tmp_path, bars("A", 60, 60) + bars("B", 300, 12), span="1m")
    assert "B at 2024-01-01 09:15:00+05:30: from here on bars stand on a grid of 5m" in said(report)
    few = bars("A", 60, 60) + bars("B", 60, 1) + [("C", MORNING + timedelta(minutes=m), 60) for m in (3, 7, 12)]
    report = bring(tmp_path, few, span="1m")
    assert not report.refused and not early(tmp_path, few)


SECONDS = (5, 30, 60, 120, 180, 300, 900, 1800, 3600)
STRETCH = st.tuples(st.sampled_from(SECONDS), st.integers(8, 40), st.booleans())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(STRETCH, min_size=1, max_size=3), min_size=1, max_size=3))
@example([[(60, 40, False), (300, 8, False)], [(60, 8, False)]])
@example([[(60, 25, False), (120, 8, False)]])
def test_mixed_lengths_are_never_known_early(tmp_path_factory, symbols):
    folder = tmp_path_factory.mktemp("mix")
    rows: Rows = []
    for number, stretches in enumerate(symbols):
        at = MORNING
        for seconds, count, next_day in stretches:
            if next_day:
                at = datetime.combine(at.date() + timedelta(days=1), MORNING.time())
            since = (at - datetime.combine(at.date(), MORNING.time())).total_seconds()
            at += timedelta(seconds=-since % seconds)  # on the grid of its own length
            part = bars(f"S{number}", seconds, count, at)
            rows, at = rows + part, part[-1][1] + timedelta(seconds=seconds)
    report = bring(folder, rows)
    assert report.refused or not early(folder, rows)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SECONDS), st.integers(2, 200), st.randoms(use_true_random=False), st.sampled_from((2, 5, 20)))
@pytest.mark.sim
def test_thin_trading_is_never_known_early(tmp_path_factory, seconds, count, random, one_in):
    folder = tmp_path_factory.mktemp("thin")
    rows = [row for row in bars("A", seconds, count) if random.randrange(one_in)] or bars("A", seconds, 2)
    report = bring(folder, rows)
    assert report.refused or not early(folder, rows)


def days(symbol: str, steps: list[int]) -> list[str]:
    at, rows = datetime(2024, 1, 1), []
    for step in (0, *steps):
        at += timedelta(days=step)
        rows.append(f"{symbol},{at:%Y-%m-%d},100,101,99,100,5\n")
    return rows


def bring_days(folder: Path, rows: list[str]):
    path = folder / "days.csv"
    path.write_text("symbol,date,open,high,low,close,volume\n" + "".join(rows))
    return import_files(folder / "home", [path])


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        ([7] * 6, "a week apart"),
        ([7, 8, 6, 7, 7, 7, 8, 6], "a week apart"),
        ([31, 29, 31, 30, 31, 30], "a month apart"),
        ([91, 91, 92, 92], "some months apart"),
        ([1, 1, 1, 1, 3] * 10 + [7] * 20, "a week apart"),
    ],
)
def test_bars_of_weeks_and_months_are_no_daily_bars(tmp_path, steps, what):
    report = bring_days(tmp_path, days("A", [1, 1, 1, 1, 3] * 10) + days("B", steps))
    assert report.refused and what in said(report) and "of B from" in said(report)


def test_daily_bars_have_holidays_and_gaps(tmp_path):
    report = bring_days(
        tmp_path, days("A", [1, 1, 1, 4, 1, 1, 3, 5] * 9) + days("B", [9, 2, 6, 13, 1, 7, 7, 30, 4, 33])
    )
    assert not report.refused and not report.notes
    report = bring_days(tmp_path, days("C", [7, 7]))
    assert (
        not report.refused
        and "the 3 bars of C, 7 days or more from each other, are taken as bars of a day" in (report.notes[0])
    )
