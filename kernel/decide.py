"""Strategy calls and what becomes of their signals: SIGNAL, then risk, then an order or a denial, one after the other.

Each intent is folded in before the next strategy is asked, so cash is reserved in (strategy, instrument) order.
"""

from kernel.amounts import equity_of, free_cash, unit_value
from kernel.codes import Flag, Kind, OrderType, Reason, Status, TimerCode, code
from kernel.events import KERNEL, blank, draft, emit
from kernel.evolve import RUNNING
from kernel.frame import (
    CANCEL,
    HERE,
    HOOK_BAR,
    HOOK_FILL,
    HOOK_QUOTE,
    HOOK_TIMER,
    HOOK_TRADE,
    INTENTS,
    NEW,
    NOWHERE,
    PROGRAM_OK,
    REPLACE,
)
from kernel.gateway import send_cancel
from kernel.jit import call_program, jit, jit_call, jit_shared
from kernel.limits import capital_of
from kernel.links import settle_links, trailing_trigger
from kernel.orders import find_slot, first_after
from kernel.rehearse import ANY, fold_answers
from kernel.risk import refuse_member
from kernel.submit import deny, replace, submit, submit_held
from kernel.tables import (
    account,
    book,
    call_frame,
    instrument_row,
    keep_frame,
    market,
    order,
    pending_fill,
    position,
    program_of,
    rules,
    tally,
    touched,
)
from kernel.units import PX_MAX, SCALE, to_units

SIGNAL, FAULT, QUOTE = code(Kind.SIGNAL), code(Kind.STRATEGY_FAULT), code(Kind.QUOTE)
TRAILING_STOP = code(OrderType.TRAILING_STOP)
HELD, OCO, REDUCE_ONLY, F_REPLACE = code(Flag.HELD), code(Flag.OCO), code(Flag.REDUCE_ONLY), code(Flag.REPLACE)
ON_SLICE = code(Flag.ON_SLICE)
MAY_ASK = HELD | OCO | REDUCE_ONLY  # flags a strategy may set
ST_PENDING_NEW, WARM_UP = code(Status.PENDING_NEW), code(Flag.WARM_UP)
ST_PENDING_CANCEL, ST_PENDING_REPLACE = code(Status.PENDING_CANCEL), code(Status.PENDING_REPLACE)
REQUESTED, EXCEPTION, NOT_WORKING = code(Reason.REQUESTED), code(Reason.EXCEPTION), code(Reason.NOT_WORKING)
TOO_MANY_SIGNALS, GROUP_DENIED = code(Reason.TOO_MANY_SIGNALS), code(Reason.GROUP_DENIED)
NONE, CLOCK = code(Reason.NONE), code(TimerCode.CLOCK)


@jit
def call_on_bar(s, strategy, instrument):
    """Show the instrument's bar of this slice to one strategy and carry out what it asks for."""
    if book(s, strategy).stopped != RUNNING:
        return
    m, frame, a = market(s, instrument), call_frame(s), account(s)
    bar = frame.bar
    factor, scale = m.adjustment, instrument_row(s, instrument).px_scale
    bar.ts, bar.ts_open = m.ts_bar, m.ts_open
    bar.open, bar.high = m.open * factor / scale, m.high * factor / scale
    bar.low, bar.close = m.low * factor / scale, m.close * factor / scale
    bar.volume, bar.open_interest = m.volume / factor, m.open_interest / factor
    frame.hook = HOOK_BAR
    _fill_context(s, strategy, instrument)
    code = call(s, strategy, instrument)
    if code != PROGRAM_OK or frame.ctx.count != 0 or s.recorded != 0:
        carry_out(s, strategy, instrument, m.bar_seq, m.ts_bar, a.ts, code, 0)


@jit_call
def call_on_fill(s, k):
    """Tell a strategy about the k-th fill of this slice; orders it places meet the next bar."""
    f, frame = pending_fill(s, k), call_frame(s)
    if book(s, f.strategy).stopped != RUNNING:
        return
    seen = frame.fill
    seen.ts, seen.side, seen.qty, seen.order_id = f.ts, f.side, f.qty, f.order_id
    seen.price = f.px * market(s, f.instrument).adjustment / instrument_row(s, f.instrument).px_scale
    seen.fee = f.fee / SCALE
    frame.hook = HOOK_FILL
    _fill_context(s, f.strategy, f.instrument)
    code = call(s, f.strategy, f.instrument)
    carry_out(s, f.strategy, f.instrument, f.seq, account(s).ts, account(s).ts, code, 0)


