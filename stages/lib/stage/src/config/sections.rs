//! The settings: every key with its type, default and meaning.

use std::collections::BTreeMap;

use clrs::Repred;
use clrs::card::Fitness;
use graph::Dtype;
use graph::lesion::Replacement;
use serde::{Deserialize, Serialize};

use super::Seeds;

/// Makes an enum whose values are strings in the settings.
macro_rules! choice {
    ($(#[$attribute:meta])* pub enum $name:ident { $( $(#[doc = $doc:literal])* $variant:ident = $text:literal, )* }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $( $(#[doc = $doc])* #[serde(rename = $text)] $variant, )* }

        impl $name {
            /// Its spelling in the settings.
            pub const fn as_str(self) -> &'static str {
                match self { $( $name::$variant => $text, )* }
            }
        }
    };
}

choice! {
    /// What happens to a proposal that edits more than it may.
    pub enum Entangled {
        /// What reaches beyond its bounds is rejected, for every method alike: beyond the factor where one was chosen, else
        /// beyond `search.editable`.
        Auto = "auto",
        /// Whatever is not local to one factor is rejected.
        Reject = "reject",
        /// Nothing is rejected.
        Allow = "allow",
    }
}

choice! {
    /// What an edit may change where no factor was chosen.
    pub enum Editable {
        /// The two regions; the code outside is frozen.
        Regions = "regions",
        /// Any part of the program.
        File = "file",
    }
}

choice! {
    /// How operators come to be used.
    pub enum Growth {
        /// By a second edit of the same attempt.
        TwoPhase = "two-phase",
        /// By the edit that creates them, or not at all.
        Alone = "alone",
    }
}

choice! {
    /// What becomes of a reply whose connection broke in the middle.
    pub enum Continues {
        /// The call is made again from its start.
        No = "no",
        /// The server goes on with a conversation that ends with the assistant's words, as llama.cpp's, Anthropic's and
        /// OpenRouter's do.
        Prefill = "prefill",
        /// The same, where it has to be asked for with `continue_final_message`, as of vLLM and SGLang.
        Final = "final",
    }
}

choice! {
    /// What an attempt is told of and shown.
    pub enum Context {
        /// The rows of its island, and those that migrated to it.
        Island = "island",
        /// All rows of the run.
        Run = "run",
    }
}

choice! {
    /// What a writer answers with.
    pub enum ReplyForm {
        /// The new lines of the regions that it changes.
        Regions = "regions",
        /// The whole program.
        File = "file",
    }
}

choice! {
    /// What prompts say of the candidate language.
    pub enum LanguageForm {
        /// What is usual and what is refused.
        Digest = "digest",
        /// All of it, always.
        Page = "page",
    }
}

/// What a language model's tokens cost, per million.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// For the prompt, per million tokens.
    pub input: f64,
    /// For the reply with its reasoning, per million tokens.
    pub output: f64,
    /// For the part of a prompt that the server had cached; as `input` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<f64>,
}

/// A server of language models: what of [llm] is the server's own. What is not given is as in [llm].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Where the protocol starts.
    pub url: String,
    /// Environment variable with the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// Header that carries the key; `Authorization` carries it as a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_header: Option<String>,
    /// Further headers; `$NAME` is the value of an environment variable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The query of each request, such as Azure's `api-version`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Tokens of the context: longer prompts are not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Requests a minute at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute at the most, prompts and replies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// What becomes of a reply whose connection broke in the middle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Continues>,
}

/// What is different for one task of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSettings {
    /// Lengths of the problems that are trained on; `None`: as for the search's task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Vec<usize>>,
    /// Updates of the weights; `None`: as for the search's task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Learning rate of Adam; `None`: as for the search's task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
}

choice! {
    /// Where trainings and evaluations run.
    pub enum EngineKind {
        /// In processes on this machine.
        Local = "local",
        /// As array jobs of Slurm.
        Slurm = "slurm",
        /// As jobs of another queue, through commands of the user's.
        Command = "command",
    }
}

