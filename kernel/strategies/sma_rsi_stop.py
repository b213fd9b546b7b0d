from onetape import HOLD, Param, Rsi, Sma, buy, cancel, crossed_above, crossed_below, sell, sell_stop, strategy


@strategy
class SmaRsiStop:
    """Buy an SMA cross that RSI confirms, protect it with a stop, leave when the averages cross back.

    The cross has to come with momentum, yet not after most of the move: RSI between two levels. The stop is sent with
    the fill, at a fixed share below its price.

    Source: crossings of averages as in J. J. Murphy, Technical Analysis of the Futures Markets, 1986; RSI of J. W.
    Wilder, New Concepts in Technical Trading Systems, 1978.
    Parameters: `rsi_low` and `rsi_high` are the filter (0 and 100 are none); `stop` has to be wider than what the
    instrument moves in a few bars, or it is noise that sells.
    Fails: in sideways markets, as every crossing does, where the stop only makes each loss smaller; in gaps through the
    stop.
    """

    fast = Param(10, low=2, high=200, doc="bars of the fast average")
    slow = Param(30, low=3, high=400, doc="bars of the slow average")
    rsi_period = Param(14, low=2, high=200, doc="bars of the RSI")
    rsi_low = Param(50.0, low=0.0, high=100.0, doc="RSI above which a cross counts")
    rsi_high = Param(70.0, low=0.0, high=100.0, doc="RSI below which it does")
    stop = Param(0.02, low=0.0001, high=0.9, doc="share of the fill's price down to the stop")
    quantity = Param(100, low=1, high=1_000_000_000, doc="units bought")
    fast_sma = Sma(fast)
    slow_sma = Sma(slow)
    rsi = Rsi(rsi_period)

    def on_bar(self, bar, ctx):
        if ctx.position == 0 and ctx.working == 0 and crossed_above(self.fast_sma, self.slow_sma):
            if self.rsi_low < self.rsi.value < self.rsi_high:
                return buy(self.quantity)
        if ctx.position > 0 and crossed_below(self.fast_sma, self.slow_sma):
            cancel(ctx)
            return sell(ctx.position)
        return HOLD

    def on_fill(self, fill, ctx):
        if fill.side > 0:
            return sell_stop(fill.qty, fill.price * (1.0 - self.stop))
        return HOLD
