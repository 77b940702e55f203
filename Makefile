# Everything a person or a machine does with this checkout. Nothing outside .venv, var and the
# lab's state folder is touched, but for the Debian packages that are missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAB := $(PYTHON) -m tests.lab
DEMO := $(BIN)/python -m tests.demo
ROOT := $(CURDIR)

# for `make env`; AS is a name that make itself gives a value
ifeq ($(origin AS),default)
AS := admin
endif
REGION ?= RegionOne
SOAK ?= 300

# what only they need is installed only for them
TESTS := $(filter test test-fast release-check,$(MAKECMDGOALS))

.PHONY: help venv packages lint test test-fast test-random release-check bench bench-image demo demo-down env \
	lab-up lab-behind lab-down lab-reset lab-status lab-fault lab-ping \
	lab-ovn lab-tempest lab-proof

help:
	@grep -E '^## ' Makefile | sed 's/^## //'

## make demo           a lab of two clouds, Trio2o in front of it, and a tenant's day on it
demo: venv
	@$(DEMO) up
## make demo-down      end the demo's appliance and the lab; the lab's data is kept
demo-down: venv
	@$(DEMO) down
## make env            for eval "$(make -s env)": clients on PATH, OS_* of the lab
##                     (AS=demo, REGION=Pod1 for others)
env:
	@$(LAB) env --as $(AS) --region $(REGION)
	@echo 'export PATH="$(ROOT)/$(BIN):$$PATH"'
	@echo 'export TRIO2O_CONFIG="$(ROOT)/var/demo/trio2o.toml"'

## make test           everything: lint, unit, component, then cloud tests in the lab
test: venv lab-behind lint
	$(BIN)/python -m pytest tests/unit tests/component tests/cloud -m "not release and not packets"
lab-behind:
	@mkdir -p var
	@echo "the lab comes up in the background: var/lab-up.log"
	@$(LAB) up >var/lab-up.log 2>&1 </dev/null &

## make test-fast      lint, unit and component tests; no OpenStack needed
test-fast: lint
	$(BIN)/python -m pytest tests/unit tests/component
## make release-check  what takes longer: the tests that kill, for SOAK seconds each (default 300),
##                     and networks that span the lab's pods
release-check: venv test-random
	TRIO2O_SOAK=$(SOAK) $(BIN)/python -m pytest -s tests/component/test_kills.py
	$(BIN)/python -m pytest tests/cloud -m release
## make test-random    the properties, with examples that no run has drawn
test-random: venv
	TRIO2O_HYPOTHESIS=random $(BIN)/python -m pytest $$(grep -rl "^from hypothesis" tests/unit --include="test_*.py")
## make lint           ruff and mypy
lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
## make bench          CPU per request beside nginx and a naive proxy; draws the history
bench: venv $(VENV)/bench
	@$(BIN)/python -m tests.bench
$(VENV)/bench: $(VENV)/stamp
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]' \
		--config-settings editable_mode=compat
	@touch $@
## make bench-image    a GiB up and down through the image face: the memory it takes
bench-image: venv
	@$(BIN)/python -m tests.bench.image

## make venv           .venv with Trio2o, editable, and the tools of development
venv: packages $(VENV)/stamp

packages:
	@$(PYTHON) -c 'import sys; assert sys.version_info[:2] == (3, 11)' 2>/dev/null || \
		{ echo "Python 3.11 is needed (make PYTHON=...); $(PYTHON) is another"; exit 1; }
	@missing=$$($(PYTHON) -c 'import ensurepip' 2>/dev/null || echo python3-venv); \
	command -v curl >/dev/null || missing="$$missing curl"; \
	test -z "$(TESTS)" || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
		missing="$$missing postgresql"; \
	test -z "$$missing" || { echo "installing Debian packages: $$missing"; \
	sudo=$$(test $$(id -u) = 0 || echo sudo); \
	$$sudo apt-get -qq update && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
		--no-install-recommends $$missing; }

$(VENV)/stamp: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]' \
		--config-settings editable_mode=compat  # else twistd does not find its plug-in
	@touch $@

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
## make lab-ping       packets over networks that span the lab's pods: Neutron's agents on Open
##                     vSwitch, namespaces as servers; as root, and with the lab to itself
lab-ping: venv
	$(BIN)/python -m pytest -v -s -m packets tests/cloud/test_packets.py
## make lab-ovn        networks over pods of which the second has OVN; the lab is made anew for it
##                     (and for what comes behind it by `make lab-reset`)
lab-ovn: venv
	LAB_OVN=2 $(LAB) reset
	LAB_OVN=2 $(BIN)/python -m pytest tests/cloud/test_ovn.py tests/cloud/test_stretched.py
## make lab-tempest    OpenStack's own tests of its APIs (Tempest) through the demo's appliance
##                     (SERVICES="compute volume network image cinder neutron", REGION=Pod1)
lab-tempest: venv
	$(BIN)/python -m tests.tempest --region $(REGION) $(SERVICES)
lab-proof:
	@$(LAB) proof $(POD)
