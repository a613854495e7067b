.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCALSTRIPE := $(VENV)-localstripe/.installed
PIP_COMPILE := $(VENV)-lock/bin/pip-compile --quiet --no-strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header

.PHONY: help setup demo serve check test bench crash lock clean

help: ## What each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp changes when the lock or the project's metadata does, so each target installs only what is missing.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Springline needs Python 3.11 or newer; set PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing pinned requirements into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

# localstripe is GPL: it runs as a process of its own, and is installed where none of our code can import it. It has no
# wheel; what builds one is pinned too.
$(LOCALSTRIPE): tests/acceptance/localstripe.lock tests/acceptance/localstripe-build.lock
	@test -x $(VENV)-localstripe/bin/python || $(PYTHON) -m venv $(VENV)-localstripe
	@echo "installing localstripe, which the tests run against, into $(VENV)-localstripe ..."
	@$(VENV)-localstripe/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/acceptance/localstripe-build.lock
	@$(VENV)-localstripe/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r tests/acceptance/localstripe.lock
	@touch $(LOCALSTRIPE)

setup: $(STAMP) ## Install everything that the other targets need into .venv

demo: $(STAMP) ## One record's whole way, on your screen, in under a minute
	@$(BIN)/springline demo

serve: $(STAMP) ## The API and a worker, with the embedded PostgreSQL
	@$(BIN)/springline serve

check: $(STAMP) ## Lint, types and layer borders
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: $(STAMP) $(LOCALSTRIPE) ## The whole test suite, on a real PostgreSQL
	@$(BIN)/python -m pytest

crash: $(STAMP) ## The crash test alone, with its table (SEED=n repeats a run)
	@$(BIN)/python -m pytest -s tests/crash

bench: $(STAMP) ## Backfill, unchanged pages, receive + ack, beside a bare prototype
	@$(BIN)/python -m bench

lock: $(STAMP) ## Pin the requirements anew, from pyproject.toml and tests/acceptance/localstripe.in
	@$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet pip-tools
	@$(PIP_COMPILE) --extra dev --output-file requirements.lock pyproject.toml
	@$(PIP_COMPILE) --output-file tests/acceptance/localstripe-build.lock tests/acceptance/localstripe-build.in
	@$(PIP_COMPILE) --output-file tests/acceptance/localstripe.lock tests/acceptance/localstripe.in
	@rm -rf $(VENV)-lock

clean: ## Remove what the targets made
	@rm -rf $(VENV) $(VENV)-lock $(VENV)-localstripe .tmp dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache bench/results
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
