//! Weights under the names of the exported module.
//!
//! The file's header is written here, in order, so that the same weights give the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use graph::{Param, start};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

/// The bytes of a safetensors file with the parameters of `names` (each with its name in the file), taken from the weights at
/// `path`. Buffers that such files do not hold start as in every network.
pub fn renamed(path: &Path, names: &[(Param, String)], metadata: &BTreeMap<&str, String>) -> Result<Vec<u8>> {
    let content = std::fs::read(path).with_context(|| path.display().to_string())?;
    let stored = SafeTensors::deserialize(&content)
        .map_err(|error| anyhow::anyhow!("{}: not a safetensors file ({error:?})", path.display()))?;
    let of_other = "are these the settings that it was trained with? Give the run's own with --config RUN/config.toml";
    let dtype = stored.tensors().first().map_or(Dtype::F32, |(_, tensor)| tensor.dtype());
    let format = match dtype {
        Dtype::F32 => "F32",
        Dtype::F64 => "F64",
        other => bail!("{}: weights of type {other:?} are not of this pipeline", path.display()),
    };
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata));
    let mut data: Vec<u8> = Vec::new();
    for (param, name) in names {
        let begin = data.len();
        match stored.tensor(&param.name) {
            Ok(tensor) if tensor.shape() == param.shape && tensor.dtype() == dtype => data.extend(tensor.data()),
            Ok(tensor) => {
                bail!("{} has shape {:?}, the network needs {:?}: {of_other}", param.name, tensor.shape(), param.shape)
            }
            Err(_) if param.transient => {
                for value in start::transient(param)? {
                    match dtype {
                        Dtype::F64 => data.extend(value.to_le_bytes()),
                        _ => data.extend((value as f32).to_le_bytes()),
                    }
                }
            }
            Err(_) => bail!("{}: {} is missing: {of_other}", path.display(), param.name),
        }
        let entry = json!({ "dtype": format, "shape": param.shape, "data_offsets": [begin, data.len()] });
        if header.insert(name.clone(), entry).is_some() {
            bail!("two parameters are called {name}");
        }
    }
    let mut text = Value::Object(header).to_string();
    // Numbers begin at a multiple of eight bytes.
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    let mut file = (text.len() as u64).to_le_bytes().to_vec();
    file.extend(text.as_bytes());
    file.append(&mut data);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use graph::{Init, Span};

    use super::*;

    fn param(name: &str, shape: &[usize], transient: bool) -> Param {
        let (init, span, shape) = (Init::Constant(0.5), Span::default(), shape.to_vec());
        Param { name: name.into(), aliases: Vec::new(), shape, init, trainable: !transient, transient, span }
    }

    #[test]
    fn weights_get_the_module_s_names_and_absent_buffers_their_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.safetensors");
        let own = [(param("processor.a b", &[2], false), "processor.a b".to_owned())];
        // What is read is written by the same rules: a file with one buffer is the first file.
        let first = [(param("processor.a b", &[2], true), "processor.a b".to_owned())];
        let none = BTreeMap::new();
        let empty: Vec<u8> = [2_u64.to_le_bytes().as_slice(), b"{}"].concat();
        std::fs::write(&path, empty).expect("writes");
        let bytes = renamed(&path, &first, &none).expect("a buffer");
        std::fs::write(&path, &bytes).expect("writes");

        let names = [(own[0].0.clone(), "processor.a_b".to_owned())];
        let about = BTreeMap::from([("task", "dfs".to_owned())]);
        let bytes = renamed(&path, &names, &about).expect("it is there");
        assert_eq!(bytes, renamed(&path, &names, &about).expect("the same bytes"));
        let file = SafeTensors::deserialize(&bytes).expect("a file");
        let tensor = file.tensor("processor.a_b").expect("renamed");
        assert_eq!(tensor.data(), [0.5_f32.to_le_bytes(), 0.5_f32.to_le_bytes()].concat());

        let wrong = [(param("processor.a b", &[3], false), "x".to_owned())];
        let message = renamed(&path, &wrong, &none).expect_err("another shape").to_string();
        assert!(message.contains("[2]") && message.contains("--config"), "{message}");
        let absent = [(param("processor.c", &[3], false), "x".to_owned())];
        assert!(renamed(&path, &absent, &none).is_err());
    }
}
