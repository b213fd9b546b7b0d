"""Splits and dividends: the sample's known ones, stated ones, and contradictions."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from adapters.market.feed import MarketFeed, Selection
from adapters.market.importer import import_files
from adapters.market.options import ImportOptions
from adapters.market.reader import read_actions
from adapters.market.samples import SAMPLE_OPTIONS, sample_path
from adapters.market.tape import list_tapes, tapes_folder
from adapters.market.verify import verify_tape
from adapters.market.zones import show_time
from kernel.codes import Kind
from kernel.errors import ImportRefused
from kernel.schema import EVENT

NY = "America/New_York"


def test_sample(tmp_path):
    report = import_files(tmp_path, [sample_path()], SAMPLE_OPTIONS)
    assert (report.new, report.splits, report.dividends) == (12_154, 3, 92)
    names = {i.number: i.symbol for i in report.instruments}
    said = {
        (names[a.instrument], show_time(a.ts, NY)[:10], a.numerator, a.denominator, a.amount) for a in report.actions
    }
    assert {s for s in said if s[2]} == {
        ("AAPL", "2000-06-21", 2, 1, 0),
        ("AAPL", "2005-02-28", 2, 1, 0),
        ("MSFT", "2003-02-18", 2, 1, 0),
    }
    # paid as the companies announced them
    assert {
        ("MSFT", "2003-02-19", 0, 0, 800),
        ("MSFT", "2003-10-15", 0, 0, 1600),
        ("MSFT", "2004-11-15", 0, 0, 30800),
        ("AAPL", "2012-08-09", 0, 0, 26500),
        ("IBM", "2012-05-08", 0, 0, 8500),
    } <= said
    assert Counter(s[0] for s in said) == {"IBM": 52, "MSFT": 38, "AAPL": 5}
    manifest = verify_tape(tapes_folder(tmp_path) / report.tapes[0])
    assert manifest.actions == 95
    stored = read_actions(manifest.path)
    assert np.all(np.diff(stored["ts_init"]) >= 0) and np.array_equal(stored["ts_init"], stored["ts_event"])
    again = import_files(tmp_path, [sample_path()], SAMPLE_OPTIONS)
    assert (again.new, again.tapes, again.actions) == (0, [], [])


def daily(tmp_path, rows) -> Path:
    path = tmp_path / "MSFT.csv"
    path.write_text(
        "date,open,high,low,close,volume,adj_close\n" + "".join(f"{d},{c},{c},{c},{c},1,{a}\n" for d, c, a in rows)
    )
    return path


def test_adjusted_prices_with_a_split_are_refused(tmp_path):
    path = daily(tmp_path, [("2024-01-01", 50, 25), ("2024-01-02", 50, 50)])
    finding = import_files(tmp_path / "h", [path]).files[0].findings[0]
    assert "shows a split 2:1 but the close does not jump: the prices look already adjusted" in finding.message
    assert finding.line == 3
    report = import_files(tmp_path / "h", [path], ImportOptions(infer_actions=False))
    assert report.new == 2 and not report.actions


def test_stated_actions(tmp_path):
    path = daily(tmp_path, [("2024-01-01", 100, 100), ("2024-01-03", 50, 50)])
    file = tmp_path / "actions.csv"
    file.write_text(
        "MSFT,2024-01-02,split,2:1\nMSFT,2024-01-03,dividend,0.08\nMSFT,2025-01-01,dividend,1\nX,2024-01-01,split,3:2\n"
    )
    report = import_files(tmp_path / "h", [path], ImportOptions(actions=file))
    assert [(show_time(a.ts, "Asia/Kolkata")[:16], a.kind, a.amount) for a in report.actions] == [
        ("2024-01-03 00:00", 16, 0),
        ("2024-01-03 00:00", 17, 800),
    ]
    assert [n.split(" left out: ")[1] for n in report.notes] == ["its bars end earlier", "no bars of it"]
    again = import_files(tmp_path / "h", [path], ImportOptions(actions=file))
    assert again.tapes == []
    file.write_text("MSFT,2024-01-03,dividend,0.09\n")
    with pytest.raises(
        ImportRefused, match=r"dividend 0\.09 of MSFT on 2024-01-03 differs from the recorded dividend 0.08"
    ):
        import_files(tmp_path / "h", [path], ImportOptions(actions=file))
    file.write_text(
        "symbol,date,kind,value\nMSFT,03-01-2024,split,2:1\nMSFT,2024-01-03,bonus,1\nA,2024-01-01,split,2\n"
    )
    with pytest.raises(
        ImportRefused, match=r"3 lines are no splits(.|\n)*:2: date is '03-01-2024'(.|\n)*kind is 'bonus'"
    ):
        import_files(tmp_path / "h", [path], ImportOptions(actions=file))


def _data() -> Path:
    return Path(os.environ.get("ONETAPE_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")


real_data = pytest.mark.skipif(
    not _data().is_dir(),
    reason="no real data: set ONETAPE_TEST_DATA or place ../shared/data beside the repository",
)


@real_data
@pytest.mark.parametrize(
    ("name", "rows", "options"),
    [
        ("nse_1m_lean_2019", 3_422, ImportOptions(tick="auto")),
        ("nse_nifty_index_daily_fastbt", 2_849, ImportOptions(symbol="NIFTY 50", tick="0.05")),
        ("us_daily_raw_11sym_lean", 55_041, ImportOptions(tz=NY, currency="USD")),
        ("us_equity_1m_trade_quote_2013-10", 15_991, ImportOptions(tz=NY, currency="USD", skip_empty=True)),
    ],
)
def test_real_data(tmp_path, name, rows, options):
    report = import_files(tmp_path, [_data() / f"{name}.parquet"], options)
    file = report.files[0]
    assert not report.refused, [str(f) for f in file.findings[:5]]
    assert (file.rows, file.new + file.empty) == (rows, rows)
    verify_tape(tapes_folder(tmp_path) / report.tapes[0])


@real_data
def test_daily_files_joined_out_of_order_are_refused_until_sorted(tmp_path):
    import pyarrow.parquet as pq

    path, options = _data() / "nse_daily_bhav_nifty50_fastbt.parquet", ImportOptions(tick="0.05", name="bhav")
    finding = import_files(tmp_path / "h", [path], options).files[0].findings[0]
    assert "time of ADANIENT goes back to 2023-02-13 15:30:00+05:30" in finding.message
    assert finding.message.endswith("sort the file oldest first, or import it with --sort")
    pq.write_table(pq.read_table(path).sort_by("date"), tmp_path / "sorted.parquet")
    report = import_files(tmp_path / "h", [tmp_path / "sorted.parquet"], options)
    assert (report.new, len(report.instruments), report.tapes) == (3_050, 50, ["bhav"])


@real_data
def test_ticks_are_no_bars(tmp_path):
    with pytest.raises(ImportRefused, match="no column for open, high, low, close among"):
        import_files(tmp_path, [_data() / "us_ibm_trade_ticks_20131007.parquet"])


# Where files, gaps and actions meet ----------------------------------------------------------------------------------

COLUMNS = "symbol,date,open,high,low,close,volume,adj close\n"


def history(path, *rows):
    """Rows of (day, price, adjusted close) of X as one file."""
    lines = [f"X,{day},{px},{px},{px},{px},100,{adj}" for day, px, adj in rows]
    path.write_text(COLUMNS + "\n".join(lines) + "\n")
    return path


YEARS = (
    [("2023-12-28", 200, 100), ("2023-12-29", 200, 100)],
    [("2024-01-01", 100, 100), ("2024-01-02", 100, 100)],
)


def test_a_split_between_two_files_of_one_import(tmp_path):
    files = [history(tmp_path / f"X-{k}.csv", *rows) for k, rows in enumerate(YEARS)]
    report = import_files(tmp_path / "h", files, ImportOptions())
    assert (report.splits, report.dividends) == (1, 0)
    assert show_time(report.actions[0].ts, "Asia/Kolkata")[:10] == "2024-01-01"


def bring(tmp_path, *rows, **options):
    return import_files(tmp_path / "h", [history(tmp_path / "X.csv", *rows)], ImportOptions(**options))


def said(report):
    """(ex-date's bar, numerator, denominator, amount) of what an import recorded."""
    tz = "Asia/Kolkata"
    return [(show_time(a.ts, tz)[:10], a.numerator, a.denominator, a.amount) for a in report.actions]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_split_between_what_is_stored_and_a_file(tmp_path, order):
    """Of one download, imported year by year, in either order."""
    reports = [bring(tmp_path, *YEARS[k]) for k in order]
    assert [r.splits for r in reports] == [0, 1] and said(reports[1])[0][:3] == ("2024-01-01", 2, 1)
    assert not [note for note in reports[1].notes if "split" in note]
    manifest = verify_tape(tapes_folder(tmp_path / "h") / reports[1].tapes[0])
    assert "edges.parquet" in manifest.files
    for rows in (*YEARS, YEARS[0] + YEARS[1]):
        again = bring(tmp_path, *rows)
        assert not again.actions and not again.refused and not again.notes


def test_a_dividend_between_what_is_stored_and_the_next_day(tmp_path):
    """Factors that go on, from a vendor who adjusts later bars and leaves earlier ones alone."""
    assert not bring(tmp_path, ("2024-01-01", 100, 100)).actions
    assert said(bring(tmp_path, ("2024-01-02", 98, 100))) == [("2024-01-02", 0, 0, 2_0000)]
    assert not bring(tmp_path, ("2024-01-03", 99, 101.02)).actions


def test_a_day_at_a_time_with_the_day_before_it(tmp_path):
    """Each file as its vendor adjusted it that day: the bar that is stored already tells what happened."""
    bring(tmp_path, ("2024-01-01", 100, 100))
    second = bring(tmp_path, ("2024-01-01", 100, 98), ("2024-01-02", 98, 98))
    third = bring(tmp_path, ("2024-01-02", 98, 49), ("2024-01-03", 49, 49))
    assert said(second) == [("2024-01-02", 0, 0, 2_0000)] and said(third) == [("2024-01-03", 2, 1, 0)]
    assert not second.notes and not third.notes


@pytest.mark.parametrize(
    "day",
    [
        ("2024-01-02", 98, 98),  # adjusted anew each day: a dividend of 2 leaves no trace
        ("2024-01-02", 98, 97),  # another download: its factor of this day is below that of the day before
    ],
)
def test_what_a_file_cannot_tell_of_the_night_before_it_is_noted(tmp_path, day):
    bring(tmp_path, ("2024-01-01", 100, 100))
    report = bring(tmp_path, day)
    (note,) = report.notes
    assert not report.actions and not report.refused
    assert "cannot be told for X (2024-01-01 to 2024-01-02)" in note and "begin each file with the last bar of" in note


@pytest.mark.parametrize("apart", [True, False])
def test_files_of_several_downloads(tmp_path, apart):
    """A year each, adjusted as they were at its end: inside them all is told, between them a split by its jump alone."""
    years = [
        [("2022-12-29", 100, 98), ("2022-12-30", 98, 98)],
        [("2023-01-02", 98, 48), ("2023-06-01", 96, 48), ("2023-12-29", 48, 48)],
        [("2024-01-01", 24, 24), ("2024-01-02", 24, 24)],
    ]
    files = [history(tmp_path / f"X-{k}.csv", *rows) for k, rows in enumerate(years)]
    reports = [
        import_files(tmp_path / "h", some, ImportOptions()) for some in ([[f] for f in files] if apart else [files])
    ]
    assert not any(report.refused for report in reports)
    assert [day for report in reports for day, *_ in said(report)] == ["2022-12-30", "2023-06-01", "2023-12-29"]
    notes = " ".join(note for report in reports for note in report.notes)
    assert "2022-12-30 to 2023-01-02" in notes and "2023-12-29 to 2024-01-01" in notes
    assert "X opens at 24 on 2024-01-01 after a close of 48" in notes


def test_bars_stored_without_adjusted_closes_tell_nothing_and_a_jump_is_named(tmp_path):
    bring(tmp_path, ("2023-12-29", 200, ""))
    untold, jump = sorted(bring(tmp_path, *YEARS[1]).notes, key=lambda note: note.startswith("X opens"))
    assert "cannot be told for X (2023-12-29 to 2024-01-01)" in untold
    assert "opens at 100 on 2024-01-01 after a close of 200" in jump and "split 2:1" in jump and "--actions" in jump
    assert not bring(tmp_path, *YEARS[1]).notes, "said once, when the bars came in"


def test_an_action_that_is_recorded_inside_a_sparser_file_is_not_recorded_again(tmp_path):
    bring(tmp_path, ("2024-01-01", 200, 100), ("2024-01-02", 100, 100), ("2024-01-03", 100, 100))
    report = bring(tmp_path, ("2024-01-01", 200, 100), ("2024-01-03", 100, 100), ("2024-01-04", 100, 100))
    assert (report.new, report.actions) == (1, [])


def test_a_known_split_and_an_ordinary_night_are_no_gap(tmp_path):
    actions = tmp_path / "actions.csv"
    actions.write_text("X,2024-01-01,split,2:1\n")
    files = [history(tmp_path / f"X-{k}.csv", *rows) for k, rows in enumerate(YEARS)]
    stated = import_files(tmp_path / "h", files, ImportOptions(actions=actions))
    plain = history(tmp_path / "plain.csv", ("2024-02-01", 100, ""), ("2024-02-02", 88, ""), ("2024-02-05", 110, ""))
    assert not [note for note in stated.notes if "split" in note]
    assert not [note for note in import_files(tmp_path / "h2", [plain], ImportOptions()).notes if "split" in note]


GAP = (("2024-01-01", 100, ""), ("2024-01-04", 100, ""), ("2024-01-05", 100, ""))  # nothing on 2 and 3 January


def state(tmp_path, *lines):
    path = tmp_path / "actions.csv"
    path.write_text("".join(f"X,{line}\n" for line in lines))
    return path


def fed(home):
    """(kind, numerator, denominator, amount) of every action as a run takes them from the home's tapes."""
    records = np.zeros(100, EVENT)
    feed = MarketFeed([tape.path for tape in list_tapes(home)], Selection())
    rows = records[: feed.read_into(records)]
    rows = rows[rows["kind"] != Kind.BAR]
    return [(bool(r["kind"] == Kind.SPLIT), *_payload(r)) for r in rows]


def _payload(row):
    if row["kind"] == Kind.SPLIT:
        return int(row["numerator"]), int(row["denominator"])
    return (int(row["amount"]),)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["2024-01-02,dividend,5", "2024-01-03,dividend,5"], [(False, 5_0000), (False, 5_0000)]),
        (["2024-01-02,dividend,5", "2024-01-02,dividend,7"], [(False, 5_0000), (False, 7_0000)]),
        (["2024-01-02,dividend,5,interim", "2024-01-02,dividend,5,special"], [(False, 5_0000), (False, 5_0000)]),
        (["2024-01-03,split,2:1", "2024-01-02,split,2:1"], [(True, 2, 1), (True, 2, 1)]),
        (["2024-01-03,split,2:1", "2024-01-02,dividend,5"], [(False, 5_0000), (True, 2, 1)]),  # 5 on each old share
        (["2024-01-03,dividend,5", "2024-01-03,split,2:1"], [(True, 2, 1), (False, 5_0000)]),
        (["2024-01-02,split,2:1", "2024-01-03,split,1:2"], [(True, 2, 1), (True, 1, 2)]),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_actions_that_land_on_one_bar_all_count(tmp_path, lines, found, apart):
    """Whatever happened where there are no bars takes effect at the next open, by ex-date; of two imports, too."""
    for some in [[lines[0]], lines] if apart else [lines]:
        bring(tmp_path, *GAP, actions=state(tmp_path, *some))
    assert fed(tmp_path / "h") == found
    again = bring(tmp_path, *GAP, actions=state(tmp_path, *lines))
    assert not again.tapes and fed(tmp_path / "h") == found
    for tape in list_tapes(tmp_path / "h"):
        verify_tape(tape.path)


