"""The arithmetic of strategies: Python's, held to 64 bits, and the same compiled and interpreted.

A strategy's operators and number functions become calls of these before it runs either way
(`adapters/strategies/rewrite.py`). What a whole number cannot hold raises OverflowError; nothing wraps around. What
`math` calls out of its domain raises ValueError. `kernel/checked_native.py` is the same for the compiler.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from kernel.jit import COMPILED, jit_user

LOWEST, HIGHEST = -(2**63), 2**63 - 1
TOO_LARGE = "a whole number beyond 64 bits"
NOT_WHOLE = "NaN, or a number beyond 64 bits, as a whole number"
OUT_OF_DOMAIN = "math domain error, or a result beyond what a float holds"
ARRAYS = "arrays of floats take + - * / only: write a loop over their elements"
_SCALARS = (np.integer, np.floating, np.bool_)


def plain(x: Any) -> Any:
    """A number of numpy's as Python's; anything else as it is."""
    return x.item() if isinstance(x, _SCALARS) else x


def held(x: int) -> int:
    if not LOWEST <= x <= HIGHEST:
        raise OverflowError(TOO_LARGE)
    return x


def _binary(name: str, op: Callable, arrays: bool) -> Callable:
    def apply(a: Any, b: Any) -> Any:
        a, b = plain(a), plain(b)
        if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
            if not arrays or any(isinstance(x, np.ndarray) and x.dtype != np.float64 for x in (a, b)):
                raise TypeError(ARRAYS)
            with np.errstate(all="ignore"):
                return op(a, b)
        result = op(a, b)
        return held(result) if type(result) is int else result

    apply.__name__ = apply.__qualname__ = name
    return apply


def _of_floats(op: Callable) -> Callable:
    """As processors divide: Python's own quotient of two large whole numbers is rounded only once."""
    return lambda a, b: op(*(float(x) if isinstance(x, int) else x for x in (a, b)))


add, add_to = _binary("add", operator.add, True), _binary("add_to", operator.iadd, True)
subtract, subtract_from = _binary("subtract", operator.sub, True), _binary("subtract_from", operator.isub, True)
multiply, multiply_by = _binary("multiply", operator.mul, True), _binary("multiply_by", operator.imul, True)
divide = _binary("divide", _of_floats(operator.truediv), True)
divide_by = _binary("divide_by", _of_floats(operator.itruediv), True)
floor_divide, remainder = _binary("floor_divide", operator.floordiv, False), _binary("remainder", operator.mod, False)


def shift_left(a: Any, n: Any) -> int:
    a, n = operator.index(plain(a)), operator.index(plain(n))
    if n < 0:
        raise ValueError("negative shift count")
    if a != 0 and n > 63:
        raise OverflowError(TOO_LARGE)
    return held(a << n) if a else 0


def shift_right(a: Any, n: Any) -> int:
    a, n = operator.index(plain(a)), operator.index(plain(n))
    if n < 0:
        raise ValueError("negative shift count")
    return a >> min(n, 63)


def negate(x: Any) -> Any:
    x = plain(x)
    return held(-x) if isinstance(x, int) else -x


def invert(x: Any) -> int:
    x = plain(x)
    if isinstance(x, bool):
        raise TypeError("~ of a truth value: write `not`")
    return ~operator.index(x)


def magnitude(x: Any) -> Any:
    x = plain(x)
    return held(abs(x)) if isinstance(x, int) else abs(x)


def whole(x: Any) -> int:
    """`int(x)`: towards zero."""
    x = plain(x)
    if not isinstance(x, int | float):
        raise TypeError(f"a {type(x).__name__} as a whole number")
    if isinstance(x, float) and not -(2.0**63) <= x < 2.0**63:
        raise OverflowError(NOT_WHOLE)
    return int(x)


def _to_whole(name: str, step: Callable) -> Callable:
    def apply(x: Any) -> int:
        x = plain(x)
        return held(step(x)) if isinstance(x, float) and math.isfinite(x) else whole(x)

    apply.__name__ = apply.__qualname__ = name
    return apply


floor, ceil = _to_whole("floor", math.floor), _to_whole("ceil", math.ceil)
trunc, nearest = _to_whole("trunc", math.trunc), _to_whole("nearest", round)


