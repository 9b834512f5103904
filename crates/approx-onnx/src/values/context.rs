//! Where a graph's tensors lie, and how values get there.

use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchDevice, DispatchTensor};
use burn::tensor::{BoolDType, BoolStore, DType, Device, FloatDType, IntDType, Slice, TensorData};
use burn_approx::AnyTensor;

use super::{Kind, Value, movement};
use crate::error::Problem;
use crate::graph::Constant;

/// The types of a place's tensors.
#[derive(Clone, Copy)]
pub(crate) struct Types {
    pub(crate) float: FloatDType,
    pub(crate) int: IntDType,
    pub(crate) bool: BoolDType,
}

/// Where a graph's tensors lie: those that depend on inputs on the device, those that are known on the host.
pub(crate) struct Context {
    device: Device,
    host: Device,
    types: Types,
    host_types: Types,
    /// The batch that the file is made for, and the one that it is given, where they differ.
    batch: Option<(usize, usize)>,
}

impl Context {
    pub(crate) fn new(device: &Device) -> Self {
        let settings = device.settings();
        let host = Device::flex();
        Self {
            types: Types {
                float: settings.float_dtype,
                int: settings.int_dtype,
                bool: settings.bool_dtype,
            },
            host_types: Types {
                float: FloatDType::F32,
                int: IntDType::I64,
                bool: host.settings().bool_dtype,
            },
            device: device.clone().without_autodiff(),
            host,
            batch: None,
        }
    }

    /// For a file that is made for one batch and given another.
    pub(crate) fn with_batch(self, batch: Option<(usize, usize)>) -> Self {
        Self { batch, ..self }
    }

    /// The shape that a constant of the file means for a tensor whose rows come from the batch: its first size is that
    /// of the batch that the file is made for.
    pub(crate) fn for_batch(&self, mut wanted: Vec<i64>, shape: &[usize]) -> Vec<i64> {
        if let Some((declared, given)) = self.batch
            && let (Some(first), Some(rows)) = (wanted.first_mut(), shape.first())
            && rows.is_multiple_of(given)
            && *first > 0
            && (*first as usize).is_multiple_of(declared)
            && *first as usize != *rows
        {
            *first = (*first as usize / declared * given) as i64;
        }
        wanted
    }

    /// The types of tensors that are known, or that are not.
    pub(crate) fn types(&self, known: bool) -> Types {
        match known {
            true => self.host_types,
            false => self.types,
        }
    }

    /// Where tensors that are known lie, or those that are not.
    pub(crate) fn device(&self, known: bool) -> &DispatchDevice {
        match known {
            true => self.host.as_dispatch(),
            false => self.device.as_dispatch(),
        }
    }

    /// A tensor of the file as a known value.
    pub(crate) fn constant(&self, constant: &Constant) -> Value {
        self.known(constant.data.clone(), constant.dtype)
    }

    /// Data as a known value, of a type in the file.
    pub(crate) fn known(&self, data: TensorData, dtype: DType) -> Value {
        let scalar = data.shape().is_empty();
        let tensor = self.place(data, true);
        let value = Value::new(tensor, dtype, true);
        match scalar {
            true => value.without_axes(),
            false => value,
        }
    }

    /// A row of integers as a known value.
    pub(crate) fn ints(&self, values: Vec<i64>) -> Value {
        let length = values.len();
        self.known(TensorData::new(values, [length]), DType::I64)
    }

    /// One float as a known value without axes.
    pub(crate) fn scalar(&self, value: f32) -> Value {
        self.known(TensorData::new(vec![value], [0_usize; 0]), DType::F32)
    }

    /// Data where known tensors lie, or others.
    fn place(&self, data: TensorData, known: bool) -> DispatchTensor {
        let (device, types) = (self.device(known), self.types(known));
        let data = match data.shape().is_empty() {
            true => {
                let (bytes, _, dtype) = data.into_parts();
                TensorData::from_bytes(bytes, [1], dtype)
            }
            false => data,
        };
        match Kind::of(data.dtype()) {
            Kind::Float => {
                Dispatch::float_from_data(data.convert_dtype(types.float.into()), device)
            }
            Kind::Int => Dispatch::int_from_data(data.convert_dtype(types.int.into()), device),
            Kind::Bool => Dispatch::bool_from_data(data.convert_dtype(types.bool.into()), device),
        }
    }

