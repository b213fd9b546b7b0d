"""`kernel/checked.py` for the compiler: how each function is typed, and the machine code it becomes."""

import builtins
import ctypes
import ctypes.util
import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import lower_builtin, overload, type_callable

from kernel.checked_code import REAL, WORD, division, out_of_domain, raise_if, shift, with_overflow


def _is_whole(t: Any) -> bool:
    if isinstance(t, types.Integer) and not t.signed and t.bitwidth == 64:
        raise TypingError("unsigned 64-bit numbers: use whole numbers as Python has them")
    return isinstance(t, types.Integer | types.Boolean)


def _is_number(t: Any) -> bool:
    return _is_whole(t) or (isinstance(t, types.Float) and t.bitwidth == 64)


def _words(t: Any) -> str:
    if isinstance(t, types.Optional):
        return "a number that may be None"
    if isinstance(t, types.NoneType):
        return "None"
    if isinstance(t, types.UnicodeType):
        return "a text"
    return "a whole number" if _is_whole(t) else "a float" if _is_number(t) else f"a {type(t).__name__.lower()}"


_SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "lshift": "<<",
    "rshift": ">>",
}


def _sign(op: Callable) -> str:
    name = op.__name__.removeprefix("i")
    return _SIGNS.get(name, name)


def _resolve(context, op: Callable, args: tuple):  # type: ignore[no-untyped-def]
    try:
        found = context.resolve_function_type(op, args, {})
    except TypingError:
        found = None
    if found is None:
        raise TypingError(f"{_sign(op)} cannot take {' and '.join(map(_words, args))}")
    return found


def _as_numba(context, builder, op: Callable, sig, args):  # type: ignore[no-untyped-def]
    """What numba itself makes of `op`."""
    function = context.typing_context.resolve_value_type(op)
    own = function.get_call_type(context.typing_context, sig.args, {})
    cast = [context.cast(builder, x, t, want) for x, t, want in zip(args, sig.args, own.args, strict=True)]
    result = context.get_function(function, own)(builder, cast)
    return context.cast(builder, result, own.return_type, sig.return_type)


def _binary(function: Callable, op: Callable, arrays: bool, code: Callable | None, text: str) -> None:
    @type_callable(function)
    def typing(context):  # type: ignore[no-untyped-def]
        def typer(a, b):  # type: ignore[no-untyped-def]
            if code is not None and _is_whole(a) and _is_whole(b):
                return types.int64
            if isinstance(a, types.Optional) or isinstance(b, types.Optional):
                raise TypingError(f"{_sign(op)} cannot take {_words(a)} and {_words(b)}")
            found = [t for t in (a, b) if isinstance(t, types.Array)]
            if found and (not arrays or any(t.dtype != types.float64 for t in found)):
                raise TypingError(text)
            return _resolve(context, op, (a, b)).return_type

        return typer

    @lower_builtin(function, types.Any, types.Any)
    def lower(context, builder, sig, args):  # type: ignore[no-untyped-def]
        if code is not None and _is_whole(sig.args[0]) and _is_whole(sig.args[1]):
            a, b = (context.cast(builder, x, t, types.int64) for x, t in zip(args, sig.args, strict=True))
            return code(context, builder, a, b)
        return _as_numba(context, builder, op, sig, args)


def _one(function: Callable, accepts: Callable, result: Callable, code: Callable) -> None:
    """A function of one argument: `accepts(type)`, `result(context, type)`, `code(context, builder, type, value)`."""

    @type_callable(function)
    def typing(context):  # type: ignore[no-untyped-def]
        def typer(x):  # type: ignore[no-untyped-def]
            if not accepts(x):
                raise TypingError(f"{function.__name__.removeprefix('real_')} cannot take {_words(x)}")
            return result(context, x)

        return typer

    @lower_builtin(function, types.Any)
    def lower(context, builder, sig, args):  # type: ignore[no-untyped-def]
        return code(context, builder, sig.args[0], args[0])


def _only_whole(function: Callable, op: Callable, code: Callable) -> None:
    @type_callable(function)
    def typing(context):  # type: ignore[no-untyped-def]
        def typer(a, b):  # type: ignore[no-untyped-def]
            if not _is_whole(a) or not _is_whole(b):
                raise TypingError(f"{_sign(op)} cannot take {_words(a)} and {_words(b)}")
            return types.int64

        return typer

    @lower_builtin(function, types.Any, types.Any)
    def lower(context, builder, sig, args):  # type: ignore[no-untyped-def]
        a, b = (context.cast(builder, x, t, types.int64) for x, t in zip(args, sig.args, strict=True))
        return code(context, builder, a, b)


def _to_whole(intrinsic: str | None, text: str) -> Callable:
    def code(context, builder, t, x):  # type: ignore[no-untyped-def]
        if _is_whole(t):
            return context.cast(builder, x, t, types.int64)
        if intrinsic is not None:
            x = builder.call(builder.module.declare_intrinsic(intrinsic, [REAL]), [x])
        inside = builder.and_(
            builder.fcmp_ordered(">=", x, REAL(-(2.0**63))), builder.fcmp_ordered("<", x, REAL(2.0**63))
        )
        raise_if(context, builder, builder.not_(inside), OverflowError, text)
        return builder.fptosi(x, WORD)

    return code


def _signed_type(op: Callable) -> Callable:
    return lambda context, t: types.int64 if _is_whole(t) else _resolve(context, op, (t,)).return_type


