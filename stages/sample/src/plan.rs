//! The command line, resolved: what is drawn, and where it goes.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use clrs::{Algorithm, ClrsError, SamplerArgs, SamplerConfig, Split, algorithms, find_algorithm};
use stage::Usage;

use crate::args::{Args, Draw};

const LENGTH: usize = 16;
const BATCH_SIZE: usize = 32;
/// Least length at which string matching can be drawn with the needles of training.
const LEAST_WITH_TRAINING_NEEDLE: usize = 17;

/// Format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Parquet,
    Jsonl,
}

impl Format {
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Jsonl => "jsonl",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "parquet" => Ok(Self::Parquet),
            "jsonl" => Ok(Self::Jsonl),
            _ => Err("a table is parquet or jsonl".to_owned()),
        }
    }
}

/// All there is to do.
pub struct Plan {
    pub draws: Vec<Request>,
    pub work: Work,
    pub quiet: bool,
}

pub enum Work {
    Digest,
    Tables(Target),
}

/// Where rows go.
#[derive(Clone, Debug)]
pub enum Target {
    /// JSONL on stdout, all algorithms one after the other.
    Stdout,
    File(PathBuf, Format),
    /// A file for each algorithm.
    Folder(PathBuf, Format),
}

/// What is drawn of one algorithm.
pub struct Request {
    pub algorithm: &'static Algorithm,
    pub split: Option<Split>,
    pub config: SamplerConfig,
    pub extent: Extent,
    /// Seed of the random positions, if batches are transformed as in training.
    pub pipeline: Option<u32>,
}

/// How much is drawn.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    Batches {
        size: usize,
        count: usize,
    },
    /// Every sample of a finite dataset, in order.
    Everything,
}

impl Plan {
    /// # Errors
    /// [`Usage`], for whatever is wrong with the arguments, before anything is drawn or written.
    pub fn new(args: &Args) -> Result<Self> {
        let (chosen, several) = choose(&args.algorithm)?;
        let draws = chosen.into_iter().map(|algorithm| Request::new(algorithm, &args.draw, several));
        let draws = draws.collect::<Result<Vec<_>>>()?;
        let work = if args.digest { Work::Digest } else { Work::Tables(target(&args.output, args.format, several)?) };
        Ok(Self { draws, work, quiet: args.quiet })
    }
}

/// The algorithms named, and whether that may be more than one.
pub fn choose(names: &[String]) -> Result<(Vec<&'static Algorithm>, bool)> {
    if names.iter().any(|name| name == "all") {
        return Ok((algorithms().iter().collect(), true));
    }
    let mut chosen: Vec<&'static Algorithm> = Vec::with_capacity(names.len());
    for name in names {
        let algorithm = find_algorithm(name.trim()).map_err(|error| match error {
            ClrsError::UnknownAlgorithm { nearest: None, .. } => Usage(format!("{error}; sample --list shows all")),
            error => Usage(error.to_string()),
        })?;
        if !chosen.iter().any(|known| known.name == algorithm.name) {
            chosen.push(algorithm);
        }
    }
    let several = chosen.len() > 1;
    Ok((chosen, several))
}

fn target(output: &Path, format: Format, several: bool) -> Result<Target> {
    if output == Path::new("-") {
        return Ok(Target::Stdout);
    }
    if several || output.is_dir() || output.as_os_str().to_string_lossy().ends_with('/') {
        if output.is_file() {
            let message = format!("{}: several algorithms need a folder, and this is a file", output.display());
            return Err(Usage(message).into());
        }
        return Ok(Target::Folder(output.to_owned(), format));
    }
    match output.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => Ok(Target::File(output.to_owned(), Format::Parquet)),
        Some("jsonl" | "ndjson") => Ok(Target::File(output.to_owned(), Format::Jsonl)),
        _ if output.starts_with("/dev") => Ok(Target::File(output.to_owned(), Format::Jsonl)),
        _ => {
            let message = format!("{}: a table's name ends in .parquet or .jsonl", output.display());
            Err(Usage(message).into())
        }
    }
}

