# Every command of this project. Bare `make` lists them.
# PYTHON=/path names the Python to make .venv with; ARGS=... is handed on to the program; WORKERS=... tests run at a time.

PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	command -v $$name && break; done)
BIN := .venv/bin
INSTALL = @$(or $(PYTHON),$(error OpsMantik needs Python 3.11 or newer, and none was found)) requirements/install.py
# Two at a time, a file each, the longest first (tests/order.py); without plugins that only their own commands need.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -p no:schemathesis -p no:faker
MIGRATIONS := $(wildcard opsmantik/db/migrations/*.sql)

# What is compiled is kept: the suite starts dozens of programs, and reads 50,000 lines of tests in every process.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help up down test test-quick test-screens test-api test-mutation test-wheel test-nodes sbom wheel lint bench faults soak screenshots lock licences tracker schema docs clean install-run install-dev chromium servers

help: ## list the commands
	@echo "make COMMAND, where COMMAND is one of:"
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | while IFS='	' read -r name what; do \
		printf '  %-14s %s\n' "$$name" "$$what"; done

up: install-run ## set up and start everything with a living demo; ARGS=--detach to have it behind
	@exec $(BIN)/opsmantik up --demo $(ARGS)

down: ## stop it
	@if [ -x $(BIN)/opsmantik ]; then exec $(BIN)/opsmantik down; else echo "Nothing is running."; fi

test: install-dev chromium servers lint ## lint, then all tests
	$(PYTEST) -m "not proof" $(ARGS)

test-quick: install-dev ## the tests that need neither a browser nor patience: under a minute
	$(PYTEST) -m "not browser and not slow" $(ARGS)

test-screens: install-dev chromium ## every page in a real browser: both languages, both themes, both sizes
	SCREENS=all $(BIN)/python -m pytest tests/web/screens $(ARGS)

test-api: install-dev ## ask a real server every question that its OpenAPI document allows, for ten minutes
	$(BIN)/python -m tests.api.run $(ARGS)

lint: install-dev ## style, types, floors, migrations, the built tracker, licences and known holes of dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy & types=$$!; $(BIN)/python requirements/check.py; known=$$?; wait $$types && exit $$known
	$(BIN)/lint-imports
	$(BIN)/python tracker/build.py --check
	$(if $(MIGRATIONS),$(BIN)/squawk $(MIGRATIONS))

test-mutation: install-dev ## take every wall down in turn and see that the tests notice: the score
	$(BIN)/python -m tests.mutation.run $(ARGS)

bench: install-dev ## measure every published figure
	$(BIN)/python bench/run.py $(ARGS)

faults: install-dev ## kill, fill, cut and flood a running system, and see what holds; ARGS="postgres-kill" for one
	@tests/need_faults.sh
	$(BIN)/python -m tests.faults.run $(ARGS)

soak: install-dev ## half an hour under load with everything on; ARGS=--minutes=5 for a shorter one
	$(BIN)/python bench/run.py soak $(ARGS)

screenshots: install-dev chromium ## take the pictures for the documentation again
	$(BIN)/python -m docs.screenshots $(ARGS)

lock: install-dev ## resolve the dependencies again; ARGS=--upgrade for the newest
	requirements/lock.sh $(ARGS)
	$(BIN)/python requirements/sbom.py

sbom: install-dev ## write requirements/sbom.cdx.json, what is inside (CycloneDX), from the lock
	$(BIN)/python requirements/sbom.py

wheel: install-dev ## build dist/opsmantik-….whl, the same bytes from the same sources
	$(BIN)/python -m hatchling build -t wheel -d dist

test-wheel: install-dev ## install the built wheel into a clean environment and run it, without checkout and without Node
	$(BIN)/python -m tests.wheel

test-nodes: install-dev servers ## several servers, workers, a pooler, a standby, the version before beside this one
	$(BIN)/python -m pytest tests/cli/test_nodes.py tests/cli/test_beside.py tests/db/test_pooler.py tests/db/test_replica.py $(ARGS)

licences: install-dev ## write requirements/licences.tsv from what is installed
	$(BIN)/python requirements/check.py --write --offline
	$(BIN)/python requirements/sbom.py

tracker: install-dev ## build tracker/dist from tracker/src
	$(BIN)/python tracker/build.py $(ARGS)

schema: install-dev ## write opsmantik/db/schema.sql from what migrations and functions make
	$(BIN)/python -m tests.db.schema

docs: install-dev ## write the generated pages: settings, OpenAPI
	$(BIN)/python docs/generate.py

clean: ## remove .venv and caches; the data in .opsmantik stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install-run:
	$(INSTALL) run

install-dev:
	$(INSTALL) dev

chromium:
	@tests/need_chromium.sh

servers:
	@tests/need_php.sh
	@tests/need_proxies.sh
	@tests/need_promtool.sh
