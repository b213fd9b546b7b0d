"""Lots of an account that is kept first in, first out: one for each fill that opens, oldest first.

A position's quantity and cost are the sums of its lots. A lot's cost leaves with its last unit, so nothing is lost to
rounding. Risk keeps a lot free for every working order; where none is, a fill joins the newest lot of its position.
"""

from kernel.jit import jit, jit_call
from kernel.tables import account, lot, rules
from kernel.units import DOWN, HALF_EVEN, mul_div


@jit_call
def add_lot(s, p, qty, cost):
    """Open `qty` more at `cost` (signed as the position's)."""
    a = account(s)
    if p.lot_tail >= 0 and a.lots + a.open_orders > s.lots_count:
        last = lot(s, p.lot_tail)
        last.qty += qty
        last.cost += cost
        return
    slot = a.free_lot
    assert slot >= 0, "no lot is free: raise capacity.lots"
    new = lot(s, slot)
    a.free_lot = new.next
    a.lots += 1
    new.next, new.qty, new.cost, new.ts = -1, qty, cost, a.ts
    if p.lot_tail >= 0:
        lot(s, p.lot_tail).next = slot
    else:
        p.lot_head = slot
    p.lot_tail = slot


@jit_call
def release_lots(s, p, qty):
    """Close the oldest `qty`; returns what that cost, signed as the position's."""
    released = 0
    while qty > 0:
        first = lot(s, p.lot_head)
        part = min(qty, first.qty)
        cost = first.cost if part == first.qty else mul_div(first.cost, part, first.qty, HALF_EVEN)
        first.qty -= part
        first.cost -= cost
        released += cost
        qty -= part
        if first.qty == 0:
            _drop_first(s, p)
    return released


@jit
def _drop_first(s, p):
    a, slot = account(s), p.lot_head
    first = lot(s, slot)
    p.lot_head = first.next
    if p.lot_head < 0:
        p.lot_tail = -1
    first.qty = first.cost = first.ts = 0
    first.next = a.free_lot
    a.free_lot = slot
    a.lots -= 1


@jit
def count_lots(s, p, closed, opened, cost):
    """What the open lots do in a fill that closes `closed` and opens `opened` for `cost`; returns what was released,
    -1 where the account is kept at average cost."""
    if rules(s).fifo == 0:
        return -1
    released = release_lots(s, p, closed) if closed > 0 else 0
    if opened > 0:
        add_lot(s, p, opened, cost)
    return released


@jit_call
def restate_lots(s, p, numerator, denominator, part):
    """The lots of a position in new shares; `part` of its cost went with the fraction, from the newest ones."""
    if rules(s).fifo == 0:
        return
    old = new = 0
    slot = p.lot_head
    while slot >= 0:
        one = lot(s, slot)
        old += one.qty
        one.qty = mul_div(old, numerator, denominator, DOWN) - new
        new += one.qty
        slot = one.next
    if p.lot_tail >= 0:
        lot(s, p.lot_tail).cost -= part
    _drop_empty(s, p)


@jit_call
def _drop_empty(s, p):
    """Lots that a reverse split left without a unit: their cost joins the next one, or the one before."""
    before, slot = -1, p.lot_head
    while slot >= 0:
        one = lot(s, slot)
        after = one.next
        if one.qty > 0:
            before = slot
        else:
            if after >= 0:
                lot(s, after).cost += one.cost
            elif before >= 0:
                lot(s, before).cost += one.cost
                p.lot_tail = before
            else:
                p.lot_tail = -1
            if before >= 0:
                lot(s, before).next = after
            else:
                p.lot_head = after
            one.qty = one.cost = one.ts = 0
            one.next = account(s).free_lot
            account(s).free_lot = slot
            account(s).lots -= 1
        slot = after


@jit_call
def revalue_lots(s, p):
    """The lots of a future after its day's gain was paid: the position's new cost, spread over their quantities."""
    if rules(s).fifo == 0:
        return
    held, done, cost = abs(p.qty), 0, 0
    slot = p.lot_head
    while slot >= 0:
        one = lot(s, slot)
        done += one.qty
        share = mul_div(p.cost, done, held, HALF_EVEN)
        one.cost = share - cost
        cost = share
        slot = one.next
