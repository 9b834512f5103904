//! A forward pass that stops at layers: what was computed up to one is kept for several ways on.

use std::marker::PhantomData;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::tensor::{Shape, Tensor};

use super::parameters::GraphLayer;
use super::program::{Frame, Program, Step};
use super::tensors::GraphTensors;
use crate::error::ApproxError;

/// A forward pass of a captured model that has stopped between two of its operations, begun by
/// [`GraphModel::begin`](super::GraphModel::begin). A clone goes on from the same place; what was computed so far is
/// shared.
#[derive(Clone)]
pub struct PartialPass<'a, O> {
    program: &'a Program,
    layers: &'a [GraphLayer],
    frame: Frame<'a>,
    /// The next step.
    next: usize,
    output: PhantomData<fn() -> O>,
}

impl<'a, O: GraphTensors> PartialPass<'a, O> {
    pub(super) fn new(program: &'a Program, layers: &'a [GraphLayer], frame: Frame<'a>) -> Self {
        Self {
            program,
            layers,
            frame,
            next: 0,
            output: PhantomData,
        }
    }

    /// The paths of the layers that the next operation with layers computes: one, or both products of an attention
    /// operation; none if no layer follows.
    pub fn next_layers(&self) -> Vec<String> {
        let next = self.steps().iter().find(|step| !step.layers.is_empty());
        let layers = next.map_or(&[][..], |step| &self.layers[step.layers.clone()]);
        layers.iter().map(GraphLayer::listed_path).collect()
    }

    /// Computes what comes before the next use of a layer.
    ///
    /// # Errors
    /// A layer that there is none of, or that is not used any more; a layer before it that is not calibrated.
    pub fn run_to(&mut self, path: &str) -> Result<(), ApproxError> {
        let layer = self.layer(path)?;
        let step = self
            .steps()
            .iter()
            .position(|step| step.layers.contains(&layer));
        let step = step.ok_or_else(|| ApproxError::GraphInput {
            problem: format!("layer `{path}` is not used in the rest of the forward pass"),
        })?;
        self.run(step)
    }

    /// Computes the next operation with layers, after all that comes before it; gives its output in rows along the first
    /// axis, `[rows, elements]`.
    ///
    /// # Errors
    /// If no layer follows, one is not calibrated, or nothing uses what it gives.
    pub fn run_layers(&mut self) -> Result<Tensor<2>, ApproxError> {
        let step = self.steps().iter().position(|step| !step.layers.is_empty());
        let step = step.ok_or_else(|| ApproxError::GraphInput {
            problem: "no layer is used in the rest of the forward pass".to_string(),
        })?;
        self.run(step + 1)?;
        let output = self.last_output().ok_or_else(|| ApproxError::GraphInput {
            problem: "the forward pass does not use what a layer of it gives".to_string(),
        })?;
        let rows = output.shape()[0].max(1);
        let elements = output.shape().num_elements() / rows;
        let shape = Shape::new([rows, elements]);
        Ok(Tensor::from_dispatch(Dispatch::float_reshape(
            output, shape,
        )))
    }

    /// Adds to the output of the last operation, which must have been one of [`run_layers`](Self::run_layers): what it
    /// gave, in the same rows.
    ///
    /// A tensor of zeros that a gradient is asked for makes that of the output known.
    ///
    /// # Panics
    /// If the sizes are others, or no layer was run before.
    pub fn add_to_output(&mut self, rows: Tensor<2>) {
        let output = self.last_output().expect("a layer was run");
        let shape = output.shape();
        let rows = Dispatch::float_reshape(rows.into_dispatch(), shape);
        let slot = self.program.steps[self.next - 1].output;
        let sum = Dispatch::float_add(output, rows);
        self.frame.put(slot.expect("a layer has an output"), sum);
    }

    /// Takes a layer from these ones, of a copy of the model that has this program.
    pub(super) fn take_layer(
        &mut self,
        path: &str,
        program: &Program,
        layers: &'a [GraphLayer],
    ) -> Result<(), ApproxError> {
        let layer = self.layer(path)?;
        if !std::ptr::eq(program, self.program) {
            return Err(ApproxError::GraphInput {
                problem:
                    "a layer can be replaced by that of a copy of the same captured model only"
                        .to_string(),
            });
        }
        self.frame.layers[layer] = &layers[layer].approximation;
        Ok(())
    }

    /// Computes the rest.
    ///
    /// # Errors
    /// A converted layer that is not calibrated for its mode.
    pub fn finish(mut self) -> Result<O, ApproxError> {
        self.run(self.steps().len())?;
        let outputs = self.program.outputs.iter();
        let mut outputs = outputs.map(|slot| self.frame.get(*slot).expect("an output is computed"));
        Ok(O::from_dispatch(&mut outputs))
    }

    /// The steps that are left.
    fn steps(&self) -> &'a [Step] {
        &self.program.steps[self.next..]
    }

    fn run(&mut self, steps: usize) -> Result<(), ApproxError> {
        self.frame.run(&self.steps()[..steps])?;
        self.next += steps;
        Ok(())
    }

    /// What the last step gave, if something is to use it.
    fn last_output(&self) -> Option<DispatchTensor> {
        let step = self.program.steps.get(self.next.checked_sub(1)?)?;
        self.frame.get(step.output?)
    }

    fn layer(&self, path: &str) -> Result<usize, ApproxError> {
        let position = (self.layers.iter()).position(|layer| layer.listed_path() == path);
        position.ok_or_else(|| ApproxError::UnknownLayer {
            path: path.to_string(),
            known: self.layers.iter().map(GraphLayer::listed_path).collect(),
        })
    }
}

impl<O> std::fmt::Debug for PartialPass<'_, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartialPass")
            .field("next", &self.next)
            .field("steps", &self.program.steps.len())
            .finish_non_exhaustive()
    }
}
