# Every developer action is a target here; `make help` lists them. Needs a POSIX shell, GNU make and python3.
PACKAGES = gcc libc6-dev make pkg-config python3 python3-venv python3-dev libzstd-dev zlib1g-dev
C_PACKAGES = libcmocka-dev
# Without these some tests are skipped, which then say so. Skipped too without Go (`go tool pprof`), and without chromium and build/npm (speedscope).
TEST_PACKAGES = gdb strace libjemalloc2 libmimalloc2.0 libdevel-nytprof-perl
PYTHON ?= $(shell tools/pythons | sed -n 1p | cut -d' ' -f2)
VENV = .venv
TEST_NEEDS = pytest pytest-timeout pytest-xdist zstandard ipykernel nbclient pyarrow polars duckdb perfetto -r bench/requirements.txt
DEMO_NEEDS = numpy==2.4.6 pandas==3.1.1

.DEFAULT_GOAL = help
.PHONY: help setup demo test stress test-c asan ubsan tsan fuzz bench bench-events web test-web lint fix docs clean

help: ## list what can be done
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: ## system packages and Node.js if they are missing, a virtual environment in .venv, the build
	@tools/system-packages $(PACKAGES)
	@tools/node
	@tools/venv "$(PYTHON)" $(VENV) $(DEMO_NEEDS)

demo: setup ## trace a real program (a pandas job of some hundred MiB) and show its report
	$(VENV)/bin/pymemtrace run -f -o $(VENV)/demo.pmt bench/programs/pandas_groupby.py
	$(VENV)/bin/pymemtrace report -n 12 $(VENV)/demo.pmt

test: ## the whole test suite: C, then Python on each interpreter found
	@tools/system-packages $(PACKAGES)
	@tools/system-packages $(TEST_PACKAGES) || echo "not all of $(TEST_PACKAGES) can be had: tests that need them are skipped"
	@tools/node
	@$(MAKE) --no-print-directory test-c
	@if command -v clang >/dev/null; then FUZZ_SECONDS=10 tools/fuzz; else echo "clang is missing: the reader is not fuzzed (make fuzz installs it)"; fi
	@if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --ignore-scripts --prefix build/npm speedscope@1.25.0 || true; fi
	@$(MAKE) --no-print-directory test-web
	@tools/test-pythons $(TEST_NEEDS)

stress: ## the tests that take minutes
	@tools/system-packages $(PACKAGES)
	@PYTEST_ADDOPTS="-m stress -rs" tools/test-pythons $(TEST_NEEDS)

test-c: ## the C tests under the address and undefined-behaviour sanitizers
	@tools/system-packages $(PACKAGES) $(C_PACKAGES)
	@tools/test-c build/c-asan -Db_sanitize=address,undefined -Db_lundef=false

asan ubsan: test-c ## the same

tsan: ## the C tests under the thread sanitizer
	@tools/system-packages $(PACKAGES) $(C_PACKAGES)
	@tools/test-c build/c-tsan -Db_sanitize=thread -Db_lundef=false

fuzz: ## feed broken traces to the reader for FUZZ_SECONDS (default 120)
	@tools/system-packages $(PACKAGES) clang
	@tools/fuzz

bench: ## measure against the bare programs, as this user and as an unprivileged one; snapshots; then bench-events (two and a half hours)
	@tools/system-packages $(PACKAGES)
	@tools/venv "$(PYTHON)" .venv-bench -r bench/requirements.txt
	.venv-bench/bin/python bench/compare.py $(BENCH)
	.venv-bench/bin/python bench/compare.py --user 65534 $(BENCH)
	.venv-bench/bin/python bench/compare.py --engine timer --rounds 3 $(BENCH)
	.venv-bench/bin/python bench/snapshots.py $(BENCH)
	@$(MAKE) --no-print-directory bench-events

bench-events: ## what the event log costs, on each interpreter found: programs, and one event step by step (20 minutes each)
	@tools/system-packages $(PACKAGES)
	@tools/pythons | while read -r version python; do \
		tools/venv "$$python" .venv-bench-$$version -r bench/requirements.txt && \
		.venv-bench-$$version/bin/python bench/events.py $(BENCH) && .venv-bench-$$version/bin/python bench/micro/events.py; done

web: ## the page that `pymemtrace html` writes, without data, as build/page.html
	@tools/node
	@mkdir -p build && tools/page build/page.html

test-web: web ## its types, and its tests in chromium (20 seconds)
	@tools/system-packages chromium
	@cd web && { npm test --silent || { echo "once more: a browser on a busy machine may come late"; npm test --silent; }; }

$(VENV)/lint:
	@tools/system-packages $(PACKAGES)
	@tools/venv "$(PYTHON)" $(VENV) $(DEMO_NEEDS)
	@$(VENV)/bin/pip install -q --disable-pip-version-check ruff mypy
	@touch $@

lint: $(VENV)/lint ## formatting, types, layering
	@$(VENV)/bin/ruff format --check src tests bench tools/pythons
	@$(VENV)/bin/ruff check src tests bench
	@$(VENV)/bin/mypy
	@tools/layers

fix: $(VENV)/lint ## format what lint complains about
	@$(VENV)/bin/ruff format src tests bench tools/pythons
	@$(VENV)/bin/ruff check --fix src tests bench

docs: ## where the documentation is
	@ls docs/*.md docs/guide/*.md docs/decisions/*.md

clean: ## remove everything that was built
	rm -rf build .venv .venv-* .cache web/node_modules
