//! From recordings to a program: which operations are layers, which can be computed once and for all, and when a tensor
//! is last used.

use std::collections::HashMap;
use std::ops::Range;

use burn::backend::ir::{IrVisitorMut, OperationIr, TensorIr, TensorStatus};
use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchDevice, DispatchTensor};
use burn::tensor::{Device, DeviceSettings, TensorData};

use super::activations::{ActivationProducts, Origins};
use super::batch::{self, Sizes};
use super::capture::Recording;
use super::layers::{Identity, Product};
use super::parameters::GraphLayer;
use super::program::{Frame, Kernel, Program, Step};
use super::slots::slot;
use super::sources::Sources;
use super::{name, operations};
use crate::error::ApproxError;

/// A program with what belongs to the model that runs it.
pub(super) struct Lowered {
    pub(super) program: Program,
    pub(super) layers: Vec<GraphLayer>,
    pub(super) constants: Vec<DispatchTensor>,
}

/// Makes a program of recordings of one model at several batch sizes.
pub(super) fn lower(
    recordings: &[Recording],
    parameters: &[String],
    device: &Device,
    of_activations: bool,
    rounds_straight_through: bool,
) -> Result<Lowered, ApproxError> {
    let (inputs, sizes) = batch::compare(recordings, parameters)?;
    let recording = &recordings[0];
    let is_layer =
        |operation: &OperationIr, sources: &Sources| Product::of(operation, sources).is_some();
    let sources = Sources::new(recording, &sizes, is_layer);
    let origins =
        of_activations.then(|| Origins::new(recording, (&inputs, &sizes), &sources, parameters));
    let mut operations = recording.operations.clone();
    let folded: Vec<bool> = (operations.iter())
        .map(|operation| sources.is_constant(operation))
        .collect();
    let frees = mark_last_uses(&mut operations, recording, &folded);
    let mut layers = Layers {
        origins,
        ..Layers::default()
    };
    let mut kernels = Vec::with_capacity(operations.len());
    for (index, operation) in operations.iter().enumerate() {
        let layer = (!folded[index]).then(|| layers.find(operation, &sources, parameters));
        kernels.push(match layer.flatten() {
            Some(found) => found,
            None if rounds_straight_through && operations::is_rounding(operation) => {
                (operations::straight_through_rounding(operation), 0..0)
            }
            None => {
                let kernel = operations::kernel(operation, &sizes[index]);
                let kernel = kernel.ok_or_else(|| ApproxError::UnsupportedOperation {
                    operation: name::of(operation),
                    place: name::place(&operations, index, parameters),
                })?;
                (kernel, 0..0)
            }
        });
    }
    let settings = device.settings();
    let outputs = operations
        .iter()
        .map(|operation| operation.outputs().next().map(slot));
    let (folding, steps): (Vec<_>, Vec<_>) = (kernels.into_iter().zip(frees).zip(outputs))
        .zip(&folded)
        .map(|((((kernel, layers), frees), output), folded)| {
            let step = Step {
                kernel,
                frees,
                layers,
                output,
            };
            (*folded, step)
        })
        .partition(|(folded, _)| *folded);
    let [folding, steps] = [folding, steps].map(|steps: Vec<(bool, Step)>| {
        steps.into_iter().map(|(_, step)| step).collect::<Vec<_>>()
    });
    let constants = fold(recording, &folding, device, &settings)?;
    let used = used_slots(&operations, recording, &folded);
    let (constants, values) = constants
        .into_iter()
        .filter(|(slot, _)| used.contains(slot))
        .unzip();
    let program = Program {
        slots: recording.slots,
        parameters: recording.first_input,
        inputs: (inputs.into_iter())
            .zip(&recording.inputs)
            .map(|(extents, input)| (extents, input.dtype))
            .collect(),
        batches: (sizes.iter().map(Sizes::batches)).fold(1..=usize::MAX, batch::both),
        constants,
        steps,
        outputs: recording.outputs.clone(),
        settings,
    };
    Ok(Lowered {
        program,
        layers: layers.layers,
        constants: values,
    })
}

