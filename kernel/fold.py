"""A recorded tape's positions, rebuilt row by row: what projections know about positions comes from here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kernel.machine import run_at
from kernel.state import Capacity, Rules, new_state, tables_of
from kernel.trace import TRACE


class Fold:
    """Positions of a tape, rebuilt row by row. `instruments` are Terms; `strategies` how many there are.

    `rules.cash` is the run's opening cash.
    """

    def __init__(
        self,
        capacity: Capacity,
        rules: Rules,
        limits: Mapping[str, Any],
        instruments: Sequence[tuple[int, ...]],
        strategies: int,
        charges: Sequence[tuple[int, ...]] = (),
    ) -> None:
        self.state = new_state(capacity, rules, dict(limits), instruments, [8] * strategies, charges)
        self._tables = tables_of(self.state)
        self._traces = np.zeros(capacity.batch, TRACE)

    def add(self, rows: np.ndarray) -> np.ndarray:
        """Fold EVENT rows in and return a TRACE for each fill among them, in order (a copy)."""
        traces = []
        for start in range(0, len(rows), len(self.state.inputs)):
            part = rows[start : start + len(self.state.inputs)]
            self.state.inputs[: len(part)] = part
            count = run_at(int(self._tables.ctypes.data), 0, len(part), int(self._traces.ctypes.data))
            traces.append(self._traces[:count].copy())
        return np.concatenate(traces) if traces else np.zeros(0, TRACE)
