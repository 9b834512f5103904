//! Where a layer's products leave their integer accumulators while somebody wants them.
//!
//! Products are computed by simulations, which outlive a forward pass and do not know their layer: both hold the tap.

use std::sync::{Arc, Mutex, PoisonError};

use burn::prelude::*;

use crate::error::ApproxError;

/// The accumulators of products, or why there are none.
type Accumulators = Vec<Result<TensorData, ApproxError>>;

/// The accumulators of the products since the tap was opened; `None` while it is closed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap(Arc<Mutex<Option<Accumulators>>>);

impl Tap {
    /// Lets accumulators run in from now on.
    pub(crate) fn open(&self) {
        self.set(Some(Vec::new()));
    }

    /// Lets no more run in, and gives what has.
    pub(crate) fn close(&self) -> Accumulators {
        self.set(None).unwrap_or_default()
    }

    /// Takes the accumulators of a product, if they are wanted.
    pub(super) fn take(&self, accumulators: impl FnOnce() -> Result<TensorData, ApproxError>) {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lock().is_none() {
            return;
        }
        // Computed without the lock: while a thread of a pool waits, it may run this very layer.
        let found = accumulators();
        if let Some(taken) = lock().as_mut() {
            taken.push(found);
        }
    }

    fn set(&self, taken: Option<Accumulators>) -> Option<Accumulators> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *guard, taken)
    }
}