@jit_call
def call_on_tick(s, strategy, e):
    """Show a quote or a trade to a strategy that wants it and carry out what it asks for."""
    program = program_of(s, strategy)
    wanted = program.on_quote if e.kind == QUOTE else program.on_trade
    if wanted == 0 or book(s, strategy).stopped != RUNNING:
        return
    m, frame = market(s, e.instrument), call_frame(s)
    factor, scale = m.adjustment, instrument_row(s, e.instrument).px_scale
    if e.kind == QUOTE:
        seen = frame.quote
        seen.ts, seen.bid, seen.ask = e.ts_event, e.bid_px * factor / scale, e.ask_px * factor / scale
        seen.bid_qty, seen.ask_qty = e.bid_qty / factor, e.ask_qty / factor
        frame.hook = HOOK_QUOTE
    else:
        told = frame.trade
        told.ts, told.price = e.ts_event, e.trade_px * factor / scale
        told.qty, told.open_interest = e.trade_qty / factor, m.open_interest / factor
        frame.hook = HOOK_TRADE
    _fill_context(s, strategy, e.instrument)
    code = call(s, strategy, e.instrument)
    carry_out(s, strategy, e.instrument, e.seq, e.ts_event, account(s).ts, code, 0)


@jit_call
def call_on_timer(s, strategy, instrument, e):
    """Tell a strategy of a timer of the instrument's calendar; what it places is sent as at any other time."""
    if program_of(s, strategy).on_timer == 0 or book(s, strategy).stopped != RUNNING:
        return
    if instrument_row(s, instrument).calendar != e.setting:
        return
    told = call_frame(s).timer
    told.ts, told.code, told.time = e.ts_event, e.code, -1
    if e.code >= CLOCK:
        told.code, told.time = CLOCK, e.code - CLOCK
    call_frame(s).hook = HOOK_TIMER
    _fill_context(s, strategy, instrument)
    answer = call(s, strategy, instrument)
    if s.recorded != 0:  # the calls for all instruments have one cause: each has as many answers as it asked for
        asked = _asked(s, market(s, instrument).warm_up & WARM_UP, answer, 0)
        if fold_answers(s, strategy, e.seq, 0, asked) != asked:
            s.differing += 1
        return
    carry_out(s, strategy, instrument, e.seq, e.ts_event, account(s).ts, answer, 0)


@jit
def _asked(s, warming, code, aims):
    """How many answers a call has on the tape: its signals and orders, or its one fault."""
    count = call_frame(s).ctx.count
    return 0 if warming != 0 else 1 if code != PROGRAM_OK or count > INTENTS else count + aims


@jit
def call(s, strategy, instrument):
    program = program_of(s, strategy)
    call_frame(s).callback = program.callback
    return call_program(program.address, program.memory + instrument * program.stride, program.frame)


@jit
def _fill_context(s, strategy, instrument):
    a, m, ctx = account(s), market(s, instrument), call_frame(s).ctx
    p, row = position(s, strategy, instrument), instrument_row(s, instrument)
    ctx.ts, ctx.instrument, ctx.strategy = a.ts, instrument, strategy
    ctx.position, ctx.working = p.qty, p.open_orders
    ctx.working_qty = p.working_buy + p.reducing_buy - p.working_sell - p.reducing_sell
    ctx.pending_qty = p.pending
    ctx.ready, ctx.warming = 0, m.warm_up & WARM_UP
    ctx.entry_price = 0.0
    if p.qty != 0:
        ctx.entry_price = p.cost * m.adjustment / p.qty / row.px_scale
        if row.num != row.den:
            ctx.entry_price = ctx.entry_price * row.den / row.num
    ctx.cash, ctx.equity = free_cash(s, row.currency) / SCALE, equity_of(s) / SCALE
    ctx.capital = ctx.equity
    if a.limited != 0 and capital_of(s, strategy) > 0:
        ctx.capital = max(0, capital_of(s, strategy) + tally(s, strategy).result) / SCALE
    ctx.tick, ctx.lot = row.tick * m.adjustment / row.px_scale, row.lot
    ctx.regime, ctx.direction, ctx.adjustment = m.regime, m.direction, m.adjustment
    ctx.price, ctx.unit_value, ctx.count = m.mark / row.px_scale, unit_value(s, instrument), 0


