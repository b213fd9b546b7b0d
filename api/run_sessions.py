"""The calendars of a run: their numbers, a digest of the days it takes from them, and the timers they bring."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from adapters.bars_text import BY_TIME
from adapters.files import canonical_json
from adapters.reference import sessions
from adapters.reference.due import DueTimers, Expiry, parse_square_off, table_of
from adapters.reference.sessions_calendar import Calendar
from adapters.settings import Settings
from api.days import day_bounds
from kernel.errors import ConfigError, NotReplayable
from kernel.strategy import Definition

Config = dict[str, Any]
AGAIN = "put instruments/sessions.toml of then back (and the version of Onetape, where the shipped table changed)"


def calendar_numbers(settings: Settings, names: Iterable[str]) -> dict[str, int]:
    """Numbers from 1 of the named calendars, "" being none; none at all where settings want no timers."""
    found = sorted({name for name in names if name}) if settings.session.timers else []
    return {name: number for number, name in enumerate(found, 1)}


def session_config(
    home: Path,
    settings: Settings,
    numbers: dict[str, int],
    first_ts: int,
    last_ts: int,
    square_off: str | None,
    strategies: Sequence[Definition] = (),
) -> Config:
    """What a configuration says of sessions: nothing where there are no calendars. Raises ConfigError."""
    told = [one.name for one in strategies if one.hook("on_timer")]
    clock = sorted({time for one in strategies for time in one.clock})
    text = settings.session.square_off if square_off is None else square_off
    if not numbers:
        if square_off or told:
            raise ConfigError(
                f"{f'--square-off {square_off}' if square_off else f'{told[0]}.on_timer'}: the run has no timers, "
                "since its instruments have no calendar (`onetape instruments set SYMBOL calendar=NAME`) or `timers` "
                "is false in [session]"
            )
        return {}
    calendars = [
        {"number": number, "name": name, "first_ts": first_ts, "last_ts": last_ts,
         "digest": _digest(_load(home, name), first_ts, last_ts)}
        for name, number in numbers.items()
    ]  # fmt: skip
    return {
        "calendars": calendars,
        "session": {
            "close_grace": settings.session.close_grace_ns,
            "square_off": text,
            **({"clock": clock} if clock else {}),
        },
    }


def expiry_config(
    home: Path, settings: Settings, rows: Sequence[Mapping[str, Any]], numbers: Mapping[str, int], last_ts: int, tz: str
) -> Config:
    """What a configuration says of contracts that end by `last_ts`: [instrument, close, when it is told], ns UTC. The
    close is that of the contract's calendar on its last day, or where it has none, the end of that day."""
    names = {number: name for name, number in numbers.items()}
    found = []
    for row in rows:
        if not row.get("expiry"):
            continue
        close = day_bounds(row["expiry"], row.get("tz", tz))[1]
        if row.get("calendar"):
            session = _load(home, names[row["calendar"]]).session_of(date.fromisoformat(row["expiry"]))
            close = session.close if session else close
        if close <= last_ts:
            found.append([row["number"], close, close + settings.session.close_grace_ns])
    return {"expiries": found} if found else {}


def timers_of(home: Path, config: Config) -> DueTimers | None:
    """The timers a configuration describes. Raises NotReplayable when a calendar says otherwise than it did then."""
    if not config.get("calendars") and not config.get("expiries"):
        return None
    expiries = [Expiry(*row) for row in config.get("expiries", ())]
    rules = config["rules"]
    bars = (rules["bar_size"], rules["bar_grace"]) if rules.get("bar_kind") == BY_TIME else None
    if not config.get("calendars"):
        return DueTimers([], 0, None, expiries)
    loaded = []
    for row in config["calendars"]:
        calendar = _load(home, row["name"])
        if _digest(calendar, row["first_ts"], row["last_ts"]) != row["digest"]:
            raise NotReplayable(f"calendar {row['name']} is not what the run used on its days: {AGAIN}")
        loaded.append((row["number"], calendar))
    session = config["session"]
    return DueTimers(
        loaded,
        session["close_grace"],
        parse_square_off(session["square_off"]),
        expiries,
        bars,
        session.get("clock", ()),
    )


def _load(home: Path, name: str) -> Calendar:
    return sessions.load(name, sessions.overrides_of(home))


def _digest(calendar: Calendar, first_ts: int, last_ts: int) -> str:
    try:
        return hashlib.sha256(canonical_json(table_of(calendar, first_ts, last_ts))).hexdigest()
    except ConfigError as error:
        raise ConfigError(f"{error}; or set `timers = false` in [session]") from None
