from onetape import HOLD, Ema, Param, buy, crossed_above, crossed_below, sell, strategy


@strategy
class EmaCross:
    """Buy when the fast EMA crosses above the slow one; sell when it crosses back."""

    fast = Param(10, low=2, high=200)
    slow = Param(30, low=3, high=400)
    quantity = Param(100, low=1)
    fast_ema = Ema(fast)
    slow_ema = Ema(slow)

    def on_bar(self, bar, ctx):
        if ctx.position == 0 and crossed_above(self.fast_ema, self.slow_ema):
            return buy(self.quantity)
        if ctx.position > 0 and crossed_below(self.fast_ema, self.slow_ema):
            return sell(ctx.position)
        return HOLD
