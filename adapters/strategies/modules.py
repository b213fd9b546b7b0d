"""Run a strategy's file, and read the modules it imports, as they are on disk now, wherever they are.

A module is the user's when it is not Python's own, not installed into site-packages and not Onetape's. Such modules are
part of a strategy: they are read from their source anew for every load, and their bytes are in its hash.
"""

import contextlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
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
    """Finds what the other finders find, and has the user's own modules read from source."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None  # type: ignore[arg-type]
            if spec is not None:
                if type(spec.loader) is SourceFileLoader and is_users(spec.origin):
                    spec.loader = _FromSource(name, str(spec.origin))
                return spec
        return None


@contextlib.contextmanager
def _as_on_disk(folder: Path) -> Iterator[None]:
    """Have modules of `folder` importable, and the user's modules forgotten that were imported before."""
    aside = {name: module for name, module in sys.modules.items() if name != "__main__" and _file_is_users(module)}
    for name in aside:
        del sys.modules[name]
    finder, places = _UsersFromSource(), list(sys.path)
    importlib.invalidate_caches()
    sys.meta_path.insert(0, finder)
    sys.path.insert(0, str(folder))
    try:
        yield
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
    try:
        spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with _as_on_disk(path.parent):
            sys.modules[name] = module
            before = set(sys.modules)
            spec.loader.exec_module(module)
            loaded = [m for n, m in sys.modules.items() if n not in before and _file_is_users(m)]
    except StrategyError:
        raise
    except SyntaxError as error:
        raise StrategyError(f"{error.filename}:{error.lineno}: {error.msg}") from None
    except Exception as error:  # noqa: BLE001  whatever the user's file raises is for the user
        line = _line_in(error, path)
        raise StrategyError(f"{path}:{line}: {type(error).__name__}: {error}") from None
    return module, [path, *sorted({Path(str(m.__file__)).resolve() for m in loaded})]


def _line_in(error: BaseException, path: Path) -> int:
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
