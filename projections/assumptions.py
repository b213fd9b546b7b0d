"""What the figures of a run stand on, in sentences: the simulated venue's rules, and its models where any is set."""

from collections.abc import Callable, Mapping
from typing import Any

from kernel.units import SHARE
from projections.bounds import amount, span_text

BARS = (
    "An order meets only bars that opened after it was placed: what a close decides trades at the next open.",
    "The path inside a bar is unknown, so stops come before limits, and a limit needs a trade through its price.",
    "Market and stop orders fill in full at the open or the trigger, without slippage or impact.",
)
TICKS = (
    "Orders meet the quotes and trades that come after them; a market order takes the other side up to the size shown.",
    "A resting limit fills when the market comes to its price or trades through it.",
)
SIMULATED = "Positions are valued at the last price; sale proceeds count once filled."
LIVE = ("Fills, fees and statuses are what the venue reported.", "Positions are valued at the last close.")
PERCENT = SHARE // 100


def _percent(of: str) -> Callable[[int], str]:
    return lambda value: f"{amount(value * 100, SHARE).removesuffix('.00')}% {of}"


MODELS: dict[str, Callable[[int], str]] = {  # field of kernel.state.Rules: the words of docs/venue.md
    "slip_ticks": lambda value: (
        f"{value:,} tick{'s' if value != 1 else ''} against every order that takes what it finds"
    ),
    "slip_share": _percent("of the price against it"),
    "slip_range": _percent("of the bar's range against it"),
    "slip_impact": _percent("of the bar's range times the root of its part of the volume"),
    "slip_random": lambda value: f"up to {value:,} ticks by chance",
    "participation": _percent("of a bar's volume at most"),
    "band": _percent("of market price protection"),
    "latency_ns": lambda value: f"{span_text(value)} until what is sent is there",
    "latency_events": lambda value: f"{value:,} bars or ticks until what is sent is there",
    "queue": lambda value: "an order waits for what stood before it at its price",
    "tick_band": _percent("from the mark beyond which a tick is not believed"),
}


def assumptions(rules: Mapping[str, Any], bars: bool, ticks: bool) -> list[str]:
    """`bars`, `ticks`: whether orders met any."""
    if not rules.get("simulate", 1):
        return list(LIVE)
    said = [*(BARS if bars or not ticks else ()), *(TICKS if ticks else ())]
    if models := [words(rules[name]) for name, words in MODELS.items() if rules.get(name)]:
        said = [text for text in said if "without slippage" not in text]
        said.append(f"Fills are as the venue models say: {'; '.join(models)}.")
    return [*said, SIMULATED]
