"""The holiday list of Upstox (the JSON of `/v2/market/holidays`) as blocks of an override file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.files import import_lock, write_whole
from adapters.market.zones import zone
from adapters.reference.sessions import calendars, load, make, names, overrides_of
from adapters.reference.sessions_calendar import OVERRIDES, Calendar
from adapters.reference.sessions_file import iso_day, parse_blocks, parse_document
from adapters.settings_text import shown
from kernel.errors import ConfigError

CALENDARS = {  # what Upstox calls an exchange: our calendars
    "NSE": ("NSE_EQ", "NSE_EQ_CAS"),
    "NFO": ("NSE_FO",),
    "BSE": ("BSE_EQ", "BSE_EQ_CAS"),
    "BFO": ("BSE_FO",),
}
TYPES = ("TRADING_HOLIDAY", "SETTLEMENT_HOLIDAY", "SPECIAL_TIMING")
USUAL = ("09:15", ("15:30", "15:35", "15:40"))  # what Upstox calls the ordinary hours, before and after 2026-08-03
WHOLE_YEAR_MIN = 8  # fewer trading holidays are no year of an Indian exchange
HEAD = "# Sessions of this home: over the shipped tables, later blocks over earlier ones. See docs/sessions.md.\n"
SOURCE = "Upstox /v2/market/holidays"


@dataclass(frozen=True)
class Converted:
    """`blocks` of an override file; `left_out` says what of the list has no place there, a sentence each."""

    blocks: list[dict[str, Any]]
    left_out: list[str]


def import_holidays(home: Path, file: Path, whole_year: bool = False) -> tuple[Path, Converted]:
    """Add what the Upstox list in `file` says anew to the override file of `home`; (that file, what was added).

    What is there stays; later blocks hold over earlier ones. Raises ConfigError, and then nothing is written.
    """
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: is not valid JSON: {error}") from None
    target = home / OVERRIDES[0]
    with import_lock(home):
        there = overrides_of(home)
        if there and there != target:
            raise ConfigError(f"{there}: an import adds to TOML: turn this file into {OVERRIDES[0]} first")
        made = from_upstox(document, str(file), there, whole_year)
        if made.blocks:
            before = there.read_text(encoding="utf-8") if there else HEAD
            text = before + "".join(_toml(block) for block in made.blocks)
            blocks = parse_blocks(parse_document(text, target), str(target), names())
            for name in calendars():
                make(name, blocks, str(target))
            write_whole(target, text.encode())
    return target, made


def from_upstox(document: object, file: str, overrides: Path | None = None, whole_year: bool = False) -> Converted:
    """What an Upstox list says that our calendars with `overrides` do not; settlement holidays are trading days.

    With `whole_year` the list is the whole one of its year and takes the place of what was known of it. Raises
    ConfigError with file, entry and what is wrong.
    """
    known = {name: load(name, overrides) for listed in CALENDARS.values() for name in listed}
    closed: dict[str, dict[date, str]] = {name: {} for name in known}
    specials: list[dict[str, Any]] = []
    left_out: list[str] = []
    years = set()
    for number, entry in enumerate(_entries(document, file), 1):
        where = f"{file}: entry {number}"
        day, name, kind = _head(entry, where)
        years.add(day.year)
        if kind == "SETTLEMENT_HOLIDAY":
            left_out.append(f"{day} {name}: a settlement holiday, trading as usual")
            continue
        opened = {item["exchange"]: item for item in _list(entry, "open_exchanges", where) if "exchange" in item}
        for exchange in _list(entry, "closed_exchanges", where):
            if exchange not in opened:
                for of in CALENDARS.get(exchange, ()):
                    closed[of][day] = name
        specials += _specials(day, name, opened, known, where)
        without = [exchange for exchange in opened if exchange in CALENDARS and not _timed(opened[exchange])]
        left_out += [f"{day} {name}: {exchange} is open, but the list has no times for it" for exchange in without]
    for of, calendar in known.items():
        sessions = {
            day: calendar.session_of(day) for day in closed[of] if calendar.first_day <= day <= calendar.last_day
        }
        kept = {day: session.name for day, session in sessions.items() if session and session.name}
        left_out += [f"{day} {closed[of][day]}: {of} keeps its {what}" for day, what in kept.items()]
    return Converted([*_holiday_blocks(closed, known, years, file, whole_year), *specials], left_out)


def _entries(document: object, file: str) -> list[Mapping[str, Any]]:
    listed = document.get("data") if isinstance(document, dict) else document
    if isinstance(listed, dict):  # one day
        listed = [listed]
    if not isinstance(listed, list) or not listed or not all(isinstance(item, dict) for item in listed):
        raise ConfigError(f"{file}: must be what Upstox answers to {SOURCE[7:]}: an object with a list `data`")
    return listed


def _head(entry: Mapping[str, Any], where: str) -> tuple[date, str, str]:
    text, name, kind = (entry.get(key) for key in ("date", "description", "holiday_type"))
    day = iso_day(str(text))
    if day is None:
        raise ConfigError(f"{where} date must be YYYY-MM-DD, not {shown(text)}")
    if kind not in TYPES:
        raise ConfigError(f"{where} holiday_type must be one of {', '.join(TYPES)}, not {shown(kind)}")
    words = " ".join(str(name or "").split())
    return day, words if words and words.isprintable() else "Holiday", str(kind)


def _list(entry: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = entry.get(key)
    if not isinstance(value, list) or not all(
        isinstance(item, dict if key == "open_exchanges" else str) for item in value
    ):
        raise ConfigError(f"{where} {key} must be a list, not {shown(value)}")
    return value


def _timed(item: Mapping[str, Any]) -> bool:
    return "start_time" in item and "end_time" in item


def _specials(
    day: date, name: str, opened: Mapping[str, Mapping[str, Any]], known: Mapping[str, Calendar], where: str
) -> list[dict[str, Any]]:
    """Blocks for the calendars whose hours of `day` are news, those of the same hours together."""
    hours: dict[tuple[str, str], list[str]] = {}
    for exchange, item in opened.items():
        if exchange in CALENDARS and _timed(item):
            times = (_clock(item["start_time"], day, where), _clock(item["end_time"], day, where))
            new = [calendar for calendar in CALENDARS[exchange] if not _has_hours(known[calendar], day, times)]
            hours.setdefault(times, []).extend(new)
    blocks = []
    for (start, end), of in hours.items():
        usual = start == USUAL[0] and end in USUAL[1]
        what: dict[str, Any] = (
            {"regular": True} if usual else {"phases": [{"kind": "SPECIAL", "start": start, "end": end}]}
        )
        if of:
            blocks.append({"of": of, "days": [day], "name": name, "source": SOURCE, **what})
    return blocks


def _has_hours(calendar: Calendar, day: date, times: tuple[str, str]) -> bool:
    """Whether the calendar has this session already, perhaps with more phases than Upstox tells."""
    if not calendar.first_day <= day <= calendar.last_day:
        return False
    if times[0] == USUAL[0] and times[1] in USUAL[1] and calendar.has_usual_hours(day):
        return True
    session = calendar.session_of(day)
    ends = (session.open, session.close) if session and len(session.parts) == 1 else ()
    return ends == tuple(calendar.local_ns(day, (int(t[:2]) * 60 + int(t[3:])) * 60) for t in times)


def _clock(value: Any, day: date, where: str) -> str:
    """A time in ms since 1970 as HH:MM in India, on `day`."""
    if type(value) is int and 0 <= value < 2**43:
        moment = datetime.fromtimestamp(value // 1000, UTC).astimezone(zone("Asia/Kolkata"))
        if moment.date() == day and not value % 60_000:
            return f"{moment:%H:%M}"
    raise ConfigError(f"{where}: {shown(value)} is no time of {day} in milliseconds since 1970, to the minute")


def _holiday_blocks(
    closed: Mapping[str, Mapping[date, str]],
    known: Mapping[str, Calendar],
    years: set[int],
    file: str,
    whole_year: bool,
) -> list[dict[str, Any]]:
    """One block for all calendars with the same list of news."""
    if whole_year:
        few = [name for name, days in closed.items() if len(days) < WHOLE_YEAR_MIN]
        if len(years) != 1 or few:
            what = f"{len(years)} years" if len(years) != 1 else f"{len(closed[few[0]])} trading holidays for {few[0]}"
            raise ConfigError(f"{file}: has {what}, that is not the whole list of a year: leave out --whole-year")
    span = {"years": [min(years), max(years)]} if whole_year else {}
    groups: dict[tuple[tuple[date, str], ...], list[str]] = {}
    for name, days in closed.items():
        new = {day: text for day, text in days.items() if not _is_known(known[name], day)}
        dropped = whole_year and _closed_days(known[name], min(years)) - set(days)
        if new or dropped:
            groups.setdefault(tuple(sorted((days if whole_year else new).items())), []).append(name)
    return [{"of": of, **span, "source": SOURCE, "days": {str(d): n for d, n in days}} for days, of in groups.items()]


def _is_known(calendar: Calendar, day: date) -> bool:
    """Whether a holiday would change nothing: the calendar is closed, or has a special session that stays."""
    if not calendar.first_day <= day <= calendar.last_day:
        return False
    session = calendar.session_of(day)
    return session is None or session.name != ""


def _is_closed(calendar: Calendar, day: date) -> bool:
    return calendar.first_day <= day <= calendar.last_day and not calendar.is_trading_day(day)


def _closed_days(calendar: Calendar, year: int) -> set[date]:
    """The weekdays of a year without trading, as far as the calendar knows."""
    days = (date(year, 1, 1) + timedelta(days=k) for k in range(366))
    return {day for day in days if day.year == year and day.weekday() < 5 and _is_closed(calendar, day)}


def _kind(block: Mapping[str, Any]) -> str:
    return "holidays" if isinstance(block["days"], dict) else "special"


def _toml(block: Mapping[str, Any]) -> str:
    """A block as TOML text; its `days` table comes last."""
    lines = ["", f"[[{_kind(block)}]]"]
    lines += [f"{key} = {_value(value)}" for key, value in block.items() if not isinstance(value, dict)]
    if isinstance(block["days"], dict):
        lines += [f"[{_kind(block)}.days]", *(f"{day} = {_value(name)}" for day, name in block["days"].items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_value(item)}' for key, item in value.items())} }}"
    return str(value) if isinstance(value, date) else json.dumps(value, ensure_ascii=False)
