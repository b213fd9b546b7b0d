"""Fixed-point arithmetic inside int64: one source for both modes, every rounding named.

Prices and money are integers in 1/SCALE of the currency. Products of two int64 go through 31-bit limbs, so no
intermediate leaves int64 (Knuth, TAOCP 2, 4.3.1); `tests/kernel/test_units.py` holds it against Python's integers.
"""

from kernel.jit import jit, jit_call, jit_shared

SCALE = 10_000  # units in one rupee or dollar
SHARE = 1_000_000_000  # units in a share of one
PX_MAX = QTY_MAX = 2**46  # |px| and |qty| stay below this many units
MONEY_MAX = 2**62  # |money| stays below this many units

DOWN, UP, HALF_UP, HALF_EVEN, FLOOR = (
    0,
    1,
    2,
    3,
    4,
)  # towards zero, away from it, nearest (ties away / to even), to -inf

_LIMB = 31
_MASK = (1 << _LIMB) - 1
_WORD_MAX = 2**63 - 1


@jit
def fits_product(a, b):
    """Whether |a * b| stays below MONEY_MAX."""
    x, y = abs(a), abs(b)
    return x == 0 or y <= (MONEY_MAX - 1) // x


@jit_call
def _divide_wide(a, b, c):
    """(quotient, remainder) of a * b by c for 0 <= a, b < 2**62 and 0 < c < 2**62; asserts the quotient < 2**62."""
    a1, a0 = a >> _LIMB, a & _MASK
    b1, b0 = b >> _LIMB, b & _MASK
    low = a0 * b0
    middle = a1 * b0 + (low >> _LIMB)
    carry = a0 * b1 + (middle & _MASK)
    high = a1 * b1 + (middle >> _LIMB) + (carry >> _LIMB)  # the product is high * 2**62 + rest
    rest = ((carry & _MASK) << _LIMB) | (low & _MASK)
    assert high < c, "mul_div: the result does not fit"
    quotient = 0
    for i in range(62):
        high = (high << 1) | ((rest >> (61 - i)) & 1)
        quotient <<= 1
        if high >= c:
            high -= c
            quotient |= 1
    return quotient, high


@jit_shared
def mul_div(a, b, c, rounding):
    """a * b / c rounded as named, exact whatever the size of a * b.

    |a|, |b|, |c| < 2**62, c != 0, and |result| < 2**62, all asserted.
    """
    assert c != 0, "mul_div: the divisor is zero"
    negative = (a < 0) != (b < 0)
    if c < 0:
        negative = not negative
    x, y, z = abs(a), abs(b), abs(c)
    assert x < MONEY_MAX and y < MONEY_MAX and z < MONEY_MAX, "mul_div: an operand is beyond 2**62"
    if x == 0 or y <= _WORD_MAX // x:
        product = x * y
        quotient = product // z
        remainder = product - quotient * z
    else:
        quotient, remainder = _divide_wide(x, y, z)
    assert quotient < MONEY_MAX, "mul_div: the result does not fit"
    if remainder != 0:
        if rounding == UP or (rounding == FLOOR and negative):
            quotient += 1
        elif rounding == HALF_UP or rounding == HALF_EVEN:
            rest = z - remainder
            if remainder > rest or (remainder == rest and (rounding == HALF_UP or quotient & 1 == 1)):
                quotient += 1
    return -quotient if negative else quotient


@jit
def to_units(price, tick, scale):
    """A float price as integer units: the nearest multiple of `tick`, a tie going up; 0 for NaN, and PX_MAX (or minus
    that) for what is out of range."""
    ticks = price * scale / tick
    if not (-1.0 * PX_MAX < ticks * tick < 1.0 * PX_MAX):
        return 0 if ticks != ticks else PX_MAX if ticks > 0.0 else -PX_MAX
    whole = int(ticks) if ticks >= 0.0 else -int(-ticks)
    if whole > ticks:
        whole -= 1  # floor
    if ticks - whole >= 0.5:
        whole += 1
    return whole * tick
