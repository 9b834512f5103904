//! The values of a graph while it runs: tensors of any kind and rank, `known` ones apart.
//!
//! What follows from the file alone, and the sizes of what does not, is known: it lies on the host and is computed there
//! by the same operators as everything else. So a file's arithmetic of shapes is done while the forward pass is
//! recorded, and what can be recorded is what depends on inputs and parameters. `movement` has the operations that do
//! not ask what elements are, `context` where tensors lie.

mod context;
pub(crate) mod movement;

use burn::backend::{DispatchTensor, TensorMetadata};
use burn::tensor::DType;

pub(crate) use context::{BOOL, Context};

/// What a tensor's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Int,
    Bool,
}

impl Kind {
    pub(crate) fn of(dtype: DType) -> Self {
        if dtype.is_float() {
            Self::Float
        } else if dtype.is_bool() {
            Self::Bool
        } else {
            Self::Int
        }
    }
}

/// A value of a graph.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    tensor: DispatchTensor,
    /// The type that it has in the file. Codes of a quantiser are stored as floats, whatever it says.
    dtype: DType,
    /// Whether it has no axes; the tensor then has one of size 1, for Burn's have one at least.
    scalar: bool,
    /// Whether it follows from the file alone, and lies on the host.
    known: bool,
}

impl Value {
    /// What was computed, of a rank above 0.
    pub(crate) fn new(tensor: DispatchTensor, dtype: DType, known: bool) -> Self {
        Self {
            tensor,
            dtype,
            scalar: false,
            known,
        }
    }

    /// The same value without axes, which has one element.
    pub(crate) fn without_axes(self) -> Self {
        Self {
            tensor: movement::reshape(self.tensor, [1].into()),
            scalar: true,
            ..self
        }
    }

    /// The value with another tensor in it of the same rank and type, as an operator gives it back.
    pub(crate) fn with_tensor(&self, tensor: DispatchTensor) -> Self {
        Self {
            tensor,
            ..self.clone()
        }
    }

    /// The value as one of another type in the file.
    pub(crate) fn with_dtype(self, dtype: DType) -> Self {
        Self { dtype, ..self }
    }

    /// The value without axes if another one has none.
    pub(crate) fn with_axes_of(self, other: &Self) -> Self {
        match other.scalar {
            true => self.without_axes(),
            false => self,
        }
    }

    pub(crate) fn tensor(&self) -> DispatchTensor {
        self.tensor.clone()
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// What its tensor's elements are, which for codes of a quantiser is not what they are in the file.
    pub(crate) fn stored(&self) -> Kind {
        Kind::of(self.tensor.dtype())
    }

    pub(crate) fn is_known(&self) -> bool {
        self.known
    }

    pub(crate) fn rank(&self) -> usize {
        match self.scalar {
            true => 0,
            false => self.tensor.shape().len(),
        }
    }

    pub(crate) fn shape(&self) -> Vec<usize> {
        match self.scalar {
            true => Vec::new(),
            false => self.tensor.shape().to_vec(),
        }
    }

    pub(crate) fn elements(&self) -> usize {
        self.tensor.shape().num_elements()
    }
}
