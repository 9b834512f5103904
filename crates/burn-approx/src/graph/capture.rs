//! Recording one forward pass: which operations on which tensors, with parameters and inputs known by their slots.
//!
//! Burn's capture device gives every tensor an identifier of its own. They become slots, numbered alike in every
//! recording of one model: the parameters as Burn visits them, the inputs, then tensors in the order of their first
//! use.
//!
//! A forward pass that reads no values needs none: its parameters are tensors without data on the capture device, so
//! that recording a network takes no memory for its weights.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::backend::capture::{CaptureBackend, CapturedGraph};
use burn::backend::ir::{BaseOperationIr, OperationIr, TensorId, TensorIr};
use burn::backend::{BackendTensor, DispatchKindConversion, DispatchTensor};
use burn::module::Module;
use burn::tensor::{Device, DeviceConfig, Shape, TensorData};

use super::slots::{Slots, slot};
use super::tensors::{Filling, GraphTensors};
use super::{name, parameters};
use crate::error::ApproxError;

/// One forward pass as Burn recorded it.
#[derive(Clone)]
pub(super) struct Capture {
    /// The size of the batch that it was recorded with.
    pub(super) batch: usize,
    pub(super) operations: Vec<OperationIr>,
    boundary: Boundary,
    values: BTreeMap<TensorId, TensorData>,
}

/// One recorded forward pass; the identifiers of its tensors are slots.
pub(super) struct Recording {
    /// The size of the batch that it was recorded with.
    pub(super) batch: usize,
    pub(super) operations: Vec<OperationIr>,
    /// The values of the tensors that are neither parameters nor inputs nor computed.
    pub(super) constants: BTreeMap<usize, TensorData>,
    /// The slots before it are parameters.
    pub(super) first_input: usize,
    pub(super) inputs: Vec<TensorIr>,
    pub(super) outputs: Vec<usize>,
    pub(super) slots: usize,
}

/// Records a forward pass on inputs with this batch size. If it reads the values of parameters, it finds those that are
/// given here, or the parameters' own.
pub(super) fn record<M: Module, I: GraphTensors, O: GraphTensors>(
    model: &M,
    inputs: I,
    batch: usize,
    device: &Device,
    values: Option<Filling>,
    forward: &impl Fn(&M, I) -> O,
) -> Result<Capture, ApproxError> {
    let inputs = inputs.without_autodiff().with_batch(batch);
    // Without the training flags, and with running statistics of its own, which moving would otherwise take along.
    let without_data = |capture: &Device| parameters::without_data(model.valid(), capture);
    record_on(without_data, inputs.clone(), batch, device, forward).or_else(|_| {
        // It panicked, maybe because it reads values.
        let with_data = |_: &Device| match values {
            Some(values) => parameters::filled(model.valid(), values),
            None => model.valid(),
        };
        record_on(with_data, inputs, batch, device, forward)
    })
}

/// Records a forward pass of a model that is made, on or for this capture device, when the recording begins.
fn record_on<M: Module, I: GraphTensors, O: GraphTensors>(
    model: impl FnOnce(&Device) -> M,
    inputs: I,
    batch: usize,
    device: &Device,
    forward: &impl Fn(&M, I) -> O,
) -> Result<Capture, ApproxError> {
    let boundary = RefCell::new(Boundary::default());
    let capture = Device::capture();
    let captured = catch_unwind(AssertUnwindSafe(|| {
        capture.capture_scope(|scope| {
            configure(capture.clone(), device);
            let model = model(&capture).to_device(&capture);
            let inputs = inputs.to_device(&capture);
            let parameters = identifiers(parameters::values(&model));
            let given = identifiers(inputs.clone().into_dispatch());
            let outputs = identifiers(forward(&model, inputs).into_dispatch());
            let declared = |ids: &Vec<Option<TensorId>>| {
                let mut declared: Vec<TensorId> = Vec::new();
                for id in ids.iter().flatten() {
                    if !declared.contains(id) {
                        declared.push(*id);
                    }
                }
                declared
            };
            let completed = scope.complete(declared(&given), declared(&outputs));
            *boundary.borrow_mut() = Boundary {
                parameters,
                inputs: given,
                outputs,
            };
            completed
        })
    }));
    let problem = |problem: String| ApproxError::Capture { problem };
    let CapturedGraph { graph, mut values } = captured
        .map_err(|panic| {
            let said = message(&*panic);
            problem(format!(
                "with {batch} inputs its forward pass panics: {said}"
            ))
        })?
        .map_err(|error| problem(error.to_string()))?;
    let boundary = boundary.into_inner();
    // The parameters stay where they are; these are copies, or tensors without data in their place.
    let parameters: HashSet<TensorId> = boundary.parameters.iter().flatten().copied().collect();
    values.retain(|id, _| !parameters.contains(id));
    let operations = (graph.operations.into_iter())
        .filter(|operation| match operation {
            OperationIr::Init(_) => false,
            OperationIr::BaseFloat(BaseOperationIr::Empty(made))
            | OperationIr::BaseInt(BaseOperationIr::Empty(made))
            | OperationIr::BaseBool(BaseOperationIr::Empty(made)) => {
                !parameters.contains(&made.out.id)
            }
            _ => true,
        })
        .collect();
    Ok(Capture {
        batch,
        operations,
        boundary,
        values,
    })
}

