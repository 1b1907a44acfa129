# Everything a user does. Each target sets up what it needs and nothing twice; the README shows the
# plain command behind each.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# abspath would take a path with spaces for many; make knows such a target by escaped ones.
space := $(subst ,, )
absolute = $(if $(filter /%,$(firstword $(1))),$(1),$(if $(filter ~/%,$(firstword $(1))),$(subst \
	~/,$(HOME)/,$(1)),$(CURDIR)/$(1)))
escaped = $(subst $(space),\$(space),$(1))
RECSYS_HOME ?= $(CURDIR)/var
# Said on make's command line, it would else stay as it was said.
override RECSYS_HOME := $(call absolute,$(RECSYS_HOME))
export RECSYS_HOME
export DAGSTER_HOME := $(RECSYS_HOME)/dagster
INSTANCE := $(call escaped,$(DAGSTER_HOME))/dagster.yaml
# Compiled kernels: without this numba writes them beside the source.
export NUMBA_CACHE_DIR ?= $(RECSYS_HOME)/numba
ifdef RAW
export RECSYS_RAW := $(call absolute,$(RAW))
endif
ifdef GRID
export RECSYS_GRID := $(GRID)
endif
PORT ?= 3000
# What targets need of the environment; EXTRAS=torch adds an extra of pyproject.toml.
INSTALLED := $(VENV)/.installed $(EXTRAS:%=$(VENV)/.extra-%)

.DEFAULT_GOAL := help
.PHONY: help setup run leaderboard reference tune ui test test-fast lint format lock bench bench-full clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.extra-%: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[$*]"
	@touch $@

$(INSTANCE): dagster.yaml | $(VENV)/.installed
	$(BIN)/python -m recsys_assets setup

setup: $(INSTALLED) $(INSTANCE)  ## environment, Dagster's instance, MLflow's store [EXTRAS=torch]

run: setup  ## refresh everything [RAW=path/to/files] [GRID=full] [FORCE=1]
	$(BIN)/python -m recsys_assets run $(if $(FORCE),--force)

leaderboard: run  ## refresh, then the leaderboard in detail [RAW=path/to/files] [GRID=full]
	$(BIN)/python -m recsys_assets leaderboard

REFERENCE = $(RECSYS_HOME)/reference
reference: setup  ## the leaderboard on the division of the published figures RAW=path/to/slices [GRID=full]
	@test -n "$(RAW)" || { echo "make reference: which slices? RAW=path/to/slices" >&2; exit 2; }
	$(BIN)/python -m benchmarks.reference_split --raw "$(RECSYS_RAW)" --out "$(REFERENCE).parquet" > "$(REFERENCE).env"
	env $$(cat "$(REFERENCE).env") $(MAKE) leaderboard RAW="$(REFERENCE).parquet" RECSYS_HOME="$(REFERENCE)"

given = $(if $($(1)),--$(shell echo $(1) | tr A-Z a-z) $($(1)))
tune: setup  ## search better hyperparameters FAMILY=cooccurrence [ENTRY=] [TRIALS=] [MINUTES=] [METRIC=] [RAW=]
	@test -n "$(FAMILY)" || { echo "make tune: which family? FAMILY=cooccurrence, for example" >&2; exit 2; }
	$(BIN)/python -m recsys_assets tune --family $(FAMILY) $(foreach option,ENTRY TRIALS MINUTES METRIC,$(call given,$(option)))

ui: setup  ## webserver and daemon [RAW=path/to/files] [PORT=3000]
	@echo "Dagster: http://localhost:$(PORT)"
	cd "$(DAGSTER_HOME)" && "$(CURDIR)/$(BIN)/dagster" dev -w "$(CURDIR)/workspace.yaml" -p $(PORT)

test: $(INSTALLED) lint  ## lint, type check and all tests [EXTRAS=torch]
	$(BIN)/python -m pytest

test-fast: $(VENV)/.installed  ## the tests that take about two minutes
	$(BIN)/python -m pytest -m "not slow and not real_data"

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed  ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## resolve pyproject.toml afresh and write the exact versions into requirements.lock
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check ".[dev]"
	(sed -n '/^#/p' requirements.lock; \
	 build/lock/bin/pip freeze --exclude recsys_assets | grep -v ' @ ') > build/requirements.lock
	mv build/requirements.lock requirements.lock

bench: $(VENV)/.installed  ## compare with the tutorial's way on a tenth of the full size: minutes
	$(BIN)/python -m benchmarks.run $(BENCH) --work "$(RECSYS_HOME)/benchmarks"

bench-full: $(VENV)/.installed  ## the same on 12.9 million rows: hours; BENCH="prepare growth" leaves the models out
	$(BIN)/python -m benchmarks.run $(BENCH) --rows 12891680 --work "$(RECSYS_HOME)/benchmarks"

clean:  ## remove the environment and caches (not $(RECSYS_HOME))
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
