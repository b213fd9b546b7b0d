"""From a SIGNAL to orders: risk, then one ORDER_SUBMITTED, several where one may not carry it all, or a denial."""

from kernel.codes import Flag, Kind, OrderType, Product, Reason, Status, TimeInForce, code
from kernel.events import KERNEL, copy_terms, draft, emit
from kernel.gateway import acknowledge, send_cancel, send_replace
from kernel.jit import jit, jit_call, jit_shared
from kernel.links import settle_links
from kernel.orders import first_after
from kernel.protection import protected_px
from kernel.reserve import closable
from kernel.risk import check, check_change, check_held, slice_qty
from kernel.tables import account, market, order, position

SUBMITTED, DENIED = code(Kind.ORDER_SUBMITTED), code(Kind.ORDER_DENIED)
HELD, OCO, REDUCE_ONLY, SLICE = code(Flag.HELD), code(Flag.OCO), code(Flag.REDUCE_ONLY), code(Flag.SLICE)
ST_SUBMITTED, ST_DENIED, ST_PENDING_NEW = code(Status.SUBMITTED), code(Status.DENIED), code(Status.PENDING_NEW)
ALL, OPENS, OTHER_THAN_DELIVERY = 0, 1, 2  # orders of a position
DELIVERY = code(Product.DELIVERY)
MARKET, GTC, SIGNAL = code(OrderType.MARKET), code(TimeInForce.GTC), code(Kind.SIGNAL)
ST_PENDING_CANCEL = code(Status.PENDING_CANCEL)
NONE, PARENT_GONE, REQUESTED = code(Reason.NONE), code(Reason.PARENT_GONE), code(Reason.REQUESTED)


@jit_shared
def deny(s, signal, reason, actual, allowed):
    """ORDER_DENIED for a signal, with the number that caused it and the one that was allowed."""
    e = draft(s, DENIED, KERNEL, signal.seq, signal.ts_event, signal.ts_init)
    copy_terms(e, signal)
    e.order_id, e.ref, e.trail, e.parent = e.seq, signal.ref, signal.trail, signal.parent
    e.reason, e.status, e.actual, e.allowed = reason, ST_DENIED, actual, allowed
    emit(s, e)


@jit_call
def submit(s, signal):
    """Send what a SIGNAL asks for; returns the (first) order's id, 0 when risk refused it."""
    reason, reserve_px, actual, allowed = check(s, signal)
    if reason != NONE:
        deny(s, signal, reason, actual, allowed)
        return 0
    left, only_closes = signal.qty, 0
    if signal.flags & REDUCE_ONLY:
        left = min(left, closable(signal.side, position(s, signal.strategy, signal.instrument).qty))
    elif actual != 0:
        only_closes = REDUCE_ONLY
    most, first = slice_qty(s, signal.instrument), 0
    sliced = most > 0 and left > most
    while left > 0:
        qty = min(left, most) if sliced else left
        flags = signal.flags | only_closes | (SLICE if sliced else 0)
        order_id = _send(s, signal, qty, signal.seq if sliced else signal.parent, flags, reserve_px)
        first = order_id if first == 0 else first
        left -= qty
    return first


@jit
def _ticket(s, signal, qty, parent):
    e = draft(s, SUBMITTED, KERNEL, signal.seq, signal.ts_event, signal.ts_init)
    copy_terms(e, signal)
    e.order_id, e.qty, e.parent, e.trail, e.expire_ts = e.seq, qty, parent, signal.trail, signal.expire_ts
    return e


@jit_call
def _send(s, signal, qty, parent, flags, reserve_px):
    e = _ticket(s, signal, qty, parent)
    e.reserve_px, e.status, e.flags = reserve_px, ST_SUBMITTED, flags
    if e.order_type == MARKET and e.px <= 0:
        e.px = protected_px(s, e.instrument, e.side, market(s, e.instrument).mark)
    emit(s, e)
    acknowledge(s, order(s, market(s, e.instrument).order_tail), e)  # the newest
    return e.order_id


@jit_call
def send_close(s, cause, ts_event, ts_init, strategy, instrument, reason):
    """Close a position at the market, past every limit: intraday positions at their time, all of them when the kill
    switch says so."""
    p, m = position(s, strategy, instrument), market(s, instrument)
    if p.qty == 0 or m.ended != 0:
        return
    signal = draft(s, SIGNAL, KERNEL, cause, ts_event, ts_init)
    signal.instrument, signal.strategy, signal.side = instrument, strategy, -1 if p.qty > 0 else 1
    signal.order_type, signal.tif, signal.qty, signal.product = MARKET, GTC, abs(p.qty), p.product
    signal.flags, signal.reason = REDUCE_ONLY, reason
    emit(s, signal)
    most, left = slice_qty(s, instrument), signal.qty
    sliced = most > 0 and left > most
    while left > 0 and account(s).free_slot >= 0:
        qty = min(left, most) if sliced else left
        _send(s, signal, qty, signal.seq if sliced else 0, REDUCE_ONLY | (SLICE if sliced else 0), m.mark)
        left -= qty


@jit_shared
def cancel_position(s, cause, strategy, instrument, reason, which):
    """Ask for the cancel of what works for a position: ALL of it, what OPENS it, or what is OTHER_THAN_DELIVERY."""
    slot = market(s, instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        last = o.order_id
        kept = (which == OPENS and o.flags & REDUCE_ONLY) or (which == OTHER_THAN_DELIVERY and o.product == DELIVERY)
        waits = o.status == ST_PENDING_NEW and o.over == 0  # it goes when its parent has
        if o.strategy == strategy and o.status != ST_PENDING_CANCEL and not kept and not waits:
            send_cancel(s, o, reason, cause)
        slot = first_after(s, instrument, last)
    settle_links(s, strategy, instrument, cause)


@jit_call
def submit_held(s, signal, parent_signal, parent_id):
    """Keep an order back until its parent fills; where the parent was sliced, a part of it for each slice."""
    reason, actual, allowed = check_held(s, signal, parent_id)
    if reason != NONE:
        deny(s, signal, reason, actual, allowed)
        return
    left = signal.qty
    slot = market(s, signal.instrument).order_head
    while slot >= 0 and left > 0:
        o = order(s, slot)
        slot = o.next
        sliced = o.flags & SLICE and o.parent == parent_signal
        if o.order_id == parent_id or sliced:
            qty = min(left, o.qty) if sliced else left
            e = _ticket(s, signal, qty, o.order_id)
            e.status = ST_PENDING_NEW
            emit(s, e)
            left -= qty


@jit_call
def replace(s, signal, o):
    """Ask for the change of a working order that a SIGNAL wants, if risk allows what it becomes."""
    qty = signal.qty if signal.qty > 0 else o.qty
    px = signal.px if signal.px != 0 else o.px
    trigger_px = signal.trigger_px if signal.trigger_px != 0 else o.trigger_px
    reason, reserve_px, actual, allowed = check_change(s, o, qty, px, trigger_px)
    if reason != NONE:
        deny(s, signal, reason, actual, allowed)
    else:
        send_replace(s, o, qty, px, trigger_px, reserve_px, REQUESTED, signal)
