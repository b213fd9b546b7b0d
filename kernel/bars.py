"""Bars made of trades: by time, by number, volume or value of trades, or by range.

A bar of time belongs to its session: it ends so many whole bars after the session opened (or after midnight UTC where
there are no sessions), never drifting. It is closed by a TIMER that comes a grace after its end, or by a trade that
proves the grace to be over; trades of the next bar that come meanwhile are kept apart. A trade older than the last bar
that was closed is LATE: counted, never folded back. The other bars are closed by the trade that fills them.
"""

from kernel.codes import Kind, Origin, code
from kernel.jit import jit, jit_call
from kernel.rows import BUILDERS
from kernel.tables import builder, instrument_row, market, rules
from kernel.units import MONEY_MAX, fits_product

NONE, BY_TIME, BY_TRADES, BY_VOLUME, BY_VALUE, BY_RANGE = 0, 1, 2, 3, 4, 5
BAR, KERNEL = code(Kind.BAR), code(Origin.KERNEL)
DAY = 86_400 * 10**9


@jit
def is_late(s, m, e):
    """Whether a trade is older than the last bar that was made of trades of a time."""
    return rules(s).bar_kind == BY_TIME and e.ts_event < m.bar_edge


@jit_call
def count_trade(s, e):
    """Add a trade to the bar it belongs to; evolve's part of it."""
    m, kind = market(s, e.instrument), rules(s).bar_kind
    if kind == NONE:
        return
    place = _place_in_time(s, m, e) if kind == BY_TIME else 0
    if place < 0:
        m.late += 1
        return
    b = builder(s, e.instrument, place)
    if b.trades == 0:
        b.open = b.high = b.low = e.trade_px
        if kind != BY_TIME:
            b.ts_open = e.ts_event
    b.high, b.low, b.close = max(b.high, e.trade_px), min(b.low, e.trade_px), e.trade_px
    b.trades += 1
    b.volume += e.trade_qty
    if kind == BY_VALUE and fits_product(e.trade_qty, e.trade_px):
        b.value = min(MONEY_MAX - 1, b.value + e.trade_qty * e.trade_px)
    b.ts_last = e.ts_event


@jit_call
def _place_in_time(s, m, e):
    """Which of the instrument's bars under way a trade belongs to; -1: it is late.

    There are three: one that waits for its grace to be over, the one after it, and one for a trade that proves both
    over.
    """
    opened = e.ts_event - (e.ts_event - _anchor(m, e.ts_event)) % rules(s).bar_size
    place = 0
    while place < BUILDERS and builder(s, e.instrument, place).trades > 0:
        b = builder(s, e.instrument, place)
        if e.ts_event < b.ts_close and e.ts_event >= b.ts_open:
            return place
        if e.ts_event < b.ts_open:  # a bar between two that have trades already
            if builder(s, e.instrument, BUILDERS - 1).trades > 0:
                return -1
            for k in range(BUILDERS - 1, place, -1):
                _move_bar(s, e.instrument, k - 1, k)
            builder(s, e.instrument, place).trades = 0
            break
        place += 1
    if place == BUILDERS:
        return -1
    b = builder(s, e.instrument, place)
    b.ts_open, b.ts_close, b.volume, b.value = opened, opened + rules(s).bar_size, 0, 0
    return place


@jit_call
def _move_bar(s, instrument, old, new):
    n, b = builder(s, instrument, old), builder(s, instrument, new)
    b.ts_open, b.ts_close, b.ts_last = n.ts_open, n.ts_close, n.ts_last
    b.open, b.high, b.low, b.close = n.open, n.high, n.low, n.close
    b.trades, b.volume, b.value = n.trades, n.volume, n.value


@jit
def _anchor(m, ts):
    """Where the bars of a session are counted from."""
    return m.session_open if m.session_open > 0 and m.session_open <= ts else ts - ts % DAY


@jit_call
def is_full(s, instrument, ts):
    """Whether a trade at `ts` has closed the instrument's bar."""
    b, r = builder(s, instrument, 0), rules(s)
    if b.trades == 0:
        return False
    if r.bar_kind == BY_TIME:
        return ts >= b.ts_close + r.bar_grace
    if r.bar_kind == BY_TRADES:
        return b.trades >= r.bar_size
    if r.bar_kind == BY_VOLUME:
        return b.volume >= r.bar_size
    if r.bar_kind == BY_VALUE:
        return b.value >= r.bar_size
    return r.bar_kind == BY_RANGE and b.high - b.low >= r.bar_size


@jit_call
def is_due(s, instrument, timer):
    """Whether a timer closes the instrument's bar."""
    b = builder(s, instrument, 0)
    mine = instrument_row(s, instrument).calendar == timer.setting
    return mine and b.trades > 0 and rules(s).bar_kind == BY_TIME and b.ts_close <= timer.ts_event


@jit_call
def write_bar(s, e, instrument):
    """The instrument's bar as a BAR event."""
    b = builder(s, instrument, 0)
    e.instrument, e.ts_open = instrument, b.ts_open
    e.ts_event = b.ts_close if rules(s).bar_kind == BY_TIME else b.ts_last
    e.open, e.high, e.low, e.close, e.volume = b.open, b.high, b.low, b.close, b.volume
    e.open_interest = market(s, instrument).open_interest


@jit_call
def clear_bar(s, instrument):
    """After its BAR event: the trades of the next one are what counts; evolve's part of it."""
    m = market(s, instrument)
    if rules(s).bar_kind == BY_TIME:
        m.bar_edge = max(m.bar_edge, builder(s, instrument, 0).ts_close)
    for k in range(BUILDERS - 1):
        _move_bar(s, instrument, k + 1, k)
    last = builder(s, instrument, BUILDERS - 1)
    last.trades = last.volume = last.value = 0
