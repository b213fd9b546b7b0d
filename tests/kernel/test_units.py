"""Fixed-point arithmetic against Python's integers, and rounding of float prices."""

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernel.jit import COMPILED
from kernel.units import (
    DOWN,
    FLOOR,
    HALF_EVEN,
    HALF_UP,
    MONEY_MAX,
    PX_MAX,
    SCALE,
    UP,
    fits_product,
    mul_div,
    to_units,
)

if COMPILED:
    from numba import njit

    kernel_mul_div, kernel_to_units, kernel_fits = mul_div, to_units, fits_product

    @njit(cache=True)
    def mul_div(a, b, c, rounding):
        return kernel_mul_div(a, b, c, rounding)

    @njit(cache=True)
    def to_units(price, tick, scale):
        return kernel_to_units(price, tick, scale)

    @njit(cache=True)
    def fits_product(a, b):
        return kernel_fits(a, b)


ROUNDINGS = (DOWN, UP, HALF_UP, HALF_EVEN, FLOOR)
LARGE = MONEY_MAX - 1


def rounded(value: Fraction, rounding: int) -> int:
    floor = math.floor(value)
    if rounding == FLOOR or value == floor:
        return floor
    sign = -1 if value < 0 else 1
    low = math.floor(abs(value))
    if rounding == DOWN:
        return sign * low
    if rounding == UP:
        return sign * (low + 1)
    rest = abs(value) - low
    away = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and (rounding == HALF_UP or low % 2 == 1))
    return sign * (low + away)


def check(a: int, b: int, c: int, rounding: int) -> None:
    expected = rounded(Fraction(a * b, c), rounding)
    floor = abs(a * b) // abs(c)
    if floor >= MONEY_MAX or abs(expected) > MONEY_MAX:
        with pytest.raises(AssertionError):
            mul_div(a, b, c, rounding)
    else:
        assert mul_div(a, b, c, rounding) == expected


any_size = st.one_of(
    st.integers(-LARGE, LARGE),
    st.integers(-1000, 1000),
    st.integers(0, 62).flatmap(
        lambda k: st.sampled_from([1 << k, -(1 << k), (1 << k) - 1, 1 - (1 << k), (1 << k) + 1])
    ),
).filter(lambda n: abs(n) <= LARGE)


@pytest.mark.parametrize("rounding", ROUNDINGS, ids=["down", "up", "half_up", "half_even", "floor"])
@given(a=any_size, b=any_size, c=any_size.filter(bool))
@example(a=LARGE, b=LARGE, c=LARGE)
@example(a=-LARGE, b=LARGE, c=-LARGE)
@example(a=LARGE, b=-LARGE, c=LARGE - 1)
@example(a=2**31, b=2**31, c=1)
@example(a=2**31 - 1, b=2**31, c=2**31)
@example(a=(1 << 61) + 1, b=3, c=6)
@example(a=0, b=LARGE, c=-1)
def test_mul_div_is_exact(a, b, c, rounding):
    check(a, b, c, rounding)


