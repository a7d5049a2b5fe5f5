# `make` lists what there is. The environment in .venv makes itself: once, and again when the lock changes.
PYTHON ?= python3
PORT ?= 8000

BIN := .venv/bin
RUNTIME := .venv/.synced-runtime
DEV := .venv/.synced-dev
# The active environment, if any, is not the one we fill.
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help demo codes run test lint bench chromium

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1	\2/'

demo: $(RUNTIME) ## Seed and serve the demo on PORT (8000) until Ctrl-C
	@exec $(BIN)/python manage.py demo --port $(PORT)

codes: $(RUNTIME) ## Print fresh one-time codes of the demo's people
	@$(BIN)/python manage.py seed_demo --codes

run: $(RUNTIME) ## Serve what there is on PORT (8000), reloading when code changes
	@$(BIN)/python manage.py migrate --verbosity 0
	@exec $(BIN)/python manage.py runserver $(PORT)

test: $(DEV) chromium ## Run all tests; on SQLite unless DATABASE_URL says otherwise
	$(BIN)/python -m pytest -n auto

lint: $(DEV) ## Check style, types, the direction of imports, settings and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py check
	$(BIN)/python manage.py makemigrations --check --dry-run

bench: $(RUNTIME) ## Measure what a key costs, as a ratio to no key; about ten minutes
	@$(BIN)/python -m bench.hot_path

# The browser tests drive the distribution's Chromium.
chromium:
	@if ! command -v chromium >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing Chromium for the browser tests …"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
		else \
			echo "The browser tests need Chromium as “chromium” on the PATH. On Debian: sudo apt-get install chromium" >&2; \
			echo "Without it, all other tests: make $(DEV) && $(BIN)/python -m pytest -n auto -m 'not browser'" >&2; \
			exit 1; \
		fi; \
	fi

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Pithead needs Python 3.11 or newer as $(PYTHON); name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Making the environment in .venv …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# --inexact: what the other target installed, and what you did, stays.
$(RUNTIME): uv.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv sync --quiet --locked --inexact --no-dev
	@touch $@

$(DEV): uv.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv sync --quiet --locked --inexact
	@touch $@ $(RUNTIME)
