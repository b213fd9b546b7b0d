"""The kernel as a value in Python's hands: tables, programs, and `run`. Hosts feed it and keep what it writes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kernel.machine import run_at
from kernel.model import Model
from kernel.program import Program
from kernel.schema import RAW
from kernel.state import Capacity, Rules, State, load_state, new_state, save_state, state_digest, tables_of
from kernel.strategy import write_memory


class Engine:
    """One run's state and strategies. Put events into `inputs`, call `run`, read `outputs`.

    `strategies` are (program, parameter values), numbered from 1 in this order. Raises LimitExceeded when a table would
    pass its capacity, StrategyError when a parameter makes no sense. `utc_offsets` are those of the instruments'
    standard time by number, ns, from which strategies know their days.
    """

    def __init__(
        self,
        capacity: Capacity,
        rules: Rules,
        limits: Mapping[str, Any],
        instruments: Iterable[tuple[int, ...]],
        strategies: Sequence[tuple[Program, Mapping[str, float]]],
        charges: Sequence[tuple[int, ...]] = (),
        utc_offsets: Mapping[int, int] | None = None,
    ) -> None:
        strides = [program.definition.dtype.itemsize for program, _ in strategies]
        whole = [program.definition.whole for program, _ in strategies]
        self.state: State = new_state(capacity, rules, dict(limits), instruments, strides, charges, whole)
        for number, offset in (utc_offsets or {}).items():
            self.state.zones[number] = offset
        self.state.frame["markets"] = self.state.markets.ctypes.data
        self.state.frame["zones"] = self.state.zones.ctypes.data
        self.programs = [program for program, _ in strategies]
        self.models: list[Model | None] = []  # those of strategies in plain Python
        self._tables = tables_of(self.state)
        self._address = int(self._tables.ctypes.data)
        self._place_memory(strategies, strides)
        self.inputs = self.state.inputs
        self._raw_inputs, self._produced = self.inputs.view(RAW), self._tables["produced"]
        self.account = self.state.account[0]
        self.purse = self.state.purses[0]  # of the account's own currency

    def _place_memory(self, strategies: Sequence[tuple[Program, Mapping[str, float]]], strides: list[int]) -> None:
        rows, start = int(self.state.rules["instruments"][0]), 0
        for number, ((program, values), stride) in enumerate(zip(strategies, strides, strict=True), 1):
            end = start + stride * (rows + program.definition.whole)
            records = self.state.memory[start:end].view(program.definition.dtype)
            write_memory(program.definition, values, records)
            model = program.begin(values, records, self.state.frame[:1])
            self.models.append(model)
            self.state.programs[number] = (
                program.address,
                self.state.memory.ctypes.data + start,
                stride,
                self.state.frame.ctypes.data,
                model.address if model else 0,
                *(int(program.definition.hook(name) is not None) for name in self.state.programs.dtype.names[5:]),
            )
            start = end
        for hook in ("on_slice", "on_timer"):
            self.state.programs[hook][0] = int(self.state.programs[hook][1:].sum())

    def run(self, start: int, count: int) -> int:
        """Take inputs[start : start + count]; returns how many were taken. `outputs` holds what they led to."""
        taken = run_at(self._address, start, count, 0)
        for model in self.models:
            if model is not None and model.interrupt is not None:
                raise model.interrupt
        return taken

    def rehearse(self, rows: np.ndarray) -> int:
        """Fold a tape's own rows, outputs included; strategies are called for their memory only.

        `rows` end before an EXTERNAL row or at the tape's end, and fit into `inputs`. Returns how many calls asked for
        something else than is recorded.
        """
        self.put(rows)
        self._tables["recorded"], self._tables["differing"] = 1, 0
        try:
            taken = self.run(0, len(rows))
        finally:
            self._tables["recorded"] = 0
        assert taken == len(rows), "rows must end where a decision ends"
        return int(self._tables["differing"][0])

    def put(self, rows: np.ndarray) -> None:
        """Copy EVENT rows to the start of `inputs`."""
        self._raw_inputs[: len(rows)] = rows.view(RAW)

    @property
    def outputs(self) -> np.ndarray:
        """Events of the last `run`, valid until the next."""
        return self.state.out[: self._produced.item()]

    def memory_of(self, strategy: int) -> np.ndarray:
        """The memory records of strategy number `strategy`, one an instrument, and one of its own with on_slice."""
        row = self.state.programs[strategy]
        start = int(row["memory"]) - self.state.memory.ctypes.data
        rows = int(self.state.rules["instruments"][0])
        definition = self.programs[strategy - 1].definition
        end = start + int(row["stride"]) * (rows + definition.whole)
        return self.state.memory[start:end].view(definition.dtype)

    def digest(self) -> str:
        """State digest: the same in any process, mode or batch size."""
        return state_digest(self.state)

    @property
    def savable(self) -> bool:
        """Whether `save` has all there is: not what strategies in plain Python keep in their objects."""
        return not any(self.models)

    def save(self) -> dict[str, bytes]:
        """A snapshot of everything `digest` covers."""
        return save_state(self.state)

    def load(self, saved: dict[str, bytes]) -> None:
        """Go on from a snapshot of a run with the same tables."""
        load_state(self.state, saved)
