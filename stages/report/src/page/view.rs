//! What the template is given.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::cards::{Card, cards, profile, statuses};
use super::head::{Head, head};
use super::{caveats, compared, effects, models, tables};
use crate::analysis::{Group, factor_name, group_runs, levels, lineage};
use crate::diff::{Diff, bounded, diff};
use crate::draw::shorten;
use crate::explore::{Explore, explore};
use crate::figures::{self, Figure};
use crate::python::{Line, highlight};
use crate::run::Run;
use crate::table::Table;
use crate::text::{count, edit, percent, points, slug, whole};

/// Longer programs are shown up to this many lines.
const SOURCE_LINES: usize = 1500;

/// Steps of a lineage that are shown with their changes, at most.
const STEPS: usize = 24;

/// A figure on the page.
#[derive(Clone, Debug, Serialize)]
pub struct FigureView {
    pub name: String,
    pub title: String,
    pub caption: String,
    pub svg: String,
}

/// A program with its difference to another.
#[derive(Clone, Debug, Serialize)]
pub struct ProgramView {
    pub id: String,
    pub lines: Vec<Line>,
    /// Lines that are not shown.
    pub left_out: usize,
    /// None for the seed program itself.
    pub diff: Option<Diff>,
}

/// One edit of the winner's lineage.
#[derive(Clone, Debug, Serialize)]
pub struct StepView {
    pub title: String,
    pub directive: String,
    pub diff: Diff,
}

/// One run on the page.
#[derive(Clone, Debug, Serialize)]
pub struct RunView {
    pub slug: String,
    pub name: String,
    pub facts: Vec<(String, String)>,
    pub profile: String,
    pub remarks: Vec<String>,
    pub cards: Vec<Card>,
    pub statuses: Vec<(String, usize)>,
    pub progress: Vec<FigureView>,
    pub lineage: Option<FigureView>,
    pub descent: Option<FigureView>,
    /// Where the winner fails, and what its parts are worth.
    pub diagnosis: Option<FigureView>,
    pub lesions: Option<Table>,
    pub factors: Option<FigureView>,
    pub factor_table: Table,
    pub map: Vec<FigureView>,
    pub losses: Option<FigureView>,
    pub loss_table: Table,
    pub program: Option<ProgramView>,
    /// The edits from the seed program to the winner, one by one; empty where there are fewer than two.
    pub steps: Vec<StepView>,
    pub candidates: Table,
    /// What the language models took; None without any.
    pub models: Option<Table>,
    pub transfer: Option<FigureView>,
    pub transfer_table: Option<Table>,
    pub settings: Option<Table>,
}

/// The whole page.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    pub title: String,
    pub lead: String,
    /// Whether the built-in proposer wrote candidates, and whether it wrote all of them.
    pub builtin: bool,
    /// The head of the page of one run.
    pub head: Option<Head>,
    /// While the search is on: how far it has come.
    pub live: Option<String>,
    /// What the page's script opens.
    pub explore: Option<Explore>,
    pub only_builtin: bool,
    /// The profile of all runs, and what holds for all of them; empty on the page of one run, which says it of that run.
    pub profile: Option<String>,
    pub remarks: Vec<String>,
    pub single: bool,
    pub shared: Vec<FigureView>,
    /// Every method against the baseline.
    pub effects: Option<Table>,
    pub comparison: Option<Table>,
    pub costs: Option<Table>,
    pub reach: Option<Table>,
    /// Entanglement, edit distances, and what became of edits.
    pub edits: Vec<Table>,
    pub runs_table: Table,
    pub runs: Vec<RunView>,
    pub published: Table,
}

/// The page, and the same figures and tables as files: (name without extension, content).
#[derive(Clone, Debug)]
pub struct Report {
    pub view: View,
    pub figures: Vec<(String, String)>,
    pub tables: Vec<(String, Table)>,
}

/// How a report is made.
#[derive(Clone, Debug)]
pub struct Options {
    pub title: Option<String>,
    /// Rows in the tables of the best candidates.
    pub top: usize,
    /// Whether to draw the literature's figures as reference lines.
    pub published: bool,
    /// The method that others are compared with; None: `spark`, else the first.
    pub baseline: Option<String>,
    /// Whether the search is still on.
    pub live: bool,
    /// The folder that the page is written to, and that of its tables: what it links to is named from there.
    pub folder: Option<PathBuf>,
    pub tables: Option<PathBuf>,
}

