# Everything a newcomer needs: `make demo` and `make test` set themselves up.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-21s %s\n", $$1, $$2}'

.PHONY: setup
setup: .venv/.synced ## uv, and the locked dependencies, in .venv

.venv/.synced: uv.lock pyproject.toml operator/pyproject.toml worker_image/pyproject.toml worker_image/sample/pyproject.toml
	@tools/uv sync --quiet --locked --all-packages --group dev --group docs
	@touch $@

.PHONY: demo
demo: setup ## the meltdown and its cure, on real processes, in under two minutes
	$(BIN)/sluiceway demo $(ARGS)

.PHONY: test
test: setup ## all tests, two at a time (pytest; ARGS=... is passed on)
	$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

.PHONY: lint
lint: setup ## ruff, mypy, import-linter, and the language level of the worker's package
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vermin --no-tips --violations -t=3.9- --no-parse-comments worker_image/src operator/src/sluiceway/guardrails/portray.py

.PHONY: format
format: setup ## rewrite the code in the house format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: generate
generate: setup ## CRDs, reference pages, pictures and what the charts tell of their values, from the code
	$(BIN)/sluiceway crd --output-dir manifests/crds
	$(BIN)/sluiceway crd --output-dir helm/sluiceway/files/crds
	$(BIN)/python tools/chart_docs.py
	$(BIN)/python tools/reference_docs.py
	$(BIN)/python tools/rule_pictures.py

.PHONY: charts-lint
charts-lint: setup ## what kube-score finds in charts and manifests; builds it from Go modules, once
	PYTHONPATH=tests/cluster $(BIN)/python tests/charts/lint_charts.py

.PHONY: docs
docs: setup ## the pages as a site, in site/; every link in them must lead somewhere
	$(BIN)/python tools/docs_site.py

.PHONY: cluster-build
cluster-build: setup ## the Kubernetes of the tests, from Go modules: 5 to 10 minutes, once
	$(BIN)/python tests/cluster build

.PHONY: cluster-control-plane
cluster-control-plane: setup ## an API server to try manifests on, until Ctrl-C
	$(BIN)/python tests/cluster control-plane

.PHONY: cluster
cluster: setup ## a Kubernetes with two nodes on this machine (root, Linux)
	$(BIN)/python tests/cluster up $(ARGS)

.PHONY: cluster-down
cluster-down: setup ## end it, and leave nothing behind
	$(BIN)/python tests/cluster down

.PHONY: e2e
e2e: setup ## the operator on real nodes, scene after scene (root, Linux)
	$(BIN)/pytest tests/e2e $(ARGS)

.PHONY: images
images: setup ## the images of the Dockerfile, built here, with their sizes
	PYTHONPATH=tests/cluster:tests/e2e $(BIN)/python -m stage.sizes

.PHONY: soak
soak: setup ## what may happen to workers, hundreds of times, for hours; goes on where it stopped
	$(BIN)/python -m benchmarks.soak --full $(ARGS)

.PHONY: bench
bench: setup ## side-by-side measurements (small; see benchmarks/README.md)
	$(BIN)/python -m benchmarks

.PHONY: clean
clean: ## the environment, caches and reports of this checkout
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-report soak-report site
