"""Recorded rows in the place of decisions: memory is made anew by other code, orders and money come from the tape.

`s.recorded` makes the step take a tape's own rows, outputs included. Nothing is decided then: a strategy is called as
it would be, what it asks for is dropped, and what was recorded of that call is folded in its place, so that the next
call sees the account as it was.
"""

from kernel.codes import Flag, Kind, Origin, Reason, code
from kernel.evolve import evolve
from kernel.frame import HERE, INTENTS
from kernel.jit import jit, jit_call, jit_shared
from kernel.tables import call_frame, input_event

SIGNAL, FAULT = code(Kind.SIGNAL), code(Kind.STRATEGY_FAULT)
EXTERNAL, BAR, ON_SLICE = code(Origin.EXTERNAL), code(Kind.BAR), code(Flag.ON_SLICE)
NONE = code(Reason.NONE)
ANY = 2**31 - 1  # answers: as many as there are


@jit_shared
def fold_answers(s, strategy, cause, on_slice, most):
    """Fold the recorded answers to one call: its signals or its fault, and all they led to; with strategy 0, what comes
    before the first of any. `on_slice` is that flag for a call of the whole slice, else 0; after `most` answers come
    those to the next call. Returns how many signals or faults, -1 when a signal is another than was just asked for."""
    answers, others = 0, 0
    while s.next < s.limit:
        e = input_event(s, s.next)
        if e.origin == EXTERNAL or e.kind == BAR:  # a bar made of ticks has decisions of its own
            break
        own = (
            e.kind == SIGNAL and e.reason != NONE and strategy == 0 and e.cause == cause
        )  # the kernel's: it closes what a timer is for
        if (e.kind == SIGNAL and not own) or e.kind == FAULT:
            if e.strategy != strategy or e.cause != cause or e.flags & ON_SLICE != on_slice or answers >= most:
                break
            intents = call_frame(s).ctx.intents
            if e.kind == SIGNAL and on_slice == 0 and (answers >= INTENTS or _is_another(intents[answers], e)):
                others += 1
            answers += 1
        evolve(s, e)
        s.next += 1
    return answers if others == 0 else -1


@jit
def _is_another(intent, signal):
    """Whether a call asked for something else than was recorded; prices are left to the tick."""
    terms = intent.side != signal.side or intent.qty != signal.qty or intent.order_type != signal.order_type
    return terms or (intent.instrument != HERE and intent.instrument != signal.instrument)


@jit_call
def fold_rest(s):
    """Fold what is left of the slice's decisions: those that other code made in an order of its own."""
    while s.next < s.limit and input_event(s, s.next).origin != EXTERNAL and input_event(s, s.next).kind != BAR:
        evolve(s, input_event(s, s.next))
        s.next += 1
