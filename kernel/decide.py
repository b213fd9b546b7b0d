"""Strategy calls and what becomes of their signals: SIGNAL, then risk, then an order or a denial, one after the other.

Each intent is folded in before the next strategy is asked, so cash is reserved in (strategy, instrument) order.
"""

from kernel.codes import Flag, Kind, OrderType, Reason, Status, code
from kernel.events import KERNEL, draft, emit
from kernel.evolve import RUNNING
from kernel.frame import CANCEL, HERE, HOOK_BAR, HOOK_FILL, INTENTS, PROGRAM_OK, REPLACE
from kernel.gateway import send_cancel
from kernel.jit import call_program, jit, jit_call
from kernel.links import settle_links, trailing_trigger
from kernel.orders import find_slot, first_after
from kernel.rehearse import fold_answers
from kernel.submit import deny, replace, submit, submit_held
from kernel.tables import (
    account,
    book,
    call_frame,
    equity_of,
    free_cash,
    instrument_row,
    keep_frame,
    market,
    order,
    pending_fill,
    position,
    program_of,
    rules,
)
from kernel.units import PX_MAX, SCALE, to_units

SIGNAL, FAULT = code(Kind.SIGNAL), code(Kind.STRATEGY_FAULT)
TRAILING_STOP = code(OrderType.TRAILING_STOP)
HELD, OCO, REDUCE_ONLY, F_REPLACE = code(Flag.HELD), code(Flag.OCO), code(Flag.REDUCE_ONLY), code(Flag.REPLACE)
MAY_ASK = HELD | OCO | REDUCE_ONLY  # flags a strategy may set
ST_PENDING_CANCEL, ST_PENDING_REPLACE = code(Status.PENDING_CANCEL), code(Status.PENDING_REPLACE)
REQUESTED, EXCEPTION, NOT_WORKING = code(Reason.REQUESTED), code(Reason.EXCEPTION), code(Reason.NOT_WORKING)
TOO_MANY_SIGNALS = code(Reason.TOO_MANY_SIGNALS)


@jit
def call_on_bar(s, strategy, instrument):
    """Show the instrument's bar of this slice to one strategy and carry out what it asks for."""
    if book(s, strategy).stopped != RUNNING:
        return
    m, frame, a = market(s, instrument), call_frame(s), account(s)
    bar = frame.bar
    factor = m.adjustment
    bar.ts, bar.ts_open = m.ts_mark, m.ts_open
    bar.open, bar.high = m.open * factor / SCALE, m.high * factor / SCALE
    bar.low, bar.close = m.low * factor / SCALE, m.mark * factor / SCALE
    bar.volume, bar.open_interest = m.volume / factor, m.open_interest / factor
    frame.hook = HOOK_BAR
    _fill_context(s, strategy, instrument)
    code = _call(s, strategy, instrument)
    if code != PROGRAM_OK or frame.ctx.count != 0 or s.recorded != 0:
        _carry_out(s, strategy, instrument, m.bar_seq, m.ts_mark, a.ts, code)


@jit_call
def call_on_fill(s, k):
    """Tell a strategy about the k-th fill of this slice; orders it places meet the next bar."""
    f, frame = pending_fill(s, k), call_frame(s)
    if book(s, f.strategy).stopped != RUNNING:
        return
    seen = frame.fill
    seen.ts, seen.side, seen.qty, seen.order_id = f.ts, f.side, f.qty, f.order_id
    seen.price = f.px * market(s, f.instrument).adjustment / SCALE
    seen.fee = f.fee / SCALE
    frame.hook = HOOK_FILL
    _fill_context(s, f.strategy, f.instrument)
    code = _call(s, f.strategy, f.instrument)
    _carry_out(s, f.strategy, f.instrument, f.seq, account(s).ts, account(s).ts, code)


@jit
def _call(s, strategy, instrument):
    program = program_of(s, strategy)
    return call_program(program.address, program.memory + instrument * program.stride, program.frame)


