"""What TA-Lib says of real bars: `python -m tests.golden.talib_values` writes `indicators.npz`, once, where the package
TA-Lib is installed; with parquet files of bars as arguments it compares the indicators with TA-Lib on all of them instead.

Unstable periods are 0. What is listed in docs/indicators.md as different on purpose is not compared.
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import onetape
from tests.kernel.streaming import BARS, plain_bars, stream

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "adapters" / "market" / "sample" / "us_daily_wiki_5sym.parquet"
VALUES = HERE / "indicators.npz"
SYMBOL, FIRST, COUNT = "GOOG", 900, 360  # from March 2008 on


def read_bars(path: Path, symbol: str | None = None) -> dict[str, np.ndarray]:
    """The bars of each symbol of a parquet file; a session is a local day, or of daily bars, 21 of them."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    stamp = "ts" if "ts" in table.column_names else "date"
    table = table if "symbol" in table.column_names else table.append_column("symbol", [["one"] * table.num_rows])
    found = {}
    for one in [symbol] if symbol else pc.unique(table["symbol"]).to_pylist():
        rows = table.filter(pc.equal(table["symbol"], one)).sort_by(stamp)
        bars = np.zeros(rows.num_rows, BARS)
        for name in ("open", "high", "low", "close", "volume"):
            where = name if name in rows.column_names else "tottrdqty"
            bars[name] = rows[where].to_numpy() if where in rows.column_names else 1.0
        ts = rows[stamp].to_numpy().astype("datetime64[ns]").astype("i8")
        bars["ts_open"], bars["ts"] = ts, ts + 60 * 10**9
        bars["session"] = ts // 86_400_000_000_000 if stamp == "ts" else np.arange(len(bars)) // 21
        found[one] = bars[~np.isnan(bars["close"])]  # minutes with quotes only
    return found


def sample_bars() -> np.ndarray:
    return read_bars(SAMPLE, SYMBOL)[SYMBOL][FIRST : FIRST + COUNT]


def columns(bars: np.ndarray) -> Any:
    b = SimpleNamespace(**{name: np.ascontiguousarray(bars[name]) for name in BARS.names})
    b.hlc3 = (b.high + b.low + b.close) / 3.0
    return b


def vwap(b: Any) -> np.ndarray:
    """TA-Lib's VWAP counts from the first bar: of each session by itself."""
    import talib

    first = np.flatnonzero(np.diff(b.session, prepend=-1))
    parts = [slice(i, j) for i, j in zip(first, [*first[1:], len(b.close)], strict=True)]
    return np.concatenate([talib.VWAP(b.high[p], b.low[p], b.close[p], b.volume[p]) for p in parts])


def references() -> dict[str, Any]:
    """Indicator as written: a function of the columns to the values of its outputs, `value` first; None: not told."""
    import talib as t
    from talib.abstract import Function

    def hlc(f: Any, **more: Any) -> Any:
        return lambda b: f(b.high, b.low, b.close, **more)

    def close(f: Any, **more: Any) -> Any:
        return lambda b: f(b.close, **more)

    def candle(name: str, **more: Any) -> Any:
        """Signs, from the bar at which it can tell."""
        lookback = Function(name, **more).lookback

        def told(b: Any) -> np.ndarray:
            found = np.sign(getattr(t, name)(b.open, b.high, b.low, b.close, **more)).astype(float)
            found[:lookback] = np.nan
            return found

        return told

    def trend(b: Any, *terms: float) -> Any:
        value, direction = t.SUPERTREND(b.high, b.low, b.close, *terms)
        return value, np.where(np.isnan(value), np.nan, direction)

    def bollinger(b: Any) -> Any:
        upper, middle, lower = t.BBANDS(b.close, 20, 2.5, 2.5)
        return middle, upper, lower, (b.close - lower) / (upper - lower), (upper - lower) / middle

    def places(b: Any) -> np.ndarray:
        return np.arange(len(b.close), dtype=float)

    return {
        "Sma(12)": close(t.SMA, timeperiod=12),
        "Ema(12)": close(t.EMA, timeperiod=12),
        "Wma(9)": close(t.WMA, timeperiod=9),
        "Dema(8)": close(t.DEMA, timeperiod=8),
        "Tema(7)": close(t.TEMA, timeperiod=7),
        "Hma(20)": close(t.HMA, timeperiod=20),
        "Kama(10)": close(t.KAMA, timeperiod=10),
        "Vwma(15)": lambda b: t.VWMA(b.close, b.volume, 15),
        "Rsi(14)": close(t.RSI, timeperiod=14),
        "Macd()": close(t.MACD),
        "Macd(5, 13, 4)": close(t.MACD, fastperiod=5, slowperiod=13, signalperiod=4),
        "Stochastic(14, 3, 3)": hlc(t.STOCH, fastk_period=14, slowk_period=3, slowd_period=3),
        "Stochastic(5, 1, 4)": hlc(t.STOCHF, fastk_period=5, fastd_period=4),
        "StochRsi(14, 10, 1, 3)": close(t.STOCHRSI, timeperiod=14, fastk_period=10, fastd_period=3),
        "Cci(20)": hlc(t.CCI, timeperiod=20),
        "WilliamsR(14)": hlc(t.WILLR, timeperiod=14),
        "Roc(10)": close(t.ROC, timeperiod=10),
        "Momentum(10)": close(t.MOM, timeperiod=10),
        "Atr(14)": hlc(t.ATR, timeperiod=14),
        "Natr(14)": hlc(t.NATR, timeperiod=14),
        "Bollinger(20, 2.5)": bollinger,
        "Keltner(20, 10, 2.0)": lambda b: [
            t.EMA(b.hlc3, 20) + side * t.ATR(b.high, b.low, b.close, 10) for side in (0.0, 2.0, -2.0)
        ],
        "Donchian(20)": lambda b: [t.DONCHIAN(b.high, b.low, 20)[k] for k in (1, 0, 2)],
        "Adx(14)": lambda b: [f(b.high, b.low, b.close, 14) for f in (t.ADX, t.PLUS_DI, t.MINUS_DI)],
        "Aroon(14)": lambda b: (t.AROONOSC(b.high, b.low, 14), *t.AROON(b.high, b.low, 14)[::-1]),
        "SuperTrend(10, 3.0)": lambda b: trend(b, 10, 3.0),
        "ParabolicSar(0.02, 0.2)": lambda b: t.SAR(b.high, b.low, 0.02, 0.2),
        "Obv()": lambda b: t.OBV(b.close, b.volume),
        "Mfi(14)": lambda b: t.MFI(b.high, b.low, b.close, b.volume, 14),
        "Cmf(20)": lambda b: t.CMF(b.high, b.low, b.close, b.volume, 20),
        "AccumulationDistribution()": lambda b: t.AD(b.high, b.low, b.close, b.volume),
        "Vwap()": vwap,
        "LinearRegression(14)": lambda b: (
            t.LINEARREG(b.close, 14),
            t.LINEARREG_SLOPE(b.close, 14),
            t.CORREL(b.close, places(b), 14) ** 2,
        ),
        "ZScore(20)": lambda b: (b.close - t.SMA(b.close, 20)) / t.STDDEV(b.close, 20),
        "Correlation(20, against=VOLUME)": lambda b: t.CORREL(b.close, b.volume, 20),
        "Beta(12, against=OPEN)": lambda b: t.BETA(b.open, b.close, 12),
        "Highest(20)": lambda b: t.MAX(b.high, 20),
        "Lowest(20)": lambda b: t.MIN(b.low, 20),
        "Quantile(21, 0.5)": close(t.PERCENTILE, timeperiod=21, percentile=50.0),
        "Doji()": candle("CDLDOJI"),
        "Hammer()": candle("CDLHAMMER"),
        "HangingMan()": candle("CDLHANGINGMAN"),
        "InvertedHammer()": candle("CDLINVERTEDHAMMER"),
        "ShootingStar()": candle("CDLSHOOTINGSTAR"),
        "Engulfing()": candle("CDLENGULFING"),
        "Harami()": candle("CDLHARAMI"),
        "Piercing()": candle("CDLPIERCING"),
        "DarkCloudCover(0.4)": candle("CDLDARKCLOUDCOVER", penetration=0.4),
        "MorningStar(0.2)": candle("CDLMORNINGSTAR", penetration=0.2),
        "EveningStar(0.2)": candle("CDLEVENINGSTAR", penetration=0.2),
        "Marubozu()": candle("CDLMARUBOZU"),
        "SpinningTop()": candle("CDLSPINNINGTOP"),
    }


