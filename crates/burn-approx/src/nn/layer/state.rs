//! The state that a layer and the handles to it share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::prelude::*;

use super::converted::Converted;
use super::kind::{LayerKind, LayerShape};
use super::pass::{LastSimulation, Pass};
use super::tap::Tap;
use crate::observation::{CodeCounts, PassCounts};
use crate::ops::Quantizers;

/// The state that a layer and the handles to it share.
#[derive(Debug)]
pub(crate) struct LayerState {
    pub(crate) kind: LayerKind,
    seen: Mutex<Seen>,
    converted: Mutex<Option<Converted>>,
    /// Held while the settings are changed, from reading them to writing them, so that no change is lost.
    changing: Mutex<()>,
    /// The codes met while a trace is being recorded.
    traced: Mutex<Option<[CodeCounts; 2]>>,
    /// The accumulators met while they are wanted.
    tap: Tap,
}

/// What was last seen of a layer.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// As in the last forward pass, for weights and groups can be edited; before the first, as it was made.
    pub(super) shape: LayerShape,
    /// What the last forward pass was asked for; `None` before the first.
    pub(super) pass: Option<Pass>,
}

impl LayerState {
    /// The state of a layer that was seen so, as `converted` says.
    pub(super) fn new(seen: Seen, converted: Option<Converted>) -> Self {
        Self {
            kind: seen.shape.kind,
            seen: Mutex::new(seen),
            converted: Mutex::new(converted),
            changing: Mutex::new(()),
            traced: Mutex::new(None),
            tap: Tap::default(),
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

    /// Where products leave their accumulators.
    pub(crate) fn tap(&self) -> Tap {
        self.tap.clone()
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

    /// What was last seen of the layer.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layer's shape in the last forward pass; before the first, as it was made.
    pub(crate) fn shape(&self) -> LayerShape {
        self.seen().shape.clone()
    }

    /// What the last forward pass was asked for; `None` before the first.
    pub(crate) fn last_pass(&self) -> Option<Pass> {
        self.seen().pass.clone()
    }

    /// Remembers a forward pass of a layer that has this shape.
    pub(super) fn remember(&self, pass: &Pass, shape: impl FnOnce() -> LayerShape) {
        let mut seen = self.seen();
        if seen.pass.as_ref() != Some(pass) {
            *seen = Seen {
                shape: shape(),
                pass: Some(pass.clone()),
            };
        }
    }

    /// Products per input of the batch in the last forward pass.
    pub(crate) fn multiplications(&self) -> Option<u64> {
        self.last_pass()
            .map(|pass| (pass.geometry.products() / pass.batch.max(1)) as u64)
    }
}
