//! The child's side of a job.

use std::io::{self, Read, Write};

use schemas::Status;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Answer, Failure, Place, Request};
use crate::cache::entry::RESULT;
use crate::{VERSION, atomic};

/// Reads the job from stdin, does it in its folder, and leaves the result there. `code` is the version of this code, which
/// must be that of the parent; `work` gets the job, the place for its files, and a function that tells the parent something.
/// Returns the exit code.
pub fn serve<J: DeserializeOwned, R: Serialize>(
    code: &str,
    work: impl FnOnce(J, &Place, &mut dyn FnMut(&Value)) -> Result<R, Failure>,
) -> u8 {
    match answer(code, work) {
        Ok(()) => 0,
        Err(failure) => {
            tell(&serde_json::json!({ "failed": failure }));
            1
        }
    }
}

fn answer<J: DeserializeOwned, R: Serialize>(
    code: &str,
    work: impl FnOnce(J, &Place, &mut dyn FnMut(&Value)) -> Result<R, Failure>,
) -> Result<(), Failure> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input).map_err(Failure::of_machine)?;
    let not_ours = |error| Failure::of_machine(format!("this subcommand is for the supervisor's use only ({error})"));
    let asked: Request<Value> = serde_json::from_slice(&input).map_err(not_ours)?;
    if asked.code != code || asked.version != VERSION {
        return Err(Failure::of_machine(format!(
            "the worker beside this program is of another build ({VERSION} {code}, and not {} {}): build all programs together",
            asked.version, asked.code
        )));
    }
    let (place, job) = (asked.place, serde_json::from_value(asked.job).map_err(not_ours)?);
    let answer = match work(job, &place, &mut |note| tell(note)) {
        Ok(result) => Answer::Done(result),
        // What only the job's content can have caused would happen again: as good as a result.
        Err(failure) if failure.status == Some(Status::Diverged) => Answer::Failed(failure),
        Err(failure) => return Err(failure),
    };
    let text = serde_json::to_vec_pretty(&answer).map_err(Failure::of_machine)?;
    atomic::write_bytes(&place.folder.join(RESULT), &text).map_err(|error| Failure::of_machine(format!("{error:#}")))
}

fn tell(note: &Value) {
    // A parent that no longer listens is about to end us.
    let _ = writeln!(io::stdout().lock(), "{note}");
}
