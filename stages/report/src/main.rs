#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use report::args::{Args, Output};
use report::page::{Options, Report, render};
use report::{analysis, load, output, summary, trackers};
use stage::table;

fn main() -> ExitCode {
    let args: Args = stage::parse();
    stage::main("report", || run(args))
}

fn run(args: Args) -> Result<()> {
    let plan = args.resolve()?;
    if let Output::File(path) = &plan.output {
        // A folder that is not there yet is made.
        match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
            Some(folder) => table::check_folder(folder)?,
            None => table::check_file(path)?,
        }
    }
    plan.svg_dir.iter().chain(&plan.table_dir).try_for_each(|folder| table::check_folder(folder))?;
    let runs = load::load(&plan.archives, plan.run.as_deref())?;
    if runs.iter().all(|run| run.rows().is_empty()) {
        return Err(stage::Usage("there is nothing to report: the input has no rows".to_owned()).into());
    }
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
    let folder = match &plan.output {
        Output::File(path) => {
            Some(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned())
        }
        Output::Stdout => None,
    };
    let options = Options {
        title: plan.title,
        top: plan.top,
        published: plan.published,
        baseline: plan.baseline,
        live: plan.live,
        folder,
        tables: plan.table_dir.clone(),
    };
    let report = Report::new(&runs, &options)?;
    let html = render(&report.view)?;

    let mut said = Vec::new();
    if let Some(folder) = &plan.svg_dir {
        said.push(format!("{} figures in {}", output::figures(&report, folder)?, folder.display()));
    }
    if let Some(folder) = &plan.table_dir {
        said.push(format!("{} tables in {}", output::tables(&report, folder)?, folder.display()));
    }
    if let Some(folder) = &plan.tensorboard {
        said.push(format!("{} event files in {}", trackers::tensorboard::write(&runs, folder)?, folder.display()));
    }
    if let Some(folder) = &plan.mlflow {
        said.push(format!("{} MLflow runs in {}", trackers::mlflow::write(&runs, folder)?, folder.display()));
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