@jit_shared
def carry_out(s, strategy, here, cause, ts_event, ts_init, code, aims):
    """Turn the call's intents into events; an exception or too many signals stops the strategy instead. `here` is
    NOWHERE for a call of the whole slice, and `aims` how many orders it asked for beside its intents.

    Of the frame only the intents are read: a strategy may have written over the rest.
    """
    ctx, whole = call_frame(s).ctx, ON_SLICE if here == NOWHERE else 0
    warming = market(s, here if whole == 0 else touched(s, 0).instrument).warm_up & WARM_UP
    if s.recorded != 0:
        if fold_answers(s, strategy, cause, whole, ANY) != _asked(s, warming, code, aims):
            s.differing += 1
        return
    if code != PROGRAM_OK or ctx.count > INTENTS:
        keep_frame(s, strategy)
        e = draft(s, FAULT, KERNEL, cause, ts_event, ts_init)
        e.instrument, e.strategy, e.code = here, strategy, call_frame(s).hook
        e.reason, e.flags = EXCEPTION if code != PROGRAM_OK else TOO_MANY_SIGNALS, whole
        emit(s, e)
        return
    if warming != 0:  # before the run's first day memory learns and nothing is sent
        return
    for k in range(ctx.count):
        _place(s, strategy, here, ctx.intents, k, cause, ts_event, ts_init)


@jit_call
def _place(s, strategy, here, intents, k, cause, ts_event, ts_init):
    """Carry out the k-th intent of a call."""
    intent = intents[k]
    signal = draft(s, SIGNAL, KERNEL, cause, ts_event, ts_init)
    _write_signal(s, signal, strategy, here, intents, k)
    emit(s, signal)
    intent.signal, intent.order_id = signal.seq, 0
    link = intent.ref - 1 if 0 < intent.ref <= k else -1
    if intent.action == CANCEL:
        _cancel(s, signal)
    elif intent.action == REPLACE:
        _replace(s, signal)
    elif signal.flags & HELD:
        submit_held(s, signal, intents[link].signal if link >= 0 else 0, intents[link].order_id if link >= 0 else 0)
    elif _group_is_refused(s, signal, strategy, here, intents, k):
        deny(s, signal, GROUP_DENIED, 0, 0)
    elif signal.flags & OCO and link >= 0 and intents[link].order_id == 0:
        deny(s, signal, GROUP_DENIED, 0, 0)
    else:
        intent.order_id = submit(s, signal)
        if intent.order_id == 0 and link >= 0:  # a pair stands or falls together
            _take_back(s, signal, intents[link].order_id)


@jit_call
def _group_is_refused(s, signal, strategy, here, intents, k):
    """Whether an order that waits for this one, or is its pair, cannot be sent: then neither is this one, so that no
    entry is ever without its stop. What is drafted here is never emitted."""
    members, refused = 0, False
    for j in range(k + 1, min(call_frame(s).ctx.count, INTENTS)):
        if intents[j].ref == k + 1 and intents[j].flags & (HELD | OCO) and intents[j].action == NEW:
            other = blank(s, signal.cause, signal.ts_event, signal.ts_init)
            _write_signal(s, other, strategy, here, intents, j)
            members += 1
            if refuse_member(s, signal, other, members) != NONE:
                refused = True
    return refused


@jit_call
def _take_back(s, signal, order_id):
    slot = find_slot(s, signal.instrument, order_id) if order_id > 0 else -1
    if slot >= 0:
        send_cancel(s, order(s, slot), GROUP_DENIED, signal)


