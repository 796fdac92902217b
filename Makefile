# From a fresh clone: Python 3.11 or later, pip, git and make are all it needs. Paths are relative, so a space in the
# folder's name does no harm.

PYTHON ?= python3
ARGS ?=
SEEDS ?= 1 2 3

NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, 11))
RUN = .venv/bin/python -m
# Also says no where pip is missing, as when `venv` failed half way.
MADE = .venv/bin/python -c 'import pip; $(NEW_ENOUGH)' 2>/dev/null
PIP = $(RUN) pip install --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos mutants fuzz lint bench bench-smoke dashboards lock docs

help: ## list these
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

setup: .venv/set-up ## make .venv from the lock; done again when the lock or pyproject.toml changes

.venv/set-up: requirements.lock pyproject.toml
	@$(MADE) || "$(PYTHON)" -c '$(NEW_ENOUGH)' || { \
	  echo 'tickertape needs Python 3.11 or later as "$(PYTHON)"; name another: make PYTHON=python3.12 setup' >&2; exit 1; }
	@$(MADE) || "$(PYTHON)" -m venv --clear .venv || { rm -rf .venv; \
	  echo 'tickertape needs the module venv: on Debian and Ubuntu, apt install python3-venv' >&2; exit 1; }
	@echo 'setting up .venv'
	@$(PIP) -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## a simulated market through Kafka and two workers, live in this terminal
	@.venv/bin/tickertape demo $(ARGS)

test: setup ## all tests; some of them: make test ARGS="tests/feeds -x"
	@$(RUN) pytest --numprocesses 2 --dist loadgroup $(ARGS)

chaos: setup ## faults of every kind for five minutes a seed, beside two busy loops; make chaos SEEDS="7" ARGS="--minutes 1"
	@for seed in $(SEEDS); do .venv/bin/tickertape chaos --minutes 5 --busy 2 $(ARGS) --seed $$seed || exit; done

mutants: setup ## more than a hundred bugs planted one at a time, and what catches each; some of them: make mutants ARGS="--area commits"
	@$(RUN) tests.mutants $(ARGS)

fuzz: setup ## the compiled hot path, with sanitizers, on ten million mutated inputs; fewer: make fuzz ARGS="--records 100000"
	@$(RUN) tests.compiled.fuzz --sanitized $(ARGS)

lint: setup ## style and types
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy

bench: setup ## events a second and latency, beside plain Faust and others
	@$(RUN) bench $(ARGS)

bench-smoke: setup ## instructions per event of the hot path, against the recorded budget; needs valgrind
	@$(RUN) bench.smoke $(ARGS)

dashboards: setup ## write grafana/dashboards anew from grafana/source
	@$(RUN) grafana.source

docs: setup ## the documentation as a site, in build/docs/html; a broken link is an error
	@$(RUN) docs.site build/docs

# The oldest Python makes the lock, for what it can install the later ones can too.
lock: setup ## make requirements.lock anew; newer versions: make lock ARGS=--upgrade
	@.venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo 'the lock is made by Python 3.11: rm -r .venv; make PYTHON=python3.11 lock' >&2; exit 1; }
	@.venv/bin/python -m venv build/lock
	@build/lock/bin/python -m pip install --disable-pip-version-check --quiet 'pip-tools>=7.5,<8'
	CUSTOM_COMPILE_COMMAND='make lock' build/lock/bin/python -m piptools compile --quiet --extra dev --all-build-deps \
	  --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(ARGS) \
	  --output-file requirements.lock pyproject.toml
