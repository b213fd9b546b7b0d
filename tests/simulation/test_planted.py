"""Every planted bug is caught by a fast test."""

import pytest

from tests.simulation.planted import main


@pytest.mark.torture
def test_every_planted_bug_is_caught(capsys):
    assert main([]) == 0, capsys.readouterr().out