def fit(place: Any, x: Any) -> Any:
    """`x` as the element of `place` it is stored in: towards zero where `place` has whole numbers."""
    return whole(x) if isinstance(place, np.ndarray) and place.dtype.kind in "iu" else plain(x)


def _real(name: str) -> Callable:
    """A function of `math`: NaN of numbers and infinity of finite numbers are errors, as Python has it."""
    function = getattr(math, name)

    def apply(x: Any) -> float:
        return function(float(x))

    apply.__name__ = apply.__qualname__ = f"real_{name}"
    return apply


REAL = {
    getattr(math, name): _real(name)
    for name in ("exp", "expm1", "log", "log10", "log1p", "log2", "sqrt")
    + ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
}


def real_power(a: Any, b: Any) -> float:
    return math.pow(float(a), float(b))


@jit_user
def whole_power(a, b):
    """`a ** b` of whole numbers; the loop squares no further than the result needs."""
    if b < 0:
        raise ValueError("a negative power of a whole number: write it as a float, 2.0 ** -1")
    result, square, left = 1, a, b
    while left > 0:
        if left & 1:
            result = multiply(result, square)
        left >>= 1
        if left > 0:
            square = multiply(square, square)
    return result


def power(a: Any, b: Any) -> Any:
    a, b = plain(a), plain(b)
    if isinstance(a, int) and isinstance(b, int):
        return getattr(whole_power, "py_func", whole_power)(int(a), int(b))
    if not isinstance(a, int | float) or not isinstance(b, int | float):
        raise TypeError(ARRAYS)
    return real_power(a, b)


@jit_user
def total(values):
    """`sum(values)` from left to right: Python's own, from 3.12 on, and numpy's add in other orders."""
    result = 0
    for value in values:
        result = add(result, value)
    return result


@jit_user
def lowest(values):
    """`min(values)`: the first of equals; NaN only where it comes first."""
    result = values[0]
    for value in values:
        if value < result:
            result = value
    return result


@jit_user
def highest(values):
    """`max(values)`: the first of equals; NaN only where it comes first."""
    result = values[0]
    for value in values:
        if value > result:
            result = value
    return result


@jit_user
def rounded(x, digits):
    """`round(x, digits)` as numpy has it: scaled, to the nearest whole, a tie to the even one, scaled back."""
    scale = real_power(10.0, float(abs(digits)))
    scaled = x * scale if digits >= 0 else x / scale
    if not abs(scaled) < 4503599627370496.0:  # 2**52: it has no fraction, or is NaN
        return x
    below = float(math.floor(scaled))
    left = scaled - below
    if left > 0.5 or (left == 0.5 and below % 2.0 == 1.0):
        below += 1.0
    return below / scale if digits >= 0 else below * scale


def round_to(x: Any, digits: Any) -> float:
    return getattr(rounded, "py_func", rounded)(float(x), operator.index(plain(digits)))


# ---- what the compiler does by itself, for interpreted runs only --------------------------------------------------


def _compared(name: str, op: Callable) -> Callable:
    def apply(a: Any, b: Any) -> Any:
        a, b = plain(a), plain(b)
        if isinstance(a, float) and isinstance(b, int):
            b = float(b)
        elif isinstance(a, int) and isinstance(b, float):
            a = float(a)  # Python compares the exact numbers, processors floats
        return op(a, b)

    apply.__name__ = apply.__qualname__ = name
    return apply


less, less_equal = _compared("less", operator.lt), _compared("less_equal", operator.le)
more, more_equal = _compared("more", operator.gt), _compared("more_equal", operator.ge)
equal, unequal = _compared("equal", operator.eq), _compared("unequal", operator.ne)


def _extreme(name: str, pick: Callable) -> Callable:
    def apply(*values: Any) -> Any:
        given = [plain(x) for x in values]
        return pick(float(x) for x in given) if any(isinstance(x, float) for x in given) else pick(given)

    apply.__name__ = apply.__qualname__ = name
    return apply


smallest, largest = _extreme("smallest", min), _extreme("largest", max)


if COMPILED:
    from kernel.checked_native import register

    register(globals())
