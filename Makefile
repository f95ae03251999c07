# What users, CI and the commit hooks call. Needs make and a Python from 3.11 to 3.13, nothing else.
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.nucseg-installed
DEV_INSTALLED := $(VENV)/.nucseg-dev-installed
# The first Python of the right version that can make virtual environments.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
    $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
    && echo $$python && break; done)

# A user's pip may be set to install into the home folder.
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TF_CPP_MIN_LOG_LEVEL ?= 2
export NO_ALBUMENTATIONS_UPDATE := 1
# Material for MkDocs announces that it is maintained until May 2027 only.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test lint check-style check-types check-imports check-tests docs bench viz lock clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED)  ## Install nucseg and the packages it and its page need to run, at the locked versions, into .venv.

$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(BIN)/python || test -n "$(PYTHON)" || { \
	    echo "nucseg needs Python 3.11, 3.12 or 3.13 with the venv module; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock setuptools wheel
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --no-build-isolation --editable ".[look]"
	@touch $@

setup-dev: $(DEV_INSTALLED)  ## Install every locked package: what the checks, the documentation and DVC need, too.

$(DEV_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	@test -e .git || $(BIN)/dvc config --local core.no_scm true  # unpacked, not cloned
	@touch $@

run: setup  ## Show the shipped models on the sample images, then run every pipeline on the demonstration data (no network).
	@for model in stardist mask_rcnn; do \
	    $(BIN)/nucseg predict samples/fluorescence.tif samples/histology.tif --model $$model --format overlay,labels,table \
	        --output data/demo/samples/$$model --overwrite || exit 1; done
	@echo; echo "The nuclei that the shipped models found in the sample images are outlined in"
	@find $(CURDIR)/data/demo/samples -name '*.png' | sort
	@echo "Now the demonstration: every pipeline, with a training of minutes."; echo
	$(BIN)/kedro run --env demo

test: check-style check-types check-imports check-tests  ## Run every check.

lint: check-style check-types check-imports  ## Run the checks that take seconds.

check-style: setup-dev  ## Check the style of code, notebooks and the Dockerfile.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint Dockerfile

check-types: setup-dev  ## Check the types.
	$(BIN)/mypy

check-imports: setup-dev  ## Check that imports run one way only.
	$(BIN)/lint-imports

# One process more than there are cores, since many tests wait for servers; but one takes some 3 GB, so four at most.
check-tests: setup-dev  ## Run all tests that need neither a GPU nor the internet, with coverage, in up to four processes.
	$(BIN)/python -m pytest -m "not gpu and not network" --dist=loadfile --no-loadscope-reorder \
	    --numprocesses=$$($(BIN)/python -c 'import os; print(min(4, os.cpu_count() + 1))') \
	    --cov --cov-report=term --durations=15

docs: setup-dev  ## Build the documentation into site/, and list the commands that no test runs.
	$(BIN)/mkdocs build --strict
	$(BIN)/python docs/list_commands.py

bench: setup-dev  ## Compare the parts with what they replace (minutes, on an idle machine).
	$(BIN)/python benchmarks/basics.py

viz: setup  ## Show the pipelines in the browser.
	$(BIN)/kedro viz run

lock: setup-dev  ## Rewrite requirements.lock from pyproject.toml (UPGRADE=1: with the newest versions).
	$(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --no-annotate \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) \
	    --extra dev --extra docs --extra dvc --extra aws --extra postgres --extra openslide --extra dicom \
	    --extra czi --extra nd2 --extra lif --extra look --extra export \
	    --output-file requirements.lock pyproject.toml

clean:  ## Remove what the checks and the demonstration wrote; downloads, models and .venv stay.
	rm -rf build dist site htmlcov .coverage coverage.xml .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .viz
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
	find data/demo -type f ! -name .gitkeep -delete 2>/dev/null || true
