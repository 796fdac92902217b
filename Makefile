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
# The file, not the module, which would import Tickertape first.
COMPILE = .venv/bin/python stream/compiled/build.py
# A compiler for where there is none. It is large, so nothing else installs it.
ZIGLANG = ziglang>=0.15.2,<0.16
FETCH_ZIGLANG = $(PIP) --require-hashes --only-binary :all: -r requirements-compiler.lock

.DEFAULT_GOAL := help
.PHONY: help setup compiled aarch64 demo test long chaos mutants fuzz lint bench bench-smoke dashboards pictures lock docs

help: ## list these
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1	\2/p' Makefile

setup: .venv/set-up .venv/compiled ## make .venv from the lock, and compile the hot path; done again when their sources change
	@:

.venv/set-up: requirements.lock pyproject.toml
	@$(MADE) || "$(PYTHON)" -c '$(NEW_ENOUGH)' || { \
	  echo 'tickertape needs Python 3.11 or later as "$(PYTHON)"; name another: make PYTHON=python3.12 setup' >&2; exit 1; }
	@$(MADE) || "$(PYTHON)" -m venv --clear .venv || { rm -rf .venv; \
	  echo 'tickertape needs the module venv: on Debian and Ubuntu, apt install python3-venv' >&2; exit 1; }
	@echo 'setting up .venv'
	@$(PIP) -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# The folder too, for a file that is removed. Whatever fails, NumPy does the work, and the last line printed says so.
.venv/compiled: .venv/set-up requirements-compiler.lock \
  stream/compiled/source stream/compiled/build.py $(wildcard stream/compiled/source/*)
	@$(COMPILE) --which >/dev/null 2>&1 || $(FETCH_ZIGLANG) >/dev/null 2>&1 || :
	@$(COMPILE) || :
	@touch $@

compiled: ## compile the hot path again, as after you install a compiler
	@rm -f .venv/compiled
	@$(MAKE) --no-print-directory .venv/compiled

aarch64: setup ## cross-compile the hot path, and compare its results with those here; the latter needs qemu-aarch64
	@$(FETCH_ZIGLANG)
	@$(COMPILE) --target aarch64-linux-gnu --out build/aarch64/hot.so
	@$(RUN) pytest -q tests/compiled/test_machines.py

demo: setup ## a simulated market through Kafka and two workers, live in this terminal
	@.venv/bin/tickertape demo $(ARGS)

test: setup ## all tests; some of them: make test ARGS="tests/feeds -x"
	@$(RUN) pytest --numprocesses 2 --dist loadgroup -m "not long" $(ARGS)

long: setup ## the tests that make test leaves out because they take minutes each
	@$(RUN) pytest -m long $(ARGS)

chaos: setup ## faults of every kind for five minutes a seed, beside two busy loops; make chaos SEEDS="7" ARGS="--minutes 1"
	@for seed in $(SEEDS); do .venv/bin/tickertape chaos --minutes 5 --busy 2 $(ARGS) --seed $$seed || exit; done

mutants: setup ## more than 250 bugs planted one at a time, and what catches each; some of them: make mutants ARGS="--area commits"
	@$(RUN) tests.mutants $(ARGS)

fuzz: setup ## the compiled hot path, with sanitizers, on ten million mutated inputs; fewer: make fuzz ARGS="--records 100000"
	@$(RUN) tests.compiled.fuzz --sanitized $(ARGS)
	@$(RUN) tests.compiled.sanitized

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

pictures: setup ## write the pictures in docs/pictures anew, from a real demo; needs Chromium
	@$(RUN) docs.pictures

docs: setup ## the documentation as a site, in build/docs/html; a broken link is an error
	@$(RUN) docs.site build/docs

LOCK = CUSTOM_COMPILE_COMMAND='make lock' build/lock/bin/python -m piptools compile --quiet --generate-hashes --strip-extras \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(ARGS)

# The oldest Python makes the lock, for what it can install the later ones can too.
lock: setup ## make both locks anew; newer versions: make lock ARGS=--upgrade
	@.venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo 'the lock is made by Python 3.11: rm -r .venv; make PYTHON=python3.11 lock' >&2; exit 1; }
	@.venv/bin/python -m venv build/lock
	@build/lock/bin/python -m pip install --disable-pip-version-check --quiet 'pip-tools>=7.5,<8'
	$(LOCK) --extra dev --all-build-deps --allow-unsafe --output-file requirements.lock pyproject.toml
	echo '$(ZIGLANG)' | $(LOCK) --no-annotate --output-file requirements-compiler.lock -
