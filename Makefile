# Two commands do everything, set-up included: `make demo` and `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
# Tests wait more than they compute: three workers keep two cores busy. ARGS="-n 0" runs them one after the other.
WORKERS := -n 3

# Loading Prefect takes twice as long where nothing may keep its bytecode.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo lab test check unit lint types layers bench browser-deps lock schema golden clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(READY) ## Make the virtual environment from the lock file

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@if ! $(PYTHON) -m venv $(VENV); then \
	  echo "python3-venv is missing; installing it with apt"; deployments/lab/apt-install.sh python3-venv && $(PYTHON) -m venv $(VENV); fi
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-setup.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## Check five platforms of the lab, back one up and bring it back (ARGS=--keep leaves all up)
	$(BIN)/watchkeeper demo $(ARGS)

lab: $(READY) ## Start the embedded lab and leave it up
	$(BIN)/watchkeeper lab up $(ARGS)

test: lint types layers browser-deps ## Lint, types, layers and all tests
	$(BIN)/python -m pytest $(WORKERS) $(ARGS)

check: lint types layers unit ## The fast checks, for before every commit

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

unit: $(READY)
	$(BIN)/python -m pytest -q $(WORKERS) tests/unit $(ARGS)

browser-deps:
	@command -v chromium > /dev/null || deployments/lab/apt-install.sh chromium \
	  || echo "Chromium could not be had: the browser tests will be skipped"

bench: $(READY) ## Run every benchmark
	$(BIN)/python -m tests.bench

bench-%: $(READY)
	$(BIN)/python -m tests.bench $*

schema: $(READY) ## Write what is made from the models and commands anew: JSON Schemas and pages
	$(BIN)/watchkeeper schema --write

golden: $(READY) ## Write the golden files anew, to be read in the diff
	$(BIN)/python -m pytest -q tests/unit --update-golden

lock: ## Resolve the lock files anew (they hold no address)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml requirements-setup.in -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements-setup.in -o requirements-setup.lock

clean: ## Remove what was built
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
