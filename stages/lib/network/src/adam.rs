//! Adam with clipping by the global norm, as the benchmark trains (`clip_by_global_norm`, then `adam`).

use tch::Tensor;

use executor::tensor::{from_f64, item, size, to_f64};

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

/// Which elements of a vector of parameters are those of which of several networks.
pub(crate) struct Networks {
    /// The places of each network's elements, one network after the other.
    pub places: Tensor,
    /// The network of each element.
    owners: Tensor,
}

impl Networks {
    /// `places`: see [`executor::Parameters::places`]; all networks have equally many.
    pub fn new(places: &[usize], networks: usize, device: Device) -> Result<Self> {
        let each = (places.len() / networks.max(1)).max(1);
        let mut owners = vec![0; places.len()];
        for (at, &place) in places.iter().enumerate() {
            if let Some(owner) = owners.get_mut(place) {
                *owner = size(at / each)?;
            }
        }
        let places = places.iter().map(|&place| size(place)).collect::<executor::Result<Vec<i64>>>()?;
        let on_device = |numbers: &[i64]| -> Result<Tensor> { Ok(Tensor::f_from_slice(numbers)?.f_to(device.0)?) };
        Ok(Self { places: on_device(&places)?, owners: on_device(&owners)? })
    }

    /// A number of each network for each of its elements.
    fn spread(&self, numbers: &[f64], like: &Tensor) -> Result<Tensor> {
        let numbers = from_f64(numbers, &[size(numbers.len())?], like.f_kind()?, Device(like.device()))?;
        Ok(numbers.f_index_select(0, &self.owners)?)
    }
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
        let step = self.moved(&clipped)?;
        let _ = flat.f_sub_(&step)?;
        Ok(norm)
    }

    /// As [`Adam::step`] for several networks whose parameters lie in one vector: each gradient is clipped by its own norm. Those
    /// for which `going` does not hold, and those whose norm is not finite, stay where they are.
    pub fn step_of_many(
        &mut self,
        flat: &mut Tensor,
        gradient: &Tensor,
        networks: &Networks,
        going: &[bool],
    ) -> Result<Vec<f64>> {
        let _alone = OneThread::new();
        let own = gradient.f_index_select(0, &networks.places)?.f_view([size(going.len())?, -1])?;
        let norms = own.f_norm_scalaropt_dim(2.0, 1, false)?;
        let found = to_f64(&norms)?;
        let clips = |norm: &f64| self.clip > 0.0 && *norm >= self.clip;
        // Dividing and multiplying by 1 changes nothing.
        let divisors: Vec<f64> = found.iter().map(|norm| if clips(norm) { *norm } else { 1.0 }).collect();
        let factors: Vec<f64> = found.iter().map(|norm| if clips(norm) { self.clip } else { 1.0 }).collect();
        let clipped = gradient.f_div(&networks.spread(&divisors, gradient)?)?;
        let step = self.moved(&clipped.f_mul(&networks.spread(&factors, gradient)?)?)?;
        let moves: Vec<bool> = going.iter().zip(&found).map(|(&going, norm)| going && norm.is_finite()).collect();
        if moves.iter().all(|&moves| moves) {
            let _ = flat.f_sub_(&step)?;
        } else {
            let moves: Vec<f64> = moves.iter().map(|&moves| f64::from(u8::from(moves))).collect();
            let moved = flat.f_sub(&step)?.f_where_self(&networks.spread(&moves, gradient)?.f_gt(0.0)?, flat)?;
            flat.f_copy_(&moved)?;
        }
        Ok(found)
    }

    /// Takes a gradient into the means; returns what the parameters are to be reduced by.
    fn moved(&mut self, clipped: &Tensor) -> Result<Tensor> {
        self.steps += 1;
        let _ = self.mean.f_mul_scalar_(BETA1)?.f_add_(&clipped.f_mul_scalar(1.0 - BETA1)?)?;
        let _ = self.square.f_mul_scalar_(BETA2)?.f_add_(&clipped.f_square()?.f_mul_scalar_(1.0 - BETA2)?)?;
        let mean = self.mean.f_div_scalar(1.0 - BETA1.powi(self.steps))?;
        let mut root = self.square.f_div_scalar(1.0 - BETA2.powi(self.steps))?.f_sqrt()?;
        Ok(mean.f_div(&root.f_add_scalar_(EPSILON)?)?.f_mul_scalar(self.learning_rate)?)
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
