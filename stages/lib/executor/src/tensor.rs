//! Small bridges between plain Rust data and libtorch's tensors.

use tch::{Kind, Tensor};

use crate::Device;
use crate::error::{Error, Result};

pub use graph::Dtype;

/// What libtorch calls a number format.
pub trait TorchKind {
    /// The type of elements, as libtorch calls it.
    fn kind(self) -> Kind;
}

impl TorchKind for Dtype {
    fn kind(self) -> Kind {
        match self {
            Self::F32 | Self::Tf32 | Self::Bf16 => Kind::Float,
            Self::F64 => Kind::Double,
        }
    }
}

/// A size as libtorch counts.
pub fn size(value: usize) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::Inconsistent(format!("size {value} is too large")))
}

/// A shape as libtorch takes it.
pub fn sizes(shape: &[usize]) -> Result<Vec<i64>> {
    shape.iter().map(|&s| size(s)).collect()
}

/// Row-major numbers as a tensor.
pub fn from_f64(data: &[f64], shape: &[i64], kind: Kind, device: Device) -> Result<Tensor> {
    let want: i64 = shape.iter().product();
    if i64::try_from(data.len()).ok() != Some(want) {
        return Err(Error::Inconsistent(format!("{} numbers do not fill {shape:?}", data.len())));
    }
    Ok(Tensor::f_from_slice(data)?.f_to_kind(kind)?.f_reshape(shape)?.f_to(device.0)?)
}

/// A tensor's numbers, row-major.
pub fn to_f64(tensor: &Tensor) -> Result<Vec<f64>> {
    let flat = tensor.f_detach()?.f_to(tch::Device::Cpu)?.f_to_kind(Kind::Double)?.f_contiguous()?.f_view([-1_i64])?;
    let mut data = vec![0.0; flat.numel()];
    let count = data.len();
    flat.f_copy_data(&mut data, count)?;
    Ok(data)
}

/// A tensor of one number.
pub fn item(tensor: &Tensor) -> Result<f64> {
    Ok(tensor.f_detach()?.f_double_value(&[])?)
}
