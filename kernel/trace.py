"""Fold recorded events without deciding anything, and say of each fill and settlement what it did to its position.

The same `evolve` as the step's. Bars may be missing (a run holds them by reference), so `seq` may jump.
"""

from kernel.codes import Kind, Origin, Reason, code
from kernel.evolve import evolve, open_slice, refusal
from kernel.jit import jit, jit_call, record_view
from kernel.orders import owner_of
from kernel.rows import packed_record
from kernel.tables import account, input_event, instrument_row, position, purse

TRACE = packed_record(  # one an ORDER_FILLED or SETTLED: what it did to its position
    ("seq", "i8"),
    ("qty_before", "i8"),
    ("qty_after", "i8"),
    ("cost_after", "i8"),
    ("realized", "i8"),  # by it, before fees
    ("cash_after", "i8"),
)
BAR, FILLED, SETTLED = code(Kind.BAR), code(Kind.ORDER_FILLED), code(Kind.SETTLED)
EXTERNAL, NONE = code(Origin.EXTERNAL), code(Reason.NONE)
_trace_at = record_view(TRACE)
_TRACE = TRACE.itemsize


@jit
def _trace_move(s, e, trace):
    strategy = e.strategy
    if e.kind == FILLED:
        strategy = owner_of(s, e.instrument, e.order_id)  # whatever a report from outside says
    p = position(s, strategy, e.instrument)
    trace.seq, trace.qty_before, realized = e.seq, p.qty, p.realized
    evolve(s, e)
    trace.qty_after, trace.cost_after, trace.realized = p.qty, p.cost, p.realized - realized
    trace.cash_after = purse(s, instrument_row(s, e.instrument).currency).cash


@jit_call
def fold(s, start, count, traces):
    """Fold inputs[start : start + count]; writes a TRACE for each fill and settlement that was not refused at address
    `traces` and returns how many."""
    moved = 0
    for k in range(start, start + count):
        e = input_event(s, k)
        assert e.seq > account(s).seq, "rows of a tape come in seq order"
        account(s).seq = e.seq - 1
        said = e.kind == FILLED and refusal(s, e) == NONE
        if said or (e.kind == SETTLED and e.origin != EXTERNAL):
            _trace_move(s, e, _trace_at(traces + moved * _TRACE))
            moved += 1
        else:
            evolve(s, e)
            if e.kind == BAR:
                open_slice(s)
    return moved
