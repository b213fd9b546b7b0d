"""Indicators a strategy declares. Each updates itself from every bar, per instrument, before `on_bar` is called.

Outputs are NaN until warm, so that no comparison with them holds. Seeding follows TA-Lib; a NaN input, such as an
indicator that is not warm, is passed over.
"""

from kernel.indicators.averages import Dema, Ema, Hma, Kama, Sma, Tema, Vwma, Wma
from kernel.indicators.bars import Bars, daily, hours, minutes
from kernel.indicators.base import CLOSE, HIGH, HL2, HLC3, LOW, OHLC4, OPEN, VOLUME, Indicator, Output, canonical
from kernel.indicators.candles import (
    DarkCloudCover,
    Doji,
    Engulfing,
    EveningStar,
    Hammer,
    HangingMan,
    Harami,
    InvertedHammer,
    Marubozu,
    MorningStar,
    Piercing,
    ShootingStar,
    SpinningTop,
)
from kernel.indicators.momentum import Cci, Macd, Momentum, Roc, Rsi, Stochastic, StochRsi, WilliamsR
from kernel.indicators.session import OpeningRange, Pivots, Vwap
from kernel.indicators.statistics import Beta, Correlation, Highest, LinearRegression, Lowest, Quantile, ZScore
from kernel.indicators.swings import Ichimoku, ZigZag
from kernel.indicators.trend import Adx, Aroon, ParabolicSar, SuperTrend
from kernel.indicators.volatility import Atr, Bollinger, Donchian, Keltner, Natr, RealizedVolatility
from kernel.indicators.volume import AccumulationDistribution, Cmf, Mfi, Obv

GROUPS: dict[str, tuple[type[Indicator], ...]] = {
    "averages": (Sma, Ema, Wma, Dema, Tema, Hma, Kama, Vwma),
    "momentum": (Rsi, Macd, Stochastic, StochRsi, Cci, WilliamsR, Roc, Momentum),
    "volatility": (Atr, Natr, Bollinger, Keltner, Donchian, RealizedVolatility),
    "trend": (Adx, Aroon, SuperTrend, ParabolicSar, Ichimoku, ZigZag),
    "volume": (Obv, AccumulationDistribution, Mfi, Cmf),
    "session": (Vwap, Pivots, OpeningRange),
    "statistics": (LinearRegression, ZScore, Correlation, Beta, Highest, Lowest, Quantile),
    "candles": (
        *(Doji, Hammer, HangingMan, InvertedHammer, ShootingStar, Engulfing, Harami, Piercing, DarkCloudCover),
        *(MorningStar, EveningStar, Marubozu, SpinningTop),
    ),
}
INDICATORS = tuple(kind for group in GROUPS.values() for kind in group)

__all__ = [
    "CLOSE",
    "GROUPS",
    "HIGH",
    "HL2",
    "HLC3",
    "INDICATORS",
    "LOW",
    "OHLC4",
    "OPEN",
    "VOLUME",
    "AccumulationDistribution",
    "Adx",
    "Aroon",
    "Atr",
    "Bars",
    "Beta",
    "Bollinger",
    "Cci",
    "Cmf",
    "Correlation",
    "DarkCloudCover",
    "Dema",
    "Doji",
    "Donchian",
    "Ema",
    "Engulfing",
    "EveningStar",
    "Hammer",
    "HangingMan",
    "Harami",
    "Highest",
    "Hma",
    "Ichimoku",
    "Indicator",
    "InvertedHammer",
    "Kama",
    "Keltner",
    "LinearRegression",
    "Lowest",
    "Macd",
    "Marubozu",
    "Mfi",
    "Momentum",
    "MorningStar",
    "Natr",
    "Obv",
    "OpeningRange",
    "Output",
    "ParabolicSar",
    "Piercing",
    "Pivots",
    "Quantile",
    "RealizedVolatility",
    "Roc",
    "Rsi",
    "ShootingStar",
    "Sma",
    "SpinningTop",
    "StochRsi",
    "Stochastic",
    "SuperTrend",
    "Tema",
    "Vwap",
    "Vwma",
    "WilliamsR",
    "Wma",
    "ZScore",
    "ZigZag",
    "canonical",
    "daily",
    "hours",
    "minutes",
]
