# Everything works in .venv, which the first target makes: nothing but Python >= 3.11 and make is needed.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

# The page of the report is tested in a real browser. Where there is none, those tests are left out and said so.
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.PHONY: check test lint mutate prove bench clean publish revision

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

mutate: $(INSTALLED)
	$(BIN)/runstone check embedded --out reports/out/mutation/recorded
	$(BIN)/runstone mutate reports/out/mutation/recorded/evidence --at-least 90 --area-at-least 80

# Every fault is caught, every promise can be broken, no correct server fails, no silent one passes.
prove: $(INSTALLED)
	$(BIN)/runstone prove --publish reports/published

bench: $(INSTALLED)
	$(BIN)/python tests/bench.py

# What README shows of known servers. Exit code 1 says that they differ, which is the result and no failure.
PUBLISHED ?= embedded langgraph-py langgraph-js pure-graph

publish: $(INSTALLED)
	$(BIN)/runstone compare $(PUBLISHED) --out reports/out/published --publish reports/published --readme README.md \
	  || test $$? -eq 1

# Tell in contracts/revisions what the catalogue promises now; with NAME=2026.12, as a revision of its own.
revision: $(INSTALLED)
	$(BIN)/python -m runstone.contracts $(NAME)

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Runstone needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,dev]'
	@touch $@

clean:
	rm -rf .venv reports/out