/// Marks the last use of every slot in the operations that run, and gives the slots that each may empty.
fn mark_last_uses(
    operations: &mut [OperationIr],
    recording: &Recording,
    folded: &[bool],
) -> Vec<Vec<usize>> {
    let mut last: HashMap<usize, usize> = HashMap::new();
    for (index, operation) in operations.iter().enumerate() {
        for tensor in operation.nodes() {
            // What is folded stays for those that use it later.
            if !folded[index] {
                last.insert(slot(tensor), index);
            }
        }
    }
    for output in &recording.outputs {
        last.remove(output);
    }
    let mut frees = vec![Vec::new(); operations.len()];
    for (slot, index) in &last {
        frees[*index].push(*slot);
    }
    for (operation, frees) in operations.iter_mut().zip(&frees) {
        let read: Vec<usize> = operation.inputs().map(slot).collect();
        // An operand that occurs twice is read twice.
        let once = |slot: &usize| read.iter().filter(|other| *other == slot).count() == 1;
        operation.visit_mut(&mut LastUses(frees.iter().copied().filter(once).collect()));
    }
    frees
}

struct LastUses(Vec<usize>);

impl IrVisitorMut for LastUses {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        if self.0.contains(&slot(tensor)) {
            tensor.status = TensorStatus::ReadWrite;
        }
    }
}

/// The slots that the operations which run read, and the outputs.
fn used_slots(operations: &[OperationIr], recording: &Recording, folded: &[bool]) -> Vec<usize> {
    let run = (operations.iter().zip(folded)).filter(|(_, folded)| !**folded);
    run.flat_map(|(operation, _)| operation.inputs().map(slot).collect::<Vec<_>>())
        .chain(recording.outputs.iter().copied())
        .collect()
}

/// Computes what depends on constants alone; gives the slots that have values then.
fn fold(
    recording: &Recording,
    steps: &[Step],
    device: &Device,
    settings: &DeviceSettings,
) -> Result<Vec<(usize, DispatchTensor)>, ApproxError> {
    let device = device.clone().without_autodiff();
    let mut frame = Frame::new(
        recording.slots,
        recording.batch,
        device.clone(),
        settings,
        &[],
    );
    for (slot, data) in &recording.constants {
        frame.put(*slot, constant(data.clone(), device.as_dispatch()));
    }
    frame.run(steps)?;
    let held = (0..recording.slots).filter_map(|slot| Some((slot, frame.remove(slot)?)));
    Ok(held.collect())
}

fn constant(data: TensorData, device: &DispatchDevice) -> DispatchTensor {
    let dtype = data.dtype();
    if dtype.is_float() {
        Dispatch::float_from_data(data, device)
    } else if dtype.is_bool() {
        Dispatch::bool_from_data(data, device)
    } else {
        Dispatch::int_from_data(data, device)
    }
}

/// The layers found so far.
#[derive(Default)]
struct Layers {
    layers: Vec<GraphLayer>,
    /// Those with a weight, which several operations may share.
    identities: Vec<(Identity, usize)>,
    /// Where activations come from, if their products are to be layers too.
    origins: Option<Origins>,
}

impl Layers {
    /// The step of an operation that is a layer, and that layer.
    fn find(
        &mut self,
        operation: &OperationIr,
        sources: &Sources,
        parameters: &[String],
    ) -> Option<(Kernel, Range<usize>)> {
        let Some(product) = Product::of(operation, sources) else {
            return self.find_of_activations(operation, sources);
        };
        let identity = product.identity(sources);
        let known = self.identities.iter().find(|(other, _)| *other == identity);
        let index = match known {
            Some((_, index)) => *index,
            None => {
                let index = self.add(product.layer(parameters));
                self.identities.push((identity, index));
                index
            }
        };
        Some((product.kernel(index), index..index + 1))
    }

    /// The step of an operation that multiplies activations, and its layers.
    fn find_of_activations(
        &mut self,
        operation: &OperationIr,
        sources: &Sources,
    ) -> Option<(Kernel, Range<usize>)> {
        let products = ActivationProducts::of(operation, self.origins.as_ref()?, sources)?;
        let first = self.layers.len();
        for layer in products.layers() {
            self.add(layer);
        }
        Some((products.kernel(first), first..self.layers.len()))
    }

    /// Adds a layer, with a number where another one has its path.
    fn add(&mut self, layer: GraphLayer) -> usize {
        let path = layer.path();
        let others = self.layers.iter().filter(|other| other.path() == path);
        let ordinal = others.count();
        self.layers.push(GraphLayer { ordinal, ..layer });
        self.layers.len() - 1
    }
}