@jit_call
def _write_signal(s, signal, strategy, here, intents, k):
    """The k-th intent of a call as a SIGNAL, in the tape's units."""
    intent = intents[k]
    instrument = here if intent.instrument == HERE else intent.instrument
    known = 0 <= instrument < rules(s).instruments
    tick = max(1, instrument_row(s, instrument).tick) if known else 1  # 0: not in this run, denied below
    factor = market(s, instrument).adjustment if known else 1.0
    signal.instrument, signal.strategy, signal.side = instrument, strategy, intent.side
    signal.order_type, signal.tif, signal.qty = intent.order_type, intent.tif, intent.qty
    scale = instrument_row(s, instrument).px_scale if known else SCALE
    signal.px = to_units(intent.price / factor, tick, scale)
    signal.trigger_px = to_units(intent.trigger_price / factor, tick, scale)
    signal.trail = to_units(intent.trail / factor, tick, scale)
    signal.expire_ts = intent.expire_ts
    signal.flags = intent.flags & MAY_ASK
    signal.value = intent.strength + 0.0 if intent.strength == intent.strength else 0.0  # no NaN, no -0.0 on tape
    if intent.action == REPLACE:  # what is not a number is no wish to leave it
        signal.px = signal.px if intent.price == intent.price else -1
        signal.trigger_px = signal.trigger_px if intent.trigger_price == intent.trigger_price else -1
    if intent.action == CANCEL or intent.action == REPLACE:
        signal.side, signal.ref = 0, intent.ref
        signal.flags = 0 if intent.action == CANCEL else F_REPLACE
    elif known:
        signal.product = product_of(s, strategy, instrument, intent.product)
        _start_trailing(s, signal)
    if here == NOWHERE:
        signal.flags |= ON_SLICE
    link = intent.ref - 1 if 0 < intent.ref <= k else -1
    if signal.flags & HELD:
        signal.flags |= REDUCE_ONLY
    elif signal.flags & OCO:
        signal.parent = intents[link].signal if link >= 0 else signal.seq


@jit
def _start_trailing(s, signal):
    """A trailing stop without a trigger of its own begins at the mark; a held one at its parent's fill."""
    if signal.order_type == TRAILING_STOP and signal.trigger_px == 0 and not signal.flags & HELD:
        mark = market(s, signal.instrument).mark
        if mark > 0 and 0 < signal.trail < PX_MAX:
            signal.trigger_px = trailing_trigger(s, signal.instrument, signal.side, signal.trail, mark)


@jit_call
def product_of(s, strategy, instrument, asked):
    """The product of an order that asks for `asked`: without a word, the position's, or else the run's."""
    p = position(s, strategy, instrument)
    if asked != 0:
        return asked
    return p.product if p.qty != 0 or p.open_orders > 0 else rules(s).product


@jit_call
def _cancel(s, signal):
    """Cancel one working order of this strategy (`ref`), or all it has in the instrument."""
    slot = _first_of(s, signal)
    while slot >= 0:
        o = order(s, slot)
        last = o.order_id
        waits = signal.ref == 0 and o.status == ST_PENDING_NEW and o.over == 0  # it goes when its parent has
        if o.strategy == signal.strategy and o.status != ST_PENDING_CANCEL and not waits:
            send_cancel(s, o, REQUESTED, signal)
        slot = -1 if signal.ref != 0 else first_after(s, signal.instrument, last)
    if 0 <= signal.instrument < rules(s).instruments:
        settle_links(s, signal.strategy, signal.instrument, signal)


@jit
def _first_of(s, signal):
    """Slot of the order a signal names, or of the first in its instrument; -1 for none."""
    if signal.ref != 0:
        return find_slot(s, signal.instrument, signal.ref)
    known = 0 <= signal.instrument < rules(s).instruments
    return market(s, signal.instrument).order_head if known else -1


@jit_call
def _replace(s, signal):
    """Change the working order of this strategy that `ref` names, or its newest here; a term of 0 stays as it is."""
    slot, found = _first_of(s, signal), -1
    while slot >= 0:
        if order(s, slot).strategy == signal.strategy:
            found = slot
        slot = -1 if signal.ref != 0 else order(s, slot).next
    if found < 0 or order(s, found).status == ST_PENDING_CANCEL or order(s, found).status == ST_PENDING_REPLACE:
        deny(s, signal, NOT_WORKING, 0, 0)
    else:
        replace(s, signal, order(s, found))
