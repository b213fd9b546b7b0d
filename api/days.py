"""Local days as spans of ns UTC."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kernel.errors import ConfigError

FIRST_DAY, LAST_DAY = "1701-01-01", "2249-12-31"  # of what a tape can hold


def day_bounds(day: str, timezone: str) -> tuple[int, int]:
    """First and last ns UTC of a local day written YYYY-MM-DD. Raises ConfigError."""
    try:
        if date.fromisoformat(day).isoformat() != day:  # such as 20240102: days are compared as texts elsewhere
            raise ValueError
        start = datetime.combine(date.fromisoformat(day), time(), ZoneInfo(timezone))
        end = datetime.combine(start.date() + timedelta(days=1), time(), start.tzinfo)
    except (ValueError, OverflowError):
        raise ConfigError(f"{day!r} is not a date: write YYYY-MM-DD") from None
    if not 1700 < start.year < 2250:
        raise ConfigError(f"{day!r} is beyond the years a tape can hold, 1701 to 2249")
    return int(start.timestamp()) * 10**9, int(end.timestamp()) * 10**9 - 1


def local_day(ts: int, timezone: str) -> str:
    """The local day of `ts`, ns UTC, as YYYY-MM-DD."""
    return datetime.fromtimestamp(ts // 10**9, UTC).astimezone(ZoneInfo(timezone)).date().isoformat()
