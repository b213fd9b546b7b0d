from onetape import (
    DAY,
    HOLD,
    INTRADAY,
    Int,
    OpeningRange,
    Param,
    bracket,
    buy,
    cancel,
    helper,
    reduce_only,
    sell,
    strategy,
    whole_lots,
    with_product,
    with_tif,
)

MINUTE = 60_000_000_000
LONG, SHORT = 1, 2


@helper
def sized(self, bar, ctx, distance):
    """Whole lots that lose `risk` of the equity over `distance`, worth at most `share` of it and the free cash."""
    share = min(self.share, self.risk * bar.close / distance)
    return whole_lots(min(share * ctx.equity / ctx.unit_value, 0.95 * ctx.cash / ctx.price), ctx.lot)


@helper
def of_the_day(signal):
    """The same order as an intraday one, which the run's square-off closes, and gone with the session."""
    return with_product(with_tif(signal, DAY), INTRADAY)


@helper
def leave(ctx):
    """Take the stop back and close the position."""
    cancel(ctx)
    return reduce_only(sell(ctx.position) if ctx.position > 0 else buy(-ctx.position))


@strategy
class OpeningRangeBreakout:
    """Follow the first close outside the session's opening range; stop at its other side, flat before the close.

    The first minutes hold the night's news; the side on which they are left is often the day's. Each side is tried once
    a day. It leaves `hold` minutes after the session opened; positions are INTRADAY, so that `--square-off` closes them
    as well. The session opens when the calendar says, without one with the day's first bar.

    Source: T. Crabel, Day Trading with Short Term Price Patterns and Opening Range Breakout, 1990.
    Parameters: longer `minutes` give a wider range, fewer trades and a farther stop; `risk` is what the stop costs;
    `hold` has to end within the session: 360 of NSE's 375 minutes, of New York's 390.
    Fails: on days without direction, when the range is left and found again, and where costs are large beside the
    range. A daily bar has no opening range: there it never trades.
    """

    minutes = Param(15, low=1, high=240, doc="minutes of the opening range")
    hold = Param(360, low=2, high=1440, doc="minutes after the opening at which it leaves")
    risk = Param(0.005, low=0.0001, high=0.1, doc="share of the equity between entry and stop")
    share = Param(0.1, low=0.001, high=1.0, doc="share of the equity a position is worth at most")
    short = Param(1, low=0, high=1, doc="1: sells short below the range as well")
    range = OpeningRange(minutes)
    session = Int(-1)
    opened = Int()  # ns UTC
    calendar = Int()  # 1: the run has one for it, so that a bar without `session_open` is outside its hours
    tried = Int()  # sides of the day: LONG, SHORT, both

    def on_bar(self, bar, ctx):
        stale = bar.session != self.session
        if stale:
            self.session, self.opened, self.tried = bar.session, bar.ts_open, 0
        if bar.session_open > 0:
            self.calendar, self.opened = 1, bar.session_open
        if ctx.pending_qty != 0:
            return HOLD
        outside = self.calendar == 1 and bar.session_open == 0
        late = outside or bar.ts >= self.opened + self.hold * MINUTE
        if ctx.position != 0:  # one of another day is a position that could not be closed in time
            return leave(ctx) if late or stale else HOLD
        if late:
            return HOLD
        if bar.close > self.range.upper and self.tried & LONG == 0:
            self.tried |= LONG
            qty = sized(self, bar, ctx, bar.close - self.range.lower)
            if qty > 0:
                bracket(ctx, of_the_day(buy(qty)), stop_loss=self.range.lower)
        elif bar.close < self.range.lower and self.tried & SHORT == 0 and self.short == 1:
            self.tried |= SHORT
            qty = sized(self, bar, ctx, self.range.upper - bar.close)
            if qty > 0:
                bracket(ctx, of_the_day(sell(qty)), stop_loss=self.range.upper)
        return HOLD
