"""What a venue says about an order, and what we ask of it: folded into the order, its position and what hangs on it."""

from kernel.accounting import apply_charge, apply_fill, apply_variation
from kernel.amounts import amount, fits_amount
from kernel.charges import count_turnover
from kernel.codes import Flag, Kind, OrderType, Origin, Product, Reason, Status, code
from kernel.jit import jit, jit_call, jit_shared
from kernel.lifecycle import TRANSITION
from kernel.orders import bury, count_fill, count_message, count_recent, count_working, find_gone, find_slot, free_slot
from kernel.reserve import set_aside, value_order
from kernel.tables import (
    account,
    bound,
    gone_order,
    instrument_row,
    market,
    order,
    pending_fill,
    position,
    program_of,
    purse,
    rules,
    segment_row,
    trade_id,
)
from kernel.units import MONEY_MAX, PX_MAX, QTY_MAX, UP, mul_div

CANCEL_SUBMITTED, REPLACE_SUBMITTED = code(Kind.ORDER_CANCEL_SUBMITTED), code(Kind.ORDER_REPLACE_SUBMITTED)
REJECTED = code(Kind.ORDER_REJECTED)
RELEASED, ACCEPTED, TRIGGERED = code(Kind.ORDER_RELEASED), code(Kind.ORDER_ACCEPTED), code(Kind.ORDER_TRIGGERED)
FILLED, RESTATED, REPLACED = code(Kind.ORDER_FILLED), code(Kind.ORDER_RESTATED), code(Kind.ORDER_REPLACED)
REPLACE_REJECTED, CANCEL_REJECTED = code(Kind.ORDER_REPLACE_REJECTED), code(Kind.ORDER_CANCEL_REJECTED)
EXTERNAL, DUPLICATE, REQUESTED = code(Origin.EXTERNAL), code(Reason.DUPLICATE), code(Reason.REQUESTED)
FIRST_REPORT, LAST_REPORT = CANCEL_SUBMITTED, REPLACE_REJECTED  # kinds that speak about a working order
HELD, OCO, DELIVERY = code(Flag.HELD), code(Flag.OCO), code(Product.DELIVERY)
TRAILING_STOP, TRAILED = code(OrderType.TRAILING_STOP), code(Reason.TRAILED)
DELIVERED, EXERCISED = code(Reason.DELIVERED), code(Reason.EXERCISED)
NONE, ILLEGAL_MOVE, UNKNOWN_ORDER = code(Reason.NONE), code(Reason.ILLEGAL_MOVE), code(Reason.UNKNOWN_ORDER)
OVERFILL, OVERFLOW, VARIATION = code(Reason.OVERFILL), code(Reason.OVERFLOW), code(Reason.VARIATION)
ST_FILLED, ST_ILLEGAL, ST_NONE = code(Status.FILLED), code(Status.ILLEGAL), code(Status.NONE)
ST_PARTIALLY_FILLED, ST_SUBMITTED = code(Status.PARTIALLY_FILLED), code(Status.SUBMITTED)
ST_TRIGGERED, ST_ACCEPTED = code(Status.TRIGGERED), code(Status.ACCEPTED)
ST_PENDING_NEW, ST_PENDING_REPLACE = code(Status.PENDING_NEW), code(Status.PENDING_REPLACE)
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
    bound(s, instrument).rests = 0
    if e.kind == FILLED:
        _fold_fill(s, o, e)
    elif e.kind == TRIGGERED:
        o.triggered_by, o.set_off = e.cause if e.cause > 0 else e.seq, 1
    elif e.kind == REJECTED:
        count_recent(s, rules(s).strategies + 1, account(s).rejects, e.ts_init)
        account(s).rejects += 1
    elif e.kind == RELEASED:
        count_message(s, strategy, e.ts_init)
        o.qty, o.leaves_qty, o.ts_submitted = e.qty, e.qty, e.ts_init
        o.trigger_px = o.told_px = e.trigger_px
        o.bars_submitted = market(s, instrument).bars
        count_working(s, o, e.qty, 0)
    elif e.kind == RESTATED:
        _fold_restated(s, o, e)
    elif e.kind == REPLACE_SUBMITTED:
        o.replace_seq = e.seq
        o.more_qty, o.next_reserve_px, o.replacing = max(0, e.qty - o.qty), e.reserve_px, 1
        o.next_qty, o.next_px, o.next_trigger_px = e.qty, e.px, e.trigger_px
        o.told_px = e.trigger_px
        count_working(s, o, o.more_qty, 0)
        _note_asked(s, o, e)
    elif e.kind == CANCEL_SUBMITTED:
        o.cancel_seq = e.seq
        _note_asked(s, o, e)
    elif e.kind == REPLACED or e.kind == REPLACE_REJECTED:
        count_working(s, o, -o.more_qty, 0)
        o.more_qty = o.replacing = 0
        if e.kind == REPLACED:
            _fold_replaced(s, o, e)
        o.next_reserve_px = 0
    if status == ST_NONE:
        status = ST_PENDING_REPLACE if o.replacing != 0 else o.stood
    ended = status == ST_CANCELED or status == ST_REJECTED or status == ST_EXPIRED
    if o.leaves_qty == 0 and o.more_qty == 0 and o.cum_qty > 0 and not ended:
        status = ST_FILLED
    o.status = status
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


