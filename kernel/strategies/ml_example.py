import math
from collections import deque

import numpy as np

from onetape import Param, PythonStrategy, RealizedVolatility, Roc, Rsi, ZScore, target

FEATURES = 6  # with the constant


class MlExample(PythonStrategy):
    """Learn online when a rise over the next bars pays its costs, by logistic regression; hold while that is likely.

    Each bar gives a row of features, each about 1 in size and cut at 3: the last return and that of `horizon` bars in
    units of what returns usually are, the RSI, the z-score, volatility against its slower self. `horizon` bars on it is
    known whether the price rose by more than `cost`; only then the row is learnt from, by one step of gradient descent.
    So what decides at a bar was learnt from bars before it, and from those only. Every instrument has weights of its
    own. Bought when the probability is above `enter`, sold once it is below `leave`.

    Source: online logistic regression, C. Bishop, Pattern Recognition and Machine Learning, 4.3; labels that wait for
    their outcome: M. López de Prado, Advances in Financial Machine Learning, chapters 3 and 7.
    Parameters: `cost` is what a round trip takes, as a share, and belongs to the market; a wide gap between `enter` and
    `leave` trades less. `rate` and `decay` say how fast it learns and forgets.
    Fails: on prices that have no memory, which is most of them: then the probability is the share of bars that rise
    enough, and it hardly trades. When what it learnt ends, it finds out late. Sizes are the same whatever the
    volatility.
    """

    horizon = Param(10, low=1, high=500, doc="bars over which a rise is foretold")
    cost = Param(0.0005, low=0.0, high=0.1, doc="what a round trip takes, as a share of the price: less is no rise")
    enter = Param(0.55, low=0.01, high=0.99, doc="probability above which it buys")
    leave = Param(0.45, low=0.01, high=0.99, doc="probability below which it sells")
    learn = Param(100, low=1, high=100_000, doc="rows to learn from before the first trade")
    rate = Param(0.05, low=0.0001, high=1.0, doc="size of a step of learning")
    decay = Param(0.001, low=0.0, high=0.1, doc="share by which a step forgets what was learnt")
    lots = Param(1, low=1, high=10_000, doc="lots bought")
    step = Roc(1)
    move = Roc(horizon)
    rsi = Rsi(14)
    zscore = ZScore(20)
    quick = RealizedVolatility(20, 1.0)
    slow = RealizedVolatility(100, 1.0)

    def start(self):
        self.learnt = {}

    def on_bar(self, bar, ctx):
        one = self.learnt.get(ctx.instrument)
        if one is None:
            one = self.learnt[ctx.instrument] = Learner(self.horizon)
        row = self.features()
        one.learn(bar.close, self.cost, self.rate, self.decay)
        one.remember(row, bar.close)
        if one.rows < self.learn:
            return None
        likely = one.probability(row)
        if likely > self.enter:
            return target(ctx, self.lots * ctx.lot)
        return target(ctx, 0) if likely < self.leave else None

    def features(self):
        """The row of this bar: FEATURES numbers, the first of them 1."""
        usual = 100.0 * self.slow.value
        if not usual > 0.0:
            return np.array([1.0] + [0.0] * (FEATURES - 1))
        return np.array(
            [
                1.0,
                cut(self.step.value / usual),
                cut(self.move.value / (usual * math.sqrt(self.horizon))),
                cut(self.rsi.value / 20.0 - 2.5),
                cut(self.zscore.value),
                cut(self.quick.value / self.slow.value - 1.0),
            ]
        )


class Learner:
    """Weights of one instrument, and the rows whose outcome is not known yet."""

    def __init__(self, horizon):
        self.weights, self.rows = np.zeros(FEATURES), 0
        self.horizon, self.waiting = horizon, deque()

    def probability(self, row):
        """Of a rise that pays. Summed in numpy's own order: that of `@` is the machine's."""
        z = float(np.add.reduce(self.weights * row))
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))

    def remember(self, row, price):
        self.waiting.append((row, price))

    def learn(self, price, cost, rate, decay):
        """A step of gradient descent on the row of `horizon` bars ago, now that its outcome is known."""
        if len(self.waiting) < self.horizon:
            return
        row, before = self.waiting.popleft()
        rose = 1.0 if price > before * (1.0 + cost) else 0.0
        self.weights = self.weights * (1.0 - rate * decay) + rate * (rose - self.probability(row)) * row
        self.rows += 1


def cut(x):
    """A number between -3 and 3."""
    return max(-3.0, min(3.0, x))
