"""Make a strategy's last call again, interpreted, on copies of what it saw: machine code cannot say where it failed.

A process of its own, with `ONETAPE_JIT=0`, has the functions that a run in that mode has. One that is interpreted
already asks itself.
"""

import base64
import json
import linecache
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from adapters.strategies.load import check_strategy
from adapters.strategies.modules import is_users
from kernel.codehash import KERNEL
from kernel.codes import Reason
from kernel.frame import FRAME, INTENTS, VIEWS
from kernel.jit import COMPILED
from kernel.signals import Signal
from kernel.strategy import Definition

PATIENCE_SECONDS = 30.0
GAVE_UP = f"an exception; its line was not found within {PATIENCE_SECONDS:.0f} s: run the same with ONETAPE_JIT=0"
NOT_AGAIN = "an exception that does not show again: run the same with ONETAPE_JIT=0"
CHANGED = "an exception; its line is not known, since the file was changed meanwhile"
MODULE = "adapters.strategies.again"


def place_of_fault(definition: Definition, origin: str, code_hash: str, memory: bytes, frame: bytes) -> str:
    """`file:line: what happened` of a failed call. `memory` and `frame` are the records it began with; of on_slice the
    memory is that of all instruments, and the strategy's own at the end."""
    if not COMPILED:
        return call_again(definition, memory, frame)
    asked = {"origin": origin, "code_hash": code_hash}
    asked |= {"memory": base64.b64encode(memory).decode(), "frame": base64.b64encode(frame).decode()}
    places = os.pathsep.join([str(KERNEL.parent), *filter(None, sys.path)])
    environment = {**os.environ, "ONETAPE_JIT": "0", "PYTHONPATH": places}
    command = [sys.executable, "-m", MODULE]
    try:
        done = subprocess.run(
            command,
            check=False,
            input=json.dumps(asked),
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        return str(json.loads(done.stdout.splitlines()[-1]))  # the file may print when it is read
    except subprocess.TimeoutExpired:
        return f"{definition.where()}: {GAVE_UP}"
    except (OSError, IndexError, ValueError):
        return f"{definition.where()}: {NOT_AGAIN}"


def call_again(definition: Definition, memory: bytes, frame: bytes) -> str:
    """`file:line: what happened` of the call that these records began, made in this interpreted process."""
    records = np.frombuffer(bytearray(memory), definition.dtype)
    seen = np.frombuffer(bytearray(frame), FRAME)[0]
    seen.ctx.count = 0
    what = list(VIEWS)[int(seen.hook)]
    hook = definition.hook(f"on_{what}")
    if hook is None:
        return f"{definition.where()}: {NOT_AGAIN}"
    watched = _Watched(hook, seen.ctx)
    try:
        with np.errstate(all="ignore"):  # as in a run
            shown = records[:-1] if what == "slice" else getattr(seen, what)
            answer = watched.call(records[-1], shown, seen.ctx)
    except Exception as error:  # noqa: BLE001  whatever the user's code raises is what is asked for
        return _raised(definition, error)
    if answer is not None and not isinstance(answer, Signal):
        why = f"returned {answer!r}: a hook returns one signal, HOLD or None"
        return f"{definition.where(watched.line)}: {definition.owner.__name__}.{hook.__name__} {why}"
    asked = int(seen.ctx.count) + int(answer is not None and answer.action != 0)
    if asked > INTENTS:
        code = _code(str(definition.file), watched.line)
        why = f"{Reason.TOO_MANY_SIGNALS.name}: more than {INTENTS} signals in one call"
        return f"{definition.where(watched.line)}: {why}: {code!r}"
    return f"{definition.where()}: {NOT_AGAIN}"


class _Watched:
    """A hook's call; `line` is the one it was at when it asked for one signal too many, or else its last."""

    def __init__(self, hook: Callable, ctx: Any) -> None:
        self._hook, self._ctx, self.line = hook, ctx, 0

    def call(self, *args: Any) -> Any:
        before = sys.gettrace()
        sys.settrace(lambda frame, event, value: self._inside if frame.f_code is self._hook.__code__ else None)
        try:
            return self._hook(*args)
        finally:
            sys.settrace(before)

    def _inside(self, frame: FrameType, event: str, value: Any) -> Any:
        if int(self._ctx.count) <= INTENTS:
            self.line = frame.f_lineno
        return self._inside


def _raised(definition: Definition, error: BaseException) -> str:
    """The innermost line of the user's own code that an exception went through."""
    trace = traceback.extract_tb(error.__traceback__)
    own = [part for part in trace if part.filename == str(definition.file) or is_users(part.filename)]
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    if not own:
        return f"{definition.where()}: {what}"
    return f"{own[-1].filename}:{own[-1].lineno}: {what}: {own[-1].line!r}"


def _code(file: str, line: int) -> str:
    return linecache.getline(file, line).strip()


def main() -> None:
    """Answer what `place_of_fault` asks on standard input."""
    asked = json.load(sys.stdin)
    checked = check_strategy(asked["origin"])
    memory, frame = (base64.b64decode(asked[name]) for name in ("memory", "frame"))
    same = checked.code_hash == asked["code_hash"] and len(memory) % checked.definition.dtype.itemsize == 0
    changed = f"{checked.definition.where()}: {CHANGED}"
    print(json.dumps(call_again(checked.definition, memory, frame) if same else changed))


if __name__ == "__main__":
    main()
