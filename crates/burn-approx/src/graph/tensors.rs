//! What a captured model takes and gives: one tensor of any kind and rank, or a tuple of them.

use burn::backend::DispatchTensor;
use burn::tensor::{Bool, Device, Float, Int, Tensor};

use super::any_tensor::{AnyTensor, TensorKind};
use crate::error::ApproxError;

/// A tensor, a tuple of two to four of them, or any number of [`AnyTensor`]s, that a captured model takes or gives.
///
/// Every input has the batch along its first axis.
pub trait GraphTensors: sealed::Boundary {
    /// The tensors, in order.
    fn into_tensors(self) -> Vec<AnyTensor> {
        let tensors = self.into_dispatch().into_iter();
        tensors.map(AnyTensor::from_dispatch).collect()
    }

    /// Tensors of these kinds and ranks, in order.
    ///
    /// # Errors
    /// If there are more or fewer, or one is of another kind or rank.
    fn from_tensors(tensors: Vec<AnyTensor>) -> Result<Self, ApproxError> {
        let found: Vec<_> = (tensors.iter())
            .map(|tensor| (tensor.kind(), tensor.shape().len()))
            .collect();
        match Self::signature() {
            Some(expected) if expected != found => Err(ApproxError::Signature {
                found: describe(&found),
                expected: describe(&expected),
            }),
            _ => {
                let mut tensors = tensors.into_iter().map(AnyTensor::into_dispatch);
                Ok(Self::from_dispatch(&mut tensors))
            }
        }
    }
}

/// Kinds and ranks in words.
fn describe(tensors: &[(TensorKind, usize)]) -> String {
    let tensors = tensors.iter().map(|(kind, rank)| {
        let kind = match kind {
            TensorKind::Float => "float",
            TensorKind::Int => "integer",
            TensorKind::Bool => "boolean",
        };
        format!("{kind} of rank {rank}")
    });
    tensors.collect::<Vec<_>>().join(", ")
}

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
        /// The kinds and ranks of the tensors, `None` where any will do.
        fn signature() -> Option<Vec<(TensorKind, usize)>>;

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
    ($kind:ident, $fill:ident) => {
        impl<const D: usize> Boundary for Tensor<D, $kind> {
            fn signature() -> Option<Vec<(TensorKind, usize)>> {
                Some(vec![(TensorKind::$kind, D)])
            }

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
            fn signature() -> Option<Vec<(TensorKind, usize)>> {
                let mut signature = Vec::new();
                $(signature.extend($tensors::signature()?);)+
                Some(signature)
            }

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

impl Boundary for AnyTensor {
    fn signature() -> Option<Vec<(TensorKind, usize)>> {
        None
    }

    fn with_batch(self, batch: usize) -> Self {
        self.cycled(batch)
    }

    fn filled(self, with: Filling) -> Self {
        self.map_elements(
            |tensor| tensor.filled(with),
            |tensor| tensor.filled(with),
            |tensor| tensor.filled(with),
        )
    }

    fn without_autodiff(self) -> Self {
        self.map_elements(
            Tensor::without_autodiff,
            Tensor::without_autodiff,
            Tensor::without_autodiff,
        )
    }

    fn to_device(self, device: &Device) -> Self {
        self.on_device(device)
    }

    fn into_dispatch(self) -> Vec<DispatchTensor> {
        vec![AnyTensor::into_dispatch(self)]
    }

    fn from_dispatch(tensors: &mut dyn Iterator<Item = DispatchTensor>) -> Self {
        Self::from_dispatch(tensors.next().expect("as many tensors as were captured"))
    }
}

impl GraphTensors for AnyTensor {}

impl Boundary for Vec<AnyTensor> {
    fn signature() -> Option<Vec<(TensorKind, usize)>> {
        None
    }

    fn with_batch(self, batch: usize) -> Self {
        let tensors = self.into_iter();
        tensors.map(|tensor| tensor.cycled(batch)).collect()
    }

    fn filled(self, with: Filling) -> Self {
        self.into_iter().map(|tensor| tensor.filled(with)).collect()
    }

    fn without_autodiff(self) -> Self {
        self.into_iter().map(Boundary::without_autodiff).collect()
    }

    fn to_device(self, device: &Device) -> Self {
        let tensors = self.into_iter();
        tensors.map(|tensor| tensor.on_device(device)).collect()
    }

    fn into_dispatch(self) -> Vec<DispatchTensor> {
        self.into_iter().map(AnyTensor::into_dispatch).collect()
    }

    fn from_dispatch(tensors: &mut dyn Iterator<Item = DispatchTensor>) -> Self {
        tensors.map(AnyTensor::from_dispatch).collect()
    }
}

impl GraphTensors for Vec<AnyTensor> {}
