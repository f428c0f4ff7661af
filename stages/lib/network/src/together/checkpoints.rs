//! Checkpoints of trainings that run as one: a file for each network, in two sets that are written in turn, of which one is always
//! whole.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use graph::Processor;

use super::{Network, Together};
use crate::checkpoint::{CheckpointWriter, Checkpoints};
use crate::error::{NetworkError, Result};
use crate::train::{Progress, State};

/// Writes checkpoints of all networks, and reads them back.
pub(super) struct Writers {
    to: Checkpoints,
    sets: [Vec<CheckpointWriter>; 2],
    next: usize,
    written: Instant,
}

impl Writers {
    pub fn new(to: &Checkpoints, processor: &Processor, networks: &[Network]) -> Self {
        let code = format!("{}, {} networks together", to.code, networks.len());
        let writer = |set: usize, at: usize, network: &Network| {
            let to = Checkpoints { path: path(&to.path, at, set), code: code.clone(), ..to.clone() };
            CheckpointWriter::new(&to, processor, &network.cfg)
        };
        let set = |set: usize| networks.iter().enumerate().map(|(at, network)| writer(set, at, network)).collect();
        Self { to: to.clone(), sets: [set(0), set(1)], next: 0, written: Instant::now() }
    }

    /// Where all networks were when the later of the whole sets was written. Files that cannot be read are no loss: they are
    /// written for this very training, and what they held is computed again.
    pub fn load(&mut self) -> Option<Vec<(State, Progress)>> {
        let read = |writer: &CheckpointWriter| writer.load(false).ok().flatten();
        let whole = |set: &Vec<CheckpointWriter>| -> Option<Vec<(State, Progress)>> {
            let all = set.iter().map(read).collect::<Option<Vec<_>>>()?;
            let step = all.first()?.0.steps;
            all.iter().all(|(state, _)| state.steps == step).then_some(all)
        };
        let [first, second] = [whole(&self.sets[0]), whole(&self.sets[1])];
        let steps = |found: &Option<Vec<(State, Progress)>>| found.as_ref()?.first().map(|(state, _)| state.steps);
        let later = usize::from(steps(&second) > steps(&first));
        self.next = 1 - later;
        if later == 1 { second } else { first }
    }

    /// Writes a checkpoint if the last one is old enough, or if the training was asked to stop, which it then does.
    pub fn keep(&mut self, trainer: &Together<'_>) -> Result<()> {
        let stops = self.to.stop.is_some_and(|stop| stop.load(Ordering::SeqCst));
        if !stops && self.written.elapsed() < self.to.every {
            return Ok(());
        }
        let written = self.write(trainer);
        self.written = Instant::now();
        if stops {
            written?;
            return Err(NetworkError::Stopped { step: trainer.updates });
        }
        // One that cannot be written is no reason to end: it is only needed if something else goes wrong.
        Ok(())
    }

    fn write(&mut self, trainer: &Together<'_>) -> Result<()> {
        let states = trainer.states()?;
        let set = self.sets.get(self.next).map_or(&[][..], Vec::as_slice);
        for ((writer, state), network) in set.iter().zip(&states).zip(&trainer.networks) {
            writer.save(state, &network.progress)?;
        }
        self.next = 1 - self.next;
        Ok(())
    }
}

/// `checkpoint.safetensors` of one network and set: `checkpoint.3.0.safetensors`.
fn path(of_all: &Path, at: usize, set: usize) -> PathBuf {
    let extension = of_all.extension().map(|extension| extension.to_string_lossy().into_owned());
    of_all.with_extension(format!("{at}.{set}.{}", extension.unwrap_or_default()))
}
