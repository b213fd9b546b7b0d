from onetape import (
    HOLD,
    Atr,
    Donchian,
    Float,
    Int,
    Param,
    buy,
    cancel,
    reduce_only,
    sell,
    sell_stop,
    strategy,
    whole_lots,
)


@strategy
class DonchianBreakout:
    """Turtles: buy a close above the high of 20 bars, add as it rises, leave below the low of 10, stop at 2 ATR.

    A unit risks the same wherever it is bought: `risk` of the equity for a move of one ATR. Every half ATR of profit
    adds one, up to `units`, and takes the stop of all of them up to `stop` ATR below the last. Long only; the Turtles'
    rule to pass over a breakout after a winner is left out.

    Source: the Turtles' System 1, taught by R. Dennis and W. Eckhardt, 1983; C. Faith, Way of the Turtle, 2007.
    Parameters: a longer `entry` trades less and later; `risk` times `units` times `stop` is what a false start costs;
    `most` caps the value of a unit, so that a calm instrument does not take all cash.
    Fails: in sideways markets, where most breakouts are false: a third of the trades win, and have to pay for the rest.
    A gap through the stop costs more than was risked.
    """

    entry = Param(20, low=2, high=500, doc="bars of the channel whose high is bought")
    leave = Param(10, low=2, high=500, doc="bars of the channel below whose low it is sold")
    period = Param(20, low=2, high=200, doc="bars of the average true range, N")
    risk = Param(0.002, low=0.0001, high=0.1, doc="share of the equity that a move of one ATR wins or loses, a unit")
    most = Param(0.05, low=0.001, high=1.0, doc="share of the equity a unit is worth at most")
    units = Param(4, low=1, high=10, doc="units at most")
    step = Param(0.5, low=0.1, high=10.0, doc="ATR of profit after which a unit is added")
    stop = Param(2.0, low=0.1, high=20.0, doc="ATR from the last fill to the stop")
    high = Donchian(entry)
    low = Donchian(leave)
    atr = Atr(period)
    n = Float()  # the ATR when the last unit was asked for
    paid = Float()
    held = Int()

    def on_bar(self, bar, ctx):
        if ctx.pending_qty != 0:
            return HOLD
        if ctx.position == 0:
            self.held = 0
        elif bar.close < self.low.previous_lower:
            cancel(ctx)
            return reduce_only(sell(ctx.position))
        first = ctx.position == 0 and bar.close > self.high.previous_upper
        more = 0 < self.held < self.units and bar.close >= self.paid + self.step * self.n
        if not (first or more) or not self.atr.value > 0.0:
            return HOLD
        share = min(self.most, self.risk * bar.close / self.atr.value)
        qty = whole_lots(min(share * ctx.equity / ctx.unit_value, 0.95 * ctx.cash / ctx.price), ctx.lot)
        self.n = self.atr.value
        return buy(qty) if qty > 0 else HOLD

    def on_fill(self, fill, ctx):
        if fill.side < 0:
            return HOLD
        self.held, self.paid = self.held + 1, fill.price
        cancel(ctx)
        return reduce_only(sell_stop(ctx.position, fill.price - self.stop * self.n))
