//! Batches made ahead of time, on background threads.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::batch::Batch;
use crate::error::ClrsError;
use crate::pipeline::{Pipeline, PipelineConfig};
use crate::spec::SpecEntry;

/// Batches of several pipelines in turn: the first of each, then the second of each, and so on without end.
///
/// The order and the batches do not depend on the number of threads: each pipeline has random streams of its own, and
/// they are asked in turn whoever is ready first.
pub struct Loader {
    /// One for each pipeline; `None` once that pipeline has failed.
    queues: Vec<Receiver<Result<Batch, ClrsError>>>,
    turn: usize,
    spec: Vec<SpecEntry>,
    threads: Vec<JoinHandle<()>>,
}

impl Loader {
    /// Starts `threads` threads (at least one, at most one for each pipeline), which keep `ahead` batches (at least
    /// one) of each pipeline ready.
    ///
    /// # Errors
    /// If a pipeline cannot be made, if there is none, or if no thread can be started.
    pub fn new(configs: Vec<PipelineConfig>, threads: usize, ahead: usize) -> Result<Self, ClrsError> {
        let stopped = |reason: &str| ClrsError::LoaderStopped(reason.to_owned());
        let workers = threads.clamp(1, configs.len().max(1));
        let mut shares: Vec<Vec<(Pipeline, SyncSender<_>)>> = (0..workers).map(|_| Vec::new()).collect();
        let mut queues = Vec::with_capacity(configs.len());
        let mut spec = Vec::new();
        for (i, config) in configs.into_iter().enumerate() {
            let pipeline = Pipeline::new(config)?;
            spec = pipeline.spec().to_vec();
            let (sender, receiver) = sync_channel(ahead.max(1));
            queues.push(receiver);
            shares[i % workers].push((pipeline, sender));
        }
        if queues.is_empty() {
            return Err(stopped("there is nothing to load"));
        }
        let spawn = |share| thread::Builder::new().name("loader".into()).spawn(move || serve(share));
        let threads = shares.into_iter().map(spawn).collect::<Result<_, _>>();
        Ok(Self { queues, turn: 0, spec, threads: threads.map_err(|error| stopped(&error.to_string()))? })
    }

    /// The data points of the batches: those of the last pipeline, all being meant to be of one algorithm.
    pub fn spec(&self) -> &[SpecEntry] {
        &self.spec
    }

    /// The next batch.
    ///
    /// # Errors
    /// As [`Pipeline::next`]; also if the threads are gone, after an error.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and fails")]
    pub fn next(&mut self) -> Result<Batch, ClrsError> {
        let queue = &self.queues[self.turn];
        self.turn = (self.turn + 1) % self.queues.len();
        queue.recv().unwrap_or_else(|_| Err(ClrsError::LoaderStopped("a thread ended after an error".to_owned())))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Threads end when they find nobody at the other end of a queue.
        self.queues.clear();
        for thread in self.threads.drain(..) {
            // A panic has already been reported on stderr, and there is nobody to hand it to.
            let _ = thread.join();
        }
    }
}

/// Fills the queues of some pipelines in turn until nobody listens or one of them fails.
///
/// Waiting at a full queue cannot starve another: the consumer takes from all queues in turn, too.
fn serve(mut share: Vec<(Pipeline, SyncSender<Result<Batch, ClrsError>>)>) {
    loop {
        for (pipeline, queue) in &mut share {
            let batch = pipeline.next();
            let failed = batch.is_err();
            if queue.send(batch).is_err() || failed {
                return;
            }
        }
    }
}
