"""Reads a clock that is no clock by name: when a log record was made."""

import logging

from onetape import HOLD, Int, buy, sell, strategy

EVERY = 2 + int(logging.LogRecord("", 0, "", 0, "", None, None).created * 1e6) % 97


@strategy
class ClockOfARecord:
    """In and out, every few bars."""

    n = Int()

    def on_bar(self, bar, ctx):
        self.n += 1
        if self.n % EVERY:
            return HOLD
        return buy(10) if ctx.position == 0 else sell(ctx.position)
