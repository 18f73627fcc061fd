# `make help` lists what there is. Everything runs from .venv, which is built from the hashed locks in two layers:
# what the service runs on, which is all that the demo needs, and over it what tests, linters and benchmarks need.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# every lock pins the same version of what both have: neither layer changes what the other installed
RUNTIME_LOCK ?= requirements/base.txt
TEST_LOCK ?= requirements/test.txt
RUNTIME := $(VENV)/.runtime
STAMP := $(VENV)/.installed
UV := uv==0.13.9

# how many tests at a time, and more words for pytest: make test ARGS="-k progress"
WORKERS ?= 2
# each worker takes a stretch of the files, so that what a file makes once is made once, and helps the other at the end
DIST ?= worksteal
ARGS ?=
# where `make mock` listens
PORT ?= 4010
# the folders that wheels are built from
WHEELS ?= . app/client

# Settings of pip that a person may have for their own work and that would put packages elsewhere or refuse ours.
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_USER = 0
export PIP_REQUIRE_VIRTUALENV = 0
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_REQUIRE_HASHES PIP_CONSTRAINT PIP_NO_BINARY PIP_BREAK_SYSTEM_PACKAGES
unexport PYTHONHOME PYTHONPATH

.PHONY: help
help: ## list the targets
	@if [ -t 1 ]; then bold='\033[1m' plain='\033[0m'; fi; \
		awk -F ':.*## ' -v bold="$${bold-}" -v plain="$${plain-}" '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %s%-17s%s %s\n", bold, $$1, plain, $$2 }' $(MAKEFILE_LIST)

##@ Use

.PHONY: demo
demo: $(RUNTIME) ## serve a real regency's plan on this machine, ready to try
	@$(BIN)/rata demo

##@ Develop

.PHONY: install
install: $(STAMP) ## install everything needed into .venv (again: nothing to do)

# Debian may lack ensurepip: then the pip beside Python installs into the environment from outside.
define PIP
if $(BIN)/python -c 'import pip' 2>/dev/null; then pip="$(BIN)/python -m pip"; \
	else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; $$pip
endef

$(RUNTIME): pyproject.toml $(RUNTIME_LOCK)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and there is no python3 on the PATH." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is $$("$(PYTHON)" --version 2>&1). Name another: make install PYTHON=/path/to/python" >&2; exit 1; }
	@# a virtual environment that was moved, or whose Python has gone, is replaced
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || rm -rf $(VENV)
	@echo "Installing what the service runs on ($(RUNTIME_LOCK)) into $(VENV); half a minute the first time …"
	@test -d $(VENV) || "$(PYTHON)" -m venv $(VENV) >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear --without-pip $(VENV)
	@$(PIP) install --require-hashes --only-binary :all: -r $(RUNTIME_LOCK)
	@$(PIP) install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $(RUNTIME)

$(STAMP): $(RUNTIME) $(TEST_LOCK)
	@echo "Installing what tests and linters need besides ($(TEST_LOCK)) into $(VENV); a minute the first time …"
	@$(PIP) install --require-hashes --only-binary :all: -r $(TEST_LOCK)
	@touch $(STAMP)

# The suite's threads come and go: with an arena for each the allocator keeps what all of them once had.
test test-sqlite test-postgres: export MALLOC_ARENA_MAX = 2
# Large bodies are given back when they are let go, instead of leaving holes.
test test-sqlite test-postgres: export MALLOC_MMAP_THRESHOLD_ = 8388608

# The suite decides by RATA_TEST_ENGINES what it runs on; unset means both engines.
.PHONY: test
test: install ## run the whole suite, on SQLite and on PostgreSQL
	@$(BIN)/python -m pytest -n $(WORKERS) --dist $(DIST) $(ARGS)

.PHONY: test-sqlite
test-sqlite: install ## run the suite on SQLite only
	@RATA_TEST_ENGINES=sqlite $(BIN)/python -m pytest -n $(WORKERS) --dist $(DIST) $(ARGS)

.PHONY: test-postgres
test-postgres: install ## run the suite on PostgreSQL only
	@RATA_TEST_ENGINES=postgres $(BIN)/python -m pytest -n $(WORKERS) --dist $(DIST) $(ARGS)

.PHONY: lint
lint: install ## check style, layout, types, import direction and how the document reads
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy app
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.clients.tools spectral lint --quiet --fail-severity hint --ruleset openapi/spectral.yaml openapi/rata.v1.json

