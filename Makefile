# `make` lists what there is. The environment in .venv makes itself: once, and again when the lock changes.
PYTHON ?= python3
PORT ?= 8000

BIN := .venv/bin
RUNTIME := .venv/.synced-runtime
DEV := .venv/.synced-dev
# The active environment, if any, is not the one we fill.
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help demo codes run test screenshots lint messages bench system

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1	\2/'

demo: $(RUNTIME) ## Seed and serve the demo on PORT (8000) until Ctrl-C
	@exec $(BIN)/python manage.py demo --port $(PORT)

codes: $(RUNTIME) ## Print fresh one-time codes of the demo's people
	@$(BIN)/python manage.py seed_demo --codes

run: $(RUNTIME) ## Serve what there is on PORT (8000), reloading when code changes
	@$(BIN)/python manage.py migrate --verbosity 0
	@exec $(BIN)/python manage.py runserver $(PORT)

test: $(DEV) system ## Run all tests, or TESTS="…"; on SQLite unless DATABASE_URL says otherwise
	$(BIN)/python -m pytest -n auto --dist worksteal $(TESTS)

screenshots: $(DEV) system ## Write a picture of every page into var/screenshots: wide and narrow, light and dark
	$(BIN)/python -m pytest -n auto --dist worksteal -q tests/browser/test_every_page.py --screenshots=var/screenshots

lint: $(DEV) ## Check style, types, the direction of imports, settings and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py check
	$(BIN)/python manage.py makemigrations --check --dry-run

messages: $(DEV) ## Bring the translations up to date with the source; docs/languages.md
	@$(BIN)/python -m languages

bench: $(RUNTIME) ## Measure what a key costs, as a ratio to no key; about ten minutes
	@$(BIN)/python -m bench.hot_path

# The browser tests drive the distribution's Chromium, and one test its nginx.
system:
	@missing=""; \
	command -v chromium >/dev/null || missing="chromium"; \
	PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing$${missing:+ }$$missing for the tests …"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
		else \
			echo "The tests need these programs on the PATH: $$missing. On Debian: sudo apt-get install $$missing" >&2; \
			echo "Without them: make $(DEV) && $(BIN)/python -m pytest -n auto -m 'not browser and not nginx'" >&2; \
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
