"""Push a feed through an engine and hand on what happened: the one loop of backtest, replay and live."""

from collections.abc import Callable

import numpy as np

from kernel.codes import Kind
from kernel.engine import Engine
from kernel.ports import Feed
from kernel.schema import EVENT, join_rows, take_rows


def control(kind: Kind, ts: int) -> np.ndarray:
    """One EXTERNAL control event at `ts`, ns UTC."""
    rows = np.zeros(1, EVENT)
    rows["kind"], rows["ts_event"], rows["ts_init"], rows["instrument"] = int(kind), ts, ts, -1
    return rows


def in_order(inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Inputs and what they led to as one run of rows by seq, copied out of the engine's tables."""
    if len(inputs) == 0:
        return join_rows([outputs])
    rows = join_rows([inputs, outputs])
    return take_rows(rows, np.argsort(rows["seq"], kind="stable"))


Keep = Callable[[np.ndarray, np.ndarray], None]


def drive(engine: Engine, count: int, keep: Keep) -> None:
    """Run the first `count` inputs of the engine's table; `keep` gets each stretch of inputs and its outputs."""
    start = 0
    while start < count:
        taken = engine.run(start, count - start)
        keep(engine.inputs[start : start + taken], engine.outputs)
        if taken == 0 and len(engine.outputs) == 0:
            raise AssertionError("the kernel took no input and wrote nothing: `out` is too small for one step")
        start += taken


def drive_all(engine: Engine, count: int) -> np.ndarray:
    """Run the first `count` inputs of the engine's table; they and all they led to, by seq."""
    inputs: list[np.ndarray] = []
    outputs: list[np.ndarray] = []

    def keep(taken: np.ndarray, led_to: np.ndarray) -> None:
        inputs.append(taken.copy())
        outputs.append(led_to.copy())

    drive(engine, count, keep)
    return in_order(join_rows(inputs), join_rows(outputs))


def begin(engine: Engine, feed: Feed, keep: Keep) -> int:
    """RUN_STARTED, then the feed's first batch; returns how many inputs the feed gave."""
    count = feed.read_into(engine.inputs[1:])
    first = engine.inputs[1]
    ts = int(min(first["ts_init"], first["ts_open"] if first["kind"] == Kind.BAR else first["ts_init"])) if count else 0
    engine.inputs[:1] = control(Kind.RUN_STARTED, ts)
    drive(engine, count + 1, keep)
    engine.inputs[:1] = 0  # the table goes back to feeds as they expect it: bars with nothing else set
    engine.inputs["kind"][:1] = int(Kind.BAR)
    return count


def go_on(engine: Engine, feed: Feed, keep: Keep, seen: Callable[[int], None]) -> None:
    """Drive the feed to its end; `seen` hears how many inputs each batch had."""
    while count := feed.read_into(engine.inputs):
        drive(engine, count, keep)
        seen(count)


def end(engine: Engine, keep: Keep) -> None:
    """RUN_ENDED at the last event's time, which reports the final equity."""
    engine.inputs[:1] = control(Kind.RUN_ENDED, int(engine.account.ts))
    drive(engine, 1, keep)
