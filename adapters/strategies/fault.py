"""Say where a strategy failed: its last call again, in Python, on copies of what it saw."""

import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np

from adapters.strategies.load import Loaded
from kernel import jit
from kernel.codes import Reason
from kernel.engine import Engine
from kernel.signals import Signal
from kernel.state import HOOK_BAR, INTENTS
from kernel.strategy import Definition


def explain_faults(engine: Engine, strategies: Sequence[Loaded]) -> list[str]:
    """One sentence a failed strategy: file, line, exception and the source line."""
    failed = [n for n in range(1, len(strategies) + 1) if int(engine.state.books["stopped"][n]) == 2]
    return [_explain(engine, number, strategies[number - 1]) for number in failed]


def _explain(engine: Engine, number: int, loaded: Loaded) -> str:
    definition = loaded.definition
    frame = engine.state.frame[number : number + 1].copy()[0]
    instrument = int(frame.ctx.instrument)
    when = str(np.datetime64(int(frame.ctx.ts), "ns"))[:19] + " UTC"
    head = f"{definition.name} stopped at {when}, instrument {instrument}"
    if int(frame.ctx.count) > INTENTS:
        return f"{head}: {Reason.TOO_MANY_SIGNALS.name}: it placed more than {INTENTS} signals in one call"
    memory = engine.memory_of(number)[instrument : instrument + 1].copy()[0]
    frame.ctx.count = 0
    of_bar = int(frame.hook) == HOOK_BAR
    hook = definition.on_bar if of_bar else definition.on_fill
    line, answer = 0, None
    try:
        if hook is not None:
            with np.errstate(all="ignore"):  # as in a run
                line, answer = _answer(hook, memory, frame.bar if of_bar else frame.fill, frame.ctx)
    except Exception as error:  # noqa: BLE001  whatever the user's code raises is what is asked for
        return head + _placed(definition, error)
    if answer is not None and not isinstance(answer, Signal):
        why = f"returned {answer!r}: a hook returns one signal, HOLD or None"
        return f"{head}: {definition.where(line)}: {definition.owner.__name__}.{hook.__name__} {why}"  # type: ignore[union-attr]
    mine = [error for error in getattr(jit, "FAILURES", []) if _lines(definition, error)]
    if mine:
        return head + _placed(definition, mine[-1])
    again = ": run the same with ONETAPE_JIT=0 to see its line" if jit.COMPILED else ""
    return f"{head}: {definition.where()}: an exception that the memory changed by then does not show again{again}"


def _answer(hook: Callable, *args: Any) -> tuple[int, Any]:
    """What a hook returns, and from which line."""
    line = 0

    def inside(frame: FrameType, event: str, value: Any) -> Any:
        nonlocal line
        if event == "return":
            line = frame.f_lineno
        return inside

    def calls(frame: FrameType, event: str, value: Any) -> Any:
        return inside if frame.f_code is hook.__code__ else None

    before = sys.gettrace()
    sys.settrace(calls)
    try:
        answer = hook(*args)
    finally:
        sys.settrace(before)
    return line, answer


def _lines(definition: Definition, error: BaseException) -> list[traceback.FrameSummary]:
    return [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(definition.file)]


def _placed(definition: Definition, error: BaseException) -> str:
    own = _lines(definition, error)
    line = own[-1].lineno if own else definition.line
    code = f": {own[-1].line!r}" if own else ""
    return f": {definition.where(line)}: {type(error).__name__}: {error}{code}"
