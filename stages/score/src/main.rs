use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::Result;
use schemas::Stage;
use score::Args;
use stage::signal;
use train::Lab;

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    match std::env::args_os().nth(1).as_deref().and_then(OsStr::to_str) {
        Some("score-child") => return score::child(),
        Some(check::CHILD) => return check::serve(),
        _ => {}
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
    let table = args.read()?;
    let provenance = args.table.provenance(Stage::Score, &config, &[])?;
    let stop = signal::install()?;
    let lab = Lab::new(&config, &args.work, stop)?;
    let (table, measured) = score::score(table, &args.weights, &lab, &args.common)?;
    // The table comes last: where it is there, all of the stage's files are.
    if let Some(path) = &args.graphs {
        score::graphs(&measured, path)?;
    }
    if let Some(path) = &args.diagnosis {
        score::diagnosis(&measured, path)?;
    }
    args.table.write(&table, &provenance)
}