choice! {
    /// What becomes of running jobs when the stage that waits for them is interrupted.
    pub enum OnInterrupt {
        /// They go on; the same command collects them later.
        Leave = "leave",
        /// They are ended.
        Cancel = "cancel",
    }
}

/// How jobs are sent to Slurm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmEngine {
    /// Options of sbatch.
    pub options: Vec<String>,
    /// Most jobs of one array that run at once; 0: as many as there is room for.
    pub max: usize,
}

/// The commands of another queue, each for `sh -c`; words in braces are replaced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommandEngine {
    /// Sends one job, the script `{script}`, and prints its id last.
    pub submit: String,
    /// Prints a line `ID STATE [NODE]` for each job that waits or runs, of `{ids}`.
    pub status: String,
    /// Ends the jobs `{ids}`.
    pub cancel: String,
}

/// Whether a setting belongs to what is found out, or only to how the work gets done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Decides results: fixed for a run.
    Experiment,
    /// Where, how patiently and with which means: may change while a run goes on.
    Operational,
}

impl Class {
    /// `marks` are the words before a key in the list of settings; there is one such word.
    const fn of(marks: &[&str]) -> Self {
        if marks.is_empty() { Self::Experiment } else { Self::Operational }
    }
}

/// A key of the settings.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Name of its section.
    pub section: &'static str,
    /// Its name within the section.
    pub name: &'static str,
    /// What it means, as the page of settings says it.
    pub doc: &'static str,
    /// Whether it decides results.
    pub class: Class,
    /// Checks that a value has the key's type.
    pub(super) check: fn(toml::Value) -> Result<(), toml::de::Error>,
}

