# make demo          install into .venv if needed, then train, evaluate and draw on generated videos
# make test          install into .venv if needed, then run the fast tests
# make test-all      the slow tests too
# make test-classic  the fast tests on the classic OpenMMLab stack, in .venv-classic
# make lint          style, spelling, and the layers of the package
# make typecheck     the type hints of package and tools
# make coverage      the fast tests, and the share of the package that they run
# make docs          the documentation, in docs/en/_build/html
# make wheel         wheel and source archive in dist/, and a smoke test of the wheel without the source tree
# make clean         remove installed and built files; keep data/ and work_dirs/
#
# Needs only make and Python 3.10 or newer. Variables:
#   PYTHON  the Python that creates the environments (default: the first on the path that is new enough)
#   TORCH   the requirement that installs torch

# The version is exact, because numerics and warnings differ between releases. Any torch >= 2.1 works. If pip finds a CPU
# build (2.13.0+cpu), it takes that one. Choose another build or version with TORCH='torch==...'.
TORCH ?= torch==2.13.0

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)

# Use all cores. Keep the tests of a module in one process, because they share trained models.
PARALLEL := -n auto --dist loadscope

REQUIREMENTS := $(wildcard requirements/*.txt)

.PHONY: demo test test-all test-classic lint typecheck coverage docs wheel clean

demo: .venv/installed
	. .venv/bin/activate && bash demo/run_demo.sh

test: .venv/installed
	.venv/bin/python -m pytest $(PARALLEL)

test-all: .venv/installed
	.venv/bin/python -m pytest $(PARALLEL) -m ''

test-classic: .venv-classic/installed
	.venv-classic/bin/python -m pytest $(PARALLEL)

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/codespell
	.venv/bin/lint-imports --no-cache

typecheck: .venv/installed
	.venv/bin/mypy

coverage: .venv/installed
	.venv/bin/pip install --quiet pytest-cov
	.venv/bin/python -m pytest $(PARALLEL) --cov=mmvc --cov-report=term:skip-covered --cov-report=html

docs: .venv/installed
	.venv/bin/pip install --quiet -r requirements/docs.txt
	.venv/bin/python -m sphinx -W --keep-going -q docs/en docs/en/_build/html

wheel: .venv/installed
	rm -rf build dist
	.venv/bin/pip install --quiet build
	.venv/bin/python -m build
	bash tests/smoke_test_wheel.sh dist/*.whl "$(PYTHON)" "$(TORCH)"

clean:
	rm -rf .venv .venv-classic build dist *.egg-info mmvc/.mim .pytest_cache .ruff_cache .mypy_cache .coverage htmlcov
	find mmvc tests tools configs demo benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# $(call install,FOLDER,STACK). A separate first step installs torch. pip builds mmcv in an isolated environment without
# torch, so nothing is compiled. OpenCV's headless build goes last and replaces the other one, because it needs no system
# library. `installed` is written at the end, so that an interrupted installation continues.
define install
@test -n "$(PYTHON)" || { echo 'No Python 3.10 or newer on the path: install one, or name it with PYTHON=...' >&2; exit 1; }
rm -f $(1)/installed
test -x $(1)/bin/pip || $(PYTHON) -m venv $(1)
$(1)/bin/pip install --quiet '$(TORCH)'
$(1)/bin/pip install --quiet -r requirements/$(2).txt -r requirements/runtime.txt -r requirements/tests.txt
$(1)/bin/pip install --quiet --force-reinstall --no-deps $$(grep '^opencv-python-headless' requirements/opencv.txt)
$(1)/bin/pip install --quiet --no-deps --editable .
touch $@
endef

.venv/installed: $(REQUIREMENTS) setup.py pyproject.toml
	$(call install,.venv,mminstall)

.venv-classic/installed: $(REQUIREMENTS) setup.py pyproject.toml
	$(call install,.venv-classic,mminstall-classic)
