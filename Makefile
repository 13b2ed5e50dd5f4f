# `make run` and `make test` do everything on a machine with Python 3.11 or newer and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# A module stays with one worker, and the modules come in the order they are collected.
IN_PARALLEL := --numprocesses 4 --dist loadfile --no-loadscope-reorder

# The tests start the program a hundred times: let Python keep what it compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run demo test check test-long fuzz bench binary format lock clean help

demo: $(VENV)/run.stamp ## play one order and all that follows from it
	@exec $(BIN)/loyalnest demo

run: $(VENV)/run.stamp ## start LoyalNest with a demo merchant on http://127.0.0.1:8080
	@exec $(BIN)/loyalnest serve --demo

test: $(VENV)/dev.stamp ## run the test suite
	$(BIN)/python -m pytest -q -m "not long" $(IN_PARALLEL)

check: $(VENV)/dev.stamp ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-long: $(VENV)/dev.stamp ## the tests that take minutes
	$(BIN)/python -m pytest -q -m long

FUZZ_SEED ?= $(shell date +%s)
FUZZ_EXAMPLES ?= 1000

fuzz: $(VENV)/dev.stamp ## random requests to a real server: FUZZ_SEED and FUZZ_EXAMPLES choose which
	FUZZ_SEED=$(FUZZ_SEED) FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest -q \
	    --numprocesses auto --dist load tests/fuzz

bench: $(VENV)/dev.stamp ## measure, and write docs/benchmarks.md and docs/benchmarks.json
	$(BIN)/python -m tests.bench

binary: $(VENV)/dev.stamp ## build dist/loyalnest, one file that needs no Python
	$(BIN)/python -m PyInstaller --noconfirm --clean --log-level WARN loyalnest.spec

format: $(VENV)/dev.stamp ## format the sources
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

lock: ## pin the dependencies anew (needs uv)
	requirements/lock.sh

clean: ## remove everything that was built, but not data/
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "LoyalNest needs Python 3.11 or newer")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing LoyalNest into $(VENV) (once) ..."
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@echo "Installing what the tests need into $(VENV) (once) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
