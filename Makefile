# Emberline: the pipeline and every developer command. `make help` lists targets and variables.
#
# A run is a folder of tables, one per stage and generation. What is to be made in it is told by the digests in the
# tables (`run plan`), not by file times: so the targets of the chain are names, and paths may hold any character.

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
ENGINE     ?=#              where trainings run: local, slurm, command [from the profile: local]
SLURM      ?=#              options of sbatch (ENGINE=slurm): "--partition=a100 --gpus=1 --mem=16G --time=2:00:00"
PROPOSER   ?=#              who writes the candidates: builtin, openai, replay [from the profile: builtin]
API_BASE   ?=#              server of the language models, e.g. http://localhost:11434/v1 (PROPOSER=openai)
MODEL      ?=#              its model, or several as "NAME=WEIGHT ..." (PROPOSER=openai, replay)
PREFLIGHT  ?=#              no: begin without asking each role's model once (PROPOSER=openai)
TRANSCRIPTS ?= $(RUN)/transcripts.jsonl#  where exchanges are recorded; what PROPOSER=replay answers from
PROGRAM    ?= data/seed_pgn.py#  the program that the search starts from
SETTINGS   ?=#              a .toml file of settings that go over the profile's
SET        ?=#              more settings, in TOML, over both: SET='train.steps=50 llm.extra.reasoning_effort="low"'
RUNS       ?= runs#         folder of all runs
RUN        ?= $(RUNS)/$(METHOD)-$(TASK)-seed$(SEED)#  folder of the run
REPLAY     ?=#              make replay: folder of the search that is made from the recording [RUN-replay]
METHODS    ?= spark openevolve evoprompting funsearch eoh#  what make compare compares; all: ablations and controls, too
MODELS     ?=#              models of make compare and make ablation, each for itself: "small large" (PROPOSER=openai)
SEEDS      ?= 0 1 2 3 4#    seeds of make compare and make ablation; of make confirm training seeds of your choice
CACHE      ?= cache#        results of trainings, shared by all runs
TASKS      ?=#              tasks of make transfer: names, or a file of data/tasks [from the profile]
LIBTORCH   ?=#              your own libtorch 2.11.0; empty: it is downloaded into .libtorch
CUDA       ?= auto#         download the CUDA libraries too: auto (when there is a GPU), yes, no
MINUTES    ?= 8#            time for make gpu-check
OUT        ?= gpu-check#    folder of its results
DRY        ?=#              yes: make gpu-check tries itself out on the CPU, in seconds

BIN        ?= target/release#  the binaries to run; target/debug for those of plain cargo build

GPU := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -m1 '^GPU')

# Whatever was given is text, in Make and in the shell alike: nothing in it is ever expanded or run. Recipes take it from
# the environment, where each variable stands with an underscore before its name.
TEXTS := SEED METHOD TASK PROFILE ITERATIONS JOBS DEVICE ENGINE SLURM PROPOSER API_BASE MODEL PREFLIGHT TRANSCRIPTS PROGRAM SETTINGS SET RUNS RUN REPLAY \
	METHODS MODELS SEEDS CACHE TASKS LIBTORCH CUDA MINUTES OUT DRY BIN BUILD BASE PEER ROUNDS FUZZ_TARGETS FUZZ_SECONDS STALE
given = $(filter command environment,$(firstword $(origin $(1))))
$(foreach name,$(TEXTS),$(if $(call given,$(name)),$(eval override $(name) := $$(value $(name)))))
$(foreach name,$(filter-out RUN,$(TEXTS)),$(eval export _$(name) = $$($(name))))
# A path that starts with a dash is not an option.
export _RUN = $(if $(filter -%,$(firstword $(RUN))),./)$(RUN)

# An empty LIBTORCH must not hide the link that .cargo/config.toml points to.
ifeq ($(strip $(LIBTORCH)),)
unexport LIBTORCH
else
export LIBTORCH
endif
export CUDA
# Idle OpenMP threads sleep: spinning ones starve the trainings beside them.
export OMP_WAIT_POLICY ?= PASSIVE

