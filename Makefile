# `make gate` and `make test` need Python 3.11 or later and nothing else; both set up .venv the first time.
# `make spring` needs a JDK 17 and Maven besides.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
JAR = tests/spring/target/synapse.jar
SPRING = PYTHONPATH=tests $(BIN)/python -m spring

.PHONY: gate test drift steady examples spring spring-deep spring-record lint check bench load clean

gate: $(VENV)/installed
	$(BIN)/aura-harness gate $(ARGS)

test: $(VENV)/installed tests/node/installed
	$(BIN)/python -m pytest $(ARGS)

# The simulated Synapse against a real Spring Boot application, and that application on a real Redis.
spring: $(VENV)/installed $(JAR)
	$(SPRING) recorded
	$(SPRING) compare --messages 100000 $(ARGS)
	$(SPRING) live

# For somebody who waits for it; on other messages than `make spring`; ARGS="--seed N" for others again.
spring-deep: $(VENV)/installed $(JAR)
	$(SPRING) compare --messages 1000000 --seed 2 $(ARGS)

# The answers in tests/spring/recorded.json, from the application.
spring-record: $(VENV)/installed $(JAR)
	$(SPRING) record

# What other teams copy, run as they would run it.
examples: $(VENV)/installed
	$(BIN)/python -m pytest examples $(ARGS)

# Every check fails for what it should, and for nothing else; without ARGS the picture of the README is drawn anew.
drift: $(VENV)/installed
	$(BIN)/aura-harness drift $(or $(ARGS),--matrix docs/drift.svg)

# Without any deviation nothing is broken, whatever the seed.
SEEDS ?= 200
steady: $(VENV)/installed
	$(BIN)/aura-harness drift --steady $(SEEDS) $(ARGS)

# Speed, as ratios of one run; without ARGS the tables of the README are written anew.
bench: $(VENV)/installed
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python benchmarks/watch.py
	$(BIN)/python benchmarks/ledger.py

# The publish path under load for 15 seconds, every message accounted for; ARGS="--rate 50 --processes 2" for more.
load: $(VENV)/installed
	$(BIN)/locust -f locustfile.py --headless -u 20 -t 15s $(ARGS)

# The agreement with itself and with the checks.
lint: $(VENV)/installed
	$(BIN)/aura-harness lint

# What CI asks of the code beside the tests.
check: $(VENV)/installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

$(JAR): tests/spring/pom.xml $(shell find tests/spring/src -type f) | $(VENV)/installed
	$(SPRING) build
	touch $@

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,load]'
	touch $@

# What tests need from npm, where there is one; without it some tests are skipped and say so.
tests/node/installed: tests/node/package.json
	@command -v npm >/dev/null && npm install --silent --prefix tests/node || echo "no npm: some tests are skipped"
	@touch $@

clean:
	rm -rf $(VENV) tests/spring/target tests/node/node_modules tests/node/installed dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
