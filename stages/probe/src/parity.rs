//! Comparison with reference numbers.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use network::parity::{self, NetworkCase, Report};
use network::{Backend, Device};
use program::Options;
use stage::Usage;
use stage::exit::Negative;

use crate::args::{Machine, NetworkArgs, ProgramArgs};
use crate::programs;

/// A processor alone.
pub fn program(args: &ProgramArgs) -> Result<()> {
    let device = args.machine.init()?;
    let options =
        parity::Options { dtype: args.machine.dtype, tolerance: args.tolerance, passes: true, backend: Backend::Auto };
    let paths = expand(&args.cases)?;
    if let (Some(to), Some(case)) = (&args.export_noise, paths.first()) {
        return export_noise(&args.program, case, to);
    }
    let mut reports = Vec::new();
    for path in paths {
        reports.push(program_case(&args.program, &path, device, options)?);
    }
    print(&reports, args.machine)
}

/// A whole network.
pub fn network(args: &NetworkArgs) -> Result<()> {
    let device = args.machine.init()?;
    let options = parity::Options {
        dtype: args.machine.dtype,
        tolerance: args.tolerance,
        passes: !args.no_passes,
        backend: Backend::Auto,
    };
    let mut reports = Vec::new();
    for path in expand(&args.cases)? {
        let report = network_case(args.program.as_deref(), &path, device, options);
        reports.push(report.with_context(|| path.display().to_string())?);
    }
    print(&reports, args.machine)
}

/// Writes the noise of a call in training, of the sizes of a case.
fn export_noise(program: &Path, case: &Path, to: &Path) -> Result<()> {
    let hidden = parity::program_hidden(case)?;
    let processor = programs::from_file(program, &Options { hidden, ..Options::default() })?;
    let noise = parity::program_noise(&processor, parity::program_sizes(case)?, 0)?;
    noise.save(to)?;
    println!("{}: {} drawings", to.display(), noise.arrays.len());
    Ok(())
}

/// Compares a program with a case of its own.
pub fn program_case(program: &Path, case: &Path, device: Device, options: parity::Options) -> Result<Report> {
    let hidden = parity::program_hidden(case)?;
    let processor = programs::from_file(program, &Options { hidden, ..Options::default() })?;
    Ok(parity::program_case(&processor, case, device, options)?)
}

/// Compares a network around `program`, or around what the project has for the case's processor.
pub fn network_case(program: Option<&Path>, path: &Path, device: Device, options: parity::Options) -> Result<Report> {
    if path.file_stem().is_some_and(|stem| stem == "optimiser") {
        return Ok(parity::optimiser_case(path, device, options)?);
    }
    let case = NetworkCase::load(path)?;
    let compiled = Options {
        hidden: case.hidden(),
        nb_triplet_fts: case.nb_triplet_fts(),
        use_ln: case.use_ln(),
        ..Options::default()
    };
    let processor = match program {
        Some(file) => programs::from_file(file, &compiled)?,
        None => programs::of_benchmark(case.processor(), &compiled)?,
    };
    Ok(case.compare(&processor, device, options)?)
}

/// The files that paths and patterns name, in order.
pub fn expand(patterns: &[String]) -> Result<Vec<PathBuf>> {
    let paths = stage::table::expand(patterns).map_err(|error| Usage(error.to_string()))?;
    match paths.iter().find(|path| !path.exists()) {
        Some(missing) => bail!(Usage(format!("{}: no such file", missing.display()))),
        None => Ok(paths),
    }
}

fn print(reports: &[Report], machine: Machine) -> Result<()> {
    let mut text = String::new();
    if machine.json {
        // one report is an object, several are a list
        text = match reports {
            [only] => serde_json::to_string_pretty(only)?,
            _ => serde_json::to_string_pretty(reports)?,
        };
        text.push('\n');
    } else {
        let short = reports.len() > 1;
        for report in reports {
            let verdict = if report.ok { "ok" } else { "BEYOND TOLERANCE" };
            let worst = report.worst();
            let worst = worst.map_or_else(String::new, |check| {
                format!("closest to its tolerance: {} {:.1e} of {:.1e}", check.name, check.error, check.tolerance)
            });
            writeln!(text, "{:<32} {verdict}, {} quantities; {worst}", report.case, report.checks.len())?;
            for check in report.checks.iter().filter(|check| !short || !check.ok) {
                let mark = if check.ok { ' ' } else { '!' };
                write!(text, "  {mark} {:<44} error {:.2e} of {:.0e}", check.name, check.error, check.tolerance)?;
                if let (Some(max_abs), Some(max_rel)) = (check.max_abs, check.max_rel) {
                    write!(text, ", absolute {max_abs:.2e}, relative {max_rel:.2e}")?;
                }
                text.push('\n');
            }
        }
    }
    if machine.json {
        stage::exit::print(&text)?
    } else {
        stage::exit::say(&text)?
    }
    if reports.iter().all(|report| report.ok) { Ok(()) } else { Err(Negative.into()) }
}
