"""The homes and the command line of tests/api."""

from tests.api.conftest import call, good, home, market, small_files

__all__ = ["call", "good", "home", "market", "small_files"]
