"""Integer arithmetic over columns: nothing wraps, every division names its rounding."""

import numpy as np

MONEY_MAX = 2**62


def checked(values: np.ndarray) -> np.ndarray:
    """The column, when a float copy of it agrees that nothing is near the end of 64 bits."""
    assert not len(values) or int(np.abs(values).max()) < MONEY_MAX, "a sum is beyond what money holds"
    return values


def wide_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a * b as Python integers: a quantity and a price of fine scales pass 64 bits."""
    return a.astype(object) * b.astype(object)


def worth(qty: int, px: int, num: int, den: int) -> int:
    """What a quantity is worth, money: to the nearest unit, a tie to the even one, as the kernel has it."""
    whole, rest = divmod(abs(qty * px * num), den)
    whole += 2 * rest > den or (2 * rest == den and whole % 2 == 1)
    return whole if (qty < 0) == (px < 0) else -whole


def sum_groups(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Exact sums of the stretches that begin at `starts` (ascending, the first 0)."""
    sums = np.add.reduceat(values, starts)
    if values.dtype == object:
        return sums
    rough = np.add.reduceat(np.abs(values.astype(np.float64)), starts)
    assert not len(rough) or rough.max() < MONEY_MAX, "a sum is beyond what money holds"
    return sums


def divide_half_up(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """values / counts as int64, the nearest, a tie up; values >= 0, and 0 where a count is 0."""
    safe = np.maximum(counts, 1)
    quotient, rest = values // safe, values % safe
    return np.where(counts > 0, quotient + (rest >= safe - rest), 0).astype(np.int64)
