"""Homes with data, and the command line called in this process."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SYMBOLS = ["ACC", "INFY", "TCS", "NIFTY", "ZEEL"]  # the last trades in two minutes of three
MINUTE = 60 * 10**9
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


def write_mornings(home: Path, seed: int) -> None:
    """The market tape `nse`: the first 150 minutes of each of DAYS, tick 0.05."""
    from adapters.market.actions import action_columns
    from adapters.market.generate import generate_sessions
    from adapters.market.instruments import Instrument, Registry
    from adapters.market.writer import MarketWriter

    columns = generate_sessions(seed, SYMBOLS, len(DAYS), date.fromisoformat(DAYS[0]))
    minute = columns["ts_init"] // MINUTE % 1_440 - 225  # 09:15 IST
    columns = {name: values[minute <= 150] for name, values in columns.items()}
    registry = Registry.load(home)
    known = registry.add(Instrument(-1, symbol, 500) for symbol in SYMBOLS)
    registry.save()
    numbers = {i.symbol: i.number for i in known}
    columns["instrument"] = np.array([numbers[s] for s in SYMBOLS], "i4")[columns["instrument"]]
    order = np.lexsort((columns["instrument"], columns["ts_init"]))
    with MarketWriter(home, "nse", [(i.number, i.symbol) for i in known]) as tape:
        tape.add({name: values[order] for name, values in columns.items()})
        tape.finish(action_columns([]), [], {"seed": seed})


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory, load: Callable) -> Path:
    """A home with two mornings of minute bars of five symbols; `load` has the engine compiled. Copy it to write in it."""
    home = tmp_path_factory.mktemp("market")
    write_mornings(home, 11)
    return home


@pytest.fixture
def home(market: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(market, tmp_path / "home"))


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Account tapes of a mebibyte: homes are copied often here, and reserved space is copied, too."""
    monkeypatch.setenv("ONETAPE_TAPE__SEGMENT_MIB", "1")
    monkeypatch.setenv("ONETAPE_TAPE__BALLAST_MIB", "1")


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


@pytest.fixture(scope="session")
def traded_home(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a market tape, a backtest and a paper account."""
    from api.cli import main
    from tests.api.running import TWO

    home = Path(shutil.copytree(market, tmp_path_factory.mktemp("traded") / "home"))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    assert main(["--home", str(home), "backtest", *TWO, "--json"]) == 0
    assert main(["--home", str(home), "live", *TWO, "--feed", "replay:nse@max", "--json"]) == 0
    for number, handler in before.items():
        signal.signal(number, handler)
    return home


@pytest.fixture
def traded(traded_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(traded_home, tmp_path / "home"))
