# Needs Python 3.11 or newer and make; everything else is installed here or in the user's cache folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NETNS := $(BIN)/python -m canary.sandbox.netns --
# So many clusters side by side, each in a network of its own, and the files of tests divided among them: mostly they wait.
# The longest files come first (tests/tools/longest_first.py).
lanes = --dist loadfile --no-loadscope-reorder --tx "$(1)*popen//python=$(NETNS) $(BIN)/python"

# The parts of a cluster, Go programs, collect their garbage less often: a fifth of their CPU time is that.
cluster e2e test-gateways test-long test-slow: export GOGC = 400

# Where an environment forbids it, every process, and there are thousands, would compile all of its modules anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help parts cluster-api flagger helm gateways more-gateways demo test test-fast test-gateways test-long test-openapi test-slow lint types unit cluster e2e bench study plain sbom crds requirements clean

help: ## Show what there is to do
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# From pinned, hashed packages, and with this checkout in place of an installed copy.
define install
	@$(PYTHON) -c 'import sys; sys.exit(3 if sys.version_info < (3, 11) else 0)'; case $$? in \
		0) ;; \
		3) echo "$(PYTHON) is older than 3.11; name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1;; \
		*) echo "$(PYTHON) can't be run; name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1;; \
	esac
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
endef

$(VENV)/.installed: requirements/test.txt pyproject.toml
	$(install)

$(VENV)/.sandbox: requirements/sandbox.txt pyproject.toml
	$(install)

demo: $(VENV)/.sandbox ## Watch a good and a bad version roll out, on a real control plane
	$(BIN)/canary sandbox demo

# What takes one core runs beside the builds.
test: ## Run all checks and tests but the long and the slow ones and those of test-gateways
	$(MAKE) --jobs=2 lint types gateways
	$(MAKE) unit
	$(MAKE) cluster
	$(MAKE) e2e

test-fast: lint types unit ## Run the checks and the pure tests

test-gateways: flagger gateways more-gateways ## Run more tests behind gateways beside Traefik; Envoy Gateway and ingress-nginx
	$(BIN)/python -m pytest tests/e2e -m gateways $(call lanes,3)

test-long: helm flagger gateways cluster-api test-openapi ## Run the tests that take minutes each, on real parts: the real Flagger, a hub, backtests
	$(BIN)/python -m pytest tests/cluster tests/e2e -m "long and not gateways" $(call lanes,2)

# By itself: its plugin for pytest would be part of every other test.
$(VENV)-openapi/.installed: requirements/openapi.txt
	$(PYTHON) -m venv $(VENV)-openapi
	$(VENV)-openapi/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

test-openapi: $(VENV)/.installed $(VENV)-openapi/.installed ## Send our servers what their OpenAPI documents allow, and what they don't
	$(BIN)/python -m pytest tests/unit/openapi -m long

test-slow: parts ## Run the tests that take a quarter of an hour in real time
	$(NETNS) $(BIN)/python -m pytest tests/e2e -m slow --timeout 1800

lint: $(VENV)/.installed ## Check style, imports and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports
	$(BIN)/python -m canary.api.crds --check
	$(BIN)/python tests/tools/fields.py --check
	$(BIN)/python tests/tools/providers.py --check
	$(BIN)/python -m deploy.rights --check
	$(BIN)/python -m deploy.sandbox --check

types: $(VENV)/.installed ## Check types
	$(BIN)/mypy

unit: $(VENV)/.installed ## Run the pure tests
	$(BIN)/python -m pytest tests/unit -m "not long" --numprocesses auto --dist worksteal

parts: $(VENV)/.installed ## Build the real control plane, Prometheus and tools, or find them in the user's cache
	$(BIN)/python -m canary.sandbox.binaries

helm: parts ## Build Helm, by which a test reads the chart
	$(BIN)/python -m canary.sandbox.binaries helm

gateways: parts ## Build the gateways that tests of routers need beside Traefik
	$(BIN)/python -m canary.sandbox.binaries contour pilot-discovery istio-analyze

more-gateways: parts ## Build those that only test-gateways and the benchmark of speed need
	$(BIN)/python -m canary.sandbox.binaries envoy-gateway ingress-nginx

cluster: helm gateways ## Run the tests on a real API server
	$(BIN)/python -m pytest tests/cluster -m "not long" $(call lanes,3)

cluster-api: parts ## Build Cluster API, whose Clusters a test takes for members
	$(BIN)/python -m canary.sandbox.binaries cluster-api

flagger: parts ## Build the real Flagger, whose Canaries a test takes over
	$(BIN)/python -m canary.sandbox.binaries flagger

e2e: gateways ## Run the tests with real gateway, Prometheus and traffic
	$(BIN)/python -m pytest tests/e2e -m "not long and not slow and not gateways" $(call lanes,4)

bench: parts $(if $(filter speed,$(BENCH)),flagger gateways more-gateways)
bench: ## Measure speed, requests and memory; BENCH="storm --against REV" says what, and beside which revision
	$(NETNS) $(BIN)/python -m bench $(BENCH)

study: $(VENV)/.installed ## Simulate rollouts that the judge decides, and write their table and pictures into docs/judge.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/study.txt
	$(BIN)/python -m bench.study

plain: $(VENV)/.installed ## Write the installation of each traffic provider as one plain YAML, to out/install
	mkdir -p out/install
	for each in $$($(BIN)/python -c 'from deploy.plain import folders; print(*folders())'); do \
		$(BIN)/python -m deploy.plain $$each > out/install/$$each.yaml || exit 1; done

sbom: ## List what a controller's image has in it (CycloneDX), as its build does
	$(PYTHON) -m venv $(VENV)-image && $(PYTHON) -m venv $(VENV)-sbom
	$(VENV)-image/bin/python -m pip install --quiet --require-hashes --only-binary :all: --requirement requirements/run.txt
	$(VENV)-sbom/bin/python -m pip install --quiet --require-hashes --only-binary :all: --requirement requirements/sbom.txt
	mkdir -p out
	$(VENV)-sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
		--output-file out/sbom.cdx.json $(VENV)-image/bin/python

crds: $(VENV)/.installed ## Write the CRDs from the models
	$(BIN)/python -m canary.api.crds

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	--no-annotate

requirements: ## Pin all packages anew (needs uv)
	$(COMPILE) --extra sandbox --extra gateways --extra google --extra admission --extra web --extra cel --extra otel --output-file requirements/test.txt pyproject.toml \
		requirements/test.in
	$(COMPILE) --extra sandbox --extra web --extra cel --constraint requirements/test.txt --output-file requirements/sandbox.txt pyproject.toml \
		requirements/sandbox.in
	$(COMPILE) --extra google --extra admission --extra web --extra cel --output-file requirements/run.txt pyproject.toml
	$(COMPILE) --extra google --extra admission --extra web --extra cel --extra otel --constraint requirements/run.txt \
		--output-file requirements/run-traces.txt pyproject.toml
	$(COMPILE) --output-file requirements/study.txt requirements/study.in
	$(COMPILE) --constraint requirements/test.txt --output-file requirements/sbom.txt requirements/sbom.in
	$(COMPILE) --output-file requirements/openapi.txt requirements/openapi.in
	echo 'hatchling>=1.27' | $(COMPILE) --output-file requirements/build.txt -

clean: ## Remove what was built here; `canary sandbox cache --clean` removes what the user's cache folder has
	rm -rf $(VENV) $(VENV)-image $(VENV)-sbom .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist out
