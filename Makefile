# Emberline: the pipeline and every developer command. `make help` lists targets and variables.
#
# A run is a folder of tables, one per stage and generation; Make decides from their times what to rerun.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# ---- variables (make help shows these lines) ---------------------------------------------------------------------
SEED       ?= 0#            seed of the search; every random stream is derived from it
METHOD     ?= spark#        search method or variant (propose --help lists them)
TASK       ?= dfs#          CLRS algorithm that candidates are trained on (sample --list)
PROFILE    ?= $(if $(GPU),paper,quick)#  settings: a name in data/profiles, or a path to a .toml file
ITERATIONS ?=#              proposals in total, over all generations [from the profile]
JOBS       ?= 0#            candidates trained side by side, on each GPU; 0: as many as there are cores for, at most 4 on a GPU
DEVICE     ?=#              auto, cpu, cuda (all visible GPUs) or cuda:K [from the profile: auto; gpu-check: cuda]
PROPOSER   ?=#              who writes the candidates: builtin, openai, replay [from the profile: builtin]
API_BASE   ?=#              server of the language models, e.g. http://localhost:11434/v1 (PROPOSER=openai)
MODEL      ?=#              its model, or several as "NAME=WEIGHT ..." (PROPOSER=openai, replay)
TRANSCRIPTS ?= $(RUN)/transcripts.jsonl#  where exchanges are recorded; what PROPOSER=replay answers from
PROGRAM    ?= data/seed_pgn.py#  the program that the search starts from
SET        ?=#              more settings: SET="train.steps=50 network.hidden=64"
RUNS       ?= runs#         folder of all runs
RUN        ?= $(RUNS)/$(METHOD)-$(TASK)-seed$(SEED)#  folder of the run
METHODS    ?= spark openevolve evoprompting funsearch eoh#  what make compare compares
SEEDS      ?= 0 1 2#        seeds of make compare and make ablation
CACHE      ?= cache#        results of trainings, shared by all runs
TASKS      ?=#              tasks of make transfer: names, or a file of data/tasks [from the profile]
LIBTORCH   ?=#              your own libtorch 2.11.0; empty: it is downloaded into .libtorch
CUDA       ?= auto#         download the CUDA libraries too: auto (when there is a GPU), yes, no
MINUTES    ?= 8#            time for make gpu-check
OUT        ?= gpu-check#    folder of its results
DRY        ?=#              yes: make gpu-check tries itself out on the CPU, in seconds

BIN        ?= target/release#  the binaries to run; target/debug for those of plain cargo build

GPU := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -m1 '^GPU')

# An empty LIBTORCH must not hide the link that .cargo/config.toml points to.
ifeq ($(strip $(LIBTORCH)),)
unexport LIBTORCH
else
export LIBTORCH
endif
export CUDA
# Idle OpenMP threads sleep: spinning ones starve the trainings beside them.
export OMP_WAIT_POLICY ?= PASSIVE

PROFILE_FILE = $(if $(filter %.toml,$(PROFILE)),$(PROFILE),data/profiles/$(strip $(PROFILE)).toml)
SETTINGS = --config $(PROFILE_FILE) \
	--set search.seed=$(strip $(SEED)) --set search.method=$(strip $(METHOD)) --set task.algorithm=$(strip $(TASK)) \
	--set propose.program=$(strip $(PROGRAM)) \
	$(if $(strip $(ITERATIONS)),--set search.attempts=$(strip $(ITERATIONS))) \
	$(if $(strip $(DEVICE)),--set train.device=$(strip $(DEVICE))) \
	$(if $(strip $(PROPOSER)),--set propose.proposer=$(strip $(PROPOSER))) \
	$(if $(strip $(API_BASE)),--set llm.base_url=$(strip $(API_BASE))) \
	$(if $(strip $(MODEL)),--set 'llm.models=[$(foreach m,$(MODEL),"$(m)",)]') \
	$(foreach s,$(SET),--set $(s))

