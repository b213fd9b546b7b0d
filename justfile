# `./just` makes the .venv and then reads this file; once it is made, an installed `just` does the same.

set positional-arguments

export UV_SYSTEM_CERTS := env("UV_SYSTEM_CERTS", "1") # the machine's certificates, as pip and curl use

onetape := ".venv/bin/onetape"
python := ".venv/bin/python"
compile := ".venv/bin/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml"

# List the recipes.
default:
    @"{{ just_executable() }}" --list --unsorted

# Show the whole path on the data that ships with onetape.
demo *args:
    @{{ onetape }} demo "$@"

# Import market data into a tape.
import *args:
    @{{ onetape }} import "$@"

# Run a strategy over a tape.
backtest *args:
    @{{ onetape }} backtest "$@"

# Run a recorded day again and compare it with what happened.
replay *args:
    @{{ onetape }} replay "$@"

# Trade live, or on paper.
live *args:
    @{{ onetape }} live "$@"

# Serve the API and the web pages.
serve *args:
    @{{ onetape }} serve "$@"

# Check a tape's checksums and that its fold gives the recorded state.
verify *args:
    @{{ onetape }} verify "$@"

# Report on a run.
report *args:
    @{{ onetape }} report "$@"

# List the runs.
runs *args:
    @{{ onetape }} runs "$@"

# Ask the read models in SQL.
sql *args:
    @{{ onetape }} sql "$@"

# Run the tests; arguments go to pytest.
test *args:
    {{ python }} -m pytest -n 2 --dist worksteal tests "$@"

# Check style, format and types.
lint:
    .venv/bin/ruff check
    .venv/bin/ruff format --check
    .venv/bin/zmypy

# Format, and mend what ruff can.
fmt:
    .venv/bin/ruff format
    .venv/bin/ruff check --fix

# Measure speed.
bench *args:
    {{ python }} -m tests.bench "$@"

# Kill, fill and break things: the long fault tests.
torture *args:
    {{ python }} -m pytest -m torture tests "$@"

# Run the whole days and processes that take seconds each.
e2e *args:
    {{ python }} -m pytest -m e2e tests "$@"

# Run the simulator over many seeds.
sim *args:
    {{ python }} -m pytest -m sim tests "$@"

# Lock the dependencies of pyproject.toml by hash; `lock --upgrade` takes the newest.
lock *args:
    {{ compile }} -o requirements/runtime.txt "$@"
    {{ compile }} --extra dev --extra bench -c requirements/runtime.txt -o requirements/dev.txt "$@"

# Write the generated pages of docs/ again.
docs:
    {{ python }} -m api.docs
