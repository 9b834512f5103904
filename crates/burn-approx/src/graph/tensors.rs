//! What a captured model takes and gives: one tensor of any kind and rank, or a tuple of them.

use burn::backend::DispatchTensor;
use burn::tensor::{Bool, Device, Float, Int, Tensor};

/// A tensor, or a tuple of two to four of them, that a captured model takes or gives.
///
/// Every input has the batch along its first axis.
pub trait GraphTensors: sealed::Boundary {}

/// What tensors are filled with, by their kind, to see whether a forward pass reads values.
#[derive(Clone, Copy, Debug)]
pub struct Filling {
    pub(super) float: f32,
    pub(super) int: i32,
    pub(super) bool: bool,
}

pub(super) mod sealed {
    use super::*;

    /// How tensors cross from the typed world into the one without ranks, and back.
    pub trait Boundary: Clone + Send + Sync + 'static {
        /// These tensors with another number of rows along the first axis, taken in turn from those there are.
        fn with_batch(self, batch: usize) -> Self;

        /// Tensors of the same sizes that are filled with other values.
        fn filled(self, with: Filling) -> Self;

        fn without_autodiff(self) -> Self;

        fn to_device(self, device: &Device) -> Self;

        fn into_dispatch(self) -> Vec<DispatchTensor>;

        /// # Panics
        /// If there are too few tensors, or one is of another kind or rank.
        fn from_dispatch(tensors: &mut dyn Iterator<Item = DispatchTensor>) -> Self;
    }
}

use sealed::Boundary;

macro_rules! tensor {
    ($kind:ty, $fill:ident) => {
        impl<const D: usize> Boundary for Tensor<D, $kind> {
            fn with_batch(self, batch: usize) -> Self {
                let rows = self.dims()[0];
                let copies = batch.div_ceil(rows);
                Tensor::cat(vec![self; copies], 0).slice_dim(0, 0..batch)
            }

            fn filled(self, with: Filling) -> Self {
                self.full_like(with.$fill)
            }

            fn without_autodiff(self) -> Self {
                Tensor::without_autodiff(self)
            }

            fn to_device(self, device: &Device) -> Self {
                Tensor::to_device(self, device)
            }

            fn into_dispatch(self) -> Vec<DispatchTensor> {
                vec![Tensor::into_dispatch(self)]
            }

            fn from_dispatch(tensors: &mut dyn Iterator<Item = DispatchTensor>) -> Self {
                let tensor = tensors.next().expect("as many tensors as were captured");
                Tensor::from_dispatch(tensor)
            }
        }

        impl<const D: usize> GraphTensors for Tensor<D, $kind> {}
    };
}

tensor!(Float, float);
tensor!(Int, int);
tensor!(Bool, bool);

macro_rules! tuple {
    ($($tensors:ident $index:tt),+) => {
        impl<$($tensors: Boundary),+> Boundary for ($($tensors,)+) {
            fn with_batch(self, batch: usize) -> Self {
                ($(self.$index.with_batch(batch),)+)
            }

            fn filled(self, with: Filling) -> Self {
                ($(self.$index.filled(with),)+)
            }

            fn without_autodiff(self) -> Self {
                ($(self.$index.without_autodiff(),)+)
            }

            fn to_device(self, device: &Device) -> Self {
                ($(self.$index.to_device(device),)+)
            }

            fn into_dispatch(self) -> Vec<DispatchTensor> {
                let mut tensors = Vec::new();
                $(tensors.extend(self.$index.into_dispatch());)+
                tensors
            }

            fn from_dispatch(tensors: &mut dyn Iterator<Item = DispatchTensor>) -> Self {
                ($($tensors::from_dispatch(tensors),)+)
            }
        }

        impl<$($tensors: GraphTensors),+> GraphTensors for ($($tensors,)+) {}
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