# ---- the search --------------------------------------------------------------------------------------------------
.PHONY: search
search: build ## a whole search: propose, check, train, score, select by generations; then the report
	@$(MAKE) $(RUN)/config.toml
	@attempts=$$(sed -n 's/^attempts *= *\([0-9]*\).*/\1/p' $(RUN)/config.toml); \
	size=$$(sed -n 's/^generation_size *= *\([0-9]*\).*/\1/p' $(RUN)/config.toml); \
	last=$$(( (attempts + size - 1) / size )); \
	if $(MAKE) -q finished LAST=$$last 2>/dev/null; then \
		echo "search: nothing to do: $(RUN) is complete ($$attempts proposals)"; \
	else exec $(MAKE) finished LAST=$$last; fi
	@$(BIN)/select --summary $(RUN)/archive.parquet
	@echo "report:  $(RUN)/report.html"
	@echo "winner:  $(RUN)/results/best.py, its weights (best.safetensors) and a page about both (best.md) beside it"

# Settings in force, written first. A run keeps its settings: only the number of proposals may grow.
.PHONY: FORCE
$(RUN)/config.toml: FORCE
	@mkdir -p $(RUN)
	@$(BIN)/propose $(SETTINGS) --print-config > $(RUN)/.config.new || { rm -f $(RUN)/.config.new; exit 1; }
	@if [ ! -e $@ ]; then mv $(RUN)/.config.new $@; \
	elif cmp -s $@ $(RUN)/.config.new; then rm $(RUN)/.config.new; \
	elif diff <(sed 's/ *#.*//; /^attempts *=/d' $@) <(sed 's/ *#.*//; /^attempts *=/d' $(RUN)/.config.new) > $(RUN)/.config.diff; then \
		rm -f $(RUN)/.config.diff; touch -r $@ $(RUN)/.config.new; mv $(RUN)/.config.new $@; \
	else \
		echo "error: $(RUN) was made with other settings (< then, > now):" >&2; cat $(RUN)/.config.diff >&2; \
		echo "give this run a folder of its own (RUN=runs/NAME), or remove the old one (make clean-run)" >&2; \
		rm -f $(RUN)/.config.new $(RUN)/.config.diff; exit 1; \
	fi

# One generation: its number, the one before ('' for the first). Binaries are order-only: a rebuild reruns nothing.
define generation
$(RUN)/gen$(1)/proposed.parquet: $(if $(2),$(RUN)/gen$(2)/archive.parquet,$(PROGRAM)) | $(RUN)/gen$(1)
	$(BIN)/propose --config $(RUN)/config.toml --generation $(1) $(if $(2),--parents $$<) --transcripts $(TRANSCRIPTS) \
		$(if $(2),--curves '$(RUN)/gen*/curves.parquet') -o $$@
$(RUN)/gen$(1)/checked.parquet: $(RUN)/gen$(1)/proposed.parquet
	$(BIN)/check --config $(RUN)/config.toml $(if $(2),--known $(RUN)/gen$(2)/archive.parquet) $$< -o $$@
$(RUN)/gen$(1)/trained.parquet: $(RUN)/gen$(1)/checked.parquet
	$(BIN)/train --config $(RUN)/config.toml --cache $(CACHE) --jobs $(JOBS) --curves $(RUN)/gen$(1)/curves.parquet $$< -o $$@
$(RUN)/gen$(1)/scored.parquet: $(RUN)/gen$(1)/trained.parquet
	$(BIN)/score --config $(RUN)/config.toml --cache $(CACHE) --jobs $(JOBS) $$< -o $$@
$(RUN)/gen$(1)/archive.parquet: $(RUN)/gen$(1)/scored.parquet
	$(BIN)/select --config $(RUN)/config.toml $(if $(2),--archive $(RUN)/gen$(2)/archive.parquet) $$< -o $$@
$(RUN)/gen$(1):
	@mkdir -p $$@
endef

LAST ?= 0
GENERATIONS := $(shell seq -f %03.0f 0 $(LAST))
previous = $(shell printf '%03d' $$(expr $(1) - 1))
$(foreach g,$(GENERATIONS),$(eval $(call generation,$(g),$(if $(filter-out 000,$(g)),$(call previous,$(g))))))

.PHONY: finished
finished: $(RUN)/archive.parquet $(RUN)/report.html $(RUN)/results/best.py

$(RUN)/archive.parquet: $(RUN)/gen$(lastword $(GENERATIONS))/archive.parquet
	@cp $< $@.tmp && mv $@.tmp $@

