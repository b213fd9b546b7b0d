"""Checks of calls and answers: may a strategy call it, with these arguments, and return that."""

import ast
import inspect
import types
from collections.abc import Callable
from typing import Any

import numpy as np

import onetape
from adapters.strategies.allowed import INSTEAD, METHODS, NUMPY, is_known, why_not
from adapters.strategies.reach import OURS, Reach, callee, calls_of
from adapters.strategies.records import no_number
from adapters.strategies.refused import CALLS, DISHONEST
from adapters.strategies.roles import MEMBER, PART, Roles
from adapters.strategies.source import MISSING, Source
from kernel.errors import Dishonest, StrategyError
from kernel.signals import Signal

_DECLARE = {"strategy", "helper", "minutes", "hours", "daily"}
_IN_HOOKS = {name for name in onetape.__all__ if name == "Signal" or name[0].islower()} - _DECLARE
_AIM = {"order_target", "order_target_percent"}  # of on_slice: they answer nothing either
_SEND = {"place", "cancel", "modify", "bracket", "when_filled", "one_cancels_other"}  # at once, and answer nothing
_SIZES = {"qty_of_percent", "qty_of_risk", "qty_of_volatility"}
_TAKE_CONTEXT = _SEND | _SIZES | {"target", "target_percent", "order_target_percent"}
_TAKE_ANY = ("crossed_above", "crossed_below", "place", "qty_of_value")
_NUMBERS = {"crossed_above", "crossed_below", "whole_lots", "qty_of_value", "kelly_fraction"} | _SIZES
_SIGNALS = _IN_HOOKS - _SEND - _AIM - _NUMBERS
_NO_SIGNAL = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.List, ast.Tuple, ast.ListComp)


def check_calls(source: Source, roles: Roles) -> None:
    """Raise StrategyError at the first call that cannot work, or may work out differently another time."""
    for node, value in calls_of(source):
        where, name = source.where(node), ast.unparse(node.func)
        if isinstance(node.func, ast.Name) and node.func.id in CALLS and value is not MISSING:
            refusal = Dishonest if node.func.id in DISHONEST else StrategyError
            raise refusal(f"{where}: a strategy cannot use {CALLS[node.func.id]}")
        ours, theirs = OURS.get(id(value)), callee(value)
        if ours in _IN_HOOKS:
            _check_arguments(node, getattr(value, "py_func", value), where, name)
            _check_numbers(source, node, ours, roles)
        elif theirs is not None:
            _check_arguments(node, theirs, where, name)
        elif value is MISSING:
            _check_method(source, node, roles)
        elif isinstance(getattr(value, "py_func", value), types.FunctionType) and not _of_numpy(value, name):
            raise StrategyError(f"{where}: {name}() needs `@helper` above its definition to be compiled")
        elif not is_known(value) or ours is not None:
            raise StrategyError(f"{where}: a strategy cannot use {name}(): {why_not(value, name)}")
        elif not (isinstance(value, type) and issubclass(value, Exception)) and _has_text(node):
            raise StrategyError(f"{where}: {name}() of a text: strategies work with numbers only")


def _of_numpy(value: Any, name: str) -> bool:
    return str(getattr(value, "__module__", "")).partition(".")[0] == "numpy" or name.startswith(("np.", "numpy."))


def _has_text(node: ast.Call) -> bool:
    return any(isinstance(arg, ast.Constant) and isinstance(arg.value, str) for arg in _all_arguments(node))


def _all_arguments(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(keyword.value for keyword in node.keywords)]


def _check_arguments(node: ast.Call, function: Callable, where: str, name: str) -> None:
    signature = inspect.signature(function)
    if any(keyword.arg is None for keyword in node.keywords):
        raise StrategyError(f"{where}: {name}() cannot take **: write the arguments out")
    try:
        signature.bind(*node.args, **{str(keyword.arg): keyword.value for keyword in node.keywords})
    except TypeError as error:
        takes = f"({', '.join(_plainly(p) for p in signature.parameters.values())})"
        raise StrategyError(f"{where}: {name}(): {error}: it takes {takes}") from None


def _plainly(parameter: inspect.Parameter) -> str:
    value = parameter.default
    return parameter.name if value is inspect.Parameter.empty else f"{parameter.name}={value}"