impl Report {
    /// # Errors
    /// When the page's data cannot be packed.
    pub fn new(runs: &[Run], options: &Options) -> Result<Self> {
        let groups = group_runs(runs);
        let single = runs.len() == 1;
        let mut files = Files::default();
        let shared: Vec<FigureView> = [
            figures::best_so_far(&groups, options.published),
            figures::rates(&groups),
            figures::tradeoff(&groups),
            figures::entanglement(&groups),
        ]
        .into_iter()
        .flatten()
        .map(|figure| files.figure(figure, ""))
        .collect();
        let named = options.baseline.as_deref();
        let effects = effects::effect_table(&groups, named).map(|table| files.table(table, ""));
        let comparison = (!single).then(|| files.table(compared::comparison(&groups, &levels(runs)), ""));
        let costs = (!single).then(|| files.table(compared::cost_table(&groups), ""));
        let reach =
            compared::reach_table(&groups, &levels(runs)).filter(|_| !single).map(|table| files.table(table, ""));
        let mut edits: Vec<Table> = [compared::entanglement(&groups), compared::edit_distances(&groups)]
            .map(|table| files.table(table, ""))
            .into();
        edits.extend(effects::against_table(&groups).map(|table| files.table(table, "")));
        if let Some((shown, each)) = effects::outcome_tables(&groups) {
            edits.push(files.table(shown, ""));
            files.table(each, "");
        }
        let runs_table = files.table(tables::runs_table(runs), "");
        files.table(tables::rates_table(runs), "");
        let mut slugs: Vec<String> = Vec::new();
        let views: Vec<RunView> = runs
            .iter()
            .map(|run| {
                let base = slug(&run.name);
                let unique = (2..).map(|n| format!("{base}-{n}")).find(|other| !slugs.contains(other));
                let name = if slugs.contains(&base) { unique.unwrap_or(base) } else { base };
                slugs.push(name.clone());
                run_view(run, &name, single, options, &mut files)
            })
            .collect();
        let proposers = || runs.iter().flat_map(|run| &run.proposers);
        let is_builtin = |proposer: &String| proposer == "builtin";
        let view = View {
            title: options.title.clone().unwrap_or_else(|| title(runs, &groups)),
            lead: lead(runs),
            head: match runs {
                // While a search is on, what lies beside it may be of a shorter one.
                [run] => {
                    let folder = options.folder.as_deref().filter(|_| !options.live);
                    Some(head(run, folder, options.tables.as_deref()))
                }
                _ => None,
            },
            live: options.live.then(|| live(runs)),
            explore: explore(runs)?,
            builtin: proposers().any(is_builtin),
            only_builtin: proposers().all(is_builtin),
            profile: caveats::shared_profile(runs).filter(|_| !single),
            remarks: if single { Vec::new() } else { caveats::remarks(runs, &groups, named) },
            single,
            shared,
            effects,
            comparison,
            costs,
            reach,
            edits,
            runs_table,
            runs: views,
            published: compared::published_table(),
        };
        Ok(Self { view, figures: files.figures, tables: files.tables })
    }
}

/// Collects what is also written as files. Names of a run's own files end with its slug when there are several runs.
#[derive(Default)]
struct Files {
    figures: Vec<(String, String)>,
    tables: Vec<(String, Table)>,
}

impl Files {
    fn figure(&mut self, mut figure: Figure, suffix: &str) -> FigureView {
        figure.name += suffix;
        self.figures.push((figure.name.clone(), figure.file()));
        FigureView { svg: figure.inline(), name: figure.name, title: figure.title, caption: figure.caption }
    }

    fn table(&mut self, table: Table, suffix: &str) -> Table {
        self.tables.push((format!("{}{suffix}", table.name), table.clone()));
        table
    }
}

fn run_view(run: &Run, slug: &str, single: bool, options: &Options, files: &mut Files) -> RunView {
    let suffix = if single { String::new() } else { format!("-{slug}") };
    let group = [Group { name: run.name.clone(), runs: vec![run] }];
    // a page of one run has these at the top already
    let own = if single { None } else { figures::best_so_far(&group, false) };
    let progress: Vec<Figure> = own.into_iter().chain(figures::curves(run)).chain(figures::by_length(run)).collect();
    let mut draw = |figure: Figure| files.figure(figure, &suffix);
    let progress = progress.into_iter().map(&mut draw).collect();
    let lineage = figures::lineage(run).map(&mut draw);
    let descent = figures::descent(run, single).map(&mut draw);
    let diagnosis = figures::diagnosis(run).map(&mut draw);
    let factors = figures::factors(run).map(&mut draw);
    let map = [figures::islands(run), figures::cells(run)].into_iter().flatten().map(&mut draw).collect();
    let losses = figures::losses(run).map(&mut draw);
    let transfer = figures::transfer(run, options.published).map(&mut draw);
    let mut write = |table: Table| files.table(table, &suffix);
    // There is a line for each candidate: for a reader's own analysis, not for the page.
    super::diagnosis::behaviour_table(run).map(&mut write);
    RunView {
        slug: slug.into(),
        name: run.name.clone(),
        facts: facts(run),
        profile: profile(run),
        remarks: run.remarks.clone(),
        cards: cards(run),
        statuses: statuses(run),
        progress,
        lineage,
        descent,
        diagnosis,
        lesions: super::diagnosis::lesion_table(run).map(&mut write),
        factors,
        map,
        losses,
        transfer,
        factor_table: write(tables::factor_table(run)),
        loss_table: write(tables::loss_table(run)),
        candidates: write(tables::candidates(run, options.top)),
        models: models::table(run).map(&mut write),
        transfer_table: super::transfer::transfer_table(run).map(&mut write),
        settings: tables::settings_table(run).map(&mut write),
        // A page of several runs has no room for them: the list of all candidates opens each.
        program: program(run, single),
        steps: if single { steps(run) } else { Vec::new() },
    }
}

