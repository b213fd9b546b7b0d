"""The arithmetic of strategies is the same compiled and interpreted: results to the bit, and what raises."""

import itertools
import math
import struct
import types
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.strategies import allowed, rewrite
from adapters.strategies.reach import Reach
from adapters.strategies.source import READ, source_of
from kernel import checked
from kernel.jit import COMPILED, jit_helper

pytestmark = pytest.mark.skipif(not COMPILED, reason="compares compiled code with interpreted code")
TOP = 2**63
WHOLES = [0, 1, -1, 2, 3, -3, 7, 63, 64, -64, 2**31, 2**53 + 1, 2**62, TOP - 1, -TOP, -TOP + 1, 1764000000000000000]
FLOATS = [
    0.0,
    -0.0,
    1.0,
    -0.5,
    1.5,
    2.5,
    3.7,
    1e-300,
    1e300,
    -1e300,
    math.inf,
    -math.inf,
    math.nan,
    2.0**63,
    -(2.0**63),
]
NUMBERS = [float(x) for x in np.random.default_rng(1).normal(0, 1, 2_000) * 10.0 ** np.arange(2_000) ** 0.1]


def bits(x):
    """What makes two results the same; one NaN is as good as another."""
    if isinstance(x, Exception):
        return "raises"
    if isinstance(x, tuple | list | np.ndarray):
        return [bits(v) for v in x]
    if isinstance(x, float | np.floating):
        return "NaN" if x != x else struct.pack("d", x)
    return int(x)


def result(f, *args):
    try:
        return bits(f(*args))
    except (ArithmeticError, ValueError, TypeError, IndexError) as error:
        return bits(error)


def compiled(f, arguments="a, b"):
    scope = {"f": f}
    exec(f"def call({arguments}): return f({arguments})", scope)
    return jit_helper(scope["call"])


def same(f, pairs, arguments="a, b"):
    call = compiled(f, arguments)
    for args in pairs:
        assert result(call, *args) == result(f, *args), (getattr(f, "__name__", f), args)


SLOW = [pytest.param(name, marks=pytest.mark.sim) for name in ("subtract", "divide", "floor_divide", "power")]


@pytest.mark.parametrize("name", ["add", "multiply", "remainder", *SLOW])
def test_operators(name):
    kinds = itertools.product((WHOLES, FLOATS), (WHOLES, FLOATS))
    same(getattr(checked, name), [pair for a, b in kinds for pair in itertools.product(a, b)])


@pytest.mark.sim
def test_shifts_and_single_numbers():
    for name in ("shift_left", "shift_right"):
        same(getattr(checked, name), itertools.product(WHOLES, [*WHOLES, *range(-2, 66)]))
    for name in ("negate", "magnitude", "whole", "floor", "ceil", "trunc", "nearest"):
        same(getattr(checked, name), [(x,) for x in [*WHOLES, *FLOATS, *NUMBERS[:200], True]], "a")
    same(checked.round_to, itertools.product([*FLOATS, *NUMBERS[:500]], (0, 1, 2, 5, -1, 400)))


@pytest.mark.sim
def test_functions_of_math():
    for function in checked.REAL.values():
        same(function, [(x,) for x in [*WHOLES, *FLOATS, *NUMBERS]], "a")
    same(checked.real_power, [(abs(x), y) for x in NUMBERS[:300] for y in (2.0, 3.0, 0.5, -1.0, -0.5, 1.7)])


ON_ARRAYS = {  # name: expression of random arrays v, w
    "array": "np.array([v[0], w[1], 2.0])",
    "zeros": "np.zeros(3) + v[:3]",
    "ones": "np.ones(3) * v[:3]",
    "full": "np.full(3, v[1]) - w[:3]",
    "zeros_like": "np.zeros_like(v)",
    "ones_like": "np.ones_like(v)",
    "full_like": "np.full_like(v, 2.5)",
    **{name: f"np.{name}(v)" for name in ("abs", "floor", "ceil", "isnan", "isinf", "isfinite")},
    **{name: f"np.{name}(v)" for name in ("argmin", "argmax", "any", "all")},
    "sqrt": "np.sqrt(v * v)",
}


@pytest.mark.sim
def test_functions_of_numpy():
    """Every one that is allowed, on random arrays with NaN, zeros of both signs and infinity among them."""
    assert set(ON_ARRAYS) == set(allowed.NUMPY)
    rng = np.random.default_rng(2)
    text = "".join(f"def {name}(v, w): return {expression}\n" for name, expression in ON_ARRAYS.items())
    scope = {"np": np}
    exec(text, scope)
    for name in ON_ARRAYS:
        call = jit_helper(scope[name])
        for special in (rng.normal(0, 1e3, 101), rng.choice([1.0, -2.0, 0.0, -0.0, math.inf, math.nan], 101)):
            with np.errstate(all="ignore"):
                args = (special, rng.permutation(special))
                assert result(call, *args) == result(scope[name], *args), name


