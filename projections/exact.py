"""Integer arithmetic over columns: nothing wraps, every division names its rounding."""

import numpy as np

MONEY_MAX = 2**62


def checked(values: np.ndarray) -> np.ndarray:
    """The column, when a float copy of it agrees that nothing is near the end of 64 bits."""
    assert not len(values) or int(np.abs(values).max()) < MONEY_MAX, "a sum is beyond what money holds"
    return values


def sum_groups(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Exact sums of the stretches that begin at `starts` (ascending, the first 0)."""
    sums = np.add.reduceat(values, starts)
    rough = np.add.reduceat(np.abs(values.astype(np.float64)), starts)
    assert not len(rough) or rough.max() < MONEY_MAX, "a sum is beyond what money holds"
    return sums


def divide_half_up(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """values / counts, the nearest, a tie up; values >= 0, and 0 where a count is 0."""
    safe = np.maximum(counts, 1)
    quotient, rest = np.divmod(values, safe)
    return np.where(counts > 0, quotient + (rest >= safe - rest), 0)
