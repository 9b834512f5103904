//! MODEL: a network from a file or a folder, recorded at the sizes of an example, and put on a multiplier.
//!
//! `source` is how the command line names one, `any_model` one type over their kinds, `recorded` the same once layers can be
//! converted, `saved` the folders that they are kept in, `inputs` what they are run on, `conversion` how their layers get multipliers and quantisers, and `choice` how
//! the command line names those.

mod any_model;
mod choice;
mod conversion;
mod inputs;
mod recorded;
mod saved;
mod source;

use std::path::Path;

use approx_experiment::data::Preparation;
use approx_models::Pretrained;
use approx_onnx::{OnnxLayerQuantizers, OnnxModel, OnnxValue};
use burn::tensor::{DType, Device, Tensor};
use burn_approx::{AnyTensor, ApproxError, GraphTensors, Mode, approx_layers};

pub use self::any_model::AnyModel;
pub use self::choice::{Chosen, NamedChoice};
pub use self::conversion::{Choice, Converted, FileQuantizers, read_config, set_gradient};
pub use self::inputs::{NamedFile, NamedShape};
pub use self::recorded::Recorded;
pub use self::source::ModelSource;
use crate::error::CliError;
use crate::panics::silenced;
use crate::progress;

/// A network of as many inputs and outputs as there are.
pub type AnyRecorded = Recorded<Vec<AnyTensor>, Vec<AnyTensor>>;

/// What a network takes and gives.
#[derive(Clone, Debug)]
pub struct Declared {
    /// What it takes, in order.
    pub inputs: Vec<OnnxValue>,
    /// What it gives, in order.
    pub outputs: Vec<OnnxValue>,
    /// How images are prepared for it, if it was saved.
    pub preparation: Option<Preparation>,
}

impl Declared {
    fn of_file(model: &OnnxModel) -> Self {
        Self {
            inputs: model.inputs(),
            outputs: model.outputs(),
            preparation: None,
        }
    }

    fn of_images(channels: usize, classes: usize, image_size: [usize; 2]) -> Self {
        let value = |name: &str, sizes: &[usize]| OnnxValue {
            name: name.to_string(),
            dtype: Some(DType::F32),
            shape: Some(
                [None]
                    .into_iter()
                    .chain(sizes.iter().copied().map(Some))
                    .collect(),
            ),
        };
        let [height, width] = image_size;
        Self {
            inputs: vec![value("images", &[channels, height, width])],
            outputs: vec![value("logits", &[classes])],
            preparation: None,
        }
    }
}

/// A network from a file or a folder.
pub struct Network {
    source: ModelSource,
    model: AnyModel,
    kind: saved::Kind,
    declared: Declared,
    device: Device,
}

impl Network {
    /// Reads a network.
    pub fn load(source: &ModelSource, device: &Device) -> Result<Self, CliError> {
        let (model, kind, declared) = progress::during("reading", || match source {
            ModelSource::Onnx(path) => {
                let model = OnnxModel::load(path, device)?;
                let declared = Declared::of_file(&model);
                Ok::<_, CliError>((AnyModel::Onnx(model), saved::Kind::Onnx, declared))
            }
            ModelSource::Saved(folder) => saved::read(folder, device),
            ModelSource::Weights { architecture, path } => {
                let Pretrained {
                    model,
                    config,
                    in_channels,
                    image_size,
                } = architecture.load(path, device)?;
                let declared = Declared::of_images(in_channels, config.classes(), image_size);
                let kind = saved::Kind::Architecture {
                    config,
                    in_channels,
                    image_size,
                };
                Ok((model.into(), kind, declared))
            }
        })?;
        Ok(Self {
            source: source.clone(),
            model,
            kind,
            declared,
            device: device.clone(),
        })
    }

    /// Where it is from.
    pub fn source(&self) -> &ModelSource {
        &self.source
    }

    /// What it takes and gives.
    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    /// The number of its parameters.
    pub fn num_params(&self) -> usize {
        self.model.num_params()
    }

