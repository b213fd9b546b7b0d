"""What is looked at after every slice: losses, falls, errors. What a guard finds is an event, and only that acts.

A guard of the account trips the kill switch (`trip_level`), one of a strategy stops that strategy until a person
resumes it. The switch only rises; its level is part of the state, so it outlives any restart, and only a person resets
it.
"""

from kernel.codes import KillLevel, Kind, Reason, code
from kernel.events import KERNEL, draft, emit
from kernel.jit import jit, jit_call, jit_shared
from kernel.limits import MINUTE, of_last
from kernel.submit import OPENS, cancel_position
from kernel.tables import account, book, limits, market, rules, tally
from kernel.units import SHARE, UP, mul_div

TRIPPED = code(Kind.TRIPPED)
CANCEL_ALL = code(KillLevel.CANCEL_ALL)
DAY_LOSS, DRAWDOWN = code(Reason.DAY_LOSS), code(Reason.DRAWDOWN)
STRATEGY_STOPPED = code(Reason.STRATEGY_STOPPED)
REJECT_RATE, ERROR_RATE = code(Reason.REJECT_RATE), code(Reason.ERROR_RATE)


@jit
def look_at_guards(s, cause, ts_event, ts_init):
    """Trip what is to be tripped; returns whether the account's switch was."""
    if account(s).guarded == 0:
        return False
    return _look(s, cause, ts_event, ts_init)


@jit_call
def _look(s, cause, ts_event, ts_init):
    level = account(s).kill_level
    for strategy in range(rules(s).strategies + 1):
        if strategy > 0 and book(s, strategy).stopped != 0:
            continue
        limit, t = limits(s, strategy), tally(s, strategy)
        if limit.max_day_loss > 0 and t.day_result - t.result > limit.max_day_loss:
            _trip(s, strategy, DAY_LOSS, t.day_result - t.result, limit.max_day_loss, cause, ts_event, ts_init)
        elif limit.max_drawdown > 0 and _fall_of(s, strategy) > limit.max_drawdown:
            _trip(s, strategy, DRAWDOWN, _fall_of(s, strategy), limit.max_drawdown, cause, ts_event, ts_init)
    a, limit, last = account(s), limits(s, 0), rules(s).strategies
    if limit.max_rejects_minute > 0:
        found = of_last(s, last + 1, a.rejects, a.ts, MINUTE)
        if found > limit.max_rejects_minute:
            _trip(s, 0, REJECT_RATE, found, limit.max_rejects_minute, cause, ts_event, ts_init)
    if limit.max_errors_minute > 0:
        found = of_last(s, last + 2, a.errors, a.ts, MINUTE)
        if found > limit.max_errors_minute:
            _trip(s, 0, ERROR_RATE, found, limit.max_errors_minute, cause, ts_event, ts_init)
    return account(s).kill_level > level


@jit
def _fall_of(s, strategy):
    """The fall from the peak as a share of it, 1e-9; of a strategy's result, as a share of the account's peak."""
    t, whole = tally(s, strategy), tally(s, 0).peak
    if whole <= 0 or t.peak <= t.result:
        return 0
    return mul_div(t.peak - t.result, SHARE, whole, UP)


@jit_shared
def _trip(s, strategy, reason, measured, bound, cause, ts_event, ts_init):
    level = limits(s, 0).trip_level
    level = CANCEL_ALL if level == 0 else level
    if strategy == 0 and account(s).kill_level >= level:
        return
    e = draft(s, TRIPPED, KERNEL, cause, ts_event, ts_init)
    e.strategy, e.reason, e.measured, e.bound = strategy, reason, measured, bound
    e.level = level if strategy == 0 else 0
    emit(s, e)
    if strategy > 0:
        take_back(s, e, strategy)


@jit_call
def take_back(s, cause, strategy):
    """Take back what a strategy that was stopped has working to open."""
    for instrument in range(rules(s).instruments):
        if market(s, instrument).order_head >= 0:
            cancel_position(s, cause, strategy, instrument, STRATEGY_STOPPED, OPENS)
