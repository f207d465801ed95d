# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two processes of one thread each; tests/conftest.py says who runs what.
WORKERS := -n 2 --no-loadscope-reorder
LOWEST := build/lowest
# Newer packages foretell the end of what old ones call.
FORETOLD := -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning -W ignore::FutureWarning
DEMO := runs/demo-$(shell date +%Y%m%d-%H%M%S)

.DEFAULT_GOAL := help
.PHONY: help setup check test test-shuffled test-slow test-lowest test-site mutate docs release-check same demo bench bench-gpu studio clean

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv and install everything with the tested versions

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is required; set PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

check: $(STAMP) ## Format, lint and type check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: check ## Check, then run the tests (about eight minutes on two quiet cores)
	$(BIN)/python -m pytest $(WORKERS)

test-shuffled: $(STAMP) ## Run the tests in a random order
	$(BIN)/python -m pytest $(WORKERS) --random-order --random-order-bucket=global

test-slow: $(STAMP) ## Run the tests that take minutes each
	$(BIN)/python -m pytest $(WORKERS) -m slow

test-lowest: $(STAMP) ## Run the tests with the lowest allowed version of every dependency, in build/lowest
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct '.[dev]'
	$(LOWEST)/bin/python -m pytest $(WORKERS) $(FORETOLD)

test-site: docs ## Build the documents, and drive the studio in a browser (where a Chromium is found, or named in CHROMIUM)
	$(BIN)/python -m pytest -n 0 -m "browser and not slow" tests/ui

mutate: $(STAMP) ## Change the code that decides results, bit by bit: do its tests notice? An hour or more; goes on where it was
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group mutation
	$(BIN)/python -m tests.mutate --table docs/results/mutation.md

docs: $(STAMP) ## Build the documents as a site into build/site; a warning is an error
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "look at it with: $(BIN)/python -m http.server --directory build/site"

release-check: $(STAMP) ## Build wheel and sdist into dist/, look into both, and compare the places that name the version
	$(BIN)/python -m tests.release

same: $(STAMP) ## Prove that no result changed since BASE=COMMIT
	@test -n "$(BASE)" || { echo "BASE is empty; name the commit to compare with: make same BASE=main"; exit 1; }
	$(BIN)/python tests/same.py $(BASE)

demo: $(STAMP) ## Train the bundled faces for a few minutes, sample, measure, report
	$(BIN)/sase-gan demo --out $(DEMO)

bench: $(STAMP) ## Time a training step of the presets beside their plain forms
	$(BIN)/sase-gan bench train

bench-gpu: $(STAMP) ## Time the full network on a GPU for at most ten minutes, into results/speed.csv
	$(BIN)/sase-gan bench gpu

studio: $(STAMP) ## Open the app in the browser
	$(BIN)/sase-gan studio

clean: ## Remove what tools left behind (runs and .venv stay)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
