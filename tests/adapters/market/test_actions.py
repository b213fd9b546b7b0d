"""Splits and dividends: the sample's known ones, stated ones, and contradictions."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from adapters.market.importer import import_files
from adapters.market.options import ImportOptions
from adapters.market.reader import read_actions
from adapters.market.samples import SAMPLE_OPTIONS, sample_path
from adapters.market.tape import tapes_folder
from adapters.market.verify import verify_tape
from adapters.market.zones import show_time
from kernel.errors import ImportRefused

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
