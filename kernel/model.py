"""A strategy in plain Python, called by the same step: what its program calls, and what its hooks see.

The compiled program updates the indicators and keeps the warm-up; then it calls back here. What a hook sees is read out
of the call's frame once, as plain Python values, since a record of numpy is slow to look at.
"""

import struct
import traceback
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from kernel.frame import CONTEXT, FRAME, INTENT, INTENTS, NOTHING, NOWHERE, PROGRAM_OK, VIEWS
from kernel.indicators import Indicator
from kernel.jit import PROGRAM_FAULT, entry_of
from kernel.signals import Signal
from kernel.strategy import Definition


def _packed(dtype: np.dtype, names: Iterable[str]) -> struct.Struct:
    """A record of whole numbers and floats of 64 bits, as `struct` reads it."""
    return struct.Struct("=" + "".join("q" if dtype[name].kind == "i" else "d" for name in names))


def _at(*path: str) -> int:
    """Where a part of the frame begins, bytes."""
    dtype, place = FRAME, 0
    for name in path:
        field = dtype.fields[name]
        dtype, place = field[0], place + field[1]
    return place


_HEAD = [name for name in CONTEXT.names or () if name not in ("count", "intents")]
_READ = _packed(CONTEXT, _HEAD)
_WRITE, _INTENT_NAMES = _packed(INTENT, INTENT.names or ()), list(INTENT.names or ())
_CONTEXT, _INTENTS = _at("ctx"), _at("ctx", "intents")  # bytes
_HOOK, _COUNT = _at("hook") // 8, _at("ctx", "count") // 8  # words
_SEEN = {
    what: (
        namedtuple(what.capitalize(), dtype.names or ())._make if what != "slice" else None,  # type: ignore[misc]
        _packed(dtype, dtype.names or ()).unpack_from,
        _at(what),
    )
    for what, dtype in VIEWS.items()
}


class Intent:
    """One of the signals of a call, before it is written into the frame."""

    __slots__ = tuple(_INTENT_NAMES)

    def __init__(self) -> None:
        for name in _INTENT_NAMES:
            setattr(self, name, 0.0 if INTENT[name].kind == "f" else 0)


class Context:
    """`ctx` of a hook in plain Python: the account and the position, as the frame has them."""

    __slots__ = ("_values", "count", "intents")

    def __init__(self) -> None:
        self.count, self.intents = 0, [Intent() for _ in range(INTENTS)]


for _k, _name in enumerate(_HEAD):
    setattr(Context, _name, property(lambda self, k=_k: self._values[k], doc=f"`{_name}` of a call's context."))


class Reading:
    """An indicator as a hook sees it: that of the instrument it is called for."""

    def __init__(self, model: "Model", name: str) -> None:
        self._model, self._name = model, name

    def __getattr__(self, output: str) -> Any:
        return self._model.record[self._name][output]


class Model:
    """One run's object of a PythonStrategy, and the entry its program calls.

    `address` is that entry's. `fault` is what happened, where a hook failed: file, line, exception and source line.
    `interrupt` is what the user pressed meanwhile: native code in between cannot pass it on, the engine raises it.
    """

    def __init__(
        self, definition: Definition, values: Mapping[str, float], records: np.ndarray, frame: np.ndarray
    ) -> None:
        self._definition, self._records, self._raw = definition, records, memoryview(frame.view(np.uint8).reshape(-1))  # type: ignore[arg-type]
        self._words, self.fault = self._raw.cast("q"), ""
        self.interrupt: KeyboardInterrupt | None = None
        self._context, self._own = Context(), definition.owner.__new__(definition.owner)
        for name, member in definition.members:
            setattr(self._own, name, Reading(self, name) if isinstance(member, Indicator) else values[name])
        self.address, self._kept = entry_of(self._make_entry(definition))

    @property
    def record(self) -> np.void:
        """The strategy's memory of the instrument the call is for."""
        if self._context.instrument == NOWHERE:
            raise AttributeError("on_slice is for no single instrument: write one.NAME for an indicator of one of them")
        return self._records[self._context.instrument]

    def _make_entry(self, definition: Definition) -> Callable[[int, int], int]:
        """The function that is called; a closure, since it is called for every bar."""
        raw, words, ctx, records = self._raw, self._words, self._context, self._records[:-1]
        bound = (definition.hook(f"on_{what}") for what in VIEWS)
        hooks = [hook.__get__(self._own) if hook is not None else None for hook in bound]
        seen = [(hook, *_SEEN[what]) for hook, what in zip(hooks, VIEWS, strict=True)]
        start, read = self._own.start, _READ.unpack_from

        def answer(memory: int, frame: int) -> int:
            nonlocal start
            try:
                if start is not None:
                    start()
                    start = None
                ctx._values = read(raw, _CONTEXT)
                ctx.count = 0
                hook, make, unpack, place = seen[words[_HOOK]]
                signal = hook(make(unpack(raw, place)) if make else records, ctx)
                if signal is not None or ctx.count:
                    self._place(signal)
                return PROGRAM_OK
            except BaseException as error:  # noqa: BLE001  whatever the user's code raises stops that strategy, and no more
                self.fault = _said(self._definition, error)
                self.interrupt = error if isinstance(error, KeyboardInterrupt) else self.interrupt
                return PROGRAM_FAULT

        return answer

    def _place(self, signal: object) -> None:
        """Write what was placed, and what the hook returned, into the frame."""
        ctx, raw = self._context, self._raw
        for k, intent in enumerate(ctx.intents[: ctx.count]):
            _WRITE.pack_into(raw, _INTENTS + k * INTENT.itemsize, *[getattr(intent, name) for name in _INTENT_NAMES])
        if signal is not None and type(signal) is not Signal:
            raise TypeError(f"it returned {signal!r:.60}: a hook returns one signal, HOLD or None")
        if signal is not None and signal.action != NOTHING:
            if ctx.count < INTENTS:
                _WRITE.pack_into(raw, _INTENTS + ctx.count * INTENT.itemsize, *signal, 0, 0)
            ctx.count += 1
        self._words[_COUNT] = ctx.count


def _said(definition: Definition, error: BaseException) -> str:
    """`file:line: what happened: the line` of the innermost line of the strategy's own file."""
    trace = traceback.extract_tb(error.__traceback__)
    own = [part for part in trace if part.filename == str(definition.file)]
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"{own[-1].filename}:{own[-1].lineno}: {what}: {own[-1].line!r}" if own else f"{definition.where()}: {what}"
