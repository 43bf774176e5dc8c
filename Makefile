# Everything runs in a virtual environment of the project's own, .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check fuzz histories kill kill-server bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## Refresh, run and verify the retail example on real data; a second call takes seconds
	@$(BIN)/python examples/retail/get_data.py
	@$(BIN)/python examples/retail/demo.py

test: $(VENV)/.test ## Run all tests
	@$(BIN)/python examples/retail/get_data.py
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.test ## Lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: N ?= 10000
fuzz: SEED ?= 1
fuzz: SAVE ?= build/fuzz
fuzz: $(VENV)/.test ## Split N=10000 random calculations from SEED=1, compare each with the whole; what differs is kept in SAVE=build/fuzz
	PYTHONPATH=tests/split $(BIN)/python -m fuzz $(N) --seed $(SEED) --save $(SAVE)

kill: N ?= 500
kill: SEED ?= 1
kill: $(VENV)/.test ## Kill N=500 refreshes at random moments from SEED=1 while others read; every edition must hold what its files do
	PYTHONPATH=tests $(BIN)/python -m killing $(N) --seed $(SEED)

kill-server: N ?= 300
kill-server: SEED ?= 1
kill-server: $(VENV)/.test ## Kill a server and its runs N=300 times at random moments from SEED=1 while users go on; no run may be lost, doubled or wrong
	PYTHONPATH=tests $(BIN)/python -m killing_server $(N) --seed $(SEED)

histories: N ?= 2000
histories: $(VENV)/.test ## Let the sources of a small project go through N=2000 random histories, and check every edition
	FOREBAY_HISTORIES=$(N) $(BIN)/python -m pytest tests/refresh/test_history.py -k of_the_edition

bench: $(VENV)/.test ## Measure start-up, no-op refresh, and the example against its unsplit script
	@$(BIN)/python examples/retail/get_data.py
	$(BIN)/python benchmarks/main_job.py

clean: ## Remove the environment and everything built
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis examples/*/data examples/*/lake

$(VENV)/.demo: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing forebay into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing forebay and what its tests need into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.demo
