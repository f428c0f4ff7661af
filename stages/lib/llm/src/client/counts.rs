//! What a service counts as a prompt's tokens, beside our guesses: how good those are, and whether it has cut a prompt.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::error::{CallError, Kind};

/// Guesses below this say little: what the service puts around a short prompt counts for more than the prompt.
const SHORTEST: u64 = 500;
/// Counts below this are not those of a context that was cut.
const SMALLEST_CONTEXT: u64 = 1024;
/// The share of a prompt below which it was cut, where nothing but the guess is known of its size ...
const CUT_OF_A_GUESS: f64 = 0.6;
/// ... and where other prompts have shown how the service counts.
const CUT_OF_WHAT_IS_KNOWN: f64 = 0.8;
/// Tokens for each guessed one before the service has counted: guesses were 15 to 40 % too low for small vocabularies.
const UNKNOWN: f64 = 1.4;

/// For each model the largest and the smallest count for each guessed token.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<String, (f64, f64)>>);

impl Counts {
    fn known(&self, model: &str) -> Option<(f64, f64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(model).copied()
    }

    /// What a prompt will be counted as, rather too much than too little.
    pub fn expected(&self, model: &str, guess: u64) -> u64 {
        let rate = self.known(model).map_or(UNKNOWN, |(_, most)| most);
        (guess as f64 * rate).ceil() as u64
    }

    /// Takes note of a count.
    ///
    /// # Errors
    /// Where it is so low that the service must have cut the prompt, and `strict`.
    pub fn check(&self, model: &str, guess: u64, counted: u64, strict: bool) -> Result<(), CallError> {
        if guess < SHORTEST || counted == 0 {
            return Ok(());
        }
        let rate = counted as f64 / guess as f64;
        let known = self.known(model);
        let least = known.map_or(CUT_OF_A_GUESS, |(_, most)| (CUT_OF_WHAT_IS_KNOWN * most).max(CUT_OF_A_GUESS));
        if strict && counted >= SMALLEST_CONTEXT && rate < least {
            let expected = known.map_or(guess as f64, |(_, most)| most * guess as f64);
            let message = format!(
                "the server counts {counted} tokens of a prompt of about {expected:.0}: it has cut the prompt to its context \
                 without saying so. Give the model a longer context (Ollama: OLLAMA_CONTEXT_LENGTH or num_ctx); if the server \
                 leaves out what it had cached, set llm.check_prompt = false"
            );
            return Err(CallError::new(Kind::Context, message));
        }
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (least, most) = rates.entry(model.to_owned()).or_insert((rate, rate));
        (*least, *most) = (least.min(rate), most.max(rate));
        Ok(())
    }

    /// In words; none before a service has counted.
    pub fn summary(&self) -> Option<String> {
        let rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(model, (least, most)): (&String, &(f64, f64))| {
            format!("{model} counts {least:.2} to {most:.2} tokens for each guessed one")
        };
        Some(rates.iter().map(of).collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_prompt_is_found_by_the_guess_and_better_by_what_is_known() {
        let counts = Counts::default();
        assert_eq!(counts.check("m", 7000, 4096, true).unwrap_err().kind, Kind::Context);
        // 4096 of 6500 might be a service that counts few tokens, until it has counted another prompt
        counts.check("n", 6500, 4096, true).unwrap();
        counts.check("m", 2000, 2400, true).unwrap();
        let error = counts.check("m", 6500, 4096, true).unwrap_err();
        assert!(error.message.contains("4096 tokens of a prompt of about 7800"), "{error}");
        counts.check("m", 6500, 4096, false).unwrap();
        assert!(counts.summary().unwrap().starts_with("m counts 0.63 to 1.20"));
    }

    #[test]
    fn servers_that_do_not_really_count_are_left_alone() {
        let counts = Counts::default();
        for counted in [0, 3, 10, 1000] {
            counts.check("m", 7000, counted, true).unwrap();
        }
        counts.check("short", 30, 5000, true).unwrap();
        assert_eq!(counts.expected("short", 100), 140);
    }
}
