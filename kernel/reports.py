"""What a venue says about an order, and what we ask of it: folded into the order, its position and what hangs on it."""

from kernel.accounting import apply_fill
from kernel.codes import Flag, Kind, Reason, Status, code
from kernel.jit import jit, jit_call
from kernel.lifecycle import TRANSITION
from kernel.orders import bury, count_working, find_gone, find_slot, free_slot
from kernel.reserve import set_aside, value_order
from kernel.tables import account, gone_order, market, order, pending_fill, position, program_of
from kernel.units import MONEY_MAX, PX_MAX, QTY_MAX, UP, fits_product, mul_div

CANCEL_SUBMITTED, REPLACE_SUBMITTED = code(Kind.ORDER_CANCEL_SUBMITTED), code(Kind.ORDER_REPLACE_SUBMITTED)
RELEASED, ACCEPTED, TRIGGERED = code(Kind.ORDER_RELEASED), code(Kind.ORDER_ACCEPTED), code(Kind.ORDER_TRIGGERED)
FILLED, RESTATED, REPLACED = code(Kind.ORDER_FILLED), code(Kind.ORDER_RESTATED), code(Kind.ORDER_REPLACED)
REPLACE_REJECTED = code(Kind.ORDER_REPLACE_REJECTED)
FIRST_REPORT, LAST_REPORT = CANCEL_SUBMITTED, REPLACE_REJECTED  # kinds that speak about a working order
HELD, OCO = code(Flag.HELD), code(Flag.OCO)
NONE, ILLEGAL_MOVE, UNKNOWN_ORDER = code(Reason.NONE), code(Reason.ILLEGAL_MOVE), code(Reason.UNKNOWN_ORDER)
OVERFILL, OVERFLOW = code(Reason.OVERFILL), code(Reason.OVERFLOW)
ST_FILLED, ST_ILLEGAL, ST_NONE = code(Status.FILLED), code(Status.ILLEGAL), code(Status.NONE)
ST_PARTIALLY_FILLED, ST_SUBMITTED = code(Status.PARTIALLY_FILLED), code(Status.SUBMITTED)
ST_TRIGGERED, ST_ACCEPTED = code(Status.TRIGGERED), code(Status.ACCEPTED)
ST_PENDING_NEW = code(Status.PENDING_NEW)
ST_CANCELED, ST_REJECTED, ST_EXPIRED = code(Status.CANCELED), code(Status.REJECTED), code(Status.EXPIRED)


@jit_call
def fold_report(s, e):
    """Fold what is said about a working order; a report that `refusal` names changes nothing."""
    if refuse_report(s, e) != NONE:
        return
    slot = find_slot(s, e.instrument, e.order_id)
    if slot < 0:
        _fold_late_fill(s, e)
        return
    o = order(s, slot)
    status = TRANSITION[o.status, e.kind]
    strategy, instrument = o.strategy, o.instrument
    _note_what_stood(o, e.kind)
    if e.kind == FILLED:
        o.leaves_qty -= e.qty
        o.cum_qty += e.qty
        count_working(s, o, -e.qty, 0)
        if o.leaves_qty == 0:
            status = ST_FILLED
        _fold_fill(s, o, e)
    elif e.kind == TRIGGERED:
        o.triggered_by = e.cause if e.cause > 0 else e.seq
    elif e.kind == RELEASED:
        o.qty, o.leaves_qty, o.ts_submitted = e.qty, e.qty, e.ts_init
        o.trigger_px = e.trigger_px
        count_working(s, o, e.qty, 0)
    elif e.kind == RESTATED:
        _fold_restated(s, o, e)
    elif e.kind == REPLACE_SUBMITTED:
        o.more_qty, o.next_reserve_px = max(0, e.qty - o.qty), e.reserve_px
        count_working(s, o, o.more_qty, 0)
    elif e.kind == REPLACED or e.kind == REPLACE_REJECTED:
        count_working(s, o, -o.more_qty, 0)
        o.more_qty = 0
        if e.kind == REPLACED:
            _fold_replaced(s, o, e)
        o.next_reserve_px = 0
    o.status = o.stood if status == ST_NONE else status
    if status == ST_FILLED or status == ST_CANCELED or status == ST_REJECTED or status == ST_EXPIRED:
        if status != ST_FILLED:
            bury(s, o)
        _tell_links(s, o, 0, e.px, e.cause)
        free_slot(s, slot)
    else:
        value_order(s, o)
    set_aside(s, strategy, instrument)


@jit
def _note_what_stood(o, kind):
    """Keep the status an order returns to when a cancel or a change of it is refused."""
    if kind == FILLED:
        o.stood = ST_PARTIALLY_FILLED
    elif kind == TRIGGERED:
        o.stood = ST_TRIGGERED
    elif kind == RELEASED:
        o.stood = ST_SUBMITTED
    elif kind == ACCEPTED and o.stood == ST_SUBMITTED:
        o.stood = ST_ACCEPTED


@jit_call
def _fold_fill(s, o, e):
    account(s).fills += 1
    _remember_fill(s, o, e)
    p = position(s, o.strategy, o.instrument)
    if p.qty == 0:
        p.product = o.product
    apply_fill(s, o.strategy, o.instrument, o.side, e.qty, e.px, e.fee)
    if p.linked > 0:
        _tell_links(s, o, e.qty, e.px, e.cause if e.cause > 0 else e.seq)