impl Key {
    /// `section.name`
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

macro_rules! sections {
    ($( $(#[doc = $section_doc:literal])+ pub struct $struct:ident [$section:ident] {
        $( $(#[doc = $doc:literal])+ $(@$mark:ident)? $key:ident: $type:ty = $default:expr, )*
    } )*) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields, default)]
            pub struct $struct { $( $(#[doc = $doc])+ pub $key: $type, )* }

            impl Default for $struct {
                fn default() -> Self {
                    Self { $( $key: $default, )* }
                }
            }
        )*

        /// All settings.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Settings { $( $(#[doc = $section_doc])+ pub $section: $struct, )* }

        /// Every section with what it is about, in the order in which they are printed.
        pub const SECTIONS: &[(&str, &str)] = &[ $( (stringify!($section), concat!($($section_doc),+)), )* ];

        /// Every key, in the order in which they are printed.
        pub const KEYS: &[Key] = &[ $( $( Key {
            section: stringify!($section),
            name: stringify!($key),
            doc: concat!($($doc),+).trim_ascii(),
            class: Class::of(&[$(stringify!($mark))?]),
            check: |value| value.try_into::<$type>().map(|_| ()),
        }, )* )* ];
    };
}

// `@operational` before a key: a run may go on with another value of it (see [`Class`]).
sections! {
    /// What is learned.
    pub struct Task [task] {
        /// CLRS algorithm.
        algorithm: String = "dfs".into(),
    }

    /// The network around the candidate.
    pub struct Network [network] {
        /// Width of the hidden state, H.
        hidden: usize = 32,
        /// Message-passing steps per step of the algorithm.
        nb_msg_passing_steps: usize = 1,
        /// Probability that a hint of a training step is replaced by the true one.
        hint_teacher_forcing: f64 = 0.0,
        /// How predicted hints are fed back: soft, hard or hard_on_eval.
        hint_repred_mode: Repred = Repred::Soft,
        /// Number format: f32, f64, tf32 (f32, but a GPU rounds what it multiplies to 10 bits, and is faster) or bf16 (f32, but what is
        /// multiplied in matrix products is rounded to 8 bits, on every device; faster where a CPU has instructions for it).
        dtype: Dtype = Dtype::F32,
    }

    /// Training, and the limits within which it runs.
    pub struct Train [train] {
        /// Nodes of the training graphs, taken in turn; string matching takes one length, a quarter above the longest.
        lengths: Vec<usize> = vec![4, 5, 6, 8],
        /// Graphs per optimiser step.
        batch_size: usize = 32,
        /// Optimiser steps.
        steps: usize = 120,
        /// Learning rate of Adam.
        learning_rate: f64 = 3e-3,
        /// Largest global norm of the gradient; 0 for no clipping.
        grad_clip: f64 = 1.0,
        /// How many trainings a candidate begins with, each with a seed drawn for it alone; a list gives all the same seeds.
        seeds: Seeds = Seeds::Count(1),
        /// Most trainings that a candidate gets where racing takes it for a possible leader; up to train.seeds: no racing.
        max_seeds: usize = 1,
        /// Nodes of the validation graphs.
        val_length: usize = 8,
        /// Graphs of the validation split, times CLRS's factor for tasks that are scored on few values a graph.
        val_samples: usize = 32,
        /// Optimiser steps between two validations; the best weights are kept.
        val_every: usize = 40,
        /// Steps at which the candidates of a generation are compared and the poorer ones stopped; none: all train to the end.
        rungs: Vec<usize> = Vec::new(),
        /// Share of the candidates that goes on at each rung.
        keep: f64 = 0.5,
        /// Limit of one training in seconds in which it is at work, suspensions apart; 0 for none.
        time_limit_s: u64 = 600,
        /// Seconds between two checkpoints of a training, from which it goes on when it was killed; 0 for none.
        @operational checkpoint_s: f64 = 30.0,
        /// Limit of resident memory of one training, in MiB; 0 for none.
        memory_limit_mb: u64 = 8192,
        /// Trainings of one program that run as one computation, in which a step of several may take little longer on a GPU than one
        /// of one (make gpu-check measures it); 1: each by itself. Their sums are rounded otherwise, so that they are kept apart.
        together: usize = 1,
        /// Threads of one training. The result does not depend on it: the same weights to the bit with any number.
        @operational threads: usize = 1,
        /// Whether time steps are recorded as CUDA graphs on a GPU. Without, trainings take several times as long there.
        @operational graphs: bool = true,
        /// Trainings side by side, on each GPU where there are any; 0 for as many as there are cores for, at most 4 on a GPU.
        @operational jobs: usize = 0,
        /// auto (all GPUs where there are any, else the CPU), cpu, cuda (all visible GPUs) or cuda:K (one of them, from 0).
        @operational device: String = "auto".into(),
        /// A part of the model's name of the GPU or CPU that all trainings must run on, such as "H100"; what others have computed
        /// is kept apart then. Empty: any, and which one it was is noted in the rows alone.
        device_model: String = String::new(),
        /// Where trainings and evaluations run: local (here), slurm (as job arrays), or command (another queue, see [engine]).
        @operational engine: EngineKind = EngineKind::Local,
    }

    /// Running the heavy work on other machines, which see the same cache, see train.engine.
    pub struct EngineSettings [engine] {
        /// Slurm: the options of sbatch, such as { options = ["--partition=a100", "--gpus=1"], max = 64 }; max: most that run
        /// at once of one array, 0 for no limit.
        @operational slurm: SlurmEngine = SlurmEngine::default(),
        /// Another queue: the commands submit, status and cancel, each for a shell; {script}, {name}, {log} and {ids} are put in.
        @operational command: CommandEngine = CommandEngine::default(),
        /// Seconds between two questions to the queue. Results are looked for in the cache, more often than that.
        @operational poll_s: f64 = 15.0,
        /// How often a job that is gone without a result is lost before its row is crashed.
        @operational losses: usize = 3,
        /// What becomes of running jobs when a stage is interrupted: leave (they are collected later) or cancel.
        @operational running: OnInterrupt = OnInterrupt::Leave,
    }

    /// Evaluation.
    pub struct Score [score] {
        /// Nodes of the out-of-distribution validation graphs.
        ood_length: usize = 12,
        /// Graphs of the out-of-distribution validation split, times CLRS's factor as for validation.
        ood_samples: usize = 32,
        /// Seed of the out-of-distribution validation split. Not set: each run's own. The CLRS test split is drawn with seed 3.
        ood_seed: Option<u64> = None,
        /// Nodes of the test graphs.
        test_length: usize = 16,
        /// Graphs of the test split, times CLRS's factor; CLRS has 32.
        test_samples: usize = 32,
        /// What the search maximises: ood, or test, the reference implementation's leaking choice.
        fitness: Fitness = Fitness::Ood,
        /// Graphs evaluated at once.
        batch_size: usize = 32,
        /// Whether the first training of a candidate is looked at closely: accuracy by hint and step, and lesions.
        diagnosis: bool = true,
        /// Graphs of the validation length that lesions are measured on, times CLRS's factor; 0: no lesions. Programs of more
        /// than about 30 operators are looked at on fewer.
        lesion_samples: usize = 16,
        /// What takes the place of an operator: mean (of each feature) or zero.
        lesion_by: Replacement = Replacement::Mean,
    }

    /// The search.
    pub struct Search [search] {
        /// spark, asr-only, rc-sar-only, free-form, openevolve, evoprompting, funsearch or eoh; controls: random-router, iid,
        /// sequential or random.
        method: String = "spark".into(),
        /// What edits may change where no factor was chosen, the same for every method: regions (both of them) or file.
        editable: Editable = Editable::Regions,
        /// What becomes of a model's edit of an OPERATOR region that computes nothing new because nothing uses it yet: two-phase
        /// (the same attempt goes on with the ACTION that uses it, each edit local to its region), or alone (it is a duplicate).
        operator: Growth = Growth::TwoPhase,
        /// Candidates proposed in total, the seed program not counted.
        attempts: usize = 32,
        /// Most candidates that training is spent on, the seed program not counted; 0: as many as there are attempts. For
        /// comparisons at equal numbers of evaluations: then set search.attempts higher.
        evaluations: usize = 0,
        /// Most tokens of language models that the search takes, looked at before each generation; 0: no limit. For
        /// comparisons at equal tokens; llm.max_tokens_total is a limit in the middle of a generation, to save money.
        tokens: u64 = 0,
        /// Candidates per generation.
        generation_size: usize = 8,
        /// How many generations may be under way before an earlier one is finished: generation g proposes from the archive of
        /// generation g-1-lag. 0: from the one just before it. More keeps many machines busy, and proposals know less.
        lag: usize = 0,
        /// Islands of the population.
        islands: usize = 2,
        /// Further programs that the search begins with, beside propose.program: paths, such as
        /// ["data/processors/div2mean.py"]. They are trained in generation 0, and are founders on every island.
        seeds: Vec<String> = Vec::new(),
        /// Candidates that an island keeps as parents.
        archive_size: usize = 12,
        /// Generations between two migrations; 0 for none.
        migration_interval: usize = 2,
        /// Share of an island's archive that migrates.
        migration_rate: f64 = 0.1,
        /// Probability that a parent is drawn from the whole population of its island.
        exploration: f64 = 0.3,
        /// Probability that a parent is drawn from the best. The rest is drawn by fitness.
        exploitation: f64 = 0.5,
        /// What an attempt is told of and shown, the same for every method: the rows of its island, or of the whole run.
        context: Context = Context::Island,
        /// What the cells of the archive are made of: any of fitness, params, macs and distance; none: one cell an island;
        /// auto: as the method has it.
        features: Vec<String> = vec!["auto".into()],
        /// Bins of the features that are shares (fitness, distance).
        bins: usize = 10,
        /// Fitness at which the search is over; 0 for none.
        target: f64 = 0.0,
        /// Evaluated candidates without a better one after which the search is over; 0 for never.
        patience: usize = 0,
        /// Seed of the run.
        seed: u64 = 0,
    }

    /// Constants of the method evoprompting (arXiv:2302.14838).
    pub struct EvoPrompting [evoprompting] {
        /// Parents of a round.
        parents: usize = 10,
        /// Parents shown in a prompt.
        shots: usize = 2,
        /// Error from which on a candidate is dropped (alpha); 1: none is.
        threshold: f64 = 0.5,
        /// Size asked for, relative to the smallest parent shown.
        target_size: f64 = 0.9,
        /// Accuracy asked for, relative to the best parent shown.
        target_accuracy: f64 = 1.02,
    }

    /// Constants of the method funsearch (Nature 625, 2024).
    pub struct FunSearch [funsearch] {
        /// Temperature of the draw of clusters at the beginning of a period.
        temperature: f64 = 0.1,
        /// Programs of an island within which it falls to 0; the paper's is 30000, for a million programs.
        period: usize = 30,
        /// Versions in a prompt.
        versions: usize = 2,
        /// Generations after which the worse half of the islands starts again; 0: never. The paper's is four hours.
        reset: usize = 6,
    }

    /// Constants of the method eoh (arXiv:2401.02051).
    pub struct Eoh [eoh] {
        /// Size of the population.
        population: usize = 10,
        /// Parents of the operators E1 and E2.
        parents: usize = 5,
    }

    /// Measuring the winner's gain over the seed program once more, on seeds and graphs that the search has not seen.
    pub struct Confirm [confirm] {
        /// Leaders of the search that the winner is chosen from; 0: nothing is confirmed.
        @operational top: usize = 4,
        /// Fresh trainings of each of them that the winner is chosen on.
        @operational choosing: usize = 4,
        /// Fresh trainings of winner and seed program that are reported; a list gives their seeds.
        @operational seeds: Seeds = Seeds::Count(8),
    }

    /// Where candidates come from.
    pub struct Propose [propose] {
        /// builtin (a grammar of architecture edits; needs neither key nor network), openai or replay.
        proposer: String = "builtin".into(),
        /// The program that the search starts from.
        program: String = "data/seed_pgn.py".into(),
        /// The gate: what happens to proposals that edit more than they may. auto: beyond the factor where one was chosen, else
        /// beyond search.editable, they are rejected; reject: whatever is not local to one factor; allow: nothing is.
        entangled: Entangled = Entangled::Auto,
        /// Whether the factor that was chosen bounds the edit: the writer is told of it. Without, it may edit both regions, and
        /// the gate (propose.entangled) still looks at the factor.
        condition: bool = true,
        /// Whether the built-in proposer's edits draw from the library of motifs, for all methods or for none.
        motifs: bool = true,
        /// Whether the built-in proposer's edits favour what a diagnosis of the parent (score.diagnosis) finds worth most, and drop
        /// what it finds idle. Language models are told of the diagnosis in any case.
        diagnosis: bool = false,
    }

    /// Language models as proposers, for `propose.proposer` openai or replay. Their key comes from the environment only.
    pub struct Llm [llm] {
        /// Where the protocol starts, such as https://api.openai.com/v1 or http://localhost:11434/v1.
        @operational base_url: String = String::new(),
        /// Environment variable with the API key; servers that ask for none need none.
        @operational key_env: String = "OPENAI_API_KEY".into(),
        /// Header that carries the key: Authorization carries it as a bearer token, any other (Azure's api-key) as it is.
        @operational key_header: String = "Authorization".into(),
        /// Further headers of each request, such as { "X-Title" = "a search" }; "$NAME" is the value of an environment variable.
        @operational headers: BTreeMap<String, String> = BTreeMap::new(),
        /// The query of each request, such as { "api-version" = "2024-10-21" }; "$NAME" likewise.
        @operational query: BTreeMap<String, String> = BTreeMap::new(),
        /// Tokens of the models' context: longer prompts are not sent. Not set: the server says so.
        @operational context: Option<u64> = None,
        /// Requests a minute at the most. Not set: as many as there are.
        @operational requests_per_minute: Option<u32> = None,
        /// Tokens a minute at the most, prompts and replies. Not set: as many as there are.
        @operational tokens_per_minute: Option<u64> = None,
        /// What becomes of a reply whose connection broke in the middle: no (asked for again from its start), prefill (the server
        /// goes on where the conversation ends with the assistant's words: llama.cpp, Anthropic, OpenRouter), or final (the same,
        /// asked for with continue_final_message: vLLM, SGLang).
        @operational continues: Continues = Continues::No,
        /// Further servers by name, for single roles: [llm.endpoints.NAME] with url, and key_env, key_header, headers, query, context,
        /// requests_per_minute, tokens_per_minute, continues of its own.
        @operational endpoints: BTreeMap<String, Endpoint> = BTreeMap::new(),
        /// Name of the server that the router asks; empty for llm.base_url.
        @operational router_endpoint: String = String::new(),
        /// The same for the critic.
        @operational critic_endpoint: String = String::new(),
        /// The same for the writer.
        @operational writer_endpoint: String = String::new(),
        /// Models, each as name or name=weight; one is drawn for each attempt.
        models: Vec<String> = Vec::new(),
        /// Model that chooses the factor (ASR); empty for that of the attempt.
        router_model: String = String::new(),
        /// Model that writes directives (RC); empty for that of the attempt.
        critic_model: String = String::new(),
        /// Model that writes programs (SAR); empty for that of the attempt.
        writer_model: String = String::new(),
        /// Sampling temperature. What is not set is not sent.
        temperature: Option<f64> = None,
        /// Nucleus sampling. What is not set is not sent.
        top_p: Option<f64> = None,
        /// Most tokens of one reply. Not set: room to think, and twice the parent program on top; a server that refuses that limit is
        /// asked without it.
        max_tokens: Option<u64> = None,
        /// What the server calls max_tokens; newer models say max_completion_tokens.
        max_tokens_field: String = "max_tokens".into(),
        /// Seed of the sampling; the number of the attempt is added. What is not set is not sent.
        seed: Option<i64> = None,
        /// Further parameters, sent as they are, such as { reasoning_effort = "low" }.
        extra: toml::Table = toml::Table::new(),
        /// Ask for replies as streams, so that slow models are not taken for dead ones.
        @operational stream: bool = true,
        /// Ask for the count of tokens at the end of a stream; a few servers refuse that.
        @operational stream_usage: bool = true,
        /// Longest time until a connection stands, in seconds.
        @operational connect_timeout_s: f64 = 10.0,
        /// Longest silence until a reply begins, in seconds.
        @operational first_byte_timeout_s: f64 = 300.0,
        /// Longest silence within a reply, in seconds.
        @operational idle_timeout_s: f64 = 120.0,
        /// Longest time for one attempt at a call, in seconds. Not set: as long as bytes come.
        @operational attempt_timeout_s: Option<f64> = None,
        /// Longest time for a whole proposal, with all its calls, repeated attempts and waits, but for those for a server that is
        /// away, in seconds. Not set: no limit.
        @operational deadline_s: Option<f64> = None,
        /// How long a server that does not answer is waited for, in seconds; then the stage ends, and the same command goes on.
        @operational patience: f64 = 1800.0,
        /// End the stage when the server counts far fewer tokens than a prompt must have: it has cut the prompt.
        @operational check_prompt: bool = true,
        /// Further attempts at a call that failed and may heal.
        @operational retries: u32 = 4,
        /// First wait before a further attempt, in seconds; it doubles each time.
        @operational backoff_s: f64 = 1.0,
        /// Longest such wait, in seconds; what the server asks for counts more.
        @operational backoff_max_s: f64 = 60.0,
        /// Longest reply that is read, in bytes.
        @operational max_reply_bytes: usize = 4 << 20,
        /// Proposals that are worked on side by side.
        @operational jobs: usize = 4,
        /// Money that a run may spend, in the currency of llm.prices. Not set: no limit.
        @operational max_cost: Option<f64> = None,
        /// Tokens that a run may take. Not set: no limit.
        @operational max_tokens_total: Option<u64> = None,
        /// Prices per million tokens by model, such as { "m" = { input = 1.0, output = 4.0, cached_input = 0.25 } }.
        @operational prices: BTreeMap<String, ModelPrice> = BTreeMap::new(),
        /// How often a refused proposal goes back with its diagnostics; each try is a row.
        repair_rounds: u32 = 2,
        /// How often a choice of factor that is not the JSON asked for goes back.
        router_rounds: u32 = 2,
        /// Take only the chosen region from the reply, and keep the rest of the parent byte for byte.
        splice: bool = false,
        /// Ask the writer for changed passages (SEARCH and REPLACE blocks), whatever llm.reply says.
        diff: bool = false,
        /// What the writer answers with: regions (the new lines of the regions that it changes), or file (the whole program, the
        /// form of SPARK's paper). A whole program is taken in both cases.
        reply: ReplyForm = ReplyForm::Regions,
        /// What prompts say of the language: digest (what is usual and what is refused; all of it comes with a repair round that
        /// needs it), or page (all of it, always).
        language: LanguageForm = LanguageForm::Digest,
        /// Give each attempt of a generation another lens to look through (prompts/parts/lenses.jinja), and tell its router
        /// which attempt it is.
        lenses: bool = true,
        /// Parameters of the router's calls alone, before those of all: { temperature = 0.0, max_tokens = 500 }.
        router_parameters: toml::Table = toml::Table::new(),
        /// The same for the critic.
        critic_parameters: toml::Table = toml::Table::new(),
        /// The same for the writer.
        writer_parameters: toml::Table = toml::Table::new(),
        /// Folder of templates that replace those of prompts/ with the same name; empty for none.
        prompts: String = String::new(),
        /// Past attempts that prompts tell of, at most.
        history: usize = 12,
    }

    /// Stages of one's own between those of a search. Each is a command as a list of words, and is given the paths of two tables:
    /// the one that it reads, and the one that it writes; none: there is no such stage.
    pub struct Stages [stages] {
        /// What makes another table of what propose has made, such as ["python3", "my_stage.py"].
        after_propose: Vec<String> = Vec::new(),
        /// The same after check.
        after_check: Vec<String> = Vec::new(),
        /// The same after train and each round of racing.
        after_train: Vec<String> = Vec::new(),
        /// The same after score and each round of racing.
        after_score: Vec<String> = Vec::new(),
    }

    /// Training winners on further tasks; whatever is not said here is as in [train].
    pub struct Transfer [transfer] {
        /// CLRS algorithms, `all` for every one, or files of lists.
        tasks: Vec<String> = vec!["data/tasks/transfer9.toml".into()],
        /// Training seeds.
        seeds: Vec<u64> = vec![0, 1],
        /// Nodes of the training graphs, taken in turn; string matching takes one length, a quarter above the longest.
        lengths: Vec<usize> = vec![4, 5, 6, 8],
        /// Optimiser steps.
        steps: usize = 200,
        /// Lengths, steps and learning rate of single tasks, such as { "bfs" = { steps = 50, learning_rate = 1e-3 } }.
        overrides: BTreeMap<String, TaskSettings> = BTreeMap::new(),
        /// Nodes of the test graphs.
        test_length: usize = 16,
        /// Graphs of the test split, times CLRS's factor for tasks that are scored on few values a graph.
        test_samples: usize = 32,
        /// The program that others are compared with; empty for none.
        reference: String = "data/seed_pgn.py".into(),
    }
}
