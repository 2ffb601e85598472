# Everything works in .venv, which the first target makes: nothing but Python >= 3.11 and make is needed.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

# What hundreds of processes import is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := check
.PHONY: help check test test-all fmt lint hooks requirement prove mutate bench publish revision durations clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: $(INSTALLED)  ## check the embedded reference runtime, and show its report
	$(BIN)/runstone check

# The page of the report is tested in a real browser. Where there is none, those tests are left out and said so.
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
ifeq ($(CHROMIUM),)
SAY := echo "No chromium found: the tests of report.html in a browser are left out (apt-get install chromium)."
ALL := not browser
QUICK := not slow and not browser
else
SAY := :
ALL :=
QUICK := not slow
endif
# More than cores: of two processes each waits for more than half of the time.
test: WORKERS ?= 4
test-all: WORKERS ?= 3
# In the order of tests/conftest.py: what waits for minutes begins first.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=15 --durations-min=5

test: $(INSTALLED)  ## the engine's own tests without the slow ones: about 5 minutes on 2 cores
	@$(SAY)
	$(PYTEST) -m "$(QUICK)"

# A test that fails is tried once more by itself; the summary names it and shows how it failed, passed or not.
test-all: $(INSTALLED)  ## all of the engine's own tests
	@$(SAY)
	$(PYTEST) -m "$(ALL)" --reruns 1 --rerun-show-tracebacks

fmt: $(INSTALLED)  ## format the code, and copy into the documentation what it shows of it
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format
	$(BIN)/python -m tests.examples

lint: $(INSTALLED)  ## style, types, spelling, workflows, and the words that the project does not use
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/typos
	$(BIN)/python -m tests.words
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/zizmor --offline --quiet .
	PATH="$(CURDIR)/$(BIN):$$PATH" actionlint
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions action.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci ci/gitlab/runstone.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec ci/compose.yaml ci/compose-load.yaml

hooks: $(INSTALLED)  ## let git lint what is committed, and check types before a push
	$(BIN)/pre-commit install

requirement: $(INSTALLED)  ## whether a requirement is whole: make requirement ID=RUN-LIST-001
	@$(BIN)/python -m tests.one_requirement "$(ID)"

prove: $(INSTALLED)  ## every fault is caught, every promise can be broken, no correct server fails, no silent one passes
	$(BIN)/runstone prove --publish reports/published

mutate: $(INSTALLED)  ## change recordings one place at a time, and count what the judges notice
	$(BIN)/runstone check embedded --out reports/out/mutation/recorded
	$(BIN)/runstone mutate reports/out/mutation/recorded/evidence --at-least 92 --area-at-least 80

bench: $(INSTALLED)  ## what the harness costs, against a bare client
	$(BIN)/python tests/bench.py
	$(BIN)/python -m tests.load.bench

# Exit code 1 says that they differ, which is the result and no failure. Two need PostgreSQL, three Python 3.12.
PUBLISHED ?= embedded langgraph-py langgraph-py@0.8.7 langgraph-js langgraph-js@1.4.6 langhost gaussdb pure-graph skeino

publish: $(INSTALLED)  ## check the known servers, and renew what README shows of them
	$(BIN)/runstone compare $(PUBLISHED) --out reports/out/published --publish reports/published --readme README.md \
	  || test $$? -eq 1
	$(BIN)/python -m tests.divergences

durations: $(INSTALLED)  ## renew contracts/durations.yaml by checks of known servers
	$(BIN)/runstone check embedded --patient --out reports/out/durations
	$(BIN)/runstone check embedded-auth --area auth --area isolation --out reports/out/durations-auth
	$(BIN)/runstone check langgraph-py --area v2 --out reports/out/durations-v2
	$(BIN)/python -m tests.durations $(addsuffix /evidence,$(addprefix reports/out/,durations durations-auth durations-v2))

# With NAME=2026.12, as a revision of its own.
revision: $(INSTALLED)  ## tell in contracts/revisions what the catalogue promises now
	$(BIN)/python -m runstone.contracts $(NAME)

clean:  ## remove .venv and all reports of your own
	rm -rf .venv reports/out

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Runstone needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,dev]'
	@$(BIN)/python -m compileall -q src  # as pip does with packages that it installs
	@touch $@
