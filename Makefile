# make demo    builds everything and starts the demo on http://localhost:8888
# make test    sets up what the tests need and runs them on every CPython the machine has
# make lint    formatters, linters and type checkers
# make bench   Typhoon beside its peers (see benchmarks/README.md)
# make fuzz    one minute of fuzzing for each parser of the native core
# PYTHON=...   another interpreter than the default one; FUZZ_SECONDS=... another length of fuzzing

.DELETE_ON_ERROR:
SHELL := /bin/bash

PYTHON    := $(shell tools/pythons --default)
TAG        = $(shell $(1) -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
VENV      := .venv/$(call TAG,$(PYTHON))
BIN       := $(VENV)/bin
CRATE     := $(shell find rust/src -name '*.rs') rust/Cargo.toml rust/Cargo.lock pyproject.toml

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1

.PHONY: build demo test test-here test-core lint bench fuzz clean

build: $(VENV)/.built

$(VENV)/.created: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip 'maturin>=1.7,<2'
	touch $@

# One target folder an interpreter, so that going from one to the next compiles nothing again.
$(VENV)/.built: $(VENV)/.created $(CRATE)
	source $(BIN)/activate && CARGO_TARGET_DIR=$(CURDIR)/target/$(notdir $(VENV)) \
	    maturin develop --quiet --release --extras standard,test
	touch $@

demo: build
	@$(BIN)/python examples/feed/feed.py --port=8888

test: test-core
	tools/debian-packages apache2-bin chromium chromium-driver curl lighttpd nginx tinyproxy
	@set -e; for python in $$(tools/pythons); do $(MAKE) --no-print-directory test-here PYTHON=$$python; done

test-here: build
	@echo "== $$($(BIN)/python --version)"
	$(BIN)/python -X dev -m pytest

test-core:
	cd rust && CARGO_TARGET_DIR=$(CURDIR)/target/core cargo test --quiet

$(VENV)/.lint: $(VENV)/.built
	$(BIN)/pip install -q 'mypy>=1.13' 'ruff>=0.8'
	touch $@

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd rust && cargo fmt --check
	rustfmt --check --edition 2024 benchmarks/*.rs
	cd rust && CARGO_TARGET_DIR=$(CURDIR)/target/core cargo clippy --quiet --all-targets -- -D warnings
	cd rust && CARGO_TARGET_DIR=$(CURDIR)/target/$(notdir $(VENV)) PYO3_PYTHON=$(CURDIR)/$(BIN)/python \
	    cargo clippy --quiet --features python -- -D warnings

bench: build
	$(BIN)/python benchmarks/run.py

FUZZ_SECONDS ?= 60

fuzz:
	command -v cargo-fuzz >/dev/null || cargo install --quiet cargo-fuzz
	cd rust && for target in $$(cargo +nightly fuzz list); do \
	    cargo +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=65536 || exit 1; done

clean:
	rm -rf .venv target rust/target rust/fuzz/target src/typhoon/*.so
