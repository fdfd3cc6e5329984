# Everything sets itself up: `make quickstart` and `make test` need Python 3.11+, make and a package index.
#
#   make quickstart   the five steps on real data, about six minutes on two cores after set-up
#   make test         formatting, types, layers, and the tests that take minutes
#   make test-all     the same, then the slow tests (kill loops, servers, several processes), then make test-others
#   make test-others  what dizuo works with and needs for nothing else: trackers, ModelScope, sentence-transformers
#   make mutants ROOM=trees   change a room's code in 200 small ways, each of which its tests must notice; takes an hour
#   make check        formatting, types, layers, and quick tests of all rooms: under a minute on two cores
#   make check ROOM=vectors   the same for one room, under 20 seconds; installs what this room's tests need and no more
#   make lint         formatting, types and layers only
#   make docs         write docs/reference from the code
#
# PYTHON=…            the interpreter to build .venv with; the first of 3.11 or later is taken
# RECIPE_ARGS=…       more arguments for the quickstart, as in RECIPE_ARGS="--rows all"
# WORKERS=…           how many processes run the tests at once; 2
# TORCH_INDEX=…       where CPU builds of torch are, asked only where no NVIDIA driver is; empty turns it off

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Threads that wait for each other give the processor away soon, see main() in src/dizuo/cli/__init__.py.
export GOMP_SPINCOUNT ?= 10000
WORKERS ?= 2
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
VENV := .venv
BIN := $(VENV)/bin
# Programs in .venv have its path in them, so one that was moved is made anew.
MADE := $(shell sed -n 's/^command = .* -m venv \(\/.*\)/\1/p' $(VENV)/pyvenv.cfg 2>/dev/null)
MOVED := $(if $(MADE),$(filter-out $(shell cd $(VENV) && pwd -P),$(MADE)))
ifneq ($(MOVED),)
$(shell echo "$(VENV) was made in another folder ($(MADE)); making it anew" >&2; rm -rf $(VENV))
endif
# Stamps are keyed on content, so that a checkout that touches files sets nothing up again.
KEY := $(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
RUN := $(VENV)/stamp-run-$(KEY)
DEV := $(VENV)/stamp-dev-$(KEY)
# A room is checked with what its extra in pyproject.toml brings, dev-core where it has none, unless all is there.
EXTRA := $(or $(shell sed -n 's/^\(dev-$(ROOM)\) = .*/\1/p' pyproject.toml),dev-core)
CHECKED := $(if $(ROOM),$(or $(wildcard $(DEV)),$(VENV)/stamp-$(EXTRA)-$(KEY)),$(DEV))
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
OTHERS := tests/training/test_tracking.py tests/artifacts/test_modelscope.py \
  tests/vectors/embedders/test_sentence_transformers.py::test_all_minilm_agrees_with_sentence_transformers

.PHONY: help quickstart test test-all test-others mutants check lint docs clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

quickstart: $(RUN)
	@$(BIN)/dizuo run recipes/quickstart.yaml $(RECIPE_ARGS)

# Each worker runs whole files on one thread, so that what a file sets up once is set up once.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-all: test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "slow and not gpu"
	$(MAKE) test-others

# Elsewhere these tests are skipped where a package is missing; here that is a failure.
test-others: $(VENV)/over-others/stamp-$(KEY)
	DIZUO_REQUIRE_OTHERS=1 $(VENV)/over-others/bin/python -m pytest $(OTHERS) -m "slow or not slow"

mutants: $(VENV)/over-mutants/stamp-$(KEY)
	@$(VENV)/over-mutants/bin/python tests/mutation.py $(ROOM) $(MUTANT_ARGS)

check: $(CHECKED)
	@$(BIN)/python tests/check.py $(ROOM)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(DEV)
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# python3 comes last because it may be older; "venv" and "ensurepip" are packages of their own on Debian.
$(VENV)/bin/python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "making $(VENV) with $$python (once)" >&2; "$$python" -m venv $(VENV); exit 0; \
	  fi; \
	done; \
	echo "error: no Python 3.11 or later with venv was found" >&2; echo >&2; \
	echo "hint: install one (on Debian also python3-venv), or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
	exit 1

$(RUN): | $(VENV)/bin/python
	@echo "installing dizuo and what it needs into $(VENV) (a few minutes, once)" >&2
	@rm -f $(VENV)/stamp-run-* $(VENV)/stamp-dev-*
	@index=""; \
	if [ -n "$(TORCH_INDEX)" ] && [ "$$(uname -s)" = Linux ] && [ ! -e /proc/driver/nvidia ] && \
	   $(BIN)/python -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=4)' "$(TORCH_INDEX)/" 2>/dev/null; \
	then index="--extra-index-url $(TORCH_INDEX)"; fi; \
	$(PIP) install $$index -c constraints.txt torch
	@$(PIP) install -c constraints.txt -e ".[train,vectors,documents,lancedb]"
	@touch $@

$(DEV): $(RUN)
	@echo "installing what the tests need" >&2
	@$(PIP) install -c constraints.txt -e ".[dev]"
	@touch $@

# An environment over .venv: it sees what is installed there, and what it brings (`dev-others`, `dev-mutants`) changes
# nothing there. SwanLab wants an older protobuf than constraints.txt has, and MLflow older cachetools.
$(VENV)/over-%/stamp-$(KEY): $(DEV)
	@echo "installing what these tests need besides (dev-$*) into $(@D)" >&2
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@$(BIN)/python -c 'import site; print(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")' \
	  >"$$(echo $(@D)/lib/python*/site-packages)/dizuo-venv.pth"
	@grep -vE '^(protobuf|cachetools)==' constraints.txt >$(@D)/constraints.txt
	@$(@D)/bin/python -m pip --disable-pip-version-check -q install -c $(@D)/constraints.txt -e ".[dev-$*]"
	@touch $@

$(VENV)/stamp-dev-%-$(KEY): $(RUN)
	@echo "installing what the tests of this room need (dev-$*)" >&2
	@$(PIP) install -c constraints.txt -e ".[dev-$*]"
	@touch $@
