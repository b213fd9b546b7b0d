"""Calendars: phases in order and in their day, the dates that matter, coverage, overrides, timers, the Upstox list."""

import json
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.reference.sessions import calendars, load, overrides_of
from adapters.reference.sessions_codes import TRADING, PhaseKind
from adapters.reference.sessions_timers import timers
from adapters.reference.sessions_upstox import CALENDARS, from_upstox, import_holidays
from kernel.codes import TimerCode
from kernel.errors import ConfigError

MINUTE = 60 * 10**9
INDIA = ("NSE_EQ", "NSE_EQ_CAS", "NSE_FO", "BSE_EQ", "BSE_EQ_CAS", "BSE_FO")
LOADED = {name: load(name) for name in calendars()}
DRILLS = {date(2024, 3, 2), date(2024, 5, 18)}
HALT = date(2021, 2, 24)


def ns(text: str, tz: str = "Asia/Kolkata") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp()) * 10**9


def hours(name: str, day: str) -> list[str]:
    """The phases of a day as texts such as `CONTINUOUS 09:15-15:30`."""
    calendar, when = LOADED[name], date.fromisoformat(day)
    found = calendar.phases(when, when)
    return [
        f"{PhaseKind(k).name} {calendar.show(a, when)}-{calendar.show(b, when)}"
        for k, a, b in zip(found.kind.tolist(), found.start.tolist(), found.end.tolist(), strict=True)
    ]


def trading_minutes(name: str, day: date) -> int:
    return sum(end - start for start, end, _ in LOADED[name].session_of(day).parts) // MINUTE


