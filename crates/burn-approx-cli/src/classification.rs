//! A network that classifies images, and the images that it is calibrated, trained and measured on.

use std::cell::Cell;
use std::path::Path;

use approx_experiment::calibration::calibrate;
use approx_experiment::data::{
    Crop, DataSource, Images, PreparedData, ReadOptions, Resize, Selection, Split, parse_channels,
};
use approx_experiment::device::DeviceKind;
use approx_experiment::evaluation::{Evaluation, evaluate};
use approx_experiment::loader::ImageLoader;
use approx_experiment::progress::Display;
use approx_experiment::report::{FileCodesUse, NetworkSummary, RangeSummary};
use approx_experiment::training::ImageClassifier;
use burn::tensor::{Device, Tensor};
use burn_approx::{AnyTensor, Mode, approx_layers};

use crate::device;
use crate::error::CliError;
use crate::network::{
    Choice, FileQuantizers, ModelSource, NamedShape, Network, Recorded, in_float,
};
use crate::output::Output;

/// A recorded network of images.
pub type Classifier = Recorded<Tensor<4>, Tensor<2>>;

/// The images, and how they and the network are prepared.
#[derive(Debug, Clone, clap::Args)]
pub struct ImageArgs {
    /// The images: `digits`, which come with the program; a folder (train/CLASS and test/CLASS with PNG or JPEG images, or
    /// MNIST's or CIFAR's files, or train.npz and test.npz); or an .npz file with `inputs` (images x channels x height x
    /// width, uint8 or float) and `labels`
    #[arg(long, value_name = "DATA")]
    pub data: DataSource,

    /// How many training images are held back for validation; explore holds a tenth of them back, at most 5000, if this is 0
    /// and the data has no validation images
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub validation: usize,

    /// How many training images the ranges of activations are found on, drawn by the seed
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = at_least_one)]
    pub calibration: usize,

    /// The seed of what is drawn
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Images at a time
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = at_least_one)]
    pub batch_size: usize,

    /// Scale images, so that the shorter side has this size, or to HEIGHTxWIDTH
    #[arg(long, value_name = "PIXELS|HxW")]
    pub resize: Option<Resize>,

    /// Cut this size out of the middle
    #[arg(long, value_name = "PIXELS|HxW")]
    pub crop: Option<Crop>,

    /// The mean that is subtracted once grey levels are divided by 255, for all channels or each
    #[arg(long, value_name = "MEAN,..")]
    pub mean: Option<String>,

    /// The standard deviation that is divided by, likewise
    #[arg(long, value_name = "STD,..")]
    pub std: Option<String>,

    /// How the codes of a quantised file are used.
    #[command(flatten)]
    pub quantizers: FileQuantizers,

    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceKind,
}

/// A count that must not be 0.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("0 is too few: at least 1 is needed".to_string()),
        Ok(count) => Ok(count),
        Err(_) => Err(format!("`{text}` is no whole number above 0")),
    }
}

impl ImageArgs {
    /// Which images make up the splits, and how many of a split's are taken.
    pub fn selection(&self, limit: Option<usize>) -> Selection {
        Selection {
            validation: self.validation,
            limit,
            seed: self.seed,
        }
    }
}

/// A network with its images, on a device.
pub struct Classification<'a> {
    args: &'a ImageArgs,
    /// The network.
    pub network: Network,
    /// The images.
    pub data: PreparedData,
    /// Where both are.
    pub device: Device,
    /// What is shown meanwhile.
    pub display: Display,
    output: Output,
    recorded: Classifier,
    /// Whether it was said that the file has quantisers.
    is_said: Cell<bool>,
}

impl<'a> Classification<'a> {
    /// Reads a network and images of the size that it takes, and records the network for them.
    pub fn read(
        model: &ModelSource,
        args: &'a ImageArgs,
        output: Output,
    ) -> Result<Self, CliError> {
        let device = device::open_one(args.device)?;
        let network = Network::load(model, &device)?;
        network.check(args.quantizers)?;
        let channels = |text: &Option<String>| {
            let channels = text.as_deref().map(parse_channels).transpose();
            channels.map_err(|error| CliError::Usage(error.to_string()))
        };
        let mut options = ReadOptions {
            resize: args.resize,
            crop: args.crop,
            mean: channels(&args.mean)?,
            std: channels(&args.std)?,
            network_size: network.image_size(),
            ..ReadOptions::default()
        };
        // A network that was saved knows how its images were prepared.
        if let Some(saved) = &network.declared().preparation {
            if options.resize.is_none() && options.crop.is_none() {
                (options.resize, options.crop) = (saved.resize, saved.crop);
            }
            if options.mean.is_none() && options.std.is_none() {
                (options.mean, options.std) = (Some(saved.mean.clone()), Some(saved.std.clone()));
            }
        }
        let data = args.data.read(&options)?;
        for assumption in &data.assumptions {
            output.note(assumption);
        }
        let recorded = record(&network, data.dataset.shape())?;
        Ok(Self {
            args,
            network,
            data,
            device,
            display: Display::new(false),
            output,
            recorded,
            is_said: Cell::new(false),
        })
    }

