"""Check of records: an indicator, the bar or the context does not stand where a number does."""

import ast

from adapters.strategies.allowed import is_known
from adapters.strategies.roles import Role, Roles
from adapters.strategies.source import Source
from kernel.errors import StrategyError


def check_records(source: Source, roles: Roles) -> None:
    """Raise StrategyError at the first record that is computed with, compared, tested or stored."""
    for node in ast.walk(source.node):
        for operand in _numbers(source, node):
            role = roles.of(source, operand)
            if role is not None and not is_array(role):
                raise StrategyError(f"{source.where(operand)}: {no_number(ast.unparse(operand), role)}")


def is_array(role: Role) -> bool:
    """A window, or a part of one: an array of numbers, which may be computed with."""
    return role.dtype is not None and role.dtype.names is None


def is_indicator(role: Role | None) -> bool:
    """Whether it has a value of this bar and of the one before, as far as is known."""
    return role is not None and (role.dtype is None or "previous" in (role.dtype.names or ()))


def shown_names(role: Role) -> tuple[str, ...]:
    """The fields of a record that a strategy is told of: of an indicator, what it says, not what it works with."""
    names = role.dtype.names or () if role.dtype is not None else ()
    return names[: names.index("count")] if is_indicator(role) and "count" in names else names


def no_number(text: str, role: Role) -> str:
    """The words for a record in the place of a number."""
    if role.dtype is not None and is_indicator(role):
        return f"{text} is an indicator, not a number: write {text}.value"
    return f"{text} is a record, not a number: name a field of it"


def _numbers(source: Source, node: ast.AST) -> list[ast.expr]:
    """The parts of a node that must be numbers."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
        return [node.test]
    if isinstance(node, ast.AugAssign):
        return [node.value]
    if isinstance(node, ast.Assign):
        return [node.value] if any(isinstance(t, ast.Attribute | ast.Subscript) for t in node.targets) else []
    if isinstance(node, ast.Call) and is_known(source.value_of(node.func)):
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    return []