# Where the work of a single stage runs, where it is not told by its settings.
ENGINES = $${_ENGINE:+"--engine=$$_ENGINE"} $${_SLURM:+"--slurm=$$_SLURM"}

# Folders as recipes write them.
STAGES = "$$_BIN"
HERE = "$$_RUN"

# ---- the search --------------------------------------------------------------------------------------------------
DRY_RUN = $(findstring n,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
PLAN = $(STAGES)/run plan --profile="$$_PROFILE" --settings="$$_SETTINGS" --program="$$_PROGRAM" --iterations="$$_ITERATIONS" --seed="$$_SEED" \
	--method="$$_METHOD" --task="$$_TASK" --device="$$_DEVICE" --engine="$$_ENGINE" --slurm="$$_SLURM" \
	--proposer="$$_PROPOSER" --api-base="$$_API_BASE" --model="$$_MODEL" --set="$$_SET" $(if $(DRY_RUN),--dry-run) -- $(HERE)

.PHONY: search
search: build ## a whole search: propose, check, train, score, select by generations; then the report
	@stale=$$($(PLAN)); \
	if [ -z "$$stale" ]; then echo "search: nothing to do: $$_RUN is complete"; exit; fi; \
	case " $$(echo $$stale) " in *" gen001/proposed "*) \
		[ -n "$(DRY_RUN)" ] || [ "$$_PREFLIGHT" = no ] || [ -s "$$_TRANSCRIPTS" ] || $(STAGES)/propose --config $(HERE)/config.toml --program $(HERE)/seed_program.py --ping || exit;; esac; \
	exec $(MAKE) chain STALE="$$(echo $$stale)"
	@$(STAGES)/select --config $(HERE)/config.toml --summary $(HERE)/archive.parquet
	@echo "report:  $$_RUN/report.html"
	@echo "winner:  $$_RUN/results/best.py, its weights (best.safetensors) and a page about both (best.md) beside it"

# Everything but the recording comes from the run: its settings, its seed program. The gain is not confirmed once more.
INTO = into="$$_REPLAY"; if [ -z "$$into" ]; then into="$$_RUN"; while [[ $$into == */ ]]; do into="$${into%/}"; done; into+=-replay; fi; \
	if [[ $$into == -* ]]; then into="./$$into"; fi

.PHONY: replay
replay: build ## a finished search of models once more (RUN=...), from its recording alone: is the archive equal?
	@$(INTO); $(STAGES)/run replay --transcripts="$$_TRANSCRIPTS" -- $(HERE) "$$into"
	@$(INTO); $(MAKE) search BUILD=no PROPOSER=replay RUN="$$into" PROFILE="$$_RUN/config.toml" PROGRAM="$$_RUN/seed_program.py" \
		TRANSCRIPTS="$$_TRANSCRIPTS" SET="confirm.top=0" SETTINGS= SEED= METHOD= TASK= ITERATIONS= DEVICE= API_BASE= MODEL=
	@$(INTO); $(STAGES)/run compare -- $(HERE) "$$into"

# A run's settings hold, where there is a run; what is asked for now comes on top of them.
.PHONY: ping
ping: build ## ask the models of a run, or of MODEL, API_BASE, SETTINGS: are server, key and names right?
	@config=$(HERE)/config.toml; [ -e "$$config" ] || config=$$_PROFILE_FILE; \
	set -f; models=(); for model in $$_MODEL; do models+=("--model=$$model"); done; \
	seed=$(HERE)/seed_program.py; [ -e "$$seed" ] || seed=; \
	$(STAGES)/propose --ping --proposer openai $${seed:+"--program=$$seed"} --config="$$config" $${_SETTINGS:+"--config=$$_SETTINGS"} --set="$$_SET" \
		$${_API_BASE:+"--api-base=$$_API_BASE"} "$${models[@]}"

