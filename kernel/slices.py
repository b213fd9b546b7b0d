"""Calls for a whole slice: a strategy sees all instruments of the run at once, and says what it wants to hold of each.

The call comes after every on_bar of the slice. What `order_target` set is carried out when it is over, an instrument
a step: first what reduces a position, then what opens one, so that what the first free is there for the second.
"""

from kernel.amounts import equity_of, free_cash, unit_value
from kernel.codes import Flag, Kind, OrderType, TimeInForce, code
from kernel.decide import call, carry_out, product_of
from kernel.events import KERNEL, draft, emit
from kernel.evolve import RUNNING
from kernel.frame import HOOK_SLICE, INTENTS, NOWHERE, PROGRAM_OK
from kernel.jit import jit, jit_call
from kernel.limits import LISTED, capital_of
from kernel.submit import submit
from kernel.tables import (
    account,
    book,
    call_frame,
    instrument_row,
    market,
    member,
    position,
    program_of,
    rules,
    tally,
    touched,
    zone,
)
from kernel.trading_day import DAY
from kernel.units import SCALE

SIGNAL, MARKET, GTC = code(Kind.SIGNAL), code(OrderType.MARKET), code(TimeInForce.GTC)
ON_SLICE, WARM_UP = code(Flag.ON_SLICE), code(Flag.WARM_UP)


@jit
def slice_steps(s):
    """Steps of one slice's calls: for each strategy the call itself, and twice through the instruments."""
    if program_of(s, 0).on_slice == 0:
        return 0
    return rules(s).strategies * (1 + 2 * rules(s).instruments)


@jit_call
def call_on_slice(s, step):
    """One step of those calls."""
    instruments = rules(s).instruments
    steps = 1 + 2 * instruments
    strategy, part = step // steps + 1, step % steps
    if program_of(s, strategy).on_slice == 0 or book(s, strategy).stopped != RUNNING:
        return
    if part == 0:
        _ask(s, strategy)
    elif s.recorded == 0:
        _carry_aim(s, strategy, (part - 1) % instruments, part > instruments)


@jit
def _ask(s, strategy):
    a, frame = account(s), call_frame(s)
    for instrument in range(rules(s).instruments):
        _show(s, strategy, instrument)
    for k in range(a.touched):
        member(s, strategy, touched(s, k).instrument).fresh = 1
    last = market(s, touched(s, a.touched - 1).instrument)
    frame.hook, frame.slice.ts, frame.slice.count = HOOK_SLICE, a.ts, rules(s).instruments
    _fill_context(s, strategy, last.warm_up & WARM_UP)
    answer = call(s, strategy, 0)
    dropped = answer != PROGRAM_OK or frame.ctx.count > INTENTS or last.warm_up & WARM_UP != 0
    aims = 0
    for instrument in range(rules(s).instruments):
        aims += _note_aim(s, strategy, instrument, dropped or s.recorded != 0)
    carry_out(s, strategy, NOWHERE, last.bar_seq, last.ts_bar, a.ts, answer, aims)


@jit
def _show(s, strategy, instrument):
    """Write what a strategy is shown of an instrument into the head of its memory there."""
    one, p, m, row = (
        member(s, strategy, instrument),
        position(s, strategy, instrument),
        market(s, instrument),
        instrument_row(s, instrument),
    )
    one.instrument, one.fresh, one.ready = instrument, 0, 1 if one.bars_seen >= one.bars_needed else 0
    one.tradable = 1 if row.selected == LISTED and p.barred == 0 and m.ended == 0 else 0
    one.position, one.pending_qty, one.working = p.qty, p.pending, p.open_orders
    one.lot, one.price, one.unit_value = row.lot, m.mark / row.px_scale, unit_value(s, instrument)
    one.regime, one.direction = m.regime, m.direction
    one.underlying, one.right, one.strike = row.underlying, row.right, row.strike / row.px_scale
    today = (account(s).ts + zone(s, instrument).utc_offset) // DAY
    one.days_left = row.last_day - today if row.last_day > 0 else -1
    one.aimed, one.aim_qty = 0, 0


@jit
def _fill_context(s, strategy, warming):
    """The context of a call that is for no instrument: of the account only."""
    ctx = call_frame(s).ctx
    ctx.ts, ctx.instrument, ctx.strategy = account(s).ts, NOWHERE, strategy
    ctx.position, ctx.working, ctx.working_qty, ctx.pending_qty = 0, 0, 0, 0
    ctx.ready, ctx.warming, ctx.entry_price, ctx.price = 1, warming, 0.0, 0.0
    ctx.cash, ctx.equity = free_cash(s, 0) / SCALE, equity_of(s) / SCALE
    ctx.capital = ctx.equity
    if capital_of(s, strategy) > 0:
        ctx.capital = max(0, capital_of(s, strategy) + tally(s, strategy).result) / SCALE
    ctx.tick, ctx.unit_value, ctx.lot, ctx.count = 0.0, 0.0, 1, 0
    ctx.regime, ctx.direction, ctx.adjustment = 0, 0, 1.0


@jit
def _note_aim(s, strategy, instrument, dropped):
    """Keep of an aim what is missing to it, as the strategy saw things; returns 1 where an order follows."""
    one = member(s, strategy, instrument)
    missing = one.aim_qty - one.position - one.pending_qty if one.aimed != 0 else 0
    one.aimed, one.aim_qty = (0, 0) if dropped or missing == 0 else (1, missing)
    return 1 if missing != 0 else 0


@jit
def _carry_aim(s, strategy, instrument, opening):
    one, p = member(s, strategy, instrument), position(s, strategy, instrument)
    if one.aimed == 0:
        return
    held, missing = p.qty + p.pending, one.aim_qty
    if not opening and (held * (held + missing) < 0 or abs(held + missing) > abs(held)):
        return
    one.aimed, one.aim_qty = 0, 0
    last, a = market(s, touched(s, account(s).touched - 1).instrument), account(s)
    signal = draft(s, SIGNAL, KERNEL, last.bar_seq, last.ts_bar, a.ts)
    signal.instrument, signal.strategy, signal.flags = instrument, strategy, ON_SLICE
    signal.side, signal.qty = 1 if missing > 0 else -1, abs(missing)
    signal.order_type, signal.tif = MARKET, GTC
    signal.product = product_of(s, strategy, instrument, 0)
    emit(s, signal)
    submit(s, signal)