def _check_numbers(source: Source, node: ast.Call, ours: str, roles: Roles) -> None:
    """`ctx` where it belongs, and no record where a number does."""
    where, values = source.where(node), _all_arguments(node)
    if ours in _TAKE_CONTEXT:
        first = next((k.value for k in node.keywords if k.arg == "ctx"), node.args[0] if node.args else None)
        role = roles.of(source, first) if first is not None else None
        if role is None or role.what not in ("ctx", PART):
            raise StrategyError(f"{where}: {ours}() takes ctx first")
        values = [value for value in values if value is not first]
    if ours in _AIM:
        one = next((k.value for k in node.keywords if k.arg == "one"), values[0] if values else None)
        role = roles.of(source, one) if one is not None else None
        if role is None or role.what != MEMBER:
            raise StrategyError(f"{where}: {ours}() takes one of the universe: for one in universe: {ours}(...)")
        values = [value for value in values if value is not one]
    for value in values if ours not in _TAKE_ANY else ():
        role = roles.of(source, value)
        if role is not None:
            text = ast.unparse(value)
            raise StrategyError(f"{where}: {ours}() of {text}: {no_number(text, role)}")


def _check_method(source: Source, node: ast.Call, roles: Roles) -> None:
    where, name = source.where(node), ast.unparse(node.func)
    if not isinstance(node.func, ast.Attribute):
        if isinstance(node.func, ast.Name) and node.func.id not in source.local:
            return  # not defined at all: the check of names says so
        raise StrategyError(f"{where}: {name}() calls what is not known before the run: write the function's name")
    role = roles.of(source, node.func.value)
    if role is not None and role.what == "self":
        raise StrategyError(
            f"{where}: {name}() cannot be called, since {ast.unparse(node.func.value)} is a record of numbers: "
            "write a function at the top of the file, with @helper above it, and hand it what it needs"
        )
    if node.func.attr not in METHODS:
        why = INSTEAD.get(node.func.attr, f"of lists and arrays a strategy calls {', '.join(METHODS)}")
        raise StrategyError(f"{where}: a strategy cannot use {name}(): {why}")
    changes = node.func.attr in ("append", "pop", "extend", "insert", "clear", "reverse")
    if role is not None and changes:
        raise StrategyError(f"{where}: {ast.unparse(node.func.value)} is given, not set: take a copy() first")


def check_answers(hook: Source) -> None:
    """Raise StrategyError where a hook returns what is plainly no signal."""
    for node in ast.walk(hook.node):
        if isinstance(node, ast.Return) and node.value is not None:
            for value in _outcomes(node.value):
                if _is_no_signal(hook, value):
                    text = ast.unparse(value)
                    raise StrategyError(
                        f"{hook.where(node)}: {hook.name} returns {text}: a hook returns one signal, HOLD or None; "
                        "place(ctx, signal) sends more than one"
                    )


def check_used(source: Source, reach: Reach) -> None:
    """Raise StrategyError at a signal that is made on a line of its own: without `return` nobody hears of it."""
    for node in ast.walk(source.node):
        for value in _outcomes(node.value) if isinstance(node, ast.Expr) else []:
            if _is_signal(source, value, reach):
                text = ast.unparse(value)
                why = "its result is not used: return it, or place(ctx, ...)"
                raise StrategyError(f"{source.where(node)}: {text}: {why}")


def _is_signal(source: Source, node: ast.expr, reach: Reach) -> bool:
    """Whether an expression is a signal: made by Onetape's functions, by a helper that returns one, or a constant."""
    if isinstance(node, ast.Name | ast.Attribute):
        return isinstance(source.value_of(node), Signal)
    if not isinstance(node, ast.Call):
        return False
    value = source.value_of(node.func)
    if OURS.get(id(value)) in _SIGNALS:
        return True
    helpers = [helper for helper in reach.helpers if helper.function is callee(value)]
    answers = [n.value for helper in helpers for n in ast.walk(helper.node) if isinstance(n, ast.Return) and n.value]
    return any(_is_signal(helpers[0], part, reach) for answer in answers for part in _outcomes(answer))


def _outcomes(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.IfExp):
        return [*_outcomes(node.body), *_outcomes(node.orelse)]
    if isinstance(node, ast.BoolOp):
        return [node, *(part for value in node.values for part in _outcomes(value))]
    return [node]


def _is_no_signal(hook: Source, node: ast.expr) -> bool:
    if isinstance(node, _NO_SIGNAL):
        return not (isinstance(node, ast.Constant) and node.value is None)
    if isinstance(node, ast.Call):
        value = hook.value_of(node.func)
        return OURS.get(id(value)) in _NUMBERS | _AIM or (is_known(value) and value is not Signal)
    if isinstance(node, ast.Name | ast.Attribute):
        value = hook.value_of(node)
        given = isinstance(node, ast.Attribute) and value is MISSING
        return given or isinstance(value, int | float | str | np.ndarray)
    return False


assert set(NUMPY).isdisjoint(INSTEAD)
