//! Adam with clipping by the global norm, as the benchmark trains (`clip_by_global_norm`, then `adam`).

use tch::Tensor;

use executor::tensor::{from_f64, item, to_f64};

use crate::Device;
use crate::error::Result;
use crate::threads::OneThread;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
/// Outside the root, after bias correction.
const EPSILON: f64 = 1e-8;

/// The optimiser's state for one flat tensor of parameters.
pub(crate) struct Adam {
    pub learning_rate: f64,
    /// Largest norm of a gradient; 0 for no clipping.
    pub clip: f64,
    mean: Tensor,
    square: Tensor,
    steps: i32,
}

/// Running means of gradients and of their squares.
pub(crate) struct Moments {
    pub mean: Vec<f64>,
    pub square: Vec<f64>,
}

impl Adam {
    pub fn new(flat: &Tensor, learning_rate: f64, clip: f64) -> Result<Self> {
        let zeros = || -> Result<Tensor> { Ok(flat.f_zeros_like()?) };
        Ok(Self { learning_rate, clip, mean: zeros()?, square: zeros()?, steps: 0 })
    }

    /// Updates `flat` in place and returns the gradient's norm before clipping. A norm that is not finite changes nothing.
    pub fn step(&mut self, flat: &mut Tensor, gradient: &Tensor) -> Result<f64> {
        // The norm is a long sum, which several threads would share out.
        let _alone = OneThread::new();
        let norm = item(&gradient.f_norm()?)?;
        if !norm.is_finite() {
            return Ok(norm);
        }
        // No epsilon, and untouched below the limit: as optax does it.
        let clipped = if self.clip > 0.0 && norm >= self.clip {
            gradient.f_div_scalar(norm)?.f_mul_scalar(self.clip)?
        } else {
            gradient.shallow_clone()
        };
        self.steps += 1;
        let _ = self.mean.f_mul_scalar_(BETA1)?.f_add_(&clipped.f_mul_scalar(1.0 - BETA1)?)?;
        let _ = self.square.f_mul_scalar_(BETA2)?.f_add_(&clipped.f_square()?.f_mul_scalar_(1.0 - BETA2)?)?;
        let mean = self.mean.f_div_scalar(1.0 - BETA1.powi(self.steps))?;
        let mut root = self.square.f_div_scalar(1.0 - BETA2.powi(self.steps))?.f_sqrt()?;
        let step = mean.f_div(&root.f_add_scalar_(EPSILON)?)?.f_mul_scalar(self.learning_rate)?;
        let _ = flat.f_sub_(&step)?;
        Ok(norm)
    }

    /// The means, and the number of steps that they are of.
    pub fn state(&self) -> Result<(Vec<f64>, Vec<f64>, i32)> {
        Ok((to_f64(&self.mean)?, to_f64(&self.square)?, self.steps))
    }

    /// Goes on from a state of a vector of the same length.
    pub fn restore(&mut self, mean: &[f64], square: &[f64], steps: i32) -> Result<()> {
        let device = Device(self.mean.device());
        let values = |data: &[f64]| from_f64(data, &self.mean.size(), self.mean.f_kind()?, device);
        (self.mean, self.square) = (values(mean)?, values(square)?);
        self.steps = steps;
        Ok(())
    }

    pub fn moments(&self) -> Result<Moments> {
        Ok(Moments { mean: to_f64(&self.mean)?, square: to_f64(&self.square)? })
    }
}
