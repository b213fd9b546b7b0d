"""`onetape init` and `onetape config`: a first configuration, the settings in effect, their check."""

from argparse import Namespace

from adapters.settings_source import load_with_source
from api import config


def run_init(options: Namespace) -> int:
    made = config.init(options.folder)
    for path in made:
        print(f"wrote {path}")
    return 0


def run_config(options: Namespace) -> int:
    if options.what == "show":
        print(config.show(*load_with_source(options.config)), end="")
        return 0
    problems = config.check(options.config)
    for problem in problems:
        print(problem)
    if not problems:
        print("the settings are sound")
    return 2 if problems else 0
