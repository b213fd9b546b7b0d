"""Fold recorded events without deciding anything, and say of each fill what it did to its position.

The same `evolve` as the step's. Bars may be missing (a run holds them by reference), so `seq` may jump.
"""

from kernel.codes import Kind, code
from kernel.evolve import evolve, open_slice
from kernel.jit import jit, jit_call, record_view
from kernel.orders import owner_of
from kernel.rows import packed_record
from kernel.tables import account, input_event, instrument_row, position, purse

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
    p = position(s, owner_of(s, e.instrument, e.order_id), e.instrument)  # whatever a report from outside says
    trace.seq, trace.qty_before, realized = e.seq, p.qty, p.realized
    evolve(s, e)
    trace.qty_after, trace.cost_after, trace.realized = p.qty, p.cost, p.realized - realized
    trace.cash_after = purse(s, instrument_row(s, e.instrument).currency).cash


@jit_call
def fold(s, start, count, traces):
    """Fold inputs[start : start + count]; writes a TRACE for each fill at address `traces` and returns how many."""
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
