//! The state that a layer and the handles to it share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::prelude::*;

use super::converted::Converted;
use super::kind::LayerShape;
use super::pass::{LastSimulation, Pass};
use crate::observation::{CodeCounts, PassCounts};
use crate::ops::Quantizers;

/// The state that a layer and the handles to it share.
#[derive(Debug)]
pub(crate) struct LayerState {
    pub(crate) shape: LayerShape,
    /// What the last forward pass was asked for; `None` before the first.
    last_pass: Mutex<Option<Pass>>,
    converted: Mutex<Option<Converted>>,
    /// Held while the settings are changed, from reading them to writing them, so that no change is lost.
    changing: Mutex<()>,
    /// The codes met while a trace is being recorded.
    traced: Mutex<Option<[CodeCounts; 2]>>,
}

impl LayerState {
    /// The state of a layer of this shape, as `converted` says after a forward pass like `last_pass`.
    pub(super) fn new(
        shape: LayerShape,
        last_pass: Option<Pass>,
        converted: Option<Converted>,
    ) -> Self {
        Self {
            shape,
            last_pass: Mutex::new(last_pass),
            converted: Mutex::new(converted),
            changing: Mutex::new(()),
            traced: Mutex::new(None),
        }
    }

    /// The state of a converted layer, to read or to change: what the last forward pass came to is forgotten.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<Converted>> {
        let mut guard = self.lock_for_pass();
        if let Some(converted) = guard.as_mut() {
            converted.last = LastSimulation::default();
        }
        guard
    }

    /// Keeps others from changing the settings.
    pub(crate) fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a converted layer for a forward pass, which changes nothing that another pass depends on unless it
    /// observes.
    pub(super) fn lock_for_pass(&self) -> MutexGuard<'_, Option<Converted>> {
        // The state is plain data that every writer leaves whole, so a panic elsewhere does not spoil it.
        self.converted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to count codes, or stops and returns the counts of activation and weight.
    pub(crate) fn set_tracing(&self, on: bool) -> Option<[CodeCounts; 2]> {
        let mut traced = self.traced.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *traced, on.then(Default::default))
    }

    /// Counts the codes of a forward pass, if a trace is being recorded.
    pub(super) fn trace<const A: usize, const W: usize>(
        &self,
        activation: &Tensor<A>,
        weight: &Tensor<W>,
        quantizers: Quantizers<'_>,
    ) {
        let traced = || self.traced.lock().unwrap_or_else(PoisonError::into_inner);
        if traced().is_none() {
            return;
        }
        // Counted without the lock, as ranges are measured.
        let counted = [
            PassCounts::of(activation, quantizers.activation),
            PassCounts::of(weight, quantizers.weight),
        ];
        if let Some(counts) = traced().as_mut() {
            for (counts, counted) in counts.iter_mut().zip(counted) {
                counts.add(counted);
            }
        }
    }

    /// What the last forward pass was asked for; `None` before the first.
    pub(crate) fn last_pass(&self) -> Option<Pass> {
        let pass = (self.last_pass.lock()).unwrap_or_else(PoisonError::into_inner);
        pass.clone()
    }

    /// Remembers a forward pass.
    pub(super) fn remember(&self, pass: &Pass) {
        let mut last = (self.last_pass.lock()).unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(pass) {
            *last = Some(pass.clone());
        }
    }

    /// Products per input of the batch in the last forward pass.
    pub(crate) fn multiplications(&self) -> Option<u64> {
        self.last_pass()
            .map(|pass| (pass.geometry.products() / pass.batch.max(1)) as u64)
    }
}
