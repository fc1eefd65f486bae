# Nacre on one computer. Everything below works as root on Debian 12 with nothing but git and make.
LAB ?= demo
SUBNET ?=
HOSTS ?=
OSDS_PER_HOST ?=
CONTROL ?=
PURGE ?=
N ?= 5
T ?=

PYTHON := .venv/bin/python
# Whoever kills make has killed the run.
TIED := setpriv --pdeathsig KILL
UP_OPTIONS := --lab '$(LAB)' $(if $(SUBNET),--subnet '$(SUBNET)') $(if $(HOSTS),--hosts '$(HOSTS)') \
	$(if $(OSDS_PER_HOST),--osds-per-host '$(OSDS_PER_HOST)') $(if $(filter 1 yes true,$(CONTROL)),--control)

.DEFAULT_GOAL := help
.PHONY: help up down status test stress lint bench bootstrap

help:
	@echo 'make up      a three-host Ceph + KVM cluster on this computer, the service, a VM and its live migration'
	@echo 'make down    end all of it, keep the disks; PURGE=1 deletes them and the cache too'
	@echo 'make status  what is running'
	@echo 'make test    all tests, those on a cluster of their own included'
	@echo 'make stress  N=5 rounds of tests beside two processes that burn CPU: T="tests/unit/test_x.py …", else the test files'
	@echo '             that are changed or new, else those of the last commit; exit 1 when a round failed'
	@echo 'make lint    style, types, imports between packages'
	@echo 'make bench   all benchmarks, or one: B=api create restart history discovery packing placement_decision placement_rest'
	@echo '             placement_storage; create and placement_storage after make up; exit 1 when an aim does not hold.'
	@echo '             TRACE=file.csv.gz: the VMs that packing replays. PEERS=1: installs what placement is compared with'
	@echo
	@echo 'Parameters: LAB=name (default demo), SUBNET=10.x.y.0/24, HOSTS=3, OSDS_PER_HOST=1, CONTROL=1 (one more'
	@echo 'machine, with the control plane deployed on it), PURGE=1 (down only)'

bootstrap:
	@$(TIED) sh lab/bootstrap.sh

up: bootstrap
	@$(TIED) $(PYTHON) -m lab up $(UP_OPTIONS)

down:
	@/usr/bin/python3 -m lab.down '$(LAB)' $(if $(filter 1 yes true,$(PURGE)),--purge)

status: bootstrap
	@$(PYTHON) -m lab status --lab '$(LAB)'

test: bootstrap
	@$(TIED) $(PYTHON) -m tests.everything

stress: bootstrap
	@$(TIED) $(PYTHON) -m tests.stress $(N) $(T)

lint: bootstrap
	@.venv/bin/tox -e lint

bench: bootstrap
	@LAB='$(LAB)' $(PYTHON) -m bench $(B)
