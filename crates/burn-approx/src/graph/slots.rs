//! Slots: the numbers of tensors in a recording, alike in every recording of one model.

use std::collections::HashMap;

use burn::backend::ir::{IrVisitorMut, TensorId, TensorIr, TensorStatus};

/// The slot of a numbered tensor.
pub(super) fn slot(tensor: &TensorIr) -> usize {
    tensor.id.value() as usize
}

/// Gives tensors their slots.
#[derive(Default)]
pub(super) struct Slots {
    known: HashMap<TensorId, usize>,
    next: usize,
}

impl Slots {
    /// How many slots there are.
    pub(super) fn count(&self) -> usize {
        self.next
    }

    /// The slot of a captured tensor.
    pub(super) fn of(&self, id: TensorId) -> Option<usize> {
        self.known.get(&id).copied()
    }

    /// The captured tensors that have slots, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TensorId, usize)> {
        self.known.iter().map(|(id, slot)| (*id, *slot))
    }

    pub(super) fn add(&mut self, id: Option<TensorId>) -> usize {
        let slot = self.next;
        self.next += 1;
        if let Some(id) = id {
            self.known.insert(id, slot);
        }
        slot
    }
}

impl IrVisitorMut for Slots {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        let slot = match self.known.get(&tensor.id) {
            Some(slot) => *slot,
            None => self.add(Some(tensor.id)),
        };
        tensor.id = TensorId::new(slot as u64);
        // Which use is the last is for the program to find out.
        tensor.status = TensorStatus::ReadOnly;
    }
}
