# Everything starts here, from nothing but make, git and Python 3.11+ with venv or pip. Paths stay relative, so a
# checkout may lie in a folder whose name holds spaces.

.DEFAULT_GOAL := help
SHELL := /bin/sh
PY := .venv/bin/python
SOURCES := common headrace ingestion model_layer output_validation persistence prompt_engine tests bench

.NOTPARALLEL:

.PHONY: help setup demo up down test lint types contracts pytest test-chaos chaos fmt bench bench-validation soak clean distclean

help: ## Show this.
	@echo "Headrace: durable LLM jobs in, schema-valid JSON out."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@echo "  make demo JOBS=50 KEEP=1                    more jobs, and leave it running"
	@echo "  make demo MODEL=gpt-5-mini PRICE=0.25/2.00  a real model; the key from OPENAI_API_KEY"
	@echo "  make demo MODEL=... BASE_URL=http://...     your own vLLM, Ollama or gateway; its key from HEADRACE_MODEL_KEY"
	@echo "  make test PYTHON=python3.12                 with another interpreter"

setup: ## Make .venv as uv.lock says; does nothing when it is.
	@scripts/bootstrap.sh

demo: setup ## Run the main job on real input: servers, five services, a local LLM, cards.
	@$(PY) -m headrace demo --jobs "$${JOBS:-12}" $$([ "$${KEEP:-0}" = 0 ] || echo --keep) \
		$${MODEL:+--model "$$MODEL"} $${BASE_URL:+--base-url "$$BASE_URL"} $${PRICE:+--price "$$PRICE"}

up: setup ## Start the system here, in the foreground.
	@$(PY) -m headrace up

down: setup ## Stop it.
	@$(PY) -m headrace down

test: lint ## Lint, types, import contracts and all tests on the real servers.
	@scripts/test.sh

lint: setup
	$(PY) -m ruff check $(SOURCES)
	$(PY) -m ruff format --check $(SOURCES)

types: setup
	$(PY) -m mypy

contracts: setup
	.venv/bin/lint-imports

pytest: setup ## The tests alone, one after the other.
	$(PY) -m pytest --durations=10

test-chaos: setup ## Kill at every crash point, then a bounded chaos run on fixed seeds; at most 8 minutes.
	$(PY) -m pytest -m chaos -s tests/chaos

chaos: setup ## One chaos run: make chaos SEED=7 JOBS=2000 MINUTES=3. A failing seed replays.
	@$(PY) -m tests.chaos $${SEED:+--seed "$$SEED"} --jobs "$${JOBS:-2000}" --minutes "$${MINUTES:-3}" $${CHAOS_FLAGS:-}

fmt: setup ## Format and mend what ruff can mend.
	$(PY) -m ruff format $(SOURCES)
	$(PY) -m ruff check --fix $(SOURCES)

bench: setup ## Measure: CPU a job, jobs/s, latency, memory. See docs/benchmarks.md.
	@$(PY) -m bench

soak: setup ## Run for minutes at half speed: does anything grow? make soak MINUTES=60.
	@$(PY) -m bench soak --minutes "$${MINUTES:-10}" $${RATE:+--rate "$$RATE"}

bench-validation: setup ## Measure the output gate on faulty answers, beside other readers. See docs/validation.md.
	@$(PY) -m bench.validation

clean: ## Remove caches and build products; data, .venv and .tools stay.
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -not -path './.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +

distclean: clean ## Remove .venv and .tools too.
	rm -rf .venv .tools
