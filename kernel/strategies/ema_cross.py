from onetape import HOLD, Ema, Param, buy, crossed_above, crossed_below, sell, strategy


@strategy
class EmaCross:
    """Buy when the fast EMA crosses above the slow one; sell when it crosses back.

    Two averages that weigh the last bars most: their cross is a change of trend, noticed late and followed to its end.

    Source: exponential smoothing of P. N. Haurlan, Measuring Trend Values, 1968; crossings of two averages as in J. J.
    Murphy, Technical Analysis of the Futures Markets, 1986.
    Parameters: `fast` below `slow`; both longer trade less and later. The farther they are apart, the fewer false
    crosses.
    Fails: in sideways markets, where the averages cross and cross back, each time at a small loss; it has no stop.
    """

    fast = Param(10, low=2, high=200, doc="bars of the fast average")
    slow = Param(30, low=3, high=400, doc="bars of the slow average")
    quantity = Param(100, low=1, high=1_000_000_000, doc="units bought")
    fast_ema = Ema(fast)
    slow_ema = Ema(slow)

    def on_bar(self, bar, ctx):
        if ctx.position == 0 and crossed_above(self.fast_ema, self.slow_ema):
            return buy(self.quantity)
        if ctx.position > 0 and crossed_below(self.fast_ema, self.slow_ema):
            return sell(ctx.position)
        return HOLD
