"""Which names of a strategy's functions stand for its memory, the bar, the fill and the context, and for parts of them.

A hook hands them to helpers under any name, and helpers on; views into them go round like numbers do.
"""

import ast
from typing import NamedTuple

import numpy as np

from adapters.strategies.reach import Reach, callee, calls_of
from adapters.strategies.source import Source
from kernel.frame import CONTEXT, SHOWN, VIEWS
from kernel.strategy import Definition

PART = "part"  # of one of the others, or another name for one
UNIVERSE, MEMBER = "universe", "member"  # of on_slice: the memory of all instruments, and that of one of them


class Role(NamedTuple):
    what: str  # self, bar, fill, ctx, UNIVERSE, MEMBER or PART
    dtype: np.dtype | None  # None: of several kinds


class Roles:
    """Roles of every function's names, found by following calls and assignments until nothing is new."""

    def __init__(self, definition: Definition, reach: Reach) -> None:
        self._names: dict[Source, dict[str, Role]] = {f: {} for f in reach.functions}
        self._returns: dict[Source, Role] = {}
        self._by_function = {f.function: f for f in reach.functions}
        for name, hook in reach.hooks.items():
            shown = Role(name, VIEWS[name]) if name != "slice" else Role(UNIVERSE, np.dtype((definition.dtype, (1,))))
            own = {"self": Role("self", definition.dtype), SHOWN[name]: shown, "ctx": Role("ctx", CONTEXT)}
            self._names[hook].update(own)
        while sum(self._follow(f) for f in reach.functions):  # all of them, until a round learns nothing
            pass

    def of(self, source: Source, node: ast.AST) -> Role | None:
        """The role of an expression; None for a number or a value of the function's own."""
        if isinstance(node, ast.Name):
            return self._names[source].get(node.id)
        if isinstance(node, ast.Attribute):
            return _field(self.of(source, node.value), node.attr)
        if isinstance(node, ast.Subscript):
            return _element(self.of(source, node.value), node.slice)
        if isinstance(node, ast.IfExp):
            return self.of(source, node.body) or self.of(source, node.orelse)
        if isinstance(node, ast.Call):
            called = self._by_function.get(callee(source.value_of(node.func)))  # type: ignore[arg-type]
            return self._returns.get(called) if called else None
        return None

    def _follow(self, source: Source) -> bool:
        changed = False
        for node in ast.walk(source.node):
            if isinstance(node, ast.Assign | ast.For):
                value = self.of(source, node.iter if isinstance(node, ast.For) else node.value)
                if value is not None:
                    if isinstance(node, ast.For):
                        value = _element(value, node.target)
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    names = [t.id for t in targets if isinstance(t, ast.Name)]
                    what = MEMBER if value is not None and value.what == MEMBER else PART
                    changed |= sum(self._learn(source, name, value, what) for name in names) > 0
            if isinstance(node, ast.Return) and node.value is not None:
                value = self.of(source, node.value)
                if value is not None and source not in self._returns:
                    self._returns[source] = Role(MEMBER if value.what == MEMBER else PART, value.dtype)
                    changed = True
        for call, value in calls_of(source):
            called = self._by_function.get(callee(value))  # type: ignore[arg-type]
            if called is not None:
                pairs = [*zip(called.arguments, call.args, strict=False), *((k.arg, k.value) for k in call.keywords)]
                for name, given in pairs:
                    role = self.of(source, given)
                    changed |= name is not None and self._learn(called, name, role, role and role.what)
        return changed

    def _learn(self, source: Source, name: str, role: Role | None, what: str | None) -> bool:
        if role is None:
            return False
        new, old = Role(what or PART, role.dtype), self._names[source].get(name)
        if old is not None and old != new:
            new = Role(old.what if old.what == new.what else PART, old.dtype if old.dtype == new.dtype else None)
        self._names[source][name] = new
        return new != old


def _field(role: Role | None, name: str) -> Role | None:
    if role is None or role.dtype is None:
        return role
    if role.dtype.names is None or name not in role.dtype.names:
        return None
    dtype = role.dtype[name]
    return Role(PART, dtype) if dtype.names or dtype.subdtype else None


def _element(role: Role | None, index: ast.AST) -> Role | None:
    if role is None or role.dtype is None or isinstance(index, ast.Slice):
        return role
    base = role.dtype.base
    return Role(MEMBER if role.what == UNIVERSE else PART, base) if base.names else None
