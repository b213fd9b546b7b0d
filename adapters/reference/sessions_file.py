"""A session file: TOML or JSON of templates, holidays and special days, checked key by key into blocks."""

import json
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from adapters.reference.sessions_codes import PhaseKind
from adapters.settings_text import nearest, shown
from kernel.errors import ConfigError

DAY_SECONDS = 86_400
FILE_BYTES_MAX = 1 << 20
YEAR_MIN, YEAR_MAX = 1970, 2199  # ns in int64 end in 2262
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)


@dataclass(frozen=True)
class Span:
    """One phase of a day: seconds from local midnight; orders are taken from `orders_start` to `orders_end`."""

    kind: PhaseKind
    start: int
    end: int
    orders_start: int
    orders_end: int


@dataclass(frozen=True)
class Template:
    """The ordinary day of the calendars and exchanges in `of`, from its first day on."""

    of: tuple[str, ...]
    first_day: date
    spans: tuple[Span, ...]
    unverified: str


@dataclass(frozen=True)
class Holidays:
    """Days without trading and their names; with `years` (first, last) the whole list of those years."""

    of: tuple[str, ...]
    years: tuple[int, int] | None
    days: Mapping[date, str]
    unverified: str


@dataclass(frozen=True)
class Special:
    """Days that are not what weekday and holiday list say; `spans` is None for the ordinary day, empty for closed."""

    of: tuple[str, ...]
    days: tuple[date, ...]
    name: str
    spans: tuple[Span, ...] | None
    unverified: str


Block = Template | Holidays | Special


@dataclass(frozen=True)
class About:
    """A calendar a shipped file declares; `day_end` is in seconds after the last phase of a day."""

    name: str
    exchange: str
    about: str
    day_end: int
    zone: str