/// Gives a capture device the default types of the device that the graph is to run on.
fn configure(mut capture: Device, like: &Device) {
    let settings = like.settings();
    let config = DeviceConfig::default()
        .float_dtype(settings.float_dtype)
        .int_dtype(settings.int_dtype)
        .bool_dtype(settings.bool_dtype);
    capture
        .configure(config)
        .expect("a new capture device takes every type");
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = (panic.downcast_ref::<String>().cloned())
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    text.unwrap_or_else(|| "without a message".to_string())
}

/// The identifiers of captured tensors, `None` for tensors that lie elsewhere.
fn identifiers(tensors: Vec<DispatchTensor>) -> Vec<Option<TensorId>> {
    let identifier = |tensor| {
        let captured: Result<BackendTensor<CaptureBackend>, _> =
            <DispatchTensor as DispatchKindConversion<CaptureBackend>>::try_into_backend(tensor);
        match captured.ok()? {
            BackendTensor::Float(tensor) => Some(tensor.id()),
            BackendTensor::Int(tensor) => Some(tensor.id()),
            BackendTensor::Bool(tensor) => Some(tensor.id()),
            _ => None,
        }
    };
    tensors.into_iter().map(identifier).collect()
}

/// The tensors that bound the graph.
#[derive(Clone, Default)]
struct Boundary {
    parameters: Vec<Option<TensorId>>,
    inputs: Vec<Option<TensorId>>,
    outputs: Vec<Option<TensorId>>,
}

impl Capture {
    /// The tensors that the forward pass gives.
    pub(super) fn outputs(&self) -> impl Iterator<Item = TensorId> {
        self.boundary.outputs.iter().flatten().copied()
    }

    /// Numbers the tensors.
    pub(super) fn number(self) -> Result<Recording, ApproxError> {
        let elsewhere = |what: &str| ApproxError::Capture {
            problem: format!("{what} is not a tensor of the capture device"),
        };
        let Self {
            batch,
            mut operations,
            boundary,
            mut values,
        } = self;
        let mut slots = Slots::default();
        for id in &boundary.parameters {
            slots.add(*id);
        }
        let first_input = slots.count();
        let mut inputs = Vec::new();
        for id in &boundary.inputs {
            let id = id.ok_or_else(|| elsewhere("an input"))?;
            let data = values.get(&id).ok_or_else(|| elsewhere("an input"))?;
            let (shape, dtype): (Shape, _) = (data.shape().clone(), data.dtype());
            let slot = TensorId::new(slots.add(Some(id)) as u64);
            inputs.push(TensorIr::uninit(slot, shape, dtype));
        }
        let first_other = slots.count();
        for operation in &mut operations {
            operation.visit_mut(&mut slots);
        }
        let outputs = (boundary.outputs.iter())
            .map(|id| {
                let slot = id.and_then(|id| slots.of(id));
                slot.ok_or_else(|| elsewhere("an output"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let others = slots.iter().filter(|(_, slot)| *slot >= first_other);
        let constants = others
            .filter_map(|(id, slot)| Some((slot, values.remove(&id)?)))
            .collect();
        let recording = Recording {
            batch,
            operations,
            constants,
            first_input,
            inputs,
            outputs,
            slots: slots.count(),
        };
        recording.check()?;
        Ok(recording)
    }
}

impl Recording {
    /// Whether the forward pass is the same as in another recording, constants included.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let constants = |recording: &Self| {
            let constants = recording.constants.iter();
            let bytes = constants.map(|(slot, data)| (*slot, data.as_bytes().to_vec()));
            bytes.collect::<Vec<_>>()
        };
        (&self.operations, &self.outputs, self.slots)
            == (&other.operations, &other.outputs, other.slots)
            && constants(self) == constants(other)
    }

    /// Checks that every tensor is known when it is used.
    fn check(&self) -> Result<(), ApproxError> {
        let mut known = vec![false; self.slots];
        known[..self.first_input].fill(true);
        for slot in self
            .inputs
            .iter()
            .map(slot)
            .chain(self.constants.keys().copied())
        {
            known[slot] = true;
        }
        for operation in &self.operations {
            if let Some(unknown) = operation.inputs().find(|tensor| !known[slot(tensor)]) {
                return Err(ApproxError::Capture {
                    problem: format!(
                        "`{}` takes a tensor of shape {:?} that nothing gives a value to",
                        name::of(operation),
                        unknown.shape.to_vec()
                    ),
                });
            }
            for output in operation.outputs() {
                known[slot(output)] = true;
            }
        }
        Ok(())
    }
}
