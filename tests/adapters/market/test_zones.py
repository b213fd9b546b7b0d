"""Local and standard time of zones."""

import pytest

from adapters.market.zones import standard_offset
from kernel.errors import ConfigError

HOUR = 3_600 * 10**9


def test_standard_time_is_the_winters_on_either_side_of_the_equator():
    offsets = {"UTC": 0, "Asia/Kolkata": 5.5, "America/New_York": -5, "Australia/Sydney": 10, "Europe/London": 0}
    assert {name: standard_offset(name) / HOUR for name in offsets} == offsets
    with pytest.raises(ConfigError, match="is not a time zone"):
        standard_offset("Nowhere/At_All")
