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
PROFILE    ?= quick#        settings: a name in data/profiles (quick, paper), or a path to a .toml file
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
STAGE_AFTER_propose ?=#     a stage of your own: a command that is given the paths of its input and of its output
STAGE_AFTER_check   ?=#     the same after check, e.g. STAGE_AFTER_check=./my_stage
STAGE_AFTER_train   ?=#     the same after train
STAGE_AFTER_score   ?=#     the same after score
RUNS       ?= runs#         folder of all runs
ifeq ($(strip $(DEMO)),yes)
# A folder deeper than runs: the list of runs, and queries over runs/*, are about searches of one's own.
RUN        ?= $(RUNS)/demo/recorded
endif
RUN        ?= $(RUNS)/$(METHOD)-$(TASK)-seed$(SEED)#  folder of the run
DEMO       ?=#              yes: make search shows a recorded search, in seconds, and trains nothing
REPLAY     ?=#              make replay: folder of the search that is made from the recording [RUN-replay]
METHODS    ?= spark openevolve evoprompting funsearch eoh#  what make compare compares; all: ablations and controls, too
MODELS     ?=#              models of make compare and make ablation, each for itself: "small large" (PROPOSER=openai)
SEEDS      ?= 0 1 2 3 4#    seeds of make compare and make ablation; of make confirm training seeds of your choice
CACHE      ?= cache#        results of trainings, shared by all runs
TASKS      ?=#              tasks of make transfer: names, or a file of data/tasks [from the profile]
LIBTORCH   ?=#              your own libtorch 2.11.0; empty: it is downloaded into .libtorch
CUDA       ?= auto#         download the CUDA libraries too: auto (when there is a GPU), yes, no
WITH       ?=#              make compare: further archives on the page, such as that of an imported search (data/bridges)
SCALE      ?=#              small: make zoo and make reproduce at the quick profile's sizes, in minutes
TARGET     ?=#              make reproduce: reference-dfs, div2mean-dfs, spark-best-dfs or transfer29 (data/reproduce.toml)
MINUTES    ?= 8#            time for make gpu-check
OUT        ?= gpu-check#    folder of its results
DRY        ?=#              yes: make gpu-check tries itself out on the CPU, in seconds

V          ?=#              1: show the commands that a search runs
PREFIX     ?= /usr/local#   where make install puts emberline, its manual pages and completions
DESTDIR    ?=#              a folder that PREFIX is taken in, for those who make packages

# A folder that was unpacked from make dist has its programs already: nothing is built there.
UNPACKED := $(wildcard libexec/emberline/propose)
ifneq ($(UNPACKED),)
BIN        ?= libexec/emberline
BUILD      ?= no
# The folder that libtorch's file truly lies in, since it looks for others beside that; known when setup has been.
LIBRARIES := $(LD_LIBRARY_PATH)
LIBTORCH_CPU := $(CURDIR)/.libtorch/link/lib/libtorch_cpu.so
export LD_LIBRARY_PATH = $(shell dirname "$$(readlink -f '$(subst ','\'',$(LIBTORCH_CPU))')")$(if $(LIBRARIES),:$(LIBRARIES))
endif
BIN        ?= target/release#  the binaries to run; target/debug for those of plain cargo build

GPU := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -m1 '^GPU')

# Whatever was given is text, in Make and in the shell alike: nothing in it is ever expanded or run. Recipes take it from
# the environment, where each variable stands with an underscore before its name.
TEXTS := SEED METHOD TASK PROFILE ITERATIONS JOBS DEVICE ENGINE SLURM PROPOSER API_BASE MODEL PREFLIGHT TRANSCRIPTS PROGRAM SETTINGS SET RUNS RUN REPLAY \
	METHODS MODELS SEEDS CACHE TASKS WITH SCALE TARGET LIBTORCH CUDA MINUTES OUT DRY BIN BUILD BASE PEER ROUNDS FUZZ_TARGETS FUZZ_SECONDS FUZZ_COUNT OPERATIONS V \
	STAGE_AFTER_propose STAGE_AFTER_check STAGE_AFTER_train STAGE_AFTER_score PREFIX DESTDIR DEMO
