//! What trainings and evaluations share.

use network::NetworkError;
use schemas::Status;
use stage::job::Failure;

/// The processor of a program that was accepted before.
pub fn processor(source: &str, hidden: usize) -> Result<graph::Processor, Failure> {
    let options = program::Options { hidden, need_regions: false, ..program::Options::default() };
    let compiled = program::compile(source, &options);
    compiled.processor.ok_or_else(|| Failure::of_job(Status::Failed, "the program does not compile"))
}

/// Whose fault an error is, and which status a row gets by it.
pub fn failure(error: &NetworkError) -> Failure {
    match error {
        NetworkError::Diverged { .. } => Failure::of_job(Status::Diverged, error),
        NetworkError::OutOfMemory(_) => Failure::of_job(Status::Oom, error),
        // A device-side fault takes the process's whole context with it, as a crash does.
        NetworkError::Torch(message) if message.contains("CUDA error") => Failure::of_job(Status::Crashed, error),
        NetworkError::Device { .. } | NetworkError::File { .. } => Failure::of_machine(error),
        _ => Failure::of_job(Status::Failed, error),
    }
}
