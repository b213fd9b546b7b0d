"""The limit: the same strategy and fills as one bare numba loop over plain arrays, nothing kept but counts and PnL."""

import numpy as np
from numba import njit

QTY, FEE, WARM, EPS, STOP, TICK = 100, 0.0003, 500, 1e-6, 0.02, 0.05


@njit(cache=True)
def light(instrument, open_, high, low, close, symbols):  # type: ignore[no-untyped-def]
    """(round trips, fills, PnL) of EMA(10/30)."""
    fast, slow, before = np.zeros(symbols), np.zeros(symbols), np.zeros(symbols)
    seen, held, want = np.zeros(symbols, np.int64), np.zeros(symbols, np.int64), np.zeros(symbols, np.int8)
    last = np.zeros(symbols)
    cash, fills, trips = 0.0, 0, 0
    for i in range(len(close)):
        s, x = instrument[i], close[i]
        if want[s] != 0:
            fills += 1
            if want[s] > 0:
                held[s] = 1
                cash -= QTY * open_[i] * (1 + FEE)
            else:
                held[s] = 0
                trips += 1
                cash += QTY * open_[i] * (1 - FEE)
            want[s] = 0
        if seen[s] == 0:
            fast[s] = slow[s] = x
        else:
            fast[s] += 2.0 / 11.0 * (x - fast[s])
            slow[s] += 2.0 / 31.0 * (x - slow[s])
        spread = fast[s] - slow[s]
        if seen[s] >= WARM:
            if held[s] == 0:
                if spread > EPS and before[s] <= EPS:
                    want[s] = 1
            elif spread < -EPS and before[s] >= -EPS:
                want[s] = -1
        before[s], last[s] = spread, x
        seen[s] += 1
    return trips, fills, cash + QTY * (held * last).sum()


@njit(cache=True)
def heavy(instrument, open_, high, low, close, symbols):  # type: ignore[no-untyped-def]
    """(round trips, fills, PnL) of SMA(10/30), RSI(14) and the stop; the stop rests from the bar after the fill."""
    window, fast, slow = np.zeros((symbols, 30)), np.zeros(symbols), np.zeros(symbols)
    gain, loss, before, last = np.zeros(symbols), np.zeros(symbols), np.zeros(symbols), np.zeros(symbols)
    seen, held, want = np.zeros(symbols, np.int64), np.zeros(symbols, np.int64), np.zeros(symbols, np.int8)
    stop, since = np.zeros(symbols), np.zeros(symbols, np.int64)
    cash, fills, trips = 0.0, 0, 0
    for i in range(len(close)):
        s, x, k = instrument[i], close[i], seen[instrument[i]]
        if want[s] != 0:
            fills += 1
            if want[s] > 0:
                held[s], since[s] = 1, k
                cash -= QTY * open_[i] * (1 + FEE)
                stop[s] = np.floor(open_[i] * (1 - STOP) / TICK + 0.5) * TICK
            else:
                held[s] = 0
                trips += 1
                cash += QTY * open_[i] * (1 - FEE)
            want[s] = 0
        if held[s] == 1 and k > since[s] and low[i] <= stop[s]:
            held[s] = 0
            fills += 1
            trips += 1
            cash += QTY * min(open_[i], stop[s]) * (1 - FEE)
        place = k % 30
        if k >= 30:
            slow[s] -= window[s, place]
        if k >= 10:
            fast[s] -= window[s, (k - 10) % 30]
        window[s, place] = x
        slow[s] += x
        fast[s] += x
        spread = fast[s] / 10 - slow[s] / 30
        if k > 0:
            change = x - last[s]
            gain[s] += (max(change, 0.0) - gain[s]) / 14.0
            loss[s] += (max(-change, 0.0) - loss[s]) / 14.0
        total = gain[s] + loss[s]
        rsi = 100.0 * gain[s] / total if total > 0 else 50.0
        if k >= WARM:
            if held[s] == 0:
                if spread > EPS and before[s] <= EPS and 50.0 < rsi < 70.0:
                    want[s] = 1
            elif spread < -EPS and before[s] >= -EPS:
                want[s] = -1
        before[s], last[s] = spread, x
        seen[s] = k + 1
    return trips, fills, cash + QTY * (held * last).sum()
