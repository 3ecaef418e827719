# Two commands on a fresh machine: `make demo` and `make test`. The others are for those who change the code.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test soak docs wheel wheel-check lint format types digits methods reproduce speed tables lock

demo: $(STAMP)  # a teacher, then three students, on the embedded digits; then both measured from their checkpoints alone
	rm -rf runs/demo
	$(BIN)/lt fit --config configs/mcsm.yaml --trainer.default_root_dir runs/demo
	$(BIN)/lt test --ckpt_path runs/demo/teacher/last.ckpt
	$(BIN)/lt test --ckpt_path runs/demo/last.ckpt

test: $(STAMP) lint types
	$(BIN)/python -m pytest -n auto --dist loadfile

soak: $(STAMP)  # the long forms of the tests of exactness and crashes: 35 minutes or more
	$(BIN)/python -m pytest -n auto --dist worksteal -m soak

docs: $(STAMP)  # the site in build/docs, its notebooks, and every block of code in README and docs: some minutes
	$(BIN)/pip install --quiet --editable '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -E -b html docs build/docs
	$(BIN)/python -m pytest -n auto --dist worksteal -m docs

wheel:  # what is published, in dist
	rm -rf dist
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist .

wheel-check: wheel  # it is small, and works in a fresh environment without the repository
	PYTHON=$(PYTHON) bash .ci/wheel

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet -ll --recursive lt_lightning

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP)
	$(BIN)/mypy

methods: $(STAMP)  # docs/methods.md: all methods, five seeds on the embedded digits
	$(BIN)/python benchmarks/methods.py --seeds 5

reproduce: $(STAMP)  # published figures again, within their tracks; ROOT=DIR is the folder of the official CIFAR-100
	$(BIN)/python benchmarks/tracks.py --root "$(ROOT)"

speed: $(STAMP)  # what is fast and what is not, as ratios of CPU time
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/run.py --out benchmarks/results/speed.json

tables: $(STAMP)  # puts measured tables into README and docs
	$(BIN)/python benchmarks/tables.py

lock: $(STAMP)  # requirements.lock: every package that the pinned set needs, on any platform, with the hashes of its files
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra pinned \
		--custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml

digits: $(STAMP)  # the README's table of what each part of MCSM brings, five seeds
	$(BIN)/python benchmarks/digits.py --seeds 5 --work runs/digits --out benchmarks/results/digits.json

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev,pinned]'
	@touch $@
