# make run [ARGS="--guests 8 --seconds 60"]   a room with guests, on its own server
# make test                                   every test, with a real browser in the call
# make bench                                  the table of MEASURES, optimised build
# make ci                                     what a change must pass
# make deps                                   the system packages, on Debian and its kin

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BROWSER := tests/browser
OPENCV := $(HOME)/.cache/rotunda/opencv

.PHONY: help run test bench ci deps deps-test

help:
	@sed -n 's/^# //p' Makefile

run: deps
	cargo run --locked -- demo $(ARGS)

test: deps-test $(BROWSER)/node_modules/.package-lock.json
	cargo test --locked $(ARGS)
# Two windows and a browser need both cores: after the others, each alone.
	$(if $(ARGS),,cargo test --locked --test call windows:: -- --ignored --test-threads 1)

bench: deps $(OPENCV)/ready
	ROTUNDA_BENCH_PYTHON="$(OPENCV)/bin/python3" cargo bench --locked --bench measures $(ARGS)

ci:
	.ci/run

deps:
	@.ci/deps run

deps-test:
	@.ci/deps test

# Without the network the other tests still run; the browser tests say that they were skipped (with CI set, they fail).
$(BROWSER)/node_modules/.package-lock.json: $(BROWSER)/package-lock.json
	cd $(BROWSER) && npm ci --no-audit --no-fund --loglevel=error || test -z "$${CI:-}"

# What beauty is measured beside; without it those figures stand alone, and say so.
$(OPENCV)/ready:
	@echo "Installing OpenCV for Python into $(OPENCV)"
	python3 -m venv $(OPENCV) && $(OPENCV)/bin/pip install --quiet opencv-python-headless==5.0.0.* && touch $@ || true
