//! What is kept of a layer's weight from one forward pass to the next: its codes, mapped and packed as a plan's engine wants
//! them.
//!
//! Nothing is ever looked up by name, so nothing can be stale: the layer makes a new, empty [`KeptWeight`] whenever the weight or
//! its quantiser is not the very tensor that it was (see `nn::approximation`), and what a backend puts into it says for
//! which plan it was made.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use crate::PreparedMultiplier;
use crate::plan::{Engine, PlanKind};

/// A place for what a backend derives from one weight and its quantiser.
#[derive(Clone, Default)]
pub(crate) struct KeptWeight(Arc<Mutex<Option<Entry>>>);

struct Entry {
    multiplier: PreparedMultiplier,
    route: (PlanKind, Engine),
    value: Arc<dyn Any + Send + Sync>,
}

impl KeptWeight {
    /// What was kept for this operation's multiplier and plan, or else what `make` returns, which is then kept.
    pub(crate) fn get<T: Any + Send + Sync>(
        kept: Option<&Self>,
        multiplier: &PreparedMultiplier,
        route: (PlanKind, Engine),
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let Some(Self(place)) = kept else {
            return Arc::new(make());
        };
        let lock = || place.lock().unwrap_or_else(PoisonError::into_inner);
        let found = lock().as_ref().and_then(|entry| {
            let same = entry.route == route && entry.multiplier.is_same(multiplier);
            same.then(|| entry.value.clone())
        });
        if let Some(value) = found.and_then(|value| value.downcast::<T>().ok()) {
            return value;
        }
        // Not under the lock: while it waits for a part of its own work, a thread of a pool may start another forward pass of
        // the same layer. That two threads may make the same value does no harm.
        let value = Arc::new(make());
        *lock() = Some(Entry {
            multiplier: multiplier.clone(),
            route,
            value: value.clone(),
        });
        value
    }
}

impl std::fmt::Debug for KeptWeight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptWeight")
    }
}
