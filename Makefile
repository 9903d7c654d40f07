# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Everything that is made goes to .venv/ and build/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The interpreter itself: a version manager's shim does not serve as one everywhere.
PYTHON ?= $(shell python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
HOST ?= debian13
NAME ?= $(HOST)

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

$(VENV): tests/requirements/tools.txt tests/requirements/uv.txt tests/tools/make-venv | system
	@tests/tools/make-venv $(PYTHON) .venv tests/requirements/tools.txt
	@touch $@

build/env: tests/tools/make-env
	@tests/tools/make-env

.PHONY: pin
pin: venv ## bring tests/requirements/tools.txt up to date with tools.in
	@tests/tools/pin

## Test hosts

.PHONY: host
host: venv ## boot a test host: HOST=debian13, debian12 or forky; NAME=
	@$(ENV) python3 tests/testhost up $(NAME) --distribution $(HOST)
	@echo build/hosts/$(NAME)/inventory.yml

.PHONY: host-down
host-down: venv ## take a test host away (NAME= or HOST=), or all of them
	@$(ENV) python3 tests/testhost down $(if $(filter command line environment,$(origin NAME) $(origin HOST)),$(NAME),--all)

.PHONY: clean
clean: ## remove test hosts, .venv and build
	@if [ -d build/hosts ] && [ -x .venv/bin/python3 ]; then $(MAKE) host-down; fi
	@rm -rf build .venv
