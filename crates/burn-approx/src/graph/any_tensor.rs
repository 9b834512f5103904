//! A tensor whose kind and rank are known at run time alone, for models that are read from files.

use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::tensor::{Bool, DType, Device, Float, Int, Shape, Slice, Tensor, TensorData};

/// What a tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorKind {
    Float,
    Int,
    Bool,
}

impl TensorKind {
    pub(super) fn of(dtype: DType) -> Self {
        if dtype.is_float() {
            Self::Float
        } else if dtype.is_bool() {
            Self::Bool
        } else {
            Self::Int
        }
    }
}

/// A tensor of any kind and rank.
///
/// What a model takes and gives whose signature is not known when the program is compiled; as a `Vec` it stands for any
/// number of them.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::{AnyTensor, GraphTensors};
///
/// let image = AnyTensor::from(Tensor::<3>::ones([3, 8, 8], &Device::default()));
/// assert_eq!(image.shape().to_vec(), [3, 8, 8]);
/// let image = Tensor::<3>::from_tensors(vec![image])?;
/// # let _ = image;
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AnyTensor(DispatchTensor);

impl AnyTensor {
    /// A tensor of Burn's backends.
    pub fn from_dispatch(tensor: DispatchTensor) -> Self {
        Self(tensor)
    }

    /// The tensor of Burn's backends.
    pub fn into_dispatch(self) -> DispatchTensor {
        self.0
    }

    /// Data of any type on a device.
    pub fn from_data(data: TensorData, device: &Device) -> Self {
        let shape = data.shape().clone();
        let (bytes, _, dtype) = data.into_parts();
        let data = TensorData::from_bytes(bytes, [shape.num_elements()], dtype);
        Self(match TensorKind::of(dtype) {
            TensorKind::Float => {
                let row = Tensor::<1>::from_data(data, device).into_dispatch();
                Dispatch::float_reshape(row, shape)
            }
            TensorKind::Int => {
                let row = Tensor::<1, Int>::from_data(data, device).into_dispatch();
                Dispatch::int_reshape(row, shape)
            }
            TensorKind::Bool => {
                let row = Tensor::<1, Bool>::from_data(data, device).into_dispatch();
                Dispatch::bool_reshape(row, shape)
            }
        })
    }

    /// Its elements, read from the device.
    pub fn into_data(self) -> TensorData {
        let shape = self.shape();
        let row = self.map(Tensor::into_data, Tensor::into_data, Tensor::into_data);
        let (bytes, _, dtype) = row.into_parts();
        TensorData::from_bytes(bytes, shape, dtype)
    }

    /// The sizes along its axes.
    pub fn shape(&self) -> Shape {
        self.0.shape()
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        self.0.dtype()
    }

    /// Where it lies.
    pub fn device(&self) -> Device {
        Device::new(self.0.device())
    }

    /// It on another device, by that one operation: a recording must find its inputs untouched.
    pub(super) fn on_device(self, device: &Device) -> Self {
        let device = device.as_dispatch();
        Self(match self.kind() {
            TensorKind::Float => Dispatch::float_to_device(self.0, device),
            TensorKind::Int => Dispatch::int_to_device(self.0, device),
            TensorKind::Bool => Dispatch::bool_to_device(self.0, device),
        })
    }

    pub(super) fn kind(&self) -> TensorKind {
        TensorKind::of(self.dtype())
    }

    /// The first rows of so many copies, one after the other, as there must be.
    pub(super) fn cycled(self, rows: usize) -> Self {
        let copies = rows.div_ceil(self.0.shape()[0]);
        let rows = [Slice::from(0..rows)];
        let kind = self.kind();
        let tensors = vec![self.0; copies];
        Self(match kind {
            TensorKind::Float => Dispatch::float_slice(Dispatch::float_cat(tensors, 0), &rows),
            TensorKind::Int => Dispatch::int_slice(Dispatch::int_cat(tensors, 0), &rows),
            TensorKind::Bool => Dispatch::bool_slice(Dispatch::bool_cat(tensors, 0), &rows),
        })
    }

    /// Its elements, all in a row, by the function for its kind.
    fn map<R>(
        self,
        float: impl FnOnce(Tensor<1>) -> R,
        int: impl FnOnce(Tensor<1, Int>) -> R,
        bool: impl FnOnce(Tensor<1, Bool>) -> R,
    ) -> R {
        let row = Shape::new([self.0.shape().num_elements()]);
        match self.kind() {
            TensorKind::Float => float(Tensor::from_dispatch(Dispatch::float_reshape(self.0, row))),
            TensorKind::Int => int(Tensor::from_dispatch(Dispatch::int_reshape(self.0, row))),
            TensorKind::Bool => bool(Tensor::from_dispatch(Dispatch::bool_reshape(self.0, row))),
        }
    }

    /// It after a function of its elements in a row, the one for its kind, that changes no element's place.
    pub(super) fn map_elements(
        self,
        float: impl FnOnce(Tensor<1>) -> Tensor<1>,
        int: impl FnOnce(Tensor<1, Int>) -> Tensor<1, Int>,
        bool: impl FnOnce(Tensor<1, Bool>) -> Tensor<1, Bool>,
    ) -> Self {
        let shape = self.0.shape();
        let row = self.map(
            |tensor| float(tensor).into_dispatch(),
            |tensor| int(tensor).into_dispatch(),
            |tensor| bool(tensor).into_dispatch(),
        );
        Self(match TensorKind::of(row.dtype()) {
            TensorKind::Float => Dispatch::float_reshape(row, shape),
            TensorKind::Int => Dispatch::int_reshape(row, shape),
            TensorKind::Bool => Dispatch::bool_reshape(row, shape),
        })
    }
}

impl<const D: usize> From<Tensor<D, Float>> for AnyTensor {
    fn from(tensor: Tensor<D, Float>) -> Self {
        Self(tensor.into_dispatch())
    }
}

impl<const D: usize> From<Tensor<D, Int>> for AnyTensor {
    fn from(tensor: Tensor<D, Int>) -> Self {
        Self(tensor.into_dispatch())
    }
}

impl<const D: usize> From<Tensor<D, Bool>> for AnyTensor {
    fn from(tensor: Tensor<D, Bool>) -> Self {
        Self(tensor.into_dispatch())
    }
}