@jit
def _fill_context(s, strategy, instrument):
    a, m, ctx = account(s), market(s, instrument), call_frame(s).ctx
    p = position(s, strategy, instrument)
    ctx.ts, ctx.instrument, ctx.strategy = a.ts, instrument, strategy
    ctx.position, ctx.working = p.qty, p.open_orders
    ctx.working_qty = p.working_buy + p.reducing_buy - p.working_sell - p.reducing_sell
    ctx.pending_qty = p.pending
    ctx.ready, ctx.warming = 0, m.warm_up
    ctx.entry_price = p.cost * m.adjustment / p.qty / SCALE if p.qty != 0 else 0.0
    ctx.cash, ctx.equity = free_cash(s) / SCALE, equity_of(s) / SCALE
    ctx.tick, ctx.lot = instrument_row(s, instrument).tick * m.adjustment / SCALE, instrument_row(s, instrument).lot
    ctx.price, ctx.count = m.mark / SCALE, 0


@jit_call
def _carry_out(s, strategy, here, cause, ts_event, ts_init, code):
    """Turn the call's intents into events; an exception or too many signals stops the strategy instead.

    Of the frame only the intents are read: a strategy may have written over the rest.
    """
    ctx, warming = call_frame(s).ctx, market(s, here).warm_up
    if s.recorded != 0:
        asked = 0 if warming != 0 else 1 if code != PROGRAM_OK or ctx.count > INTENTS else ctx.count
        if fold_answers(s, strategy, cause) != asked:
            s.differing += 1
        return
    if code != PROGRAM_OK or ctx.count > INTENTS:
        keep_frame(s, strategy)
        e = draft(s, FAULT, KERNEL, cause, ts_event, ts_init)
        e.instrument, e.strategy, e.code = here, strategy, call_frame(s).hook
        e.reason = EXCEPTION if code != PROGRAM_OK else TOO_MANY_SIGNALS
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
    instrument = here if intent.instrument == HERE else intent.instrument
    known = 0 <= instrument < rules(s).instruments
    tick = max(1, instrument_row(s, instrument).tick) if known else 1  # 0: not in this run, denied below
    factor = market(s, instrument).adjustment if known else 1.0
    signal.instrument, signal.strategy, signal.side = instrument, strategy, intent.side
    signal.order_type, signal.tif, signal.qty = intent.order_type, intent.tif, intent.qty
    signal.px = to_units(intent.price / factor, tick, SCALE)
    signal.trigger_px = to_units(intent.trigger_price / factor, tick, SCALE)
    signal.trail = to_units(intent.trail / factor, tick, SCALE)
    signal.expire_ts = intent.expire_ts
    signal.flags = intent.flags & MAY_ASK
    signal.value = intent.strength + 0.0 if intent.strength == intent.strength else 0.0  # no NaN, no -0.0 on tape
    if intent.action == CANCEL or intent.action == REPLACE:
        signal.side, signal.ref = 0, intent.ref
        signal.flags = 0 if intent.action == CANCEL else F_REPLACE
    elif known:
        signal.product = product_of(s, strategy, instrument, intent.product)
        _start_trailing(s, signal)
    link = intent.ref - 1 if 0 < intent.ref <= k else -1
    if signal.flags & HELD:
        signal.flags |= REDUCE_ONLY
    elif signal.flags & OCO:
        signal.parent = intents[link].signal if link >= 0 else signal.seq
    emit(s, signal)
    intent.signal, intent.order_id = signal.seq, 0
    if intent.action == CANCEL:
        _cancel(s, signal)
    elif intent.action == REPLACE:
        _replace(s, signal)
    elif signal.flags & HELD:
        submit_held(s, signal, intents[link].signal if link >= 0 else 0, intents[link].order_id if link >= 0 else 0)
    else:
        intent.order_id = submit(s, signal)


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
        if o.strategy == signal.strategy and o.status != ST_PENDING_CANCEL:
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
