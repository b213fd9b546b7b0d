"""The version of this installation."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """As installed; that of the sources when they run uninstalled."""
    try:
        return installed("onetape")
    except PackageNotFoundError:
        return "0.1.0"