def read_document(file: Path) -> dict[str, Any]:
    """The TOML, or with the suffix .json the JSON object, in `file`. Raises ConfigError."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError(f"{file}: is larger than {FILE_BYTES_MAX >> 20} MiB, that is no session file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8 text: save it as UTF-8") from None
    return parse_document(text, file)


def parse_document(text: str, file: Path) -> dict[str, Any]:
    """`read_document` of a text that is in hand; `file` says what it is and names it in errors."""
    form = "JSON" if file.suffix == ".json" else "TOML"
    try:
        document = json.loads(text) if form == "JSON" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # the errors of both readers are ValueErrors
        raise ConfigError(f"{file}: is not valid {form}: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: must be an object of tables, not {shown(document)}")
    return document


def parse_blocks(document: Mapping[str, Any], file: str, known: Collection[str]) -> list[Block]:
    """The blocks of a document, templates first, then in the order written; `known` are the names `of` may hold.

    Raises ConfigError with file, key and what is allowed.
    """
    _keys(document, f"{file}:", (), (*_PARSERS,))
    blocks: list[Block] = []
    for kind, parse in _PARSERS.items():
        listed = document.get(kind, [])
        if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
            raise ConfigError(f"{file}: {kind} must be tables [[{kind}]]")
        blocks += [parse(item, f"{file}: {kind} {number}", known) for number, item in enumerate(listed, 1)]
    return blocks


def known_are(word: str, words: Collection[str]) -> str:
    """The end of a sentence about an unknown `word`: the nearest of `words`, and all of them."""
    hint = nearest(word, words)
    return f"{hint} Known are {', '.join(words)}" if hint else f": known are {', '.join(words)}"


def parse_market(document: Mapping[str, Any], file: str) -> list[About]:
    """The calendars a shipped file declares. Raises ConfigError."""
    _keys(document, f"{file}:", ("zone", "calendars"), (*_PARSERS,))
    found = []
    for name, item in document["calendars"].items():
        _keys(item, f"{file}: calendars.{name}", ("exchange", "about", "day_end_minutes"), ())
        day_end = int(item["day_end_minutes"]) * 60
        found.append(About(name, item["exchange"], item["about"], day_end, document["zone"]))
    return found


def _template(item: Mapping[str, Any], where: str, known: Collection[str]) -> Template:
    _keys(item, where, ("of", "from", "phases"), _NOTES)
    return Template(
        _names(item, where, known), _date(item["from"], f"{where} from"), _spans(item, where), _note(item, where)
    )


def _holidays(item: Mapping[str, Any], where: str, known: Collection[str]) -> Holidays:
    _keys(item, where, ("of", "days"), ("years", *_NOTES))
    if not isinstance(item["days"], dict):
        raise ConfigError(f'{where} days must be a table of lines such as 2026-01-26 = "Republic Day"')
    days = {_date(day, f"{where} days"): _text(name, f"{where} days {day}") for day, name in item["days"].items()}
    years = _years(item["years"], where) if "years" in item else None
    outside = [day for day in days if years and not years[0] <= day.year <= years[1]]
    if outside:
        raise ConfigError(f"{where} days: {outside[0]} is not in its years {list(years or ())}")
    return Holidays(_names(item, where, known), years, days, _note(item, where))


def _special(item: Mapping[str, Any], where: str, known: Collection[str]) -> Special:
    forms = ("phases", "regular", "closed")
    _keys(item, where, ("of", "days", "name"), (*forms, *_NOTES))
    if len([form for form in forms if form in item]) != 1 or item.get("regular", item.get("closed", True)) is not True:
        raise ConfigError(f"{where} needs one of phases = [...], regular = true or closed = true")
    if not isinstance(item["days"], list) or not item["days"]:
        raise ConfigError(f"{where} days must be a list of dates, not {shown(item['days'])}")
    days = tuple(_date(day, f"{where} days") for day in item["days"])
    spans = None if "regular" in item else () if "closed" in item else _spans(item, where)
    return Special(_names(item, where, known), days, _text(item["name"], f"{where} name"), spans, _note(item, where))


_NOTES = ("source", "unverified")
_PARSERS: dict[str, Callable[[Mapping[str, Any], str, Collection[str]], Block]] = {
    "template": _template,
    "holidays": _holidays,
    "special": _special,
}


def _keys(item: Mapping[str, Any], where: str, needed: Collection[str], optional: Collection[str]) -> None:
    allowed = [*needed, *optional]
    for key in item:
        if key not in allowed:
            raise ConfigError(f"{where} {key} is an unknown key{known_are(key, allowed)}")
    missing = [key for key in needed if key not in item]
    if missing:
        raise ConfigError(f"{where} lacks {' and '.join(missing)}")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ConfigError(f"{where} must be one line of text, not {shown(value)}")
    return value


def _note(item: Mapping[str, Any], where: str) -> str:
    for key in _NOTES:
        if key in item:
            _text(item[key], f"{where} {key}")
    return str(item.get("unverified", ""))


def _names(item: Mapping[str, Any], where: str, known: Collection[str]) -> tuple[str, ...]:
    names = item["of"]
    if not isinstance(names, list) or not names:
        raise ConfigError(f"{where} of must be a list of calendars or exchanges, not {shown(names)}")
    for name in names:
        if name not in known:
            raise ConfigError(f"{where} of: {shown(name)} is no calendar or exchange{known_are(str(name), known)}")
    return tuple(names)


def iso_day(text: str) -> date | None:
    """The day that YYYY-MM-DD names, None when `text` is anything else."""
    try:
        return date.fromisoformat(text) if _ISO.fullmatch(text) else None
    except ValueError:
        return None


def _date(value: Any, where: str) -> date:
    found = iso_day(value) if isinstance(value, str) else value
    if not isinstance(found, date) or isinstance(found, datetime):
        raise ConfigError(f"{where}: {shown(value)} is no date: write YYYY-MM-DD")
    if not YEAR_MIN <= found.year <= YEAR_MAX:
        raise ConfigError(f"{where}: {found} is not between {YEAR_MIN} and {YEAR_MAX}")
    return found


def _years(value: Any, where: str) -> tuple[int, int]:
    good = isinstance(value, list) and len(value) == 2 and all(type(year) is int for year in value)
    if not good or not YEAR_MIN <= value[0] <= value[1] <= YEAR_MAX:
        raise ConfigError(f"{where} years must be [first, last], such as [2026, 2026], not {shown(value)}")
    return value[0], value[1]


def _spans(item: Mapping[str, Any], where: str) -> tuple[Span, ...]:
    """The phases of a day, in order and apart. Raises ConfigError."""
    phases = item["phases"]
    if not isinstance(phases, list) or not phases or not all(isinstance(phase, dict) for phase in phases):
        raise ConfigError(f"{where} phases must be a list of tables with kind, start and end")
    spans = [_span(phase, f"{where} phase {number}") for number, phase in enumerate(phases, 1)]
    for before, after in pairwise(spans):
        if after.start < before.end:
            raise ConfigError(f"{where} phases: {after.kind.name} begins before {before.kind.name} has ended")
    if not any(span.kind in (PhaseKind.CONTINUOUS, PhaseKind.SPECIAL) for span in spans):
        raise ConfigError(f"{where} phases: none is CONTINUOUS or SPECIAL: a day without trading is closed = true")
    return tuple(spans)


def _span(phase: Mapping[str, Any], where: str) -> Span:
    _keys(phase, where, ("kind", "start", "end"), ("orders",))
    kinds = [kind.name for kind in PhaseKind if kind]
    if phase["kind"] not in kinds:
        raise ConfigError(f"{where} kind must be one of {', '.join(kinds)}, not {shown(phase['kind'])}")
    start, end = (_seconds(phase[key], f"{where} {key}") for key in ("start", "end"))
    orders = phase.get("orders", [phase["start"], phase["end"]])
    if not isinstance(orders, list) or len(orders) != 2:
        raise ConfigError(f'{where} orders must be ["HH:MM", "HH:MM"], not {shown(orders)}')
    first, last = (_seconds(value, f"{where} orders") for value in orders)
    if not start <= first < last <= end:
        raise ConfigError(f"{where} must end after it starts, and orders must be taken inside it")
    return Span(PhaseKind[phase["kind"]], start, end, first, last)


def _seconds(value: Any, where: str) -> int:
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    seconds = (int(match[1]) * 60 + int(match[2])) * 60 if match else -1
    if not 0 <= seconds <= DAY_SECONDS:
        raise ConfigError(f"{where} must be a local time HH:MM from 00:00 to 24:00, not {shown(value)}")
    return seconds
