# Two commands on a fresh machine: `make demo` and `make test`. Everything else is for those who change the code.
PYTHON ?= python3
VENV ?= .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin

.PHONY: demo test format types

demo: $(STAMP)  ## teacher and three students on the embedded digits, then tested from the checkpoint alone
	rm -rf runs/mcsm
	$(BIN)/lt fit --config configs/mcsm.yaml
	$(BIN)/lt test --ckpt_path runs/mcsm/best.ckpt

test: $(STAMP)  ## lint, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP)
	$(BIN)/mypy

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev,pinned]'
	@touch $@
