"""Fixtures of all tests. The engine compiles once for a checkout, whichever of the test processes comes first."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT, MEMORY = Path(__file__).parents[1], Path("/dev/shm")
INTERPRETED = os.environ.get("ONETAPE_JIT", "1") == "0"
_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
settings.register_profile("compiled", deadline=None, derandomize=True, max_examples=15, suppress_health_check=_SLOW)
settings.register_profile("interpreted", settings.get_profile("compiled"), max_examples=10)
settings.load_profile("interpreted" if INTERPRETED else "compiled")


@contextmanager
def one_process_at_a_time(path: Path, patience_seconds: float = 300.0) -> Iterator[None]:
    """Hold `path` as a lock; a lock left by a killed process is taken over once it is older than the patience."""
    start = time.monotonic()
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            try:
                stale = time.time() - path.stat().st_mtime > patience_seconds
            except FileNotFoundError:
                continue
            if stale or time.monotonic() - start > patience_seconds:
                path.unlink(missing_ok=True)
            time.sleep(0.05)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


WARM = "from tests.conftest import compile_engine; compile_engine()"


def compile_engine() -> None:
    """Have the engine and the scripted strategy compiled, once for all test processes: some 17 seconds, then 20 ms."""
    from adapters.strategies.load import load_strategy
    from kernel.codehash import cache_folder
    from tests.kernel.play import SCRIPTED, make_engine

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with one_process_at_a_time(folder / "tests.lock"):
        scripted = load_strategy(SCRIPTED)
        make_engine([(scripted.program, scripted.params)]).run(0, 0)


def pytest_configure(config: pytest.Config) -> None:
    """Put what tests write into memory where there is plenty: most of their time was waiting for a disk that few are
    about (those use `real_disk`)."""
    if not hasattr(config, "workerinput") and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 * 2**30:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture
def real_disk() -> Iterator[Path]:
    """A folder where temporary files are usually kept."""
    with tempfile.TemporaryDirectory(prefix="onetape-") as folder:
        yield Path(folder)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile beside the first tests, which need no engine (see below)."""
    if not INTERPRETED and not hasattr(session.config, "workerinput") and session.config.getoption("-n", None):
        subprocess.Popen([sys.executable, "-c", WARM], cwd=ROOT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs no engine first, for each of two processes, so that neither waits for the compiler."""
    first = [item for item in items if not needs_engine(item)]
    last = [item for item in items if needs_engine(item)]
    items[:] = first[::2] + last[::2] + first[1::2] + last[1::2]


def needs_engine(item: pytest.Item) -> bool:
    named = ("tests/projections/", "tests/api/", "test_modes.py", "between_processes")
    return "load" in getattr(item, "fixturenames", ()) or any(name in item.nodeid for name in named)


@pytest.fixture(scope="session")
def load() -> Callable:
    """`load(spec)`: a checked, compiled strategy. The first call in a session has the engine compiled, once for all
    test processes: compiling costs some 17 seconds, loading from the cache 20 ms."""
    from adapters.strategies.load import load_strategy
    from tests.kernel.play import SCRIPTED

    compile_engine()
    known = {SCRIPTED: load_strategy(SCRIPTED)}

    def loaded(spec: str):
        if spec not in known:
            known[spec] = load_strategy(spec)
        return known[spec]

    return loaded


@pytest.fixture(scope="session")
def scripted(load: Callable) -> Callable:
    """`scripted(count, **rules)`: an engine with `count` strategies that place what `play.script` wrote for them."""
    from tests.kernel.play import SCRIPTED, make_engine

    one = load(SCRIPTED)

    def engine(count: int = 1, **settings_of_run):
        return make_engine([(one.program, one.params)] * count, **settings_of_run)

    return engine


@pytest.fixture
def strategy_file(tmp_path: Path) -> Callable:
    """`strategy_file(text)`: the path of a strategy file with this text under the usual imports."""

    def write(text: str, name: str = "mine.py", head: str = "from onetape import *\n") -> Path:
        path = tmp_path / name
        path.write_text(head + text)
        return path

    return write
