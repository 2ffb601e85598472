# Everything works in .venv, which the first target makes: nothing but Python >= 3.11 and make is needed.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

# The page of the report is tested in a real browser. Where there is none, those tests are left out and said so.
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.PHONY: check test lint bench clean

check: $(INSTALLED)
	$(BIN)/runstone check

test: $(INSTALLED)
ifeq ($(CHROMIUM),)
	@echo "No chromium found: the tests of report.html in a browser are left out (apt-get install chromium)."
	$(BIN)/python -m pytest -m "not browser"
else
	$(BIN)/python -m pytest
endif

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python tests/bench.py

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Runstone needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,dev]'
	@touch $@

clean:
	rm -rf .venv reports/out