# The stages that are to be run: STALE names their outputs, and says in a word of its own (races/N) how many rounds of
# racing a generation has. Each waits for those of its inputs that are made, too.
RACES := $(patsubst races/%,%,$(filter races/%,$(STALE)))
MADE := $(filter-out races/%,$(STALE))
.PHONY: chain $(MADE)
chain: $(MADE)

# One generation: its number, the one before ('' for the first).
define generation
gen$(1)/proposed: $(filter gen$(2)/archive,$(MADE))
	@mkdir -p $$(HERE)/gen$(1)
	$$(STAGES)/propose --config $$(HERE)/config.toml --program $$(HERE)/seed_program.py --generation $(1) \
		$(if $(2),--parents $$(HERE)/gen$(2)/archive.parquet --curves $$(HERE) --diagnosis $$(HERE)) --transcripts="$$$$_TRANSCRIPTS" \
		-o $$(HERE)/$$@.parquet
gen$(1)/checked: $(filter gen$(1)/proposed gen$(2)/archive,$(MADE))
	$$(STAGES)/check --config $$(HERE)/config.toml $(if $(2),--known $$(HERE)/gen$(2)/archive.parquet) \
		-o $$(HERE)/$$@.parquet $$(HERE)/gen$(1)/proposed.parquet
gen$(1)/trained: $(filter gen$(1)/checked,$(MADE))
	$$(STAGES)/train --config $$(HERE)/config.toml --cache="$$$$_CACHE" --jobs="$$$$_JOBS" \
		--curves $$(HERE)/gen$(1)/curves.parquet -o $$(HERE)/$$@.parquet $$(HERE)/gen$(1)/checked.parquet
gen$(1)/scored: $(filter gen$(1)/trained,$(MADE))
	$$(STAGES)/score --config $$(HERE)/config.toml --cache="$$$$_CACHE" --jobs="$$$$_JOBS" \
		--graphs $$(HERE)/gen$(1)/graphs.parquet --diagnosis $$(HERE)/gen$(1)/diagnosis.parquet -o $$(HERE)/$$@.parquet $$(HERE)/gen$(1)/trained.parquet
gen$(1)/archive: $(filter gen$(1)/scored$(3) gen$(2)/archive,$(MADE))
	$$(STAGES)/select --config $$(HERE)/config.toml $(if $(2),--archive $$(HERE)/gen$(2)/archive.parquet) \
		-o $$(HERE)/$$@.parquet $$(HERE)/gen$(1)/scored$(3).parquet
endef

# One round of racing in a generation: its number, the generation before, the round, the round before ('' for the first).
define race
gen$(1)/trained$(3): $(filter gen$(1)/scored$(4) gen$(2)/archive,$(MADE))
	$$(STAGES)/train --config $$(HERE)/config.toml --cache="$$$$_CACHE" --jobs="$$$$_JOBS" --race $(3) \
		$(if $(2),--archive $$(HERE)/gen$(2)/archive.parquet) --curves $$(HERE)/gen$(1)/curves$(3).parquet \
		-o $$(HERE)/$$@.parquet $$(HERE)/gen$(1)/scored$(4).parquet
gen$(1)/scored$(3): $(filter gen$(1)/trained$(3),$(MADE))
	$$(STAGES)/score --config $$(HERE)/config.toml --cache="$$$$_CACHE" --jobs="$$$$_JOBS" \
		--graphs $$(HERE)/gen$(1)/graphs$(3).parquet -o $$(HERE)/$$@.parquet $$(HERE)/gen$(1)/trained$(3).parquet
endef

generation_of = $(patsubst gen%/,%,$(dir $(1)))
GENERATIONS := $(sort $(call generation_of,$(filter gen%,$(MADE))))
previous = $(if $(filter-out 000,$(1)),$(shell printf '%03d' $$(expr $(1) - 1)))
rounds := $(if $(RACES),$(shell seq $(RACES)))
before = $(filter-out 0,$(shell expr $(1) - 1))
$(foreach g,$(GENERATIONS),$(eval $(call generation,$(g),$(call previous,$(g)),$(filter-out 0,$(RACES)))))
$(foreach g,$(GENERATIONS),$(foreach r,$(rounds),$(eval $(call race,$(g),$(call previous,$(g)),$(r),$(call before,$(r))))))

