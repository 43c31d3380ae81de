# `make demo` sets up and runs the main job; `make test` sets up and passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo check test slow bench docs clean

help:  ## Show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $(STAMP)

setup: $(STAMP)  ## Create .venv and install everything that demo and tests need

demo: $(STAMP)  ## Pretrain on real watch recordings, compare, label, write runs/demo/report.html
	$(BIN)/otolith demo

check: $(STAMP)  ## Lint, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check
	$(BIN)/python -m pytest -q tests/contracts/test_floors.py

test: $(STAMP)  ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) -m "not slow" tests

slow: $(STAMP)  ## Run the slow tests too
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest -q -m slow tests

bench: $(STAMP)  ## Run every benchmark on one thread; each prints one JSON line
	@for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script --threads 1; done

docs: $(STAMP)  ## Check the pages: every command parses, every block compiles, every link leads
	$(BIN)/python -m pytest -q tests/contracts/test_docs.py

clean:  ## Remove the environment and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
