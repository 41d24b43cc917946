# The commands of the project. `make` lists them. State lives in .local/; `make clean` removes it.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A query may hold quotes, backticks and dollars: it goes to the command as it was typed, in the environment.
export SQL_TEXT = $(value SQL)
unexport SQL
MAKEOVERRIDES :=

# What a Python is asked, to know whether it can run the commands.
FITS = -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
PYTHON ?= $(shell for python in python3.11 python3.12 python3 python; do $$python $(FITS) && echo $$python && break; done)
LOCAL = @$(or $(PYTHON),false) $(FITS) || { \
	echo "error: $(or $(PYTHON),Nothing on the path) is no Python 3.11 or 3.12: install one, or name it with PYTHON=…" >&2; exit 1; }; \
	PYTHONPATH=plugins exec $(PYTHON) -m local

.PHONY: help demo run sql docs dashboard looker-url check-source restore up down logs password trigger test test-faults test-browser test-compose bench lint lock clean \
	audit plan apply destroy deploy release

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F '\t' '{ printf "make %-14s%s\n", $$1, $$2 }'

demo: ## Everything on this machine with generated data, or DATA=<folder> of extracts; EXIT=1 stops after the tables
	$(LOCAL) demo

run: ## The same with the live source, or what AIRFLOW_CONN_ODRE_DEFAULT names
	$(LOCAL) run

sql: ## A query of the local warehouse: SQL="SELECT …" [FORMAT=csv] [DATA=<folder> | SOURCE=live]
	$(LOCAL) sql

docs: ## dbt's documentation with the lineage from source to answer, as one file; [DATA=<folder> | SOURCE=live]
	$(LOCAL) docs

dashboard: ## The dashboard as one file: [PERIOD=<period> | START=<day> END=<day>] [DATA=<folder> | SOURCE=live | SOURCE=google]
	$(LOCAL) dashboard

looker-url: ## The link that opens a report of Looker Studio on the marts of GOOGLE_CLOUD_PROJECT
	$(LOCAL) looker-url

check-source: ## Hold what we assume of the live source against what it answers
	$(LOCAL) check-source

restore: ## The raw tables again from the lake: [DATA=<folder> | SOURCE=live | SOURCE=google]
	$(LOCAL) restore

up: ## The containers, built and started, with the live source; SOURCE=sample: with generated data
	$(LOCAL) up

down: ## Stop and remove the containers; their data stay
	$(LOCAL) down

logs: ## What the containers print
	$(LOCAL) logs

password: ## The web UI's password, of the containers
	$(LOCAL) password

trigger: ## A run in the containers: DAG=eco2mix_hourly
	$(LOCAL) trigger

test: ## Unit, DAG, warehouse and end-to-end tests; TESTS=<path> for some
	$(LOCAL) test

test-faults: ## Crashes of tasks and servers, bad input, runs at the same time, messages; TESTS=<path> for some
	$(LOCAL) test-faults

test-browser: ## The dashboard's page in Chromium, where there is one; TESTS=<path> for some
	$(LOCAL) test-browser

test-compose: ## The containers and the web UI, with a Docker engine; TESTS=<path> for some
	$(LOCAL) test-compose

bench: ## Speed, memory and requests, as ratios, into .local/bench.json; KEYS=<part …> for some; SIZE=small tries it
	$(LOCAL) bench

lint: ## Format, types, SQL, and that each pinned list follows from its .in
	$(LOCAL) lint

audit: ## Known weaknesses of the pinned packages, as PyPI has them; fails where it cannot look one up
	$(LOCAL) audit

lock: ## Make requirements/*.txt again from requirements/*.in, keeping pins that still hold
	$(LOCAL) lock

plan: ## What Terraform would change at Google: ENV=dev or ENV=prod
	$(LOCAL) plan

apply: ## Change it, after a yes: ENV=dev or ENV=prod
	$(LOCAL) apply

destroy: ## Remove an environment; production only where that is typed out: ENV=dev
	$(LOCAL) destroy

deploy: ## The code of a tag into Cloud Composer: ENV=dev REF=<tag> [DRY_RUN=1]
	$(LOCAL) deploy

release: ## What a release of this commit publishes, into .local/release: archive, SBOM and, with a Docker engine, image
	$(LOCAL) release

clean: ## Remove .local
	$(LOCAL) clean
