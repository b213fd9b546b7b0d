"""Limits that look beyond one order: rates, counts, exposure, prices, hours. For the account and for a strategy alike.

An order that only closes passes whatever counts or sizes: closing must always be possible. Prices, hours and crossing
oneself are looked at for every order. 0 is no limit.
"""

from kernel.amounts import amount, in_base
from kernel.codes import OrderType, Product, Reason, Side, code
from kernel.jit import jit, jit_call, jit_shared
from kernel.orders import asked_px
from kernel.rows import LISTED, RING
from kernel.tables import account, instrument_row, limits, market, order, position, purse, recent, rules, tally, weight
from kernel.units import SHARE, mul_div

MARKET, BUY, INTRADAY = code(OrderType.MARKET), code(Side.BUY), code(Product.INTRADAY)
LIMIT, STOP_LIMIT = code(OrderType.LIMIT), code(OrderType.STOP_LIMIT)
NONE, COLLAR, STALE_PRICE = code(Reason.NONE), code(Reason.COLLAR), code(Reason.STALE_PRICE)
GROSS, NET, UNDERLYING = (
    code(Reason.GROSS_OVER_LIMIT),
    code(Reason.NET_OVER_LIMIT),
    code(Reason.UNDERLYING_OVER_LIMIT),
)
CAPITAL = code(Reason.OVER_CAPITAL)
TRADES_OF_DAY, OPEN_ORDERS, ORDERS_OF_DAY = (
    code(Reason.TRADES_OF_DAY),
    code(Reason.OPEN_ORDERS),
    code(Reason.ORDERS_OF_DAY),
)
ORDERS_A_SECOND, ORDERS_A_MINUTE = code(Reason.ORDERS_A_SECOND), code(Reason.ORDERS_A_MINUTE)
DUPLICATE_ORDER, SELF_CROSS = code(Reason.DUPLICATE_ORDER), code(Reason.SELF_CROSS)
REPEATED, MESSAGES_A_FILL = code(Reason.REPEATED), code(Reason.MESSAGES_A_FILL)
SESSION_CLOSED, NOT_ALLOWED, SQUARED_OFF = (
    code(Reason.SESSION_CLOSED),
    code(Reason.NOT_ALLOWED),
    code(Reason.SQUARED_OFF),
)
SECOND, MINUTE, DAY = 10**9, 60 * 10**9, 86_400 * 10**9
RATIO_FROM = 100  # messages, before their number a fill says anything


@jit_shared
def of_last(s, ring, total, ts, span):
    """How many of the last RING that `ring` counts came within `span` before `ts`."""
    low, high = 0, min(total, RING)  # times ascend with n: the first within the span, by halves
    while low < high:
        middle = (low + high) // 2
        if recent(s, ring, total - 1 - middle).instrument > ts - span:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def refuse_limits(s, e, opening, worth, orders):
    """Why the limits of the account or of its strategy do not let through what becomes `orders` orders: (reason,
    actual, allowed). `worth` is what they are worth, first currency."""
    m, p = market(s, e.instrument), position(s, e.strategy, e.instrument)
    listed = instrument_row(s, e.instrument).selected == LISTED
    if account(s).limited == 0 and m.squared_off == 0 and p.barred == 0 and m.warm_up == 0 and listed:
        return NONE, 0, 0
    return _refuse_limits(s, e, opening, worth, orders)


@jit_shared
def _refuse_limits(s, e, opening, worth, orders):
    reason, actual, allowed = _refuse_place(s, e, opening)
    for turn in range(2 if account(s).limited != 0 else 0):
        row = 0 if turn == 0 else e.strategy
        if reason == NONE and (turn == 0 or row > 0):
            reason, actual, allowed = _refuse_price(s, e, opening, row, 0)
            if reason == NONE and opening > 0:
                reason, actual, allowed = _refuse_flow(s, e, row, orders)
            if reason == NONE and opening > 0:
                reason, actual, allowed = _refuse_exposure(s, e, worth, row)
    return reason, actual, allowed


@jit_call
def _refuse_place(s, e, opening):
    """Whether it may be traded at all now."""
    m, p = market(s, e.instrument), position(s, e.strategy, e.instrument)
    listed = instrument_row(s, e.instrument).selected == LISTED and p.barred == 0
    if opening > 0 and (not listed or m.warm_up != 0):  # or not in the universe now
        return NOT_ALLOWED, e.instrument, 0
    if opening > 0 and m.squared_off != 0 and e.product == INTRADAY:
        return SQUARED_OFF, e.instrument, 0
    if (
        m.closed != 0
        and account(s).limited != 0
        and (limits(s, 0).session_hours != 0 or limits(s, e.strategy).session_hours != 0)
    ):
        return SESSION_CLOSED, m.ts_mark, 0
    return NONE, 0, 0


