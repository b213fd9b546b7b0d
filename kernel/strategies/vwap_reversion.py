from onetape import (
    DAY,
    HOLD,
    INTRADAY,
    Int,
    Param,
    Vwap,
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
class VwapReversion:
    """Fade what strays from the session's average price: in when it comes back inside a band, out at the VWAP.

    Large orders are worked around the volume-weighted average price and pull prices to it. Nothing is bought in the
    first `settle` minutes, when the bands are made of few trades; all is closed `hold` minutes after the opening.
    Positions are INTRADAY, so that `--square-off` closes them as well. The session opens when the calendar says, or the
    first bar.

    Source: S. Berkowitz, D. Logue and E. Noser, The Total Cost of Transactions on the NYSE, Journal of Finance 43:1,
    1988 (VWAP); B. Shannon, Maximum Trading Gains with Anchored VWAP, 2023 (trading around it).
    Parameters: a larger `multiple` asks for a rarer stretch; `stop` is in deviations beyond the band that was crossed.
    Fails: on trend days, when the average never catches up with the price; on instruments whose costs are large beside
    the band. Without volume (an index) or on daily bars it never trades.
    """

    multiple = Param(2.0, low=0.5, high=5.0, doc="deviations from the VWAP to a band")
    stop = Param(1.0, low=0.1, high=10.0, doc="deviations from the band to the stop")
    settle = Param(30, low=1, high=1440, doc="minutes after the opening before it trades")
    hold = Param(360, low=2, high=1440, doc="minutes after the opening at which it leaves")
    share = Param(0.1, low=0.001, high=1.0, doc="share of the equity in an instrument")
    short = Param(1, low=0, high=1, doc="1: sells short at the upper band as well")
    vwap = Vwap(multiple)
    session = Int(-1)
    opened = Int()  # ns UTC
    calendar = Int()  # 1: the run has one for it, so that a bar without `session_open` is outside its hours
    outside = Int()  # the last close: 1 above the upper band, -1 below the lower one

    def on_bar(self, bar, ctx):
        stale = bar.session != self.session
        if stale:
            self.session, self.opened, self.outside = bar.session, bar.ts_open, 0
        if bar.session_open > 0:
            self.calendar, self.opened = 1, bar.session_open
        before = self.outside
        self.outside = int(bar.close > self.vwap.upper) - int(bar.close < self.vwap.lower)
        if ctx.pending_qty != 0:
            return HOLD
        minutes = (bar.ts - self.opened) // MINUTE
        late = minutes >= self.hold or (self.calendar == 1 and bar.session_open == 0)
        side = 1 if ctx.position > 0 else -1
        if ctx.position != 0:
            back = side * (bar.close - self.vwap.value) >= 0.0
            return leave(ctx) if back or stale or late else HOLD
        if self.outside != 0 or before == 0 or late or minutes < self.settle:
            return HOLD
        if before * (bar.close - self.vwap.value) <= 0.0 or (before > 0 and self.short == 0):
            return HOLD
        qty = whole_lots(min(self.share * ctx.equity / ctx.unit_value, 0.95 * ctx.cash / ctx.price), ctx.lot)
        if qty > 0 and before < 0:
            bracket(ctx, of_the_day(buy(qty)), stop_loss=self.vwap.lower - self.stop * self.vwap.deviation)
        elif qty > 0:
            bracket(ctx, of_the_day(sell(qty)), stop_loss=self.vwap.upper + self.stop * self.vwap.deviation)
        return HOLD
