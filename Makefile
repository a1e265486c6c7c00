# Two commands to know: `make demo` and `make test`. Both set up what they need in .venv, once.

VENV := .venv
BIN := $(VENV)/bin
OUT ?= out/demo
WORKERS ?= 2

# The first interpreter that starts and that the project supports.
SUPPORTED := import sys; raise SystemExit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for p in python3.12 python3.11 python3 python; do \
	"$$p" -c '$(SUPPORTED)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

# uv when it is there, plain pip otherwise; either finishes an interrupted set-up from its cache.
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
CREATE = "$(UV)" venv --quiet --clear --python "$(PYTHON)" $(VENV)
INSTALL = "$(UV)" pip install --python $(BIN)/python -c constraints.txt
else
CREATE = "$(PYTHON)" -m venv --clear $(VENV)
INSTALL = $(BIN)/python -m ensurepip >/dev/null && $(BIN)/python -m pip install --retries 10 --timeout 120 -c constraints.txt
endif

# One thread each: the tests run in $(WORKERS) processes, and results do not depend on the machine.
export OMP_NUM_THREADS := 1

# Hundreds of commands are started by the tests: each starts in half the time when Python keeps what it has compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo setup test test-all lint format golden clean
.DELETE_ON_ERROR:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed ## play the quickstart market and write its report into out/demo
	$(BIN)/datagora run quickstart --out $(OUT) --force
	$(BIN)/datagora report $(OUT)

setup: $(VENV)/installed-dev ## set up .venv with everything that the tests need

test: lint ## check style, types and imports, then run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

test-all: lint ## the same with the tests that take minutes
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m '' --hypothesis-profile explore

lint: $(VENV)/installed-dev ## check style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(VENV)/installed-dev ## write the golden runs anew, after a change of behaviour on purpose
	PYTHONPATH=tests/scenarios $(BIN)/python tests/scenarios/test_golden.py

clean: ## remove the environment, the caches and the demo's output
	rm -rf $(VENV) out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed; name one with: make PYTHON=/path/to/python" >&2; exit 1; }
	$(CREATE)

# The stamps are touched only after a complete installation, so a broken one is taken up again by the next call.
$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[app,dev]'
	@touch $(VENV)/installed $@
