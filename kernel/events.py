"""Drafting the kernel's own events into `out`."""

from kernel.codes import Kind, Origin, code
from kernel.evolve import evolve
from kernel.jit import jit, jit_call
from kernel.tables import account, output

FILLED = code(Kind.ORDER_FILLED)
KERNEL, VENUE_SIM = code(Origin.KERNEL), code(Origin.VENUE_SIM)


@jit
def draft(s, kind, origin, cause, ts_event, ts_init):
    """A blank event, next in `seq` and in `out`; it counts once `emit` has folded it in."""
    e = blank(s, cause, ts_event, ts_init)
    e.kind, e.origin = kind, origin
    return e


@jit_call
def blank(s, cause, ts_event, ts_init):
    e = output(s, s.produced)
    e.seq, e.ts_event, e.ts_init, e.cause = account(s).seq + 1, ts_event, ts_init, cause
    e.instrument, e.strategy, e.flags = -1, 0, 0
    e.kind, e.origin, e.side, e.order_type = 0, 0, 0, 0
    e.tif, e.status, e.reason, e.product = 0, 0, 0, 0
    e.order_id, e.ref, e.qty, e.px, e.trigger_px = 0, 0, 0, 0, 0
    e.fee, e.cum_qty, e.leaves_qty, e.reserve_px = 0, 0, 0, 0  # every slot of the body, whatever a family calls it
    e.value = 0.0
    return e


@jit
def copy_terms(e, terms):
    """Copy what an order is, from a SIGNAL, an order event or a working order."""
    e.instrument, e.strategy, e.side = terms.instrument, terms.strategy, terms.side
    e.order_type, e.tif, e.product = terms.order_type, terms.tif, terms.product
    e.flags = terms.flags
    e.qty, e.px, e.trigger_px = terms.qty, terms.px, terms.trigger_px


@jit_call
def report(s, kind, origin, o, cause, ts_event, ts_init):
    """A draft about order `o`, with its terms and what is left of it."""
    e = draft(s, kind, origin, cause, ts_event, ts_init)
    copy_terms(e, o)
    e.order_id, e.cum_qty, e.leaves_qty = o.order_id, o.cum_qty, o.leaves_qty
    if kind != FILLED:
        e.trail = o.trail
    return e


@jit_call
def emit(s, e):
    """Fold a finished draft in and keep it in `out`."""
    evolve(s, e)
    s.produced += 1
