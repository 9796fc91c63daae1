# One command for each habit. `make` alone lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export NO_MKDOCS_2_WARNING := 1

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 12

.venv/done: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "proficio needs Python 3.11 or newer.")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

install: .venv/done ## the environment in .venv, every version by its hash

demo: .venv/done ## the whole pipeline on a simulated cohort and a real Git repository (REPO=path)
	$(BIN)/proficio demo $(if $(REPO),--repo "$(REPO)")

test: .venv/done ## every test; those on Kafka need Java 17 and Maven
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

slow: .venv/done ## the tests that make test leaves out for the time they take, and those beside them
	$(BIN)/pytest tests/flows/test_spark.py -m 'slow or not slow'
	$(BIN)/pytest -m slow --ignore tests/flows/test_spark.py

lint: .venv/done ## ruff (with bandit's rules), mypy, import-linter, sqlfluff, the licences of what it runs on
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint dbt_project/models dbt_project/tests
	$(BIN)/python infra/security/sbom.py .proficio/sbom

audit: .venv/done ## known weaknesses of the locked packages, by pip-audit, which asks pypi.org
	$(PYTHON) -m venv .proficio/audit
	.proficio/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	.proficio/audit/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements.lock

format: .venv/done ## let ruff and sqlfluff mend what they can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/done ## speed and memory as ratios in one run; a table, and bench.json
	$(BIN)/python -m tests.benchmarks

kafka: ## an Apache Kafka broker on 127.0.0.1:9092, from jars that Maven fetches (Java 17)
	infra/kafka/broker .proficio/kafka 9092

superset: .venv/done ## Apache Superset on 127.0.0.1:8088 over published marts (PUBLISHED=folder; the demo's without it)
	PYTHON=$(BIN)/python infra/superset/superset .proficio/superset $(or $(PUBLISHED),.proficio/demo/.proficio/published) 8088

docs: .venv/done ## this documentation as a site, dbt's in it, into .proficio/docs
	$(BIN)/mkdocs build --quiet --strict --config-file infra/docs/mkdocs.yml --site-dir $(CURDIR)/.proficio/docs
	$(BIN)/python -m flows.dbt_docs .proficio/docs/dbt

generated: .venv/done ## write dbt_project/seeds from the default framework, and docs/reference
	$(BIN)/python -m tests.generated

messages: .venv/done ## gather what is to be translated into transforms/locale
	$(BIN)/pybabel -q extract -F transforms/locale/babel.cfg -k text -k t -k plural:1,2 -k N_ --no-location --sort-output --omit-header -o transforms/locale/messages.pot .
	for po in transforms/locale/*.po; do $(BIN)/pybabel -q update -i transforms/locale/messages.pot -o $$po -l $$(basename $$po .po) --no-fuzzy-matching --no-wrap; done
	rm transforms/locale/messages.pot

# Without rfc3987-syntax, which only checks formats for cyclonedx-bom: jsonschema, and so dbt, would take a second more to import.
lock: ## refresh requirements.lock from pyproject.toml
	$(BIN)/pip-compile --quiet --no-strip-extras --extra dev --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --unsafe-package rfc3987-syntax --output-file requirements.lock pyproject.toml

clean: ## remove the environment, caches and local data
	rm -rf .venv .proficio .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info infra/*/target bench.json
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help install demo test slow lint audit format bench kafka superset docs generated messages lock clean
