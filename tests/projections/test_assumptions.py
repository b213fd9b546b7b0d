"""What the figures stand on is said in words and units of people, for bars, ticks and live."""

from dataclasses import fields

import pytest

from adapters.venue_text import PARTS, parse_venue
from kernel.state import Rules
from projections.assumptions import MODELS, assumptions


def test_every_model_of_the_venue_has_words():
    assert {field for field, *_ in PARTS.values()} == set(MODELS) <= {field.name for field in fields(Rules)}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("ticks:1", "1 tick against every order"),
        ("ticks:3", "3 ticks against every order"),
        ("spread:2.5", "0.025% of the price against it"),
        ("range:10", "10% of the bar's range against it"),
        ("random:4", "up to 4 ticks by chance"),
        ("volume:25", "25% of a bar's volume at most"),
        ("band:1.5", "1.50% of market price protection"),
        ("latency:250", "0.25 s until what is sent is there"),
        ("bars:2", "2 bars or ticks until what is sent is there"),
    ],
)
def test_models_in_words(model, words):
    said = assumptions({"simulate": 1, **parse_venue(model)}, bars=True, ticks=False)
    [models] = [text for text in said if text.startswith("Fills are as the venue models say: ")]
    assert words in models and not any("without slippage" in text for text in said)


def test_bars_ticks_and_live():
    plain = assumptions({"simulate": 1}, bars=True, ticks=False)
    assert any("next open" in text for text in plain) and not any("quotes" in text for text in plain)
    ticks = assumptions({"simulate": 1}, bars=False, ticks=True)
    assert any("quotes and trades" in text for text in ticks) and not any("next open" in text for text in ticks)
    assert any("venue reported" in text for text in assumptions({"simulate": 0}, bars=True, ticks=False))
