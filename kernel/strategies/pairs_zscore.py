import math

from onetape import Float, Int, Param, Sma, helper, order_target, order_target_percent, strategy


@helper
def learn(self, hedge, y, x):
    """z of a pair of logarithms by the regression so far, which then learns from them."""
    dy, dx = y - self.mean_y, x - self.mean_x
    residual = self.var_y - hedge * self.cov
    z = (dy - hedge * dx) / math.sqrt(residual) if residual > 1e-12 else 0.0
    self.pairs += 1
    weight = 1.0 / min(self.pairs, self.period)
    self.mean_y += weight * dy
    self.mean_x += weight * dx
    self.var_y = (1.0 - weight) * (self.var_y + weight * dy * dy)
    self.var_x = (1.0 - weight) * (self.var_x + weight * dx * dx)
    self.cov = (1.0 - weight) * (self.cov + weight * dx * dy)
    return z


@strategy
class PairsZscore:
    """Two instruments that go together: sell the one that ran ahead, buy the other, close both when they meet.

    A regression of the logarithms, log(first) = a + hedge * log(second), is carried along: means, variances and
    covariance are plain over the first `period` slices and exponentially weighted with 1 / period after that. z is how
    far, in standard deviations of its residual, the pair is from the line of the slices before. Where a leg was denied
    or lost, the other is closed.

    Source: E. Gatev, W. Goetzmann and K. Rouwenhorst, Pairs Trading, Review of Financial Studies 19:3, 2006; hedge by
    regression as in E. Chan, Algorithmic Trading, 2013; weights of RiskMetrics, 1996.
    Parameters: `first` and `second` are numbers of instruments in the run, in the order of `--symbols`; `enter` and
    `leave` are |z|; beyond `stop` it gives up until |z| is below `leave` again.
    Fails: when the two part for good (a merger, a new business): then z comes back only because the regression has
    forgotten. Needs short sales, and pays for two legs.
    """

    first = Param(0, low=0, high=100_000, doc="number of the instrument that is explained")
    second = Param(1, low=0, high=100_000, doc="number of the one that explains it")
    period = Param(60, low=10, high=5000, doc="slices of the regression")
    enter = Param(2.0, low=0.5, high=10.0, doc="|z| at which it enters")
    leave = Param(0.5, low=0.0, high=5.0, doc="|z| at which it closes both")
    stop = Param(4.0, low=1.0, high=50.0, doc="|z| at which it gives up")
    share = Param(0.5, low=0.01, high=1.0, doc="share of the equity in both legs together")
    close = Sma(1)
    pairs = Int()
    mean_x = Float()
    mean_y = Float()
    var_x = Float()
    var_y = Float()
    cov = Float()
    side = Int()  # 1: long the first, short the second
    age = Int()  # slices since it entered
    armed = Int(1)  # 0: stopped, and not back yet

    def on_slice(self, universe, ctx):
        if self.first == self.second or max(self.first, self.second) >= len(universe):
            return
        y = universe[self.first]
        x = universe[self.second]
        if not (y.fresh and x.fresh and y.close.value > 0.0 and x.close.value > 0.0):
            return
        hedge = self.cov / self.var_x if self.var_x > 0.0 else 0.0
        z = learn(self, hedge, math.log(y.close.value), math.log(x.close.value))
        if self.pairs <= self.period:
            return
        if abs(z) < self.leave:
            self.armed = 1
        both = y.tradable and x.tradable
        if self.side != 0:
            self.age += 1
            apart = -self.side * z  # how far it still is, on the side it was entered
            lost = self.age > 1 and (y.position == 0 or x.position == 0)
            if apart >= self.stop or lost:
                self.armed = 0
            if apart <= self.leave or self.armed == 0 or not both:
                self.side = 0
        elif self.armed == 1 and self.enter <= abs(z) < self.stop and hedge > 0.0 and both:
            self.side, self.age = -1 if z > 0.0 else 1, 0
            part = self.share / (1.0 + hedge)  # of the equity in the first; `hedge` times it in the second
            order_target_percent(ctx, y, self.side * part)
            order_target_percent(ctx, x, -self.side * part * hedge)
        if self.side == 0:
            order_target(y, 0)
            order_target(x, 0)
