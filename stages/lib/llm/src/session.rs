//! One attempt: its calls in order, its repair rounds, its deadline, and the rows that come of it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use schemas::Factor;
use search::proposer::{Brief, Directive, Operation, Task};
use search::region::{Region, tidy};
use serde::Serialize;

use crate::agents::critic;
use crate::agents::extract::{self, Extracted, extract};
use crate::agents::{diff, regions, router, splice};
use crate::call::{Agent, Call, Finish, Message, Reply};
use crate::chat::Chat;
use crate::checker::Checker;
use crate::context::{Context, Known, TaskFacts};
use crate::error::{CallError, Kind, excerpt};
use crate::keyed;
use crate::prompts::Prompts;
use crate::settings::Settings;
use crate::transcript::{Place, Taken};

/// Most bytes of a refused reply that go back to its writer.
const ECHO: usize = 60_000;

/// Why an attempt has no program.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// A call failed for good.
    #[error("{0}")]
    Call(#[from] CallError),
    /// A reply came, and nothing could be made of it.
    #[error("unusable reply: {0}")]
    Unusable(String),
}

impl Failure {
    /// Whether every further attempt would end alike, and no row is to come of this one.
    pub fn ends_the_stage(&self) -> bool {
        matches!(self, Self::Call(error) if error.ends_the_stage())
    }
}

/// How the factor was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// The factor.
    pub factor: Factor,
    /// The router's reason, or what was wrong with its last reply.
    pub reason: String,
    /// The router never gave the JSON asked for: the factor was drawn.
    pub fallback: bool,
}

/// One try at a program: one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// 0 for the first try of an attempt, and of its second phase.
    pub repair_round: i64,
    /// 1 where the program only prepares for a second phase, 2 where it is of that.
    pub phase: Option<i64>,
    /// What it was edited from, and by which factor, where that is not the attempt's parent and factor: in phase 2.
    pub prepared: Option<(String, Factor)>,
    /// The program; none if there was none in the reply, or no reply.
    pub source: Option<String>,
    /// The writer's own words for its edit, if it gave any.
    pub idea: Option<String>,
    /// Why there is no program.
    pub failure: Option<String>,
    /// How the factor was chosen, if it was.
    pub routed: Option<Routed>,
    /// The model that was asked to write.
    pub model: String,
    /// Calls that belong to this row: those before the first try count with it.
    pub calls: i64,
    /// What those calls took.
    pub taken: Taken,
}

/// What all attempts of a run share.
pub struct Shared {
    /// The settings in force.
    pub settings: Settings,
    /// The templates.
    pub prompts: Prompts,
    /// What answers calls.
    pub chat: Box<dyn Chat>,
    /// What judges programs.
    pub checker: Box<dyn Checker>,
    /// What is searched for.
    pub task: TaskFacts,
    /// What is known of programs beside their rows.
    pub known: Known,
}

impl Shared {
    /// Begins an attempt; its deadline counts from here. `place.call` is where its calls start: 0.
    pub fn session(self: &Arc<Self>, place: Place) -> Session {
        Session {
            shared: Arc::clone(self),
            place,
            deadline: Cell::new(self.settings.waits.deadline.map(|limit| Instant::now() + limit)),
            state: RefCell::default(),
        }
    }
}

/// How the tries of one phase ended.
enum Written {
    /// With a program, or without one for good.
    Done,
    /// With an accepted operator that nothing uses yet.
    Prepared(String),
}

/// The second phase of an attempt: the program of the first, the region that was edited there, and the one that is now.
#[derive(Clone, Copy)]
struct Second<'a> {
    prepared: &'a str,
    operator: Factor,
    action: Factor,
}

#[derive(Default)]
struct State {
    calls: i64,
    /// Since the last row.
    taken: Taken,
    row_calls: i64,
    /// What ends the stage, met by this attempt.
    stopped: Option<CallError>,
    routed: Option<Routed>,
    made: Vec<Made>,
}

/// One attempt.
pub struct Session {
    shared: Arc<Shared>,
    place: Place,
    deadline: Cell<Option<Instant>>,
    state: RefCell<State>,
}

