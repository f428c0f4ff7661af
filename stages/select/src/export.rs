//! The winner as it leaves the house: its program, its trained weights, a page about both, and its whole network as PyTorch.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use race::Confirmation;
use schemas::Candidate;
use stage::{Config, atomic, cache as results};

use crate::card;
use crate::network::{self, Network};

/// The weights of one training of the winner.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Relative to the cache.
    pub file: PathBuf,
    /// Which of the row's weights these are.
    pub at: usize,
    pub seed: i64,
    /// How many training seeds there were to choose from.
    pub of: usize,
    /// Accuracy of this seed on the out-of-distribution validation split.
    pub ood_acc: Option<f64>,
}

/// Checks that all of it can be written there, before the work is done.
pub fn check(folder: &Path) -> Result<()> {
    Ok(stage::table::check_folder(folder)?)
}

/// Writes the network, `best.safetensors`, `best.md` and `best.py` into `folder`. The program comes last: where it is, all is.
/// `considered`: how many candidates it was chosen from.
pub fn write(
    best: &Candidate,
    considered: usize,
    confirmation: Option<&Confirmation>,
    folder: &Path,
    cache: &Path,
    config: &Config,
) -> Result<()> {
    let chosen = choose(best)?;
    let files = files(best, cache).context(
        "the winner's weights cannot be exported; --best takes only the program, and `train` and `score` make its weights again",
    )?;
    let weights = files.get(chosen.at).context("the best row names no weights")?;
    let content = std::fs::read(weights).with_context(|| weights.display().to_string())?;
    atomic::make_folder(folder)?;
    let network = Network { best, chosen: &chosen, weights: &files, confirmation, config };
    if let Err(error) = network.write(folder) {
        // The program and its weights are worth having without it; those of an earlier export would be another's.
        network::remove(folder)?;
        stage::exit::note(&format!("warning: the winner is exported without its network as PyTorch: {error:#}"));
    }
    atomic::write_bytes(&folder.join("best.safetensors"), &content)?;
    let card = card::card(best, &chosen, considered, confirmation, config);
    atomic::write_bytes(&folder.join("best.md"), card.as_bytes())?;
    atomic::write_bytes(&folder.join("best.py"), best.source.as_bytes())
}

/// The training seed that did best on the split that candidates are chosen by; the first of equals. Never by the test
/// split, whatever the search did.
fn choose(best: &Candidate) -> Result<Chosen> {
    let files = best.weights.as_deref().unwrap_or_default();
    let score = |at: usize| best.ood_acc_seeds.as_ref().and_then(|scores| scores.get(at)).copied();
    let mut chosen: Option<(usize, f64)> = None;
    for at in 0..files.len() {
        let this = score(at).unwrap_or(f64::NEG_INFINITY);
        if chosen.is_none_or(|(_, most)| this > most) {
            chosen = Some((at, this));
        }
    }
    let (at, file) = chosen.and_then(|(at, _)| Some((at, files.get(at)?))).context("the best row names no weights")?;
    let seed = best.train_seeds.as_ref().and_then(|seeds| seeds.get(at)).copied().unwrap_or_default();
    Ok(Chosen { file: PathBuf::from(file), at, seed, of: files.len(), ood_acc: score(at) })
}

/// The weights of all trainings, verified: together they must be those of the row's training.
fn files(best: &Candidate, cache: &Path) -> Result<Vec<PathBuf>> {
    let names = best.weights.as_deref().unwrap_or_default();
    Ok(results::weights::of_row(cache, names, best.train_key.as_deref())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_seed_by_validation_is_chosen_and_the_first_of_equals() {
        let row = |ood: &[f64]| Candidate {
            weights: Some(["a", "b", "c"].map(String::from).to_vec()),
            train_seeds: Some(vec![5, 6, 7]),
            ood_acc_seeds: Some(ood.to_vec()),
            test_acc_seeds: Some(vec![0.9, 0.1, 0.2]),
            ..Candidate::default()
        };
        let chosen = choose(&row(&[0.5, 0.7, 0.7])).expect("there are weights");
        assert_eq!((chosen.seed, chosen.file.to_str(), chosen.of, chosen.ood_acc), (6, Some("b"), 3, Some(0.7)));
        assert_eq!(choose(&row(&[])).expect("scores may lack").seed, 5);
        assert!(choose(&Candidate::default()).is_err());
    }
}