@pytest.mark.parametrize("rounding", ROUNDINGS, ids=["down", "up", "half_up", "half_even", "floor"])
@given(c=st.integers(1, LARGE // 8), k=st.integers(-3, 3), odd=st.integers(0, 1), b=st.integers(1, 2**40))
def test_mul_div_rounds_ties_as_named(c, k, odd, b, rounding):
    """(2k + 1) * c over 2c lies exactly between two integers, also after scaling by a large factor."""
    a = (2 * k + odd) * c
    check(a, 1, 2 * c, rounding)
    if abs(a) <= LARGE and 2 * c * b <= LARGE:
        check(a, b, 2 * c * b, rounding)


@pytest.mark.parametrize(
    ("rounding", "down", "tie", "up"),
    [  # 7/5, 5/2, 8/3 and their negatives; written out, so that the oracle above is not the only witness
        (DOWN, (1, -1), (2, -2), (2, -2)),
        (UP, (2, -2), (3, -3), (3, -3)),
        (HALF_UP, (1, -1), (3, -3), (3, -3)),
        (HALF_EVEN, (1, -1), (2, -2), (3, -3)),
        (FLOOR, (1, -2), (2, -3), (2, -3)),
    ],
)
def test_roundings_written_out(rounding, down, tie, up):
    for (a, c), expected in zip([(7, 5), (5, 2), (8, 3)], [down, tie, up], strict=True):
        assert (mul_div(a, 1, c, rounding), mul_div(-a, 1, c, rounding)) == expected
        assert (mul_div(-a, -1, c, rounding), mul_div(a, 1, -c, rounding)) == expected
    assert mul_div(7, 1, 2, HALF_EVEN) == 4
    assert mul_div(7, 1, 2, HALF_UP) == 4


@pytest.mark.parametrize(
    ("operands", "words"),
    [
        ((1, 1, 0), "divisor is zero"),
        ((MONEY_MAX, 1, 1), "operand is beyond"),
        ((1, -MONEY_MAX, 1), "operand is beyond"),
        ((1, 1, MONEY_MAX), "operand is beyond"),
        ((LARGE, 2, 1), "does not fit"),
        ((LARGE, LARGE, 1), "does not fit"),
        ((-LARGE, LARGE, LARGE - 1), "does not fit"),
    ],
)
def test_mul_div_asserts_its_bounds(operands, words):
    if operands == (-LARGE, LARGE, LARGE - 1):  # LARGE + 1 and a bit: the quotient itself is too large
        assert LARGE * LARGE // (LARGE - 1) >= MONEY_MAX
    with pytest.raises(AssertionError, match=words):
        mul_div(*operands, DOWN)


@given(a=any_size, b=any_size)
@example(a=2**31, b=2**31)
@example(a=2**31, b=2**31 - 1)
@example(a=LARGE, b=1)
@example(a=LARGE, b=2)
@example(a=0, b=LARGE)
def test_fits_product(a, b):
    assert bool(fits_product(a, b)) == (abs(a * b) < MONEY_MAX)


@pytest.mark.parametrize(
    ("price", "tick", "expected"),
    [
        (100.05, 500, 1_000_500),
        (100.074, 500, 1_000_500),
        (100.076, 500, 1_001_000),
        (0.75, 5_000, 10_000),  # a tie goes up
        (1.25, 5_000, 15_000),
        (-0.75, 5_000, -5_000),  # also below zero: up is towards +inf
        (-1.25, 5_000, -10_000),
        (-0.76, 5_000, -10_000),
        (0.0, 500, 0),
        (-0.0, 500, 0),
        (0.00005, 1, 1),
        (0.00004999, 1, 0),
        (math.nan, 500, 0),
        (math.inf, 500, PX_MAX),
        (-math.inf, 500, -PX_MAX),
        (1e300, 1, PX_MAX),
        (PX_MAX / SCALE, 1, PX_MAX),
        ((PX_MAX - 1) / SCALE, 1, PX_MAX - 1),
        (-(PX_MAX - 1) / SCALE, 1, 1 - PX_MAX),
    ],
)
def test_to_units(price, tick, expected):
    assert to_units(price, tick, SCALE) == expected


@given(ticks=st.integers(-(10**9), 10**9), tick=st.sampled_from([1, 5, 100, 500, 2_500]))
def test_to_units_keeps_prices_that_are_on_the_tick(ticks, tick):
    assert to_units(ticks * tick / SCALE, tick, SCALE) == ticks * tick


@given(price=st.floats(-1e8, 1e8), tick=st.sampled_from([1, 500, 2_500]))
def test_to_units_takes_the_nearest_tick(price, tick):
    found = to_units(price, tick, SCALE)
    assert found % tick == 0
    assert abs(Fraction(price) * SCALE - found) <= Fraction(tick, 2) + Fraction(abs(price) * SCALE) / 2**50