def _signed(op: Callable, text: str) -> Callable:
    """-x and abs(x): the lowest whole number has no opposite."""

    def code(context, builder, t, x):  # type: ignore[no-untyped-def]
        if not _is_whole(t):
            own = _resolve(context.typing_context, op, (t,))
            return _as_numba(context, builder, op, own, [x])
        x = context.cast(builder, x, t, types.int64)
        raise_if(context, builder, builder.icmp_signed("==", x, WORD(-(2**63))), OverflowError, text)
        opposite = builder.sub(WORD(0), x)
        return opposite if op is operator.neg else builder.select(builder.icmp_signed("<", x, WORD(0)), opposite, x)

    return code


def _real(function: Callable, of_math: Callable, text: str) -> None:
    def code(context, builder, t, x):  # type: ignore[no-untyped-def]
        x = context.cast(builder, x, t, types.float64)
        result = _as_numba(context, builder, of_math, types.float64(types.float64), [x])
        out_of_domain(context, builder, result, [x], text)
        return result

    _one(function, _is_number, lambda context, t: types.float64, code)


def _real_power(function: Callable, text: str) -> None:
    """C's `pow` under a name that LLVM does not know: it would make x * x of pow(x, 2), another number at times."""
    library = ctypes.CDLL(ctypes.util.find_library("m") or None)
    address = ctypes.cast(library.pow, ctypes.c_void_p).value
    llvm.add_symbol("onetape_pow", address)

    @type_callable(function)
    def typing(context):  # type: ignore[no-untyped-def]
        def typer(a, b):  # type: ignore[no-untyped-def]
            if not _is_number(a) or not _is_number(b):
                raise TypingError(f"pow cannot take {_words(a)} and {_words(b)}")
            return types.float64

        return typer

    @lower_builtin(function, types.Any, types.Any)
    def lower(context, builder, sig, args):  # type: ignore[no-untyped-def]
        a, b = (context.cast(builder, x, t, types.float64) for x, t in zip(args, sig.args, strict=True))
        name, kind = "onetape_pow", ir.FunctionType(REAL, [REAL, REAL])
        found = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        result = builder.call(found, [a, b])
        out_of_domain(context, builder, result, [a, b], text)
        return result


def _fit(function: Callable, text: str) -> None:
    def of_whole(place: Any, x: Any) -> bool:
        return isinstance(place, types.Array) and isinstance(place.dtype, types.Integer) and isinstance(x, types.Float)

    @type_callable(function)
    def typing(context):  # type: ignore[no-untyped-def]
        def typer(place, x):  # type: ignore[no-untyped-def]
            if isinstance(place, types.List) and _is_whole(place.dtype) and isinstance(x, types.Float):
                raise TypingError("a list of whole numbers cannot take a float: begin it with floats, [0.0]")
            return types.int64 if of_whole(place, x) else x

        return typer

    @lower_builtin(function, types.Any, types.Any)
    def lower(context, builder, sig, args):  # type: ignore[no-untyped-def]
        if of_whole(*sig.args):
            return _to_whole(None, text)(context, builder, sig.args[1], args[1])
        context.nrt.incref(builder, sig.args[1], args[1])
        return args[1]


def register(f: dict[str, Any]) -> None:
    """Have numba know the functions of `kernel.checked`, whose namespace is `f`."""
    large, lost, domain = f["TOO_LARGE"], f["NOT_WHOLE"], f["OUT_OF_DOMAIN"]
    for names, ops, instruction in (
        (("add", "add_to"), (operator.add, operator.iadd), "sadd_with_overflow"),
        (("subtract", "subtract_from"), (operator.sub, operator.isub), "ssub_with_overflow"),
        (("multiply", "multiply_by"), (operator.mul, operator.imul), "smul_with_overflow"),
    ):
        for name, op in zip(names, ops, strict=True):
            _binary(f[name], op, True, with_overflow(instruction, large), f["ARRAYS"])
    _binary(f["divide"], operator.truediv, True, None, f["ARRAYS"])
    _binary(f["divide_by"], operator.itruediv, True, None, f["ARRAYS"])
    _binary(f["floor_divide"], operator.floordiv, False, division(False, large), f["ARRAYS"])
    _binary(f["remainder"], operator.mod, False, division(True, large), f["ARRAYS"])
    _only_whole(f["shift_left"], operator.lshift, shift(True, large))
    _only_whole(f["shift_right"], operator.rshift, shift(False, large))
    for name, op in (("negate", operator.neg), ("magnitude", builtins.abs)):
        _one(f[name], lambda t: _is_number(t) or isinstance(t, types.Array), _signed_type(op), _signed(op, large))
    _one(
        f["invert"],
        lambda t: isinstance(t, types.Integer),
        lambda context, t: types.int64,
        lambda context, builder, t, x: builder.not_(context.cast(builder, x, t, types.int64)),
    )
    steps = {"whole": None, "trunc": None, "floor": "llvm.floor", "ceil": "llvm.ceil", "nearest": "llvm.rint"}
    for name, step in steps.items():
        _one(f[name], _is_number, lambda context, t: types.int64, _to_whole(step, lost))
    for of_math, function in f["REAL"].items():
        _real(function, of_math, domain)
    _real_power(f["real_power"], domain)
    _fit(f["fit"], lost)
    whole_power, real_power, rounded = f["whole_power"], f["real_power"], f["rounded"]

    @overload(f["power"])
    def power(a, b):  # type: ignore[no-untyped-def]
        if _is_whole(a) and _is_whole(b):
            return lambda a, b: whole_power(int(a), int(b))
        if _is_number(a) and _is_number(b):
            return lambda a, b: real_power(float(a), float(b))
        raise TypingError(f["ARRAYS"] if isinstance(a, types.Array) else f"** cannot take {_words(a)} and {_words(b)}")

    @overload(f["round_to"])
    def round_to(x, digits):  # type: ignore[no-untyped-def]
        if _is_number(x) and _is_whole(digits):
            return lambda x, digits: rounded(float(x), digits)
        raise TypingError(f"round cannot take {_words(x)} and {_words(digits)}")
