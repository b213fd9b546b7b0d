from onetape import HOLD, Param, Rsi, Sma, buy, cancel, crossed_above, crossed_below, sell, sell_stop, strategy


@strategy
class SmaRsiStop:
    """Buy an SMA cross that RSI confirms, protect it with a stop, leave when the averages cross back."""

    fast = Param(10, low=2, high=200)
    slow = Param(30, low=3, high=400)
    rsi_period = Param(14, low=2, high=200)
    rsi_low = Param(50.0, low=0.0, high=100.0)
    rsi_high = Param(70.0, low=0.0, high=100.0)
    stop = Param(0.02, low=0.0001, high=0.9)
    quantity = Param(100, low=1)
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
