# Two commands: `make demo` and `make test` do all the set-up, inside this clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
WORKERS ?= 3

.PHONY: help demo test lint bench audit lock clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    two organisations' made-up case files, a charged ledger, a verified release (about a minute)"
	@echo "             SERVE=1: then a service with demonstration accounts, until Ctrl-C"
	@echo "make test    the test suite, in three processes (WORKERS=n: in n), and the linters"
	@echo "make bench   benchmarks; writes docs/benchmarks.md"
	@echo "make audit   slow checks of privacy"
	@echo "make lock    pins all dependencies anew (needs uv)"

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit("Casehaven needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# A tree with the test tools serves for running, too.
$(VENV)/run.stamp: requirements/run.lock pyproject.toml | $(VENV)/pyvenv.cfg
	@test -e $(VENV)/test.stamp || echo "installing what it needs into $(VENV)/ (a minute or two)"
	@test -e $(VENV)/test.stamp || $(PIP) --require-hashes --no-deps -r requirements/run.lock
	@test -e $(VENV)/test.stamp || $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/test.stamp: requirements/test.lock pyproject.toml | $(VENV)/pyvenv.cfg
	$(PIP) --require-hashes --no-deps -r requirements/test.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/run.stamp
	@test ! -e demo || echo "removing demo/, the demonstration of last time"
	@rm -rf demo
	$(BIN)/casehaven demo --out demo $(if $(SERVE),--serve)

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/test.stamp lint
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal --durations=15

bench: $(VENV)/test.stamp
	$(BIN)/python benchmarks/run.py

audit: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m audit -o addopts="-ra --import-mode=importlib --strict-config --strict-markers" tests

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --no-header --quiet pyproject.toml requirements/build.in --extra server --output-file requirements/run.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --no-header --quiet pyproject.toml requirements/build.in --extra server --extra postgres --extra pkcs11 --extra test --output-file requirements/test.lock

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