.PHONY: format
format: install ## mend style and layout
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: openapi
openapi: install ## write the contract that the service publishes, and the table of settings in docs/install.md
	@$(BIN)/rata openapi --write
	@$(BIN)/python -m tests.docs.settings_table

.PHONY: clients
clients: install ## fetch what judges the contract and makes clients of it; the suite does so when it needs it
	@$(BIN)/python -m tests.clients.tools

.PHONY: mock
mock: install ## answer every address with the contract's examples: make mock PORT=4011
	@$(BIN)/python -m tests.clients.tools prism mock --port $(PORT) openapi/rata.v1.json

# No index, no address: the lock must install from whatever index a machine is set up with.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: lock
lock: install ## pin what pyproject.toml and package.json ask for: make lock ARGS=--upgrade
	@$(BIN)/python -m pip install --quiet $(UV)
	@$(COMPILE) $(ARGS) --output-file requirements/base.txt --extra all --group build pyproject.toml
	@$(COMPILE) $(ARGS) --constraint requirements/base.txt --output-file requirements/test.txt \
		--extra all --group build --group test pyproject.toml
	@$(COMPILE) $(ARGS) --output-file requirements/clients.txt --group clients
	@$(BIN)/python -m tests.clients.tools npm install --package-lock-only --no-progress
	@$(BIN)/python -c "from tests.clients.tools import without_addresses; without_addresses()"

.PHONY: wheels
wheels: install ## build the packages rata and rata-client into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir dist $(addprefix ./,$(WHEELS))
	@ls dist/*.whl

.PHONY: clean
clean: ## remove what was installed and cached; data in var/ stays
	@rm -rf $(VENV) node_modules dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Prove

# Groups are the files tests/proofs/proof_<group>.py; pytest does not collect them by itself.
GROUPS_THERE := $(subst _,-,$(patsubst tests/proofs/proof_%.py,%,$(sort $(wildcard tests/proofs/proof_*.py))))
GROUP ?=
# how often a group repeats what it repeats, how long `fuzz` asks, and what both draw by; unset: what the group says
COUNT ?=
MINUTES ?=
SEED ?=

.PHONY: known-group
known-group:
	@test -z "$(filter-out $(GROUPS_THERE),$(GROUP))" || { \
		echo "No such group: $(filter-out $(GROUPS_THERE),$(GROUP)). Groups: $(GROUPS_THERE)." >&2; exit 1; }

.PHONY: proofs
proofs: known-group install ## run what takes long or needs a foreign program: make proofs GROUP=faults COUNT=20
	@RATA_PROOF_COUNT=$(COUNT) RATA_PROOF_MINUTES=$(MINUTES) RATA_PROOF_SEED=$(SEED) $(BIN)/python -m pytest \
		$(foreach group,$(or $(GROUP),$(GROUPS_THERE)),tests/proofs/proof_$(subst -,_,$(group)).py) \
		-o python_files='proof_*.py' -rP -o faulthandler_timeout=1800 --durations=0 $(ARGS)

.PHONY: year
year: install ## run a year of a whole province through the workflow, on both engines: minutes
	@RATA_YEAR_REGENCIES=24 RATA_YEAR_LINES=300 RATA_YEAR_SEEDS="1 2 3 4 5 6" RATA_YEAR_STEPS=60 $(BIN)/python -m pytest tests/year --durations=0 -o faulthandler_timeout=1800 $(ARGS)

.PHONY: sheets-diff
sheets-diff: install ## list what imports of all sheets at hand read otherwise than stored: make sheets-diff ARGS=--write
	@$(BIN)/python -m tests.sheets $(ARGS)

.PHONY: house
house: install ## measure the shape of the code beside its goals: names, circles, types, files per request, lines
	@$(BIN)/python -m tests.house

.PHONY: bench
bench: install ## measure the hot calls beside their limits: make bench ARGS="--help"
	@$(BIN)/python -m benchmarks $(ARGS)

##@ Release

.PHONY: release
release: install ## commit, tag and build a release from a clean tree, without pushing it
	@PYTHON=$(BIN)/python .ci/release $(WHEELS)

.PHONY: release-document
release-document: openapi ## replace the contract that later ones are compared with, before the first release
	@cp openapi/rata.v1.json openapi/released/rata.v1.json