/// The edits that led to the winner, the last ones where there are very many.
fn steps(run: &Run) -> Vec<StepView> {
    let Some(winner) = run.winner() else { return Vec::new() };
    let chain = lineage(run, winner);
    if chain.len() < 3 {
        return Vec::new();
    }
    let first = chain.len().saturating_sub(STEPS + 1);
    let pairs = chain.iter().zip(chain.iter().skip(1)).skip(first);
    pairs
        .map(|(before, after)| {
            let row = after.row;
            let accuracy = row.ood_acc.map_or(String::new(), |value| format!(", {} %", percent(value)));
            let gain = after.gain.map_or(String::new(), |gain| format!(" ({} points)", points(gain)));
            let label = shorten(edit(row), 120);
            StepView {
                title: format!("Attempt {}, {}: {label}{accuracy}{gain}", whole(row.attempt), factor_name(row)),
                directive: row.directive.clone().unwrap_or_default(),
                diff: diff(&before.row.source, &row.source),
            }
        })
        .collect()
}

fn program(run: &Run, with_source: bool) -> Option<ProgramView> {
    let winner = run.winner()?;
    let mut lines = highlight(&bounded(&winner.source));
    let left_out = lines.len().saturating_sub(SOURCE_LINES);
    lines.truncate(if with_source { SOURCE_LINES } else { 0 });
    let seed = run.seed_program().filter(|seed| !std::ptr::eq(*seed, winner));
    Some(ProgramView {
        id: winner.candidate_id.clone(),
        lines,
        left_out,
        diff: seed.map(|seed| diff(&seed.source, &winner.source)),
    })
}

fn facts(run: &Run) -> Vec<(String, String)> {
    let mut list = vec![("method".to_string(), run.method.clone())];
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            list.push((name.into(), value));
        }
    };
    add("task", run.task.clone());
    add("seed", run.seed.clone().unwrap_or_default());
    add("proposer", run.proposers.join(", "));
    add("models", shorten(&models::names(run), 160));
    let mut devices: Vec<String> = run.rows().iter().filter_map(|row| row.device.clone()).collect();
    devices.sort();
    devices.dedup();
    add("device", devices.join(", "));
    list
}

fn title(runs: &[Run], groups: &[Group<'_>]) -> String {
    match runs {
        [run] => run.name.clone(),
        _ => {
            let mut methods: Vec<&str> = Vec::new();
            for group in groups {
                for run in &group.runs {
                    if !methods.contains(&run.method.as_str()) {
                        methods.push(&run.method);
                    }
                }
            }
            format!("{}: {}", count(runs.len(), "run"), methods.join(", "))
        }
    }
}

fn lead(runs: &[Run]) -> String {
    let mut tasks: Vec<&str> = runs.iter().map(|run| run.task.as_str()).filter(|task| !task.is_empty()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let what = if runs.len() == 1 { "A search" } else { "Searches" };
    let on = if tasks.is_empty() { String::new() } else { format!(" on CLRS {}", tasks.join(", ")) };
    format!("{what} for graph network processors{on}.")
}

/// How far a search has come that is on.
fn live(runs: &[Run]) -> String {
    let made = stage::time::minute(stage::live::seconds_now());
    let mut parts = Vec::new();
    if let [run] = runs {
        let number = |key: &str| run.setting(key).and_then(|value| value.parse::<usize>().ok());
        let of = |all: Option<usize>| all.map_or(String::new(), |all| format!(" of {}", whole(all as i64)));
        let attempts = number("search.attempts");
        let generations = attempts.zip(number("search.generation_size").filter(|size| *size > 0));
        let generation = run.rows().iter().map(|row| row.generation).max().unwrap_or_default();
        parts.push(format!("generation {generation}{}", of(generations.map(|(all, size)| all.div_ceil(size)))));
        let mut made: Vec<i64> = run.proposals().map(|row| row.attempt).collect();
        made.dedup();
        parts.push(format!("{}{} attempts", whole(made.len() as i64), of(attempts)));
    }
    parts.push(format!("page of {made} UTC"));
    parts.join(", ")
}
