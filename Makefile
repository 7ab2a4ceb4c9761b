# Everything a contributor runs. `make` alone prints this list.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
REAL_DATA := $(abspath $(or $(KEDGE_REAL_DATA),../shared/data))

.DEFAULT_GOAL := help
.PHONY: help install demo up lint test test-real test-demo test-faults ci clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY)  ## create .venv and install kedge with everything it needs (exact versions)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 11) else f"PYTHON: needs Python 3.11; got {v[0]}.{v[1]}. Install python3.11 and python3.11-venv, or set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[aws,dev,k8s]'
	@touch $@

demo: $(READY)  ## watch the whole loop: a simulated bank, 12 nights, drift, a retraining, a refusal
	$(BIN)/kedge demo

up: $(READY)  ## Dagster's web UI and daemon and MLflow on localhost
	$(BIN)/kedge up

lint: $(READY)  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint  ## lint, then the tests that need nothing but this repository (at most 10 minutes on 2 cores)
	$(BIN)/pytest -n 2 --dist loadfile
	@echo 'Deselected, for they need a GPU or a cluster:'
	@$(BIN)/pytest --collect-only --quiet -m 'gpu or cluster' || [ $$? -eq 5 ]

test-real: $(READY)  ## the examples on real tables from ../shared/data (KEDGE_REAL_DATA names another folder)
	@if [ -d "$(REAL_DATA)" ]; then KEDGE_REAL_DATA="$(REAL_DATA)" $(BIN)/pytest -m real -s; \
	else echo "No real tables in $(REAL_DATA): nothing was tested. Put them there, or set KEDGE_REAL_DATA."; fi

test-demo: $(READY)  ## the demo, its story asserted
	$(BIN)/pytest -m demo -s

test-faults: $(READY)  ## kill -9 and a full disk at every fault point of every asset; a minute of random tampering
	$(BIN)/pytest -m faults -s

ci: ## what has to pass before anything lands
	bash .ci/run

clean:  ## remove what the demo and the tests left (never KEDGE_HOME)
	rm -rf .demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