def refusal(call, *arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def override(folder: Path, text: str, name: str = "sessions.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_numbers_never_change():
    assert {k.name: int(k) for k in PhaseKind} == {
        "CLOSED": 0, "PRE_OPEN": 1, "CONTINUOUS": 2, "CLOSING_AUCTION": 3, "POST_CLOSE": 4, "SPECIAL": 5,
    }  # fmt: skip
    assert {c.name: int(c) for c in TimerCode} == {
        "SESSION_CLOSE": 1, "DAY_END": 2, "SESSION_OPEN": 3, "SQUARE_OFF": 4, "CLOSING_AUCTION": 5,
        "BAR_CLOSE": 6,
        "CLOCK": 10_000,
    }  # fmt: skip


@pytest.mark.parametrize("name", [*INDIA, "XNYS"])
def test_phases_are_sorted_apart_and_within_their_day(name):
    calendar = LOADED[name]
    found = calendar.phases(calendar.first_day, calendar.last_day)
    assert (found.start < found.end).all() and (found.end[:-1] <= found.start[1:]).all()
    assert (found.start <= found.orders_start).all() and (found.orders_end <= found.end).all()
    offset = {"Asia/Kolkata": 330}.get(calendar.zone, -300) * MINUTE
    day = 86_400 * 10**9
    assert ((found.start + offset) // day == (found.end + offset - 1) // day).all()


@given(st.sampled_from(sorted(LOADED)), st.integers(0, 2920), st.integers(0, 86_399))
def test_answers_agree(name, offset, second):
    """phase_at, next_open, previous_close, session_of and phases say the same of any moment."""
    calendar = LOADED[name]
    day = date(2019, 1, 1) + timedelta(days=min(offset, 2900))
    ts = calendar.local_ns(day, second) if name != "XNYS" or day.weekday() < 5 else calendar.local_ns(day, 43_200)
    found = calendar.phases(day, day)
    inside = np.flatnonzero((found.start <= ts) & (ts < found.end))
    assert calendar.phase_at(ts) == (int(found.kind[inside[0]]) if len(inside) else PhaseKind.CLOSED)
    session = calendar.session_of(day)
    assert (session is not None) == calendar.is_trading_day(day) == (calendar.closed_because(day) == "")
    opened = calendar.next_open(ts)
    assert opened > ts and calendar.phase_at(opened) in TRADING
    assert calendar.phase_at(opened - 1) not in TRADING or name == "ALWAYS"
    if session and ts >= session.close:
        assert calendar.previous_close(ts) == session.close
    if day > date(2019, 1, 7):
        assert calendar.previous_close(ts) <= ts


def test_an_ordinary_nse_day_has_375_minutes():
    for name in INDIA:
        calendar = LOADED[name]
        until = {"EQ": calendar.last_day}.get(name[4:], date(2026, 7, 31))
        days = [date(2019, 1, 1) + timedelta(days=k) for k in range((until - date(2019, 1, 1)).days + 1)]
        ordinary = [day for day in days if calendar.has_usual_hours(day)]
        assert len(ordinary) > 1_800
        assert {trading_minutes(name, day) for day in ordinary[::7]} == {375}


def test_the_change_of_2026_08_03():
    pre = "PRE_OPEN 09:00-09:15"
    assert hours("NSE_EQ_CAS", "2026-07-31") == [pre, "CONTINUOUS 09:15-15:30", "POST_CLOSE 15:40-16:00"]
    for name in ("NSE_EQ_CAS", "BSE_EQ_CAS"):
        assert hours(name, "2026-08-03") == [
            pre, "CONTINUOUS 09:15-15:15", "CLOSING_AUCTION 15:15-15:35", "POST_CLOSE 15:50-16:00",
        ]  # fmt: skip
    assert hours("NSE_EQ", "2026-08-03") == [pre, "CONTINUOUS 09:15-15:30", "POST_CLOSE 15:50-16:00"]
    assert hours("NSE_FO", "2026-07-31")[-1] == "CONTINUOUS 09:15-15:30"
    assert hours("NSE_FO", "2026-08-03") == hours("BSE_FO", "2026-08-03") == [pre, "CONTINUOUS 09:15-15:40"]
    assert hours("NSE_FO", "2025-12-05") == ["CONTINUOUS 09:15-15:30"] and hours("NSE_FO", "2025-12-08")[0] == pre
    auction = LOADED["NSE_EQ_CAS"].phases(date(2026, 8, 3), date(2026, 8, 3))
    assert auction.orders_start[2] == ns("2026-08-03 15:20") and auction.orders_end[2] == ns("2026-08-03 15:30")
    session = LOADED["NSE_EQ_CAS"].session_of(date(2026, 8, 3))
    assert session.close == ns("2026-08-03 15:35") and session.auctions == (ns("2026-08-03 15:15"),)
    assert any("until 15:30" in note for note in LOADED["NSE_EQ"].unverified(date(2026, 8, 3)))
    assert LOADED["NSE_EQ"].unverified(date(2026, 7, 31)) == ()


@pytest.mark.parametrize(
    ("day", "start"),
    [
        ("2019-10-27", "18:15"), ("2020-11-14", "18:15"), ("2021-11-04", "18:15"), ("2022-10-24", "18:15"),
        ("2023-11-12", "18:15"), ("2024-11-01", "18:00"), ("2025-10-21", "13:45"),
    ],
)  # fmt: skip
def test_muhurat(day, start):
    for name in INDIA:
        session = LOADED[name].session_of(date.fromisoformat(day))
        assert session.name == "Muhurat trading"
        assert (session.open, session.close) == (ns(f"{day} {start}"), ns(f"{day} {start}") + 60 * MINUTE)
        assert LOADED[name].phase_at(session.open) is PhaseKind.SPECIAL
        cash = "EQ" in name
        assert (LOADED[name].phase_at(session.open - 1) is PhaseKind.PRE_OPEN) == cash
        assert (LOADED[name].phase_at(session.close + 10 * MINUTE) is PhaseKind.POST_CLOSE) == cash


def test_the_muhurat_session_of_2026_is_not_guessed():
    day = date(2026, 11, 8)
    assert not LOADED["NSE_FO"].is_trading_day(day) and "times unknown" in LOADED["NSE_FO"].closed_because(day)
    assert "unknown" in LOADED["NSE_FO"].unverified(day)[0]


def test_weekend_sessions():
    for text in ("2020-02-01", "2024-01-20", "2025-02-01", "2026-02-01"):
        assert date.fromisoformat(text).weekday() > 4
        for name in INDIA:
            assert hours(name, text)[-1 if "FO" in name else 1] == "CONTINUOUS 09:15-15:30"
    for day in DRILLS:
        parts = LOADED["NSE_FO"].session_of(day).parts
        assert [(end - start) // MINUTE for start, end, _ in parts] == [45, 60]
    weekends = {
        day
        for day in (date(2019, 1, 1) + timedelta(days=k) for k in range(2922))
        if day.weekday() > 4 and LOADED["NSE_EQ"].is_trading_day(day)
    }
    assert len(weekends) == 4 + len(DRILLS) + 3  # muhurat of 2019, 2020, 2023
    assert "SPECIAL" not in "".join(hours("BSE_EQ", "2021-02-24"))
    assert hours("NSE_FO", str(HALT)) == ["CONTINUOUS 09:15-11:40", "CONTINUOUS 15:45-17:00"]
    assert hours("BSE_FO", str(HALT)) == ["CONTINUOUS 09:15-17:00"]


def test_holidays_have_names():
    nse = LOADED["NSE_EQ"]
    assert nse.closed_because(date(2024, 1, 22)) == "Ram Mandir consecration"
    assert nse.closed_because(date(2023, 6, 29)) == "Bakri Id" and nse.is_trading_day(date(2023, 6, 28))
    assert nse.closed_because(date(2026, 1, 25)) == "weekend" and nse.session_of(date(2026, 1, 26)) is None
    assert len(nse.phases(date(2026, 1, 24), date(2026, 1, 26)).kind) == 0
    assert LOADED["XNYS"].closed_because(date(2012, 10, 29)) == "Hurricane Sandy"


def test_new_york_keeps_its_wall_clock():
    new_york = LOADED["XNYS"]
    for text, utc in (
        ("2013-10-31", "13:30"),
        ("2013-11-04", "14:30"),
        ("2014-03-07", "14:30"),
        ("2014-03-10", "13:30"),
    ):
        session = new_york.session_of(date.fromisoformat(text))
        assert session.open == ns(f"{text} {utc}", "UTC") and session.close - session.open == 390 * MINUTE
    assert hours("XNYS", "2013-07-03") == ["CONTINUOUS 09:30-13:00"]
    assert sum(1 for _ in new_york.sessions(date(2013, 1, 1), date(2013, 12, 31))) == 252


def test_always_never_closes():
    always = LOADED["ALWAYS"]
    assert hours("ALWAYS", "2024-02-29") == ["CONTINUOUS 00:00-24:00"]
    assert always.next_open(ns("2024-12-31 12:00", "UTC")) == ns("2025-01-01", "UTC")
    due = timers(always, 7, ns("2024-01-01", "UTC"), ns("2024-01-02", "UTC"))
    assert [(t.code.name, t.calendar) for t in due] == [
        ("SESSION_CLOSE", 7), ("DAY_END", 7), ("SESSION_OPEN", 7), ("SESSION_CLOSE", 7), ("DAY_END", 7), ("SESSION_OPEN", 7),
    ]  # fmt: skip


def test_what_is_not_covered_is_refused():
    nse = LOADED["NSE_EQ"]
    for call in (nse.is_trading_day, nse.session_of, nse.closed_because, nse.unverified):
        assert "2019-01-01 to 2026-12-31: add the holidays of 2027" in refusal(call, date(2027, 1, 4))
    assert "2018-12-31 is outside" in refusal(nse.phases, date(2018, 12, 31), date(2019, 2, 1))
    assert "2027" in refusal(nse.next_open, ns("2026-12-31 16:00")) and "2018" in refusal(
        nse.previous_close, ns("2019-01-01 00:10")
    )
    assert "2027" in refusal(nse.phase_at, ns("2027-01-01 00:00"))
    assert "before" in refusal(nse.phases, date(2020, 2, 2), date(2020, 2, 1))
    assert "did you mean NSE_EQ?" in refusal(load, "NSE_EC")
    assert "known are" in refusal(load, "moon")


def test_timers_of_every_day():
    for name in ("NSE_EQ", "NSE_EQ_CAS", "NSE_FO", "XNYS"):
        calendar = LOADED[name]
        first, last = ns("2019-01-01", calendar.zone), ns("2026-12-31 23:00", calendar.zone)
        due = timers(calendar, 3, first, last, timedelta(minutes=10))
        assert due == sorted(due) and all(t.calendar == 3 for t in due)
        sessions = list(calendar.sessions(date(2019, 1, 1), date(2026, 12, 31)))
        by_code = {code: [t.ts for t in due if t.code is code] for code in TimerCode}
        assert by_code[TimerCode.SESSION_OPEN] == [part[0] for s in sessions for part in s.parts]
        assert by_code[TimerCode.SESSION_CLOSE] == [part[2] for s in sessions for part in s.parts]
        two = {s.day for s in sessions if len(s.parts) > 1}
        assert two == (set() if name == "XNYS" else DRILLS | {HALT})
        for code in (TimerCode.SQUARE_OFF, TimerCode.DAY_END):
            assert len(by_code[code]) == len(sessions)
        assert bool(by_code[TimerCode.CLOSING_AUCTION]) == (name == "NSE_EQ_CAS")
        assert all(
            s.open <= off < s.parts[-1][1] for s, off in zip(sessions, by_code[TimerCode.SQUARE_OFF], strict=True)
        )


@given(st.lists(st.integers(0, 40 * 86_400), min_size=2, max_size=6, unique=True))
def test_timers_in_pieces_are_the_timers_of_the_whole(cuts):
    """However a span is cut, every timer is due once."""
    nse = LOADED["NSE_EQ_CAS"]
    ends = [ns("2026-07-20") + cut * 10**9 for cut in sorted(cuts)]
    whole = timers(nse, 0, ends[0], ends[-1], time(15, 0))
    pieces = [timers(nse, 0, a, b - 1, time(15, 0)) for a, b in pairwise(ends)]
    assert [t for piece in pieces for t in piece] == [t for t in whole if t.ts < ends[-1]]


def square_offs(name: str, day: str, wanted) -> list[str]:
    due = timers(LOADED[name], 0, ns(f"{day} 00:00"), ns(f"{day} 23:59"), wanted)
    return [LOADED[name].show(t.ts, date.fromisoformat(day)) for t in due if t.code is TimerCode.SQUARE_OFF]


def test_square_off():
    assert square_offs("NSE_EQ", "2026-07-31", time(15, 20)) == ["15:20"]
    assert square_offs("NSE_EQ", "2026-07-31", timedelta(minutes=15)) == ["15:15"]
    assert square_offs("NSE_EQ_CAS", "2026-08-03", timedelta(minutes=15)) == ["15:00"]  # before the auction
    assert square_offs("NSE_FO", "2025-10-21", time(15, 20)) == ["14:35"]
    assert square_offs("NSE_FO", "2023-11-12", time(15, 20)) == ["19:05"]
    assert square_offs("NSE_FO", "2024-03-02", time(9, 30)) == ["11:30"]  # not before the last stretch opens
    assert square_offs("NSE_EQ", "2026-01-26", time(15, 20)) == []
    text = refusal(square_offs, "NSE_EQ_CAS", "2026-08-03", time(15, 20))
    assert "15:20" in text and "ends at 15:15 on 2026-08-03" in text
    for bad in (timedelta(0), timedelta(days=1), time(15, 20, tzinfo=UTC)):
        assert "square-off" in refusal(square_offs, "NSE_EQ", "2026-07-31", bad)


def test_overrides_win(tmp_path):
    file = override(
        tmp_path,
        """
[[holidays]]
of = ["NSE", "BSE_FO"]
days = { 2026-12-01 = "Election day" }
[[holidays]]
of = ["NSE_EQ"]
years = [2027, 2027]
days = { 2027-01-26 = "Republic Day" }
[[special]]
of = ["NSE"]
days = [2026-11-08]
name = "Muhurat trading"
phases = [{ kind = "SPECIAL", start = "18:00", end = "19:00" }]
[[special]]
of = ["NSE_EQ"]
days = [2026-11-10]
name = "Moved"
regular = true
[[special]]
of = ["NSE_EQ"]
days = [2026-02-01]
name = "Called off"
closed = true
[[template]]
of = ["NSE_EQ"]
from = 2026-12-10
phases = [{ kind = "CONTINUOUS", start = "10:00", end = "12:00", orders = ["10:00", "11:59"] }]
""",
    )
    nse, other = load("NSE_EQ", file), load("BSE_EQ", file)
    assert nse.closed_because(date(2026, 12, 1)) == "Election day" and other.is_trading_day(date(2026, 12, 1))
    assert load("BSE_FO", file).closed_because(date(2026, 12, 1)) == "Election day"
    assert nse.last_day == date(2027, 12, 31) and other.last_day == date(2026, 12, 31)
    assert nse.closed_because(date(2027, 1, 26)) == "Republic Day"
    assert nse.session_of(date(2026, 11, 8)).open == ns("2026-11-08 18:00") and not nse.unverified(date(2026, 11, 8))
    assert nse.is_trading_day(date(2026, 11, 10)) and nse.closed_because(date(2026, 2, 1)) == "Called off"
    assert nse.session_of(date(2026, 12, 10)).close == ns("2026-12-10 12:00")
    assert nse.session_of(date(2026, 12, 9)).close == ns("2026-12-09 15:30")
    assert load("XNYS", file).is_trading_day(date(2026, 12, 1))


def test_overrides_may_be_json_and_one_file_only(tmp_path):
    (tmp_path / "instruments").mkdir()
    assert overrides_of(tmp_path) is None
    file = tmp_path / "instruments" / "sessions.json"
    file.write_text(json.dumps({"holidays": [{"of": ["XNYS"], "days": {"2026-12-02": "A storm"}}]}))
    assert overrides_of(tmp_path) == file
    assert load("XNYS", file).closed_because(date(2026, 12, 2)) == "A storm"
    (tmp_path / "instruments" / "sessions.toml").touch()
    assert "both there" in refusal(overrides_of, tmp_path)


BAD = {
    "holiday = 1": "holiday is an unknown key, did you mean holidays? Known are template, holidays, special",
    "[holidays]\nof = 1": "holidays must be tables [[holidays]]",
    '[[holidays]]\nof = ["NSE"]': "holidays 1 lacks days",
    '[[holidays]]\nof = ["NSA"]\ndays = {}': '"NSA" is no calendar or exchange, did you mean NSE?',
    '[[holidays]]\nof = []\ndays = {}': "must be a list of calendars or exchanges",
    '[[holidays]]\nof = ["NSE"]\ndays = { 2026-2-1 = "x" }': '"2026-2-1" is no date: write YYYY-MM-DD',
    '[[holidays]]\nof = ["NSE"]\ndays = { 2026-02-02 = "" }': "must be one line of text",
    '[[holidays]]\nof = ["NSE"]\nyears = [2027, 2027]\ndays = { 2026-02-02 = "x" }': "2026-02-02 is not in its years",
    '[[holidays]]\nof = ["NSE"]\nyears = [2027]\ndays = {}': "must be [first, last]",
    '[[holidays]]\nof = ["NSE"]\nyears = [2028, 2028]\ndays = {}': "the holidays of 2028 but not of 2027",
    '[[special]]\nof = ["NSE"]\ndays = [2026-02-02]\nname = "x"': "needs one of phases",
    '[[special]]\nof = ["NSE"]\ndays = [2026-02-02]\nname = "x"\nclosed = false': "needs one of phases",
    '[[special]]\nof = ["NSE"]\ndays = 3\nname = "x"\nclosed = true': "days must be a list of dates",
    '[[special]]\nof = ["NSE"]\ndays = [2026-02-02T10:00:00]\nname = "x"\nclosed = true': "is no date",
    "phases = 4": "phases must be a list",
    'phases = [{ kind = "OPEN", start = "09:00", end = "10:00" }]': "kind must be one of PRE_OPEN, CONTINUOUS",
    'phases = [{ kind = "SPECIAL", start = "9:00", end = "10:00" }]': "must be a local time HH:MM",
    'phases = [{ kind = "SPECIAL", start = "09:00", end = "24:01" }]': "must be a local time HH:MM",
    'phases = [{ kind = "SPECIAL", start = "11:00", end = "10:00" }]': "must end after it starts",
    'phases = [{ kind = "SPECIAL", start = "09:00", end = "10:00", orders = ["08:00", "10:00"] }]': "inside it",
    'phases = [{ kind = "SPECIAL", start = "09:00", end = "10:00", until = 1 }]': "until is an unknown key",
    'phases = [{ kind = "POST_CLOSE", start = "09:00", end = "10:00" }]': "none is CONTINUOUS or SPECIAL",
    'phases = [{ kind = "SPECIAL", start = "09:00", end = "10:00" }, { kind = "SPECIAL", start = "09:30", end = "11:00" }]':
        "SPECIAL begins before SPECIAL has ended",
    "a = ": "is not valid TOML",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_a_bad_override_is_named(text, tmp_path):
    head = '[[special]]\nof = ["NSE"]\ndays = [2026-02-02]\nname = "x"\n' if text.startswith("phases") else ""
    file = override(tmp_path, head + text)
    message = refusal(load, "NSE_EQ", file)
    assert BAD[text] in message and message.startswith(str(file))


def entry(day: str, kind: str, closed=(), opened=(), name: str = "A day") -> dict:
    times = [
        {
            "exchange": exchange,
            **({"start_time": ns(f"{day} {a}") // 10**6, "end_time": ns(f"{day} {b}") // 10**6} if a else {}),
        }
        for exchange, a, b in opened
    ]
    return {
        "date": day,
        "description": name,
        "holiday_type": kind,
        "closed_exchanges": list(closed),
        "open_exchanges": times,
    }


ALL = list(CALENDARS)


def test_the_upstox_list_adds_what_is_news(tmp_path):
    listed = [
        entry("2026-01-26", "TRADING_HOLIDAY", [*ALL, "MCX"]),  # known
        entry("2026-02-01", "SPECIAL_TIMING", [], [(e, "09:15", "15:30") for e in ALL]),  # known
        entry("2025-10-21", "SPECIAL_TIMING", ALL, [("NSE", "13:45", "14:45")]),  # known, with more phases
        entry("2026-08-26", "SETTLEMENT_HOLIDAY", ["CDS"], [("NSE", "09:15", "15:30")]),
        entry(
            "2026-11-08",
            "SPECIAL_TIMING",
            ["NSE"],
            [("NSE", "18:00", "19:00"), ("NFO", "18:00", "19:00"), ("BSE", "", "")],
        ),
        entry("2026-12-01", "TRADING_HOLIDAY", ["NSE", "NFO"], name='An "election"\n day'),
        entry("2026-12-05", "SPECIAL_TIMING", [], [("BFO", "09:15", "15:40"), ("MCX", "09:00", "23:30")]),
    ]
    source = tmp_path / "holidays.json"
    source.write_text(json.dumps({"status": "success", "data": listed}))
    own = '# mine\n[[holidays]]\nof = ["BSE"]\ndays = { 2026-12-02 = "Mine" }'
    (tmp_path / "instruments").mkdir()
    target = override(tmp_path / "instruments", own)
    written, made = import_holidays(tmp_path, source)
    assert written == target and target.read_text().startswith("# mine\n")
    assert "settlement" in made.left_out[0] and "no times" in made.left_out[1]
    assert made.left_out[2:] == [f"2025-10-21 A day: {name} keeps its Muhurat trading" for name in INDIA[2:]]
    nse, bse = load("NSE_EQ_CAS", target), load("BSE_EQ", target)
    assert nse.closed_because(date(2026, 12, 1)) == 'An "election" day' and bse.is_trading_day(date(2026, 12, 1))
    assert nse.session_of(date(2026, 11, 8)).close == ns("2026-11-08 19:00") and not bse.is_trading_day(
        date(2026, 11, 8)
    )
    assert load("BSE_FO", target).session_of(date(2026, 12, 5)).close == ns("2026-12-05 15:40")
    assert bse.closed_because(date(2026, 12, 2)) == "Mine"
    assert PhaseKind.PRE_OPEN in load("NSE_EQ", target).phases(date(2025, 10, 21), date(2025, 10, 21)).kind
    before = target.read_bytes()
    assert import_holidays(tmp_path, source)[1].blocks == [] and target.read_bytes() == before


def test_the_upstox_list_of_a_whole_year(tmp_path):
    days = [f"2027-{month:02}-{day:02}" for month in range(1, 6) for day in (12, 20)]
    source = tmp_path / "holidays.json"
    source.write_text(json.dumps({"data": [entry(day, "TRADING_HOLIDAY", ALL) for day in days]}))
    target, _ = import_holidays(tmp_path, source, whole_year=True)
    for name in INDIA:
        calendar = load(name, target)
        assert calendar.last_day == date(2027, 12, 31) and not calendar.is_trading_day(date(2027, 1, 12))
    assert import_holidays(tmp_path, source, whole_year=True)[1].blocks == []
    few = [entry(day, "TRADING_HOLIDAY", ALL) for day in days[:3]]
    assert "3 trading holidays for NSE_EQ" in refusal(from_upstox, few, "x.json", None, True)
    assert "2 years" in refusal(from_upstox, [*few, entry("2028-01-03", "TRADING_HOLIDAY", ALL)], "x.json", None, True)


def test_a_bad_upstox_list_is_named(tmp_path):
    good = entry("2026-12-01", "TRADING_HOLIDAY", ["NSE"])
    for wrong, text in (
        ({"date": "1.12.2026"}, "entry 1 date must be YYYY-MM-DD"),
        ({"holiday_type": "HALF"}, "must be one of TRADING_HOLIDAY"),
        ({"closed_exchanges": "NSE"}, "closed_exchanges must be a list"),
        ({"open_exchanges": [{"exchange": "NSE", "start_time": 5, "end_time": 6}]}, "is no time of 2026-12-01"),
    ):
        assert text in refusal(from_upstox, {"data": [good | wrong]}, "x.json")
    assert "/v2/market/holidays" in refusal(from_upstox, {"data": []}, "x.json")
    (tmp_path / "x.json").write_text("{")
    assert "not valid JSON" in refusal(import_holidays, tmp_path, tmp_path / "x.json")
    assert "cannot be read" in refusal(import_holidays, tmp_path, tmp_path / "y.json")
    assert not (tmp_path / "instruments" / "sessions.toml").exists()


def command(capsys, home: Path, *words: str) -> tuple[int, str, str]:
    from api.cli import main

    code = main(["--home", str(home), "sessions", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = command(capsys, tmp_path, "2026-08-03..2026-08-08", "--calendar", "NSE_EQ_CAS")
    assert code == 0 and "CLOSING_AUCTION 15:15-15:35 [orders 15:20-15:30]" in out and "Sat  closed: weekend" in out
    assert "unverified: a muhurat session" in command(capsys, tmp_path, "2026-11-08")[1]
    code, out, _ = command(capsys, tmp_path, "2024-01-22", "--json")
    said = json.loads(out)
    assert said["days"][0]["closed"] == "Ram Mandir consecration" and said["last_day"] == "2026-12-31"
    assert command(capsys, tmp_path, "--calendar", "ALWAYS")[0] == 0
    (tmp_path / "x.json").write_text(json.dumps([entry("2026-12-01", "TRADING_HOLIDAY", ["NSE"])]))
    assert "1 day added: 2026-12-01" in command(capsys, tmp_path, "import", "x.json")[1]
    assert "nothing new" in command(capsys, tmp_path, "import", "x.json")[1]
    assert "closed: A day" in command(capsys, tmp_path, "2026-12-01")[1]
    for words in (
        ("2027-01-01",),
        ("1.1.2026",),
        ("2026-02-02..2026-02-01",),
        ("a", "b"),
        ("import",),
        ("--whole-year",),
    ):
        code, out, err = command(capsys, tmp_path, *words)
        assert code == 2 and out == "" and err.startswith("onetape: ") and err.count("\n") == 1


def test_documented_calendars_exist():
    page = (Path(__file__).parents[3] / "docs" / "sessions.md").read_text()
    assert all(f"`{name}`" in page for name in LOADED)


@pytest.mark.sim
def test_weekday_holidays_against_pandas_market_calendars():
    """A package of the outside world agrees on every weekday; it knows no weekend sessions."""
    reason = "needs pandas_market_calendars, which is not in the dev extra: it brings pandas, 84 MB. Install it by hand"
    market = pytest.importorskip("pandas_market_calendars", reason=reason)
    muhurat = {date(2021, 11, 4), date(2022, 10, 24), date(2024, 11, 1), date(2025, 10, 21)}
    for name, theirs, first, last in (("NSE_EQ", "NSE", 2019, 2026), ("XNYS", "NYSE", 1998, 2027)):
        schedule = market.get_calendar(theirs).schedule(f"{first}-01-01", f"{last}-12-31")
        known = {day.date() for day in schedule.index}
        days = (date(first, 1, 1) + timedelta(days=k) for k in range((date(last, 12, 31) - date(first, 1, 1)).days + 1))
        weekdays = {day for day in days if day.weekday() < 5}
        ours = {day for day in weekdays if LOADED[name].is_trading_day(day)}
        assert (ours ^ known) - muhurat == set()
