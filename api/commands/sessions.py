"""`onetape sessions`: when a market trades, which day is a holiday, and the import of a holiday list."""

from argparse import Namespace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.reference.sessions import load, overrides_of
from adapters.reference.sessions_calendar import Calendar
from adapters.reference.sessions_codes import PhaseKind
from adapters.reference.sessions_file import iso_day
from api.commands.common import print_json, settings_of
from kernel.errors import ConfigError

FORM = "give DATE or FROM..TO as YYYY-MM-DD, or import FILE"


def run_sessions(options: Namespace) -> int:
    home, _ = settings_of(options)
    words = list(options.what)
    if words[:1] == ["import"]:
        if len(words) != 2:
            raise ConfigError("onetape sessions import takes one file: the JSON of Upstox /v2/market/holidays")
        return _import(home, Path(words[1]), options)
    if len(words) > 1 or options.whole_year:
        raise ConfigError(f"onetape sessions {' '.join(words)}: {FORM}")
    calendar = load(options.calendar, overrides_of(home))
    first, last = _days(words[0], calendar) if words else (_today(calendar),) * 2
    days = [describe(calendar, first + timedelta(days=k)) for k in range((last - first).days + 1)]
    if options.json:
        known = {"first_day": str(calendar.first_day), "last_day": str(calendar.last_day), "tz": calendar.zone}
        print_json({"calendar": calendar.name, "about": calendar.about, **known, "days": days})
        return 0
    print(f"# {calendar.name}: {calendar.about}; times in {calendar.zone}, {calendar.first_day} to {calendar.last_day}")
    for day in days:
        print(_line(day))
    for note in dict.fromkeys(note for day in days for note in day["unverified"]):
        print(f"unverified: {note}")
    return 0


def describe(calendar: Calendar, day: date) -> dict[str, Any]:
    """A day in words: its phases with local times, or why it is closed, and what is unverified about it."""
    session = calendar.session_of(day)
    found: dict[str, Any] = {"day": str(day), "weekday": f"{day:%a}", "trading": session is not None}
    if session is None:
        found["closed"] = calendar.closed_because(day)
    elif session.name:
        found["special"] = session.name
    phases = calendar.phases(day, day)
    found["phases"] = [
        {
            "kind": PhaseKind(kind).name,
            "start": calendar.show(start, day),
            "end": calendar.show(end, day),
            "orders": [calendar.show(opened, day), calendar.show(ended, day)],
        }
        for kind, start, end, opened, ended in zip(*(column.tolist() for column in phases), strict=True)
    ]
    found["unverified"] = list(calendar.unverified(day))
    return found


def _line(day: dict[str, Any]) -> str:
    if not day["trading"]:
        what = f"closed: {day['closed']}"
    else:
        what = "  ".join(f"{phase['kind']} {phase['start']}-{phase['end']}{_orders(phase)}" for phase in day["phases"])
        what += f"  ({day['special']})" if "special" in day else ""
    return f"{day['day']} {day['weekday']}  {what}"


def _orders(phase: dict[str, Any]) -> str:
    own = phase["orders"] != [phase["start"], phase["end"]]
    return f" [orders {phase['orders'][0]}-{phase['orders'][1]}]" if own else ""


def _days(text: str, calendar: Calendar) -> tuple[date, date]:
    """The first and last day that DATE or FROM..TO names, both covered. Raises ConfigError."""
    first, dots, last = text.partition("..")
    begin, end = iso_day(first), iso_day(last if dots else first)
    if begin is None or end is None:
        raise ConfigError(f"{text} is no day and no range: {FORM}")
    if end < begin:
        raise ConfigError(f"{text}: {end} is before {begin}: give the earlier day first")
    calendar.session_of(begin)  # both are covered, or this says which is not
    calendar.session_of(end)
    return begin, end


def _today(calendar: Calendar) -> date:
    return calendar.day_of(int(datetime.now(UTC).timestamp()) * 1_000_000_000)


def _import(home: Path, file: Path, options: Namespace) -> int:
    from adapters.reference.sessions_upstox import import_holidays

    target, made = import_holidays(home, file, options.whole_year)
    days = sorted({str(day) for block in made.blocks for day in block["days"]})
    if options.json:
        print_json({"file": str(target), "days": days, "left_out": made.left_out})
        return 0
    if days:
        print(f"{target}: {len(days)} day{'s' * (len(days) > 1)} added: {', '.join(days)}")
    else:
        print(f"nothing new: the calendars say all of {file} already")
    for reason in made.left_out:
        print(f"left out: {reason}")
    return 0