    /// The tensor of a value, moved to the device if others are not known.
    pub(crate) fn tensor(&self, value: &Value, known: bool) -> DispatchTensor {
        match value.is_known() && !known {
            true => self.place_repeated(value),
            false => value.tensor(),
        }
    }

    /// A known value where others lie. What is the same all along an axis, as a state of zeros is for every row of the
    /// batch, is placed once and repeated there: what is recorded of it then does for other batches too.
    fn place_repeated(&self, value: &Value) -> DispatchTensor {
        let (shape, data) = (value.shape(), self.data(value));
        // Rows of numbers are biases and the like, which have no batch.
        if shape.len() < 2 {
            return self.place(data, false);
        }
        let first: Vec<Slice> = (0..shape.len())
            .map(|axis| match is_repeated(&data, axis) {
                true => Slice::from(0..1),
                false => Slice::new(0, None, 1),
            })
            .collect();
        if first.iter().all(|slice| *slice == Slice::new(0, None, 1)) {
            return self.place(data, false);
        }
        let once = AnyTensor::from_dispatch(movement::slice(value.tensor(), &first));
        movement::expand(self.place(once.into_data(), false), shape.into())
    }

    /// The tensors of several values in one place, and whether that is the host.
    pub(crate) fn together<const N: usize>(
        &self,
        values: [&Value; N],
    ) -> ([DispatchTensor; N], bool) {
        let known = values.iter().all(|value| value.is_known());
        (values.map(|value| self.tensor(value, known)), known)
    }

    /// The elements of a known value.
    fn data(&self, value: &Value) -> TensorData {
        AnyTensor::from_dispatch(value.tensor()).into_data()
    }

    /// A known value as a tensor of the file.
    pub(crate) fn to_constant(&self, value: &Value) -> Constant {
        Constant {
            data: self.data(value),
            dtype: value.dtype(),
        }
    }

    /// The integers of a value that must be known, such as a shape.
    pub(crate) fn read_ints(&self, value: &Value, what: &str) -> Result<Vec<i64>, Problem> {
        self.read(value, what)?;
        match value.stored() {
            Kind::Int => Ok(self.data(value).iter::<i64>().collect()),
            _ => Err(Problem::new(format!("{what} must be integers"))),
        }
    }

    /// The numbers of a value that must be known, such as a scale.
    pub(crate) fn read_floats(&self, value: &Value, what: &str) -> Result<Vec<f64>, Problem> {
        self.read(value, what)?;
        Ok(self.data(value).iter::<f64>().collect())
    }

    fn read(&self, value: &Value, what: &str) -> Result<(), Problem> {
        match value.is_known() {
            true => Ok(()),
            false => Err(Problem::new(format!(
                "{what} depends on the values of inputs; it must follow from the file and the inputs' sizes"
            ))),
        }
    }

    /// A value as one of another type.
    pub(crate) fn cast(&self, value: &Value, dtype: DType) -> Value {
        let (tensor, types) = (value.tensor(), self.types(value.is_known()));
        let cast = match (value.stored(), Kind::of(dtype)) {
            (Kind::Float, Kind::Int) => Dispatch::float_into_int(tensor, types.int),
            (Kind::Float, Kind::Bool) => {
                Dispatch::float_not_equal_elem(tensor, 0.0.into(), types.bool)
            }
            (Kind::Int, Kind::Float) => Dispatch::int_into_float(tensor, types.float),
            (Kind::Int, Kind::Bool) => Dispatch::int_not_equal_elem(tensor, 0.into(), types.bool),
            (Kind::Bool, Kind::Float) => Dispatch::bool_into_float(tensor, types.float),
            (Kind::Bool, Kind::Int) => Dispatch::bool_into_int(tensor, types.int),
            (Kind::Float, Kind::Float) | (Kind::Int, Kind::Int) | (Kind::Bool, Kind::Bool) => {
                tensor
            }
        };
        value.with_tensor(cast).with_dtype(dtype)
    }
}

/// Whether a tensor has several places along an axis, and the same in all of them.
fn is_repeated(data: &TensorData, axis: usize) -> bool {
    let shape = data.shape();
    let size = shape[axis];
    let bytes = data.as_bytes();
    let rows: usize = shape[..axis].iter().product();
    if size < 2 || bytes.is_empty() {
        return false;
    }
    let inner = bytes.len() / rows / size;
    (bytes.chunks(size * inner)).all(|row| row.chunks(inner).all(|place| *place == row[..inner]))
}

/// The type of truth values in a file.
pub(crate) const BOOL: DType = DType::Bool(BoolStore::Native);
