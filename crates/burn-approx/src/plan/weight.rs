//! What is kept of a layer's weight from one forward pass to the next: its codes, mapped and packed as a route's
//! kernels want them.
//!
//! Nothing is ever looked up by name, so nothing can be stale: the layer makes a new, empty [`KeptWeight`] whenever the
//! weight or its quantiser is not the very tensor that it was (see `nn::layer`), and what a backend puts into it says
//! for which operation it was made: the multiplier, the route, what of the geometry decides the layout, and the depth
//! that float32 sums were cut to.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use crate::geometry::Geometry;
use crate::multiplier::{PreparedMultiplier, Route};

/// A place for what a backend derives from one weight and its quantiser.
#[derive(Clone, Default)]
pub(crate) struct KeptWeight(Arc<Mutex<Option<Entry>>>);

struct Entry {
    multiplier: PreparedMultiplier,
    layout: Layout,
    value: Arc<dyn Any + Send + Sync>,
}

/// What decides how a weight is laid out for an operation, besides the multiplier.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Layout {
    pub(super) route: Route,
    /// The geometry as far as it matters.
    pub(super) geometry: Geometry,
    pub(super) exact_depth: Option<usize>,
}

impl KeptWeight {
    /// What was kept for this multiplier and layout, or else what `make` returns, which is then kept.
    pub(super) fn get<T: Any + Send + Sync>(
        &self,
        multiplier: &PreparedMultiplier,
        layout: Layout,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = lock().as_ref().and_then(|entry| {
            let same = entry.layout == layout && entry.multiplier.is_same(multiplier);
            same.then(|| entry.value.clone())
        });
        if let Some(value) = found.and_then(|value| value.downcast::<T>().ok()) {
            return value;
        }
        // Not under the lock: while it waits for a part of its own work, a thread of a pool may start another forward
        // pass of the same layer. That two threads may make the same value does no harm.
        let value = Arc::new(make());
        *lock() = Some(Entry {
            multiplier: multiplier.clone(),
            layout,
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

#[cfg(test)]
mod tests {
    use approx_cpu::MatmulShape;
    use approx_multiplier::{Multiplier, OperandFormat};

    use super::*;

    fn exact() -> PreparedMultiplier {
        let int8 = OperandFormat::INT8;
        PreparedMultiplier::new(Multiplier::exact(int8, int8))
    }

    fn layout() -> Layout {
        Layout {
            route: Route::FactoredFloat32,
            geometry: Geometry::Matmul(MatmulShape {
                rows: 0,
                inner: 5,
                columns: 3,
            }),
            exact_depth: Some(4),
        }
    }

    #[test]
    fn a_weight_is_made_once_for_one_multiplier_and_layout() {
        let (kept, multiplier) = (KeptWeight::default(), exact());
        let first = kept.get(&multiplier, layout(), || vec![1]);
        let again = kept.get(&multiplier.clone(), layout(), || -> Vec<i32> {
            panic!("it was kept")
        });
        assert!(Arc::ptr_eq(&first, &again));
    }

    /// Whatever decides the layout tells weights apart: route, geometry, the depth that sums were cut to, multiplier,
    /// type.
    #[test]
    fn a_weight_of_another_layout_is_made_anew() {
        let multiplier = exact();
        let narrower = Geometry::Matmul(MatmulShape {
            rows: 0,
            inner: 3,
            columns: 5,
        });
        let others = [
            Layout {
                route: Route::Factored,
                ..layout()
            },
            Layout {
                geometry: narrower,
                ..layout()
            },
            Layout {
                exact_depth: Some(2),
                ..layout()
            },
            Layout {
                exact_depth: None,
                ..layout()
            },
        ];
        for other in others {
            let kept = KeptWeight::default();
            assert_eq!(*kept.get(&multiplier, layout(), || 1), 1);
            assert_eq!(*kept.get(&multiplier, other, || 2), 2);
            assert_eq!(*kept.get(&multiplier, layout(), || 3), 3, "one is kept");
        }
        let kept = KeptWeight::default();
        assert_eq!(*kept.get(&multiplier, layout(), || 1), 1);
        assert_eq!(*kept.get(&exact(), layout(), || 2), 2, "another multiplier");
        assert_eq!(*kept.get(&multiplier, layout(), || 3), 3);
        assert_eq!(*kept.get(&multiplier, layout(), || "text"), "text");
    }
}
