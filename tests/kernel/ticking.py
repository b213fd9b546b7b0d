"""A strategy that decides by quotes and trades, and remembers what it was told."""

from onetape import HOLD, Float, Int, Param, buy, buy_limit, sell, strategy


@strategy
class Ticking:
    """Buys at the `buy_at`-th trade, sells at the `sell_at`-th quote; bars and fills are counted."""

    buy_at = Param(2, low=0)
    sell_at = Param(0, low=0)
    limit = Param(0.0, low=0.0)
    quotes = Int()
    trades = Int()
    bars = Int()
    told = Int()
    last = Float()
    spread = Float()

    def on_quote(self, quote, ctx):
        self.quotes += 1
        self.spread = quote.ask - quote.bid
        if self.quotes == self.sell_at:
            return sell(10)
        return HOLD

    def on_trade(self, trade, ctx):
        self.trades += 1
        self.last = trade.price
        if self.trades == self.buy_at:
            return buy_limit(10, self.limit) if self.limit > 0.0 else buy(10)
        return HOLD

    def on_fill(self, fill, ctx):
        self.told += 1

    def on_bar(self, bar, ctx):
        self.bars += 1
        return HOLD
