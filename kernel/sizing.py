"""How much to trade: quantities in whole lots, cut towards zero, from money, equity, risk or volatility.

`one` is `ctx`, or in on_slice one of the universe. A quantity is a wish like any other: limits and cash come after it.
"""

from kernel.jit import jit_user
from kernel.signals import whole_lots


@jit_user
def qty_of_value(one, value):
    """So many as `value`, in the account's currency, buys at the last price; 0 before the first."""
    return whole_lots(value / one.unit_value, one.lot) if one.unit_value > 0.0 else 0


@jit_user
def qty_of_percent(ctx, share):
    """So many as a share of `ctx.capital` buys: 0.1 is a tenth. That is the account's equity, or the strategy's own."""
    return qty_of_value(ctx, share * ctx.capital)


@jit_user
def qty_of_risk(ctx, share, distance):
    """So many that a move of `distance` against them, in prices as `bar` has them, loses `share` of the capital: 0.01
    and `2 * self.atr.value` risk a hundredth with a stop two average true ranges away. (Van K. Tharp, Trade Your Way
    to Financial Freedom, 1998: percent risk.)"""
    if not (distance > 0.0 and ctx.price > 0.0):
        return 0
    loss = ctx.unit_value * distance / (ctx.price * ctx.adjustment)
    return whole_lots(share * ctx.capital / loss, ctx.lot) if loss > 0.0 else 0


@jit_user
def qty_of_volatility(ctx, target, volatility):
    """So many that the position moves as much as `target` of the equity: a share of target / volatility, both of a year
    (0.15 is 15 %); 0 where the volatility is not known."""
    return qty_of_percent(ctx, target / volatility) if volatility > 0.0 else 0


@jit_user
def kelly_fraction(win_rate, payoff):
    """The share of the equity that grows fastest for bets that win `win_rate` of the time, and then `payoff` times what
    they lose else; 0 where they lose. Most take a half of it or less. (J. L. Kelly, A New Interpretation of
    Information Rate, 1956.)"""
    if not (payoff > 0.0 and 0.0 <= win_rate <= 1.0):
        return 0.0
    return max(0.0, win_rate - (1.0 - win_rate) / payoff)
