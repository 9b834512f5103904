//! The inputs of a network: examples by their sizes, and arrays from files.

use std::path::PathBuf;

use approx_onnx::OnnxValue;
use burn::tensor::{Device, TensorData};
use burn_approx::AnyTensor;

use super::Network;
use crate::array::{Array, Values, read_array};
use crate::error::CliError;

impl Network {
    /// Zeros for every input. What the network leaves open is 1 for the batch, and must be said for other axes.
    pub fn example(&self, shapes: &[NamedShape]) -> Result<Vec<AnyTensor>, CliError> {
        let inputs = &self.declared.inputs;
        if let Some(unknown) = shapes.iter().find(|shape| {
            let name = shape.name.as_ref();
            name.is_some_and(|name| inputs.iter().all(|input| input.name != *name))
        }) {
            return Err(CliError::Usage(format!(
                "the network has no input {:?}; it has {}",
                unknown.name.as_deref().unwrap_or_default(),
                names(inputs)
            )));
        }
        let example = inputs.iter().enumerate().map(|(index, input)| {
            let said = shapes.iter().find(|shape| match &shape.name {
                Some(name) => *name == input.name,
                None => index == 0,
            });
            let shape = match (said, &input.shape) {
                (Some(said), _) => said.sizes.clone(),
                (None, Some(sizes)) => {
                    let sizes = sizes
                        .iter()
                        .enumerate()
                        .map(|(axis, size)| match (axis, size) {
                            (_, Some(size)) => Some(*size),
                            (0, None) => Some(1),
                            (_, None) => None,
                        });
                    sizes
                        .collect::<Option<Vec<usize>>>()
                        .ok_or_else(|| open_shape(input))?
                }
                (None, None) => return Err(open_shape(input)),
            };
            let elements = shape.iter().try_fold(1_usize, |all, size| all.checked_mul(*size));
            if elements.is_none_or(|elements| elements > LARGEST_EXAMPLE) {
                return Err(CliError::Usage(format!(
                    "an example of {shape:?} for the input {:?} is too large to record the network with; it may have \
                     {LARGEST_EXAMPLE} elements",
                    input.name
                )));
            }
            Ok(tensor(
                &self.device,
                input,
                TensorData::zeros::<f32, _>(shape),
            ))
        });
        example.collect()
    }

    /// Arrays from files as the inputs, each by the input's name or, without one, the first.
    pub fn inputs(&self, files: &[NamedFile]) -> Result<Vec<AnyTensor>, CliError> {
        let inputs = &self.declared.inputs;
        if let Some(unknown) = files.iter().find_map(|file| {
            let name = file.name.as_ref()?;
            inputs
                .iter()
                .all(|input| input.name != *name)
                .then_some(name)
        }) {
            return Err(CliError::Usage(format!(
                "the network has no input {unknown:?}; it has {}: name one as --input NAME=FILE.npy",
                names(inputs)
            )));
        }
        let missing = |input: &OnnxValue| {
            CliError::Usage(format!(
                "the input {:?} has no array: give it with --input {}=FILE.npy",
                input.name, input.name
            ))
        };
        let read = inputs.iter().enumerate().map(|(index, input)| {
            let file = files.iter().find(|file| match &file.name {
                Some(name) => *name == input.name,
                None => index == 0,
            });
            let array = read_array(&file.ok_or_else(|| missing(input))?.path)?;
            Ok(tensor(&self.device, input, data(array)))
        });
        let read: Vec<AnyTensor> = read.collect::<Result<_, CliError>>()?;
        match files.len() > inputs.len() {
            true => Err(CliError::Usage(format!(
                "there are {} arrays, but the network's inputs are {}: each can be named, as --input NAME=FILE.npy",
                files.len(),
                names(inputs)
            ))),
            false => Ok(read),
        }
    }
}

/// The most elements of an example: 256 MB of float32.
const LARGEST_EXAMPLE: usize = 1 << 26;

/// Data as one of the inputs, in the type that the input has.
fn tensor(device: &Device, input: &OnnxValue, data: TensorData) -> AnyTensor {
    let settings = device.settings();
    let dtype = match input.dtype {
        Some(dtype) if dtype.is_bool() => settings.bool_dtype.into(),
        Some(dtype) if !dtype.is_float() => settings.int_dtype.into(),
        _ => settings.float_dtype.into(),
    };
    AnyTensor::from_data(data.convert_dtype(dtype), device)
}

fn data(array: Array) -> TensorData {
    let Array { shape, values } = array;
    match values {
        Values::Codes(values) => TensorData::new(values, shape),
        Values::Reals(values) => TensorData::new(values, shape),
    }
}

fn names(inputs: &[OnnxValue]) -> String {
    let names: Vec<_> = inputs
        .iter()
        .map(|input| format!("{:?}", input.name))
        .collect();
    names.join(", ")
}

fn open_shape(input: &OnnxValue) -> CliError {
    CliError::Usage(format!(
        "the file leaves sizes of the input {:?} open: say them with --input-shape {}=SIZE,SIZE,..",
        input.name, input.name
    ))
}

/// An array's file for an input, `FILE.npy` or `NAME=FILE.npy`.
#[derive(Debug, Clone)]
pub struct NamedFile {
    name: Option<String>,
    /// The file.
    pub path: PathBuf,
}

impl std::str::FromStr for NamedFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (Some(name.to_string()), path),
            None => (None, text),
        };
        match path.is_empty() {
            true => Err("there is no file's name".to_string()),
            false => Ok(Self {
                name,
                path: path.into(),
            }),
        }
    }
}

/// The sizes of an input, `SIZE,SIZE,..` or `NAME=SIZE,SIZE,..`.
#[derive(Debug, Clone)]
pub struct NamedShape {
    name: Option<String>,
    sizes: Vec<usize>,
}

impl NamedShape {
    /// The sizes of the first input.
    pub fn of_first(sizes: Vec<usize>) -> Self {
        Self { name: None, sizes }
    }
}

impl std::str::FromStr for NamedShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, sizes) = match text.split_once('=') {
            Some((name, sizes)) => (Some(name.to_string()), sizes),
            None => (None, text),
        };
        let sizes = sizes
            .split(',')
            .map(|size| match size.trim().parse::<usize>() {
                Ok(size) if size > 0 => Ok(size),
                _ => Err(format!("`{size}` is no size above 0")),
            });
        Ok(Self {
            name,
            sizes: sizes.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_inputs_may_be_left_out() {
        let file: NamedFile = "x.npy".parse().unwrap();
        assert_eq!((file.name, file.path), (None, "x.npy".into()));
        let file: NamedFile = "tokens=y.npy".parse().unwrap();
        assert_eq!(file.name.as_deref(), Some("tokens"));
        let shape: NamedShape = "input=2, 3,32,32".parse().unwrap();
        assert_eq!(shape.sizes, [2, 3, 32, 32]);
        for wrong in ["", "a=", "1,0", "1,-2", "x"] {
            assert!(wrong.parse::<NamedShape>().is_err(), "{wrong}");
        }
        assert!("name=".parse::<NamedFile>().is_err());
    }
}
