"""The tape: what a commit costs, how fast it is checked and opened, how soon a reader knows."""

import hashlib
import os
import statistics
import time
from pathlib import Path

import numpy as np

from adapters.tape.check import check_tape
from adapters.tape.writer import TapeWriter
from kernel.codes import Kind
from kernel.schema import events
from tests.adapters.bus.test_hints import lags_ms


def _orders(count: int) -> np.ndarray:
    rows = events(count)
    rows["kind"] = int(Kind.ORDER_SUBMITTED)
    return rows


def _fill(folder: Path, total: int, at_once: int) -> float:
    """Append `total` events in frames of `at_once` under group commit; events a second."""
    rows = _orders(at_once)
    count = np.arange(at_once)
    started = time.perf_counter()
    with TapeWriter(folder) as tape:
        for _ in range(total // at_once):
            rows["seq"] = count + tape.last_seq + 1
            tape.append(rows, durable=False)
            tape.tick()
    return total / (time.perf_counter() - started)


def group_commit_rate(work: Path) -> float:
    """Events a second that are durable within 50 ms, in frames of 512."""
    return _fill(work / "group", 2_000_000, 512)


def check_rates(work: Path) -> tuple[float, float]:
    """(bytes of frames checked a second, bytes of SHA-256 a second alone), both on one core, the tape in the cache."""
    folder = work / "group"
    size = sum(path.stat().st_size for path in folder.glob("*.segment"))
    block = os.urandom(1 << 26)
    ours, alone = [], []
    for _ in range(3):
        started = time.perf_counter()
        check_tape(folder)
        ours.append(size / (time.perf_counter() - started))
        started = time.perf_counter()
        hashlib.sha256(block).digest()
        alone.append(len(block) / (time.perf_counter() - started))
    return statistics.median(ours), statistics.median(alone)


def opening_s(work: Path) -> float:
    """Seconds to open a tape of a million events in the smallest frames there are in practice, four events each."""
    folder = work / "million"
    _fill(folder, 1_000_000, 4)
    started = time.perf_counter()
    TapeWriter(folder).close()
    return time.perf_counter() - started


def reader_lags_ms(work: Path) -> tuple[float, float]:
    """Median ms from before a durable append in one process to the rows in another: by hints, and by polling."""
    hinted = statistics.median(lags_ms(work / "hinted", "hints", 100))
    return hinted, statistics.median(lags_ms(work / "polled", "silent", 12))
