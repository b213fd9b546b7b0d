"""Check of flow: no name is read where a way leads that gave it no value; compiled code would find some number."""

import ast
from collections.abc import Iterable, Sequence

from adapters.strategies.source import Source
from kernel.errors import StrategyError

Names = frozenset[str]
Way = Names | None  # names that have a value at a place; None where no way leads


def check_flow(source: Source) -> None:
    """Raise StrategyError at the first name that may have no value."""
    _Flow(source).block(source.node.body, frozenset(source.arguments))


def _both(ways: Iterable[Way]) -> Way:
    """What is known where ways meet."""
    real = [way for way in ways if way is not None]
    return frozenset.intersection(*real) if real else None


class _Flow:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._loops: list[tuple[list[Way], list[Way]]] = []  # ways out of each loop by break, and on by continue

    def block(self, body: Sequence[ast.stmt], way: Way) -> Way:
        for statement in body:
            if way is None:
                return None
            way = self._statement(statement, way)
        return way

    def _statement(self, node: ast.stmt, way: Names) -> Way:
        if isinstance(node, ast.If):
            way = self._read(node.test, way)
            return _both([self.block(node.body, way), self.block(node.orelse, way)])
        if isinstance(node, ast.While):
            way = self._read(node.test, way)
            endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
            return self._loop(node, way, None if endless else way, False)
        if isinstance(node, ast.For):
            way = self._read(node.iter, way)
            return self._loop(node, self._store(node.target, way), way, self._runs(node.iter))
        if isinstance(node, ast.Break | ast.Continue):
            self._loops[-1][isinstance(node, ast.Continue)].append(way)
            return None
        if isinstance(node, ast.Return | ast.Raise):
            self._children(node, way)
            return None
        if isinstance(node, ast.Assign):
            way = self._read(node.value, way)
            for target in node.targets:
                way = self._store(target, way)
            return way
        if isinstance(node, ast.AnnAssign):
            return way if node.value is None else self._store(node.target, self._read(node.value, way))
        if isinstance(node, ast.AugAssign):
            if isinstance(node.target, ast.Name):
                self._need(node.target, way)
            return self._store(node.target, self._read(node.value, way))
        return self._children(node, way)

    def _loop(self, node: ast.While | ast.For, inside: Names, skipped: Way, runs: bool) -> Way:
        self._loops.append(([], []))
        once = self.block(node.body, inside)
        broken, continued = self._loops.pop()
        through = _both([once, *continued])
        after = through if runs else skipped
        return _both([self.block(node.orelse, after) if after is not None else None, *broken])

    def _runs(self, node: ast.expr) -> bool:
        """Whether a loop over it goes round at least once, as far as can be read."""
        if isinstance(node, ast.Tuple | ast.List):
            return bool(node.elts)
        if isinstance(node, ast.Call) and self._source.value_of(node.func) is range and not node.keywords:
            values = [n.value if isinstance(n, ast.Constant) else self._source.value_of(n) for n in node.args]
            ends = [value for value in values if isinstance(value, int)]
            if len(ends) == len(values) and 1 <= len(ends) <= 2:
                return len(range(*ends)) > 0
        return False

    def _store(self, target: ast.expr, way: Names) -> Names:
        if isinstance(target, ast.Name):
            return way | {target.id}
        if isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                way = self._store(part, way)
            return way
        return self._children(target, way)

    def _read(self, node: ast.AST, way: Names) -> Names:
        if isinstance(node, ast.Name):
            self._need(node, way)
            return way
        if isinstance(node, ast.ListComp):
            inner = way
            for part in node.generators:
                inner = self._store(part.target, self._read(part.iter, inner))
                for condition in part.ifs:
                    inner = self._read(condition, inner)
            self._read(node.elt, inner)
            return way
        return self._children(node, way)

    def _children(self, node: ast.AST, way: Names) -> Names:
        for child in ast.iter_child_nodes(node):
            way = self._read(child, way)
        return way

    def _need(self, node: ast.Name, way: Names) -> None:
        if node.id in self._source.local and node.id not in way:
            raise StrategyError(
                f"{self._source.where(node)}: {node.id} may have no value on line {node.lineno}: "
                "give it one before the `if` or the loop that sets it"
            )
