use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use check::{Args, Inspection, Rules};
use schemas::Status;
use stage::{Row, Table, exit, pool};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Args = stage::parse();
    stage::main("check", || run(&args))
}

fn run(args: &Args) -> Result<()> {
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

    let go = AtomicBool::new(false);
    let inspections = pool::run_within(&table.rows, pool::cores(), &go, check::with_room, |_, row: &Row| {
        check::settle(&row.candidate).then(|| check::inspect(&row.candidate, &rules))
    });
    let inspections: Vec<Option<Inspection>> = inspections.into_iter().map(Option::flatten).collect();

    if args.text() {
        // its parts are escaped, and what is left are our own colours
        exit::print_raw(&text(args, &table, &inspections, &rules))?;
    }
    let mut checked = Table::default();
    for (row, inspection) in table.rows.into_iter().zip(inspections) {
        let mut candidate = inspection.map_or(row.candidate, |inspection| inspection.candidate);
        known.judge(&mut candidate);
        checked.rows.push(Row { candidate, extra: row.extra });
    }
    if !args.text() {
        args.table.write(&checked)?;
    }
    if args.programs() && checked.candidates().any(|candidate| candidate.status == Status::Rejected) {
        return Err(exit::Negative.into());
    }
    Ok(())
}

fn text(args: &Args, table: &Table, inspections: &[Option<Inspection>], rules: &Rules) -> String {
    let mut text = String::new();
    for (row, inspection) in table.rows.iter().zip(inspections) {
        let name = row.candidate.edit.as_deref().filter(|_| args.programs()).unwrap_or(&row.candidate.candidate_id);
        if let Some(inspection) = inspection {
            text += &check::human(inspection, name, std::io::stdout().is_terminal());
            if args.explain {
                text += &check::explain(inspection, rules);
            }
        }
    }
    text
}
