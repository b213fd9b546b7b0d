"""Local wall time and UTC, vectorised. Times are int64 ns; a local time counts from 1970-01-01 00:00 on its
own wall."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from kernel.errors import ConfigError

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (wall time)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The IANA zone `name`. Raises ConfigError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"tz {name!r} is not a time zone this machine knows: use a name such as Asia/Kolkata"
        ) from None


def local_midnight(day: str) -> int:
    """ns of local wall time at which a day written YYYY-MM-DD begins; of "", the very beginning."""
    return int(np.datetime64(day, "D").astype(np.int64)) * DAY if day else -(2**63)


def to_utc(local: np.ndarray, tz: str) -> tuple[np.ndarray, np.ndarray]:
    """(ns UTC, mask of times that exist twice or not at all because the clocks changed; those take the
    first offset)."""
    where = zone(tz)
    utc = local - _offsets(local, lambda second: _local_offset(second, where, 0))
    bad = np.zeros(len(local), bool)
    for row in np.flatnonzero(_changing_days(local, where)):
        second = int(local[row]) // SECOND
        bad[row] = _local_offset(second, where, 0) != _local_offset(second, where, 1)
    return utc, bad


def to_local(utc: np.ndarray, tz: str) -> np.ndarray:
    """ns UTC -> ns of local wall time."""
    where = zone(tz)
    return utc + _offsets(utc, lambda second: _utc_offset(second, where))


def standard_offset(tz: str) -> int:
    """How far standard time of the zone is ahead of UTC, ns: its winter time, the same whatever day a run begins."""
    moment = datetime(2024, 1, 1, tzinfo=UTC).astimezone(zone(tz))
    return ((moment.utcoffset() or timedelta()) - (moment.dst() or timedelta())) // timedelta(microseconds=1) * 1_000


def show_time(utc: int, tz: str) -> str:
    """ns UTC as local ISO text with its offset, to the second."""
    moment = datetime.fromtimestamp(int(utc) // SECOND, UTC).astimezone(zone(tz))
    return moment.isoformat(sep=" ")


@lru_cache(1 << 16)
def _local_offset(second: int, where: ZoneInfo, fold: int) -> int:
    moment = (_EPOCH + timedelta(seconds=second)).replace(tzinfo=where, fold=fold)
    return int(moment.utcoffset().total_seconds())  # type: ignore[union-attr]


@lru_cache(1 << 16)
def _utc_offset(second: int, where: ZoneInfo) -> int:
    return int(datetime.fromtimestamp(second, UTC).astimezone(where).utcoffset().total_seconds())  # type: ignore[union-attr]


def _day_table(times: np.ndarray, offset) -> tuple[int, np.ndarray]:  # type: ignore[no-untyped-def]
    """(first day, offset in seconds at the start of every day from there to one past the last)."""
    first, last = int(times.min()) // DAY, int(times.max()) // DAY
    return first, np.array([offset(day * 86_400) for day in range(first, last + 2)], "i8")


def _offsets(times: np.ndarray, offset) -> np.ndarray:  # type: ignore[no-untyped-def]
    """ns to add per time; days that begin and end with one offset are looked up, the few others asked one
    by one."""
    if not len(times):
        return times
    first, table = _day_table(times, offset)
    day = times // DAY - first
    offsets = table[day]
    for row in np.flatnonzero(offsets != table[day + 1]):
        offsets[row] = offset(int(times[row]) // SECOND)
    return offsets * SECOND


def _changing_days(local: np.ndarray, where: ZoneInfo) -> np.ndarray:
    """Rows on a wall day whose start and end differ in offset."""
    if not len(local):
        return np.zeros(0, bool)
    first, table = _day_table(local, lambda second: _local_offset(second, where, 0))
    day = local // DAY - first
    return table[day] != table[day + 1]
