"""What is timed in this process: the kernel's loop, one live event, one durable append, each beside its baseline."""

import os
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adapters.files import reserve, sync_data
from adapters.strategies.load import load_strategy
from adapters.tape.writer import TapeWriter
from kernel.codes import Flag, Kind
from kernel.engine import Engine
from kernel.schema import EVENT, events
from kernel.state import Capacity, Rules
from tests.bench import bare
from tests.bench.data import TICK, workload, write_home

BATCH = 16_384
LIMITS = {
    "max_order_qty": 10**9,
    "max_order_notional": 10**16,
    "max_position_qty": 10**10,
    "allow_short": 1,
    "market_buffer_bps": 100,
}
__all__ = [
    "append_against_bare_us",
    "ask_bars",
    "event_latency_us",
    "home_of",
    "kernel_against_bare",
    "sell_fills",
    "workload",
]


def home_of(work: Path, symbols: int, bars: int) -> Path:
    """A home with that workload, made once."""
    home = work / f"home-{symbols}x{bars}"
    if not home.exists():
        write_home(home, symbols, bars)
    return home


def ask_bars(home: Path) -> tuple[float, float, int]:
    """(count by day, one instrument's day) in seconds, medians of five after one, and row groups the latter reads."""
    from api.sql import lock_down, open_home

    connection = open_home(home, None, frozenset(("bars",)))
    lock_down(connection, [home / "tapes"])
    [(day, symbol)] = connection.sql("SELECT quantile_disc(day, 0.5), min(symbol) FROM bars").fetchall()
    one_day = f"SELECT * FROM bars WHERE symbol = '{symbol}' AND day = '{day}'"
    medians = []
    for question in ("SELECT day, count(*) FROM bars GROUP BY day", one_day):
        times = []
        for _ in range(6):
            started = time.perf_counter()
            connection.sql(question).fetchall()
            times.append(time.perf_counter() - started)
        medians.append(statistics.median(times[1:]))
    plan = connection.sql(f"EXPLAIN ANALYZE {one_day}").fetchall()[0][1]
    read = max(int(count) for count in re.findall(r"Row Groups Scanned: (\d+) /", plan))
    return medians[0], medians[1], read


def drop_from_cache(home: Path) -> None:
    """Ask the system to forget the sealed files, so that a run reads them from disk."""
    for path in (home / "tapes").rglob("*.parquet"):
        with path.open("rb") as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def sell_fills(home: Path, run_id: str) -> int:
    import pyarrow.parquet as pq

    table = pq.read_table(home / "runs" / run_id / "fill.parquet", columns=["side"])
    return int((table.column("side").to_numpy() < 0).sum())


def make_engine(strategies: Path, name: str, symbols: int) -> Engine:
    loaded = load_strategy(f"{strategies}:{name}")
    rules = Rules(cash=10**12, fee_rate=300_000, equity_interval=86_400 * 10**9)
    instruments = [(n, TICK, 1) for n in range(symbols)]
    return Engine(Capacity(batch=BATCH), rules, LIMITS, instruments, [(loaded.program, loaded.params)])


def as_events(columns: dict[str, np.ndarray]) -> np.ndarray:
    """The workload's columns as kernel inputs."""
    rows = np.zeros(len(columns["ts_init"]), EVENT)
    ts = columns["ts_init"]
    rows["kind"], rows["ts_init"], rows["ts_event"] = int(Kind.BAR), ts, ts
    rows["ts_open"] = ts - columns["span"]
    for name in ("instrument", "open", "high", "low", "close", "volume"):
        rows[name] = columns[name]
    last = np.append(ts[1:] != ts[:-1], True)
    rows["flags"] = last * int(Flag.SLICE_END)
    return rows


def kernel_against_bare(columns: dict[str, np.ndarray], strategies: Path, name: str) -> tuple[float, float]:
    """(bars/s of the kernel's loop alone, bars/s of the bare loop), interleaved; medians of five."""
    symbols = int(columns["instrument"].max()) + 1
    plain = [columns["instrument"].astype(np.int64)]
    plain += [columns[n] / 10_000 for n in ("open", "high", "low", "close")]
    loop = bare.light if name == "Light" else bare.heavy
    rows = as_events(columns)
    bars = len(rows)
    loop(*[x[:10] for x in plain], symbols)
    ours, theirs = [], []
    for _ in range(5):
        engine = make_engine(strategies, name, symbols)
        engine.run(0, 0)
        ours.append(run_all(engine, rows))
        started = time.perf_counter()
        loop(*plain, symbols)
        theirs.append(time.perf_counter() - started)
    return bars / statistics.median(ours), bars / statistics.median(theirs)


def run_all(engine: Engine, rows: np.ndarray, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds inside the kernel's loop over all of `rows`."""
    inside = 0.0
    for first in range(0, len(rows), BATCH):
        part = rows[first : first + BATCH]
        engine.put(part)
        taken = 0
        while taken < len(part):
            started = clock()
            taken += engine.run(taken, len(part) - taken)
            inside += clock() - started
    return inside


def event_latency_us(strategies: Path) -> float:
    """Median microseconds of one bar from Python through the step: input set, loop called, outputs seen."""
    rows = as_events(workload(1, 20_000))
    engine = make_engine(strategies, "Light", 1)
    engine.run(0, 0)
    times = []
    for k in range(len(rows)):
        started = time.perf_counter()
        engine.put(rows[k : k + 1])
        engine.run(0, 1)
        len(engine.outputs)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1_000:]) * 1e6


def append_against_bare_us(work: Path, rounds: int = 400) -> tuple[float, float]:
    """(durable append of a decision's 4 events, bare write + fdatasync of as many bytes), medians, interleaved."""
    size = 4 * EVENT.itemsize + 512
    bare_file = os.open(work / "bare", os.O_RDWR | os.O_CREAT)
    reserve(bare_file, 64 * 2**20)
    sync_data(bare_file)
    block = bytes(range(256)) * (size // 256)
    ours: list[float] = []
    theirs: list[float] = []
    with TapeWriter(work / "append-tape") as tape:

        def append(k: int) -> None:
            rows = events(4)
            rows["seq"] = np.arange(4) + 4 * k + 1
            rows["kind"] = int(Kind.ORDER_SUBMITTED)
            started = time.perf_counter()
            tape.append(rows)
            ours.append(time.perf_counter() - started)

        def write(k: int) -> None:
            started = time.perf_counter()
            os.pwrite(bare_file, block, k * len(block))
            sync_data(bare_file)
            theirs.append(time.perf_counter() - started)

        for k in range(rounds):  # whoever comes second finds the disk awake: take turns
            for step in (append, write) if k % 2 else (write, append):
                step(k)
    os.close(bare_file)
    return statistics.median(ours) * 1e6, statistics.median(theirs) * 1e6
