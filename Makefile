# make demo   set up .venv if needed, check the kernels against the contract, then run one sentence through the model
# make test   set up .venv if needed and run the tests
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types bench vectors peers figures clean

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + " (make PYTHON=... chooses another)")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

setup: $(STAMP) ## create .venv and install the project with its tools

demo: $(STAMP) ## check the kernels against the contract, then text in, numbers and words out
	$(BIN)/roformer-conformance check numpy --level default
	$(BIN)/python docs/examples/first_sentence.py
	$(BIN)/roformer fill-mask tang-mini '床前[MASK]月光'
	$(BIN)/roformer generate tang-mini-writer 床前明月

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest -n auto

lint: $(STAMP) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

bench: $(STAMP) ## paired timings: kernels against equations, validation against a forward pass
	$(BIN)/python benchmarks/kernels_against_equations.py
	$(BIN)/python benchmarks/validation_share.py

# What needs other people's environments: the Python of one with fixtures/generate/requirements-transformers-4.37.txt
# installed, and of one with requirements-transformers-5.txt.
NEED_PEERS = @test -n "$(PEER_437)" -a -n "$(PEER_5)" || { \
	echo "make $@ needs PEER_437=PYTHON and PEER_5=PYTHON: see CONTRIBUTING.md"; exit 2; }

vectors: $(STAMP) ## make the golden vectors again; needs PEER_437 and PEER_5
	$(NEED_PEERS)
	PEER_437="$(PEER_437)" PEER_5="$(PEER_5)" $(BIN)/python -m fixtures.generate

peers: $(STAMP) ## exchange models with the real transformers; needs PEER_437 and PEER_5
	$(NEED_PEERS)
	ROFORMER_PEER_TRANSFORMERS_4_37="$(PEER_437)" ROFORMER_PEER_TRANSFORMERS_5="$(PEER_5)" \
		$(BIN)/python -m pytest tests/peers

figures: $(STAMP) ## run the suite on our implementations and write the README's figures
	$(BIN)/python benchmarks/readme_figures.py --write

clean: ## remove the environment and everything that was built
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