impl Request {
    fn new(algorithm: &'static Algorithm, draw: &Draw, several: bool) -> Result<Self> {
        if draw.batches == Some(0) {
            return Err(Usage("--batches must be at least 1".to_owned()).into());
        }
        let config = sampler_config(algorithm, draw, several);
        config.validate(algorithm).map_err(|error| explain(error, draw))?;
        let finite = config.num_samples.is_some();
        let extent = if finite && draw.batch_size.is_none() && draw.batches.is_none() {
            Extent::Everything
        } else {
            Extent::Batches { size: draw.batch_size.unwrap_or(BATCH_SIZE), count: draw.batches.unwrap_or(1) }
        };
        if let Extent::Batches { size, .. } = extent {
            config.validate_batch(size).map_err(|error| explain(error, draw))?;
        }
        let pipeline = draw.pipeline.then_some(draw.pos_seed);
        Ok(Self { algorithm, split: draw.split, config, extent, pipeline })
    }

    /// The command that draws this, whatever was typed: kept in files, so that equal data makes equal files.
    pub fn command(&self) -> String {
        let SamplerConfig { seed, length, num_samples, args, track_max_steps } = &self.config;
        let mut command = format!("sample --algorithm {} --length {length} --seed {seed}", self.algorithm.name);
        let mut add = |text: String| command.push_str(&text);
        if let Some(split) = self.split {
            add(format!(" --split {split}"));
        }
        let usual = self.split.and_then(|split| split.config(self.algorithm).num_samples);
        if let Some(samples) = num_samples.filter(|samples| usual != Some(*samples)) {
            add(format!(" --num-samples {samples}"));
        }
        if let Extent::Batches { size, count } = self.extent {
            add(format!(" --batch-size {size} --batches {count}"));
        }
        if let Some(p) = &args.p {
            add(format!(" --p {}", p.iter().map(f64::to_string).collect::<Vec<_>>().join(",")));
        }
        if let Some(needle) = args.length_needle {
            add(format!(" --length-needle {needle}"));
        }
        if args.p.is_none() && args.length_needle.is_none() && self.split.is_none() {
            add(" --sampler-defaults".to_owned());
        }
        if !track_max_steps && num_samples.is_none() {
            add(" --no-track-max-steps".to_owned());
        }
        if let Some(seed) = self.pipeline {
            add(format!(" --pipeline --pos-seed {seed}"));
        }
        command
    }
}

fn sampler_config(algorithm: &'static Algorithm, draw: &Draw, several: bool) -> SamplerConfig {
    let training = draw.split.is_none() && !draw.sampler_defaults;
    let mut args = if training { SamplerArgs::training(algorithm) } else { SamplerArgs::default() };
    args.p = draw.p.clone().or(args.p);
    args.length_needle = draw.length_needle.or(args.length_needle);
    if let Some(split) = draw.split {
        let config = split.config(algorithm);
        return SamplerConfig {
            seed: draw.seed.unwrap_or(config.seed),
            length: draw.length.unwrap_or(config.length),
            num_samples: draw.num_samples.or(config.num_samples),
            args,
            ..config
        };
    }
    let length = draw.length.unwrap_or(LENGTH);
    // The reference's trainer draws string matching, whose needle takes nodes too, a quarter longer than the rest.
    let longer = several && algorithm.is_string_matching() && training && draw.length_needle.is_none();
    SamplerConfig {
        seed: draw.seed.unwrap_or(0),
        length: if longer { (length * 5 / 4).max(LEAST_WITH_TRAINING_NEEDLE) } else { length },
        num_samples: draw.num_samples,
        args,
        track_max_steps: !draw.no_track_max_steps,
    }
}

/// A wrong argument, with the way out where there is one.
fn explain(error: ClrsError, draw: &Draw) -> anyhow::Error {
    let way_out = match &error {
        ClrsError::NeedleTooLong { .. } if draw.length_needle.is_none() => {
            "; training draws needles of up to 8: give --length-needle, or --sampler-defaults for a fifth of the length"
        }
        ClrsError::EmptyBatch => "; see --batch-size",
        ClrsError::EmptyDataset => "; see --num-samples",
        _ => "",
    };
    Usage(format!("{error}{way_out}")).into()
}
