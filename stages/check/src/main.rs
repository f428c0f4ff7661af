#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use check::{Args, Inspectors, Rules};
use schemas::{Stage, Status};
use stage::{Row, Table, exit, pool};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The child's side: not for people, so not in the help.
    if std::env::args_os().nth(1).is_some_and(|first| first == check::CHILD) {
        return check::serve();
    }
    let args: Args = stage::parse();
    stage::main("check", || run(&args))
}

fn run(args: &Args) -> Result<()> {
    if let Some(rule) = &args.rule {
        return exit::print(&check::rule(rule)?);
    }
    if args.language {
        return exit::print(&program::language_page());
    }
    let Some(config) = args.config()? else { return Ok(()) };
    let rules = Rules::new(&config);
    let mut known = args.known()?;
    if !args.text() {
        args.table.check_output()?;
    }
    let table = args.read()?;
    let provenance = args.table.provenance(Stage::Check, &config, &args.known)?;

    let inspectors = Inspectors::new(&rules)?;
    let go = AtomicBool::new(false);
    let inspected = pool::run(&table.rows, pool::cores(), &go, |_, row: &Row| {
        let show = args.show(&row.candidate);
        check::settle(&row.candidate).then(|| inspectors.inspect(&row.candidate, show.as_ref()))
    });
    let inspected = inspected.into_iter().map(|one| one.flatten().transpose()).collect::<Result<Vec<_>>>()?;

    if args.text() {
        // Its parts are escaped, and what is left are our own colours.
        exit::print_raw(&inspected.iter().flatten().map(|inspection| inspection.text.as_str()).collect::<String>())?;
    }
    let mut checked = Table::default();
    for (row, inspection) in table.rows.into_iter().zip(inspected) {
        let mut candidate = inspection.map_or(row.candidate, |inspection| inspection.candidate);
        known.judge(&mut candidate);
        checked.rows.push(Row { candidate, extra: row.extra });
    }
    if !args.text() {
        args.table.write(&checked, &provenance)?;
    }
    if args.programs() && checked.candidates().any(|candidate| candidate.status == Status::Rejected) {
        return Err(exit::Negative.into());
    }
    Ok(())
}