archive: $(filter gen%/archive,$(MADE))
	@for table in $(HERE)/gen???/archive.parquet $(HERE)/gen????*/archive.parquet; do [ ! -e "$$table" ] || last=$$table; done; \
		cp "$$last" $(HERE)/archive.parquet.tmp && mv $(HERE)/archive.parquet.tmp $(HERE)/archive.parquet
confirmed: $(filter archive,$(MADE))
	$(STAGES)/confirm --config $(HERE)/config.toml --cache="$$_CACHE" --jobs="$$_JOBS" --json $(HERE)/confirm.json \
		-o $(HERE)/$@.parquet $(HERE)/archive.parquet
results: $(filter archive confirmed,$(MADE))
	$(STAGES)/select --config $(HERE)/config.toml --export $(HERE)/results --cache="$$_CACHE" $(HERE)/archive.parquet
	@$(STAGES)/run made $(HERE) results
report: $(filter archive confirmed,$(MADE))
	$(STAGES)/report $(HERE)/archive.parquet -o $(HERE)/report.html
	@$(STAGES)/run made $(HERE) report

# A confirmation with training seeds of the reader's choice, or with other settings, lies beside that of the search.
AGAIN = $(if $(filter-out file,$(firstword $(origin SEEDS)) $(firstword $(origin SET)) $(firstword $(origin SETTINGS))),_again)

.PHONY: confirm
confirm: build ## the winner's gain once more, on fresh seeds (SEEDS="100 101 102": on these); make search ends with it
	@[ -e $(HERE)/archive.parquet ] || { echo "error: $$_RUN/archive.parquet does not exist; run first: make search SEED=$$_SEED" >&2; exit 1; }
	@set -f; seeds=($(if $(filter-out file,$(firstword $(origin SEEDS))),$$_SEEDS)); \
	list=$$(IFS=,; echo "$${seeds[*]}"); seeds="$${list:+confirm.seeds=[$$list]}"; \
	$(STAGES)/confirm --config $(HERE)/config.toml $${_SETTINGS:+"--config=$$_SETTINGS"} --set="$$_SET" --set="$$seeds" $${_DEVICE:+"--device=$$_DEVICE"} $(ENGINES) \
		--cache="$$_CACHE" --jobs="$$_JOBS" --json $(HERE)/confirm$(AGAIN).json -o $(HERE)/confirmed$(AGAIN).parquet \
		$(HERE)/archive.parquet
	@echo "rows:    $$_RUN/confirmed$(AGAIN).parquet"
	@echo "outcome: $$_RUN/confirm$(AGAIN).json"

# What is transferred: the program given with PROGRAM=, else the winner of the run. A run's settings hold; what is asked
# for now comes on top of them.
export _SUBJECT = $(if $(filter file,$(origin PROGRAM)),$(_RUN)/results/best.py,$(PROGRAM))
export _PROFILE_FILE = $(if $(filter %.toml,$(lastword $(PROFILE))),$(PROFILE),data/profiles/$(strip $(PROFILE)).toml)

.PHONY: transfer
transfer: build ## the winner of a search (or PROGRAM=my.py), trained from scratch on further tasks, beside the reference
	@[ -e "$$_SUBJECT" ] || { echo "error: $$_SUBJECT does not exist; run first: make search SEED=$$_SEED" >&2; exit 1; }
	@mkdir -p $(HERE)
	@config=$(HERE)/config.toml; [ -e "$$config" ] || config=$$_PROFILE_FILE; \
	$(STAGES)/transfer --config="$$config" $${_SETTINGS:+"--config=$$_SETTINGS"} --set="$$_SET" $${_DEVICE:+"--device=$$_DEVICE"} $(ENGINES) --cache="$$_CACHE" \
		--jobs="$$_JOBS" $${_TASKS:+"--tasks=$$_TASKS"} --program="$$_SUBJECT" -o $(HERE)/transfer.parquet
	@[ ! -e $(HERE)/archive.parquet ] || $(STAGES)/report $(HERE)/archive.parquet -o $(HERE)/report.html
	@echo "rows:    $$_RUN/transfer.parquet"
	@echo "summary: $$_RUN/transfer_summary.parquet"