    /// The same network and data, of whose images other ones make up the splits.
    pub fn with_images(self, args: &'a ImageArgs) -> Self {
        Self { args, ..self }
    }

    /// The images of a split.
    pub fn images(&self, split: Split, limit: Option<usize>) -> Result<Images, CliError> {
        Ok((self.data.dataset).select(split, &self.args.selection(limit))?)
    }

    /// Images in order, in batches.
    pub fn in_order(&self, images: Images) -> ImageLoader {
        let normalisation = self.data.normalisation();
        ImageLoader::in_order(images, normalisation, self.args.batch_size, &self.device)
    }

    /// Keeps the network on multipliers in a folder.
    pub fn save(&self, converted: &Classifier, folder: &Path) -> Result<(), CliError> {
        let sizes = vec![self.data.dataset.shape().to_vec()];
        let inputs = (sizes, &self.data.preparation);
        self.network.save(converted, inputs, folder)
    }

    /// The network in float.
    pub fn in_float(&self) -> Result<Classifier, CliError> {
        in_float(&self.recorded)
    }

    /// The network on multipliers, with ranges of its own or from training images.
    pub fn on(&self, choice: Choice<'_>) -> Result<Classifier, CliError> {
        let quantizers = self.args.quantizers;
        let converted = (self.network).convert(self.recorded.clone(), choice, quantizers)?;
        if let Some(note) = converted.note()
            && !self.is_said.replace(true)
        {
            self.output.note(note);
        }
        converted.with_ranges(|network| {
            let images = self.images(Split::Train, None)?;
            let images = images.drawn(self.args.calibration, self.args.seed);
            let loader = self.in_order(images);
            let forward = |model: &Classifier, images| drop(model.logits(images));
            let batches = loader.num_batches();
            Ok(calibrate(network, forward, &loader, batches, self.display)?)
        })
    }

    /// One pass over images.
    pub fn measure(
        &self,
        name: &str,
        network: &Classifier,
        loader: &ImageLoader,
    ) -> Result<Evaluation, CliError> {
        let bar = self.display.bar(name, loader.images().len());
        let forward = |images: Tensor<4>| network.logits(images);
        let evaluation = evaluate(forward, loader, |images| bar.inc(images as u64));
        bar.finish_and_clear();
        Ok(evaluation?)
    }

    /// What a report says of the network.
    pub fn network_summary(&self) -> Result<NetworkSummary, CliError> {
        let source = self.network.source();
        let summary = NetworkSummary::of_files(source.to_string(), &source.files());
        summary.map_err(|error| CliError::file(source.path(), error))
    }

    /// What a report says of the ranges of codes.
    pub fn range_summary(&self) -> RangeSummary {
        let FileQuantizers {
            shift_codes,
            recalibrate,
        } = self.args.quantizers;
        let has_quantizers = !self.network.file_quantizers().is_empty();
        RangeSummary {
            file_codes: match (has_quantizers && !recalibrate, shift_codes) {
                (false, _) => FileCodesUse::None,
                (true, false) => FileCodesUse::AsTheyAre,
                (true, true) => FileCodesUse::Shifted,
            },
            images: self.args.calibration,
            seed: self.args.seed,
        }
    }
}

/// A network on multipliers with exact products of its quantised operands.
pub fn quantized(converted: &Classifier) -> Result<Classifier, CliError> {
    let converted = converted.clone();
    approx_layers(&converted).set_mode(Mode::Quantized)?;
    Ok(converted)
}

/// The network recorded for images of one shape.
fn record(
    network: &Network,
    [channels, height, width]: [usize; 3],
) -> Result<Classifier, CliError> {
    let inputs = &network.declared().inputs;
    if inputs.len() != 1 {
        return Err(CliError::Usage(format!(
            "the network takes {} inputs, and a classifier of images takes one",
            inputs.len()
        )));
    }
    let shape = NamedShape::of_first(vec![2, channels, height, width]);
    let example = network.example(&[shape])?.remove(0);
    network.record(image_tensor(example)?)
}

fn image_tensor(example: AnyTensor) -> Result<Tensor<4>, CliError> {
    Ok(burn_approx::GraphTensors::from_tensors(vec![example])?)
}
