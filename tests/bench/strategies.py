"""The two benchmark strategies, as a user would write them (spec: signals from bar 500 on, ties decided by 1e-6)."""

from onetape import HOLD, Ema, Param, Rsi, Sma, buy, cancel, sell, sell_stop, strategy

EPS = 1e-6


@strategy
class Light:
    """EMA(10) against EMA(30)."""

    quantity = Param(100, low=1)
    warmup = 501
    fast = Ema(10)
    slow = Ema(30)

    def on_bar(self, bar, ctx):
        spread = self.fast.value - self.slow.value
        before = self.fast.previous - self.slow.previous
        if ctx.position == 0:
            if spread > EPS and before <= EPS:
                return buy(self.quantity)
        elif spread < -EPS and before >= -EPS:
            return sell(ctx.position)
        return HOLD


@strategy
class Heavy:
    """SMA(10) against SMA(30), RSI(14) between 50 and 70, a resting 2 % stop."""

    quantity = Param(100, low=1)
    warmup = 501
    fast = Sma(10)
    slow = Sma(30)
    rsi = Rsi(14)

    def on_bar(self, bar, ctx):
        spread = self.fast.value - self.slow.value
        before = self.fast.previous - self.slow.previous
        if ctx.position == 0:
            if spread > EPS and before <= EPS and 50.0 < self.rsi.value < 70.0:
                return buy(self.quantity)
        elif spread < -EPS and before >= -EPS:
            cancel(ctx)
            return sell(ctx.position)
        return HOLD

    def on_fill(self, fill, ctx):
        if fill.side > 0:
            return sell_stop(fill.qty, fill.price * 0.98)
        return HOLD
