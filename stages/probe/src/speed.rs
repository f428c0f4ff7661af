//! How long steps take.

use anyhow::Result;
use network::speed::{Settings, measure};
use program::Options;

use crate::args::SpeedArgs;
use crate::programs;

pub fn run(args: &SpeedArgs) -> Result<()> {
    let device = network::init(&args.machine.device, args.machine.threads)?;
    let processor = programs::from_file(&args.program, &Options { hidden: args.hidden, ..Options::default() })?;
    let settings = Settings {
        algorithm: args.algorithm.clone(),
        length: args.length,
        batch_size: args.batch_size,
        steps: args.steps,
        eval_length: (args.eval_length > 0).then_some(args.eval_length),
        dtype: args.machine.dtype,
        passes: !args.no_passes,
    };
    let speed = measure(&processor, &settings, device)?;
    if args.machine.json {
        return stage::exit::print(&format!("{}\n", serde_json::to_string(&speed)?));
    }
    let mut text = format!("training step   {:.3} s (median of {}, {device})\n", speed.train_step_s, args.steps.max(1));
    if let Some(seconds) = speed.eval_s {
        text += &format!("evaluation      {seconds:.3} s ({} samples at N={})\n", args.batch_size, args.eval_length);
    }
    stage::exit::print(&text)
}
