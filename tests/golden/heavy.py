"""The heavy strategy of the peer benchmark (../shared/bench/common.py)."""

from onetape import HOLD, Param, Rsi, Sma, buy, cancel, sell, sell_stop, strategy

EPS = 1e-6


@strategy
class Heavy:
    """SMA 10 over SMA 30 where RSI 14 agrees, with a stop 2 % below the fill, from bar 500 on."""

    quantity = Param(100, low=1)
    warmup = 501
    fast = Sma(10)
    slow = Sma(30)
    rsi = Rsi(14)

    def on_bar(self, bar, ctx):
        now = self.fast.value - self.slow.value
        before = self.fast.previous - self.slow.previous
        if ctx.position == 0:
            if now > EPS and before <= EPS and 50.0 < self.rsi.value < 70.0:
                return buy(self.quantity)
        elif now < -EPS and before >= -EPS:
            cancel(ctx)
            return sell(ctx.position)
        return HOLD

    def on_fill(self, fill, ctx):
        if fill.side > 0:
            return sell_stop(fill.qty, fill.price * 0.98)
        return HOLD
