"""Find a strategy by name or file, check it, compile it or take it from the cache."""

import contextlib
import importlib
import importlib.util
import os
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import FileFinder, ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from adapters.strategies.check import check_definition
from adapters.strategies.reach import reach_of
from kernel.codehash import KERNEL, cache_folder, files_hash
from kernel.errors import NotFound, StrategyError
from kernel.jit import COMPILED
from kernel.program import Program, glue_source, make_program
from kernel.strategy import REGISTRY, Definition, resolve_params

BUILT_IN = KERNEL / "strategies"
_PYTHON = tuple(Path(sysconfig.get_path(part)).resolve() for part in ("stdlib", "platstdlib", "purelib", "platlib"))


@dataclass(frozen=True)
class Loaded:
    """A strategy ready to run, and all that a replay must find again: where from, which bytes, which parameters."""

    spec: str  # what the user wrote
    origin: str  # a built-in's name, or path/to/file.py:Class
    code_hash: str
    params: dict[str, float]
    program: Program

    @property
    def definition(self) -> Definition:
        return self.program.definition


def built_in_names() -> list[str]:
    return sorted(path.stem for path in BUILT_IN.glob("*.py") if path.stem != "__init__")


def split_spec(spec: str) -> tuple[str, dict[str, float]]:
    """`name,k=v,...` as a name and numbers; raises StrategyError on anything else."""
    name, *pairs = (part.strip() for part in spec.split(","))
    given: dict[str, float] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        try:
            given[key.strip()] = float(text) if re.search(r"[.eEn]", text) else int(text)
        except ValueError:
            raise StrategyError(f"{spec}: {pair!r} is not name=number") from None
    return name, given


def load_strategy(spec: str) -> Loaded:
    """The strategy `ema_cross,fast=20` or `path/to/file.py:Class,k=v`, checked and compiled.

    Raises NotFound or StrategyError; the latter names file, line and construct.
    """
    name, given = split_spec(spec)
    origin, definition, files = _from_file(name) if ".py" in name else _built_in(name)
    params = resolve_params(definition, given)
    reach = reach_of(definition)
    check_definition(definition, reach)
    code_hash = reach.digest(files)
    return Loaded(spec, origin, code_hash, params, _compile(definition, code_hash))


def _built_in(name: str) -> tuple[str, Definition, list[Path]]:
    if name not in built_in_names():
        raise NotFound(
            f"no strategy {name!r}: the built-in ones are {', '.join(built_in_names())}; "
            "your own is path/to/file.py:Class"
        )
    importlib.import_module(f"kernel.strategies.{name}")
    return name, REGISTRY[name], [BUILT_IN / f"{name}.py"]


def _from_file(name: str) -> tuple[str, Definition, list[Path]]:
    stem, _, wanted = name.rpartition(".py")  # not the first colon: C:\\mine.py:Class
    text, wanted = f"{stem}.py", wanted.removeprefix(":")
    path = Path(text).expanduser().resolve()
    if not path.is_file():
        raise NotFound(f"{text}: no such strategy file")
    module, files = _run_file(path)
    found = {
        value.__name__: vars(value)["onetape"]
        for value in vars(module).values()
        if isinstance(value, type) and "onetape" in vars(value) and value.__module__ == module.__name__
    }
    if not found:
        raise StrategyError(f"{text}: no class with @strategy above it")
    if not wanted and len(found) > 1:
        raise StrategyError(f"{text} has several strategies: write {text}:{' or :'.join(found)}")
    wanted = wanted or next(iter(found))
    if wanted not in found:
        raise NotFound(f"{text} has no strategy {wanted}; it has {', '.join(found)}")
    return f"{path}:{wanted}", found[wanted], files


class _FromSource(SourceFileLoader):
    """Compiles the text as it is now. Python's own loader takes a `.pyc` for current by its time in whole seconds and
    its size, so an edit of one digit right after a run would run yesterday's code."""

    def get_code(self, fullname: str) -> CodeType | None:
        return self.source_to_code(self.get_data(self.path), self.path)


