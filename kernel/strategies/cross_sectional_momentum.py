from onetape import Float, Int, Param, Roc, order_target_percent, strategy


@strategy
class CrossSectionalMomentum:
    """Hold the instruments that rose most over a year, without its last month; choose anew every month.

    What rose more than others goes on to for some months; the last month is left out because it tends to turn back.
    Sales go out one slice before purchases, which need their cash.

    Source: N. Jegadeesh and S. Titman, Returns to Buying Winners and Selling Losers, Journal of Finance 48:1, 1993; the
    condition of a rise as in G. Antonacci, Dual Momentum Investing, 2014.
    Parameters: `lookback` and `skip` are the 12 and the 1 of "12-1" in daily bars; `keep` instruments are held, fewer
    where fewer rose more than `least`, and the rest is cash.
    Fails: when markets turn sharply, above all after crashes, when last year's losers rise most; with few instruments
    it is a bet on two or three of them.
    """

    lookback = Param(252, low=2, high=2000, doc="bars over which the rise is measured")
    skip = Param(21, low=1, high=500, doc="of them, the last bars that do not count")
    keep = Param(3, low=1, high=100, doc="instruments held")
    every = Param(21, low=2, high=2000, doc="slices from one choice to the next")
    least = Param(0.0, low=-1.0, high=10.0, doc="rise below which cash is held instead")
    invested = Param(0.95, low=0.01, high=1.0, doc="share of the equity in all of them")
    whole = Roc(lookback)
    last = Roc(skip)
    rise = Float()
    chosen = Int()
    slices = Int()

    def on_slice(self, universe, ctx):
        step = self.slices % self.every
        self.slices += 1
        if step == 0:
            for one in universe:
                usable = one.ready and one.tradable
                one.rise = (100.0 + one.whole.value) / (100.0 + one.last.value) - 1.0 if usable else -1.0
            for one in universe:
                stronger = 0
                for other in universe:
                    tied = other.rise == one.rise and other.instrument < one.instrument
                    stronger += int(other.rise > one.rise or tied)
                one.chosen = int(one.rise > self.least and stronger < self.keep)
                if one.chosen == 0:
                    order_target_percent(ctx, one, 0.0)
        if step == 1:
            for one in universe:
                if one.chosen == 1 and one.tradable:
                    order_target_percent(ctx, one, self.invested / self.keep)
