//! What the tensors of a recording depend on: the model's inputs, its parameters alone, or neither.

use burn::backend::ir::{BaseOperationIr, OperationIr, TensorIr};

use super::batch::Sizes;
use super::capture::Recording;
use super::slots::slot;

/// What the values of a tensor depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Constants,
    /// Parameters, of which this is the first.
    Parameters(usize),
    /// The inputs, the batch size, or what a layer computes.
    Inputs,
}

/// What every tensor depends on.
pub(super) struct Sources {
    sources: Vec<Source>,
    /// The slot that a tensor is a reshaped form of.
    origins: Vec<usize>,
}

impl Sources {
    /// What the tensors of a recording depend on, where `is_layer` tells the operations that are layers.
    pub(super) fn new(
        recording: &Recording,
        sizes: &[Sizes],
        is_layer: impl Fn(&OperationIr, &Self) -> bool,
    ) -> Self {
        let mut sources = Self {
            sources: vec![Source::Constants; recording.slots],
            origins: (0..recording.slots).collect(),
        };
        for parameter in 0..recording.first_input {
            sources.sources[parameter] = Source::Parameters(parameter);
        }
        for input in &recording.inputs {
            sources.sources[slot(input)] = Source::Inputs;
        }
        for (operation, sizes) in recording.operations.iter().zip(sizes) {
            let source = match is_layer(operation, &sources) {
                true => Source::Inputs,
                false => sources.result(operation, sizes),
            };
            for output in operation.outputs() {
                sources.sources[slot(output)] = source;
            }
            if let OperationIr::BaseFloat(BaseOperationIr::Reshape(op)) = operation {
                sources.origins[slot(&op.out)] = sources.origins[slot(&op.input)];
            }
        }
        sources
    }

    /// What the outputs of an operation depend on.
    fn result(&self, operation: &OperationIr, sizes: &Sizes) -> Source {
        // What follows the batch is made anew for every input.
        if !sizes.is_fixed() {
            return Source::Inputs;
        }
        let inputs = operation.inputs().map(|input| self.of(input));
        inputs.fold(Source::Constants, |all, source| match (all, source) {
            (Source::Parameters(_), Source::Parameters(_)) => all,
            (all, source) => all.max(source),
        })
    }

    pub(super) fn of(&self, tensor: &TensorIr) -> Source {
        self.sources[slot(tensor)]
    }

    pub(super) fn origin(&self, tensor: &TensorIr) -> usize {
        self.origins[slot(tensor)]
    }

    /// Whether an operation gives the same in every forward pass.
    pub(super) fn is_constant(&self, operation: &OperationIr) -> bool {
        (operation.nodes().into_iter()).all(|tensor| self.of(tensor) == Source::Constants)
    }
}
