# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Everything that is made goes to .venv/ and build/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The interpreter itself: a version manager's shim does not serve as one everywhere.
PYTHON ?= $(shell python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
# Not from the environment: some shells export a HOST of their own.
HOST = debian13
NAME = $(HOST)
given = $(filter command,$(origin $(1)))

ROOT := $(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))
VENV := .venv/made
export UV_CACHE_DIR := $(ROOT)/build/cache/uv

# Each recipe's shell starts with ". build/env".
ENV := . build/env;

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Ground

.PHONY: system
system:
	@tests/tools/system-packages $(PYTHON)

.PHONY: venv
venv: $(VENV) build/env ## make .venv with the pinned tools, and build/env

$(VENV): tests/requirements/tools.txt tests/requirements/uv.txt | system
	@tests/tools/make-venv $(PYTHON) .venv tests/requirements/tools.txt
	@touch $@

build/env: tests/tools/make-env tests/tools/pip_settings.py $(VENV)
	@tests/tools/make-env

.PHONY: pin
pin: venv ## bring tests/requirements/tools.txt up to date with tools.in
	@tests/tools/pin

## Test hosts

.PHONY: host-system
host-system: venv
	@$(ENV) python3 tests/testhost requirements

.PHONY: host
host: host-system ## boot a test host: HOST=debian13, debian12 or forky; NAME=
	@$(ENV) python3 tests/testhost up $(NAME) --distribution $(HOST)
	@echo build/hosts/$(NAME)/inventory.yml

.PHONY: host-down
host-down: venv ## take a test host away (NAME= or HOST=), or all of them
	@$(ENV) python3 tests/testhost down $(if $(call given,NAME)$(call given,HOST),$(NAME),--all)

.PHONY: clean
clean: ## remove test hosts, .venv and build
	@if [ -d build/hosts ] && [ -x .venv/bin/python3 ]; then $(MAKE) host-down; fi
	@rm -rf build .venv

## Tests

REPORTS := build/reports
PYTEST := python3 -m pytest -p outcomes

.PHONY: format
format: venv ## let the formatters rewrite what lint would complain about
	@$(ENV) ruff check --quiet --fix --exit-zero . && ruff format .
	@$(ENV) python3 tests/tools/draw_rooms.py

.PHONY: lint
lint: venv ## formatting, style, types, documentation, licences (SESSIONS=)
	@$(ENV) python3 tests/tools/lint.py $(SESSIONS)

.PHONY: sanity
sanity: venv ## ansible-test sanity on every Python that is found (ARGS=)
	@$(ENV) python3 tests/tools/sanity.py $(ARGS)

.PHONY: unit
unit: venv ## unit and property tests (ARGS=)
	@$(ENV) PYTHONPATH=tests/tools NSPAWN_MACHINED_STAGE=unit $(PYTEST) $(or $(ARGS),-n auto --dist worksteal tests/unit)

.PHONY: testhost
testhost: host-system ## the tests of the test hosts themselves (ARGS=)
	@$(ENV) PYTHONPATH=tests/tools NSPAWN_MACHINED_STAGE=testhost $(PYTEST) $(or $(ARGS),tests/testhost_test)

.PHONY: molecule
molecule: host-system ## Molecule scenarios on test hosts (SCENARIO=, HOST=)
	@$(ENV) $(if $(call given,HOST),MOLECULE_HOSTS='$(HOST)') python3 tests/tools/scenarios.py $(SCENARIO)

.PHONY: test
test: venv ## all of these: lint sanity unit testhost molecule (STAGES=)
	@$(ENV) python3 tests/tools/test_all.py $(STAGES)

.PHONY: beside
beside: venv ## modules of other collections, for the targets families and firewall_many
	@$(ENV) python3 tests/tools/collections_beside.py community.general zypper pacman
	@$(ENV) python3 tests/tools/collections_beside.py ansible.posix firewalld

.PHONY: demo
demo: host-system ## a test host, and the whole job on it
	@$(ENV) tests/demo/run

.venv/made-bench: tests/requirements/bench.txt $(VENV)
	@tests/tools/make-venv $(PYTHON) .venv tests/requirements/bench.txt
	@touch $@

.PHONY: bench
bench: host-system .venv/made-bench ## measure many machines at once (ARGS=)
	@$(ENV) tests/benchmarks/run $(ARGS)

.PHONY: bench-connections
bench-connections: host-system ## measure tasks in machines beside those on their host (ARGS=)
	@$(ENV) python3 tests/benchmarks/connections $(ARGS)

.PHONY: bench-inventory
bench-inventory: venv ## measure an inventory of many machines (ARGS=)
	@$(ENV) python3 tests/benchmarks/inventory.py $(ARGS)
