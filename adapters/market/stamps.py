"""Time columns to int64 ns: the way a file writes its times is told from its first value and then held to.

A date or time without an offset counts on the local wall (`DATE`, `NAIVE`); one with an offset or since the
epoch is
an instant (`UTC`). 03/04/2024 is never guessed at: some other row must show which part is the day.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from adapters.market.prices import MISSING, Problems
from adapters.market.zones import DAY, SECOND
from kernel.errors import ImportRefused

if TYPE_CHECKING:
    import pyarrow as pa

DATE, NAIVE, INSTANT = "date", "naive", "instant"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (wall time)
_LAST = 280 * 365 * DAY  # ns from 1970, either way
_CLOCK = r"(?P<clock>[ T]?\d{1,2}:\d\d(:\d\d)?|[ T;]\d{4}(\d\d)?)?"  # 9:15, and 0915 behind a mark
_DAY_MONTH = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2\d{4}\b")
# pattern of the first value -> (strptime format of the day part, rest)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\d{4}-\d\d-\d\d" + _CLOCK), "%Y-%m-%d"),
    (re.compile(r"\d{4}/\d\d?/\d\d?" + _CLOCK), "%Y/%m/%d"),
    (re.compile(r"\d{8}" + _CLOCK), "%Y%m%d"),
    (re.compile(r"\d{1,2}-[A-Za-z]{3}-\d{4}" + _CLOCK), "%d-%b-%Y"),
    (re.compile(r"\d{1,2}-[A-Za-z]{3}-\d{2}" + _CLOCK), "%d-%b-%y"),
    (re.compile(r"\d{1,2} [A-Za-z]{3} \d{4}" + _CLOCK), "%d %b %Y"),
    (re.compile(r"(19|20)\d{10}"), "%Y%m%d%H%M"),
    (re.compile(r"(19|20)\d{12}"), "%Y%m%d%H%M%S"),
)


class Stamps:
    """Reads one file's time column. `sample` yields texts from the start of the file, to tell days from
    months."""

    def __init__(self, path: str, date_format: str | None, sample: Callable[[], Iterable[str]]) -> None:
        self.path, self._format, self._sample = path, date_format, sample
        self.kind = ""
        self._read: Callable[[pa.Array], np.ndarray] | None = None

    def read(self, column: "pa.Array") -> tuple[np.ndarray, Problems]:
        """(ns, what could not be read). Raises ImportRefused when the first value is of no known form."""
        import pyarrow as pa

        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            return self._text(column)
        try:
            values, self.kind = _typed(column, self.path)
        except (pa.ArrowInvalid, ValueError) as error:
            raise ImportRefused(f"{self.path}: its time column holds what is no time: {error}") from None
        return _with_missing(values, column)

    def _text(self, column: "pa.Array") -> tuple[np.ndarray, Problems]:
        import pyarrow as pa

        if self._read is None:
            first = next((t.strip() for t in column.to_pylist() if t and t.strip().lower() not in MISSING), None)
            if first is None:
                return np.zeros(len(column), "i8"), dict.fromkeys(range(len(column)), "is missing")
            self._choose(first)
        assert self._read is not None
        try:
            if column.null_count == 0:
                return self._read(column), {}
        except (pa.ArrowInvalid, ValueError):
            pass  # some value is not like the first: find which
        return self._one_by_one(column)

    def _one_by_one(self, column: "pa.Array") -> tuple[np.ndarray, Problems]:
        import pyarrow as pa

        values, problems = np.zeros(len(column), "i8"), {}
        known: dict[str, int | str] = {}
        for row, value_or_none in enumerate(column.to_pylist()):
            text = (value_or_none or "").strip()
            if text not in known:
                try:
                    known[text] = int(self._read(pa.array([text]))[0])  # type: ignore[misc,operator]
                except (pa.ArrowInvalid, ValueError):
                    known[text] = (
                        "is missing"
                        if text.lower() in MISSING
                        else f"is {text!r}: no such time, or not written like the first, {self._first!r}"
                    )
            value = known[text]
            if isinstance(value, str):
                problems[row] = value
            else:
                values[row] = value
        return values, problems

    def _choose(self, first: str) -> None:
        self._first = first
        if self._format is not None:
            self._by_format(self._format)
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", first):
            self.kind, self._read = DATE, _iso_date
        elif re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?", first):
            self.kind, self._read = NAIVE, lambda column: _iso(column, None)
        elif re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)? ?(Z|[-+]\d\d(:?\d\d)?)", first):
            self.kind, self._read = INSTANT, lambda column: _iso(column, "UTC")
        elif match := _DAY_MONTH.match(first):
            self._by_format(self._day_or_month(match[2]) + _clock_format(first[match.end() :]))
        elif re.fullmatch(r"\d{9,19}(\.0+)?", first) and not any(p.fullmatch(first) for p, _ in _PATTERNS[-2:]):
            factor = epoch_factor(int(first.partition(".")[0]))
            self.kind, self._read = INSTANT, lambda column: _epoch(column, factor)
        else:
            for pattern, form in _PATTERNS:
                if match := pattern.fullmatch(first):
                    self._by_format(form + _clock_format(match.groupdict().get("clock") or ""))
                    return
            raise ImportRefused(
                f"{self.path}: {first!r} is a time of no known form: give date_format, such as '%d-%m-%Y %H:%M'"
            )

    def _by_format(self, form: str) -> None:
        timed = re.search(r"%[HIMSfpXcTR]", form)
        self.kind = INSTANT if "%z" in form else NAIVE if timed else DATE
        self._read = lambda column: _by_strptime(column, form)

    def _day_or_month(self, mark: str) -> str:
        """The format of a numeric date by what the file shows. Raises ImportRefused when it shows nothing."""
        for text in self._sample():
            match = _DAY_MONTH.match((text or "").strip())
            if match and int(match[1]) > 12:
                return f"%d{mark}%m{mark}%Y"
            if match and int(match[3]) > 12:
                return f"%m{mark}%d{mark}%Y"
        raise ImportRefused(
            f"{self.path}: its dates could be day{mark}month or month{mark}day and no row shows which: give "
            f"date_format '%d{mark}%m{mark}%Y' (Indian) or '%m{mark}%d{mark}%Y' (American), with ' %H:%M' "
            f"if a time follows"
        )


def _clock_format(clock: str) -> str:
    if not clock:
        return ""
    lead = clock[0] if clock[0] in " T;" else ""
    if ":" not in clock:
        return lead + ("%H%M%S" if len(clock) > 5 else "%H%M")
    return lead + ("%H:%M:%S" if clock.count(":") == 2 else "%H:%M")


def _iso_date(column: "pa.Array") -> np.ndarray:
    import pyarrow as pa

    return _within(column.cast(pa.date32()).cast(pa.int32()).to_numpy(zero_copy_only=False).astype("i8"), DAY)


def _iso(column: "pa.Array", tz: str | None) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if tz is not None:  # '... +05:30' as well
        column = (
            pc.replace_substring_regex(column, r" ([-+])", r"\1")
            if " +" in str(column[0]) or " -" in str(column[0])
            else column
        )
    elif pc.any(pc.less(pc.utf8_length(column), 12)).as_py():
        raise ValueError("a date among times")
    return column.cast(pa.timestamp("ns", tz)).cast(pa.int64()).to_numpy(zero_copy_only=False)


def _epoch(column: "pa.Array", factor: int) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pc.replace_substring_regex(column, r"\.0+$", "")
    return epoch_ns(whole.cast(pa.int64()).to_numpy(zero_copy_only=False), factor)


_UNITS = ((10**11, SECOND), (10**14, 10**6), (10**17, 10**3), (2**63 - 1, 1))


def epoch_factor(value: int) -> int:
    """ns in the unit of a time since 1970, told by its size: seconds, ms, us or ns."""
    return next((factor for limit, factor in _UNITS if value < limit), 1)


def epoch_ns(values: np.ndarray, factor: int) -> np.ndarray:
    """Times since 1970 -> ns. Raises ValueError when one is not of the size its unit has."""
    place = [unit for _, unit in _UNITS].index(factor)
    low = _UNITS[place - 1][0] if place else 0
    if len(values) and (values.min() < low or values.max() >= _UNITS[place][0]):
        raise ValueError("epoch times of several units")
    return _within(values, factor)


def _by_strptime(column: "pa.Array", form: str) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not re.search(r"%[^YmdHMSbBy]", form):
        parsed = pc.strptime(column, format=form, unit="s", error_is_null=True)
        if parsed.null_count:
            raise ValueError("a value does not match")
        # Arrow rolls 31 April over into May; a real date comes back the same
        day = re.search(r"%d", form)
        if day is None or not _may_roll(parsed, column, form):
            return _within(parsed.cast(pa.int64()).to_numpy(zero_copy_only=False), SECOND)
    known: dict[str, int] = {}
    for text in column.to_pylist():
        if text not in known:
            moment = datetime.strptime(text.strip(), form)  # noqa: DTZ007 (wall time)
            if moment.tzinfo is not None:
                moment = moment.astimezone(UTC).replace(tzinfo=None)
            since = moment - _EPOCH
            known[text] = (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1_000
    return _within([known[text] for text in column.to_pylist()], 1)


def _within(values: np.ndarray | list[int], unit: int) -> np.ndarray:
    """`values` times `unit` in ns. Raises ValueError for a time beyond what int64 ns hold, such as of year 24 or 9999,
    which would come out as another year."""
    if len(values) and (int(np.min(values)) * unit <= -_LAST or int(np.max(values)) * unit >= _LAST):
        raise ValueError("a time beyond the years 1700 to 2250")
    return np.asarray(values, "i8") * unit


def _may_roll(parsed: "pa.Array", column: "pa.Array", form: str) -> bool:
    """Whether some date came out as the 1st to 3rd of a month without saying so: only those can have rolled
    over."""
    import pyarrow.compute as pc

    early = pc.less_equal(pc.day(parsed), 3)
    if not pc.any(early).as_py():
        return False
    for text in pc.unique(column.filter(early)).to_pylist():
        try:
            datetime.strptime(text, form)  # noqa: DTZ007 (wall time)
        except ValueError:
            return True
    return False


def _typed(column: "pa.Array", path: str) -> tuple[np.ndarray, str]:
    """Arrow's own date, timestamp and integer columns."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_date(kind):
        days = column.cast(pa.date32()).cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
        return _within(days.astype("i8"), DAY), DATE
    if pa.types.is_timestamp(kind):
        ns = column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64()).fill_null(0)
        return ns.to_numpy(zero_copy_only=False), INSTANT if kind.tz else NAIVE
    if pa.types.is_integer(kind):
        import pyarrow.compute as pc

        usual = pc.max(column).as_py()  # stands in for missing values, which are reported
        values = column.cast(pa.int64()).fill_null(usual or 0).to_numpy(zero_copy_only=False)
        if len(values) and values.min() >= 19_000_101 and values.max() <= 21_001_231:
            return _iso_date(
                pa.array([f"{v // 10000:04}-{v // 100 % 100:02}-{v % 100:02}" for v in values.tolist()])
            ), DATE
        try:
            return epoch_ns(values, epoch_factor(int(usual or 0))), INSTANT
        except ValueError:
            raise ImportRefused(
                f"{path}: its time column mixes seconds, ms, us and ns since 1970: store one unit"
            ) from None
    raise ImportRefused(f"{path}: a time column of type {kind} is not understood: store it as a timestamp or as text")


def _with_missing(values: np.ndarray, column: "pa.Array") -> tuple[np.ndarray, Problems]:
    if not column.null_count:
        return values, {}
    missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
    return values, {int(row): "is missing" for row in missing}