# A variable that nobody knows is a mistake: `seed=3` would run SEED=0. Whatever cargo, rustc, pip and CUDA read is theirs.
KNOWN := $(TEXTS) PLANNED SHELL MAKEFLAGS MFLAGS PATH HOME TMPDIR OMP_% CARGO_% CARGO RUST% CUDA_% LD_% PIP_% EMBERLINE_% CC CXX CFLAGS CXXFLAGS
upper = $(subst z,Z,$(subst y,Y,$(subst x,X,$(subst w,W,$(subst v,V,$(subst u,U,$(subst t,T,$(subst s,S,$(subst r,R,$(subst q,Q,$(subst p,P,$(subst o,O,$(subst \
	n,N,$(subst m,M,$(subst l,L,$(subst k,K,$(subst j,J,$(subst i,I,$(subst h,H,$(subst g,G,$(subst f,F,$(subst e,E,$(subst d,D,$(subst c,C,$(subst \
	b,B,$(subst a,A,$(1)))))))))))))))))))))))))))
NAMED := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
UNKNOWN := $(filter-out $(KNOWN) -*-%,$(NAMED))
ifneq ($(strip $(UNKNOWN)),)
UNKNOWN := $(firstword $(UNKNOWN))
MEANT := $(filter $(call upper,$(UNKNOWN)) $(UNKNOWN)S $(patsubst %S,%,$(call upper,$(UNKNOWN))) $(call upper,$(UNKNOWN))S,$(TEXTS))
$(error error: there is no variable $(UNKNOWN)$(if $(MEANT),: $(firstword $(MEANT))?,: `make help` lists all of them))
endif
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

# What goes before a command of a search: it is shown with V=1 only.
Q = $(if $(filter 1,$(V)),,@)

