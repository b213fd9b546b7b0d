"""Where a module goes through a set: texts in one come in another order in every process."""

import ast

_MAKES = ("set", "frozenset")
_METHODS = ("union", "intersection", "difference", "symmetric_difference", "copy")
_ANY_ORDER = ("sorted", "set", "frozenset", "len", "min", "max", "any", "all")  # the same whatever the order
_IN_ORDER = ("list", "tuple", "enumerate", "iter", "map", "filter", "zip", "sum", "array", "join", "fromkeys", "deque")


class Unordered:
    """Finds what depends on the order of a set, as far as it can be read."""

    def __init__(self, tree: ast.Module) -> None:
        self._names: set[str] = set()
        self._harmless: set[int] = set()  # comprehensions whose order is lost again: sorted(x for x in a_set)
        assigned = [n for n in ast.walk(tree) if isinstance(n, ast.Assign | ast.AnnAssign) and n.value is not None]
        known = -1
        while known < len(self._names):  # names of names
            known = len(self._names)
            self._names |= {name for node in assigned if self.is_set(node.value) for name in _targets(node)}  # type: ignore[arg-type]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _last(node.func) in _ANY_ORDER:
                self._harmless |= {id(arg) for arg in node.args}
            if isinstance(node, ast.SetComp):
                self._harmless.add(id(node))

    def is_set(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Set | ast.SetComp):
            return True
        if isinstance(node, ast.Name):
            return node.id in self._names
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
            return self.is_set(node.left) or self.is_set(node.right)
        if isinstance(node, ast.IfExp):
            return self.is_set(node.body) or self.is_set(node.orelse)
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute):
            return node.func.attr in _METHODS and self.is_set(node.func.value)
        return isinstance(node.func, ast.Name) and node.func.id in _MAKES

    def found_in(self, node: ast.AST) -> ast.expr | None:
        """The set that this node goes through in order."""
        return next((part for part in self._gone_through(node) if self.is_set(part)), None)

    def _gone_through(self, node: ast.AST) -> list[ast.expr]:
        if isinstance(node, ast.For):
            return [node.iter]
        if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp):
            return [] if id(node) in self._harmless else [part.iter for part in node.generators]
        if isinstance(node, ast.Starred):
            return [node.value]
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
            return [node.value]
        if isinstance(node, ast.Call) and _last(node.func) in _IN_ORDER:
            return list(node.args)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "pop":
            return [node.func.value]
        return []


def _targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
