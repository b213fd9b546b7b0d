"""Check of crossings: `crossed_above(a, b)` asks what both were on the bar before.

An indicator knows; a number is taken for a level that stays, so a field of the bar would never be seen to cross.
"""

import ast
from typing import NamedTuple

from adapters.strategies.reach import OURS, Reach, callee, calls_of
from adapters.strategies.records import is_array, is_indicator, shown_names
from adapters.strategies.roles import Roles
from adapters.strategies.source import Source
from kernel.errors import StrategyError
from kernel.frame import BAR_VIEW, CONTEXT

CROSSINGS = ("crossed_above", "crossed_below")
_SOURCES = {"bar.close": "Sma(1)", "ctx.price": "Sma(1)"} | {
    f"bar.{name}": f"Sma(1, source={name.upper()})" for name in ("open", "high", "low", "volume")
}


def check_crossings(reach: Reach, roles: Roles) -> None:
    """Raise StrategyError at the first crossing that can never be seen, or is of another level than it looks."""
    moving = _Moving(reach, roles)
    for source in reach.functions:
        for node, value in calls_of(source):
            if OURS.get(id(value)) in CROSSINGS:
                _check(source, node, roles, moving)


def _check(source: Source, node: ast.Call, roles: Roles, moving: "_Moving") -> None:
    head = f"{source.where(node)}: {ast.unparse(node.func)}()"
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    for arg in given:
        role, text = roles.of(source, arg), ast.unparse(arg)
        if role is not None and not is_indicator(role):
            what = "an array" if is_array(role) else "a record"
            raise StrategyError(f"{head} of {text}: {text} is {what}: it takes indicators and numbers")
        field = None if role is not None else moving.of(source, arg)
        if field is not None:
            raise StrategyError(f"{head} of {text}: {_instead(field, text)}")
    if not any(is_indicator(roles.of(source, arg)) for arg in given):
        texts = " nor ".join(map(ast.unparse, given))
        raise StrategyError(f"{head}: neither {texts} is an indicator, and a number alone never crosses")


class _Field(NamedTuple):
    """A number that is another with every bar: its text, that of the indicator it is of, and which output it is."""

    text: str
    name: str  # bar.close whatever the bar is called there; empty for a part of an indicator
    indicator: str
    output: str = ""


def _instead(field: _Field, text: str) -> str:
    """Why it is not seen to cross, and what to write."""
    direct = text == field.text
    why = "what it was on the bar before is not known" if direct else f"it comes from {field.text}, which moves"
    if field.output:  # a name of its own, since only the main output has one for the bar before
        own, name = field.indicator.removeprefix("self."), field.output
        declare = f"declare `{name} = Sma(1, of={own}.{name})`"
    elif field.indicator:
        if direct:
            return f"{why}: pass {field.indicator} itself"
        return f"{why}: compare it yourself, with {field.indicator}.value and {field.indicator}.previous"
    elif field.name not in _SOURCES:
        return f"{why}: keep the number of the bar before in a Float() and compare the two"
    else:
        name = "close" if field.name == "ctx.price" else field.name.partition(".")[2]
        declare = f"declare `{name} = {_SOURCES[field.name]}`"
    if direct:
        return f"{why}: {declare} and pass self.{name}"
    return f"{why}: {declare} and compare it yourself, with self.{name}.value and self.{name}.previous"


class _Moving:
    """Names that hold fields of the bar, values of indicators, or what was computed from them."""

    def __init__(self, reach: Reach, roles: Roles) -> None:
        self._roles = roles
        self._names: dict[Source, dict[str, _Field]] = {f: {} for f in reach.functions}
        self._returns: dict[Source, _Field] = {}
        self._by_function = {f.function: f for f in reach.functions}
        while sum(self._follow(f) for f in reach.functions):  # all of them, until a round learns nothing
            pass

    def of(self, source: Source, node: ast.AST) -> _Field | None:
        """The first moving number that an expression is made from."""
        found = (self._part(source, part) for part in ast.walk(node))
        return next((field for field in found if field is not None), None)

    def _part(self, source: Source, part: ast.AST) -> _Field | None:
        if isinstance(part, ast.Name):
            return self._names[source].get(part.id)
        if isinstance(part, ast.Call):
            called = self._by_function.get(callee(source.value_of(part.func)))  # type: ignore[arg-type]
            return self._returns.get(called) if called else None
        if not isinstance(part, ast.Attribute | ast.Subscript) or self._roles.of(source, part) is not None:
            return None
        owner = self._roles.of(source, part.value)
        if owner is None or owner.dtype is None:
            return None
        text = ast.unparse(part)
        if isinstance(part, ast.Subscript):
            return _Field(text, "", ast.unparse(part.value).rpartition(".")[0]) if is_array(owner) else None
        if owner.dtype == BAR_VIEW or (owner.dtype == CONTEXT and part.attr == "price"):
            return _Field(text, f"{'bar' if owner.dtype == BAR_VIEW else 'ctx'}.{part.attr}", "")
        if not is_indicator(owner):
            return None
        if isinstance(part, ast.Attribute) and owner.dtype[part.attr].kind == "i":
            return None  # a number it was declared with
        output = part.attr if part.attr in shown_names(owner) and part.attr not in ("value", "previous") else ""
        return _Field(text, "", ast.unparse(part.value), output)

    def _follow(self, source: Source) -> bool:
        changed = False
        for node in ast.walk(source.node):
            if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.Return):
                continue
            value = node.iter if isinstance(node, ast.For) else node.value
            field = None if value is None or self._roles.of(source, value) is not None else self.of(source, value)
            if field is None:
                continue
            if isinstance(node, ast.Return):
                changed |= source not in self._returns
                self._returns.setdefault(source, field)
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                changed |= self._learn(source, target, field)
        for call, function in calls_of(source):
            called = self._by_function.get(callee(function))  # type: ignore[arg-type]
            if called is not None:
                pairs = [*zip(called.arguments, call.args, strict=False), *((k.arg, k.value) for k in call.keywords)]
                for name, given in pairs:
                    field = None if self._roles.of(source, given) is not None else self.of(source, given)
                    changed |= field is not None and self._learn(called, ast.Name(str(name)), field)
        return changed

    def _learn(self, source: Source, target: ast.expr, field: _Field) -> bool:
        if isinstance(target, ast.Attribute | ast.Subscript):
            return False  # memory is a level: it stays until it is set again
        names = {part.id for part in ast.walk(target) if isinstance(part, ast.Name)} - self._names[source].keys()
        self._names[source].update(dict.fromkeys(names, field))
        return bool(names)
