//! The winner's whole network as PyTorch: a module written from its graph, its weights, the samples that it was scored on,
//! and a script that scores it on them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use check::{Inspectors, Rules, Show};
use clrs::Algorithm;
use graph::Processor;
use model::data::{self, EvalData};
use program::Options;
use pytorch::Module;
use race::Confirmation;
use sample::{Extent, Request};
use schemas::{Candidate, Status};
use serde_json::json;
use stage::config::Split;
use stage::{Config, atomic};

use crate::export::Chosen;
use crate::{page, safetensors};

/// What `python evaluate.py` needs.
const REQUIREMENTS: &str = "torch>=2.4\nsafetensors\npyarrow\n";

/// The winner and what is exported of it.
pub struct Network<'a> {
    pub best: &'a Candidate,
    pub chosen: &'a Chosen,
    /// The weights of all of its trainings.
    pub weights: &'a [PathBuf],
    pub confirmation: Option<&'a Confirmation>,
    pub config: &'a Config,
}

/// A set of samples beside the module.
pub struct Samples {
    pub split: Split,
    /// Relative to the folder.
    pub file: String,
    /// The command that draws them.
    pub command: String,
}

impl Network<'_> {
    /// Writes `model.py`, `model.safetensors`, `trainings/`, `samples/`, `evaluate.py`, `requirements.txt` and `README.md`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let task = self.best.task.as_deref().unwrap_or(&self.config.task.algorithm);
        let algorithm = clrs::algorithm(task).with_context(|| format!("`{task}` is no task of the benchmark"))?;
        let module = self.module(algorithm)?;
        let samples = samples(self.config, algorithm, folder)?;
        self.write_weights(&module, algorithm, &samples, folder)?;
        atomic::write_bytes(&folder.join("evaluate.py"), pytorch::EVALUATE.as_bytes())?;
        atomic::write_bytes(&folder.join("requirements.txt"), REQUIREMENTS.as_bytes())?;
        let page = page::page(self, algorithm, &samples);
        atomic::write_bytes(&folder.join("README.md"), page.as_bytes())?;
        atomic::write_bytes(&folder.join("model.py"), module.source.as_bytes())
    }

    fn module(&self, algorithm: &'static Algorithm) -> Result<Module> {
        let processor = self.processor()?;
        let network = &self.config.network;
        let settings = pytorch::Settings {
            nb_msg_passing_steps: network.nb_msg_passing_steps,
            hint_repred_mode: network.hint_repred_mode,
        };
        let about = format!(
            "Written by emberline {} from the typed graph of the network. No text of the candidate program is in it but the\n\
             names of its layers. It needs PyTorch alone; its weights are in `model.safetensors`.",
            stage::VERSION
        );
        Ok(pytorch::module(&processor, algorithm, settings, &about)?)
    }

    /// The program as a graph. A process of its own looks at it first.
    fn processor(&self) -> Result<Processor> {
        let hidden = self.config.network.hidden;
        let mut rules = Rules { compare: false, ..Rules::new(self.config) };
        rules.options.need_regions = false;
        let candidate = Candidate { source: self.best.source.clone(), ..Candidate::default() };
        let inspection = Inspectors::new(&rules)?.inspect(&candidate, Some(&Show::plain("best.py")))?;
        if inspection.candidate.status == Status::Rejected {
            bail!("the winner's program is not valid\n{}", inspection.text.trim_end());
        }
        // As it was compiled to be trained.
        let options = Options { hidden, need_regions: false, ..Options::default() };
        let compiled = program::compile(&self.best.source, &options);
        compiled.processor.ok_or_else(|| anyhow!("the winner's program does not compile"))
    }

    fn write_weights(
        &self,
        module: &Module,
        algorithm: &'static Algorithm,
        samples: &[Samples],
        folder: &Path,
    ) -> Result<()> {
        let name = |at: usize| match at == self.chosen.at {
            true => "model.safetensors".to_owned(),
            false => format!("trainings/{at}.safetensors"),
        };
        let score = |of: &Option<Vec<f64>>, at: usize| of.as_ref().and_then(|scores| scores.get(at)).copied();
        let seed = |at: usize| self.best.train_seeds.as_ref().and_then(|seeds| seeds.get(at)).copied();
        let trainings = (0..self.weights.len()).map(|at| {
            let (ood, test) = (score(&self.best.ood_acc_seeds, at), score(&self.best.test_acc_seeds, at));
            json!({ "seed": seed(at), "file": name(at), "ood": ood, "test": test })
        });
        let trainings = trainings.collect::<Vec<_>>();
        let splits = samples.iter().map(|of| {
            let Split { name, length, samples, .. } = &of.split;
            json!({ "name": name, "file": of.file, "length": length, "samples": samples, "command": of.command })
        });
        let splits = splits.collect::<Vec<_>>();
        let network = &self.config.network;
        let about = BTreeMap::from([
            ("format", "pt".to_owned()),
            ("task", algorithm.name.to_owned()),
            ("hidden", network.hidden.to_string()),
            ("settings", self.config.to_toml()),
            ("program", self.best.candidate_id.clone()),
            ("source_blake3", blake3::hash(self.best.source.as_bytes()).to_hex().to_string()),
            ("model_blake3", blake3::hash(module.source.as_bytes()).to_hex().to_string()),
            ("ood_acc", json!(self.best.ood_acc).to_string()),
            ("test_acc", json!(self.best.test_acc).to_string()),
            ("trainings", json!(trainings).to_string()),
            ("splits", json!(splits).to_string()),
            ("emberline", stage::VERSION.to_owned()),
        ]);
        if self.weights.len() > 1 {
            atomic::make_folder(&folder.join("trainings"))?;
        }
        for (at, path) in self.weights.iter().enumerate() {
            let own = BTreeMap::from([
                ("format", "pt".to_owned()),
                ("task", algorithm.name.to_owned()),
                ("seed", json!(seed(at)).to_string()),
            ]);
            let bytes =
                safetensors::renamed(path, &module.parameters, if at == self.chosen.at { &about } else { &own })?;
            atomic::write_bytes(&folder.join(name(at)), &bytes)?;
        }
        Ok(())
    }
}

/// Removes what [`Network::write`] writes, as far as it is there.
pub fn remove(folder: &Path) -> Result<()> {
    for name in ["model.py", "README.md", "evaluate.py", "model.safetensors", "requirements.txt"] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context(path.display().to_string()),
            _ => {}
        }
    }
    Ok(())
}

/// Draws the samples on which a run's candidates are scored, as `sample` writes them.
fn samples(config: &Config, algorithm: &'static Algorithm, folder: &Path) -> Result<Vec<Samples>> {
    atomic::make_folder(&folder.join("samples"))?;
    let mut all = Vec::new();
    for split in config.splits(algorithm.name) {
        let data = if split.of_benchmark { EvalData::Test } else { EvalData::Validation };
        let drawn = data::evaluation(algorithm, data, split.length, split.samples, split.seed);
        let request = Request {
            algorithm,
            split: split.of_benchmark.then_some(clrs::Split::Test),
            config: drawn.sampler,
            extent: Extent::Everything,
            pipeline: drawn.random_pos,
        };
        let file = format!("samples/{}.parquet", split.name);
        atomic::write(&folder.join(&file), |out| sample::write_parquet(&request, out, |_| ()))?;
        all.push(Samples { split, file, command: request.command() });
    }
    Ok(all)
}
