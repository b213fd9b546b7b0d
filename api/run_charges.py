"""The charges of a run: which segment each instrument is charged in, the rules of those days, and what margin takes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from adapters.reference import charges
from adapters.settings import Settings
from adapters.settings_text import parse_charge_rule
from kernel.errors import ConfigError
from kernel.units import SHARE

Row = dict[str, Any]


def charged(
    home: Path, rule: str, rows: Sequence[Row], first_ts: int, last_ts: int, timezone: str
) -> tuple[dict[str, Any], list[Row]]:
    """What a configuration says of charges, {} where the rule is `none`, and the instruments with the number of their
    segment, from 1, and whether the proceeds of sales arrive a day later. Raises ConfigError."""
    try:
        parsed = parse_charge_rule(rule)
    except ValueError as error:
        raise ConfigError(f"--charges {rule}: {error}") from None
    if parsed is None:
        return {}, list(rows)
    name, plan = parsed
    schedule = charges.load(name, charges.overrides_of(home))
    keys = [None if row.get("kind") == "INDEX" else _segment_of(schedule, name, row) for row in rows]
    segments = sorted({key for key in keys if key is not None})
    first, last = (_day(ts, timezone) for ts in (first_ts, last_ts))
    listed = schedule.rows(segments, plan, first, last, timezone)
    config = {"rule": rule, "segments": segments, "rows": [list(map(int, row)) for row in listed]}
    return config, [_charged(row, key, segments) for row, key in zip(rows, keys, strict=True)]


def _charged(row: Row, key: str | None, segments: Sequence[str]) -> Row:
    if key is None:
        return row
    settles = {"settles": 1} if row.get("kind", "EQUITY") == "EQUITY" else {}
    return row | {"charged": segments.index(key) + 1} | settles


def _segment_of(schedule: charges.Schedule, name: str, row: Row) -> str:
    if not row.get("exchange"):
        raise ConfigError(
            f"charges {name}: {row['symbol']} has no exchange: "
            f"`onetape instruments set {row['symbol']} exchange=NSE`, or charge by --fees"
        )
    return schedule.segment(row["exchange"], row.get("kind", "EQUITY"), row.get("charge_group", ""))


def _day(ts: int, timezone: str) -> Any:
    return datetime.fromtimestamp(ts // 10**9, UTC).astimezone(ZoneInfo(timezone)).date()


def with_margins(rows: Sequence[Row], settings: Settings) -> list[Row]:
    """The instruments with the margin of their kind, where it is not all of their worth."""
    percents = {"EQUITY": settings.margin.equity, "FUTURE": settings.margin.future, "OPTION": settings.margin.option}
    found = []
    for row in rows:
        percent = percents.get(row.get("kind", "EQUITY"), 100)
        found.append(row | ({"margin": percent * (SHARE // 100)} if percent != 100 else {}))
    return found
