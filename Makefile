# Everything a person or a machine does with this checkout. Nothing outside .venv, var and the
# lab's state folder is touched, but for the Debian packages that the lab installs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAB := $(PYTHON) -m tests.lab

.PHONY: help venv lint test test-fast cloud-tests demo demo-down env bench \
	lab-up lab-down lab-reset lab-status lab-fault lab-proof

help:
	@grep -E '^## ' Makefile | sed 's/^## //'

$(VENV)/stamp: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

venv: $(VENV)/stamp

## make lab-up         real OpenStack clouds on this machine (LAB_PODS=1..3, default 2)
lab-up:
	@$(LAB) up
## make lab-down       stop them, keep their data
lab-down:
	@$(LAB) down
lab-reset:
	@$(LAB) reset
## make lab-status     what runs
lab-status:
	@$(LAB) status
## make lab-fault      POD=Pod2 DO=stop|freeze|heal
lab-fault:
	@$(LAB) fault $(POD) $(DO)
lab-proof:
	@$(LAB) proof $(POD)