def told(reference: Any, bars: np.ndarray, indicator: Any) -> dict[str, np.ndarray]:
    """TA-Lib's values by the name of our output."""
    found = reference(columns(bars))
    found = list(found) if isinstance(found, tuple | list) else [found]
    return dict(zip(("value", *indicator.outputs), (np.asarray(x, float) for x in found), strict=False))


def make(text: str) -> Any:
    return eval(text, dict(vars(onetape)))


# Where an output passes zero, a difference is held against this instead: the output's own range, or for lines the price.
SCALES = {
    **dict.fromkeys(("percent", "r2", "Correlation", "Beta", "ZScore", "Cmf"), 1.0),
    **dict.fromkeys(("Stochastic", "StochRsi", "WilliamsR", "Mfi", "Cci"), 100.0),
}


def worst(text: str, name: str, ours: np.ndarray, theirs: np.ndarray, price: float) -> float:
    """The largest difference as a share of the value, or of its scale; infinite where only one has a number."""
    if (np.isnan(ours) != np.isnan(theirs)).any():
        return np.inf
    scale = price / 100.0 if name == "slope" else SCALES.get(name, SCALES.get(text.partition("(")[0], 1e-300))
    return float(np.nanmax(np.abs(ours - theirs) / np.maximum(np.abs(theirs), scale), initial=0.0))


def compare(paths: list[str]) -> None:
    """Print what differs, and how many values were looked at. Where nothing moved, TA-Lib says 0 and we the middle."""
    looked = 0
    for path in paths:
        for symbol, bars in read_bars(Path(path)).items():
            for text, reference in references().items():
                indicator = make(text)
                ours = stream(indicator, plain_bars(bars))
                for name, theirs in told(reference, bars, indicator).items():
                    looked += int((theirs == theirs).sum())
                    off = worst(text, name, ours[name], theirs, float(bars["close"].mean()))
                    if off > 1e-9:
                        k = int(np.argmax(np.nan_to_num(np.abs(ours[name] - theirs), nan=-1.0)))
                        said = f"at bar {k}: {ours[name][k]:.10g}, TA-Lib {theirs[k]:.10g}"
                        print(
                            f"{Path(path).stem} {symbol} ({len(bars)} bars): {text} {name} differs by {off:.3g}; {said}"
                        )
    print(f"{looked:,} values compared")


def main(paths: list[str]) -> None:
    if paths:
        compare(paths)
        return
    bars, kept = sample_bars(), {}
    for text, reference in references().items():
        for name, values in told(reference, bars, make(text)).items():
            kept[f"{text}.{name}"] = values
    np.savez_compressed(VALUES, **kept)
    print(f"{VALUES.name}: {VALUES.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
