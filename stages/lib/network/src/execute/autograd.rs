//! Values computed by our own loops, with gradients computed by our own loops, among those of libtorch's autograd.

use std::cell::Cell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::error::{NetworkError, Result};

unsafe extern "C" {
    fn network_records() -> bool;
    fn network_attach(
        value: *const C_tensor,
        inputs: *const *const C_tensor,
        count: usize,
        state: *mut c_void,
        backward: unsafe extern "C" fn(*mut c_void, *const C_tensor, *const bool, *mut *mut C_tensor) -> bool,
        release: unsafe extern "C" fn(*mut c_void),
    ) -> *mut C_tensor;
}

/// Given the gradient of a value, and for each input whether its gradient is wanted, answers these gradients.
pub(super) type Backward = Box<dyn FnOnce(&Tensor, &[bool]) -> Result<Vec<Option<Tensor>>> + Send>;

struct State {
    backward: Cell<Option<Backward>>,
    inputs: usize,
}

/// Whether a value computed from `inputs` needs a history.
pub(super) fn records(inputs: &[&Tensor]) -> bool {
    // SAFETY: reads a flag of this thread.
    inputs.iter().any(|x| x.requires_grad()) && unsafe { network_records() }
}

/// `value`, known to libtorch as computed from `inputs`; its memory must not be written to any more. `backward` runs at
/// most once, without recording.
pub(super) fn attach(value: &Tensor, inputs: &[&Tensor], backward: Backward) -> Result<Tensor> {
    let state = Box::new(State { backward: Cell::new(Some(backward)), inputs: inputs.len() });
    let pointers: Vec<*const C_tensor> = inputs.iter().map(|x| x.as_ptr()).collect();
    // SAFETY: the pointers are those of living tensors, and there are as many as stated; the state was made by Box and
    // fits the two functions; the answer is null or a tensor that is ours.
    unsafe {
        let state = Box::into_raw(state).cast::<c_void>();
        let made = network_attach(value.as_ptr(), pointers.as_ptr(), pointers.len(), state, run, release);
        if made.is_null() {
            return Err(NetworkError::Torch("a value could not be given a history".to_owned()));
        }
        Ok(Tensor::from_ptr(made))
    }
}

/// # Safety
/// Called by the node alone: `state` is a [`State`], `wanted` and `answers` have one place for each input.
unsafe extern "C" fn run(
    state: *mut c_void,
    gradient: *const C_tensor,
    wanted: *const bool,
    answers: *mut *mut C_tensor,
) -> bool {
    // SAFETY: as promised; the gradient lives as long as the call, and `clone_from_ptr` counts a reference of its own.
    let (state, wanted, answers, gradient) = unsafe {
        let state = &*state.cast::<State>().cast_const();
        let wanted = std::slice::from_raw_parts(wanted, state.inputs);
        let answers = std::slice::from_raw_parts_mut(answers, state.inputs);
        (state, wanted, answers, Tensor::clone_from_ptr(gradient.cast_mut()))
    };
    let work = || -> Result<Vec<Option<Tensor>>> {
        let _guard = tch::no_grad_guard();
        match state.backward.take() {
            Some(backward) => backward(&gradient, wanted),
            None => Err(NetworkError::Inconsistent("a second backward pass".to_owned())),
        }
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(found)) => {
            for (answer, found) in answers.iter_mut().zip(found) {
                if let Some(found) = found {
                    // the node takes the tensor over
                    *answer = found.as_ptr().cast_mut();
                    std::mem::forget(found);
                }
            }
            true
        }
        _ => false,
    }
}

/// # Safety
/// Called by the node once: `state` is a [`State`] made by Box.
unsafe extern "C" fn release(state: *mut c_void) {
    // SAFETY: as promised.
    drop(unsafe { Box::from_raw(state.cast::<State>()) });
}
