#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
use std::process::ExitCode;

use anyhow::Result;
use schemas::Stage;
use score::Args;
use stage::{signal, table};
use train::Supervisor;

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    if std::env::args_os().nth(1).is_some_and(|word| word == check::CHILD) {
        return check::serve();
    }
    let args: Args = stage::parse();
    stage::main("score", || run(&args))
}

fn run(args: &Args) -> Result<()> {
    if let Some(key) = &args.one {
        return train::one(&score::EVALUATION, key, &args.work);
    }
    if args.summary {
        let rows = args.table.read()?;
        let reach = search::reach::by_method(rows.candidates());
        return if args.json {
            stage::exit::print(&score::summary_json(&reach)?)
        } else {
            stage::exit::say(&score::summary(&reach))
        };
    }
    let Some(config) = args.config()? else { return Ok(()) };
    args.table.check_output()?;
    args.graphs.iter().chain(&args.diagnosis).try_for_each(|path| table::check_output(path))?;
    let table = args.read()?;
    let parents = score::parents(&args.parents_diagnosis, &table)?;
    let provenance = args.table.provenance(Stage::Score, &config, &[])?;
    args.common.announce_defaults("score");
    let stop = signal::install()?;
    let supervisor = Supervisor::new(&config, &args.work, stop)?;
    let (mut table, measured) = score::score(table, &args.weights, &supervisor, &args.common)?;
    score::shifts(&mut table, &measured, &parents);
    // The table comes last: where it is there, all of the stage's files are.
    if let Some(path) = &args.graphs {
        score::graphs(&measured, path)?;
    }
    if let Some(path) = &args.diagnosis {
        score::diagnosis(&measured, path)?;
    }
    args.table.write(&table, &provenance)
}
