# Everything a developer or operator does, one line each. `make` alone lists them.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup serve sidecar test test-slow fuzz lint types bench bench-scale demo examples storm fsck migrate db-status backup sdk-wheel clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.made ## Make .venv with everything in it
	@:

# The test by hand: an environment made by somebody else is filled up, not thrown away.
$(VENV)/.made: setup.cfg pyproject.toml
	@echo "Setting up $(VENV): about a minute the first time."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[server,s3,dev]'
	@touch $@

serve: setup ## Run the service at http://127.0.0.1:8080, on SQLite (BACKEND=url)
	@exec $(BIN)/assay serve $(if $(BACKEND),--backend '$(BACKEND)')

sidecar: setup ## Run the sidecar alone (BACKEND=url)
	@exec $(BIN)/assay sidecar $(if $(BACKEND),--backend '$(BACKEND)')

test: setup ## Run the tests, on SQLite and a real PostgreSQL
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

test-slow: setup ## Run the long tier: every fault at every call, long races, long walks
	ASSAY_TEST_LONG=1 $(BIN)/python -m pytest -m slow $(ARGS)
	ASSAY_TEST_LONG=1 $(BIN)/python -m pytest tests/engine/test_random_walk.py tests/engine/test_family_walk.py tests/engine/test_chain_walk.py tests/domain/test_cron_oracle.py tests/domain/test_cron_zones.py $(ARGS)

fuzz: setup ## Send bad requests, long: raw bytes, then what the API's description allows
	$(BIN)/python -m tests.fuzz.raw $(ARGS)
	ASSAY_TEST_LONG=1 $(BIN)/python -m pytest tests/fuzz/test_described.py

lint: setup ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Check types
	$(BIN)/mypy

bench: setup ## Measure, on both databases (BACKEND=sqlite|postgres, AGAINST=commit)
	$(BIN)/python -m bench $(if $(BACKEND),--backend '$(BACKEND)') $(if $(AGAINST),--against '$(AGAINST)') $(ARGS)

bench-scale: setup ## Measure among a million runs beside a nearly empty database (BACKEND=sqlite|postgres)
	$(BIN)/python -m bench.scale $(if $(BACKEND),--backend '$(BACKEND)') $(ARGS)

demo: setup ## Kill everything while 200 approvals and 300 checkouts run (BACKEND=sqlite|postgres)
	$(BIN)/python -m demo --backend '$(or $(BACKEND),sqlite)' $(ARGS)

examples: setup ## Run every example, end to end (BACKEND=sqlite|postgres)
	$(BIN)/python -m tests.examples --backend '$(or $(BACKEND),sqlite)' $(ARGS)

storm: setup ## Timers, schedules, trees and workers under kill -9 (BACKEND=sqlite|postgres)
	$(BIN)/python -m tests.storm $(if $(BACKEND),--backend '$(BACKEND)') $(ARGS)

fsck: setup ## Check a database (BACKEND=url)
	@$(BIN)/assay fsck $(if $(BACKEND),--backend '$(BACKEND)')

migrate: setup ## Bring a database to this build's schema (BACKEND=url)
	@$(BIN)/assay db migrate $(if $(BACKEND),--backend '$(BACKEND)')

db-status: setup ## Show what a database is and holds (BACKEND=url)
	@$(BIN)/assay db status --output table $(if $(BACKEND),--backend '$(BACKEND)')

backup: setup ## Copy a database at work into a new file (TO=file BACKEND=url)
	@$(BIN)/assay db backup '$(or $(TO),$(error say where to: make backup TO=file))' $(if $(BACKEND),--backend '$(BACKEND)')

# From a copy, so that neither the server nor what an earlier build left behind gets in.
sdk-wheel: setup ## Build the SDK alone: dist/assay_wsgi_sdk-*.whl
	@rm -f dist/assay_wsgi_sdk-*.whl
	@tree=$$(mktemp -d) && trap 'rm -rf "$$tree"' EXIT && mkdir "$$tree/assay_wsgi" && \
	cp packaging/sdk/* LICENSE "$$tree" && \
	cp -R assay_wsgi/__init__.py assay_wsgi/version.py assay_wsgi/py.typed assay_wsgi/sdk "$$tree/assay_wsgi" && \
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist "$$tree" && \
	ls dist/assay_wsgi_sdk-*.whl

clean: ## Remove what the tools left behind, .venv too
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
