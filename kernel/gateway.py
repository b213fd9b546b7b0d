"""What leaves for the venue: an order, a change, a cancel, each an event first; the simulated venue answers at once."""

from kernel.codes import Kind, OrderType, Status, code
from kernel.events import KERNEL, VENUE_SIM, emit, report
from kernel.jit import jit, jit_call
from kernel.tables import rules

SUBMITTED, CANCEL_SUBMITTED = code(Kind.ORDER_SUBMITTED), code(Kind.ORDER_CANCEL_SUBMITTED)
REPLACE_SUBMITTED, RELEASED = code(Kind.ORDER_REPLACE_SUBMITTED), code(Kind.ORDER_RELEASED)
ACCEPTED, CANCELED, REPLACED = code(Kind.ORDER_ACCEPTED), code(Kind.ORDER_CANCELED), code(Kind.ORDER_REPLACED)
MARKET = code(OrderType.MARKET)
ST_SUBMITTED, ST_ACCEPTED = code(Status.SUBMITTED), code(Status.ACCEPTED)
ST_PENDING_CANCEL, ST_CANCELED = code(Status.PENDING_CANCEL), code(Status.CANCELED)
ST_PENDING_NEW, ST_PENDING_REPLACE = code(Status.PENDING_NEW), code(Status.PENDING_REPLACE)


@jit
def has_latency(s):
    return rules(s).latency_ns > 0 or rules(s).latency_events > 0


@jit
def answers_at_once(s):
    """Whether the simulated venue has its answer in the same moment: there is one, and it is not far away."""
    return rules(s).simulate != 0 and not has_latency(s)


@jit_call
def acknowledge(s, o, sent):
    """The simulated venue takes an order that `sent` sent; a market order needs no word: it fills or it does not."""
    if answers_at_once(s) and o.order_type != MARKET:
        e = report(s, ACCEPTED, VENUE_SIM, o, sent.seq, sent.ts_event, sent.ts_init)
        e.status = ST_ACCEPTED
        emit(s, e)


@jit_call
def release(s, o, qty, trigger_px, cause):
    """Send a held order for `qty` now."""
    e = report(s, RELEASED, KERNEL, o, cause.seq, cause.ts_event, cause.ts_init)
    e.qty, e.leaves_qty, e.trigger_px, e.status = qty, qty, trigger_px, ST_SUBMITTED
    emit(s, e)
    acknowledge(s, o, e)


@jit_call
def send_cancel(s, o, reason, cause):
    """Ask for the cancel of a working order; one that waits for its parent was never sent and is simply gone."""
    if o.status == ST_PENDING_NEW:
        e = report(s, CANCELED, KERNEL, o, cause.seq, cause.ts_event, cause.ts_init)
        e.status, e.reason = ST_CANCELED, reason
        emit(s, e)
        return
    e = report(s, CANCEL_SUBMITTED, KERNEL, o, cause.seq, cause.ts_event, cause.ts_init)
    e.status, e.reason = ST_PENDING_CANCEL, reason
    emit(s, e)
    if answers_at_once(s):
        answer = report(s, CANCELED, VENUE_SIM, o, e.seq, e.ts_event, e.ts_init)
        answer.status, answer.reason = ST_CANCELED, reason
        emit(s, answer)


@jit_call
def send_replace(s, o, qty, px, trigger_px, reserve_px, reason, cause):
    """Ask for a change of a working order: `qty` counts what was filled, `reserve_px` is what a unit is valued at."""
    e = report(s, REPLACE_SUBMITTED, KERNEL, o, cause.seq, cause.ts_event, cause.ts_init)
    e.qty, e.px, e.trigger_px, e.reserve_px = qty, px, trigger_px, reserve_px
    e.trail = o.trail
    e.status, e.reason = ST_PENDING_REPLACE, reason
    emit(s, e)
    if answers_at_once(s):
        answer = report(s, REPLACED, VENUE_SIM, o, e.seq, e.ts_event, e.ts_init)
        answer.qty, answer.px, answer.trigger_px = e.qty, e.px, e.trigger_px
        answer.leaves_qty, answer.status, answer.reason = e.qty - o.cum_qty, o.stood, reason
        emit(s, answer)
