"""What a strategy's functions may call beside Onetape's own and its helpers: what is the same, bit for bit, compiled
and interpreted (tests/adapters/strategies/test_same_numbers.py)."""

import builtins
import math
from typing import Any

import numpy as np

BUILTINS = ("abs", "bool", "enumerate", "float", "int", "len", "max", "min", "pow", "range", "round", "sum", "zip")
MATH = (
    *("exp", "expm1", "log", "log10", "log1p", "log2", "pow", "sqrt"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
    *("floor", "ceil", "trunc", "fabs", "copysign", "isnan", "isinf", "isfinite"),
)
NUMPY = (
    *("array", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like"),
    *("abs", "sqrt", "floor", "ceil", "isnan", "isinf", "isfinite", "argmin", "argmax", "any", "all"),
)
METHODS = ("append", "pop", "extend", "insert", "clear", "reverse", "copy", "argmin", "argmax", "any", "all")
DTYPES = (np.float64, np.int64, np.bool_)

_SUMS = "it adds in another order compiled: add up in a loop, or with sum()"
_LAST = "it may differ in the last bit compiled"
_MEMORY = "it holds whatever was in memory before, another thing each run: use np.zeros"
INSTEAD = {
    **dict.fromkeys(("empty", "empty_like", "ndarray"), _MEMORY),
    **dict.fromkeys(("sum", "mean", "std", "var", "nansum", "nanmean", "prod", "average", "median", "cumsum"), _SUMS),
    **dict.fromkeys(("dot", "cov", "corrcoef", "convolve", "correlate", "linalg", "percentile", "quantile"), _SUMS),
    **{name: f"{_LAST}: use math.{name}" for name in ("exp", "log", "log2", "log10", "log1p", "expm1")},
    **{name: f"{_LAST}: use math.{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **dict.fromkeys(("power", "float_power", "square"), "write ** of numbers, in a loop"),
    **dict.fromkeys(("sort", "argsort", "partition"), "equal or NaN elements keep no certain order: write a loop"),
    **dict.fromkeys(("min", "amin", "minimum", "fmin"), "0.0 and -0.0 are its choice: use min()"),
    **dict.fromkeys(("max", "amax", "maximum", "fmax"), "0.0 and -0.0 are its choice: use max()"),
    "round": "use round()",
}
_KNOWN = [
    *(getattr(builtins, name) for name in BUILTINS),
    *(getattr(math, name) for name in MATH),
    *(getattr(np, name) for name in NUMPY),
]
KNOWN = {id(value) for value in _KNOWN}


def is_known(value: Any) -> bool:
    """Whether it may be called: named above, an exception to raise, or a tuple with names."""
    if isinstance(value, type) and (issubclass(value, Exception) or hasattr(value, "_fields")):
        return True
    return id(value) in KNOWN


def why_not(value: Any, name: str) -> str:
    """What to write instead of a call that is not known to be the same twice."""
    home, last = str(getattr(value, "__module__", "")), name.rpartition(".")[2]
    if isinstance(value, np.ufunc) or home.partition(".")[0] == "numpy" or name.startswith(("np.", "numpy.")):
        return INSTEAD.get(last, f"of numpy a strategy calls {', '.join(NUMPY)}")
    if home == "math":
        return f"of math a strategy calls {', '.join(MATH)}"
    return f"a strategy calls Onetape's functions, its @helper functions, math, and {', '.join(BUILTINS)}"
