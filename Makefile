# Everything a contributor runs. Needs Python >= 3.11 and make; the rest is set up in $(VENV).

VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.15 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST_ARGS ?= -n auto
FUZZ_SECONDS ?= 10
BENCH ?= mime store big_messages idle_connections
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test test-compiled check format docs bench fuzz test-deps lock wheel clean

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(VENV)/.runtime ## a running server with two accounts and a message; ONCE=1 ends by itself
	$(BIN)/pennypost demo $(if $(filter-out 0,$(ONCE)),--once)

test: $(VENV)/.dev ## all tests (PYTEST_ARGS to change what pytest gets)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.dev ## format, lint, types, import contracts, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/unit/docs

format: $(VENV)/.dev ## let ruff put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.runtime ## write docs/configuration.md anew
	$(BIN)/python -c "from pennypost.app.config.describe import configuration_page as page; print(page(), end='')" \
		> docs/configuration.md

bench: $(VENV)/.dev ## the measurements of bench/ (BENCH="store mime" chooses); with BENCH_ROOT also beside the peers
	@for name in $(BENCH); do \
		echo "== bench.$$name"; PYTHONPATH=src:. $(BIN)/python -m bench.$$name || exit 1; \
	done
	@if [ -n "$(BENCH_ROOT)" ]; then BENCH_ROOT="$(BENCH_ROOT)" bash bench/side_by_side/run.sh w1; fi

fuzz: $(VENV)/.dev ## the fuzzers, for FUZZ_SECONDS each
	@for file in tests/fuzz/[a-z]*.py; do \
		echo "$$file for $(FUZZ_SECONDS) s"; \
		PYTHONPATH=src $(BIN)/python -m tests.fuzz.$$(basename $$file .py) $(FUZZ_SECONDS) || exit 1; \
	done

test-deps: ## the real mail programs the interop tests drive (Debian packages)
	sh packaging/test-deps.sh

lock: $(VENV)/.dev ## resolve the dependencies anew
	$(BIN)/$(LOCK) --upgrade pyproject.toml --group build -o requirements/runtime.txt
	$(BIN)/$(LOCK) --upgrade pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt

wheel: $(VENV)/.dev ## dist/*.whl with the hot modules compiled (PURE=1: without)
	PENNYPOST_COMPILE=$(if $(PURE),0,1) \
		$(BIN)/python -m pip --disable-pip-version-check wheel --no-deps --no-build-isolation --wheel-dir dist .

COMPILED ?= build/compiled

test-compiled: $(VENV)/.dev ## all tests on the compiled modules
	$(BIN)/python packaging/hatch_build.py $(COMPILED)
	$(BIN)/python -m pytest $(PYTEST_ARGS) -o pythonpath="$(COMPILED) ."

clean: ## forget what was set up
	rm -rf $(VENV) build dist demo-data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Pennypost needs Python 3.11 or later: none was found" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp is newer than all that it was made from: the second run has nothing to do.
$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/runtime.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
