//! What libtorch and the machine look like from here.

use std::fmt::Write as _;

use anyhow::Result;

use stage::Config;
use stage::config::{quoted, words};

use crate::args::DoctorArgs;
use crate::node;

pub fn run(args: &DoctorArgs) -> Result<()> {
    if let Some(engine) = &args.engine {
        let mut flags = vec![("--engine", "train.engine", quoted(engine))];
        flags.extend(args.slurm.as_ref().map(|text| ("--slurm", "engine.slurm.options", words(text))));
        flags.extend(args.device.as_ref().map(|device| ("--device", "train.device", quoted(device))));
        return node::ask(args, &Config::load(None, &args.sets, &flags)?);
    }
    let found = network::doctor()?;
    if args.json {
        return stage::exit::print(&format!("{}\n", serde_json::to_string_pretty(&found)?));
    }
    let unknown = || "unknown".to_owned();
    let mut text = String::new();
    writeln!(text, "libtorch       {}", found.libtorch.unwrap_or_else(unknown))?;
    writeln!(
        text,
        "version        {} (built for {})",
        found.found_version.unwrap_or_else(unknown),
        found.wanted_version
    )?;
    let cuda = match (found.cuda_library, found.cuda_available) {
        (_, true) => format!("yes, {} device(s)", found.cuda_devices),
        (true, false) => "no: libtorch has it, but finds no NVIDIA GPU or driver".to_owned(),
        (false, _) => "no: this libtorch is for the CPU only".to_owned(),
    };
    writeln!(text, "CUDA           {cuda}")?;
    writeln!(text, "MKL, OpenMP    {}, {}", yes(found.mkl), yes(found.openmp))?;
    writeln!(text, "threads        {} of {} cores", found.threads, found.cores)?;
    writeln!(text, "--device auto  {}", found.device)?;
    stage::exit::say(&text)
}

fn yes(there: bool) -> &'static str {
    if there { "yes" } else { "no" }
}
