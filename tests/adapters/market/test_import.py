"""Files to tapes: what goes in comes out, and what must not go in is refused with its reason."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.market.importer import import_files
from adapters.market.instruments import Instrument, Registry
from adapters.market.options import ImportOptions
from adapters.market.reader import bar_batches
from adapters.market.tape import list_tapes, tapes_folder
from adapters.market.verify import verify_tape
from adapters.market.zones import MINUTE
from kernel.errors import ConfigError, ImportRefused, NotFound

HEAD = "datetime,open,high,low,close,volume\n"
ROW1 = "2024-01-01 09:15:00,100,101,99,100.5,10\n"
ROW2 = "2024-01-01 09:16:00,100.5,102,100,101.05,20\n"


def ns(text: str, tz: str = "Asia/Kolkata") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp()) * 10**9


def write(folder: Path, text: str, name: str = "INFY.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def stored(home: Path, name: str) -> dict[str, np.ndarray]:
    batches = list(bar_batches(tapes_folder(home) / name))
    return {key: np.concatenate([b[key] for b in batches]) for key in batches[0]}


def bring(tmp_path: Path, text: str, **options):
    return import_files(tmp_path / "home", [write(tmp_path, text)], ImportOptions(**options))


def test_minute_csv(tmp_path):
    report = bring(tmp_path, HEAD + ROW1 + ROW2)
    assert (report.tapes, report.new, report.refused) == (["INFY"], 2, False)
    rows = stored(tmp_path / "home", "INFY")
    assert rows["close"].tolist() == [1005000, 1010500]
    assert rows["ts_init"].tolist() == [ns("2024-01-01 09:16"), ns("2024-01-01 09:17")]
    assert rows["span"].tolist() == [MINUTE, MINUTE]
    verify_tape(tapes_folder(tmp_path / "home") / "INFY")
    assert Registry.load(tmp_path / "home").find("INFY").tick == 1


def test_stamp_close_and_span(tmp_path):
    bring(tmp_path, HEAD + ROW1, stamp="close", span="5m")
    rows = stored(tmp_path / "home", "INFY")
    assert rows["ts_init"].tolist() == [ns("2024-01-01 09:15")] and rows["span"][0] == 5 * MINUTE


@pytest.mark.parametrize(
    "stamp",
    [
        "2024-02-13",
        "20240213",
        "13-02-2024",
        "13/02/2024",
        "02/13/2024",
        "13-Feb-2024",
        "13-FEB-24",
        "13 Feb 2024",
        "2024-02-13 00:00:00+05:30",
        "2024-02-13T00:00:00Z",
        "1707762600",
        "1707762600000",
        "1707762600000000",
        "1707762600000000000",
    ],
)
def test_dates_become_daily_bars(tmp_path, stamp):
    bring(tmp_path, "Date,Open,High,Low,Close,Volume\n" + f"{stamp},1,2,1,2,3\n")
    rows = stored(tmp_path / "home", "INFY")
    assert rows["ts_init"].tolist() == [ns("2024-02-13 15:30")]
    assert rows["span"].tolist() == [ns("2024-02-13 15:30") - ns("2024-02-13 00:00")]


@pytest.mark.parametrize(
    "stamp",
    [
        "13-02-2024 09:15",
        "20240213 09:15:00",
        "202402130915",
        "20240213 0915",
        "20240213;0915",
        "20240213 091500",
        "2024-02-13 0915",
        "13-02-2024 0915",
        "2024-02-13T09:15:00+05:30",
        "2024-02-13 03:45Z",
        "1707795900",
    ],
)
def test_times(tmp_path, stamp):
    bring(tmp_path, HEAD + f"{stamp},1,2,1,2,3\n", span="1m")
    assert stored(tmp_path / "home", "INFY")["ts_init"].tolist() == [ns("2024-02-13 09:16")]


def test_date_and_time_columns(tmp_path):
    bring(tmp_path, "date,time,o,h,l,c,v\n20240213,09:15,1,2,1,2,3\n20240213,09:16,1,2,1,2,3\n")
    assert stored(tmp_path / "home", "INFY")["ts_init"][0] == ns("2024-02-13 09:16")


@pytest.mark.parametrize("times", [("0915", "1005"), ("915", "1005"), ("91500", "100500"), ("09:15", "10:05")])
@pytest.mark.parametrize("day", ["20240213", "2024-02-13", "13-02-2024"])
def test_times_of_day_as_numbers(tmp_path, day, times):
    rows = "".join(f"{day};{time};1;2;1;2;3\n" for time in times)
    bring(tmp_path, "date;time;open;high;low;close;volume\n" + rows, span="1m")
    got = stored(tmp_path / "home", "INFY")["ts_init"].tolist()
    assert got == [ns("2024-02-13 09:16"), ns("2024-02-13 10:06")]


def test_no_time_of_day(tmp_path):
    head = HEAD.replace("datetime", "date,time")
    found = bring(tmp_path, head + "20240213,0915,1,2,1,2,3\n20240213,0960,1,2,1,2,3\n")
    assert "time is '20240213 09:60': no such time" in found.files[0].findings[0].message


def test_off_tick_prices_are_refused_with_the_ways_out_or_rounded_as_asked(tmp_path):
    text = HEAD + "2024-01-01,101.123456,101.15,101.024999,101.075,5\n2024-01-02,101.1,101.2,101,101.15,5\n"
    for tick in ("auto", "0.05"):
        report = bring(tmp_path, text, tick=tick)
        assert report.refused and not report.tapes
        assert "--tick auto" in report.notes[0] and "--round-to-tick" in report.notes[0]
    report = bring(tmp_path, text, tick="0.05", round_to_tick=True)
    assert report.notes[0].endswith("INFY.csv: the prices of 1 rows were rounded to the tick, by 0.025 at most")
    rows = stored(tmp_path / "home", "INFY")
    assert [rows[name][0] for name in ("open", "high", "low", "close")] == [1011000, 1011500, 1010000, 1011000]
    assert list_tapes(tmp_path / "home")[0].options["round_to_tick"] is True
    again = bring(tmp_path, text, tick="0.05", round_to_tick=True)
    assert (again.new, again.files[0].skipped) == (0, 2)


def test_rounding_of_floats_and_what_it_leaves_alone(tmp_path):
    prices = {"open": [10.06, 10.05], "high": [10.1, 10.1], "low": [10.0, 9.0], "close": [10.05, None]}
    pq.write_table(pa.table({"date": [20240101, 20240102], **prices}), tmp_path / "A.parquet")
    found = import_files(tmp_path / "x", [tmp_path / "A.parquet"], ImportOptions(tick="0.05", round_to_tick=True))
    assert [f.message for f in found.files[0].findings] == ["close is missing"]
    pq.write_table(pa.table({"date": [20240101], **{k: v[:1] for k, v in prices.items()}}), tmp_path / "B.parquet")
    import_files(tmp_path / "y", [tmp_path / "B.parquet"], ImportOptions(tick="0.05", round_to_tick=True))
    assert stored(tmp_path / "y", "B")["open"].tolist() == [100500]
    csv = HEAD + '2024-01-01,"1,234.567891",1235,1234,1234.5,5\n'
    report = bring(tmp_path, csv, tick="auto", round_to_tick=True)
    assert stored(tmp_path / "home", "INFY")["open"].tolist() == [12345679] and len(report.notes) == 1


def test_ambiguous_dates(tmp_path):
    text = HEAD + "01/02/2024,1,2,1,2,3\n02/02/2024,1,2,1,2,3\n"
    with pytest.raises(ImportRefused, match="day/month or month/day and no row shows which: give date_format"):
        bring(tmp_path, text)
    bring(tmp_path, text, date_format="%d/%m/%Y")
    assert stored(tmp_path / "home", "INFY")["ts_init"][0] == ns("2024-02-01 15:30")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2024-01-01 09:16:00,,2,1,2,3", "open is missing"),
        ("2024-01-01 09:16:00,NaN,2,1,2,3", "open is missing"),
        ("2024-01-01 09:16:00,1,2,1,x,3", "close is 'x', which is not a number"),
        ("2024-01-01 09:16:00,1,2,1,2,", "volume is missing"),
        ("2024-01-01 09:16:00,0,2,0,2,3", "open 0 is not positive"),
        ("2024-01-01 09:16:00,1,2,-1,2,3", "low -1 is not positive"),
        ("2024-01-01 09:16:00,1,2,1.5,2,3", "low 1.5 is above open 1 or close 2"),
        ("2024-01-01 09:16:00,1,1.5,1,2,3", "high 1.5 is below open 1 or close 2"),
        ("2024-01-01 09:16:00,1,1,2,1,3", "high 1 is below low 2"),
        ("2024-01-01 09:16:00,1,2,1,2,-3", "volume -3 is negative"),
        ("2024-01-01 09:16:00,1,2,1,2,3.5", "volume 3.5 is fractional: quantities are whole numbers"),
        ("2024-01-01 09:16:00,1.00001,2,1,2,3", "open 1.00001 is off the tick: prices hold 4 decimals"),
        ("2024-01-01 09:16:00,1.03,2,1,2,3", "open 1.03 is off the tick 0.05"),
        (
            "2024-01-01 09:16:00,1,8000000000,1,2,3",
            "high is 8000000000, beyond the largest price 7036874417.7664",
        ),
        ("2024-01-01 09:15:00,1,2,1,2,3", "time 2024-01-01 09:15:00+05:30 of INFY repeats that of line 2"),
        ("2024-01-01 09:14:00,1,2,1,2,3", "time of INFY goes back to 2024-01-01 09:14:00+05:30 from"),
        (
            "yesterday,1,2,1,2,3",
            "time is 'yesterday': no such time, or not written like the first, '2024-01-01 09:15:00'",
        ),
        ("2024-02-30 09:16:00,1,2,1,2,3", "time is '2024-02-30 09:16:00'"),
        ("2024-01-01,1,2,1,2,3", "time is '2024-01-01'"),
        ("2024-01-01 09:16:00,1,2,1,2", "has 5 columns, the header names 6"),
    ],
)
def test_bad_rows(tmp_path, row, message):
    report = bring(tmp_path, HEAD + ROW1 + "\n" + row + "\n" + "2024-01-01 09:18:00,1,2,1,2,3\n", tick="0.05")
    file = report.files[0]
    assert report.refused and not report.tapes and file.new == 0
    assert message in file.findings[0].message, file.findings
    assert file.findings[0].line == 4  # the blank line counts
    assert not list_tapes(tmp_path / "home")


def test_twenty_findings_are_shown_and_others_go_on(tmp_path):
    bad = write(tmp_path, HEAD + "".join(f"2024-01-01 09:{m:02}:00,0,2,0,2,3\n" for m in range(40)), "BAD.csv")
    good = write(tmp_path, HEAD + ROW1 + ROW2, "GOOD.csv")
    report = import_files(tmp_path / "home", [bad, good])
    assert report.refused and report.files[0].findings_total == 80 and len(report.files[0].findings) == 20
    assert [i.symbol for i in report.instruments] == ["GOOD"] and report.new == 2


def test_thousands_separators_and_blank_lines(tmp_path):
    bring(tmp_path, HEAD + '2024-01-01,"12,34,567.50","12,34,568.00","1,000.00","1,000.05","1,234"\n\n\n')
    rows = stored(tmp_path / "home", "INFY")
    assert (rows["open"][0], rows["close"][0], rows["volume"][0]) == (12345675000, 10000500, 1234)


def test_columns(tmp_path):
    with pytest.raises(ImportRefused, match="no column for date or datetime, close among 'x', 'open'"):
        bring(tmp_path, "x,open,high,low\n1,2,3,4\n")
    text = "x,open,high,low,final\n2024-01-01,1,2,1,2\n"
    bring(tmp_path, text, columns={"date": "x", "close": "final"})
    with pytest.raises(ImportRefused, match="could both be open: choose with --map open=COLUMN"):
        bring(tmp_path, "date,open,OPEN,high,low,close\n")
    with pytest.raises(ConfigError, match="no such field"):
        bring(tmp_path, text, columns={"price": "x"})
    with pytest.raises(NotFound, match="check the spelling"):
        import_files(tmp_path / "home", [tmp_path / "none.csv"])


def test_options():
    for wrong, message in [
        ({"tick": "0.00001"}, "tick is"),
        ({"span": "1d"}, "span is"),
        ({"stamp": "middle"}, "stamp is"),
        ({"session_close": "25:00"}, "session_close is"),
        ({"tz": "Mars/Olympus"}, "not a time zone"),
        ({"name": "../x"}, "tape name"),
        ({"currency": "rupee"}, "currency is"),
        ({"lot": 0}, "lot is"),
    ]:
        with pytest.raises(ConfigError, match=message):
            ImportOptions(**wrong).check()


def test_again_overlap_and_difference(tmp_path):
    home, row3 = tmp_path / "home", "2024-01-01 09:17:00,101,102,100,101,30\n"
    bring(tmp_path, HEAD + ROW1 + ROW2)
    again = bring(tmp_path, HEAD + ROW1 + ROW2)
    assert (again.tapes, again.new, again.files[0].skipped, again.refused) == ([], 0, 2, False)
    more = bring(tmp_path, HEAD + ROW1 + ROW2 + row3)
    assert (more.tapes, more.new, more.files[0].skipped) == (["INFY-2"], 1, 2)
    changed = bring(tmp_path, HEAD + ROW1 + ROW2.replace("101.05", "101.10") + row3)
    assert changed.refused and not changed.tapes
    assert str(changed.files[0].findings[0]).endswith(
        "INFY.csv:3: INFY at 2024-01-01 09:17:00+05:30: close 101.1 differs from 101.05 on tape INFY: "
        "recorded bars never change; correct the file, or import into another home"
    )
    assert [t.name for t in list_tapes(home)] == ["INFY", "INFY-2"]


def test_files_of_one_command(tmp_path):
    folder = tmp_path / "minutes"
    folder.mkdir()
    for name in ("TCS", "INFY"):
        write(folder, HEAD + ROW1 + ROW2, f"{name}.csv")
    report = import_files(tmp_path / "home", [folder])
    assert report.tapes == ["minutes"] and [i.symbol for i in report.instruments] == ["INFY", "TCS"]
    assert stored(tmp_path / "home", "minutes")["instrument"].tolist() == [0, 1, 0, 1]
    one = write(tmp_path, "symbol," + HEAD + "A," + ROW1 + "A," + ROW2, "one.csv")
    two = write(tmp_path, "symbol," + HEAD + "A," + ROW2.replace("101.05", "101.1"), "two.csv")
    report = import_files(tmp_path / "home", [one, two], ImportOptions(span="1m"))
    assert not report.files[0].refused and report.files[0].new == 2
    assert "close 101.1 differs from 101.05 in" in report.files[1].findings[0].message


def test_terms_of_a_known_symbol(tmp_path):
    bring(tmp_path, HEAD + ROW1 + ROW2, tick="auto")
    assert Registry.load(tmp_path / "home").find("INFY").tick == 500
    with pytest.raises(ConfigError, match=r"INFY is already instrument 0 with tick 0\.05, and this import says 0.01"):
        bring(tmp_path, HEAD + ROW1 + ROW2, tick="0.01")
    with pytest.raises(ConfigError, match="with currency INR"):
        bring(tmp_path, HEAD + ROW1 + ROW2, currency="USD")


def test_new_york_clock_changes(tmp_path):
    ny = {"tz": "America/New_York", "currency": "USD"}
    days = "".join(f"{d},1,2,1,2,3\n" for d in ("2024-03-08", "2024-03-11", "2024-11-01", "2024-11-04"))
    bring(tmp_path, "date,o,h,l,c,v\n" + days, **ny)
    ends = stored(tmp_path / "home", "INFY")["ts_init"]
    assert [datetime.fromtimestamp(int(t) // 10**9, ZoneInfo("UTC")).hour for t in ends] == [21, 20, 20, 21]
    for stamp in ("2024-11-03 01:30:00", "2024-03-10 02:30:00"):
        report = import_files(
            tmp_path / stamp[:10],
            [write(tmp_path, HEAD + f"{stamp},1,2,1,2,3\n")],
            ImportOptions(span="1m", **ny),
        )
        assert "exists twice or not at all in America/New_York" in report.files[0].findings[0].message


def test_parquet_floats_and_empty_rows(tmp_path):
    table = pa.table({"symbol": ["A", "A", "A"], "ts": pa.array([0, 60, 120], pa.timestamp("s", "UTC")),
                      "open": [101.05, None, 0.1 + 0.2], "high": [101.1, None, 1.0],
                      "low": [101.0, None, 0.1],
                      "close": [101.05, None, 0.3], "volume": [1.0, None, 5.0]})  # fmt: skip
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    assert import_files(tmp_path / "x", [path]).files[0].findings[0].message == "open is missing"
    report = import_files(tmp_path / "home", [path], ImportOptions(skip_empty=True, tick="0.05", span="1m"))
    assert (report.new, report.files[0].empty) == (2, 1)
    assert stored(tmp_path / "home", "a")["open"].tolist() == [1010500, 3000]
    pq.write_table(table.slice(0, 1).set_column(2, "open", pa.array([101.06])), path)
    found = import_files(tmp_path / "y", [path], ImportOptions(tick="0.05", span="1m")).files[0].findings
    assert found[0].message == "open 101.06 is off the tick 0.05" and found[0].line == 1


def test_rows_in_any_order(tmp_path):
    rows = [f"2024-01-{d:02d} 09:{m}:00,{d},{d + 1},{d},{d},{m}\n" for d in (1, 2) for m in (15, 16, 17)]
    straight = import_files(tmp_path / "a", [write(tmp_path, HEAD + "".join(rows))], ImportOptions(name="x"))
    newest_first = write(tmp_path, HEAD + "".join(reversed(rows)))
    assert "import it with --sort" in import_files(tmp_path / "b", [newest_first]).files[0].findings[0].message
    turned = import_files(tmp_path / "b", [newest_first], ImportOptions(name="x", sort=True))
    assert turned.new == straight.new == 6
    assert {n: c.tolist() for n, c in stored(tmp_path / "b", "x").items()} == {
        n: c.tolist() for n, c in stored(tmp_path / "a", "x").items()
    }
    twice = write(tmp_path, HEAD + rows[0] + rows[1] + rows[0])
    found = import_files(tmp_path / "c", [twice], ImportOptions(sort=True)).files[0].findings
    assert "repeats that of line" in found[0].message


price = st.integers(1, 2**36)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(price, price, price, price, st.integers(0, 2**40)), min_size=2, max_size=30),
    st.booleans(),
)
def test_round_trip(tmp_path_factory, bars, as_parquet):
    folder = tmp_path_factory.mktemp("trip")
    begin = datetime(2024, 1, 1, 9, 15)
    rows = [
        (begin + timedelta(minutes=i), o, max(o, h, lo, c), min(o, h, lo, c), c, v)
        for i, (o, h, lo, c, v) in enumerate(bars)
    ]
    if as_parquet:
        path = folder / "X.parquet"
        columns = list(zip(*rows, strict=True))
        data = {n: [x / 10_000 for x in columns[i]] for i, n in enumerate(("open", "high", "low", "close"), 1)}
        pq.write_table(pa.table({"ts": columns[0], **data, "volume": columns[5]}), path)
    else:
        lines = (f"{t},{','.join(f'{x // 10_000}.{x % 10_000:04}' for x in px)},{v}\n" for t, *px, v in rows)
        path = write(folder, HEAD + "".join(lines), "X.csv")
    report = import_files(folder / "home", [path])
    assert not report.refused, report.files[0].findings
    got = stored(folder / "home", "X")
    for place, name in enumerate(("open", "high", "low", "close", "volume"), 1):
        assert got[name].tolist() == [row[place] for row in rows]


def test_manifest_is_independent_of_place(tmp_path):
    for home in ("a", "b"):
        import_files(tmp_path / home, [write(tmp_path, HEAD + ROW1 + ROW2)])
    one, two = ((tapes_folder(tmp_path / h) / "INFY" / "manifest.json").read_bytes() for h in "ab")
    assert one == two and str(tmp_path) not in one.decode() and json.loads(one)["bars"] == 2


def test_progress(tmp_path):
    seen = []
    import_files(tmp_path / "home", [write(tmp_path, HEAD + ROW1 + ROW2)], ImportOptions(), lambda *a: seen.append(a))
    assert seen[-1] == (2, 2, "INFY.csv")


def test_epoch_units_are_not_mixed_and_dates_exist(tmp_path):
    mixed = bring(tmp_path, HEAD + "1707795900,1,2,1,2,3\n1707795960000,1,2,1,2,3\n", span="1m")
    assert "time is '1707795960000': no such time" in mixed.files[0].findings[0].message
    rolled = bring(tmp_path, HEAD + "13-04-2024 09:15,1,2,1,2,3\n31-04-2024 09:16,1,2,1,2,3\n", span="1m")
    assert "time is '31-04-2024 09:16': no such time" in rolled.files[0].findings[0].message


def test_bars_of_two_files_that_overlap(tmp_path):
    """Minutes beside days, or one vendor's stamps beside another's: every move would be there twice."""
    minutes = write(tmp_path, HEAD + ROW1 + ROW2, "INFY.csv")
    shifted = write(tmp_path, ("symbol," + HEAD + "INFY," + ROW1 + "INFY," + ROW2).replace(":00,", ":59,"), "late.csv")
    report = import_files(tmp_path / "a", [minutes, shifted])
    assert not report.files[0].refused and "overlaps that of 1m in" in report.files[1].findings[0].message
    day = write(tmp_path, "symbol,date,open,high,low,close\nINFY,2024-01-01,100,102,99,101\n", "day.csv")
    report = import_files(tmp_path / "b", [day, minutes])
    assert (
        "the bar of INFY of 1m up to 2024-01-01 09:17:00+05:30 overlaps that of 930m in"
        in report.files[1].findings[0].message
    )
    next_day = write(tmp_path, "symbol,date,open,high,low,close\nINFY,2024-01-02,100,102,99,101\n", "next.csv")
    assert not import_files(tmp_path / "c", [minutes, next_day]).refused


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("13-02-2024,1,2,1,2,3\n14-02-24,1,2,1,2,3\n", "time is '14-02-24': no such time"),  # the year 24
        ("13-02-9999 09:15,1,2,1,2,3\n", "time is '13-02-9999 09:15': no such time"),
        ("9999-02-13,1,2,1,2,3\n", "time is '9999-02-13': no such time"),
        ("99999999999,1,2,1,2,3\n", "time is '99999999999': no such time"),
        ("2024-01-01 09:15:00,1_0,20,1_0,20,3\n", "open is '1_0', which is not a number"),
        ("2024-01-01 09:15:00,1,2,1,2,3_0\n", "volume is '3_0', which is not a number"),
    ],
)
def test_what_would_become_another_time_or_number(tmp_path, rows, message):
    report = bring(tmp_path, HEAD + rows, span="1m", sort=True)
    assert message in str(report.files[0].findings[0]) and not report.tapes


def test_parts_of_a_second_are_kept(tmp_path):
    text = HEAD + "13-02-2024 09:15:00.400,1,2,1,2,3\n13-02-2024 09:16:00.600,1,2,1,2,3\n"
    bring(tmp_path, text, stamp="close", span="30s", date_format="%d-%m-%Y %H:%M:%S.%f")
    begin = ns("2024-02-13 09:15")
    assert stored(tmp_path / "home", "INFY")["ts_init"].tolist() == [begin + 400_000_000, begin + 60_600_000_000]
    times = pa.array([33_300_400_000, 33_360_600_000], pa.time64("us"))
    prices = {name: [1.0, 1.0] for name in ("open", "high", "low", "close")}
    pq.write_table(
        pa.table({"date": [datetime(2024, 2, 13).date()] * 2, "time": times, **prices}), tmp_path / "T.parquet"
    )
    import_files(tmp_path / "other", [tmp_path / "T.parquet"], ImportOptions(stamp="close", span="30s"))
    assert stored(tmp_path / "other", "T")["ts_init"].tolist() == [begin + 400_000_000, begin + 60_600_000_000]


@pytest.mark.parametrize("times", [[20240231, 20240301], pa.array([datetime(2300, 1, 1)] * 2, pa.timestamp("us"))])
def test_typed_times_that_are_none(tmp_path, times):
    prices = {name: [1.0, 1.0] for name in ("open", "high", "low", "close")}
    pq.write_table(pa.table({"date": times, **prices}), tmp_path / "T.parquet")
    with pytest.raises(ImportRefused, match="its time column holds what is no time"):
        import_files(tmp_path / "home", [tmp_path / "T.parquet"])


@pytest.mark.parametrize("times", [[""], [" 09:15:00", " 09:16:00"], [" 09:15:00+05:30", " 09:16:00+05:30"]])
def test_prices_are_on_the_tick_of_their_day(tmp_path, times):
    """INFY's tick became 0.10 on the 3rd: a price of 0.05 is right before and wrong from then on."""

    def rows(day: str, px: float) -> str:
        return "".join(f"{day}{time},100,101,99,{px},1\n" for time in times)

    registry = Registry.load(tmp_path / "home")
    registry.add([Instrument(-1, "INFY", 500)])
    registry.change("INFY", "2024-01-03", tick=1000)
    registry.save()
    report = bring(tmp_path, HEAD + rows("2024-01-01", 100.05) + rows("2024-01-02", 99.95) + rows("2024-01-03", 100.1))
    assert (report.new, report.refused) == (3 * len(times), False)
    late = HEAD + rows("2024-01-04", 100.05)
    report = bring(tmp_path, late)
    assert report.refused and report.files[0].findings[0].message == "close 100.05 is off the tick 0.1"
    assert bring(tmp_path, late, round_to_tick=True).new == len(times)
    report = bring(tmp_path, HEAD + rows("2023-12-29", 100.07))
    assert report.files[0].findings[0].message == "close 100.07 is off the tick 0.05"