def test_actions_of_several_files_that_share_a_gap_all_count(tmp_path):
    files = (
        ["2024-01-02,dividend,5"],
        ["2024-01-03,dividend,5"],
        ["2024-01-02,dividend,5", "2024-01-02,dividend,5,more"],
    )
    for lines in files:
        bring(tmp_path, *GAP, actions=state(tmp_path, *lines))
    assert fed(tmp_path / "h") == [(False, 5_0000)] * 3


def test_stated_actions_beside_those_recorded_without_an_ex_date(tmp_path):
    """Inferred ones, and those of tapes of version 0.1: one of each bar, or what they come to."""
    rows = (("2024-01-01", 200, 49), ("2024-01-04", 49, 49), ("2024-01-05", 49, 49))
    assert said(bring(tmp_path, *rows)) == [("2024-01-04", 4, 1, 0), ("2024-01-04", 0, 0, 1_0000)]
    same = ["2024-01-02,split,2:1", "2024-01-03,split,2:1", "2024-01-03,dividend,1"]
    assert not bring(tmp_path, *rows, actions=state(tmp_path, *same)).tapes
    with pytest.raises(ImportRefused, match=r"actions.csv:1: split 3:1 of X on 2024-01-03 differs from the recorded"):
        bring(tmp_path, *rows, actions=state(tmp_path, "2024-01-03,split,3:1"))


