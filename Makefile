# Everything here runs on a machine that has Python 3.11+, make and git.
PYTHON ?= python3
PORT ?= 8000
ARGS ?=
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONUNBUFFERED := 1
unexport PYTHONDONTWRITEBYTECODE # hundreds of processes would compile everything anew, each

.PHONY: help run test newest check docs wheel stack stack-clean bench soak chromium pgbouncer nginx
.DEFAULT_GOAL := help

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

run: $(BIN)/stamp-run ## Web, relay and consumer on two SQLite files, at http://127.0.0.1:8000
	@$(BIN)/python -m dev.port $(PORT)
	@$(BIN)/python manage.py migrate --verbosity 0 2>&1
	@$(BIN)/python manage.py demo
	@echo "http://127.0.0.1:$(PORT) - Ctrl-C stops it"
	@PORT=$(PORT) exec $(BIN)/python -m dev.run # so that a signal to make reaches it

# psycopg 3, which Django prefers where it is installed, for some tests once more (dev/tests.py).
PSYCOPG3 := .venv/psycopg3
# A project may take the newest Python and Django before this site does. `pyenv` hides its own.
NEWEST := .venv/newest
NEWEST_PYTHON ?= $(firstword $(foreach minor,14 13 12,$(shell python3.$(minor) -c 'import sys; print(sys.executable)' 2>/dev/null) \
	$(wildcard $(HOME)/.pyenv/versions/3.$(minor).*/bin/python3)))
# More than there are cores: many tests wait for processes, brokers and deadlines most of the time.
WORKERS := 6

test: $(BIN)/stamp-dev $(PSYCOPG3)/stamp chromium pgbouncer nginx ## All tests, on real PostgreSQL and Kafka; ARGS= for pytest
	@exec $(if $(ARGS),$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS),$(BIN)/python -m dev.tests $(WORKERS)) # so that a signal to make reaches it

check: $(BIN)/stamp-dev wheel docs ## Style, types, imports, migrations, deployment settings, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py events diff --against contracts/released.json
	DEBUG=off SECRET_KEY=for-this-check-only-$$(printf '%040d' 7)-abcdefghij ALLOWED_HOSTS=postlog.example TRUSTED_PROXIES=1 CACHE_URL=redis://127.0.0.1:6379/0 \
		$(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python -m dev.audit

wheel: $(BIN)/stamp-dev ## The package, in dist/
	$(BIN)/uv build --quiet --wheel --offline

docs: $(BIN)/stamp-dev ## The documentation as a site, in var/docs; a warning fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

stack: $(BIN)/stamp-dev ## As run, on a local PostgreSQL and Apache Kafka (var/stack.env)
	@$(BIN)/python -m dev.port $(PORT)
	@PORT=$(PORT) exec $(BIN)/python -m dev.stack # so too

stack-clean: ## Delete the data of the stack
	@$(BIN)/python -m dev.stack --clean

bench: $(BIN)/stamp-dev ## The benchmarks, as a table and as benchmarks/results/*.json
	@$(BIN)/python -m benchmarks $(ARGS)

soak: $(BIN)/stamp-dev ## What takes long: faults for 20 minutes, tests at full size, 5 million events
	@$(BIN)/pytest -m soak $(ARGS)
	@BENCH_EVENTS=5000000 $(BIN)/python -m benchmarks scale

# Debian's, for the tests in a browser, where it is missing and can be had. Without a window it
# takes a third of the CPU.
chromium:
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || command -v google-chrome >/dev/null || test -n "$$CHROMIUM" || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "Installing Chromium ..." && \
		apt-get update -qq && export DEBIAN_FRONTEND=noninteractive && \
		{ apt-get install -y -qq --no-install-recommends chromium-headless-shell fonts-dejavu-core >/dev/null 2>&1 || \
		apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }; \
	} || echo "Chromium is missing and cannot be installed here: the tests in a browser are skipped."

pgbouncer: # Debian's, for the tests behind a pooler, where it is missing and can be had
	@PATH="$$PATH:/usr/sbin"; command -v pgbouncer >/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "Installing PgBouncer ..." && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends pgbouncer >/dev/null 2>&1; \
	} || echo "PgBouncer is missing and cannot be installed here: the tests behind it are skipped."

# Debian's too. Unpacked and not installed, which would start it, for all the world, on port 80.
nginx: $(BIN)/stamp-dev
	@PATH="$$PATH:/usr/sbin:$(CURDIR)/.venv/nginx/usr/sbin"; command -v nginx >/dev/null || { \
		command -v apt-get >/dev/null && echo "Fetching nginx ..." && folder=$$(mktemp -d) && cd "$$folder" && \
		{ test "$$(id -u)" != 0 || apt-get update -qq; } && apt-get download -qq nginx >/dev/null 2>&1 && \
		dpkg -x nginx_*.deb $(CURDIR)/.venv/nginx && rm -r "$$folder" && nginx -v 2>/dev/null; \
	} || echo "nginx is missing and cannot be had here: the tests behind it are skipped."

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Postlog needs Python 3.11 or newer; name one with PYTHON=")'
	@$(PYTHON) -m venv .venv

# requirements.txt is what runs; requirements-dev.txt adds what tests, checks and measures, and the
# PostgreSQL and the Java of `make stack`.
$(BIN)/stamp-run: requirements.txt | $(BIN)/python
	@echo "Installing what requirements.txt names into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(BIN)/stamp-dev: requirements-dev.txt $(BIN)/stamp-run
	@echo "Installing what requirements-dev.txt names into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(PSYCOPG3)/stamp: requirements-psycopg3.txt $(BIN)/stamp-dev
	@rm -rf $(PSYCOPG3)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(PSYCOPG3) -r requirements-psycopg3.txt
	@touch $@

newest: $(if $(NEWEST_PYTHON),$(NEWEST)/stamp) ## The package, tested with the newest Django and a newer Python
	@test -e $(NEWEST)/stamp || { echo "There is no Python 3.12 or newer here. Name one with NEWEST_PYTHON=."; exit 1; }
	@$(NEWEST)/bin/pytest -n $(WORKERS) --dist worksteal tests/unit $(addprefix tests/integration/test_,another_project.py shop.py startaggregate.py walks.py)

$(NEWEST)/stamp: requirements-newest.txt requirements-dev.txt
	@rm -rf $(NEWEST)
	@$(NEWEST_PYTHON) -m venv $(NEWEST)
	@for file in requirements-dev.txt requirements-newest.txt; do \
		$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $$file || exit; done
	@touch $@

requirements: ## Lock the requirements again, from pyproject.toml
	$(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --no-annotate --universal --python-version 3.11 \
		--generate-hashes --extra site pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --no-annotate --universal --python-version 3.11 \
		--generate-hashes --extra site --extra test --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	echo "psycopg[binary]" | $(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --no-annotate --universal \
		--python-version 3.11 --generate-hashes -c requirements-dev.txt -o requirements-psycopg3.txt -
	echo "django>=6" | $(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --no-annotate --universal \
		--python-version 3.12 --generate-hashes -o requirements-newest.txt -
