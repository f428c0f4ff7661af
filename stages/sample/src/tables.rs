//! Writes tables to where they go.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use stage::Progress;

use crate::plan::{Extent, Format, Plan, Request, Target, Work};
use crate::{jsonl, parquet, source};

/// Draws and writes all that the plan asks for.
pub fn write(plan: &Plan) -> Result<()> {
    let Work::Tables(target) = &plan.work else { return Ok(()) };
    if let Target::Folder(folder, _) = target {
        stage::atomic::make_folder(folder)?;
    }
    let progress = Progress::new("sample", plan.draws.len(), plan.quiet || matches!(target, Target::Stdout));
    for request in &plan.draws {
        let name = request.algorithm.name;
        progress.note(name);
        let mut rows = 0;
        let mut count = |samples: usize| {
            rows += samples;
            progress.note(&format!("{name}: {rows} of {} samples", expected(request)));
        };
        match target {
            Target::Stdout => {
                let mut out = BufWriter::new(std::io::stdout().lock());
                write_jsonl(request, &mut out, &mut count)?;
                out.flush()?;
            }
            Target::File(path, format) => write_file(request, path, *format, &mut count)?,
            Target::Folder(folder, format) => {
                let path = folder.join(format!("{name}.{}", format.extension()));
                write_file(request, &path, *format, &mut count)?;
            }
        }
        progress.item(&format!("{name}, {rows} samples"));
    }
    Ok(())
}

fn expected(request: &Request) -> usize {
    match request.extent {
        Extent::Batches { size, count } => size * count,
        Extent::Everything => request.config.num_samples.unwrap_or(0),
    }
}

fn write_file(request: &Request, path: &Path, format: Format, count: &mut impl FnMut(usize)) -> Result<()> {
    stage::atomic::write(path, |out| match format {
        Format::Parquet => parquet::write(request, out, count),
        Format::Jsonl => write_jsonl(request, out, count),
    })
}

fn write_jsonl(request: &Request, out: &mut dyn Write, count: &mut impl FnMut(usize)) -> Result<()> {
    source::pieces(request, |piece| {
        for line in jsonl::lines(request, &piece) {
            out.write_all(line.as_bytes())?;
        }
        count(piece.samples.size());
        Ok(())
    })
}
