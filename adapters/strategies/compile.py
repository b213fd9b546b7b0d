"""Compile a checked strategy, or take its machine code from the cache; say in plain words what the compiler refuses."""

import ast
import importlib.util
import os
import re
import sys
import tempfile
import warnings

from adapters.strategies.reach import Reach
from kernel.codehash import cache_folder
from kernel.errors import StrategyError
from kernel.jit import COMPILED
from kernel.program import Program, glue_source, make_program
from kernel.strategy import Definition


def compile_program(definition: Definition, reach: Reach, code_hash: str) -> Program:
    """The strategy's program; raises StrategyError with the line that cannot be compiled."""
    home = _home(definition.owner.__module__)
    folder = cache_folder() / "programs" / f"{code_hash[:20]}_{definition.name}_{home}"
    path = folder / f"program_{definition.name}.py"
    source = glue_source(definition, reach.reads("session", "session_open"))
    if not path.is_file() or path.read_text() != source:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False) as file:
            file.write(source)
        os.replace(file.name, path)
    spec = importlib.util.spec_from_file_location(f"onetape_program_{home}_{definition.name}_{code_hash[:12]}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.DEFINITION = definition  # type: ignore[attr-defined]
    sys.modules[spec.name] = module  # numba finds the environment of cached code by the module's name
    if not COMPILED:
        spec.loader.exec_module(module)
        return make_program(definition, module)
    from numba.core.errors import NumbaError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what numba plans for its lists is no news to a strategy's author
            spec.loader.exec_module(module)
    except NumbaError as error:
        raise StrategyError(_plain(definition, reach, str(error))) from None
    return make_program(definition, module)


def _home(module: str) -> str:
    """A word for where code came from. Machine code names its module: a user's copy of a built-in file, or of an
    installed package's, is not the built-in."""
    if module.startswith("onetape_user_"):
        return "own"
    return "built_in" if module.startswith("kernel.strategies.") else f"of_{module.replace('.', '_')}"


_NOISE = re.compile(
    r"(Failed in|During|File |<source|\^|No (impl|match)|>>>|There (is|are)|- |Overload|Of which|With arg|Rej)"
)
_MOST = 200  # letters of what the compiler said


def _plain(definition: Definition, reach: Reach, text: str) -> str:
    """The place in the user's own file out of a compiler message, and its first useful sentence."""
    if "has no attribute 'action'" in text or "'action' of type" in text:
        return _no_signal(reach)
    file, line = _place(definition, reach, text)
    code = _line(file, line)
    said = [part.strip() for part in text.splitlines() if part.strip()]
    ours = re.findall(r"TypingError: (.+)", text)
    useful = ours or [part for part in said if not _NOISE.match(part)] or said
    why = useful[0][:_MOST]
    unify = re.search(r"Cannot unify .+ for '([\w.]+)'", text)
    if "Cannot unify" in text:
        name = unify[1].split(".")[0] if unify else "a variable or result"
        why = f"{name} has two kinds of value (say, a number and None, or a signal and a number)"
    return f"{file}:{line}: this cannot be compiled: {code!r}: {why}"


def _place(definition: Definition, reach: Reach, text: str) -> tuple[str, int]:
    places = []
    for file in {str(definition.file), *(str(source.file) for source in reach.functions)}:
        name = re.escape(os.path.basename(file))
        found = re.finditer(rf'(?<![\w.-]){name}"?[, (]+(?:line )?(\d+)', text)
        places += [(match.start(), file, int(match[1])) for match in found]
    inside = [(at, file, line) for at, file, line in places if _within(reach, file, line)]
    return max(inside or places, default=(0, str(definition.file), definition.line))[1:]


def _within(reach: Reach, file: str, line: int) -> bool:
    """Whether a line is of a reached function's body: the compiler also names where one begins."""
    return any(str(f.file) == file and f.node.lineno < line <= (f.node.end_lineno or line) for f in reach.functions)


def _line(file: str, line: int) -> str:
    try:
        with open(file, encoding="utf-8") as lines:
            return lines.read().splitlines()[line - 1].strip()
    except (OSError, IndexError):
        return ""


def _no_signal(reach: Reach) -> str:
    """A hook returned something else, through a name or a helper: the check of answers saw no harm in it."""
    for hook in reach.hooks.values():
        for node in ast.walk(hook.node):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Call | ast.Name | ast.Subscript):
                return (
                    f"{hook.where(node)}: {hook.name} returns {ast.unparse(node.value)}, which is no signal: "
                    "a hook returns one signal, HOLD or None"
                )
    first = next(iter(reach.hooks.values()))
    return f"{first.where(first.node)}: a hook returns one signal, HOLD or None"