@jit_call
def _fold_late_fill(s, e):
    """A fill that was under way when its order was canceled: booked like any other."""
    g = gone_order(s, find_gone(s, e.instrument, e.order_id))
    g.leaves_qty -= e.qty
    g.cum_qty += e.qty
    account(s).fills += 1
    _remember_fill(s, g, e)
    apply_fill(s, g.strategy, g.instrument, g.side, e.qty, e.px, e.fee)
    set_aside(s, g.strategy, g.instrument)


@jit_call
def _fold_restated(s, o, e):
    """The same order in other shares, after a split: what others of its kind did counts in other shares, too."""
    o.trail = e.trail
    if o.status == ST_PENDING_NEW:
        o.full_qty, o.px, o.trigger_px = e.qty, e.px, e.trigger_px
        return
    if o.qty > 0:
        o.reserve_px = min(PX_MAX - 1, mul_div(o.reserve_px, o.qty, e.qty, UP))  # the same value in other shares
        o.full_qty = min(QTY_MAX - 1, mul_div(o.full_qty, e.qty, o.qty, UP))
        o.entered_qty = min(QTY_MAX - 1, mul_div(o.entered_qty, e.qty, o.qty, UP))
        o.exited_qty = min(QTY_MAX - 1, mul_div(o.exited_qty, e.qty, o.qty, UP))
    count_working(s, o, e.leaves_qty - o.leaves_qty, 0)
    o.qty, o.leaves_qty, o.cum_qty, o.px, o.trigger_px = e.qty, e.leaves_qty, e.cum_qty, e.px, e.trigger_px


@jit_call
def _fold_replaced(s, o, e):
    """The order has other terms now, and its place in the queue is a new one."""
    count_working(s, o, e.qty - o.qty, 0)
    o.leaves_qty += e.qty - o.qty
    o.qty, o.px, o.trigger_px, o.ts_submitted = e.qty, e.px, e.trigger_px, e.ts_init
    if o.next_reserve_px > 0:
        o.reserve_px = o.next_reserve_px


@jit_call
def _tell_links(s, o, qty, px, seq):
    """Count a fill of `qty` with the orders that wait for this one or are of its pair; 0: it is at its end."""
    if position(s, o.strategy, o.instrument).linked == 0:
        return
    slot = market(s, o.instrument).order_head
    while slot >= 0:
        y = order(s, slot)
        slot = y.next
        if y.strategy != o.strategy or y.order_id == o.order_id or y.parent == 0:
            continue
        if y.parent == o.order_id and y.flags & HELD:
            y.entered_qty += qty
            if qty > 0:
                y.entry_px, y.entry_seq = px, seq
            else:
                y.over = 1
        elif y.parent == o.parent and y.flags & OCO and o.flags & OCO:
            y.exited_qty += qty
            if o.leaves_qty == 0 and not y.flags & HELD:
                y.over = 1


@jit
def _remember_fill(s, o, e):
    """Keep a fill for its strategy's on_fill, called when the slice ends."""
    a = account(s)
    if program_of(s, o.strategy).on_fill == 0:
        return
    assert a.pending_fills < s.fills_count, "more fills in one slice than capacity.open_orders"
    f = pending_fill(s, a.pending_fills)
    f.order_id, f.qty, f.px, f.fee, f.seq, f.ts = o.order_id, e.qty, e.px, e.fee, e.seq, e.ts_event
    f.instrument, f.strategy, f.side = o.instrument, o.strategy, o.side
    a.pending_fills += 1


@jit_call
def refuse_report(s, e):
    """Why a report about an order must not change the state."""
    leaves = 0
    slot = find_slot(s, e.instrument, e.order_id)
    if slot >= 0:
        leaves = order(s, slot).leaves_qty
        if TRANSITION[order(s, slot).status, e.kind] == ST_ILLEGAL:
            return ILLEGAL_MOVE
    else:
        gone = find_gone(s, e.instrument, e.order_id) if e.kind == FILLED else -1
        if gone < 0:
            return UNKNOWN_ORDER
        leaves = gone_order(s, gone).leaves_qty
    if e.kind == FILLED:
        fee_fits = -MONEY_MAX < e.fee < MONEY_MAX  # not abs(): that of the lowest int64 is itself
        if not (0 < e.px < PX_MAX and 0 < e.qty < QTY_MAX and fits_product(e.qty, e.px) and fee_fits):
            return OVERFLOW
        return NONE if e.qty <= leaves else OVERFILL
    prices_fit = 0 <= e.px < PX_MAX and 0 <= e.trigger_px < PX_MAX
    if e.kind == RESTATED:
        qty_fits = 0 < e.leaves_qty < QTY_MAX and 0 <= e.cum_qty < QTY_MAX and e.qty == e.leaves_qty + e.cum_qty
        return NONE if qty_fits and prices_fit else OVERFLOW
    if e.kind == REPLACED or e.kind == REPLACE_SUBMITTED:
        return NONE if order(s, slot).cum_qty < e.qty < QTY_MAX and prices_fit else OVERFLOW
    if e.kind == RELEASED:
        return NONE if 0 < e.qty <= order(s, slot).full_qty and prices_fit else OVERFLOW
    return NONE