/// The prompt of one agent.
#[derive(Serialize)]
struct Prompt<'a> {
    #[serde(flatten)]
    context: &'a Context,
    agent: &'static str,
    factor: Option<Factor>,
    /// Whether edits without a factor may reach beyond the regions.
    whole_file: bool,
    directive: Option<&'a str>,
    operation: &'a str,
    /// Whether programs are shown with their accuracy and size alone: to the writers of methods whose sources show no more.
    brief_figures: bool,
    /// Whether the writer answers with changed passages.
    diff: bool,
    /// Whether it answers with the editable regions alone.
    regions: bool,
    /// Whether an operator that nothing uses yet is followed by the edit that uses it.
    two_phase: bool,
    /// The region that has just got an operator which nothing uses yet, in the second phase.
    grown: Option<Factor>,
    /// Whether the whole page about the language stands in the prompt.
    whole_page: bool,
    /// Counts the attempts of a generation: which lens this one is given. None where lenses are not for it.
    lens: Option<i64>,
}

impl Session {
    /// ASR: which factor to edit. A reply that is not the JSON asked for goes back; in the end the factor is drawn.
    pub fn route(&self, brief: &Brief<'_>) -> Result<Factor, Failure> {
        let context = self.context(brief);
        let factors = search::proposer::factors(brief.parent.source);
        let mut messages = self.conversation(&context, Agent::Router, &ROUTE)?;
        let mut problem = String::new();
        for round in 0..=self.shared.settings.llm.router_rounds {
            let reply = match self.chat(Agent::Router, &messages, brief) {
                Ok(reply) => reply,
                // The router had nothing to say; the attempt can go on without it.
                Err(error) if matches!(error.kind, Kind::Refusal | Kind::Empty | Kind::TooLong) => {
                    problem = error.to_string();
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            match router::read(&reply.text, &factors) {
                Ok(choice) => {
                    let routed = Routed { factor: choice.factor, reason: choice.reason, fallback: false };
                    self.state.borrow_mut().routed = Some(routed);
                    return Ok(choice.factor);
                }
                Err(wrong) => problem = wrong,
            }
            if round < self.shared.settings.llm.router_rounds {
                let again = self.render(
                    "router_repair.jinja",
                    serde_json::json!({ "problem": problem, "factors": context.factors }),
                )?;
                messages.push(Message::assistant(echo(&reply.text)));
                messages.push(Message::user(again));
            }
        }
        let seed = self.shared.settings.run_seed;
        let drawn = keyed::unit(seed, &["factor", &self.place.attempt.to_string()]);
        let place = (drawn * factors.len() as f64) as usize;
        let factor = factors.get(place).or(factors.last()).copied().unwrap_or(Factor::ACTION);
        self.state.borrow_mut().routed = Some(Routed { factor, reason: problem, fallback: true });
        Ok(factor)
    }

    /// RC: what to do with the factor, or with the whole program.
    pub fn direct(&self, brief: &Brief<'_>, factor: Option<Factor>) -> Result<Directive, Failure> {
        let context = self.context(brief);
        let task = Task { factor, ..ROUTE };
        let messages = self.conversation(&context, Agent::Critic, &task)?;
        let reply = self.chat(Agent::Critic, &messages, brief)?;
        Ok(critic::read(&reply.text))
    }

    /// SAR: the program. What is refused goes back with its diagnostics; every try becomes a row. An operator that nothing
    /// uses yet is the first phase of two: the second is asked for the region that uses it.
    pub fn write(&self, brief: &Brief<'_>, task: &Task<'_>) -> Result<(), Failure> {
        let Written::Prepared(source) = self.tries(brief, task, None)? else { return Ok(()) };
        let halves = task.factor.and_then(|operator| Some((operator, operator.other_half()?)));
        let Some((operator, action)) = halves else { return Ok(()) };
        if let Some(made) = self.state.borrow_mut().made.last_mut() {
            made.phase = Some(1);
        }
        let second = Second { prepared: &source, operator, action };
        let mut brief = brief.clone();
        brief.parent.source = &source;
        self.tries(&brief, &Task { factor: Some(action), ..*task }, Some(second))?;
        Ok(())
    }

    /// The tries of one phase.
    fn tries(&self, brief: &Brief<'_>, task: &Task<'_>, second: Option<Second<'_>>) -> Result<Written, Failure> {
        let mut context = self.context(brief);
        // The figures are those of the parent, which computes the same.
        brief.parent.source.trim_end().clone_into(&mut context.parent.source);
        let mut messages = self.opening(&context, Agent::Writer, task, second)?;
        let rounds = i64::from(self.shared.settings.llm.repair_rounds);
        let mut last = Ok(());
        let mut page_is_due = !self.shared.settings.whole_page();
        // What changed passages are to be put into: the parent, then what was refused.
        let mut base = brief.parent.source.to_owned();
        for round in 0..=rounds {
            let reply = match self.chat(Agent::Writer, &messages, brief) {
                Ok(reply) => reply,
                Err(error) => {
                    self.note(round, None, None, Some(error.to_string()), second);
                    return Err(error.into());
                }
            };
            let (report, program, twin) = match self.program(&reply, &base, brief.parent.source, task.factor) {
                Ok((source, idea)) => {
                    let judgement = self.shared.checker.judge(&source, brief.parent.source, task.factor);
                    self.note(round, Some(source.clone()), idea, None, second);
                    last = Ok(());
                    let graph = judgement.graph.as_deref().filter(|_| judgement.accepted);
                    let twin = graph.and_then(|graph| self.twin(brief, graph));
                    if judgement.accepted && twin.is_none() {
                        return Ok(Written::Done);
                    }
                    if twin.as_deref() == Some(PARENT) && second.is_none() && self.may_grow(task, brief, &source) {
                        return Ok(Written::Prepared(source));
                    }
                    base.clone_from(&source);
                    (judgement.report, Some(source), twin)
                }
                Err(problem) => {
                    let failure = Failure::Unusable(problem.clone());
                    self.note(round, None, None, Some(failure.to_string()), second);
                    last = Err(failure);
                    (problem, None, None)
                }
            };
            if round < rounds {
                let said = self.said(&reply, program.as_deref());
                // A model that meets the bounds of the language is told all of it, once.
                let page = page_is_due && UNKNOWN_WORDS.iter().any(|code| report.contains(code));
                page_is_due &= !page;
                let again = serde_json::json!({
                    "report": report.trim(),
                    "found": program.is_some(),
                    "twin": twin,
                    "factor": self.told(task.factor),
                    "diff": self.shared.settings.llm.diff,
                    "regions": self.shared.settings.regions(),
                    "language": page.then(|| self.shared.checker.language().trim()),
                });
                messages.push(Message::assistant(said));
                messages.push(Message::user(self.render("writer_repair.jinja", again)?));
            }
        }
        last.map(|()| Written::Done)
    }

    /// What the next round shows the writer as its answer: its own words where these are shorter than the whole program. A
    /// writer that answers with changed passages is shown the program that the next ones will change.
    fn said(&self, reply: &Reply, program: Option<&str>) -> String {
        let Some(program) = program else { return echo(&reply.text) };
        // A program may have been found in what the model thought, and nothing in its answer.
        let answers = reply.text.len() < program.len() && extract(&reply.text).is_ok();
        if answers && !self.shared.settings.llm.diff {
            return echo(&reply.text);
        }
        let idea = extract::idea(&reply.text).map(|idea| format!("Idea: {idea}\n\n")).unwrap_or_default();
        echo(&format!("{idea}```python\n{program}```"))
    }

    /// What a program that was understood computes already: what it is called in the repair round. The parent counts as one.
    fn twin(&self, brief: &Brief<'_>, graph: &str) -> Option<String> {
        let parent = brief.parent;
        // A parent of this very generation has not been through `check` yet.
        let judged = || self.shared.checker.judge(parent.source, parent.source, None).graph;
        if parent.row.and_then(|row| row.graph_hash.clone()).or_else(judged).as_deref() == Some(graph) {
            return Some(PARENT.to_owned());
        }
        let same = brief.population.rows().iter().find(|row| row.graph_hash.as_deref() == Some(graph))?;
        let what = same.edit.as_deref().filter(|edit| *edit != "seed").map(|edit| format!(" ({})", excerpt(edit, 80)));
        Some(format!("that of attempt {}{}", same.attempt, what.unwrap_or_default()))
    }

    /// Whether a program that computes what its parent does may be the first of two phases: its edit changed a region of what
    /// exists, which has another half.
    fn may_grow(&self, task: &Task<'_>, brief: &Brief<'_>, source: &str) -> bool {
        let Some(factor) = task.factor.filter(|_| self.shared.settings.two_phase && self.shared.settings.condition)
        else {
            return false;
        };
        let text = |source: &str| Region::find(source, factor).map(|region| tidy(region.text()));
        let half = factor.other_half().and_then(|half| Region::find(source, half));
        factor.is_operator() && half.is_some() && text(source) != text(brief.parent.source)
    }

    /// The program of the last try that has one.
    pub fn last_source(&self) -> Option<(String, Option<String>)> {
        let state = self.state.borrow();
        state.made.iter().rev().find_map(|made| Some((made.source.clone()?, made.idea.clone())))
    }

    /// The rows of the attempt, never none: an attempt that failed before its first try is a row too.
    ///
    /// # Errors
    /// What ends the stage: then there are no rows, and the attempt is made again when the stage is.
    pub fn finish(self, failure: Option<String>) -> Result<Vec<Made>, CallError> {
        if let Some(error) = self.state.borrow_mut().stopped.take() {
            return Err(error);
        }
        if self.state.borrow().made.is_empty() {
            let failure = failure.unwrap_or_else(|| "the method asked for no program".to_owned());
            self.note(0, None, None, Some(failure), None);
        }
        Ok(self.state.into_inner().made)
    }

    fn note(
        &self,
        repair_round: i64,
        source: Option<String>,
        idea: Option<String>,
        failure: Option<String>,
        second: Option<Second<'_>>,
    ) {
        let mut state = self.state.borrow_mut();
        let made = Made {
            repair_round,
            phase: second.map(|_| 2),
            prepared: second.map(|second| (second.prepared.to_owned(), second.action)),
            source,
            idea,
            failure,
            routed: state.routed.clone(),
            model: self.shared.settings.model(Agent::Writer, self.place.attempt).to_owned(),
            calls: std::mem::take(&mut state.row_calls),
            taken: std::mem::take(&mut state.taken),
        };
        state.made.push(made);
    }

    fn context(&self, brief: &Brief<'_>) -> Context {
        let shared = &self.shared;
        Context::new(&shared.task, shared.checker.language(), brief, shared.settings.llm.history, &shared.known)
    }

    /// The two messages that open the conversation with an agent.
    pub fn conversation(&self, context: &Context, agent: Agent, task: &Task<'_>) -> Result<Vec<Message>, Failure> {
        self.opening(context, agent, task, None)
    }

    fn opening(
        &self,
        context: &Context,
        agent: Agent,
        task: &Task<'_>,
        second: Option<Second<'_>>,
    ) -> Result<Vec<Message>, Failure> {
        let prompt = Prompt {
            context,
            agent: agent.as_str(),
            factor: self.told(task.factor),
            whole_file: self.shared.settings.whole_file,
            directive: task.directive.map(|directive| directive.text.as_str()),
            operation: task.operation.as_str(),
            brief_figures: agent == Agent::Writer && task.operation != ROUTE.operation,
            diff: self.shared.settings.llm.diff,
            regions: self.shared.settings.regions(),
            two_phase: self.shared.settings.two_phase,
            grown: second.map(|second| second.operator),
            whole_page: self.shared.settings.whole_page(),
            // A method that shows programs of its choice says with them how to look.
            lens: (self.shared.settings.llm.lenses && !context.examples_chosen).then_some(self.place.slot),
        };
        let system = self.render("system.jinja", &prompt)?;
        let user = self.render(&format!("{}.jinja", agent.as_str()), &prompt)?;
        Ok(vec![Message::system(system), Message::user(user)])
    }

    /// The factor as prompts name it, where they may know of it.
    fn told(&self, factor: Option<Factor>) -> Option<Factor> {
        factor.filter(|_| self.shared.settings.condition)
    }

    /// A template that cannot be rendered is nothing that a model has said: the stage ends, before more is asked with it.
    fn render(&self, name: &str, context: impl Serialize) -> Result<String, Failure> {
        self.shared.prompts.render(name, context).map_err(|error| {
            let error = CallError::new(Kind::Setup, format!("{name} cannot be rendered: {error}"));
            self.state.borrow_mut().stopped = Some(error.clone());
            Failure::Call(error)
        })
    }

    fn chat(&self, agent: Agent, messages: &[Message], brief: &Brief<'_>) -> Result<Reply, CallError> {
        let settings = &self.shared.settings;
        let attempt = self.place.attempt;
        let call = Call {
            agent,
            model: settings.model(agent, attempt).to_owned(),
            messages: messages.to_vec(),
            params: settings.params(agent, attempt, brief.parent.source.len()),
        };
        let place = Place { call: self.state.borrow().calls, ..self.place };
        let mut answer = self.shared.chat.chat(&call, &place, self.deadline.get());
        self.deadline.set(self.deadline.get().map(|deadline| deadline + answer.outage));
        // A conversation that has grown too long is at its end; the model has answered before.
        if let Err(error) = &mut answer.result
            && error.kind == Kind::Context
            && messages.len() > OPENING
        {
            error.kind = Kind::TooLong;
        }
        let mut state = self.state.borrow_mut();
        state.calls += 1;
        state.row_calls += 1;
        state.taken.add(&answer.taken);
        state.stopped = answer.result.as_ref().err().filter(|error| error.ends_the_stage()).cloned();
        answer.result
    }

    /// The whole program that a reply stands for, and the writer's idea. `base`: what changed passages are changes of.
    fn program(
        &self,
        reply: &Reply,
        base: &str,
        parent: &str,
        factor: Option<Factor>,
    ) -> Result<(String, Option<String>), String> {
        if reply.finish == Finish::Length {
            return Err("the reply was cut off by the token limit; the program must fit into one reply".to_owned());
        }
        // A writer that was asked for changed passages and wrote the whole program has done no less.
        let Extracted { code, whole, idea } = if self.shared.settings.llm.diff && diff::is_diff(&reply.text) {
            let code = diff::apply(base, &reply.text)?;
            Extracted { code, whole: true, idea: extract::idea(&reply.text) }
        } else {
            // What a model has written out while it thought counts where the answer itself has no program.
            extract(&reply.text).or_else(|problem| {
                let thought = reply.reasoning.as_deref().and_then(|thought| extract(thought).ok());
                thought.filter(|found| found.whole).ok_or(problem)
            })?
        };
        if self.shared.settings.regions() && !whole {
            let factors = search::proposer::factors(parent);
            let scope = factor.filter(|_| self.shared.settings.condition);
            return regions::assemble(base, &factors, scope, &code).map(|program| (program, idea));
        }
        let splicing = factor.filter(|_| self.shared.settings.llm.splice);
        let Some(factor) = splicing else {
            return if whole { Ok((code, idea)) } else { Err(NOT_WHOLE.to_owned()) };
        };
        let checker = &self.shared.checker;
        let own = checker.region(parent, factor).ok_or_else(|| format!("the parent has no {factor} region"))?;
        let spliced = match checker.region(&code, factor) {
            Some(region) => splice::from_program(parent, own, &code, region),
            None if !whole => splice::from_fragment(parent, own, &code),
            None => return Err(format!("the program has no {factor} region: its two marker lines must stay")),
        };
        spliced.map(|source| (source, idea)).ok_or_else(|| format!("the {factor} region could not be taken over"))
    }
}

/// What the parent is called where it is the twin.
const PARENT: &str = "the parent program";

/// Rules that are broken by whoever does not know what the language has.
const UNKNOWN_WORDS: [&str; 3] = ["E-UNSUPPORTED", "E-FORBIDDEN", "E-NAME-ATTRIBUTE"];

const NOT_WHOLE: &str = "the code block is not a whole program: it does not define get_processor_factory";

/// Messages of a conversation before anything was answered.
const OPENING: usize = 2;

/// What the router is asked with; the critic adds its factor.
const ROUTE: Task<'static> = Task { operation: Operation::Edit, factor: None, directive: None };

fn echo(text: &str) -> String {
    if text.len() <= ECHO { text.to_owned() } else { excerpt(text, ECHO) }
}
