# Each target works as the only command typed in a fresh clone: it makes .venv and installs what it needs.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help lesson test timing honesty bench fuzz messages notebooks check lint types contracts unit format test-lowest clean

help:               ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

lesson: .venv/installed   ## train the lesson's network on iris
	$(BIN)/hotloop train iris

test: .venv/installed-for-tests   ## lint, types, import contracts, tests with coverage
	$(MAKE) --no-print-directory lint types contracts unit

timing: .venv/installed-for-tests   ## promises about wall-clock time, on a machine that does nothing else
	$(BIN)/pytest -q -m "timing and not honesty"
	$(BIN)/python benchmarks/eager_against_loop.py

honesty: .venv/installed-for-tests   ## claims against known truth, simulated and injected; minutes, prints its figures
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -s -m honesty

bench: .venv/installed   ## the workloads side by side with eager torch, JAX and scikit-learn, some minutes
	$(BIN)/pip install -q -c constraints.txt -e '.[bench]'
	$(BIN)/hotloop bench

fuzz: .venv/installed-for-tests   ## 2,000 random training tasks, compiled code against torch; prints seeds of failures
	$(BIN)/python tests/fuzz $(FUZZ)

check: .venv/installed-for-tests   ## the quick part: all but the slow tests
	$(MAKE) --no-print-directory lint types contracts
	$(BIN)/pytest -q -x -n 2 --dist worksteal -m "not timing and not slow and not honesty"

messages: .venv/installed-for-tests   ## bring the catalogue of Chinese texts up to date; lists what is to translate
	$(BIN)/python tests/language

lint:
	$(BIN)/ruff check src tests benchmarks notebooks
	$(BIN)/ruff format --check src tests benchmarks notebooks

types:
	$(BIN)/mypy

contracts:
	$(BIN)/lint-imports

unit:
	$(BIN)/pytest -q tests/test_lesson.py
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal -m "not timing and not honesty" --cov --cov-report=
	$(BIN)/coverage report --skip-covered --fail-under=95

notebooks: .venv/installed-for-tests   ## execute the lesson's notebooks again, in both languages
	$(BIN)/pip install -q -c constraints.txt -e '.[notebooks]'
	$(BIN)/python notebooks/make_lesson.py

format: .venv/installed-for-tests   ## rewrite the sources in the project's layout
	$(BIN)/ruff check --fix src tests benchmarks notebooks
	$(BIN)/ruff format src tests benchmarks notebooks

test-lowest:        ## the tests with the oldest dependencies that pyproject.toml allows
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install -q -c constraints-lowest.txt -e '.[test]'
	OMP_NUM_THREADS=1 .venv-lowest/bin/pytest -q -n 2 --dist worksteal -m "not timing and not honesty"

clean:              ## remove the environments and what tests leave behind
	rm -rf .venv .venv-lowest .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

.venv/installed-for-tests: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	@touch $@ .venv/installed
