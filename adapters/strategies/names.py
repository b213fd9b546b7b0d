"""Checks of names: is there such a thing, may a strategy use it, may it be set."""

import ast
import types
from difflib import get_close_matches
from typing import Any

import numpy as np

import onetape
from adapters.strategies.allowed import DTYPES
from adapters.strategies.reach import OURS, callee
from adapters.strategies.records import shown_names
from adapters.strategies.refused import IMPURE
from adapters.strategies.roles import MEMBER, PART, Role, Roles
from adapters.strategies.source import MISSING, Source
from kernel.errors import Dishonest, StrategyError
from kernel.strategy import Definition, Float, Int


def check_names(definition: Definition, source: Source, roles: Roles) -> None:
    """Raise StrategyError at the first name that is not there, not for strategies, or set but given."""
    called = {id(node.func) for node in ast.walk(source.node) if isinstance(node, ast.Call)}
    for node, text, value in source.names:
        _check_global(definition, source, node, text, value, id(node) in called)
    for part in ast.walk(source.node):
        if isinstance(part, ast.Attribute) and id(part) not in called:
            _check_attribute(definition, source, part, roles)
        if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store):
            _check_element(source, part, roles)
        again = isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part.id in source.arguments
        if again and roles.of(source, part) is not None:
            raise StrategyError(f"{source.where(part)}: {ast.unparse(part)} is given, not set: choose another name")


def _check_global(definition: Definition, source: Source, node: ast.expr, text: str, value: Any, call: bool) -> None:
    where = source.where(node)
    for module in _homes(source, node):
        if module in IMPURE:
            raise Dishonest(f"{where}: {text}: {IMPURE[module]}")
    if value is MISSING:
        raise StrategyError(f"{where}: {_unknown(definition, source, node, text)}")
    if isinstance(value, list | dict | set):
        raise Dishonest(
            f"{where}: {text} is a {type(value).__name__}, which may change while a strategy runs: "
            "write a tuple, (1, 2, 3)"
        )
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise StrategyError(f"{where}: {text} is beyond the 64 bits of a whole number")
    numbers = value if isinstance(value, np.ndarray | np.generic) else None
    if numbers is not None and numbers.dtype.type not in DTYPES:
        raise StrategyError(f"{where}: {text} has numbers of the kind {numbers.dtype}: make them float64 or int64")
    plain = isinstance(value, bool | int | float | str | tuple | np.ndarray | np.generic | None)
    raised = isinstance(value, type) and (issubclass(value, Exception) or value in DTYPES)
    if not plain and not raised and not call:
        what = "a function: call it" if callable(value) else f"a {type(value).__name__}: strategies work with numbers"
        raise StrategyError(f"{where}: {text} is {what}")


def _homes(source: Source, node: ast.expr) -> set[str]:
    """The modules that a name, and what stands before its dots, comes from."""
    homes: set[str] = set()
    step: ast.expr = node
    while isinstance(step, ast.Name | ast.Attribute):
        value = source.value_of(step)
        if isinstance(value, types.ModuleType):
            homes.add(value.__name__)
        elif value is not MISSING and id(value) not in OURS and callee(value) is None:
            homes |= {str(getattr(value, "__module__", "")), type(getattr(value, "__self__", None)).__module__}
        step = step.value if isinstance(step, ast.Attribute) else ast.Constant(None)
    return {"os" if home in ("posix", "nt") else home for home in homes}


def _unknown(definition: Definition, source: Source, node: ast.expr, text: str) -> str:
    while isinstance(node, ast.Attribute) and source.value_of(node.value) is MISSING:
        node = node.value
    if isinstance(node, ast.Attribute):
        near = get_close_matches(node.attr, dir(source.value_of(node.value)), 1)
        return f"{ast.unparse(node)} does not exist{f': did you mean {near[0]}?' if near else ''}"
    name = ast.unparse(node)
    if name in onetape.__all__:
        return f"{name} is not defined: add it to `from onetape import ...` at the top of {source.file.name}"
    near = get_close_matches(name, [*onetape.__all__, *source.local], 1)
    return f"{name} is not defined: {f'did you mean {near[0]}?' if near else 'import or define it'}"


def _check_attribute(definition: Definition, source: Source, node: ast.Attribute, roles: Roles) -> None:
    where, text, role = source.where(node), ast.unparse(node), roles.of(source, node.value)
    known = role.dtype.names if role is not None and role.dtype is not None else None
    if role is not None and known is not None and node.attr not in known:
        raise StrategyError(f"{where}: {_missing(definition, role, node, text)}")
    if not isinstance(node.ctx, ast.Store):
        return
    member = dict(definition.members).get(node.attr)
    if role is None:
        raise Dishonest(f"{where}: {text} cannot be set: only Float() and Int() attributes of self can")
    if role.what not in ("self", MEMBER) or not isinstance(node.value, ast.Name):
        why = (
            "set it through self"
            if role.what == PART and isinstance(member, Float | Int)
            else "keep values in Float() or Int()"
        )
        raise StrategyError(f"{where}: {text} is given, not set: {why}")
    if node.attr in definition.params:
        raise StrategyError(f"{where}: {text} is a parameter and stays as the run set it")
    if not isinstance(member, Float | Int):
        raise StrategyError(f"{where}: {text} is given, not set: keep values in Float() or Int()")


def _missing(definition: Definition, role: Role, node: ast.Attribute, text: str) -> str:
    shown = shown_names(role)
    near, owner = get_close_matches(node.attr, shown, 1), text.rpartition(".")[0]
    meant = f"did you mean {owner}.{near[0]}?" if near else ""
    if role.what == "self":
        meant = meant or f"add `{node.attr} = Float()` to the class"
        return f"{text} is not declared in {definition.owner.__name__}: {meant}"
    has = f"it has {', '.join(shown)}"
    return f"{text} does not exist: {meant or has}"


def _check_element(source: Source, node: ast.Subscript, roles: Roles) -> None:
    where, base = source.where(node), node.value
    if roles.of(source, base) is not None:
        raise StrategyError(f"{where}: {ast.unparse(base)} is given, not set: take a copy() first")
    while isinstance(base, ast.Subscript | ast.Attribute):
        base = base.value
    if not isinstance(base, ast.Name):
        raise StrategyError(f"{where}: {ast.unparse(node)} cannot be set: give what it is part of a name first")
    if base.id not in source.local:
        raise Dishonest(f"{where}: {base.id} is a constant: keep values in Float() or Int()")
