from onetape import HOLD, RANGE, TREND, VOLATILE, Float, Int, Param, Sma, Vwap, helper, order_target, strategy

MINUTE = 60_000_000_000
NONE = -1
CALL, PUT = 1, -1


@helper
def first_underlying(universe):
    """The number of the first instrument that has an option in the run."""
    found = NONE
    for one in universe:
        if one.right != 0 and one.underlying >= 0 and (found == NONE or one.underlying < found):
            found = one.underlying
    return found


@helper
def nearest_expiry(universe, root, last_days):
    """The fewest days to go, at least `last_days`, of the options that can be traded; NONE without any."""
    found = NONE
    for one in universe:
        if one.right != 0 and one.underlying == root and one.tradable != 0 and one.days_left >= last_days:
            if found == NONE or one.days_left < found:
                found = one.days_left
    return found


@helper
def option_at(universe, root, days, right, strike):
    """The number of the option with a bar in this slice; NONE without one."""
    for one in universe:
        if one.underlying == root and one.right == right and one.strike == strike and one.days_left == days:
            if one.fresh != 0 and one.ready != 0 and one.tradable != 0:
                return one.instrument
    return NONE


@helper
def nearest_call(universe, root, days, price):
    """The number of the call whose strike is next to a price, the lower of two, and that has its put; NONE without."""
    found, least, at = NONE, 0.0, 0.0
    for one in universe:
        if one.right != CALL or one.underlying != root or one.days_left != days or one.fresh == 0 or one.ready == 0:
            continue
        away = abs(one.strike - price)
        if found == NONE or away < least or (away == least and one.strike < at):
            if one.tradable != 0 and option_at(universe, root, days, PUT, one.strike) != NONE:
                found, least, at = one.instrument, away, one.strike
    return found


@helper
def gain_of(universe):
    """What the open legs have gained so far, charges aside, in the account's currency."""
    gain = 0.0
    for one in universe:
        if one.position != 0:
            gain += one.position * one.unit_value - one.paid * one.unit_value / one.price
    return gain


@helper
def can_stay(universe, last_days):
    """Whether every leg that is wanted is there, or on its way, and has `last_days` to go."""
    for one in universe:
        if one.wanted != 0 and (one.position + one.pending_qty != one.wanted or one.days_left < last_days):
            return False
    return True


@helper
def close_all(universe):
    """Aim at nothing everywhere; how many legs are open, or may come to be."""
    legs = 0
    for one in universe:
        one.wanted = 0
        if one.position != 0 or one.pending_qty != 0:
            legs += 1
            order_target(one, 0)
        else:
            one.paid = 0.0
    return legs


@helper
def aim(one, lots):
    """Want so many lots, signed, and say so."""
    one.wanted = lots * one.lot
    order_target(one, one.wanted)


@helper
def wing_of(universe, one, steps):
    """The number of the option `steps` strikes further out than `one`, with a bar in this slice; NONE without one."""
    at = one.strike
    for _ in range(steps):
        further = at
        for other in universe:
            if other.right == one.right and other.underlying == one.underlying and other.days_left == one.days_left:
                beyond = (other.strike - at) * one.right
                if beyond > 0.0 and (further == at or beyond < (further - at) * one.right):
                    further = other.strike
        if further == at:
            return NONE
        at = further
    return option_at(universe, one.underlying, one.days_left, one.right, at)


@helper
def dearness(call, put):
    """The premium against its average, as a share: 0.1 is a tenth too dear; NaN before there is one."""
    usual = call.vwap.value + put.vwap.value
    if not usual > 0.0:
        usual = call.mean.value + put.mean.value
    return (call.price + put.price) / usual - 1.0


