//! A tensor of a file as data: every type that can be computed with, wherever its bytes lie.

use std::path::Path;

use burn::tensor::{BoolStore, DType, TensorData};
use half::{bf16, f16};
use onnx_ir::{Message, TensorProto};

use super::external;
use crate::error::OnnxError;

/// The types of elements, by their numbers in a file.
pub(crate) fn dtype(number: i32) -> Result<DType, String> {
    Ok(match number {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool(BoolStore::Native),
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        other => return Err(format!("elements of the type {}", name(other))),
    })
}

/// What a type that is not covered is called.
fn name(number: i32) -> String {
    match number {
        8 => "string".to_string(),
        14 => "complex64".to_string(),
        15 => "complex128".to_string(),
        17..=20 => "float8".to_string(),
        21 => "uint4".to_string(),
        22 => "int4".to_string(),
        23 => "float4".to_string(),
        other => format!("number {other}"),
    }
}

/// The shape of a tensor, with sizes that can be.
pub(crate) fn shape(tensor: &TensorProto) -> Result<Vec<usize>, String> {
    let sizes = tensor.dims.iter().map(|&size| usize::try_from(size));
    sizes
        .collect::<Result<_, _>>()
        .map_err(|_| format!("its shape is {:?}, which has negative sizes", tensor.dims))
}

/// The elements of a tensor; floats as float32, integers and truth values as they are.
pub(crate) fn data(tensor: &TensorProto, folder: Option<&Path>) -> Result<TensorData, String> {
    let dtype = dtype(tensor.data_type)?;
    let shape = shape(tensor)?;
    let elements = (shape.iter())
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
        .filter(|elements| elements.checked_mul(8).is_some())
        .ok_or_else(|| format!("its shape {shape:?} has more elements than memory can hold"))?;
    if tensor.segment.is_some() {
        return Err("it is one segment of several, which nothing writes".to_string());
    }
    // A number of location that is not known says that this is not the default.
    let data = if tensor.data_location.value() == 0 {
        match tensor.raw_data.is_empty() {
            false => from_bytes(&tensor.raw_data, dtype, elements)?,
            true => from_fields(tensor, dtype, elements)?,
        }
    } else {
        let location = external::locate(tensor, folder)?;
        from_bytes(
            &external::read(&location, elements * dtype.size())?,
            dtype,
            elements,
        )?
    };
    let (bytes, _, dtype) = data.into_parts();
    TensorData::try_from_bytes(bytes, shape, dtype).map_err(|error| error.to_string())
}

/// Numbers of fixed size, the least significant byte first.
macro_rules! numbers {
    ($bytes:expr, $type:ty) => {
        $bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| <$type>::from_le_bytes(*bytes))
    };
}

/// A row of elements from what a file stores them as.
fn from_bytes(bytes: &[u8], dtype: DType, elements: usize) -> Result<TensorData, String> {
    let needed = elements * dtype.size();
    if bytes.len() != needed {
        return Err(format!(
            "it has {} bytes of data, but its shape needs {needed}",
            bytes.len()
        ));
    }
    Ok(match dtype {
        DType::F32 => row(numbers!(bytes, f32)),
        DType::F64 => row(numbers!(bytes, f64).map(|value| value as f32)),
        DType::F16 => row(numbers!(bytes, f16).map(f16::to_f32)),
        DType::BF16 => row(numbers!(bytes, bf16).map(bf16::to_f32)),
        DType::I8 => row(numbers!(bytes, i8)),
        DType::I16 => row(numbers!(bytes, i16)),
        DType::I32 => row(numbers!(bytes, i32)),
        DType::I64 => row(numbers!(bytes, i64)),
        DType::U8 => row(numbers!(bytes, u8)),
        DType::U16 => row(numbers!(bytes, u16)),
        DType::U32 => row(numbers!(bytes, u32)),
        DType::U64 => row(numbers!(bytes, u64)),
        _ => row(bytes.iter().map(|&byte| byte != 0)),
    })
}

/// A row of elements from the fields for single numbers.
fn from_fields(tensor: &TensorProto, dtype: DType, elements: usize) -> Result<TensorData, String> {
    let found = match dtype {
        DType::F32 => tensor.float_data.len(),
        DType::F64 => tensor.double_data.len(),
        DType::I64 => tensor.int64_data.len(),
        DType::U32 | DType::U64 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    };
    if found != elements {
        return Err(format!(
            "it has {found} numbers, but its shape needs {elements}"
        ));
    }
    let ints = || tensor.int32_data.iter().copied();
    Ok(match dtype {
        DType::F32 => row(tensor.float_data.iter().copied()),
        DType::F64 => row(tensor.double_data.iter().map(|&value| value as f32)),
        DType::F16 => row(ints().map(|bits| f16::from_bits(bits as u16).to_f32())),
        DType::BF16 => row(ints().map(|bits| bf16::from_bits(bits as u16).to_f32())),
        DType::I8 => row(ints().map(|value| value as i8)),
        DType::I16 => row(ints().map(|value| value as i16)),
        DType::I32 => row(ints()),
        DType::I64 => row(tensor.int64_data.iter().copied()),
        DType::U8 => row(ints().map(|value| value as u8)),
        DType::U16 => row(ints().map(|value| value as u16)),
        DType::U32 => row(tensor.uint64_data.iter().map(|&value| value as u32)),
        DType::U64 => row(tensor.uint64_data.iter().copied()),
        _ => row(ints().map(|value| value != 0)),
    })
}

/// Reads a tensor from the bytes of a `.pb` file, as ONNX's own test data has it; floats become float32.
///
/// # Errors
/// Bytes that are no such file, or a type that is not covered.
pub fn read_tensor(bytes: &[u8]) -> Result<TensorData, OnnxError> {
    let damaged = |problem: String| OnnxError::Damaged {
        file: "the tensor".to_string(),
        problem,
    };
    let tensor =
        TensorProto::parse_from_bytes(bytes).map_err(|error| damaged(error.to_string()))?;
    data(&tensor, None).map_err(damaged)
}

fn row<E: burn::tensor::Element>(values: impl Iterator<Item = E>) -> TensorData {
    let values: Vec<E> = values.collect();
    let elements = values.len();
    TensorData::new(values, [elements])
}