$(RUN)/results/best.py: $(RUN)/archive.parquet
	$(BIN)/select --config $(RUN)/config.toml --export $(@D) --cache $(CACHE) $<

$(RUN)/report.html: $(RUN)/archive.parquet
	$(BIN)/report $< -o $@

# A run's settings hold; what is asked for now comes on top of them.
TRANSFER_SETTINGS = $(if $(wildcard $(RUN)/config.toml),$(foreach s,$(SET),--set $(s))) \
	$(if $(strip $(DEVICE)),--device $(strip $(DEVICE)))

# What is transferred: the program given with PROGRAM=, else the winner of the run.
SUBJECT = $(if $(filter file,$(origin PROGRAM)),$(RUN)/results/best.py,$(PROGRAM))

.PHONY: transfer
transfer: build ## the winner of a search (or PROGRAM=my.py), trained from scratch on further tasks, beside the reference
	@[ -e $(SUBJECT) ] || { echo "error: $(SUBJECT) does not exist; run first: make search SEED=$(SEED)" >&2; exit 1; }
	@mkdir -p $(RUN)
	$(BIN)/transfer $(if $(wildcard $(RUN)/config.toml),--config $(RUN)/config.toml,$(SETTINGS)) $(TRANSFER_SETTINGS) --cache $(CACHE) --jobs $(JOBS) \
		$(addprefix --tasks ,$(TASKS)) --program $(SUBJECT) -o $(RUN)/transfer.parquet
	@[ ! -e $(RUN)/archive.parquet ] || $(BIN)/report $(RUN)/archive.parquet -o $(RUN)/report.html
	@echo "rows:    $(RUN)/transfer.parquet"
	@echo "summary: $(RUN)/transfer_summary.parquet"

.PHONY: reference
reference: ## the reference architecture alone, trained from scratch on the transfer tasks
	@$(MAKE) transfer PROGRAM=data/seed_pgn.py RUN=$(RUNS)/reference

# ---- several searches --------------------------------------------------------------------------------------------
# A search of each method with each seed, and one page over all of them. With -j, several at a time.
VARIANTS := spark asr-only rc-sar-only free-form
MEMBERS = $(foreach m,$(METHODS),$(foreach s,$(SEEDS),$(m)/$(s)))
archive_of = $(RUNS)/$(subst /,-$(strip $(TASK))-seed,$(1))/archive.parquet

.PHONY: $(foreach m,$(MEMBERS),member/$(m))
$(foreach m,$(MEMBERS),member/$(m)): member/%: build
	@$(MAKE) search BUILD=no METHOD=$(patsubst %/,%,$(dir $*)) SEED=$(notdir $*) RUN=$(patsubst %/archive.parquet,%,$(call archive_of,$*))

.PHONY: compare
compare: $(foreach m,$(MEMBERS),member/$(m)) ## SPARK against the rival METHODS over SEEDS, same budget: one table and page
	@mkdir -p $(RUNS)/compare
	$(BIN)/report $(foreach m,$(MEMBERS),$(call archive_of,$(m))) -o $(RUNS)/compare/report.html
	@cat $(RUNS)/compare/tables/comparison.md
	@echo "page:    $(RUNS)/compare/report.html"

.PHONY: ablation
ablation: ## SPARK and its three ablations over SEEDS: one table and page
	@$(MAKE) ablate METHODS="$(VARIANTS)"

.PHONY: ablate
ablate: $(foreach m,$(MEMBERS),member/$(m))
	@mkdir -p $(RUNS)/ablation
	$(BIN)/report $(foreach m,$(MEMBERS),$(call archive_of,$(m))) -o $(RUNS)/ablation/report.html
	@cat $(RUNS)/ablation/tables/comparison.md
	@echo "page:    $(RUNS)/ablation/report.html"

.PHONY: clean-run
clean-run: ## remove the folder of the run (trainings stay in the cache)
	rm -rf $(RUN)

