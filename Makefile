# `make gate` and `make test` need Python 3.11 or later and nothing else; both set up .venv the first time.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: gate test examples lint check bench clean

gate: $(VENV)/installed
	$(BIN)/aura-harness gate $(ARGS)

test: $(VENV)/installed tests/node/installed
	$(BIN)/python -m pytest $(ARGS)

# What other teams copy, run as they would run it.
examples: $(VENV)/installed
	$(BIN)/python -m pytest examples $(ARGS)

# Speed, as ratios of one run.
bench: $(VENV)/installed
	$(BIN)/python benchmarks/mapping.py
	$(BIN)/python benchmarks/watch.py

# The agreement with itself and with the checks.
lint: $(VENV)/installed
	$(BIN)/aura-harness lint

# What CI asks of the code beside the tests.
check: $(VENV)/installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# The browser's STOMP client, where there is an npm; without it one test is skipped and says so.
tests/node/installed: tests/node/package.json
	@command -v npm >/dev/null && npm install --silent --prefix tests/node || echo "no npm: one test is skipped"
	@touch $@

clean:
	rm -rf $(VENV) tests/node/node_modules tests/node/installed dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
