"""Fold a recorded tape without deciding anything: what projections know about positions comes from here.

The same `evolve` as the step's. Bars may be missing (a run holds them by reference), so `seq` may jump.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from kernel.codes import Kind, code
from kernel.evolve import evolve, open_slice
from kernel.jit import jit, jit_entry, record_view
from kernel.state import Capacity, Rules, new_state, packed_record, tables_of
from kernel.tables import account, input_event, position, tables_at

TRACE = packed_record(  # one an ORDER_FILLED: what it did to its position
    ("seq", "i8"),
    ("qty_before", "i8"),
    ("qty_after", "i8"),
    ("cost_after", "i8"),
    ("realized", "i8"),  # by this fill, before fees
    ("cash_after", "i8"),
)
BAR, FILLED = code(Kind.BAR), code(Kind.ORDER_FILLED)
_trace_at = record_view(TRACE)
_TRACE = TRACE.itemsize


@jit
def _trace_fill(s, e, trace):
    p = position(s, e.strategy, e.instrument)
    trace.seq, trace.qty_before, realized = e.seq, p.qty, p.realized
    evolve(s, e)
    trace.qty_after, trace.cost_after, trace.realized = p.qty, p.cost, p.realized - realized
    trace.cash_after = account(s).cash


@jit_entry
def fold_at(address, traces, start, count):
    """Fold inputs[start : start + count]; writes a TRACE for each fill at `traces` and returns how many."""
    s = tables_at(address)
    filled = 0
    for k in range(start, start + count):
        e = input_event(s, k)
        assert e.seq > account(s).seq, "rows of a tape come in seq order"
        account(s).seq = e.seq - 1
        if e.kind == FILLED:
            _trace_fill(s, e, _trace_at(traces + filled * _TRACE))
            filled += 1
        else:
            evolve(s, e)
            if e.kind == BAR:
                open_slice(s)
    return filled


class Fold:
    """Positions of a tape, rebuilt row by row. `instruments` are (number, tick, lot); `strategies` how many there are.

    `rules.cash` is the run's opening cash.
    """

    def __init__(
        self,
        capacity: Capacity,
        rules: Rules,
        limits: Mapping[str, int],
        instruments: Sequence[tuple[int, int, int]],
        strategies: int,
    ) -> None:
        self.state = new_state(capacity, rules, dict(limits), instruments, [8] * strategies)
        self._tables = tables_of(self.state)
        self._traces = np.zeros(capacity.batch, TRACE)

    def add(self, rows: np.ndarray) -> np.ndarray:
        """Fold EVENT rows in and return a TRACE for each fill among them, in order (a copy)."""
        traces = []
        for start in range(0, len(rows), len(self.state.inputs)):
            part = rows[start : start + len(self.state.inputs)]
            self.state.inputs[: len(part)] = part
            count = fold_at(int(self._tables.ctypes.data), int(self._traces.ctypes.data), 0, len(part))
            traces.append(self._traces[:count].copy())
        return np.concatenate(traces) if traces else np.zeros(0, TRACE)