# ---- set-up and building -----------------------------------------------------------------------------------------
.PHONY: setup
setup: ## obtain libtorch (once), and check that cargo and a C++ compiler are there
	@command -v cargo >/dev/null || { echo "error: cargo is needed: https://rustup.rs" >&2; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || { echo "error: a C++ compiler is needed (Debian: apt-get install g++)" >&2; exit 1; }
	@sh stages/lib/executor/libtorch.sh "$(CURDIR)"

.PHONY: build
build: $(if $(filter no,$(BUILD)),,setup) ## the release binaries, in target/release
	@$(if $(filter no,$(BUILD)),:,) cargo build $(if $(filter %release,$(BIN)),--release) --bins --locked $(if $(wildcard $(BIN)/report),--quiet)

.PHONY: doctor
doctor: setup ## what was found: tools, libtorch, CUDA, threads
	@echo "rust:     $$(rustc --version)"
	@echo "make:     $(MAKE_VERSION)"
	@echo "c++:      $$( (c++ --version || g++ --version) 2>/dev/null | head -n 1)"
	@echo "python:   $$(python3 --version 2>&1) (only to download libtorch)"
	@echo "gpu:      $(if $(GPU),$(GPU),none)"
	@sh stages/lib/executor/libtorch.sh "$(CURDIR)" --show
	@$(MAKE) build
	@$(BIN)/probe doctor

# ---- tests -------------------------------------------------------------------------------------------------------
.PHONY: test
test: setup ## all tests but the long ones
	cargo build --workspace --bins --locked
	cargo test --workspace --locked

.PHONY: test-full
test-full: setup ## all tests, the long ones too
	cargo build --workspace --bins --locked
	cargo test --workspace --locked -- --include-ignored

.PHONY: lint
lint: setup ## formatting and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

# With BASE=COMMIT, the programs of that commit are built, too, and both take their turns; with PEER=, any other program.
BASE ?=#              make bench: a commit whose programs are timed in turn with ours, e.g. BASE=d83224b
PEER ?=#              make bench: a command to time in turn with ours (probe speed --help says how), e.g. the PyTorch port
ROUNDS ?= 3#          make bench: how many turns
BASE_TREE = target/base/$(strip $(BASE))
BASE_BIN = $(BASE_TREE)/target/release
SPEED = $(BIN)/probe speed --program $(PROGRAM) --algorithm dfs
BASE_SPEED = $(BASE_BIN)/probe speed --program $(PROGRAM) --algorithm dfs --length {length} --batch-size {batch} --hidden {hidden} --steps {steps} --json
BESIDE = $(if $(strip $(BASE)),--beside '$(strip $(BASE))=$(BASE_SPEED) --threads {threads}') \
	$(if $(strip $(PEER)),--beside 'peer=$(strip $(PEER))') $(if $(strip $(BASE)$(PEER)),--rounds $(ROUNDS))

$(BASE_BIN)/probe:
	@mkdir -p $(dir $(BASE_TREE))
	@[ -d $(BASE_TREE) ] || git worktree add --detach $(BASE_TREE) $(BASE)
	@[ -e $(BASE_TREE)/.libtorch ] || ln -s "$(CURDIR)/.libtorch" $(BASE_TREE)/.libtorch
	cd $(BASE_TREE) && cargo build --release --bins --locked --quiet

.PHONY: bench
bench: build $(if $(strip $(BASE)),$(BASE_BIN)/probe) ## timings: sampling, checking, training steps, evaluation; BASE=COMMIT compares
	cargo bench -p clrs --locked
	cargo bench -p program --locked
	$(SPEED) --length 16 --batch-size 32 --hidden 128 --steps 5 --eval-length 64 --growth $(BESIDE)
	$(SPEED) --length 8 --batch-size 32 --hidden 32 --steps 20 --threads 1 $(BESIDE)
	$(SPEED) --length 4 --batch-size 32 --hidden 32 --steps 20 --threads 1 $(BESIDE)
	@for round in $$(seq $(ROUNDS)); do for bin in $(BIN) $(if $(strip $(BASE)),$(BASE_BIN)); do \
		rm -rf target/bench-cache; start=$$(date +%s.%N); \
		$$bin/train $(PROGRAM) --config data/profiles/quick.toml --cache target/bench-cache -o target/bench.jsonl --quiet; \
		echo "a quick candidate's training, $$bin: $$(echo "$$(date +%s.%N) $$start" | awk '{ printf "%.2f s", $$1 - $$2 }')"; done; done
	-$(BIN)/probe speed --passes 'tests/fixtures/programs/valid/*.py' --length 8 --batch-size 16 --hidden 64 --steps 9

.PHONY: parity
parity: build ## the network and program goldens on DEVICE
	$(BIN)/probe network 'tests/fixtures/model/*.json' $(if $(strip $(DEVICE)),--device $(strip $(DEVICE)))

.PHONY: gpu-check
gpu-check: build ## check and measure everything on DEVICE within MINUTES, into OUT: a page to read and to send (DRY=yes: a trial)
	$(BIN)/probe gpu-check --device $(or $(strip $(DEVICE)),cuda) --minutes $(strip $(MINUTES)) --out $(strip $(OUT)) \
		$(if $(filter-out no,$(strip $(DRY))),--dry)

# cargo-fuzz wants a nightly compiler. Where there is none, the stable one is told to take its flags.
FUZZ = stages/lib/program/fuzz
FUZZ_NIGHTLY = $(shell cargo +nightly --version >/dev/null 2>&1 && echo +nightly)
FUZZ_TARGETS ?= edits text
FUZZ_SECONDS ?= 3600

.PHONY: fuzz
fuzz: ## look for programs that the front end panics on, or spends too much on: FUZZ_SECONDS=3600 in all, on one core
	@command -v cargo-fuzz >/dev/null || { echo "error: cargo-fuzz is needed: cargo install cargo-fuzz" >&2; exit 1; }
	@echo "fuzz: with the $(if $(FUZZ_NIGHTLY),nightly,stable) toolchain"
	@mkdir -p $(FUZZ)/corpus/edits $(FUZZ)/corpus/text $(FUZZ)/corpus/seeds
	@cp tests/fixtures/programs/*/*.py $(FUZZ)/corpus/seeds
	@cd stages/lib/program && for target in $(FUZZ_TARGETS); do \
		echo "fuzz: $$target, $$(( $(FUZZ_SECONDS) / $(words $(FUZZ_TARGETS)) )) seconds"; \
		$(if $(FUZZ_NIGHTLY),,RUSTC_BOOTSTRAP=1) cargo $(FUZZ_NIGHTLY) fuzz run --sanitizer none $$target fuzz/corpus/$$target \
			$$( [ $$target = edits ] || echo fuzz/corpus/seeds ) -- -max_total_time=$$(( $(FUZZ_SECONDS) / $(words $(FUZZ_TARGETS)) )) \
			-dict=fuzz/python.dict $$( [ $$target = edits ] && echo -max_len=512 -len_control=0 || echo -max_len=32768 ) -timeout=10 -rss_limit_mb=1024 -print_final_stats=1; \
	done

.PHONY: clean
clean: ## remove what was built (runs, cache and libtorch stay)
	cargo clean

.PHONY: help
help: ## this list
	@echo "Emberline: a search for graph network architectures, as a pipeline of stages over tables"
	@echo
	@echo "targets:"
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | awk -F'|' '{ printf "%-11s %s\n", $$1, $$2 }'
	@echo
	@echo "variables (NAME ?= default  meaning):"
	@grep -hE '^[A-Z_]+ +\?= *.*#  ' Makefile | sed -E 's/^([A-Z_]+) +\?= *([^#]*)# +(.*)/  \1|\2|\3/; s/\|\|/|(none)|/' | awk -F'|' '{ printf "%-12s %-38s %s\n", $$1, $$2, $$3 }'
	@echo
	@echo "examples:"
	@echo "  make search SEED=0"
	@echo "  make search SEED=1 ITERATIONS=64 JOBS=2"
	@echo "  make search SEED=0 PROFILE=paper DEVICE=cuda RUN=runs/paper-seed0"
	@echo "  make gpu-check DRY=yes; make gpu-check MINUTES=30 DEVICE=cuda:1"
	@echo "  make search SEED=0 PROPOSER=openai API_BASE=http://localhost:11434/v1 MODEL=qwen3:32b RUN=runs/qwen-seed0"
	@echo "  make search SEED=0 PROPOSER=replay MODEL=qwen3:32b TRANSCRIPTS=runs/qwen-seed0/transcripts.jsonl RUN=runs/again"