@jit
def _note_asked(s, o, e):
    """Keep what was asked for and when: the simulated exchange answers when it has arrived."""
    count_message(s, o.strategy, e.ts_init)
    o.ts_asked, o.bars_asked, o.asked_reason = e.ts_init, market(s, o.instrument).bars, e.reason
    if o.over == 2:
        position(s, o.strategy, o.instrument).unprotected = 0


@jit
def _remember_trade(s, e):
    """Keep the id of a trade from outside, the oldest one making room."""
    if e.ref != 0 and s.trades_count > 1:
        a = account(s)
        trade_id(s, a.trades % s.trades_count).instrument = e.ref
        a.trades += 1


@jit_call
def _is_known_trade(s, ref):
    for k in range(min(account(s).trades, s.trades_count)):
        if trade_id(s, k).instrument == ref:
            return True
    return False


@jit_call
def _fold_fill(s, o, e):
    """A fill may overtake the word that its order may be larger now: what it has beyond the order is of that change."""
    beyond = max(0, e.qty - o.leaves_qty)
    o.qty += beyond
    o.more_qty -= beyond
    o.leaves_qty += beyond - e.qty
    o.cum_qty += e.qty
    o.set_off = 1
    m = market(s, o.instrument)
    if o.side > 0:
        m.ask_taken += e.qty
    else:
        m.bid_taken += e.qty
    count_working(s, o, -e.qty, 0)
    account(s).fills += 1
    count_fill(s, o.strategy, e.ts_init)
    _remember_trade(s, e)
    _remember_fill(s, o, e)
    worth = amount(s, o.instrument, e.qty, e.px)
    o.filled_value += worth
    count_turnover(s, o.instrument, o.product, o.side, e.ts_event, worth, 0)
    p = position(s, o.strategy, o.instrument)
    if p.qty == 0:
        p.product = o.product
    apply_fill(s, o.strategy, o.instrument, o.side, e.qty, e.px, e.fee)
    if p.linked > 0 or o.flags & HELD:
        _tell_links(s, o, e.qty, e.px, e.cause if e.cause > 0 else e.seq)


@jit_call
def _fold_late_fill(s, e):
    """A fill that was under way when its order was canceled: booked like any other."""
    g = gone_order(s, find_gone(s, e.instrument, e.order_id))
    g.leaves_qty -= e.qty
    g.cum_qty += e.qty
    account(s).fills += 1
    count_fill(s, g.strategy, e.ts_init)
    _remember_trade(s, e)
    _remember_fill(s, g, e)
    p = position(s, g.strategy, g.instrument)
    if p.qty == 0 and p.open_orders == 0:
        p.product = g.product
    worth = amount(s, g.instrument, e.qty, e.px)
    g.filled_value += worth
    count_turnover(s, g.instrument, g.product, g.side, e.ts_event, worth, 0)
    apply_fill(s, g.strategy, g.instrument, g.side, e.qty, e.px, e.fee)
    _tell_links(s, g, e.qty, e.px, e.cause if e.cause > 0 else e.seq)
    set_aside(s, g.strategy, g.instrument)


