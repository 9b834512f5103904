//! What a layer knows of its weight from one forward pass to the next.

use burn::prelude::*;

use crate::backends::HeldTensor;
use crate::plan::KeptWeight;
use crate::quantization::CodeQuantizer;

/// One state of a weight, known by its storage, and what was made of it.
///
/// While the parameter still is the tensor that is held here, it has the same values. Copies of a layer start without.
#[derive(Default)]
pub(super) struct WeightVersion {
    weight: Option<HeldTensor>,
    /// Whether its range was observed.
    observed: bool,
    /// The quantiser's parameters.
    quantizer: Option<HeldTensor>,
    kept: KeptWeight,
}

impl WeightVersion {
    /// Whether the weight is still this one.
    pub(super) fn is<const D: usize>(&self, weight: &Tensor<D>) -> bool {
        self.weight.as_ref().is_some_and(|own| own.is(weight))
    }

    /// Whether the weight is still this one, and its range was observed.
    pub(super) fn is_observed<const D: usize>(&self, weight: &Tensor<D>) -> bool {
        self.observed && self.is(weight)
    }

    /// What was kept for this weight under this quantiser; a new, empty place if either has changed.
    pub(super) fn keep<const D: usize>(
        &mut self,
        weight: &Tensor<D>,
        quantizer: &CodeQuantizer,
        observed: bool,
    ) -> KeptWeight {
        let parameters = quantizer.parameters();
        let same_weight = self.is(weight);
        let same_quantizer = (self.quantizer.as_ref()).is_some_and(|own| own.is(&parameters));
        if !(same_weight && same_quantizer) {
            *self = Self {
                weight: HeldTensor::new(weight),
                observed: same_weight && self.observed,
                quantizer: HeldTensor::new(&parameters),
                kept: KeptWeight::default(),
            };
        }
        self.observed |= observed;
        self.kept.clone()
    }
}

impl Clone for WeightVersion {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for WeightVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeightVersion")
            .field("known", &self.weight.is_some())
            .finish()
    }
}
