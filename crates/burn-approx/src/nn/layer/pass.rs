//! What a layer remembers of its last forward pass: what it was asked for, and what that came to, so that another one
//! like it need not ask again (which quantisers, which plan, what is kept of the weight, that everything fits).

use std::sync::Arc;

use burn::prelude::*;

use super::simulation::Simulation;
use crate::geometry::Geometry;

/// What a forward pass was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pass {
    pub(crate) geometry: Geometry,
    pub(crate) device: Device,
    /// The inputs of the batch.
    pub(super) batch: usize,
}

impl Pass {
    /// The inputs of the batch.
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }
}

/// How the last forward pass was simulated, if nothing was observed in it and nothing of the layer has changed since
/// (whoever may change something forgets it first: see `LayerState::lock`).
///
/// Copies of a layer start without.
#[derive(Default)]
pub(super) struct LastSimulation(Option<Last>);

struct Last {
    pass: Pass,
    simulation: Arc<Simulation>,
}

impl LastSimulation {
    /// Remembers a pass whose operands were checked.
    pub(super) fn new(pass: Pass, simulation: Arc<Simulation>) -> Self {
        Self(Some(Last { pass, simulation }))
    }

    /// How to simulate another pass, if it is like the last one and its weight, on the pass's device, is the same.
    pub(super) fn of(&self, pass: &Pass, bias: Option<&Tensor<1>>) -> Option<Arc<Simulation>> {
        let last = self.0.as_ref()?;
        let is_alike = last.pass == *pass && bias.is_none_or(|bias| bias.device() == pass.device);
        is_alike.then(|| last.simulation.clone())
    }
}

impl Clone for LastSimulation {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for LastSimulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LastSimulation")
            .field("known", &self.0.is_some())
            .finish()
    }
}
