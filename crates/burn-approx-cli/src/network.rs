//! MODEL: a network from a file, recorded at the sizes of an example, and put on a multiplier.

use std::path::{Path, PathBuf};

use approx_onnx::{FileCodes, OnnxModel, OnnxValue, set_file_quantizers};
use burn::tensor::{Device, TensorData};
use burn_approx::{AnyTensor, ApproxConfig, GraphModel, approx_layers, convert};

use crate::array::{Array, Values, read_array};
use crate::error::CliError;
use crate::output::Output;
use crate::panics::silenced;
use crate::progress;

/// A network whose layers can be converted.
pub type Recorded = GraphModel<OnnxModel, Vec<AnyTensor>, Vec<AnyTensor>>;

/// A network from a file.
pub struct Network {
    model: OnnxModel,
    device: Device,
}

/// How the codes of a quantised file are used.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct FileQuantizers {
    /// Shift unsigned codes of a quantised file to signed ones: the same values by codes and zero points that are 128
    /// smaller (for 8 bits)
    #[arg(long, conflicts_with = "recalibrate")]
    pub shift_codes: bool,

    /// Leave the quantisers of a quantised file out and find ranges anew
    #[arg(long)]
    pub recalibrate: bool,
}

impl Network {
    /// Reads a network.
    pub fn load(path: &Path, device: &Device) -> Result<Self, CliError> {
        if !path.is_file() {
            return Err(CliError::Usage(format!(
                "there is no file `{}`",
                path.display()
            )));
        }
        let model = progress::during("reading", || OnnxModel::load(path, device))?;
        Ok(Self {
            model,
            device: device.clone(),
        })
    }

    /// The network as it is in the file.
    pub fn model(&self) -> &OnnxModel {
        &self.model
    }

    /// Zeros for every input. What the file leaves open is 1 for the batch, and must be said for other axes.
    pub fn example(&self, shapes: &[NamedShape]) -> Result<Vec<AnyTensor>, CliError> {
        let inputs = self.model.inputs();
        if let Some(unknown) = shapes.iter().find(|shape| {
            let name = shape.name.as_ref();
            name.is_some_and(|name| inputs.iter().all(|input| input.name != *name))
        }) {
            return Err(CliError::Usage(format!(
                "the network has no input {:?}; it has {}",
                unknown.name.as_deref().unwrap_or_default(),
                names(&inputs)
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
            Ok(self.tensor(input, TensorData::zeros::<f32, _>(shape)))
        });
        example.collect()
    }

    /// Data as one of the inputs, in the type that the input has.
    fn tensor(&self, input: &OnnxValue, data: TensorData) -> AnyTensor {
        let settings = self.device.settings();
        let dtype = match input.dtype {
            Some(dtype) if dtype.is_bool() => settings.bool_dtype.into(),
            Some(dtype) if !dtype.is_float() => settings.int_dtype.into(),
            _ => settings.float_dtype.into(),
        };
        AnyTensor::from_data(data.convert_dtype(dtype), &self.device)
    }

    /// Arrays from files as the inputs, each by the input's name or, without one, the first.
    pub fn inputs(&self, files: &[NamedFile]) -> Result<Vec<AnyTensor>, CliError> {
        let inputs = self.model.inputs();
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
            Ok(self.tensor(input, data(array)))
        });
        let read: Vec<AnyTensor> = read.collect::<Result<_, CliError>>()?;
        match files.len() > inputs.len() {
            true => Err(CliError::Usage(format!(
                "there are {} arrays, but the network's inputs are {}",
                files.len(),
                names(&inputs)
            ))),
            false => Ok(read),
        }
    }

    /// What the network gives in float.
    pub fn forward(&self, inputs: Vec<AnyTensor>) -> Result<Vec<AnyTensor>, CliError> {
        Ok(silenced(|| self.model.forward(inputs))?)
    }

    /// The network recorded at the sizes of an example.
    pub fn record(&self, example: Vec<AnyTensor>) -> Result<Recorded, CliError> {
        let model = &self.model;
        Ok(progress::during("recording", || {
            silenced(|| model.capture(example))
        })?)
    }

    /// The recorded network on multipliers, with the file's quantisers where it has them, and whether every layer has its
    /// ranges by them.
    pub fn converted(
        &self,
        recorded: Recorded,
        config: &ApproxConfig,
        quantizers: FileQuantizers,
        output: Output,
    ) -> Result<(Recorded, bool), CliError> {
        let (converted, report) = convert(recorded, config)?;
        if report.converted.is_empty() {
            return Err(CliError::Usage(
                "no layer of the network is converted".to_string(),
            ));
        }
        let mut set = Vec::new();
        if !quantizers.recalibrate {
            let codes = match quantizers.shift_codes {
                true => FileCodes::Shifted,
                false => FileCodes::AsTheyAre,
            };
            let of_file = self.model.quantizers();
            set = set_file_quantizers(&converted, &of_file, codes).map_err(|error| {
                CliError::Usage(format!(
                    "{error}\n--shift-codes gives the multiplier the same values by signed codes; --recalibrate leaves the \
                     file's quantisers out"
                ))
            })?;
        }
        if !set.is_empty() {
            output.note(format!(
                "{} layers have the quantisers of the file",
                set.len()
            ));
        }
        let is_calibrated = approx_layers(&converted)
            .iter()
            .all(|layer| !layer.is_converted() || layer.is_calibrated());
        Ok((converted, is_calibrated))
    }
}

/// A configuration from its file.
pub fn read_config(path: &Path) -> Result<ApproxConfig, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| CliError::file(path, error))?;
    serde_json::from_str(&text).map_err(|error| CliError::file(path, error))
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

fn data(array: Array) -> TensorData {
    let Array { shape, values } = array;
    match values {
        Values::Codes(values) => TensorData::new(values, shape),
        Values::Reals(values) => TensorData::new(values, shape),
    }
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