# ---- the search --------------------------------------------------------------------------------------------------
DRY_RUN = $(findstring n,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
PLAN = $(STAGES)/run plan --profile="$$_PROFILE" --settings="$$_SETTINGS" --program="$$_PROGRAM" --iterations="$$_ITERATIONS" --seed="$$_SEED" \
	--method="$$_METHOD" --task="$$_TASK" --device="$$_DEVICE" --engine="$$_ENGINE" --slurm="$$_SLURM" \
	--proposer="$$_PROPOSER" --api-base="$$_API_BASE" --model="$$_MODEL" --set="$$_SET" --jobs="$$_JOBS" \
	--after=propose="$$_STAGE_AFTER_propose" --after=check="$$_STAGE_AFTER_check" --after=train="$$_STAGE_AFTER_train" \
	--after=score="$$_STAGE_AFTER_score" --transcripts="$$_TRANSCRIPTS" $(if $(DRY_RUN),--dry-run) -- $(HERE)

# What DEMO=yes shows is a recording: its programs are checked and its page is drawn anew.
.PHONY: search
ifneq ($(filter-out yes no,$(DEMO)),)
$(error error: DEMO=$(DEMO): yes or no)
endif
ifeq ($(strip $(DEMO)),yes)
search: build
	@$(STAGES)/run demo -- data/demo $(HERE)
	@$(STAGES)/report --quiet $(HERE)/archive.parquet -o $(HERE)/report.html
	@$(STAGES)/select --config $(HERE)/config.toml --summary $(HERE)/archive.parquet
	@echo "report:  $$_RUN/report.html"
	@echo "winner:  $$_RUN/results/best.py; a search of your own: make search SEED=0"
else
search: build ## a whole search: propose, check, train, score, select by generations; then the report
	@stale=$$($(PLAN)); \
	if [ -z "$$stale" ]; then echo "search: nothing to do: $$_RUN is complete"; exit; fi; \
	case " $$(echo $$stale) " in *" gen001/proposed "*) \
		[ -n "$(DRY_RUN)" ] || [ "$$_PREFLIGHT" = no ] || [ -s "$$_TRANSCRIPTS" ] || $(STAGES)/propose --config $(HERE)/config.toml --program $(HERE)/seed_program.py --ping || exit;; esac; \
	lag=$${stale#*lag/}; lag=$${lag%%[!0-9]*}; \
	[ -n "$(DRY_RUN)" ] || { exec 18< <(exec $(STAGES)/run hold -- $(HERE)); read -r _ <&18 || exit 1; exec 18<&-; }; \
	EMBERLINE_RUN="$$_RUN" exec $(MAKE) $$([ "$$lag" = 0 ] || echo "-j$$((lag + 2))") chain PLANNED=19 19<<< "$$stale"
	@$(STAGES)/run done -- $(HERE)
	@$(STAGES)/select --config $(HERE)/config.toml --summary $(HERE)/archive.parquet
	@echo "report:  $$_RUN/report.html"
	@echo "winner:  $$_RUN/results/best.py, its weights (best.safetensors) and a page about both (best.md) beside it"
	@echo "pytorch: $$_RUN/results/model.py, the whole network; python evaluate.py beside it prints its accuracy"
endif

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

# The stages that are to be run: the plan, on a stream of its own, since it can be longer than an argument may be. It names
# their outputs, and says in words of its own how many rounds of racing a generation has (races/N), how many generations
# may be under way beside it (lag/N), and which stages have one of the user's own behind them (after/check). Each stage waits for those of its inputs that are made, too.
STALE := $(if $(PLANNED),$(shell cat <&$(PLANNED)))
RACES := $(patsubst races/%,%,$(filter races/%,$(STALE)))
AFTER := $(patsubst after/%,%,$(filter after/%,$(STALE)))
LAG := $(patsubst lag/%,%,$(filter lag/%,$(STALE)))
MADE := $(filter-out races/% lag/% after/%,$(STALE))
# Where a stage ($1) writes its table ($2), and how a stage of the user's own makes of it what the next one reads.
made_at = $(HERE)/$(if $(filter $(1),$(AFTER)),$(dir $(2))before/$(notdir $(2)),$(2)).parquet
then_after = $(if $(filter $(1),$(AFTER)),$(Q)$(STAGES)/run after $(1) -- $(HERE) $(2),@:)
.PHONY: chain $(MADE)
chain: $(MADE)

# A stage of the chain finds in EMBERLINE_RUN which run it works for, and says on a terminal where the whole search is. After
# each generation there is a page, which is not a part of what a run must have: without it, the search goes on.
#
# One generation: its number, the one before ('' for the first), its last round of racing, the generation whose archive it
# is proposed from, those under way. Proposals are made in turn, so that a limit on tokens falls on the same attempt always.
define generation
gen$(1)/proposed: $(filter gen$(4)/archive $(addsuffix /proposed,$(addprefix gen,$(5))),$(MADE))
	@mkdir -p $$(HERE)/gen$(1)$(if $(AFTER),/before)
	$(Q)run=$$$$($$(STAGES)/run name -- $$(HERE)) && $$(STAGES)/propose --config $$(HERE)/config.toml --program $$(HERE)/seed_program.py \
		--run="$$$$run" --generation $(1) \
		$(if $(4),--parents $$(HERE)/gen$(4)/archive.parquet --curves $$(HERE) --diagnosis $$(HERE)) --transcripts="$$$$_TRANSCRIPTS" \
		-o $$(call made_at,propose,$$@)
	$$(call then_after,propose,$$@)
gen$(1)/checked: $(filter gen$(1)/proposed gen$(4)/archive $(addsuffix /checked,$(addprefix gen,$(5))),$(MADE))
	$(Q)$$(STAGES)/check --config $$(HERE)/config.toml $(if $(4),--known $$(HERE)/gen$(4)/archive.parquet) \
		$(foreach other,$(5),--known $$(HERE)/gen$(other)/checked.parquet) -o $$(call made_at,check,$$@) $$(HERE)/gen$(1)/proposed.parquet
	$$(call then_after,check,$$@)
gen$(1)/trained: $(filter gen$(1)/checked,$(MADE))
	$(if $(filter 000,$(1)),@$$(STAGES)/run estimate --before --jobs="$$$$_JOBS" -- $$(HERE) || :,@:)
	$(Q)$$(STAGES)/train --config $$(HERE)/config.toml --cache="$$$$_CACHE" --jobs="$$$$_JOBS" \
		--curves $$(HERE)/gen$(1)/curves.parquet -o $$(call made_at,train,$$@) $$(HERE)/gen$(1)/checked.parquet
	$$(call then_after,train,$$@)
	$(if $(filter 000,$(1)),@$$(STAGES)/run estimate --jobs="$$$$_JOBS" -- $$(HERE),@:)
gen$(1)/scored: $(filter gen$(1)/trained,$(MADE))
	$(Q)$$(STAGES)/score --config $$(HERE)/config.toml --cache="$$$$_CACHE" --jobs="$$$$_JOBS" \
		--graphs $$(HERE)/gen$(1)/graphs.parquet --diagnosis $$(HERE)/gen$(1)/diagnosis.parquet \
		--parents-diagnosis $$(HERE) -o $$(call made_at,score,$$@) $$(HERE)/gen$(1)/trained.parquet
	$$(call then_after,score,$$@)
gen$(1)/archive: $(filter gen$(1)/scored$(3) gen$(2)/archive,$(MADE))
	$(Q)$$(STAGES)/select --config $$(HERE)/config.toml $(if $(2),--archive $$(HERE)/gen$(2)/archive.parquet) \
		-o $$(HERE)/$$@.parquet $$(HERE)/gen$(1)/scored$(3).parquet
	@$$(STAGES)/run watch --once -- $$(HERE) || :
	$(Q)$$(STAGES)/report --quiet --live --no-svg --no-tables --run $$(HERE) -o $$(HERE)/report.html $$(HERE)/$$@.parquet && \
		$$(STAGES)/run made --unfinished $$(HERE) report || echo "report: no page of generation $(1); the search goes on" >&2
endef

# One round of racing in a generation: its number, the generation whose archive it is proposed from, the round, the round
# before ('' for the first).
define race
gen$(1)/trained$(3): $(filter gen$(1)/scored$(4) gen$(2)/archive,$(MADE))
	$(Q)$$(STAGES)/train --config $$(HERE)/config.toml --cache="$$$$_CACHE" --jobs="$$$$_JOBS" --race $(3) \
		$(if $(2),--archive $$(HERE)/gen$(2)/archive.parquet) --curves $$(HERE)/gen$(1)/curves$(3).parquet \
		-o $$(call made_at,train,$$@) $$(HERE)/gen$(1)/scored$(4).parquet
	$$(call then_after,train,$$@)
gen$(1)/scored$(3): $(filter gen$(1)/trained$(3),$(MADE))
	$(Q)$$(STAGES)/score --config $$(HERE)/config.toml --cache="$$$$_CACHE" --jobs="$$$$_JOBS" \
		--graphs $$(HERE)/gen$(1)/graphs$(3).parquet -o $$(call made_at,score,$$@) $$(HERE)/gen$(1)/trained$(3).parquet
	$$(call then_after,score,$$@)
endef

# Each generation as NUMBER/BEFORE/ARCHIVE/UNDER-WAY,UNDER-WAY: all by one shell, since there can be thousands.
hash := \#
CHAIN := $(if $(MADE),$(shell for g in $(sort $(patsubst gen%/,%,$(dir $(filter gen%,$(MADE))))); do n=$$((10$(hash)$$g)); \
	if [ $$n = 0 ]; then echo 000///; continue; fi; from=$$((n - 1 - $(LAG))); [ $$from -ge 0 ] || from=0; way=; \
	for ((o = from + 1; o < n; o++)); do printf -v one %03d $$o; way+=$${way:+,}$$one; done; \
	printf '%s/%03d/%03d/%s\n' $$g $$((n - 1)) $$from $$way; done))
comma := ,
part = $(word $(1),$(subst /,/ ,$(2)))
field = $(patsubst %/,%,$(filter-out /,$(call part,$(1),$(2))))
under_way = $(if $(findstring $(comma),$(1)),$(subst $(comma), ,$(1)),$(1))
rounds := $(if $(RACES),$(shell seq $(RACES)))
before = $(filter-out 0,$(word $(1),0 $(rounds)))
$(foreach c,$(CHAIN),$(eval $(call generation,$(call field,1,$(c)),$(call field,2,$(c)),$(filter-out 0,$(RACES)),$(call field,3,$(c)),$(call \
	under_way,$(call field,4,$(c))))))
$(foreach c,$(CHAIN),$(foreach r,$(rounds),$(eval $(call race,$(call field,1,$(c)),$(call field,3,$(c)),$(r),$(call before,$(r))))))

archive: $(filter gen%/archive,$(MADE))
	@for table in $(HERE)/gen???/archive.parquet $(HERE)/gen????*/archive.parquet; do [ ! -e "$$table" ] || last=$$table; done; \
		cp "$$last" $(HERE)/archive.parquet.tmp && mv $(HERE)/archive.parquet.tmp $(HERE)/archive.parquet
confirmed: $(filter archive,$(MADE))
	$(Q)$(STAGES)/confirm --config $(HERE)/config.toml --cache="$$_CACHE" --jobs="$$_JOBS" --json $(HERE)/confirm.json \
		-o $(HERE)/$@.parquet $(HERE)/archive.parquet
results: $(filter archive confirmed,$(MADE))
	$(Q)$(STAGES)/select --config $(HERE)/config.toml --export $(HERE)/results --cache="$$_CACHE" $(HERE)/archive.parquet
	@$(STAGES)/run made $(HERE) results
report: $(filter archive confirmed results,$(MADE))
	$(Q)$(STAGES)/report $(HERE)/archive.parquet -o $(HERE)/report.html
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

# Every program of data/processors, trained from scratch on TASK with several seeds, beside the reference. SCALE=small: in
# minutes, by the quick profile. The settings are those of a profile, not of a run.
export _SCALED = $(if $(filter small,$(SCALE)),data/profiles/quick.toml,$(if $(filter file,$(origin PROFILE)),data/profiles/paper.toml,$(_PROFILE_FILE)))
comma := ,
ZOO = programs=(); for program in data/processors/*.py; do programs+=("--program=$$program"); done

.PHONY: zoo
zoo: build ## train the programs of data/processors on TASK with SEEDS, and print their table with intervals (SCALE=small: minutes)
	@mkdir -p -- "$$_RUNS"/zoo
	@set -f; seeds=($$_SEEDS); list=$$(IFS=,; echo "$${seeds[*]}"); set +f; $(ZOO); \
	$(STAGES)/transfer --config="$$_SCALED" $${_SETTINGS:+"--config=$$_SETTINGS"} --set="transfer.seeds=[$$list]" --set="$$_SET" \
		$${_DEVICE:+"--device=$$_DEVICE"} $(ENGINES) --cache="$$_CACHE" --jobs="$$_JOBS" --tasks="$$_TASK" "$${programs[@]}" \
		-o "$$_RUNS"/zoo/zoo.parquet | tee "$$_RUNS"/zoo/zoo.txt
	@echo "rows:    $$_RUNS/zoo/zoo.parquet"

.PHONY: reproduce
reproduce: build ## train what a published figure was measured on, and say whether it is reproduced: TARGET= of data/reproduce.toml
	@[ -n "$$_TARGET" ] || { echo "error: TARGET= is one of$$(sed -n 's/^\[\(.*\)\]$$/ \1/p' data/reproduce.toml | tr -d '\n')" >&2; exit 2; }
	@mkdir -p -- "$$_RUNS"/reproduce
	@$(STAGES)/transfer --target="$$_TARGET" $(if $(filter small,$(SCALE)),--small) --config="$$_SCALED" $${_SETTINGS:+"--config=$$_SETTINGS"} \
		$(if $(filter small,$(SCALE)),--set="transfer.seeds=[0$(comma)1]") --set="$$_SET" $(if $(filter file,$(origin PROGRAM)),,--program="$$_PROGRAM") \
		$${_TASKS:+"--tasks=$$_TASKS"} $${_DEVICE:+"--device=$$_DEVICE"} $(ENGINES) --cache="$$_CACHE" --jobs="$$_JOBS" \
		-o "$$_RUNS"/reproduce/"$$_TARGET".parquet | tee "$$_RUNS"/reproduce/"$$_TARGET".txt

# ---- several searches --------------------------------------------------------------------------------------------
# A search of each method with each seed (and with each of MODELS, where there are any), and one page over all of them.
# With -j, several at a time. The targets are numbers: member/2.3.1 is the second method with the third seed and the first
# model; 0 is not a choice of models.
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
	archives+=("$$(folder "$$method" "$$seed" "$$model")/archive.parquet"); done; done; done; archives+=($$_WITH)

.PHONY: $(MEMBERS)
$(MEMBERS): member/%: build
	@set -f; $(MEMBER_FOLDER); methods=($$_METHODS); seeds=($$_SEEDS); models=($$_MODELS); \
	method=$${methods[$(word 1,$(MEMBER_NUMBERS)) - 1]}; seed=$${seeds[$(word 2,$(MEMBER_NUMBERS)) - 1]}; \
	model=; [ $(word 3,$(MEMBER_NUMBERS)) = 0 ] || model=$${models[$(word 3,$(MEMBER_NUMBERS)) - 1]}; \
	$(if $(findstring jobserver,$(MAKEFLAGS)),EMBERLINE_LINES=yes) $(MAKE) search BUILD=no METHOD="$$method" SEED="$$seed" RUN="$$(folder "$$method" "$$seed" "$$model")" \
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

.PHONY: watch
watch: build ## a search as it goes (RUN=...), in another terminal, or from another machine that shares its folder
	@$(STAGES)/run watch -- $(HERE)

.PHONY: status
status: build ## how far a search is; what is on its way to other machines: queued, running where and for how long, lost, failed
	@$(STAGES)/run status --cache="$$_CACHE" -- $(HERE)

.PHONY: clean-run
clean-run: build ## remove the folder of the run (trainings stay in the cache)
	@$(STAGES)/run remove -- $(HERE)

# ---- set-up and building -----------------------------------------------------------------------------------------
.PHONY: setup
setup: ## obtain libtorch (once), and check that cargo and a C++ compiler are there
	@[ -z "$(UNPACKED)" ] || exec sh stages/lib/executor/libtorch.sh "$(CURDIR)"
	@[ -n "$(UNPACKED)" ] || command -v cargo >/dev/null || { echo "error: cargo is needed: https://rustup.rs" >&2; exit 1; }
	@[ -n "$(UNPACKED)" ] || command -v c++ >/dev/null || command -v g++ >/dev/null || { echo "error: a C++ compiler is needed (Debian: apt-get install g++)" >&2; exit 1; }
	@sh stages/lib/executor/libtorch.sh "$(CURDIR)"

.PHONY: build
build: $(if $(UNPACKED),setup,$(if $(filter no,$(BUILD)),,setup)) ## the release binaries, in target/release
	@[ "$$_BUILD" = no ] || VERBOSE="$$_V" bash stages/lib/stage/build.sh $(if $(filter %release,$(lastword $(BIN))),--release) --bins --locked

# The stages are called through emberline: their own names (select, check, run) are too common for everybody's path.
# What trains and evaluates for them, worker, must lie beside them.
PROGRAMS := propose check train score select confirm transfer sample probe report run
.PHONY: install
install: build ## emberline with all stages, manual pages and completions, under PREFIX
	@prefix="$$_DESTDIR$$_PREFIX"; [[ $$prefix != -* ]] || prefix="./$$prefix"; share="$$prefix/share"; \
	mkdir -p "$$prefix/bin" "$$prefix/libexec/emberline" "$$share/man/man1" "$$share/bash-completion/completions" \
		"$$share/zsh/site-functions" "$$share/fish/vendor_completions.d"; \
	for name in $(PROGRAMS) worker; do install -m 755 $(STAGES)/$$name "$$prefix/libexec/emberline/$$name"; done; \
	install -m 755 $(STAGES)/emberline "$$prefix/bin/emberline"; emberline="$$prefix/bin/emberline"; \
	"$$emberline" man "$$share/man/man1"; \
	"$$emberline" completions bash > "$$share/bash-completion/completions/emberline"; \
	"$$emberline" completions zsh > "$$share/zsh/site-functions/_emberline"; \
	"$$emberline" completions fish > "$$share/fish/vendor_completions.d/emberline.fish"; \
	echo "installed: $$emberline (emberline help lists the stages)"

# What runs without the sources: programs, data, and what obtains libtorch on the machine that it is unpacked on.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml 2>/dev/null | head -n 1)
DIST := emberline-$(VERSION)-$(shell uname -s)-$(shell uname -m)
.PHONY: dist
dist: build ## a folder that runs elsewhere (same system), as target/dist/emberline-VERSION-SYSTEM.tar.gz: unpack it, make search
	@rm -rf target/dist/$(DIST); mkdir -p target/dist/$(DIST)/stages/lib/executor
	@$(MAKE) install BUILD=no DESTDIR= PREFIX="$(CURDIR)/target/dist/$(DIST)" >/dev/null
	@strip target/dist/$(DIST)/bin/* target/dist/$(DIST)/libexec/emberline/*
	@cp stages/lib/executor/libtorch.sh stages/lib/executor/libtorch-*.txt target/dist/$(DIST)/stages/lib/executor/
	@cp -r Makefile Cargo.toml LICENSE README.md data prompts schemas target/dist/$(DIST)/ && rm -rf target/dist/$(DIST)/schemas/src target/dist/$(DIST)/schemas/tests
	@tar -C target/dist -czf target/dist/$(DIST).tar.gz $(DIST)
	@echo "packed: target/dist/$(DIST).tar.gz"

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
	cargo test --workspace --locked --no-fail-fast

.PHONY: test-full
test-full: setup ## all tests, the long ones too
	cargo build --workspace --bins --locked
	EMBERLINE_INSTALL=yes cargo test --workspace --locked --no-fail-fast -- --include-ignored

.PHONY: lint
lint: setup ## formatting and clippy, warnings are errors; licences and sources of crates
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check --config .cargo/deny.toml licenses bans sources; \
	else echo "lint: licences and sources of crates are not checked: cargo-deny is not installed (cargo install cargo-deny)"; fi

# With BASE=COMMIT, the programs of that commit are built, too, and both take their turns, each with its own profile; with PEER=, any
# other program.
BASE ?=#              make bench: a commit whose programs are timed in turn with ours, e.g. BASE=d83224b
PEER ?=#              make bench: a command to time in turn with ours (probe speed --help says how), e.g. the PyTorch port
ROUNDS ?= 3#          make bench: how many turns
BASE_TREE = "target/base/$$_BASE"
BASE_BIN = $(BASE_TREE)/target/release
SPEED = $(STAGES)/probe speed --program="$$_PROGRAM" --algorithm dfs
# Sets the shell's array `beside`: ours in bfloat16, and what was asked for. What probe is given there is run by a shell, which finds
# the variables as we do.
BESIDE = sizes="--length {length} --batch-size {batch} --hidden {hidden} --steps {steps} --json --threads {threads}"; \
	speed='/probe" speed --program="$$_PROGRAM" --algorithm dfs'; \
	beside=(--rounds "$$_ROUNDS" --beside "bf16=\"\$$_BIN$$speed --dtype bf16 $$sizes"); \
	[ -z "$$_BASE" ] || beside+=(--beside "$$_BASE=\"target/base/\$$_BASE/target/release$$speed $$sizes"); \
	[ -z "$$_PEER" ] || beside+=(--beside "peer=$$_PEER")

.PHONY: bench-base
bench-base:
	@mkdir -p target/base
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
		rm -rf target/bench-cache; home=; [ "$$bin" = $(STAGES) ] || home="target/base/$$_BASE/"; start=$$(date +%s.%N); \
		"$$bin"/train --config "$${home}data/profiles/quick.toml" --cache target/bench-cache -o target/bench.jsonl --quiet -- "$$_PROGRAM"; \
		echo "a quick candidate's training, $$bin: $$(echo "$$(date +%s.%N) $$start" | awk '{ printf "%.2f s", $$1 - $$2 }')"; done; done
	-$(STAGES)/probe speed --passes 'tests/fixtures/programs/valid/*.py' --length 8 --batch-size 16 --hidden 64 --steps 9

.PHONY: bench-engine
bench-engine: build ## what a queue costs: seconds a training, 100 short ones over six slots of a Slurm that is brought up for it
	@bash tests/fixtures/slurm/overhead.sh "$$_BIN"

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
OPERATIONS ?= 200000
FUZZ_COUNT ?= 10000000

.PHONY: fuzz
fuzz: ## FUZZ_COUNT=10000000 inputs for the front end and OPERATIONS=200000 programs against libtorch; then what cargo-fuzz finds in FUZZ_SECONDS=3600
	@echo "fuzz: $$_FUZZ_COUNT inputs made by structure; FUZZ_SEED and FUZZ_KIND choose others"
	@FUZZ_COUNT="$$_FUZZ_COUNT" cargo test --release -p program --locked --test fuzz -- --ignored --nocapture
	@echo "fuzz: $$_OPERATIONS small programs against libtorch"
	@OPERATIONS_PROGRAMS="$$_OPERATIONS" OPERATIONS_SEED="$$(date +%s)" cargo test --release --workspace --locked --test operations -- --nocapture
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
	@grep -hE '^[A-Za-z_]+ +\?= *.*#  ' Makefile | sed -E 's/^([A-Za-z_]+) +\?= *([^#]*)# +(.*)/  \1|\2|\3/; s/\|\|/|(none)|/' | awk -F'|' '{ printf "%-21s %-38s %s\n", $$1, $$2, $$3 }'
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
