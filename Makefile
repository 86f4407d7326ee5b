# make demo | test | lint | docs | clean. The first call sets up .venv and Lava, later calls reuse them.
#   PYTHON=python3.12      the Python to build .venv with (3.10 to 3.13; default: python3)
#   NEUROKD_SKIP_LAVA=1    do without Lava: its tests are skipped, the demo runs on the integer simulator

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LAVA := $(VENV)/.lava
VERSION := import sys; print('%d.%d' % sys.version_info[:2])

.PHONY: demo test lint docs clean
.DELETE_ON_ERROR:

demo: $(LAVA)
	$(BIN)/neurokd demo

test: lint docs $(LAVA)
	$(BIN)/python -m pytest --hypothesis-profile=ci

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy -p neurokd

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))" 2>/dev/null || { \
	  echo "neurokd needs Python 3.10 to 3.13, and '$(PYTHON)' is none of them; try: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@[ "$$($(BIN)/python -c "$(VERSION)" 2>/dev/null)" = "$$($(PYTHON) -c "$(VERSION)")" ] || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

# no stamp where Lava was skipped, so that a later call without the variable installs it
$(LAVA): $(INSTALLED) hardware/lava/requirements.txt
ifeq ($(NEUROKD_SKIP_LAVA),)
	@$(BIN)/neurokd lava install || { \
	  echo "To do without Lava: make NEUROKD_SKIP_LAVA=1 $(MAKECMDGOALS)" >&2; exit 1; }
	@touch $@
endif
