"""The two benchmark strategies, as a user would write them (spec: signals from bar 500 on, ties decided by 1e-6), and two
that send or keep many orders."""

from onetape import (
    HOLD,
    Ema,
    Int,
    Param,
    Rsi,
    Sma,
    buy,
    buy_limit,
    cancel,
    place,
    sell,
    sell_limit,
    sell_stop,
    strategy,
)

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


@strategy
class Orders:
    """An order every bar: nine that open, then one that closes."""

    quantity = Param(1, low=1)

    def on_bar(self, bar, ctx):
        if ctx.position >= 9 * self.quantity:
            return sell(ctx.position)
        return buy(self.quantity)


@strategy
class Resting:
    """`count` limit orders in each of the first `symbols` instruments, 20 to 80 % from the first price."""

    count = Param(16, low=1)
    symbols = Param(1, low=1)
    sent = Int()

    def on_bar(self, bar, ctx):
        if ctx.instrument >= self.symbols:
            return HOLD
        k = 0
        while k < 16 and self.sent < self.count:
            away = 0.2 + 0.6 * self.sent / self.count
            if self.sent % 2 == 0:
                place(ctx, buy_limit(1, bar.close * (1.0 - away)))
            else:
                place(ctx, sell_limit(1, bar.close * (1.0 + away)))
            self.sent += 1
            k += 1
        return HOLD
