//! MODEL: a network from a file or a folder, recorded at the sizes of an example, and put on a multiplier.
//!
//! `source` is how the command line names one, `recorded` what its layers can be converted in, `saved` the folders that
//! networks are kept in, `inputs` what they are run on, `conversion` how their layers get multipliers and quantisers, and
//! `choice` how the command line names those.

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
use burn::module::Module;
use burn::tensor::{DType, Device};
use burn_approx::{AnyTensor, GraphTensors, Mode, approx_layers};

pub use self::choice::{Chosen, NamedChoice};
pub use self::conversion::{Choice, FileQuantizers, read_config, set_gradient};
pub use self::inputs::{NamedFile, NamedShape};
pub use self::recorded::{Recorded, graphs};
pub use self::source::ModelSource;
use crate::error::CliError;
use crate::panics::silenced;
use crate::progress;

/// A network of as many inputs and outputs as there are.
pub type AnyRecorded = Recorded<Vec<AnyTensor>, Vec<AnyTensor>>;

/// A network as it is read.
enum Body {
    /// The graph of a file.
    Graph(OnnxModel),
    /// An architecture that comes with the program.
    Architecture(Box<Pretrained>),
}

impl Body {
    /// What it takes and gives.
    fn declared(&self) -> Declared {
        match self {
            Self::Graph(model) => Declared::of_file(model),
            Self::Architecture(network) => Declared::of_images(network),
        }
    }
}

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

    fn of_images(network: &Pretrained) -> Self {
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
        let [height, width] = network.image_size;
        Self {
            inputs: vec![value("images", &[network.in_channels, height, width])],
            outputs: vec![value("logits", &[network.config.classes()])],
            preparation: None,
        }
    }
}

/// A network from a file or a folder.
pub struct Network {
    source: ModelSource,
    body: Body,
    declared: Declared,
    device: Device,
}

impl Network {
    /// Reads a network.
    pub fn load(source: &ModelSource, device: &Device) -> Result<Self, CliError> {
        let (body, declared) = progress::during("reading", || {
            let body = match source {
                ModelSource::Saved(folder) => return saved::read(folder, device),
                ModelSource::Onnx(path) => Body::Graph(OnnxModel::load(path, device)?),
                ModelSource::Weights { architecture, path } => {
                    Body::Architecture(Box::new(architecture.load(path, device)?))
                }
            };
            let declared = body.declared();
            Ok((body, declared))
        })?;
        Ok(Self {
            source: source.clone(),
            body,
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
        match &self.body {
            Body::Graph(model) => model.num_params(),
            Body::Architecture(network) => network.model.num_params(),
        }
    }

    /// The quantisers around layers that the network's file asks for.
    pub fn file_quantizers(&self) -> Vec<OnnxLayerQuantizers> {
        match &self.source {
            // A saved network has quantisers of its own, whatever the file had.
            ModelSource::Saved(_) => Vec::new(),
            _ => self.quantizers_in_file(),
        }
    }

    /// The quantisers around layers that are in the network's file, or in the one that a saved network comes from.
    pub fn quantizers_in_file(&self) -> Vec<OnnxLayerQuantizers> {
        match &self.body {
            Body::Graph(model) => model.quantizers(),
            Body::Architecture(_) => Vec::new(),
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
        silenced(|| match &self.body {
            Body::Graph(model) => Ok(model.forward(inputs)?),
            Body::Architecture(network) => {
                Ok(AnyRecorded::from(network.model.clone()).try_forward(inputs)?)
            }
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
        Ok(match &self.body {
            Body::Graph(model) => Recorded::Graph(Box::new(model.capture(example)?)),
            // Made of layers that can be converted.
            Body::Architecture(network) => network.model.clone().into(),
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
        saved::begin(folder, &self.body, sizes, preparation)?;
        Ok(burn_approx::save(converted, folder)?)
    }
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
