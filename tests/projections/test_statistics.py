import numpy as np
import pytest

from projections import statistics as st

DAY = st.DAY_NS
MONDAY = 1_704_079_800 * 10**9  # 2024-01-01 09:00 in Kolkata


def trade(pnl, closed=1):
    return {"pnl": pnl, "closed_ts": closed}


def test_trade_figures_by_hand():
    f = st.trade_figures([trade(300), trade(100), trade(-150), trade(0), trade(999, None)])
    assert (f.closed, f.open, f.won, f.lost) == (4, 1, 2, 1)
    assert f.win_rate == 0.5
    assert f.profit_factor == pytest.approx(400 / 150)
    assert (f.average_win, f.average_loss) == (200, -150)
    assert f.expectancy == 63  # 250 / 4 = 62.5, a tie away from zero


def test_undefined_is_none():
    none = st.trade_figures([])
    assert (none.win_rate, none.profit_factor, none.average_win, none.expectancy) == (None, None, None, None)
    assert st.trade_figures([trade(5)]).profit_factor is None
    assert st.ratio(1, 0) is None
    assert st.ratio(1e308, 1e-308) is None
    assert st.cagr(100, 200, st.DAY_NS) is None
    assert st.cagr(0, 200, 3 * st.YEAR_NS) is None
    assert st.volatility_and_sharpe([100] * 29) == (None, None)
    assert st.volatility_and_sharpe([100] * 40) == (0.0, None)
    assert st.longest_drawdown_ns([], [], []) is None


@pytest.mark.parametrize(("a", "b", "expected"), [(5, 2, 3), (-5, 2, -3), (4, 3, 1), (-4, 3, -1), (0, 7, 0)])
def test_divide_half_up(a, b, expected):
    assert st.divide_half_up(a, b) == expected


def test_daily_equity_takes_the_last_of_each_local_date():
    # 18:29 and 18:30 UTC are 23:59 and 00:00 in Kolkata
    midnight = 1_704_133_800 * 10**9
    days, values = st.daily_equity([midnight - 60 * 10**9, midnight, midnight + 1], [1, 2, 3], "Asia/Kolkata")
    assert [str(day) for day in days] == ["2024-01-01", "2024-01-02"]
    assert list(values) == [1, 3]


def test_local_times_follow_daylight_saving():
    spring = 1_710_054_000 * 10**9  # 2024-03-10 07:00 UTC: New York goes from 01:59 EST to 03:00 EDT
    local = st.local_times([spring - 1, spring], "America/New_York")
    assert str(local[0])[:16] == "2024-03-10T01:59"
    assert str(local[1])[:16] == "2024-03-10T03:00"


def test_monthly_returns_start_from_opening_cash():
    ts = [MONDAY, MONDAY + 31 * DAY, MONDAY + 60 * DAY]
    rows = st.monthly_returns(ts, [110, 99, 198], "Asia/Kolkata", 100)
    assert [(year, month) for year, month, _ in rows] == [(2024, 1), (2024, 2), (2024, 3)]
    assert [fraction for _, _, fraction in rows] == pytest.approx([0.1, -0.1, 1.0])


def test_volatility_and_sharpe_by_hand():
    daily = [100.0]
    for i in range(30):
        daily.append(daily[-1] * (1.02 if i % 2 == 0 else 0.99))
    deviation = 0.015 * np.sqrt(30 / 29)
    volatility, sharpe = st.volatility_and_sharpe(daily)
    assert volatility == pytest.approx(deviation * np.sqrt(252))
    assert sharpe == pytest.approx(0.005 / deviation * np.sqrt(252))


def test_longest_drawdown_runs_from_its_peak_to_the_next_or_the_end():
    longest = st.longest_drawdown_ns
    assert longest([0, 10, 20, 30, 40], [5, 4, 5, 3, 3], [5, 5, 5, 5, 5]) == 40  # back at the peak is not above it
    assert longest([0, 10, 50, 60, 70], [5, 4, 6, 5, 6], [5, 5, 6, 6, 6]) == 50
    assert longest([0, 10], [5, 6], [5, 6]) is None


def test_a_peak_between_two_points_starts_the_drawdown_too():
    """Minutes recorded daily: no point is at the peak, and a rise every day is no drawdown of all the days."""
    longest = st.longest_drawdown_ns
    assert longest([0, 10, 20, 30, 40], [4, 8, 7, 6, 9], [5, 9, 9, 9, 10]) == 30
    assert longest([0, 10, 20, 30], [4, 5, 6, 7], [5, 6, 7, 8]) == 10


def test_cagr_doubles_in_two_years():
    assert st.cagr(100, 400, 2 * st.YEAR_NS) == pytest.approx(1.0)
