# `make demo` and `make test` do all their own set-up in .venv; they need Python 3.11 or newer, and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint clean

help:
	@echo 'make demo   simulate darks, make reference files of them, print the paths of the reports'
	@echo 'make test   style, types and all tests'
	@echo 'make lint   style and types'
	@echo 'make clean  remove what the above made'

demo: $(BIN)/.installed
	@$(BIN)/nrsdark demo --out demo

test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: $(BIN)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'nrsdark_xr needs Python 3.11 or newer: make PYTHON=/path/to/python3.11'; exit 1; }
	@echo 'Setting up $(VENV) (once; a minute or two)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(BIN)/.installed: pyproject.toml constraints.txt | $(BIN)/uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable .
	@touch $@

$(BIN)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(BIN)/.installed

clean:
	rm -rf $(VENV) demo .pytest_cache .hypothesis .mypy_cache .ruff_cache
