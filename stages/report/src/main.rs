use std::process::ExitCode;

use anyhow::Result;
use report::args::{Args, Output};
use report::page::{Options, Report, render};
use report::{analysis, load, output, summary};

fn main() -> ExitCode {
    let args: Args = stage::parse();
    stage::main("report", || run(args))
}

fn run(args: Args) -> Result<()> {
    let plan = args.resolve()?;
    let runs = load::load(&plan.archives)?;
    if let Some(baseline) = &plan.baseline {
        let groups = analysis::group_runs(&runs);
        if analysis::baseline(&groups, Some(baseline)).is_none() {
            let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
            return Err(stage::Usage(format!(
                "--baseline {baseline}: no runs of such a method among {}",
                known.join(", ")
            ))
            .into());
        }
    }
    let (title, top, published, baseline) = (plan.title, plan.top, plan.published, plan.baseline);
    let report = Report::new(&runs, &Options { title, top, published, baseline });
    let html = render(&report.view)?;

    let mut said = Vec::new();
    if let Some(folder) = &plan.svg_dir {
        said.push(format!("{} figures in {}", output::figures(&report, folder)?, folder.display()));
    }
    if let Some(folder) = &plan.table_dir {
        said.push(format!("{} tables in {}", output::tables(&report, folder)?, folder.display()));
    }
    match &plan.output {
        Output::Stdout => stage::exit::print(&html)?,
        // last: a page never stands beside figures that are older than itself
        Output::File(path) => {
            stage::atomic::write_bytes(path, html.as_bytes())?;
            said.insert(0, format!("page {}", path.display()));
        }
    }
    if plan.json {
        stage::exit::print(&format!("{:#}\n", summary::summary(&runs)))?;
    }
    if !plan.quiet && !said.is_empty() {
        stage::exit::note(&format!("report: {}", said.join(", ")));
    }
    Ok(())
}
