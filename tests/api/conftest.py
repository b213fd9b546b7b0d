"""Homes with data, and the command line called in this process."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

SYMBOLS = ["ACC", "INFY", "TCS", "NIFTY", "ZEEL"]  # the last trades in two minutes of three
DAYS = ("2024-01-01", "2024-01-02")


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory, load: Callable) -> Path:
    """A home with two days of minute bars of five symbols; `load` has the engine compiled. Copy it before you write."""
    from adapters.market.generate import write_generated_tape

    home = tmp_path_factory.mktemp("market")
    write_generated_tape(home, "nse", 11, SYMBOLS, len(DAYS), date.fromisoformat(DAYS[0]))
    return home


@pytest.fixture
def home(market: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(market, tmp_path / "home"))


@pytest.fixture
def call(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable]:
    """`call(home, "backtest", ...)`: the exit code and what was printed. Signals are as before afterwards."""
    from api.cli import main

    monkeypatch.chdir(tmp_path)  # no onetape.toml of this machine
    monkeypatch.delenv("ONETAPE_HOME", raising=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def called(home: Path | None, *arguments: object) -> Said:
        capsys.readouterr()
        front = [] if home is None else ["--home", str(home)]
        try:
            code = main([*front, *map(str, arguments)])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    yield called


@pytest.fixture
def good(call: Callable) -> Callable:
    """`good(home, ...)`: the JSON of a command that must succeed."""

    def called(home: Path | None, *arguments: object) -> Any:
        said = call(home, *arguments, "--json")
        assert said.code == 0, said.err
        return said.json

    return called
