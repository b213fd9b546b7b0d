"""`onetape backtest`: market tapes through the kernel onto a run's own tape, sealed at the end."""

import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import canonical_json
from adapters.market.intact import InputCheck, memory_of
from adapters.settings import Settings
from adapters.strategies.fault import explain_faults
from adapters.strategies.load import Loaded
from adapters.tape.sealed import SealedWriter
from api.bootstrap import (
    Config,
    MarketCount,
    has_ticks_in,
    input_tapes,
    load_strategies,
    make_config,
    make_engine,
    make_feed,
)
from api.drive import begin, end, go_on, in_order
from api.request import Request
from api.run_lock import being_run
from kernel.engine import Engine
from kernel.errors import NotFound
from kernel.schema import EVENT, RAW
from kernel.state import totals_of

BATCH_ROWS = 32_768


@dataclass(frozen=True)
class Result:
    """A finished backtest. `seconds` from the first input to the sealed tape, `loop_seconds` of the kernel's loop."""

    folder: Path
    manifest: dict[str, Any]
    faults: list[str]

    def summary(self) -> dict[str, Any]:
        """One flat object for `--json`; money in currency, as text, exact."""
        m = self.manifest
        return {"run_id": m["run_id"], **m["summary"], "tape_digest": m["tape_digest"],
                "decision_digest": m["decision_digest"], "state_digest": m["state_digest"], **m["timing"]}  # fmt: skip


class RunTape:
    """The tape of a backtest: everything but what market tapes hold, gathered into batches on its way to the sealed
    files."""

    def __init__(self, writer: SealedWriter) -> None:
        self.writer = writer
        self._buffer = np.empty(BATCH_ROWS, RAW)
        self._rows = 0
        self._notes: dict[int, str] = {}
        self.market = MarketCount()

    def keep(self, inputs: np.ndarray, outputs: np.ndarray) -> None:
        others = self.market.others(inputs)
        rows = in_order(others, outputs) if len(others) else outputs
        if self._rows + len(rows) > len(self._buffer):
            self.flush(len(rows))
        self._buffer[self._rows : self._rows + len(rows)] = rows.view(RAW)
        self._rows += len(rows)

    def note(self, seq: int, text: str) -> None:
        self._notes[seq] = text

    def flush(self, room: int = 0) -> None:
        """Hand what is gathered to the writer, which keeps it, and start a buffer with room for `room` rows."""
        self.writer.add(self._buffer[: self._rows].view(EVENT), self._notes)
        self._buffer = np.empty(max(BATCH_ROWS, room), RAW)
        self._rows, self._notes = 0, {}


def new_run_id(strategies: list[Loaded], config: Config, now: datetime) -> str:
    """Sortable by time, readable, and hardly ever the same twice."""
    import secrets

    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{strategies[0].definition.name}-{secrets.token_hex(2)}"


def run_backtest(
    home: Path, settings: Settings, request: Request, seen: Callable[[int, int | None], None] | None = None
) -> Result:
    """Run a backtest and seal its tape; `seen(bars, of how many)` hears of progress.

    Raises any OnetapeError. A strategy's exception does not end the run: see `Result.faults`.
    """
    strategies = load_strategies(request.strategies, home)
    config = make_config(home, settings, request, strategies, "BACKTEST")
    folder = home / "runs" / new_run_id(strategies, config, datetime.now(UTC))
    with being_run(folder):
        try:
            return _run(home, folder, settings, config, strategies, seen or (lambda bars, total: None))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # an unfinished backtest is nobody's record
            raise


def _run(
    home: Path, folder: Path, settings: Settings, config: Config, strategies: list[Loaded], seen: Callable
) -> Result:
    started = time.perf_counter()
    engine = make_engine(config, strategies, settings.capacity.batch)
    tapes = input_tapes(home, config)
    feed = make_feed(home, tapes, config)
    with SealedWriter(folder) as writer:
        tape = RunTape(writer)
        tape.note(1, canonical_json(config).decode())
        loop = time.perf_counter()
        with InputCheck(tapes, memory_of(home)):
            if begin(engine, feed, tape.keep) == 0:
                what = "ticks" if has_ticks_in(config) else "bars"
                raise NotFound(f"no {what} in that range: `onetape runs --tapes` lists what is there")
            go_on(engine, feed, tape.keep, lambda count: seen(tape.market.total, None))
            end(engine, tape.keep)
        loop = time.perf_counter() - loop
        tape.flush()
        writer.add_ref(tape.market.as_ref(config))
        faults = explain_faults(engine, strategies, config)
        about = {
            "run_id": folder.name,
            "config": config,
            "state_digest": engine.digest(),
            "summary": summarise(engine, writer.rows),
            "sources": {str(n): s.origin for n, s in enumerate(strategies, 1)},
            "faults": faults,
            "marks": {row["symbol"]: int(engine.state.markets["mark"][row["number"]]) for row in config["instruments"]},
            "timing": _timing(started, loop, tape.market),
        }
        manifest = writer.finish(about)
    manifest["timing"] = _timing(started, loop, tape.market)
    return Result(folder, manifest, faults)


def _timing(started: float, loop: float, market: MarketCount) -> dict[str, float]:
    seconds = time.perf_counter() - started
    ticks = market.quotes + market.trades
    return {
        "seconds": round(seconds, 4),
        "loop_seconds": round(loop, 4),
        "bars_per_second": round(market.bars / max(seconds, 1e-9)),
        **({"ticks_per_second": round(ticks / max(seconds, 1e-9))} if ticks else {}),
        "peak_memory_mb": round(peak_memory_mb(), 1),
    }


def peak_memory_mb() -> float:
    """Most memory this process has held, MB; 0 where the system does not say."""
    status = Path("/proc/self/status")  # getrusage would count what the parent held before exec
    if status.exists():
        return float(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 2**10  # type: ignore[index]
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def summarise(engine: Engine, stored: int) -> dict[str, Any]:
    """What an account came to; money as exact decimal text in currency."""
    a, totals = engine.account, totals_of(engine.state)
    counts = {name: int(getattr(a, name)) for name in ("bars", "signals", "orders", "denied", "fills", "faults")}
    money = {
        **totals,
        "max_drawdown": int(a.drawdown),
    }
    markets = engine.state.markets
    ticks, bad, late = (int(markets[name].sum()) for name in ("ticks", "bad", "late"))
    return {
        "bars": counts["bars"],
        **({"ticks": ticks + bad, "bad_ticks": bad, "late_ticks": late} if ticks or bad else {}),
        "events": int(a.seq),
        "stored_events": stored,
        **counts,
        **{name: decimal_text(units) for name, units in money.items()},
    }


def decimal_text(units: int) -> str:
    """Units of 1/10,000 as a decimal: 12345 -> "1.2345", trailing zeros beyond two places cut."""
    whole, rest = divmod(abs(units), 10_000)
    text = f"{rest:04d}"
    while len(text) > 2 and text.endswith("0"):
        text = text[:-1]
    return f"{'-' if units < 0 else ''}{whole}.{text}"