@jit_call
def _refuse_price(s, e, opening, row, own):
    limit, m, ts = limits(s, row), market(s, e.instrument), account(s).ts
    if limit.stale_after > 0 and opening > 0 and ts - m.ts_mark > limit.stale_after:
        return STALE_PRICE, ts - m.ts_mark, limit.stale_after
    px = asked_px(e)
    if limit.collar > 0 and px > 0:
        most = mul_div(m.mark, limit.collar, SHARE, 0)
        if abs(e.trigger_px - m.mark) > abs(px - m.mark) and e.trigger_px > 0:
            px = e.trigger_px  # the further of the two
        if abs(px - m.mark) > most:
            return COLLAR, px, m.mark + most if px > m.mark else m.mark - most
    if limit.self_cross != 0:
        other = _crossed(s, e, own)
        if other != 0:
            return SELF_CROSS, e.px, other
    return NONE, 0, 0


@jit_call
def _crossed(s, e, own):
    """The order id of a working order of the account, not `own`, that this one could trade with, 0 for none."""
    slot = market(s, e.instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        slot = o.next
        if o.side != -e.side or o.leaves_qty == 0 or o.order_id == own:
            continue
        both = o.order_type == LIMIT and e.order_type == LIMIT
        if (both and (e.px - o.px) * e.side >= 0) or (
            not both and (e.order_type == MARKET or o.order_type == MARKET) and _may_meet(e, o)
        ):
            return o.order_id
    return 0


@jit
def _may_meet(e, o):
    """A market order trades with what rests at a price, or is on its way as well."""
    return (o.order_type == LIMIT or o.order_type == MARKET) and (e.order_type == LIMIT or e.order_type == MARKET)


@jit_call
def _refuse_flow(s, e, row, orders):
    """How many, how often, how much alike."""
    limit, t, ts = limits(s, row), tally(s, row), account(s).ts
    today = t.day == ts // DAY
    if limit.max_open_orders > 0 and t.open_orders + orders > limit.max_open_orders:
        return OPEN_ORDERS, t.open_orders + orders, limit.max_open_orders
    sent_today = t.orders_day if today else 0
    if limit.max_orders_day > 0 and sent_today + orders > limit.max_orders_day:
        return ORDERS_OF_DAY, sent_today + orders, limit.max_orders_day
    if limit.max_trades_day > 0 and today and t.fills_day >= limit.max_trades_day:
        return TRADES_OF_DAY, t.fills_day + 1, limit.max_trades_day
    reason, actual, allowed = _refuse_rate(s, row, orders)
    if reason != NONE:
        return reason, actual, allowed
    if limit.max_messages_fill > 0 and t.messages >= RATIO_FROM:
        if t.messages + orders > limit.max_messages_fill * max(1, t.fills):
            return MESSAGES_A_FILL, (t.messages + orders) // max(1, t.fills), limit.max_messages_fill
    return _refuse_alike(s, e, limit, ts)


@jit_call
def _refuse_rate(s, row, messages):
    """Whether so many more messages are too many for a second or a minute."""
    limit, t, ts = limits(s, row), tally(s, row), account(s).ts
    if _beyond(s, row, t.messages, messages, limit.max_orders_second, ts - SECOND):
        return ORDERS_A_SECOND, of_last(s, row, t.messages, ts, SECOND) + messages, limit.max_orders_second
    if _beyond(s, row, t.messages, messages, limit.max_orders_minute, ts - MINUTE):
        return ORDERS_A_MINUTE, of_last(s, row, t.messages, ts, MINUTE) + messages, limit.max_orders_minute
    return NONE, 0, 0


@jit
def _beyond(s, ring, total, more, most, since):
    """Whether `more` messages make it more than `most` after `since`: one look, at the one that would be too many."""
    if most <= 0 or total + more <= most:
        return False
    return more > most or recent(s, ring, total + more - most - 1).instrument > since


@jit_call
def refuse_change(s, o, e, more, worth):
    """Why the limits do not let the change of working order `o` through that `e` stands for: (reason, actual, allowed).
    `more` is what it may open beyond what it does already, `worth` what that is worth, first currency."""
    reason, actual, allowed = _refuse_place(s, e, more)
    for turn in range(2 if account(s).limited != 0 else 0):
        row = 0 if turn == 0 else o.strategy
        if reason == NONE and (turn == 0 or row > 0):
            reason, actual, allowed = _refuse_price(s, e, more, row, o.order_id)
            if reason == NONE:
                reason, actual, allowed = _refuse_rate(s, row, 1)
            if reason == NONE and worth > 0:
                reason, actual, allowed = _refuse_exposure(s, e, worth, row)
    return reason, actual, allowed


@jit_call
def _refuse_alike(s, e, limit, ts):
    p = position(s, e.strategy, e.instrument)
    if p.sent_ts == 0 or p.sent_side != e.side:
        return NONE, 0, 0
    same = p.sent_qty == e.qty and p.sent_px == asked_px(e)
    if limit.duplicate_within > 0 and same and ts - p.sent_ts < limit.duplicate_within:
        return DUPLICATE_ORDER, ts - p.sent_ts, limit.duplicate_within
    if limit.repeat_count > 0 and ts - p.repeat_ts < limit.repeat_within and p.repeats >= limit.repeat_count:
        return REPEATED, p.repeats + 1, limit.repeat_count
    return NONE, 0, 0


@jit
def capital_of(s, strategy):
    """What a strategy begins with, first currency: its own, or what each has; 0: it works with the whole account."""
    own = limits(s, strategy).capital
    return own if own > 0 else limits(s, 0).capital


@jit_call
def _refuse_exposure(s, e, worth, row):
    limit, t = limits(s, row), tally(s, row)
    if row > 0 and capital_of(s, row) > 0:
        has = max(0, capital_of(s, row) + t.result)  # at the end of the slice before, as `ctx.capital` says it
        wants = exposure_of(s, row)[0] + t.notional + worth
        if wants > has:
            return CAPITAL, wants, has
    if limit.max_gross > 0 or limit.max_net > 0:
        gross, net = exposure_of(s, row)
        if limit.max_gross > 0 and gross + t.notional + worth > limit.max_gross:
            return GROSS, gross + t.notional + worth, limit.max_gross
        works = t.notional_buy if e.side == BUY else t.notional - t.notional_buy
        after = net + e.side * (worth + works)
        if limit.max_net > 0 and abs(after) > limit.max_net and abs(after) > abs(net):
            return NET, abs(after), limit.max_net
    if limit.max_underlying > 0:
        under = kin_worth(s, row, _root(s, e.instrument))
        if under + worth > limit.max_underlying:
            return UNDERLYING, under + worth, limit.max_underlying
    return NONE, 0, 0


@jit_call
def exposure_of(s, row):
    """(gross, net) of the account's positions or of a strategy's, first currency, at the marks."""
    if row > 0:
        weighed = weight(s, row)
        if weighed.marks != weight(s, 0).marks:
            _weigh(s, row, weighed)
        return weighed.gross, weighed.net
    gross, net = 0, 0
    for currency in range(rules(s).currencies):
        gross += in_base(s, currency, purse(s, currency).exposure)
        net += in_base(s, currency, purse(s, currency).net)
    return gross, net


@jit_call
def _weigh(s, row, weighed):
    """Add a strategy's positions up: once for all its orders between two moves of a mark."""
    gross, net = 0, 0
    for k in range(rules(s).instruments):
        if market(s, k).positions != 0:
            value = _worth_of(s, row, k)
            gross += abs(value)
            net += value
    weighed.gross, weighed.net, weighed.marks = gross, net, weight(s, 0).marks


@jit_call
def kin_worth(s, row, root):
    """What all that has one underlying is worth together, long or short, first currency."""
    total, k = 0, root
    while k >= 0:
        if market(s, k).positions != 0:
            total += abs(_worth_of(s, row, k))
        total += market(s, k).notional  # of all strategies, also for one: never too little
        k = instrument_row(s, k).kin
    return total


@jit_call
def _worth_of(s, row, k):
    m = market(s, k)
    worth = m.worth if row == 0 else amount(s, k, position(s, row, k).qty, m.mark)
    return in_base(s, instrument_row(s, k).currency, worth)


@jit
def _root(s, instrument):
    row = instrument_row(s, instrument)
    return row.underlying if row.underlying >= 0 else row.security


@jit_call
def result_of(s, strategy):
    """What a strategy made so far, first currency: realised and open, dividends, less fees."""
    total = 0
    for k in range(rules(s).instruments):
        p = position(s, strategy, k)
        made = p.realized + p.dividends - p.fees
        if p.qty != 0:
            made += amount(s, k, p.qty, market(s, k).mark) - p.cost
        total += in_base(s, instrument_row(s, k).currency, made)
    return total
