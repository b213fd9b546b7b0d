"""Run a strategy's file, and read the modules it imports, as they are on disk now, wherever they are.

A module is the user's when it is not Python's own, not installed into site-packages and not Onetape's. Such modules are
part of a strategy: they are read from their source anew for every load, and their bytes are in its hash. So are the
modules of the installed package that offers it.
"""

import contextlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from adapters.strategies.pure import check_top_level
from adapters.strategies.source import READ
from kernel.codehash import KERNEL, files_hash
from kernel.errors import StrategyError

_HOME = KERNEL.parent
_PYTHON = tuple(Path(sysconfig.get_path(part)).resolve() for part in ("stdlib", "platstdlib", "purelib", "platlib"))
_ONETAPE = tuple(_HOME / part for part in ("kernel", "adapters", "api", "projections", "migrations", "tests"))
_INSTALLED = ("site-packages", "dist-packages")


@lru_cache(maxsize=65_536)
def is_users(file: str | None) -> bool:
    """Whether a module's file is the user's own, and so a part of what a strategy decides."""
    if not file or file in ("built-in", "frozen", "namespace"):
        return False
    path = Path(file).resolve()
    if any(part in path.parts for part in _INSTALLED) or path == _HOME / "onetape.py":
        return False
    return not any(path.is_relative_to(place) for place in (*_PYTHON, *_ONETAPE))


class _FromSource(SourceFileLoader):
    """Compiles the text as it is now. Python's own loader takes a `.pyc` for current by its time in whole seconds and
    its size, so an edit of one digit right after a run would run yesterday's code."""

    def get_code(self, fullname: str) -> CodeType | None:
        text = READ[self.path] = self.get_data(self.path)
        code: CodeType = self.source_to_code(text, self.path)
        check_top_level(text, self.path)
        return code


class _UsersFromSource:
    """Finds what the other finders find, and has the user's own modules, and those of `package`, read from source."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None  # type: ignore[arg-type]
            if spec is not None:
                ours = _is_of(self._package, name) or is_users(spec.origin)
                if type(spec.loader) is SourceFileLoader and ours:
                    spec.loader = _FromSource(name, str(spec.origin))
                return spec
        return None


def _is_of(package: str, name: str) -> bool:
    return bool(package) and name.partition(".")[0] == package


@contextlib.contextmanager
def _as_on_disk(folder: Path | None, package: str = "") -> Iterator[Callable[[], list[Path]]]:
    """Have modules of `folder` importable, and the user's modules, and those of `package`, forgotten that were imported
    before. What is yielded says, then and there, which files of such modules were read since."""

    def is_ours(module: ModuleType) -> bool:
        return _file_is_users(module) or _is_of(package, module.__name__)

    aside = {name: module for name, module in sys.modules.items() if name != "__main__" and is_ours(module)}
    for name in aside:
        del sys.modules[name]
    finder, places, before = _UsersFromSource(package), list(sys.path), set(sys.modules)
    importlib.invalidate_caches()
    sys.meta_path.insert(0, finder)
    if folder is not None:
        sys.path.insert(0, str(folder))

    def read() -> list[Path]:
        found = [module for name, module in sys.modules.items() if name not in before and is_ours(module)]
        return sorted({Path(module.__file__).resolve() for module in found if module.__file__})

    try:
        yield read
    finally:
        sys.path[:] = places
        sys.meta_path.remove(finder)
        for name, module in aside.items():
            sys.modules.setdefault(name, module)


def _file_is_users(module: ModuleType) -> bool:
    return is_users(getattr(module, "__file__", None)) and not module.__name__.startswith("onetape_")


def run_file(path: Path) -> tuple[ModuleType, list[Path]]:
    """Execute the file with its own folder importable; also the user's files it imported, which its hash covers."""
    name = f"onetape_user_{files_hash([path])[:12]}"
    with _told(path), _as_on_disk(path.parent) as read:
        spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        files = read()
    return module, [path, *files]


def run_module(name: str) -> tuple[ModuleType, list[Path]]:
    """Import a module of an installed package anew, from source; also the package's and the user's files that this
    read, its own first, which a strategy's hash covers."""
    with _told(), _as_on_disk(None, name.partition(".")[0]) as read:
        module = importlib.import_module(name)
        files = read()
    if not module.__file__:
        raise StrategyError(f"{name} is not written in a file that can be read")
    path = Path(module.__file__).resolve()
    return module, [path, *(file for file in files if file != path)]


@contextlib.contextmanager
def _told(path: Path | None = None) -> Iterator[None]:
    """Whatever is raised while `path`, or a package, is read, for its author."""
    try:
        yield
    except StrategyError:
        raise
    except SyntaxError as error:
        raise StrategyError(f"{error.filename}:{error.lineno}: {error.msg}") from None
    except Exception as error:  # noqa: BLE001  whatever the user's file raises is for the user
        raise StrategyError(f"{_place_of(error, path)}: {type(error).__name__}: {error}") from None


def _place_of(error: BaseException, path: Path | None) -> str:
    """`file:line` of the innermost frame in `path`, or else of Python that is in a file."""
    place = "" if path is None else f"{path}:1"
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file == str(path) or (path is None and not file.startswith("<")):
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
