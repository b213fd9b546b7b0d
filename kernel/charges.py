"""What a fill costs by the run's dated rules, line by line as on a contract note.

Rules are rows (`CHARGE`), one table for every market. A line is rounded half up to a money unit when it is made, and at
the end of the day the sum of each line is rounded as notes are (`kernel/settle.py`). Brokerage is reckoned an order:
what an order was filled for so far, less what was charged for it already. Products held on margin are charged as
delivery.
"""

from kernel.codes import Basis, Item, Product, code
from kernel.jit import jit, jit_call, jit_shared
from kernel.tables import charge, instrument_row, items, segment_row
from kernel.units import DOWN, HALF_UP, SHARE, mul_div

BROKERAGE, STT, TRANSACTION, IPFT = code(Item.BROKERAGE), code(Item.STT), code(Item.TRANSACTION), code(Item.IPFT)
SEBI, STAMP, GST, DP = code(Item.SEBI), code(Item.STAMP), code(Item.GST), code(Item.DP)
VALUE, ORDER, ITEMS = code(Basis.VALUE), code(Basis.ORDER), code(Basis.ITEMS)
EXERCISE, DAY = code(Basis.EXERCISE), code(Basis.DAY)
INTRADAY, DELIVERY = code(Product.INTRADAY), code(Product.DELIVERY)
LINES = len(Item)


@jit
def _in_force(rule, product, side, ts):
    """Whether a rule is about this."""
    dated = rule.since <= ts < rule.until
    return dated and (rule.product == 0 or rule.product == product) and (rule.side == 0 or rule.side == side)


@jit
def _line(rule, value, exercised, filled, charged, days):
    """What a rule comes to, money."""
    if rule.basis == VALUE:
        return mul_div(value, rule.rate, SHARE, HALF_UP)
    if rule.basis == EXERCISE:
        return mul_div(exercised, rule.rate, SHARE, HALF_UP)
    if rule.basis == DAY:
        return rule.flat * days
    if rule.basis != ORDER or value == 0:
        return 0
    total = mul_div(filled + value, rule.rate, SHARE, HALF_UP) + rule.flat
    if rule.cap > 0 and total > rule.cap:
        total = rule.cap
    return total - charged


@jit_shared
def list_charges(s, segment, product, side, ts, value, exercised, filled, charged, days):
    """The lines of a fill of `value` (or of what an exercised option is worth, or of a day), into `items(s)`.

    `filled` and `charged` are what its order was filled for before, and the brokerage of that. Returns their sum.
    """
    lines, seg = items(s).amount, segment_row(s, segment)
    kept = INTRADAY if product == INTRADAY else DELIVERY
    total = 0
    for k in range(LINES):
        lines[k] = 0
    for turn in range(2):  # shares of other lines come last
        for place in range(seg.first, seg.last):
            rule = charge(s, place)
            if (rule.basis == ITEMS) != (turn == 1) or not _in_force(rule, kept, side, ts):
                continue
            if turn == 1:
                base = 0
                for k in range(LINES):
                    if rule.of >> k & 1:
                        base += lines[k]
                money = mul_div(base, rule.rate, SHARE, HALF_UP)
            else:
                money = _line(rule, value, exercised, filled, charged, days)
            lines[rule.item] += money
            total += money
    return total


@jit
def charges_for(s, instrument, product, side, ts, value, filled, charged):
    """What filling an order for `value` more costs, money; 0 where no rules are."""
    segment = instrument_row(s, instrument).segment
    if segment == 0 or value == 0:
        return 0
    return list_charges(s, segment, product, side, ts, value, 0, filled, charged, 0)


@jit_shared
def count_turnover(s, instrument, product, side, ts, value, exercised):
    """Add what was traded, or exercised, to the rules that charge a share of it: notes are reckoned on the sums."""
    segment = instrument_row(s, instrument).segment
    if segment == 0:
        return
    seg, kept = segment_row(s, segment), INTRADAY if product == INTRADAY else DELIVERY
    seg.instrument = instrument
    for place in range(seg.first, seg.last):
        rule = charge(s, place)
        if _in_force(rule, kept, side, ts):
            rule.turnover += value if rule.basis == VALUE else exercised if rule.basis == EXERCISE else 0


@jit_call
def list_note(s, segment, ts):
    """What is missing from each line of a segment's note to be what a broker's says, into `items(s)`: shares of the
    day's turnover, added exactly and rounded once, and shares of lines as they are rounded."""
    lines, seg = items(s).amount, segment_row(s, segment)
    for k in range(LINES):
        lines[k], unit = 0, max(1, seg.rounding[k])
        exact, rest, shared, by_order = 0, 0, False, 0
        for place in range(seg.first, seg.last):
            rule = charge(s, place)
            if rule.item == k and (rule.basis == VALUE or rule.basis == EXERCISE):
                shared = True
                whole = mul_div(rule.noted, rule.rate, SHARE, DOWN)
                exact += whole
                rest += rule.noted * rule.rate - whole * SHARE
            by_order += 1 if rule.item == k and rule.basis == ORDER else 0
        if shared:
            lines[k] = exact + rest // SHARE
        if not shared or by_order > 0:  # a line of both kinds is kept as it was charged
            lines[k] = seg.note[k]
        lines[k] = mul_div(lines[k], 1, unit, HALF_UP) * unit
    for place in range(seg.first, seg.last):
        if charge(s, place).basis == ITEMS:
            lines[charge(s, place).item] = 0
    for place in range(seg.first, seg.last):
        rule = charge(s, place)
        if rule.basis == ITEMS and rule.since <= ts < rule.until:
            base, unit = 0, max(1, seg.rounding[rule.item])
            for k in range(LINES):
                if rule.of >> k & 1:
                    base += lines[k]
            lines[rule.item] += mul_div(base, rule.rate, SHARE * unit, HALF_UP) * unit
    for k in range(LINES):
        lines[k] -= seg.note[k]


@jit
def listed(s):
    """The lines of `items(s)`, kept while others are listed there."""
    lines = items(s).amount
    return lines[0], lines[1], lines[2], lines[3], lines[4], lines[5], lines[6], lines[7]
