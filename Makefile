# Every target sets up what it needs by itself. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

BIN := .venv/bin
SETUP_DONE := .venv/.foresail-setup-done
TEST_PROCESSES ?= 2
ARGS ?=
TRACES ?=
export PYTHON ?=

.PHONY: help setup demo test test-slow test-engines test-kubernetes check bench bench-quality lock generate \
	check-format check-lint check-types check-imports check-generated

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(SETUP_DONE) ## make .venv with the packages of requirements.lock and this checkout

$(SETUP_DONE): requirements.lock pyproject.toml deploy/setup/python_environment.sh
	@deploy/setup/python_environment.sh .venv
	@touch $@

demo: setup ## serve real models on this machine under changing load and watch Foresail act
	@$(BIN)/foresail demo $(ARGS)

test: setup ## run the tests; more options in ARGS, e.g. ARGS='-k gateway'
	@deploy/setup/system_packages.sh prometheus node-exporter chromium gcc openssl
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadgroup -m "not slow and not engines and not kubernetes" $(ARGS)

test-slow: setup ## run the tests that take long: the whole demo, the built wheel, kills at every moment
	@deploy/setup/system_packages.sh prometheus node-exporter chromium gcc openssl
	@deploy/testing/engines/install.sh litellm
	$(BIN)/pytest -m "slow and not kubernetes" --durations=0 $(ARGS)

# Without one of them the tests of the others still run, and then the target fails.
test-engines: setup ## run the tests on a real vLLM and a real Ollama, installed into .engines (15 minutes, 6 GB, needs Go)
	@deploy/setup/system_packages.sh prometheus
	@status=0; deploy/testing/engines/install.sh vllm ollama || status=$$?; \
	$(BIN)/pytest -m engines --durations=0 $(ARGS) || status=$$?; \
	exit $$status

test-kubernetes: setup ## hold what is seen of a cluster against a real control plane, built into .controlplane (needs Go)
	@deploy/setup/system_packages.sh etcd openssl
	deploy/testing/controlplane/build.sh .controlplane
	$(BIN)/pytest -m kubernetes --durations=0 $(ARGS)

check: check-format check-lint check-types check-imports check-generated ## formatting, lint, types, imports, generated files

check-format: setup
	$(BIN)/ruff format --check

check-lint: setup
	$(BIN)/ruff check

check-types: setup
	$(BIN)/mypy

check-imports: setup
	$(BIN)/lint-imports --no-logo

check-generated: setup
	$(BIN)/foresail generate --check

bench: setup ## measure the budgets (benchmarks/bench_*.py), one after the other
	@failed=(); \
	for benchmark in benchmarks/bench_*.py; do \
		echo "== $$benchmark"; \
		$(BIN)/python "$$benchmark" $(ARGS) || failed+=("$$benchmark"); \
	done; \
	if [ $${#failed[@]} -gt 0 ]; then echo "over budget or failed: $${failed[*]}"; exit 1; fi

bench-quality: setup ## compare with every peer on the traces in the folder TRACES; takes hours, goes on where it was
	@[ -n "$(TRACES)" ] || { echo "say where the traces are: make bench-quality TRACES=/path/to/traces" >&2; exit 2; }
	@$(BIN)/python benchmarks/control_quality/run.py "$(TRACES)" --write $(ARGS)

generate: setup ## write all generated files anew
	@$(BIN)/foresail generate $(ARGS)

lock: ## make requirements.lock anew; ARGS=--upgrade moves every pin to the newest
	@deploy/setup/lock.sh $(ARGS)
