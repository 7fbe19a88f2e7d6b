# Everything runs from .venv, which is made from the hashed lock files at the first target.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m
HOME_FOLDER := .sluiceway
LOCKS := requirements-dev.txt requirements-bootstrap.txt
STAMP := $(VENV)/.installed-$(shell cat $(LOCKS) | cksum | cut -d' ' -f1)
RULES := shared/domain/*,services/*/policies/*,services/*/use_cases/*
# Tests that measure time, or start whole stacks, have the machine to themselves.
SIDE_BY_SIDE := tests/unit tests/property tests/contract
ONE_BY_ONE := tests/integration tests/e2e tests/chaos
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help setup broker demo up test check bench chaos schemas lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup broker ## Run the main job on real input, and print what happened
	@$(RUN) cli.main demo

up: setup broker ## Run the whole system in the foreground until Ctrl-C
	@$(RUN) cli.main up

test: setup broker ## Run every test, and hold what they cover against the limits
	@$(RUN) coverage erase
	@$(RUN) coverage run -m pytest -n 2 --dist loadfile $(SIDE_BY_SIDE)
	@$(RUN) coverage run -m pytest $(ONE_BY_ONE)
	@$(RUN) coverage combine --quiet
	@$(RUN) coverage report --include='$(RULES)' --fail-under=100
	@$(RUN) coverage report --fail-under=95

chaos: setup broker ## Run the fault suite in full
	@SLUICEWAY_CHAOS=full $(BIN)/pytest -m chaos -rP

bench: setup broker ## Run the benchmarks
	@$(RUN) benchmarks

schemas: setup ## Write schemas/ anew from the code
	@$(RUN) cli.schemas

check: setup ## Run the static checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/codespell
	@$(RUN) cli.schemas --check
	@$(BIN)/pytest -q --no-header tests/unit/repository

setup: $(STAMP)

broker: setup
	@$(RUN) cli.local_stack.install_broker

# The stamp comes last: an interrupted installation is simply taken up again. uv is much faster;
# where it cannot be installed, pip reads the same locks.
$(STAMP): $(LOCKS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "sluiceway: Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "sluiceway: making $(VENV) (once) ..." >&2
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 || \
		$(PYTHON) -m venv --clear $(VENV)
	@rm -f $(VENV)/.installed-*
	@echo "sluiceway: installing the locked packages ..." >&2
	@if $(RUN) pip install --quiet --disable-pip-version-check --require-hashes \
			-r requirements-bootstrap.txt 2>$(VENV)/bootstrap.log; then \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode \
			--require-hashes -r requirements-dev.txt; \
	else \
		$(RUN) pip install --quiet --disable-pip-version-check --require-hashes \
			-r requirements-dev.txt; \
	fi
	@touch $@

lock: setup ## Write the hashed lock files anew
	@$(COMPILE) requirements-bootstrap.in -o requirements-bootstrap.txt
	@$(COMPILE) requirements.in -o requirements.txt
	@$(COMPILE) requirements-dev.in -o requirements-dev.txt

# Root's database data lies behind a link, in a temporary folder of an unprivileged user.
clean: ## Remove .venv and .sluiceway
	@if [ -L $(HOME_FOLDER)/postgres ]; then \
		folder=$$(readlink $(HOME_FOLDER)/postgres); \
		case "$$folder" in */sluiceway-postgres-*) rm -rf "$$folder" ;; esac; \
	fi
	@rm -rf $(VENV) $(HOME_FOLDER)