@jit_call
def fold_charge(s, e):
    """Take charges, and note them with their order and on the day's contract note."""
    apply_charge(s, e)
    slot = find_slot(s, e.instrument, e.order_id) if e.order_id > 0 else -1
    row = find_gone(s, e.instrument, e.order_id) if e.order_id > 0 and slot < 0 else -1
    if slot >= 0:
        order(s, slot).brokerage += e.brokerage
        value_order(s, order(s, slot))
        set_aside(s, order(s, slot).strategy, e.instrument)
    elif row >= 0:
        gone_order(s, row).brokerage += e.brokerage
    segment = instrument_row(s, e.instrument).segment
    if segment == 0:
        return
    seg = segment_row(s, segment)
    seg.instrument = e.instrument
    sums = seg.note if e.order_id == 0 and e.strategy == 0 else seg.today  # what a day's end charges is of that day
    sums[0] += e.brokerage
    sums[1] += e.stt
    sums[2] += e.transaction
    sums[3] += e.ipft
    sums[4] += e.sebi
    sums[5] += e.stamp
    sums[6] += e.gst
    sums[7] += e.dp


@jit_call
def fold_settled(s, e):
    """What a day's or a contract's end did to a position; orders that closed it may open one now."""
    p = position(s, e.strategy, e.instrument)
    if e.reason == VARIATION:
        apply_variation(s, e.strategy, e.instrument, e.px)
        return
    worth = amount(s, e.instrument, e.qty, e.px)
    if e.reason == DELIVERED:
        count_turnover(s, e.instrument, DELIVERY, e.side, e.ts_event, worth, 0)
    elif e.reason == EXERCISED and p.qty > 0:
        count_turnover(s, e.instrument, DELIVERY, -e.side, e.ts_event, 0, worth)
    if p.qty == 0:
        p.product = e.product
    apply_fill(s, e.strategy, e.instrument, e.side, e.qty, e.px, 0)
    set_aside(s, e.strategy, e.instrument)


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
    o.queue = o.ticks = 0


@jit_call
def _fold_replaced(s, o, e):
    """The order has other terms now, and its place in the queue is a new one."""
    before, qty = o.qty, max(e.qty, o.cum_qty)
    if qty > o.qty or e.px != o.px or e.trigger_px != o.trigger_px:
        o.ts_submitted, o.bars_submitted = e.ts_init, market(s, o.instrument).bars  # at the end of the queue
    count_working(s, o, qty - o.qty, 0)
    o.leaves_qty += qty - o.qty
    trigger_px = e.trigger_px
    if o.order_type == TRAILING_STOP and o.asked_reason == TRAILED:  # it went on meanwhile, and never goes back
        trigger_px = min(o.trigger_px, trigger_px) if o.side > 0 else max(o.trigger_px, trigger_px)
    o.qty, o.px, o.trigger_px = qty, e.px, trigger_px
    if e.reason == REQUESTED:
        o.full_qty = qty
        if position(s, o.strategy, o.instrument).linked > 0:
            _resize_held(s, o, before)
    if o.next_reserve_px > 0:
        o.reserve_px = o.next_reserve_px


@jit_call
def _resize_held(s, o, before):
    """What waits for all of an order waits for all of what it is now."""
    slot = market(s, o.instrument).order_head
    while slot >= 0:
        y = order(s, slot)
        slot = y.next
        if y.strategy == o.strategy and y.parent == o.order_id and y.flags & HELD and y.full_qty == before:
            y.full_qty = o.qty


@jit_shared
def _tell_links(s, o, qty, px, seq):
    """Count a fill of `qty` with the orders that wait for this one or are of its pair; 0: it is at its end."""
    if position(s, o.strategy, o.instrument).linked == 0 and not o.flags & HELD:
        return
    slot = market(s, o.instrument).order_head
    while slot >= 0:
        y = order(s, slot)
        slot = y.next
        if y.strategy != o.strategy or y.order_id == o.order_id:
            continue
        if o.flags & HELD and y.order_id == o.parent:
            if qty > 0 and o.leaves_qty == 0:
                y.over = 2
                position(s, o.strategy, o.instrument).unprotected = 1
        elif y.parent == 0:
            continue
        elif y.parent == o.order_id and y.flags & HELD:
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
    if a.pending_fills == s.fills_count:
        a.untold += 1
        return
    f = pending_fill(s, a.pending_fills)
    f.order_id, f.qty, f.px, f.fee, f.seq, f.ts = o.order_id, e.qty, e.px, e.fee, e.seq, e.ts_event
    f.instrument, f.strategy, f.side = o.instrument, o.strategy, o.side
    a.pending_fills += 1


