//! A captured forward pass as a list of steps over slots, and how it is run.

use std::cell::OnceCell;
use std::ops::{Range, RangeInclusive};

use burn::backend::ir::{TensorIr, TensorStatus};
use burn::backend::{DispatchDevice, DispatchTensor};
use burn::tensor::{DType, Device, DeviceSettings};

use super::batch::Extents;
use super::parameters::GraphLayer;
use super::slots::slot;
use crate::error::ApproxError;
use crate::nn::Approximation;

/// What one step does to the slots.
pub(super) type Kernel = Box<dyn Fn(&mut Frame<'_>) -> Result<(), ApproxError> + Send + Sync>;

/// One step, and the slots that nobody reads after it.
pub(super) struct Step {
    pub(super) kernel: Kernel,
    pub(super) frees: Vec<usize>,
    /// The layers that it computes.
    pub(super) layers: Range<usize>,
    /// The slot of what it gives first.
    pub(super) output: Option<usize>,
}

/// A captured forward pass.
pub(super) struct Program {
    pub(super) slots: usize,
    /// The first slots are the parameters.
    pub(super) parameters: usize,
    /// The shapes and types of the inputs, whose slots come next.
    pub(super) inputs: Vec<(Extents, DType)>,
    /// The batches that it can be run with: what grows or shrinks with the batch must not be negative.
    pub(super) batches: RangeInclusive<usize>,
    /// The slots of the constants.
    pub(super) constants: Vec<usize>,
    pub(super) steps: Vec<Step>,
    pub(super) outputs: Vec<usize>,
    /// The default types of the device that it was recorded for.
    pub(super) settings: DeviceSettings,
}

/// Where an operation finds a tensor.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    slot: usize,
    /// Whether nobody reads it after this.
    last: bool,
}

impl From<&TensorIr> for Operand {
    fn from(tensor: &TensorIr) -> Self {
        Self {
            slot: slot(tensor),
            last: tensor.status == TensorStatus::ReadWrite,
        }
    }
}

/// The tensors of one run.
#[derive(Clone)]
pub(super) struct Frame<'a> {
    slots: Vec<Option<DispatchTensor>>,
    /// The size of the batch.
    pub(super) batch: usize,
    /// Where tensors are made, without autodiff: what is made of constants alone has no gradient.
    device: Device,
    /// The default types of the device that the program was recorded for.
    recorded: &'a DeviceSettings,
    /// Those of this one, once they are asked for.
    settings: OnceCell<DeviceSettings>,
    pub(super) layers: Vec<&'a Approximation>,
}

impl<'a> Frame<'a> {
    pub(super) fn new(
        slots: usize,
        batch: usize,
        device: Device,
        recorded: &'a DeviceSettings,
        layers: &'a [GraphLayer],
    ) -> Self {
        Self {
            slots: vec![None; slots],
            batch,
            device,
            recorded,
            settings: OnceCell::new(),
            layers: layers.iter().map(|layer| &layer.approximation).collect(),
        }
    }

    pub(super) fn device(&self) -> &DispatchDevice {
        self.device.as_dispatch()
    }

    /// The tensor of an operand, moved out at its last use so that the operation may work in place.
    pub(super) fn take(&mut self, operand: Operand) -> DispatchTensor {
        let tensor = match operand.last {
            true => self.slots[operand.slot].take(),
            false => self.slots[operand.slot].clone(),
        };
        tensor.expect("a slot is filled before it is read, and emptied after its last use")
    }

    pub(super) fn put(&mut self, slot: usize, tensor: DispatchTensor) {
        self.slots[slot] = Some(tensor);
    }

    /// Empties a slot.
    pub(super) fn remove(&mut self, slot: usize) -> Option<DispatchTensor> {
        self.slots[slot].take()
    }

    /// A copy of what a slot holds.
    pub(super) fn get(&self, slot: usize) -> Option<DispatchTensor> {
        self.slots[slot].clone()
    }

    /// The type on this device of a tensor that was recorded with one: a default stays a default.
    pub(super) fn dtype(&self, recorded: DType) -> DType {
        let then = self.recorded;
        let now = self.settings.get_or_init(|| self.device.settings());
        if recorded == DType::from(then.float_dtype) {
            now.float_dtype.into()
        } else if recorded == DType::from(then.int_dtype) {
            now.int_dtype.into()
        } else if recorded == DType::from(then.bool_dtype) {
            now.bool_dtype.into()
        } else {
            recorded
        }
    }

    pub(super) fn run(&mut self, steps: &[Step]) -> Result<(), ApproxError> {
        for step in steps {
            (step.kernel)(self)?;
            for slot in &step.frees {
                self.slots[*slot] = None;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("steps", &self.steps.len())
            .field("parameters", &self.parameters)
            .field("constants", &self.constants.len())
            .finish()
    }
}
