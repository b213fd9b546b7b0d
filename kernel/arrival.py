"""Latency of the simulated exchange: what was sent takes `latency_ns`, and `latency_events` bars of its instrument, to
be there.

Until then a new order cannot be met, a cancel has not happened and a change still stands as it was, so an order may be
filled while it is being canceled. What arrives is seen when the next bar is. Without latency all is answered at once.
"""

from kernel.codes import Kind, OrderType, Reason, Status, code
from kernel.events import VENUE_SIM, emit, report
from kernel.jit import jit_call
from kernel.links import settle_links
from kernel.orders import is_there, next_after
from kernel.tables import market, order

ACCEPTED, CANCELED, REPLACED = code(Kind.ORDER_ACCEPTED), code(Kind.ORDER_CANCELED), code(Kind.ORDER_REPLACED)
ST_ACCEPTED, ST_CANCELED, ST_SUBMITTED = code(Status.ACCEPTED), code(Status.CANCELED), code(Status.SUBMITTED)
ST_PENDING_CANCEL, ST_PENDING_REPLACE = code(Status.PENDING_CANCEL), code(Status.PENDING_REPLACE)
MARKET, REQUESTED = code(OrderType.MARKET), code(Reason.REQUESTED)


@jit_call
def take_arrivals(s, bar, ts):
    """Answer what has arrived at the exchange by `ts`, when this bar opened or this tick came."""
    m = market(s, bar.instrument)
    slot = m.order_head
    while slot >= 0:
        o = order(s, slot)
        last, after = o.order_id, o.next
        if o.status == ST_PENDING_CANCEL and is_there(s, m, o.ts_asked, o.bars_asked, ts):
            _cancel(s, o, bar)
        elif o.status == ST_PENDING_REPLACE and is_there(s, m, o.ts_asked, o.bars_asked, ts):
            _replace(s, o, bar)
        elif o.status == ST_SUBMITTED and o.order_type != MARKET:
            if is_there(s, m, o.ts_submitted, o.bars_submitted, ts):
                e = report(s, ACCEPTED, VENUE_SIM, o, bar.seq, bar.ts_event, bar.ts_init)
                e.status = ST_ACCEPTED
                emit(s, e)
        slot = next_after(s, bar.instrument, after, last)


@jit_call
def _cancel(s, o, bar):
    strategy, instrument = o.strategy, o.instrument
    e = report(s, CANCELED, VENUE_SIM, o, bar.seq, bar.ts_event, bar.ts_init)
    e.status, e.reason = ST_CANCELED, o.asked_reason
    emit(s, e)
    settle_links(s, strategy, instrument, e)


@jit_call
def _replace(s, o, bar):
    strategy, instrument = o.strategy, o.instrument
    e = report(s, REPLACED, VENUE_SIM, o, bar.seq, bar.ts_event, bar.ts_init)
    e.qty, e.px, e.trigger_px = o.next_qty, o.next_px, o.next_trigger_px
    e.leaves_qty, e.status, e.reason = max(0, o.next_qty - o.cum_qty), o.stood, o.asked_reason
    emit(s, e)
    settle_links(s, strategy, instrument, e)
