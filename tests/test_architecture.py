"""Imports point inward. Read from the sources, so that a lazy import inside a function counts as well."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("kernel", "projections", "adapters", "api")
OURS = {*LAYERS, "onetape", "migrations", "tests"}
ALLOWED = {  # layer: (our own packages it may import, other libraries; None is any)
    "kernel": ({"kernel"}, {"numpy", "numba", "llvmlite"}),
    "projections": ({"projections", "kernel"}, {"numpy", "duckdb", "pyarrow"}),
    "adapters": ({"adapters", "kernel", "onetape"}, None),
    "api": ({"api", "adapters", "projections", "kernel", "onetape"}, None),
    "onetape": ({"kernel"}, set()),
}
FILES = [*sorted(p for layer in LAYERS for p in (ROOT / layer).rglob("*.py")), ROOT / "onetape.py"]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {module_name(path) for path in FILES}


def imports(path: Path, top_level_only: bool = False) -> list[tuple[int, str]]:
    """(line, module) of everything the file imports; `from a import b` is a.b where that is a module."""
    found, name = [], module_name(path)
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if not top_level_only else [n for top in tree.body for n in _at_import(top)]
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.append((node.lineno, full if full in KNOWN else base))
    return found


def _at_import(node: ast.stmt) -> list[ast.AST]:
    """Nodes that run when the module is imported: not function bodies, not `if TYPE_CHECKING`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return []
    inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return [node, *(n for child in inner for n in _at_import(child))]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_inward(path):
    layer = module_name(path).split(".")[0]
    own, libraries = ALLOWED[layer]
    if path.is_relative_to(ROOT / "kernel" / "strategies"):
        own = own | {"onetape"}
    for line, module in imports(path):
        top = module.split(".")[0]
        where = f"{path.relative_to(ROOT)}:{line}: {layer} imports {module}"
        if top in OURS:
            assert top in own, where
        elif libraries is not None and top not in sys.stdlib_module_names:
            assert top in libraries, where


def test_the_kernel_touches_nothing():
    """Pure: no clock, no randomness, no network, no files but its own cache, wherever a step could reach."""
    forbidden = {
        "time",
        "datetime",
        "random",
        "secrets",
        "uuid",
        "socket",
        "subprocess",
        "threading",
        "asyncio",
        "logging",
    }
    for path in FILES:
        if path.is_relative_to(ROOT / "kernel"):
            for line, module in imports(path):
                assert module.split(".")[0] not in forbidden, f"{path.relative_to(ROOT)}:{line}: {module}"
                if path.name != "codehash.py":
                    assert module.split(".")[0] != "tempfile", f"{path.relative_to(ROOT)}:{line}"


def test_no_cycles():
    graph = {module_name(p): {m for _, m in imports(p, top_level_only=True) if m in KNOWN} for p in FILES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "a cycle: " + " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name] - {name}):
                visit(other, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


def test_the_face_of_the_kernel_is_complete():
    import onetape

    assert len(onetape.__all__) == len(set(onetape.__all__))
    assert set(onetape.__all__) == {n for n, v in vars(onetape).items() if not n.startswith("__")}
