# `make help` lists what there is. Everything runs from .venv, which `install` builds from the hashed lock.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := uv==0.13.9

# how many tests at a time, and more words for pytest: make test ARGS="-k progress"
WORKERS ?= 2
ARGS ?=
# how long `make fuzz` asks
MINUTES ?= 20
# where `make mock` listens
PORT ?= 4010
# what `make hostile` makes its requests of
SEED ?= 5

# Settings of pip that a person may have for their own work and that would put packages elsewhere or refuse ours.
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_USER = 0
export PIP_REQUIRE_VIRTUALENV = 0
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_REQUIRE_HASHES PIP_CONSTRAINT PIP_NO_BINARY PIP_BREAK_SYSTEM_PACKAGES
unexport PYTHONHOME PYTHONPATH

.PHONY: help
help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## everything needed, into .venv (again: nothing to do)

$(STAMP): pyproject.toml requirements/test.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and there is no python3 on the PATH." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is $$("$(PYTHON)" --version 2>&1). Name another: make install PYTHON=/path/to/python" >&2; exit 1; }
	@# a virtual environment that was moved, or whose Python has gone, is built anew
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || rm -rf $(VENV)
	@# Debian may lack ensurepip: then the pip beside Python installs into the environment from outside
	@test -d $(VENV) || "$(PYTHON)" -m venv $(VENV) >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear --without-pip $(VENV)
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then pip="$(BIN)/python -m pip"; \
		else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
		echo "Installing into $(VENV), under a minute the first time …"; \
		$$pip install -qq --require-hashes --only-binary :all: -r requirements/test.txt; \
		$$pip install -qq --no-deps --no-build-isolation --no-index --editable .
	@touch $(STAMP)

.PHONY: demo
demo: install ## serve a real regency's plan on this machine, ready to try
	@$(BIN)/rata demo

# The suite decides by RATA_TEST_ENGINES what it runs on; unset means both engines.
.PHONY: test
test: install ## the whole suite, on SQLite and on PostgreSQL
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

.PHONY: test-sqlite
test-sqlite: install ## the suite on SQLite only
	@RATA_TEST_ENGINES=sqlite $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

.PHONY: test-postgres
test-postgres: install ## the suite on PostgreSQL only
	@RATA_TEST_ENGINES=postgres $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

.PHONY: year
year: install ## a year of a whole province through the workflow, on both engines: minutes
	@RATA_YEAR_REGENCIES=24 RATA_YEAR_LINES=300 $(BIN)/python -m pytest tests/year --durations=0 -o faulthandler_timeout=1800 $(ARGS)

.PHONY: kills
kills: install ## a follower of the feed killed at 50 instants, on both engines
	@RATA_TEST_KILLS=50 $(BIN)/python -m pytest tests/client -k killed $(ARGS)

.PHONY: upgrade-rehearsal
upgrade-rehearsal: install ## an upgrade under load with processes of their own, as operators do it; the suite does it with threads
	@RATA_TEST_UPGRADE=processes $(BIN)/python -m pytest tests/replicas -k nobody_notices $(ARGS)

# What reads and writes the tables that are cut.
CUT := tests/tracking tests/quarters tests/coverage tests/villages tests/completeness tests/reports tests/pulls tests/changes tests/scorecards

.PHONY: partitioned
partitioned: install ## what reports and reads quarters, on PostgreSQL with tables cut by year: minutes
	@RATA_TEST_ENGINES=postgres RATA_TEST_PARTITIONED=1 $(BIN)/python -m pytest -n $(WORKERS) $(CUT) $(ARGS)

.PHONY: faults
faults: install ## hundreds of pulls over a line that does everything wrong, on both engines: minutes
	@RATA_TEST_FAULTS=200 $(BIN)/python -m pytest tests/client/test_faults.py -o faulthandler_timeout=1800 $(ARGS)

.PHONY: cut-network
cut-network: install ## pulls between two network namespaces whose line is taken down; root and iproute2: minutes
	@$(BIN)/python -m tests.client.cut_network

.PHONY: pages
pages: install ## 20,000 rows read page by page while somebody writes, on both engines: a minute
	@RATA_TEST_ROWS=20000 $(BIN)/python -m pytest tests/test_paging.py $(ARGS)

.PHONY: hostile
hostile: install ## thousands of malformed requests against a running service: make hostile SEED=7
	@RATA_TEST_HOSTILE=6000 RATA_TEST_HOSTILE_SEED=$(SEED) RATA_TEST_ENGINES=sqlite $(BIN)/python -m pytest tests/hostile $(ARGS)

.PHONY: fuzz
fuzz: install ## requests from the contract, along its links, at running services: make fuzz MINUTES=20 ARGS="--seed 7"
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(ARGS)

# Groups are the files tests/proofs/proof_<group>.py; pytest does not collect them by itself.
.PHONY: proofs
proofs: install ## what takes long or needs a program that is not ours: make proofs GROUP=<group>
	@$(BIN)/python -m pytest tests/proofs/$(if $(GROUP),proof_$(GROUP).py) -o python_files='proof_*.py' -rP \
		-o faulthandler_timeout=1800 --durations=0 $(ARGS)

.PHONY: lint
lint: install ## style, layout, types, import direction
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy app
	@$(BIN)/lint-imports

.PHONY: format
format: install ## mend style and layout
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: openapi
openapi: install ## write the contract that the service publishes
	@$(BIN)/rata openapi --write

.PHONY: release-document
release-document: openapi ## keep the contract of a release: what comes later is compared with it
	@cp openapi/rata.v1.json openapi/released/rata.v1.json

.PHONY: clients
clients: install ## fetch what judges the contract and makes clients of it; the suite does so when it needs it
	@$(BIN)/python -m tests.clients.tools

.PHONY: mock
mock: install ## answer every address with the contract's examples: make mock PORT=4011
	@$(BIN)/python -m tests.clients.tools prism mock --port $(PORT) openapi/rata.v1.json

.PHONY: bench
bench: install ## measure the hot calls beside their limits: make bench ARGS="--help"
	@$(BIN)/python -m benchmarks $(ARGS)

# No index, no address: the lock must install from whatever index a machine is set up with.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: lock
lock: install ## pin anew what pyproject.toml and package.json ask for: make lock ARGS=--upgrade
	@$(BIN)/python -m pip install --quiet $(UV)
	@$(COMPILE) $(ARGS) --output-file requirements/base.txt --extra all --group build pyproject.toml
	@$(COMPILE) $(ARGS) --constraint requirements/base.txt --output-file requirements/test.txt \
		--extra all --group build --group test pyproject.toml
	@$(COMPILE) $(ARGS) --output-file requirements/clients.txt --group clients
	@$(BIN)/python -m tests.clients.tools npm install --package-lock-only --no-progress
	@$(BIN)/python -c "from tests.clients.tools import without_addresses; without_addresses()"

.PHONY: wheels
wheels: install ## build the packages rata and rata-client into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir dist . ./app/client
	@ls dist/*.whl

.PHONY: clean
clean: ## remove what was installed and cached; data in var/ stays
	@rm -rf $(VENV) node_modules dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