.PHONY: reference
reference: ## the reference architecture alone, trained from scratch on the transfer tasks
	@$(MAKE) transfer PROGRAM=data/seed_pgn.py RUN="$$_RUNS/reference"

# ---- several searches --------------------------------------------------------------------------------------------
# A search of each method with each seed (and with each of MODELS, where there are any), and one page over all of them.
# With -j, several at a time. The targets are numbers: member/2.3.1 is the second method with the third seed and the first
# model; 0 is no choice of models.
VARIANTS := spark asr-only rc-sar-only free-form
RIVALS := openevolve evoprompting funsearch eoh
CONTROLS := random-router iid sequential random
ifeq ($(strip $(METHODS)),all)
override METHODS := $(VARIANTS) $(RIVALS) $(CONTROLS)
endif
MEMBERS := $(foreach m,$(shell seq $(words $(METHODS))),$(foreach s,$(shell seq $(words $(SEEDS))),$(foreach \
	k,$(if $(strip $(MODELS)),$(shell seq $(words $(MODELS))),0),member/$(m).$(s).$(k))))
MEMBER_NUMBERS = $(subst ., ,$*)
# The folder of a member; a model's name may hold a slash, that of a folder may not.
MEMBER_FOLDER = folder() { local of="$$_RUNS/$$1-$$_TASK-seed$$2$${3:+-$${3//\//_}}"; [[ $$of != -* ]] || of="./$$of"; echo "$$of"; }
MEMBER_ARCHIVES = set -f; $(MEMBER_FOLDER); models=($$_MODELS); archives=(); \
	for method in $$_METHODS; do for seed in $$_SEEDS; do for model in "$${models[@]:-}"; do \
	archives+=("$$(folder "$$method" "$$seed" "$$model")/archive.parquet"); done; done; done

.PHONY: $(MEMBERS)
$(MEMBERS): member/%: build
	@set -f; $(MEMBER_FOLDER); methods=($$_METHODS); seeds=($$_SEEDS); models=($$_MODELS); \
	method=$${methods[$(word 1,$(MEMBER_NUMBERS)) - 1]}; seed=$${seeds[$(word 2,$(MEMBER_NUMBERS)) - 1]}; \
	model=; [ $(word 3,$(MEMBER_NUMBERS)) = 0 ] || model=$${models[$(word 3,$(MEMBER_NUMBERS)) - 1]}; \
	$(MAKE) search BUILD=no METHOD="$$method" SEED="$$seed" RUN="$$(folder "$$method" "$$seed" "$$model")" \
		MODEL="$${model:-$$_MODEL}"

.PHONY: compare
compare: $(MEMBERS) ## SPARK against other METHODS over SEEDS (and MODELS), same budget: one table and page
	@mkdir -p -- "$$_RUNS"/compare
	@$(MEMBER_ARCHIVES); $(STAGES)/report -o "$$_RUNS"/compare/report.html -- "$${archives[@]}"
	@cat -- "$$_RUNS"/compare/tables/effects.md "$$_RUNS"/compare/tables/comparison.md
	@echo "page:    $$_RUNS/compare/report.html"

.PHONY: ablation
ablation: ## SPARK, its three ablations and the four controls over SEEDS (and MODELS): one table and page
	@$(MAKE) ablate METHODS="$(VARIANTS) $(CONTROLS)"

