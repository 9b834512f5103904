//! What is done with a file from a stranger, by the fuzz targets and by the tests' bounded run of them: it is read, and
//! whether it could be is the answer.

use std::path::Path;

use approx_experiment::data::{cifar, npz as arrays};
use approx_multiplier::import::{CellLibrary, FileKind, ImportOptions, parse};
use approx_onnx::{OnnxModel, OnnxValue};
use burn::tensor::{DType, Device, TensorData};
use burn_approx::AnyTensor;

/// The most elements of an input that a model is run on.
const MOST_ELEMENTS: usize = 4096;

/// A multiplier's file.
pub fn multiplier(bytes: &[u8], kind: FileKind) -> bool {
    parse(bytes, kind, "fuzzed", &ImportOptions::default()).is_ok()
}

/// A library of standard cells.
pub fn liberty(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| CellLibrary::parse(text).is_ok())
}

/// NumPy's archive of images and labels.
pub fn npz(bytes: &[u8]) -> bool {
    in_folder(&["images.npz"], bytes, |folder| {
        arrays::read_file(&folder.join("images.npz")).is_ok()
    })
}

/// A batch of CIFAR-100 as Python has pickled it, which is also the list of its classes.
pub fn pickle(bytes: &[u8]) -> bool {
    in_folder(&["train", "test", "meta"], bytes, |folder| {
        cifar::python::read_cifar100(folder).is_ok()
    })
}

/// An ONNX model, run on zeros where its inputs are small.
pub fn onnx(bytes: &[u8]) -> bool {
    let device = Device::flex();
    let Ok(model) = OnnxModel::from_bytes(bytes, &device) else {
        return false;
    };
    let inputs = model.inputs();
    let zeros: Option<Vec<_>> = inputs.iter().map(|input| zeros(input, &device)).collect();
    zeros.is_none_or(|zeros| model.forward::<_, Vec<AnyTensor>>(zeros).is_ok())
}

/// Zeros of an input's sizes, two wherever one is open.
fn zeros(input: &OnnxValue, device: &Device) -> Option<AnyTensor> {
    let sizes = input.shape.clone().unwrap_or_default();
    let mut sizes: Vec<usize> = sizes.into_iter().map(|size| size.unwrap_or(2)).collect();
    if sizes.is_empty() {
        sizes.push(1);
    }
    let count = (sizes.iter())
        .try_fold(1_usize, |product, &size| product.checked_mul(size.max(1)))
        .filter(|count| *count <= MOST_ELEMENTS)?;
    let count = if sizes.contains(&0) { 0 } else { count };
    let data = match input.dtype.unwrap_or(DType::F32) {
        DType::Bool(_) => TensorData::new(vec![false; count], sizes),
        dtype if dtype.is_float() => TensorData::new(vec![0.0_f32; count], sizes),
        _ => TensorData::new(vec![0_i64; count], sizes),
    };
    Some(AnyTensor::from_data(data, device))
}

/// What becomes of files with these bytes in a folder, for readers that take a path.
fn in_folder(names: &[&str], bytes: &[u8], read: impl Fn(&Path) -> bool) -> bool {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    for name in names {
        std::fs::write(folder.path().join(name), bytes).expect("there is room for a file");
    }
    read(folder.path())
}