@jit
def _cash_fits(s, e, side):
    """Whether cash and fees stay within what money holds."""
    q = purse(s, instrument_row(s, e.instrument).currency)
    after = q.cash - side * amount(s, e.instrument, e.qty, e.px)
    return abs(after) < MONEY_MAX and abs(after - e.fee) < MONEY_MAX and abs(q.fees + e.fee) < MONEY_MAX


@jit
def _answers_another(o, e):
    """Whether a report names as `ref` another request than the last of its kind: that one was answered before."""
    if e.kind == REPLACED or e.kind == REPLACE_REJECTED:
        return e.ref != o.replace_seq
    return e.kind == CANCEL_REJECTED and e.ref != o.cancel_seq


@jit_call
def refuse_report(s, e):
    """Why a report about an order must not change the state."""
    leaves = side = 0
    slot = find_slot(s, e.instrument, e.order_id)
    if slot >= 0:
        side = order(s, slot).side
        leaves = order(s, slot).leaves_qty + order(s, slot).more_qty
        if TRANSITION[order(s, slot).status, e.kind] == ST_ILLEGAL:
            return ILLEGAL_MOVE
        if e.origin == EXTERNAL and e.ref != 0 and _answers_another(order(s, slot), e):
            return DUPLICATE
    else:
        gone = find_gone(s, e.instrument, e.order_id) if e.kind == FILLED else -1
        if gone < 0:
            return UNKNOWN_ORDER
        leaves, side = gone_order(s, gone).leaves_qty, gone_order(s, gone).side
    if e.kind == FILLED:
        fee_fits = -MONEY_MAX < e.fee < MONEY_MAX  # not abs(): that of the lowest int64 is itself
        if not (0 < e.px < PX_MAX and 0 < e.qty < QTY_MAX and fee_fits):
            return OVERFLOW
        if not fits_amount(s, e.instrument, e.qty, e.px) or not _cash_fits(s, e, side):
            return OVERFLOW
        if e.origin == EXTERNAL and e.ref != 0 and _is_known_trade(s, e.ref):
            return DUPLICATE
        return NONE if e.qty <= leaves else OVERFILL
    prices_fit = 0 <= e.px < PX_MAX and 0 <= e.trigger_px < PX_MAX
    if e.kind == RESTATED:
        qty_fits = 0 < e.leaves_qty < QTY_MAX and 0 <= e.cum_qty < QTY_MAX and e.qty == e.leaves_qty + e.cum_qty
        if e.origin == EXTERNAL and e.cum_qty < order(s, slot).cum_qty:
            return ILLEGAL_MOVE  # told before what was filled since
        return NONE if qty_fits and prices_fit else OVERFLOW
    if e.kind == REPLACED or e.kind == REPLACE_SUBMITTED:
        o = order(s, slot)
        other = e.px != o.next_px or e.trigger_px != o.next_trigger_px
        if e.qty != o.next_qty:  # what was filled meanwhile may be more than was asked to be left of it
            other = other or not o.next_qty < e.qty < o.qty
        if e.kind == REPLACED and e.origin == EXTERNAL and other:
            return ILLEGAL_MOVE  # the answer to a change that was answered before
        at_most = max(o.reserve_px, o.next_reserve_px, e.px)
        fits = 0 < e.qty < QTY_MAX and prices_fit and fits_amount(s, e.instrument, max(e.qty, o.qty), at_most)
        return NONE if fits and (e.kind == REPLACED or e.qty > o.cum_qty) else OVERFLOW
    if e.kind == RELEASED:
        return NONE if 0 < e.qty <= order(s, slot).full_qty and prices_fit else OVERFLOW
    return NONE
