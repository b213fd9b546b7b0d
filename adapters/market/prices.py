"""Text and numbers to prices and quantities, exactly. A value that does not fit is reported, never rounded
away."""

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

# Held equal to kernel.units by a test: importing that module would load numba, and an import needs no
# compiler.
SCALE = 10_000
PX_MAX = QTY_MAX = 2**46
DECIMALS = 4
MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "-", "--"})

_GROUPED_PX = re.compile(r"[-+]?\d{1,3}(,\d{2,3})*,\d{3}\.\d+")  # 1,234.50 and 12,34,567.50; 1,234 could be 1.234
_GROUPED_QTY = re.compile(r"[-+]?\d{1,3}(,\d{2,3})*,\d{3}(\.0*)?")

Problems = dict[int, str]
"""Row in the batch -> what is wrong with the value there."""


def show_px(units: int) -> str:
    """Units as a decimal in currency: 1010500 -> '101.05'."""
    text = f"{Decimal(int(units)) / SCALE:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number_in(text: str, grouped: re.Pattern[str], what: str) -> tuple[str, Decimal]:
    """The text without spaces and the commas of `grouped` numbers, and its finite value. Raises ValueError."""
    plain = text.strip()
    if plain.lower() in MISSING:
        raise ValueError("is missing")
    if grouped.fullmatch(plain):
        plain = plain.replace(",", "")
    try:
        value = Decimal(plain if "_" not in plain else "")  # 1_000 is a number to Python only
    except InvalidOperation:
        raise ValueError(f"is {text!r}, which is not a number") from None
    if not value.is_finite():
        raise ValueError(f"is {text!r}, which is not a {what}")
    return plain, value


def parse_px(text: str) -> int:
    """One decimal text as units, exactly. Raises ValueError with the reason."""
    plain, value = _number_in(text, _GROUPED_PX, "price")
    if abs(value) * SCALE >= PX_MAX:
        raise ValueError(f"is {plain}, beyond the largest price {show_px(PX_MAX)}")
    units = value * SCALE
    if units != units.to_integral_value():
        raise ValueError(f"{plain} is off the tick: prices hold {DECIMALS} decimals")
    return int(units)


def round_px(text: str, tick: int) -> tuple[int, Decimal]:
    """One decimal text as the nearest multiple of `tick`, half up, and how far off it was; both in units.

    Raises ValueError with the reason.
    """
    plain, value = _number_in(text, _GROUPED_PX, "price")
    if abs(value) * SCALE >= PX_MAX:
        raise ValueError(f"is {plain}, beyond the largest price {show_px(PX_MAX)}")
    exact = value * SCALE
    units = int((exact / tick).to_integral_value(ROUND_HALF_UP)) * tick
    return units, abs(exact - units)


class Rounding:
    """Prices of one file put on the tick, row by row where they are off it; `rows` and `largest` say how it went."""

    def __init__(self) -> None:
        self.rows, self.largest = 0, Decimal(0)  # units

    def column(
        self, column: "pa.Array", tick: np.ndarray | int, units: np.ndarray, problems: Problems, moved: np.ndarray
    ) -> tuple[np.ndarray, Problems]:
        """`px_column` of the same column gone over again; rows that were rounded are marked in `moved`."""
        off = np.union1d(np.flatnonzero(units % tick), np.array(sorted(problems), "i8"))
        units, left = np.array(units), {}
        for row in off.tolist():
            value = column[row].as_py()
            try:
                step = int(tick[row]) if isinstance(tick, np.ndarray) else tick
                units[row], distance = round_px("" if value is None else str(value), step)
            except ValueError as error:
                left[row] = str(error)
                continue
            moved[row] |= distance > 0
            self.largest = max(self.largest, distance)
        return units, left

    def note(self, path: str) -> str:
        by = f"{self.largest / SCALE:f}".rstrip("0")
        return f"{path}: the prices of {self.rows:,} rows were rounded to the tick, by {by} at most"


def parse_qty(text: str) -> int:
    """One text as a whole number of shares or contracts. Raises ValueError with the reason."""
    plain, value = _number_in(text, _GROUPED_QTY, "quantity")
    if abs(value) >= QTY_MAX:
        raise ValueError(f"is {plain}, beyond the largest quantity {QTY_MAX}")
    if value != value.to_integral_value():
        raise ValueError(f"{plain} is fractional: quantities are whole numbers")
    return int(value)


def px_column(column: "pa.Array", tick: np.ndarray | int) -> tuple[np.ndarray, Problems]:
    """Text, decimals, integers or floats -> int64 units. `tick` (units) only snaps floats; see
    `_from_floats`."""
    import pyarrow as pa

    if pa.types.is_floating(column.type):
        return _from_floats(column, tick)
    if column.null_count == 0:
        try:
            cast = column.cast(pa.decimal64(18, DECIMALS))
            units = np.frombuffer(cast.buffers()[1], "i8")[cast.offset : cast.offset + len(cast)]
            if not len(units) or max(-int(units.min()), int(units.max())) < PX_MAX:
                return units, {}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass  # at least one value needs a closer look: separators, blanks, or something to report
    return _one_by_one(column, parse_px)


def qty_column(column: "pa.Array") -> tuple[np.ndarray, Problems]:
    """Text, integers, decimals or floats -> int64 whole numbers."""
    import pyarrow as pa

    if column.null_count == 0:
        try:
            quantities = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
            if not len(quantities) or max(-int(quantities.min()), int(quantities.max())) < QTY_MAX:
                return quantities, {}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    return _one_by_one(column, parse_qty)


def _one_by_one(column: "pa.Array", parse) -> tuple[np.ndarray, Problems]:  # type: ignore[no-untyped-def]
    values = np.zeros(len(column), "i8")
    problems: Problems = {}
    for row, value in enumerate(column.to_pylist()):
        try:
            values[row] = parse("" if value is None else str(value))
        except ValueError as error:
            problems[row] = str(error)
    return values, problems


def _from_floats(column: "pa.Array", tick: np.ndarray | int) -> tuple[np.ndarray, Problems]:
    """A float is taken as the nearest tick multiple when it is within 1e-6 of its size and a tenth of a tick.

    The first bound forgives binary fractions (also float32 ones), the second keeps a big price from hiding
    a real
    difference inside a millionth of itself.
    """
    prices = column.to_numpy(zero_copy_only=False).astype("f8")
    fine = np.abs(prices) < PX_MAX / SCALE  # False for NaN
    scaled = np.where(fine, prices, 0.0) * SCALE
    units = np.rint(scaled / tick).astype("i8") * tick
    off = np.abs(scaled - units) > np.minimum(1e-6 * np.abs(scaled), 0.1 * np.asarray(tick))
    problems: Problems = {}
    for row in np.flatnonzero(~fine | off):
        price = float(prices[row])
        if np.isnan(price):
            problems[int(row)] = "is missing"
        elif not fine[row]:
            problems[int(row)] = f"is {price:g}, beyond the largest price {show_px(PX_MAX)}"
        else:
            step = int(tick[row]) if isinstance(tick, np.ndarray) else tick
            problems[int(row)] = f"{price!r} is off the tick {show_px(step)}"
    return units, problems