class _LocalFiles:
    """Finds the modules of a strategy's own folder, before the rest of the path does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        places = [str(self._folder)] if path is None else [str(place) for place in path]  # type: ignore[attr-defined]
        for place in places:
            if Path(place).is_relative_to(self._folder):
                spec = FileFinder(place, (_FromSource, [".py"])).find_spec(name)
                if spec is not None and spec.loader is not None:
                    return spec
        return None


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Have modules of `folder` importable, as they are on disk now."""
    finder = _LocalFiles(folder)
    sys.meta_path.insert(sys.meta_path.index(PathFinder), finder)
    sys.path.insert(0, str(folder))  # packages without __init__.py, and data files that modules look for
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.meta_path.remove(finder)


def _run_file(path: Path) -> tuple[ModuleType, list[Path]]:
    """Execute the file with its own folder importable; also the local files it imported, which its hash covers."""
    name = f"onetape_user_{files_hash([path])[:12]}"
    for module in [m for m in sys.modules.values() if _is_local(m, path.parent)]:
        del sys.modules[module.__name__]  # an edited neighbour must be read again
    before = set(sys.modules)
    try:
        spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        with _importable(path.parent):
            spec.loader.exec_module(module)
    except StrategyError:
        raise
    except SyntaxError as error:
        raise StrategyError(f"{error.filename}:{error.lineno}: {error.msg}") from None
    except Exception as error:  # noqa: BLE001  whatever the user's file raises is for the user
        line = _line_in(error, path)
        raise StrategyError(f"{path}:{line}: {type(error).__name__}: {error}") from None
    loaded = [m for n, m in sys.modules.items() if n not in before and n != name and _is_local(m, path.parent)]
    return module, [path, *sorted(Path(str(m.__file__)) for m in loaded)]


def _is_local(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    if not file or "site-packages" in file or Path(file).is_relative_to(KERNEL.parent / "kernel"):
        return False
    own = Path(file).resolve()
    if any(own.is_relative_to(place) for place in _PYTHON):
        return False  # a strategy in a home folder with Python under it must not unload the standard library
    return (
        own.is_relative_to(folder)
        and not any(own.is_relative_to(KERNEL.parent / part) for part in ("adapters", "api", "projections", "tests"))
        and own.name != "onetape.py"
        and not str(getattr(module, "__name__", "")).startswith("onetape_")
    )


def _line_in(error: BaseException, path: Path) -> int:
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _compile(definition: Definition, code_hash: str) -> Program:
    # machine code names the module it came from: a user's copy of a built-in file is not the built-in
    home = "own" if definition.on_bar.__module__.startswith("onetape_user_") else "built_in"
    folder = cache_folder() / "programs" / f"{code_hash[:20]}_{definition.name}_{home}"
    path = folder / f"program_{definition.name}.py"
    source = glue_source(definition)
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
        spec.loader.exec_module(module)
    except NumbaError as error:
        raise StrategyError(_plain(definition, str(error))) from None
    return make_program(definition, module)


def _plain(definition: Definition, text: str) -> str:
    """The place in the user's own file out of a compiler message, and its first useful sentence."""
    name = definition.file.name
    places = [int(n) for n in re.findall(rf'(?<![\w.-]){re.escape(name)}"?[, (]+(?:line )?(\d+)', text)]
    line = places[-1] if places else definition.line
    code = definition.file.read_text().splitlines()[line - 1].strip() if places else ""
    said = [part.strip() for part in text.splitlines() if part.strip()]
    useful = [part for part in said if not re.match(r"(Failed in|During|File |<source|\^|No (impl|match)|>>>)", part)]
    why = useful[0] if useful else said[0]
    if "Cannot unify" in text:
        why = "a variable or result has two kinds of value here (say, a number and None, or text and a number)"
    return f"{definition.where(line)}: this cannot be compiled: {code!r}: {why}"
