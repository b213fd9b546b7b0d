"""Stream bars through one indicator and note its outputs after each: interpreted, or compiled into one loop."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from kernel.indicators import Indicator, Output
from kernel.jit import jit_helper, record_view
from kernel.rows import packed_record

BARS = packed_record(
    *((name, "i8") for name in ("ts", "ts_open", "session", "session_open")),
    *((name, "f8") for name in ("open", "high", "low", "close", "volume")),
)


def plain_memory(dtype: np.dtype) -> Any:
    """A record as plain Python: numbers, lists, and records within; ten times as fast as numpy's for one at a time."""
    made = {}
    for name in dtype.names or ():
        part = dtype[name]
        zero = 0.0 if part.base.kind == "f" else 0
        made[name] = plain_memory(part) if part.names else [zero] * part.shape[0] if part.shape else zero
    return SimpleNamespace(**made)


def numbers(indicator: Indicator) -> dict[str, float]:
    return {number.name: given for number, given in indicator.given()}


def names_of(indicator: Indicator) -> tuple[str, ...]:
    return ("value", *indicator.outputs)


def text_of(given: Any) -> str:
    assert not isinstance(given, Output), "only sources can be streamed here"
    return given


def plain_bars(bars: np.ndarray) -> list[Any]:
    return [SimpleNamespace(**dict(zip(BARS.names, row, strict=True))) for row in bars.tolist()]


def stream(indicator: Indicator, bars: list[Any]) -> dict[str, np.ndarray]:
    """The outputs after each bar, interpreted."""
    memory, update = plain_memory(indicator.dtype()), indicator.update
    plain = getattr(update, "py_func", update)
    indicator.configure(memory, numbers(indicator))
    take = eval(f"lambda bar: ({', '.join(map(text_of, indicator.inputs()))},)")
    out = {name: np.full(len(bars), np.nan) for name in names_of(indicator)}
    for k, bar in enumerate(bars):
        plain(memory, *take(bar))
        for name, values in out.items():
            values[k] = getattr(memory, name)
    return out


def make_loop(indicator: Indicator) -> Any:
    """A compiled `loop(address of memory, bars, out)` that updates once a bar; `out` has a column an output, or none."""
    scope = {"update": indicator.update, "memory_at": record_view(indicator.dtype())}
    inputs = ", ".join(map(text_of, indicator.inputs()))
    told = "".join(f"            out[k, {j}] = m.{name}\n" for j, name in enumerate(names_of(indicator)))
    text = (
        "def loop(address, bars, out):\n    m = memory_at(address)\n"
        f"    for k in range(len(bars)):\n        bar = bars[k]\n        update(m, {inputs})\n"
        f"        if len(out) > 0:\n{told}    return m.value\n"
    )
    exec(text, scope)
    return jit_helper(scope["loop"])


def stream_compiled(indicator: Indicator, bars: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs after each bar, as machine code has them."""
    memory = np.zeros(1, indicator.dtype())
    indicator.configure(memory[0], numbers(indicator))
    out = np.zeros((len(bars), 1 + len(indicator.outputs)))
    make_loop(indicator)(memory.ctypes.data, bars, out)
    return {name: out[:, j] for j, name in enumerate(names_of(indicator))}