    /// The quantisers that the network's file has around its layers.
    pub fn file_quantizers(&self) -> Vec<OnnxLayerQuantizers> {
        match (&self.model, &self.source) {
            // A saved network has quantisers of its own, whatever the file had.
            (AnyModel::Onnx(model), ModelSource::Onnx(_)) => model.quantizers(),
            _ => Vec::new(),
        }
    }

    /// The height and width of the images that it takes, if it says so.
    pub fn image_size(&self) -> Option<[usize; 2]> {
        match self.declared.inputs.first()?.shape.as_deref()? {
            [_, _, Some(height), Some(width)] => Some([*height, *width]),
            _ => None,
        }
    }

    /// What the network gives in float; for one that was saved, record it.
    pub fn forward(&self, inputs: Vec<AnyTensor>) -> Result<Vec<AnyTensor>, CliError> {
        silenced(|| match &self.model {
            AnyModel::Onnx(model) => model.forward(inputs).map_err(CliError::from),
            _ => Ok(self
                .capture::<_, Vec<_>>(inputs.clone())?
                .try_forward(inputs)?),
        })
    }

    /// The network recorded at the sizes of an example. One that was saved comes with its weights, multipliers and
    /// quantisers; any other one computes in float.
    pub fn record<I: GraphTensors, O: GraphTensors>(
        &self,
        example: I,
    ) -> Result<Recorded<I, O>, CliError> {
        let recorded = progress::during("recording", || silenced(|| self.capture(example)))?;
        match &self.source {
            ModelSource::Saved(folder) => Ok(burn_approx::load(recorded, folder)?),
            _ => Ok(recorded),
        }
    }

    fn capture<I: GraphTensors, O: GraphTensors>(
        &self,
        example: I,
    ) -> Result<Recorded<I, O>, CliError> {
        Ok(match &self.model {
            AnyModel::Onnx(model) => Recorded::Graph(Box::new(model.capture(example)?)),
            // Made of layers that can be converted.
            AnyModel::LeNet5(model) => Recorded::LeNet5(model.clone()),
            AnyModel::ResNet(model) => Recorded::ResNet(model.clone()),
            AnyModel::MobileNetV2(model) => Recorded::MobileNetV2(model.clone()),
        })
    }

    /// The network of a file with other parameters, those of a recorded one; an error for another kind of network.
    pub fn file_of<I: GraphTensors, O: GraphTensors>(
        &self,
        recorded: Recorded<I, O>,
    ) -> Result<OnnxModel, CliError> {
        match recorded {
            Recorded::Graph(graph) => Ok(graph.into_original()),
            _ => Err(CliError::Usage(format!(
                "{} is no network of an ONNX file, and has none to be written into",
                self.source
            ))),
        }
    }

    /// Keeps a converted network in a folder, with the sizes of its inputs and how images are prepared for it.
    pub fn save<I: GraphTensors, O: GraphTensors>(
        &self,
        converted: &Recorded<I, O>,
        (sizes, preparation): (Vec<Vec<usize>>, &Preparation),
        folder: &Path,
    ) -> Result<(), CliError> {
        saved::begin(folder, &self.model, &self.kind, sizes, preparation)?;
        Ok(burn_approx::save(converted, folder)?)
    }
}

/// The logits for images, the one input.
fn classify(
    inputs: Vec<AnyTensor>,
    forward: impl Fn(Tensor<4>) -> Result<Tensor<2>, String>,
) -> Result<Vec<AnyTensor>, ApproxError> {
    let logits = forward(Tensor::<4>::from_tensors(inputs)?);
    let logits = logits.map_err(|problem| ApproxError::GraphInput { problem })?;
    Ok(vec![AnyTensor::from(logits)])
}

/// A recorded network that computes in float, whatever its layers were converted to.
pub fn in_float<I: GraphTensors, O: GraphTensors>(
    recorded: &Recorded<I, O>,
) -> Result<Recorded<I, O>, CliError> {
    let recorded = recorded.clone();
    for layer in &approx_layers(&recorded) {
        if layer.is_converted() {
            layer.set_mode(Mode::Baseline)?;
        }
    }
    Ok(recorded)
}