# ---- whole programs ------------------------------------------------------------------------------------------------

small = st.sampled_from(["0", "1", "2", "3", "7", "63", "100", "2 ** 40", "2 ** 62"])


def one_of_texts(*choices: str):
    return st.sampled_from(choices)


def wholes(depth: int):
    """Expressions of whole numbers."""
    leaf = one_of_texts("a", "b", "k") | small
    if depth == 0:
        return leaf
    whole, real = wholes(depth - 1), floats(depth - 1)
    return (
        leaf
        | st.builds(
            "({} {} {})".format,
            whole,
            st.sampled_from(["+", "-", "*", "//", "%", "&", "|", "^", "<<", ">>", "**"]),
            whole,
        )
        | st.builds("({}{})".format, one_of_texts("-", "~", "+"), whole)
        | st.builds("{}({})".format, one_of_texts("abs"), whole)
        | st.builds("{}({})".format, one_of_texts("int", "round", "math.floor", "math.ceil"), real)
        | st.builds("{}({}, {})".format, one_of_texts("min", "max"), whole, whole)
        | st.builds("({} if {} else {})".format, whole, truths(depth - 1), whole)
    )


def floats(depth: int):
    """Expressions of floats."""
    leaf = one_of_texts("x", "y", "0.5", "3.0", "w[k]")
    if depth == 0:
        return leaf
    whole, real = wholes(depth - 1), floats(depth - 1)
    return (
        leaf
        | st.builds("({} {} {})".format, real, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), real | whole)
        | st.builds("({} / {})".format, whole, whole)
        | st.builds("{}({})".format, one_of_texts("-", "abs", "math.sqrt", "math.exp", "math.log", "float"), real)
        | st.builds("{}({}, {})".format, one_of_texts("min", "max"), real, real | whole)
        | st.builds("round({}, {})".format, real, one_of_texts("0", "2", "-1"))
        | st.builds("({} if {} else {})".format, real, truths(depth - 1), real)
        | st.builds("{}([{}, {}])".format, one_of_texts("min", "max", "sum"), real, real)
        | one_of_texts("min(w)", "max(w)", "sum(w)", "min(-w)", "max(w * 2.0)")
    )


def truths(depth: int):
    """Comparisons."""
    whole, real = wholes(depth), floats(depth)
    simple = st.builds(
        "({} {} {})".format, whole | real, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), whole | real
    ) | st.builds("({} < {} <= {})".format, whole, real, whole)
    if depth == 0:
        return simple
    return (
        simple
        | st.builds("({} {} {})".format, truths(depth - 1), one_of_texts("and", "or"), truths(depth - 1))
        | st.builds("(not {})".format, truths(depth - 1))
    )


PROGRAM = """
def program(a, b, x, y, w):
    q, r = a, y
    for k in range(3):
        q {}= {}
        if {}:
            r {}= {}
        w[(k + 1) % 3] += {}
    return q, r, w[0], w[1], w[2]
"""
operators = st.sampled_from(["+", "-", "*", "//", "%"])
programs = st.builds(
    PROGRAM.format, operators, wholes(2), truths(1), one_of_texts("+", "-", "*", "/"), floats(2), floats(1)
)


def as_strategy(text: str, monkeypatch, interpreted: bool):
    scope: dict = {"math": math}
    file = f"/virtual/{abs(hash(text))}.py"
    READ[file] = text.encode()
    exec(compile(text, file, "exec"), scope)
    monkeypatch.setattr(rewrite, "COMPILED", not interpreted)
    definition = types.SimpleNamespace(members=())
    rewrite.rewrite(definition, Reach(hooks={"bar": source_of(scope["program"])}))
    return scope["program"] if interpreted else jit_helper(scope["program"])


@pytest.mark.parametrize("cases", [3, pytest.param(80, marks=pytest.mark.sim)])
def test_random_programs(cases):
    """Compiled and interpreted, a program of random operators gives the same numbers or raises on the same arguments."""
    rng = np.random.default_rng(3)
    picks = [(rng.integers(0, len(WHOLES), 2), rng.integers(0, len(FLOATS), 5)) for _ in range(60)]

    @settings(max_examples=cases)
    @given(programs)
    def run(text):
        with pytest.MonkeyPatch.context() as patch:
            native, python = (as_strategy(text, patch, interpreted) for interpreted in (False, True))
        for small_numbers, (i, f) in itertools.product((True, False), picks):
            ints = [int(n) % 9 - 4 if small_numbers else WHOLES[n] for n in i]
            reals = [float(n) - 5.0 if small_numbers else FLOATS[n] for n in f]
            args = [(*ints, *reals[:2], np.array(reals[2:])) for _ in range(2)]
            assert result(native, *args[0]) == result(python, *args[1]), (text, args[0])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's plans for lists
        run()
