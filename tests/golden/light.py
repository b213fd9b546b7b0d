"""The light strategy of the peer benchmark (../shared/bench/common.py)."""

from onetape import HOLD, Ema, Param, buy, sell, strategy

EPS = 1e-6


@strategy
class Light:
    """EMA 10 over EMA 30, from bar 500 on."""

    quantity = Param(100, low=1)
    warmup = 501
    fast = Ema(10)
    slow = Ema(30)

    def on_bar(self, bar, ctx):
        now = self.fast.value - self.slow.value
        before = self.fast.previous - self.slow.previous
        if ctx.position == 0:
            if now > EPS and before <= EPS:
                return buy(self.quantity)
        elif now < -EPS and before >= -EPS:
            return sell(ctx.position)
        return HOLD