.PHONY: ablate
ablate: $(MEMBERS)
	@mkdir -p -- "$$_RUNS"/ablation
	@$(MEMBER_ARCHIVES); $(STAGES)/report -o "$$_RUNS"/ablation/report.html -- "$${archives[@]}"
	@cat -- "$$_RUNS"/ablation/tables/effects.md "$$_RUNS"/ablation/tables/comparison.md
	@echo "page:    $$_RUNS/ablation/report.html"

.PHONY: status
status: build ## what is on its way to other machines: queued, running where and for how long, lost, failed
	@$(STAGES)/run status --cache="$$_CACHE" -- $(HERE)

.PHONY: clean-run
clean-run: build ## remove the folder of the run (trainings stay in the cache)
	@$(STAGES)/run remove -- $(HERE)

# ---- set-up and building -----------------------------------------------------------------------------------------
.PHONY: setup
setup: ## obtain libtorch (once), and check that cargo and a C++ compiler are there
	@command -v cargo >/dev/null || { echo "error: cargo is needed: https://rustup.rs" >&2; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || { echo "error: a C++ compiler is needed (Debian: apt-get install g++)" >&2; exit 1; }
	@sh stages/lib/executor/libtorch.sh "$(CURDIR)"

.PHONY: build
build: $(if $(filter no,$(BUILD)),,setup) ## the release binaries, in target/release
	@[ "$$_BUILD" = no ] || cargo build $(if $(filter %release,$(lastword $(BIN))),--release) --bins --locked \
		$$([ ! -e $(STAGES)/report ] || echo --quiet)

.PHONY: doctor
doctor: setup ## what was found: tools, libtorch, CUDA, threads; with ENGINE, what a job on a node finds
	@echo "rust:     $$(rustc --version)"
	@echo "make:     $(MAKE_VERSION)"
	@echo "c++:      $$( (c++ --version || g++ --version) 2>/dev/null | head -n 1)"
	@echo "python:   $$(python3 --version 2>&1) (only to download libtorch)"
	@echo "gpu:      $(if $(GPU),$(GPU),none)"
	@sh stages/lib/executor/libtorch.sh "$(CURDIR)" --show
	@$(MAKE) build
	@$(STAGES)/probe doctor
	@[ -z "$$_ENGINE" ] || { mkdir -p -- "$$_CACHE" && $(STAGES)/probe doctor $(ENGINES) $${_DEVICE:+"--device=$$_DEVICE"} \
		$${_SET:+"--set=$$_SET"} --cache="$$_CACHE"; }

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
lint: setup ## formatting and clippy, warnings are errors; licences and sources of crates
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check --config .cargo/deny.toml licenses bans sources; \
	else echo "lint: licences and sources of crates are not checked: cargo-deny is not installed (cargo install cargo-deny)"; fi

# With BASE=COMMIT, the programs of that commit are built, too, and both take their turns; with PEER=, any other program.
BASE ?=#              make bench: a commit whose programs are timed in turn with ours, e.g. BASE=d83224b
PEER ?=#              make bench: a command to time in turn with ours (probe speed --help says how), e.g. the PyTorch port
ROUNDS ?= 3#          make bench: how many turns
BASE_TREE = "target/base/$$_BASE"
BASE_BIN = $(BASE_TREE)/target/release
SPEED = $(STAGES)/probe speed --program="$$_PROGRAM" --algorithm dfs
# Sets the shell's array `beside`. What probe is given there is run by a shell, which finds the variables as we do.
BESIDE = beside=(); base_speed='"target/base/$$_BASE/target/release/probe" speed --program="$$_PROGRAM" --algorithm dfs'; \
	base_speed+=" --length {length} --batch-size {batch} --hidden {hidden} --steps {steps} --json --threads {threads}"; \
	[ -z "$$_BASE" ] || beside+=(--beside "$$_BASE=$$base_speed"); \
	[ -z "$$_PEER" ] || beside+=(--beside "peer=$$_PEER"); \
	[ -z "$$_BASE$$_PEER" ] || beside+=(--rounds "$$_ROUNDS")

.PHONY: bench-base
bench-base:
	@mkdir -p -- $(dir $(BASE_TREE))
	@[ -d $(BASE_TREE) ] || git worktree add --detach $(BASE_TREE) "$$_BASE"
	@[ -e $(BASE_TREE)/.libtorch ] || ln -s "$(CURDIR)/.libtorch" $(BASE_TREE)/.libtorch
	cd -- $(BASE_TREE) && cargo build --release --bins --locked --quiet

.PHONY: bench
bench: build $(if $(strip $(BASE)),bench-base) ## timings: sampling, checking, training steps, evaluation; BASE=COMMIT compares
	cargo bench -p clrs --locked
	cargo bench -p program --locked
	@$(BESIDE); $(SPEED) --length 16 --batch-size 32 --hidden 128 --steps 5 --eval-length 64 --growth "$${beside[@]}"
	@$(BESIDE); $(SPEED) --length 8 --batch-size 32 --hidden 32 --steps 20 --threads 1 "$${beside[@]}"
	@$(BESIDE); $(SPEED) --length 4 --batch-size 32 --hidden 32 --steps 20 --threads 1 "$${beside[@]}"
	@for round in $$(seq "$$_ROUNDS"); do for bin in $(STAGES) $${_BASE:+"target/base/$$_BASE/target/release"}; do \
		rm -rf target/bench-cache; start=$$(date +%s.%N); \
		"$$bin"/train --config data/profiles/quick.toml --cache target/bench-cache -o target/bench.jsonl --quiet -- "$$_PROGRAM"; \
		echo "a quick candidate's training, $$bin: $$(echo "$$(date +%s.%N) $$start" | awk '{ printf "%.2f s", $$1 - $$2 }')"; done; done
	-$(STAGES)/probe speed --passes 'tests/fixtures/programs/valid/*.py' --length 8 --batch-size 16 --hidden 64 --steps 9

.PHONY: parity
parity: build ## the network and program goldens on DEVICE
	$(STAGES)/probe network 'tests/fixtures/model/*.json' $${_DEVICE:+"--device=$$_DEVICE"}

.PHONY: gpu-check
gpu-check: build ## check and measure everything on DEVICE within MINUTES, into OUT: a page to read and to send (DRY=yes: a trial)
	$(STAGES)/probe gpu-check --device="$${_DEVICE:-cuda}" --minutes="$$_MINUTES" --out="$$_OUT" \
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
	@cd stages/lib/program && seconds=$$(printf '%d' "$$_FUZZ_SECONDS"); for target in $$_FUZZ_TARGETS; do \
		echo "fuzz: $$target, $$(( seconds / $(words $(FUZZ_TARGETS)) )) seconds"; \
		$(if $(FUZZ_NIGHTLY),,RUSTC_BOOTSTRAP=1) cargo $(FUZZ_NIGHTLY) fuzz run --sanitizer none "$$target" "fuzz/corpus/$$target" \
			$$( [ $$target = edits ] || echo fuzz/corpus/seeds ) -- -max_total_time=$$(( seconds / $(words $(FUZZ_TARGETS)) )) \
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
	@echo "  make search SEED=0 ENGINE=slurm SLURM=\"--partition=a100 --gpus=1 --mem=16G --time=2:00:00\" DEVICE=cuda"
	@echo "  make gpu-check DRY=yes; make gpu-check MINUTES=30 DEVICE=cuda:1"
	@echo "  make search SEED=0 PROPOSER=openai API_BASE=http://localhost:11434/v1 MODEL=qwen3:32b RUN=runs/qwen-seed0"
	@echo "  make ping RUN=runs/qwen-seed0; make replay RUN=runs/qwen-seed0"
	@echo "  make search SEED=0 SETTINGS=my.toml SET='llm.prices.\"qwen3:32b\".input=0.1 llm.prices.\"qwen3:32b\".output=0.4'"