@strategy
class PremiumSignal:
    """Sell a straddle that is dear against its session's VWAP in a range; buy one that is cheap where prices move.

    The premium of a straddle, a call and a put of one strike, is what the market pays for movement. Its average is the
    session's VWAP of the call plus that of the put, or where nothing was traded, the mean of the last `period` closes.
    Above that by `band` while the underlying goes sideways, it is sold, to earn what decays; below it by `band` while
    the underlying trends or is volatile, it is bought. Of the expiries with `last_days` to go the nearest is taken, of
    its strikes the one next to the underlying's price of which both options have a bar in this slice. One straddle at a
    time, closed when its premium is back at the average.

    Needs the underlying and its options in one run, with strikes, expiries and lots from the instrument master.

    Source: premium against VWAP is a custom of Indian index option desks, with no paper behind it. That selling
    volatility is paid for, by its tail: P. Carr and L. Wu, Variance Risk Premiums, Review of Financial Studies 22:3,
    2009.
    Parameters: with `wings` the call and put so many strikes further out are bought along with a sold straddle, and it
    is not sold without them: a gap can then take the distance of the strikes less the premium, and no more. All legs
    are closed at the first close at which they lost `stop_loss` a lot, charges aside; the next bars fill that, so that
    with `wings = 0` a gap takes more. They are closed, too, once one is missing (denied, or expired) or has less than
    `last_days` to go; after either there is none until the next session. Nothing is held from `exit_after` minutes
    after the session's opening (or first bar, without a calendar).
    Fails: when a range breaks, since the regime is told late, as it must be; when cheap premium only decays: small
    losses, often; near the expiry, where a move of one strike is most of the premium; where strikes are not liquid: a
    close is no price one gets, and the spreads and charges of four legs eat a small edge.
    """

    root = Param(-1, low=-1, high=1_000_000, doc="number in the run of the underlying; -1: the first that has options")
    lots = Param(1, low=1, high=10_000, doc="lots of each leg")
    band = Param(0.05, low=0.0, high=1.0, doc="how far from its average the premium is dear or cheap, as a share")
    wings = Param(4, low=0, high=50, doc="strikes from the sold straddle to the options bought with it; 0: none")
    stop_loss = Param(2000.0, low=1.0, high=1e9, doc="loss a lot of all legs together at which they close, currency")
    exit_after = Param(345, low=1, high=1440, doc="minutes after the session's opening at which everything is closed")
    last_days = Param(
        1, low=0, high=365, doc="fewest days to the expiry on which a straddle is held; 0: on its last day"
    )
    period = Param(20, low=2, high=500, doc="closes of the mean that stands in where nothing was traded")
    vwap = Vwap()
    mean = Sma(period)
    session = Int()  # of an instrument: its trading day, when that opened, and minutes of it so far
    opened = Int()
    minutes = Int()
    paid = Float()  # of an instrument: what its position was bought for less what it was sold for
    wanted = Int()  # of an instrument: the quantity it is to have
    side = Int()  # of the whole, as what follows: 1 bought, -1 sold, 0 none
    call = Int()
    put = Int()
    done = Int(NONE)  # the trading day that had its loss

    def on_bar(self, bar, ctx):
        if bar.session != self.session:
            self.session, self.opened = bar.session, bar.session_open if bar.session_open > 0 else bar.ts_open
        self.minutes = (bar.ts - self.opened) // MINUTE
        return HOLD

    def on_fill(self, fill, ctx):
        self.paid += fill.side * fill.qty * fill.price
        return HOLD

    def on_slice(self, universe, ctx):
        root = self.root if self.root >= 0 else first_underlying(universe)
        if root < 0 or root >= len(universe) or ctx.warming != 0:
            return HOLD
        under = universe[root]
        late = under.minutes >= self.exit_after
        if self.side != 0:
            late = late or universe[self.call].minutes >= self.exit_after
            if gain_of(universe) <= -self.stop_loss * self.lots or not can_stay(universe, self.last_days):
                self.side, self.done = 0, under.session
            elif late or self.side * dearness(universe[self.call], universe[self.put]) >= 0.0:
                self.side = 0
        if self.side != 0 or close_all(universe) > 0:
            return HOLD
        if late or self.done == under.session or under.fresh == 0 or under.ready == 0:
            return HOLD
        days = nearest_expiry(universe, root, self.last_days)
        k = nearest_call(universe, root, days, under.price) if days != NONE else NONE
        if k == NONE:
            return HOLD
        call, put = universe[k], universe[option_at(universe, root, days, PUT, universe[k].strike)]
        dear, moving = dearness(call, put), under.regime == TREND or under.regime == VOLATILE
        if dear > self.band and under.regime == RANGE:
            self.side = -1
        elif dear < -self.band and moving:
            self.side = 1
        if self.side < 0 and self.wings > 0:
            a, b = wing_of(universe, call, self.wings), wing_of(universe, put, self.wings)
            if a == NONE or b == NONE:
                self.side = 0
                return HOLD
            aim(universe[a], self.lots)
            aim(universe[b], self.lots)
        if self.side != 0:
            self.call, self.put = call.instrument, put.instrument
            aim(call, self.side * self.lots)
            aim(put, self.side * self.lots)
        return HOLD
