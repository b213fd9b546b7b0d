"""Orders that hang together: what waits for a parent's fill, pairs of which one cancels the other, what only reduces.

After every fill and every end of an order the others of its position are looked at once: what waits is sent for what
its parent was filled for, what is left of a pair is cut to what its parent still has open, and no reduce-only order
stays larger than the position it may close. What has to change is asked for like any other change, so the venue may
answer late, and a fill that was under way meanwhile counts.
"""

from kernel.codes import Flag, OrderType, Reason, Status, code
from kernel.gateway import release, send_cancel, send_replace
from kernel.jit import jit, jit_call, jit_shared
from kernel.orders import next_after
from kernel.reserve import closable
from kernel.tables import market, order, position
from kernel.trailing import trailing_trigger

HELD, OCO, REDUCE_ONLY = code(Flag.HELD), code(Flag.OCO), code(Flag.REDUCE_ONLY)
EXIT_DONE = 2  # of an order's `over`: it was to open what its exit has closed already
TRAILING_STOP = code(OrderType.TRAILING_STOP)
PENDING_NEW, PENDING_CANCEL = code(Status.PENDING_NEW), code(Status.PENDING_CANCEL)
PENDING_REPLACE, TRAILED = code(Status.PENDING_REPLACE), code(Reason.TRAILED)
PARENT_GONE, ONE_CANCELS_OTHER = code(Reason.PARENT_GONE), code(Reason.ONE_CANCELS_OTHER)
NOTHING_TO_REDUCE = code(Reason.NOTHING_TO_REDUCE)


@jit
def settle_links(s, strategy, instrument, cause):
    """Bring the linked orders of a position in line with what was just filled or ended; `cause` is that event."""
    p = position(s, strategy, instrument)
    if p.linked > 0 or p.unprotected > 0:
        _settle(s, strategy, instrument, cause)


@jit_shared
def _settle(s, strategy, instrument, cause):
    slot = market(s, instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        last, after = o.order_id, o.next
        if o.strategy == strategy and o.flags & (HELD | OCO | REDUCE_ONLY):
            if o.status == PENDING_NEW:
                _settle_held(s, o, cause)
            elif o.status != PENDING_CANCEL and o.status != PENDING_REPLACE:
                _settle_working(s, o, cause)
        elif o.strategy == strategy and o.over == EXIT_DONE and o.status != PENDING_CANCEL:
            send_cancel(s, o, ONE_CANCELS_OTHER, cause)  # more of it would be unprotected
        slot = next_after(s, instrument, after, last)


@jit
def _open_qty(o):
    """What the parent of a held order, or the pair of another, still has open for it."""
    return o.entered_qty - o.exited_qty if o.flags & HELD else o.full_qty - o.exited_qty


@jit_call
def _may_reduce(s, o):
    """How much reduce-only order `o` may close: what its position has; of exits that waited for entries, less what the
    older ones take, and of a pair, of which one cancels the other, only one counts."""
    left = closable(o.side, position(s, o.strategy, o.instrument).qty)
    if not o.flags & HELD:
        return left
    slot = market(s, o.instrument).order_head
    while slot >= 0 and left > 0:
        y = order(s, slot)
        slot = y.next
        if y.order_id >= o.order_id:
            break
        other = y.strategy == o.strategy and y.side == o.side and y.flags & HELD and y.leaves_qty > 0
        if other and not _is_of_pair(o, y) and not _has_older(s, y):
            left -= y.leaves_qty
    return max(0, left)


@jit
def _is_of_pair(a, b):
    return a.flags & OCO and b.flags & OCO and a.parent == b.parent


@jit_call
def _has_older(s, o):
    """Whether an older order of its pair counts already."""
    if not o.flags & OCO:
        return False
    slot = market(s, o.instrument).order_head
    while slot >= 0:
        y = order(s, slot)
        slot = y.next
        if y.order_id >= o.order_id:
            return False
        if y.strategy == o.strategy and y.side == o.side and y.leaves_qty >= o.leaves_qty and _is_of_pair(o, y):
            return True
    return False


@jit_call
def _settle_held(s, o, cause):
    """Send what waits for as much as its parent opened and is still there to close."""
    opened = min(o.full_qty, _open_qty(o))
    qty = min(opened, _may_reduce(s, o))
    if qty > 0:
        release(s, o, qty, first_trigger(s, o), cause)
    elif o.over != 0:
        send_cancel(s, o, NOTHING_TO_REDUCE if opened > 0 else PARENT_GONE, cause)


@jit_call
def tell_trailing(s, instrument, cause):
    """Tell a venue outside where triggers that follow the price have come to; the simulated one knows."""
    slot = market(s, instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        slot = o.next
        at_rest = o.status != PENDING_CANCEL and o.status != PENDING_REPLACE and o.status != PENDING_NEW
        if o.order_type == TRAILING_STOP and at_rest and o.set_off == 0 and o.told_px != o.trigger_px:
            send_replace(s, o, o.qty, o.px, o.trigger_px, o.reserve_px, TRAILED, cause)


@jit_call
def first_trigger(s, o):
    """Where the trigger of a held order stands when it is sent: a trailing one begins at its parent's fill."""
    if o.order_type != TRAILING_STOP or o.trigger_px > 0:
        return o.trigger_px
    return trailing_trigger(s, o.instrument, o.side, o.trail, o.entry_px)


@jit_call
def _settle_working(s, o, cause):
    if o.flags & OCO and not o.flags & HELD and o.over != 0:
        send_cancel(s, o, ONE_CANCELS_OTHER, cause)
        return
    most = o.leaves_qty
    if o.flags & HELD:
        most = min(o.full_qty - o.cum_qty, _open_qty(o) - o.cum_qty)
    elif o.flags & OCO:
        most = min(most, _open_qty(o) - o.cum_qty)
    reason = ONE_CANCELS_OTHER
    if o.flags & REDUCE_ONLY:
        left = _may_reduce(s, o)
        if left < most:
            most, reason = left, NOTHING_TO_REDUCE
    if most <= 0:
        send_cancel(s, o, reason, cause)
    elif most != o.leaves_qty:
        send_replace(s, o, o.cum_qty + most, o.px, o.trigger_px, o.reserve_px, reason, cause)
