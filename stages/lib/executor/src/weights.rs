//! Weights at rest: named arrays, in safetensors files.
//!
//! Names are `processor.<torch name>`, `encoders.<data point>.<k>.weight` and `decoders.<data point>.<k>.weight` (with
//! `bias`), layouts are PyTorch's. So a candidate's own file gives the same outputs in PyTorch, once a first call has made
//! its layers:
//!
//! ```python
//! weights = safetensors.torch.load_file("weights.safetensors")
//! module.load_state_dict({k[10:]: v for k, v in weights.items() if k.startswith("processor.")})
//! ```

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype as Format, TensorView};

use crate::error::{Error, Result};
use crate::tensor::Dtype;

/// One array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes of all axes, outermost first.
    pub shape: Vec<usize>,
    /// The elements, row-major; as many as the sizes say.
    pub data: Vec<f64>,
}

/// All parameters and buffers of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// By torch names.
    pub arrays: BTreeMap<String, Array>,
    /// The format that numbers are written in.
    pub dtype: Dtype,
}

impl Weights {
    /// Writes a safetensors file, whole or not at all.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let arrays: Vec<_> = self.arrays.iter().map(|(name, array)| (name.as_str(), self.dtype, array)).collect();
        write(path.as_ref(), &arrays, None)
    }

    /// Reads every floating-point tensor of a safetensors file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Ok(read(path.as_ref())?.0)
    }
}

/// What a file says about itself.
pub type Metadata = HashMap<String, String>;

/// Writes arrays, each in a format of its own, as a safetensors file, whole or not at all.
pub fn write(path: &Path, arrays: &[(&str, Dtype, &Array)], metadata: Option<Metadata>) -> Result<()> {
    let fail = |reason: String| Error::File { path: path.to_owned(), reason };
    let bytes: Vec<Vec<u8>> = arrays
        .iter()
        .map(|(_, dtype, array)| match dtype {
            Dtype::F32 | Dtype::Tf32 | Dtype::Bf16 => {
                array.data.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect()
            }
            Dtype::F64 => array.data.iter().flat_map(|&x| x.to_le_bytes()).collect(),
        })
        .collect();
    let format = |dtype: Dtype| match dtype {
        Dtype::F32 | Dtype::Tf32 | Dtype::Bf16 => Format::F32,
        Dtype::F64 => Format::F64,
    };
    let views = arrays
        .iter()
        .zip(&bytes)
        .map(|((name, dtype, array), bytes)| Ok((*name, TensorView::new(format(*dtype), array.shape.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| fail(error.to_string()))?;
    let content = safetensors::serialize(views, &metadata).map_err(|error| fail(error.to_string()))?;

    atomic::write_bytes(path, &content).map_err(|error| fail(error.root_cause().to_string()))
}

/// Reads every floating-point tensor of a safetensors file, and what the file says about itself.
pub fn read(path: &Path) -> Result<(Weights, Metadata)> {
    let fail = |reason: String| Error::File { path: path.to_owned(), reason };
    let content = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    let broken = |error| fail(format!("not a safetensors file of tensors ({error:?})"));
    let file = SafeTensors::deserialize(&content).map_err(broken)?;
    let (_, header) = SafeTensors::read_metadata(&content).map_err(broken)?;
    let mut weights = Weights { arrays: BTreeMap::new(), dtype: Dtype::F32 };
    for (name, view) in file.tensors() {
        let data = numbers(&view).ok_or_else(|| fail(format!("tensor {name} is of type {:?}", view.dtype())))?;
        if view.dtype() == Format::F64 {
            weights.dtype = Dtype::F64;
        }
        weights.arrays.insert(name, Array { shape: view.shape().to_vec(), data });
    }
    Ok((weights, header.metadata().clone().unwrap_or_default()))
}

fn numbers(view: &TensorView<'_>) -> Option<Vec<f64>> {
    let bytes = view.data();
    match view.dtype() {
        Format::F32 => Some(words(bytes, |w| f64::from(f32::from_le_bytes(w)))),
        Format::F64 => Some(words(bytes, f64::from_le_bytes)),
        Format::I64 => Some(words(bytes, |w| i64::from_le_bytes(w) as f64)),
        Format::I32 => Some(words(bytes, |w| f64::from(i32::from_le_bytes(w)))),
        Format::BOOL | Format::U8 => Some(words(bytes, |[byte]: [u8; 1]| f64::from(byte))),
        _ => None,
    }
}

fn words<const SIZE: usize>(bytes: &[u8], read: impl Fn([u8; SIZE]) -> f64) -> Vec<f64> {
    bytes.chunks_exact(SIZE).map(|chunk| read(std::array::from_fn(|at| chunk.get(at).copied().unwrap_or(0)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(dtype: Dtype) -> Weights {
        let array = |shape: &[usize], data: &[f64]| Array { shape: shape.to_vec(), data: data.to_vec() };
        let arrays = BTreeMap::from([
            ("processor.m_1.weight".to_owned(), array(&[2, 3], &[0.5, -1.0, 2.0, 0.25, 0.0, 3.0])),
            ("decoders.pi.0.bias".to_owned(), array(&[1], &[0.125])),
        ]);
        Weights { arrays, dtype }
    }

    #[test]
    fn files_give_back_what_was_saved_and_are_byte_equal() {
        let folder = tempfile::tempdir().expect("a folder");
        for dtype in [Dtype::F32, Dtype::F64] {
            let (one, two) = (folder.path().join("one"), folder.path().join("two"));
            some(dtype).save(&one).expect("saves");
            some(dtype).save(&two).expect("saves");
            assert_eq!(Weights::load(&one).expect("loads"), some(dtype));
            assert_eq!(std::fs::read(&one).expect("reads"), std::fs::read(&two).expect("reads"));
        }
    }

    #[test]
    fn a_broken_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("broken.safetensors");
        std::fs::write(&path, b"not tensors").expect("writes");
        let message = Weights::load(&path).expect_err("is broken").to_string();
        assert!(message.contains("broken.safetensors"), "{message}");
        assert!(some(Dtype::F32).save(folder.path().join("no/such/folder")).is_err());
    }
}