def test_a_changed_value_is_refused_and_one_beside_it_is_not(tmp_path):
    bring(tmp_path, *GAP, actions=state(tmp_path, "2024-01-04,dividend,5"))
    with pytest.raises(ImportRefused, match="dividend 7 of X on 2024-01-04 differs from the recorded dividend 5"):
        bring(tmp_path, *GAP, actions=state(tmp_path, "2024-01-04,dividend,7"))
    with pytest.raises(
        ImportRefused, match=r"dividend 5 \(special\) of X on .* the recorded dividend 5 \(without a note\)"
    ):
        bring(tmp_path, *GAP, actions=state(tmp_path, "2024-01-04,dividend,5,special"))
    both = state(tmp_path, "2024-01-04,dividend,5", "2024-01-04,dividend,7,special")
    assert said(bring(tmp_path, *GAP, actions=both)) == [("2024-01-04", 0, 0, 7_0000)]


@pytest.mark.parametrize(
    "lines",
    [
        ("2024-01-02,dividend,5", "2024-01-02,dividend,5.00"),
        ("2024-01-02,split,2:1", "2024-01-02,split,4:2"),
        ("2024-01-02,dividend,5,special", "2024-01-02,dividend,5,Special"),
    ],
)
def test_a_line_that_says_the_same_is_refused(tmp_path, lines):
    with pytest.raises(ImportRefused, match=r"actions.csv:2: says the same as line 1: leave one out; .* a note in a"):
        bring(tmp_path, *GAP, actions=state(tmp_path, *lines))
