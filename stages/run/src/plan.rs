//! What is to be made in a run, told by digests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use schemas::Stage;
use stage::live::Record;
use stage::table::{self, Provenance};

use crate::after;
use crate::args::PlanArgs;
use crate::estimate;
use crate::hold;
use crate::made::{self, Product};
use crate::open::{self, Run};
use crate::record;

/// Opens the run and prints the names of what is to be made, in the order in which it can be made.
pub fn plan(args: &PlanArgs) -> Result<()> {
    if !args.dry_run {
        hold::check(&args.folder)?;
    }
    let run = open::open(args)?;
    let mut list = List { run: &run, digests: BTreeMap::new(), stale: Vec::new() };
    for generation in 0..=run.config.search.last_generation() {
        list.generation(generation)?;
    }
    list.products()?;
    if !args.dry_run {
        let work = (!list.stale.is_empty()).then(|| args.command());
        record::planned(&run, args.transcripts.as_ref(), work)?;
    }
    let mut names: String = list.stale.iter().map(|name| format!("{name}\n")).collect();
    if !names.is_empty() {
        // Make has to know the chain of a generation, where it ends, and how many generations may be under way.
        let after = Stage::ALL.iter().filter(|stage| !after::command(&run.config, **stage).is_empty());
        let after: String = after.map(|stage| format!("after/{stage}\n")).collect();
        names = format!("races/{}\nlag/{}\n{after}{names}", run.config.train.races(), run.config.search.lag);
    }
    if !names.is_empty() && !args.dry_run {
        begin(args, &run);
    }
    stage::exit::print(&names)
}

/// Notes that the search begins, or goes on, for those who watch it. What cannot be written is no reason to fail.
fn begin(args: &PlanArgs, run: &Run) {
    let before = Record::read(&args.folder);
    let record = Record { at_once: estimate::at_once(&run.config, &args.jobs), done: false, now: None, ..before };
    let _ = record.write(&args.folder);
}

struct List<'a> {
    run: &'a Run,
    /// Digests of the tables that are up to date, by their names.
    digests: BTreeMap<String, String>,
    stale: Vec<String>,
}

/// The name of a table, and its path in the run's folder without `.parquet`.
fn name(generation: u32, table: &str) -> String {
    format!("gen{generation:03}/{table}")
}

impl List<'_> {
    /// The tables of one generation, each with the ones that it is made from.
    fn generation(&mut self, generation: u32) -> Result<()> {
        let search = &self.run.config.search;
        // What the archive lacks of the generations under way, `check` reads from their tables, so that equal graphs are
        // trained once at any lag.
        let under_way: Vec<String> = search.in_flight(generation).map(|other| name(other, "checked")).collect();
        let before = search.archive_before(generation).map(|before| name(before, "archive"));
        let last_archive = generation.checked_sub(1).map(|last| name(last, "archive"));
        let of = |table: &str| name(generation, table);
        let with = |table: String| [table].into_iter().chain(before.clone()).collect::<Vec<_>>();
        self.table(Stage::Propose, generation, of("proposed"), before.clone().into_iter().collect())?;
        self.table(Stage::Check, generation, of("checked"), [with(of("proposed")), under_way].concat())?;
        self.table(Stage::Train, generation, of("trained"), vec![of("checked")])?;
        self.table(Stage::Score, generation, of("scored"), vec![of("trained")])?;
        let mut last = of("scored");
        for round in 1..=self.run.config.train.races() {
            let (trained, scored) = (of(&format!("trained{round}")), of(&format!("scored{round}")));
            self.table(Stage::Train, generation, trained.clone(), with(last))?;
            self.table(Stage::Score, generation, scored.clone(), vec![trained])?;
            last = scored;
        }
        self.table(Stage::Select, generation, of("archive"), [last].into_iter().chain(last_archive).collect())
    }

    fn table(&mut self, stage: Stage, generation: u32, name: String, inputs: Vec<String>) -> Result<()> {
        match self.why(stage, generation, &name, &inputs)? {
            None => {
                let digest = table::digest(&self.path(&name))?;
                self.digests.insert(name, digest);
            }
            Some(reason) => self.make(name, &reason),
        }
        Ok(())
    }

    /// Why a table is not up to date. One that says nothing of its origin, or that it was made from other files than those
    /// of the run, was put there by somebody, and stays.
    fn why(&self, stage: Stage, generation: u32, name: &str, inputs: &[String]) -> Result<Option<String>> {
        let Some(digests) = inputs.iter().map(|input| self.digests.get(input)).collect::<Option<Vec<_>>>() else {
            return Ok(Some(String::new()));
        };
        let path = self.path(name);
        if !path.exists() {
            return Ok(Some(String::new()));
        }
        let Some(made) = Provenance::read(&path)? else { return Ok(None) };
        let names = inputs.iter().map(|input| format!("{}.parquet", input.rsplit('/').next().unwrap_or(input)));
        if made.inputs.iter().map(|input| input.name.clone()).ne(names) {
            return Ok(None);
        }
        let changed = made.inputs.iter().map(|input| &input.digest).ne(digests);
        let config = &self.run.config;
        let share = made.proposals.is_some_and(|wanted| wanted != config.search.share(generation));
        Ok(if changed {
            Some("what it was made from has changed".to_owned())
        } else if made.settings != config.digest(stage) {
            Some("it was made with other settings than config.toml".to_owned())
        } else if made.after != after::digest(after::command(config, stage)) {
            Some(format!("the stage of your own after {stage} has changed"))
        } else if share {
            Some("its share of the proposals has changed".to_owned())
        } else {
            None
        })
    }

    /// The whole run's archive, a copy of the last generation's, and what is made from it.
    fn products(&mut self) -> Result<()> {
        let folder = &self.run.folder;
        let last = name(self.run.config.search.last_generation(), "archive");
        let digest = self.digests.get(&last).filter(|_| same_bytes(&self.path(&last), &self.path("archive"))).cloned();
        if digest.is_none() {
            self.make("archive".to_owned(), "");
        }
        let mut sources = digest;
        if self.run.config.confirm.top > 0 {
            if let Some(archive) = sources.clone() {
                self.digests.insert("archive".to_owned(), archive);
            }
            if let Some(reason) = self.unconfirmed()? {
                self.make("confirmed".to_owned(), &reason);
                sources = None;
            }
        }
        let sources = sources.map(|archive| made::sources(folder, archive)).transpose()?;
        for product in [Product::Results, Product::Report] {
            let reason = match &sources {
                Some(sources) => made::stale(folder, product, sources)?,
                None => Some(String::new()),
            };
            if let Some(reason) = reason {
                self.make(product.name().to_owned(), &reason);
            }
        }
        Ok(())
    }

    /// Why the confirmation is not up to date.
    fn unconfirmed(&self) -> Result<Option<String>> {
        if !self.run.folder.join(made::CONFIRMATION).is_file() {
            return Ok(Some(String::new()));
        }
        let last = self.run.config.search.last_generation();
        self.why(Stage::Confirm, last, "confirmed", &["archive".to_owned()])
    }

    /// `reason`: for people; empty where there is nothing to say.
    fn make(&mut self, name: String, reason: &str) {
        if !reason.is_empty() {
            eprintln!("run: {name} is made again: {reason}");
        }
        self.stale.push(name);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.run.folder.join(format!("{name}.parquet"))
    }
}

fn same_bytes(a: &Path, b: &Path) -> bool {
    matches!((fs::read(a), fs::read(b)), (Ok(a), Ok(b)) if a == b)
}
