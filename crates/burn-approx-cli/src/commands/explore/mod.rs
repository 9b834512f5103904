//! `explore`: which multiplier in which layer. `space` is what is chosen among, `search` how, `chosen` what becomes of the
//! points that are looked at further, `reporting` what is said of it all; here the run itself.

mod chosen;
mod reporting;
mod search;
mod space;

use std::path::PathBuf;
use std::time::Instant;

use approx_experiment::data::{Images, Split};
use approx_experiment::exploration::prediction::{PredictionSettings, Predictions, predict};
use approx_experiment::exploration::report::{ExplorationReport, UniformPoint};
use approx_experiment::exploration::{ExplorationError, NetworkMeasure, blocks};
use approx_experiment::loader::ImageLoader;
use approx_experiment::report::{DataSummary, NetworkSummary};
use approx_explore::evaluator::{EvaluateError, Evaluator};
use approx_explore::front::Front;
use approx_explore::journal::Journal;
use approx_explore::measure::Outcome;
use approx_explore::search::SearchError;
use approx_explore::sensitivity::Sensitivity;
use approx_explore::space::{Assignment, Space};
use burn_approx::approx_layers;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::chosen::{ChosenArgs, Trial};
use self::search::SearchArgs;
use self::space::{Multipliers, SpaceArgs};
use crate::classification::{Classification, Classifier, ImageArgs};
use crate::device;
use crate::error::CliError;
use crate::files::{read_json_if_there, write_json};
use crate::network::{Choice, ModelSource, graphs};
use crate::output::Output;

/// Finds out which layer of a network can have which multiplier: the most accurate assignments for every energy, from
/// sensitivities that are measured layer by layer.
///
/// A network is an ONNX file that classifies images, a folder that `calibrate` or `retrain` has written, or an
/// architecture with its weights (resnet18:weights.pth). The search is held on validation images, which are held back from
/// training; test images are for the points that are chosen in the end. A run that was stopped at any moment goes on with
/// the same command: whatever was measured is in DIR/journal.jsonl.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx explore resnet20.onnx --data cifar10 --multipliers 'mul8s_*' --validation 5000 --output runs/front\n  \
        burn-approx explore resnet20.onnx --data cifar10 --multipliers 'mul8s_*' --multipliers 'mul8u_*:sign-magnitude' \\\n    \
        --validation 5000 --energy 0.5 --energy 0.4 --retrain 3 --output runs/retrained\n  \
        burn-approx evaluate resnet20.onnx --data cifar10 --config runs/front/configs/point-4.json"
)]
pub struct Args {
    /// The network
    #[arg(value_name = "MODEL")]
    model: ModelSource,

    #[command(flatten)]
    images: ImageArgs,

    #[command(flatten)]
    space: SpaceArgs,

    #[command(flatten)]
    search: SearchArgs,

    #[command(flatten)]
    chosen: ChosenArgs,

    /// The folder for the journal, front.json, front.html, front.svg, sensitivities.svg, configurations and networks
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

/// Assignments and what they gave.
type Measured = Vec<(Assignment, Outcome)>;

/// The journal of measurements.
const JOURNAL: &str = "journal.jsonl";
/// What was predicted, which takes a while.
const PREDICTIONS: &str = "predictions.json";
/// The folder of the configurations of the front.
const CONFIGS: &str = "configs";
/// Of training images, this share is held back for the search unless said otherwise, but at most so many.
const HELD_BACK: (usize, usize) = (10, 5000);

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let started = Instant::now();
    let multipliers = args.space.resolve(output)?;
    let mut images = args.images.clone();
    let mut classification = Classification::read(&args.model, &args.images, output)?;
    if images.validation == 0 && classification.images(Split::Validation, None).is_err() {
        let train = classification.images(Split::Train, None)?.len();
        images.validation = (train / HELD_BACK.0).clamp(1, HELD_BACK.1);
        output.note(format!(
            "{} training images are held back for the search (--validation)",
            images.validation
        ));
        classification = classification.with_images(&images);
    }
    let run = Run::new(args, &images, &classification, multipliers, output)?;
    let report = match run.explore(started) {
        Ok(report) => report,
        Err(Stop::LeftToOthers(text)) => {
            output.note(text);
            return Ok(());
        }
        Err(Stop::Failed(error)) => return Err(*error),
    };
    output.result(
        &report,
        format!(
            "{report}\n{:.0} s; front.json, front.html, the pictures and the configurations are in {}",
            report.seconds,
            args.output.display()
        ),
    )
}

/// Predictions, and everything that determines them.
#[derive(Serialize, Deserialize)]
struct KnownPredictions {
    key: serde_json::Value,
    #[serde(flatten)]
    predictions: Predictions,
}

/// What all steps share.
struct Run<'a> {
    args: &'a Args,
    images: &'a ImageArgs,
    classification: &'a Classification<'a>,
    multipliers: Multipliers,
    output: Output,
    /// The network on the exact multiplier.
    exact: Classifier,
    space: Space,
    validation: Images,
    calibration: Images,
    // What files and images are, found out once: both are read for it.
    network_summary: NetworkSummary,
    validation_summary: DataSummary,
}

impl<'a> Run<'a> {
    fn new(
        args: &'a Args,
        images: &'a ImageArgs,
        classification: &'a Classification<'a>,
        multipliers: Multipliers,
        output: Output,
    ) -> Result<Self, CliError> {
        let validation = classification.images(Split::Validation, None)?;
        if args.chosen.retrain.is_some() && classification.images(Split::Test, None).is_err() {
            return Err(CliError::Usage(
                "the data has no test images: a retrained network cannot be judged on images that the search has seen"
                    .to_string(),
            ));
        }
        let exact = classification.on(Choice::Multiplier(&multipliers.all[0]))?;
        let train = classification.images(Split::Train, None)?;
        let calibration = train.drawn(images.calibration, images.seed);
        // A layer knows its multiplications once it was run.
        let mut batches = classification.in_order(calibration.clone()).batches();
        let batch = batches.next().transpose()?.ok_or_else(|| {
            CliError::Usage("there are no training images to find ranges on".to_string())
        })?;
        exact.try_forward(batch.images.clone())?;
        let table = approx_layers(&exact);
        let space = args
            .space
            .space(&exact, &table, batch.images, &multipliers)?;
        args.chosen.check(&space, &multipliers.all)?;
        if !space.can_save() {
            return Err(CliError::Usage(
                "no layer may have a multiplier that takes less than the exact one: what --exact, --tie, --allow \
                 and --most say leaves nothing to choose"
                    .to_string(),
            ));
        }
        let (source, data) = (&images.data, &classification.data);
        let selection = images.selection(None);
        Ok(Self {
            network_summary: classification.network_summary()?,
            validation_summary: DataSummary::of(
                source,
                data,
                Split::Validation,
                &selection,
                &validation,
            )?,
            args,
            images,
            classification,
            multipliers,
            output,
            exact,
            space,
            validation,
            calibration,
        })
    }

    fn explore(&self, started: Instant) -> Result<ExplorationReport, Stop> {
        let args = self.args;
        if args.output.is_file() {
            let problem = "this is a file: name a folder with --output";
            return Err(CliError::file(&args.output, problem).into());
        }
        std::fs::create_dir_all(&args.output)
            .map_err(|error| CliError::file(&args.output, error))?;
        let settings = self.settings();
        let key = hex::encode(Sha256::digest(settings.to_string()));
        let journal = args.output.join(JOURNAL);
        let mut journal = Journal::open(journal, &key).map_err(usage)?;
        journal.join(&args.search.join).map_err(usage)?;

        let mut evaluator = self.evaluator(journal)?;
        let (exact, all) = (self.space.exact(), evaluator.blocks());
        let blocks = args.search.sensitivity_blocks(all);
        // On the images that they are measured on, so that the two can be compared.
        let begun = Instant::now();
        let predictions = self.predictions(evaluator.network(), blocks * args.search.block)?;
        let predicted = begun.elapsed();
        let sensitivity = Sensitivity::measure(&mut evaluator, blocks).map_err(not_measured)?;
        let measured = begun.elapsed() - predicted;
        self.output.note(format!(
            "sensitivities of {} changes on {} images: predicted in {:.1} s, measured in {:.1} s",
            Sensitivity::single_changes(&self.space).len(),
            evaluator.images(blocks),
            predicted.as_secs_f64(),
            measured.as_secs_f64()
        ));
        let (uniform, known) = self.uniform(&mut evaluator)?;
        let baseline = evaluator
            .outcomes(&[exact], all)
            .map_err(not_measured)?
            .remove(0);
        if let Some(budget) = args.search.budget {
            let spent = evaluator.measured() + evaluator.recalled();
            evaluator = evaluator.with_budget(spent + budget);
        }
        let found = args
            .search
            .front(&mut evaluator, &sensitivity, self.images.seed)
            .map_err(|error| match error {
                SearchError::Evaluate(error) => not_measured(error),
                error => usage(error).into(),
            })?;
        let found = found.points().iter();
        let found = found.map(|point| (point.assignment.clone(), point.outcome.clone()));
        // Networks that guess are not what one looks for, and the least accurate of them is always in front.
        let least = baseline.accuracy() - args.search.depth;
        let measured = found
            .chain(known)
            .filter(|(_, outcome)| outcome.accuracy() >= least);
        let front = Front::new(&self.space, measured);

        let mut report = self.report(settings, &front, &baseline)?;
        report.uniform = uniform;
        self.add_sensitivities(&mut report, &sensitivity, predictions)?;
        report.measured_images = evaluator.measured() + evaluator.recalled();
        report.seconds = started.elapsed().as_secs_f64();
        // Worth having, whatever becomes of the points that are chosen.
        self.save(&report)?;
        self.try_chosen(&front, evaluator.network(), &mut report)?;
        report.seconds = started.elapsed().as_secs_f64();
        self.save(&report)?;
        Ok(report)
    }

    /// Everything that determines what a measurement gives.
    fn settings(&self) -> serde_json::Value {
        let files = self.network_summary.files.iter();
        let hashes: Vec<&String> = files.map(|file| &file.sha256).collect();
        serde_json::json!({
            "network": hashes,
            "validation": self.validation_summary,
            "ranges": self.classification.range_summary(),
            "baseline": self.multipliers.all[0].hash().to_string(),
            "block": self.args.search.block,
            "batch": self.images.batch_size,
            "seed": self.images.seed,
            "device": self.images.device,
        })
    }

    /// The images of the search in blocks of at most so many, always in the same order.
    fn blocks(&self, size: usize) -> Vec<ImageLoader> {
        let classification = self.classification;
        blocks(
            &self.validation,
            &classification.data.normalisation(),
            (size, self.images.batch_size),
            self.images.seed,
            &classification.device,
        )
    }

    fn evaluator(
        &self,
        journal: Journal,
    ) -> Result<Evaluator<NetworkMeasure<Classifier>>, CliError> {
        let network = NetworkMeasure::new(
            &self.exact,
            &self.space,
            &self.multipliers.all,
            self.blocks(self.args.search.block),
            self.classification.display,
        )?;
        let devices = device::open(self.images.device, self.args.search.devices)?;
        let network = network.with_devices(&devices[1..]);
        let evaluator = Evaluator::new(self.space.clone(), network).with_journal(journal);
        self.args.search.of_shard(evaluator)
    }

    /// What changes of single layers will cost on so many images, for networks that can say so.
    fn predictions(
        &self,
        measure: &NetworkMeasure<Classifier>,
        images: usize,
    ) -> Result<Option<Predictions>, CliError> {
        let copies: Vec<&Classifier> = measure.copies().iter().collect();
        let Some(graphs) = graphs(&copies) else {
            self.output.note(
                "sensitivities are measured, not predicted: that takes a network from an ONNX file",
            );
            return Ok(None);
        };
        let settings = PredictionSettings {
            seed: self.images.seed,
            ..PredictionSettings::default()
        };
        let (multipliers, display) = (&self.multipliers.all, self.classification.display);
        let layers = measure.layers();
        let hashes = multipliers
            .iter()
            .map(|multiplier| multiplier.hash().to_string());
        let key = serde_json::json!({
            "search": self.settings(),
            "layers": layers,
            "multipliers": hashes.collect::<Vec<_>>(),
            "images": images,
            "settings": settings,
        });
        let path = self.args.output.join(PREDICTIONS);
        let known = read_json_if_there::<KnownPredictions>(&path)?;
        if let Some(known) = known.filter(|known| known.key == key) {
            return Ok(Some(known.predictions));
        }
        let loader = self.blocks(images).remove(0);
        let predictions = predict(&graphs, multipliers, layers, &loader, settings, display)?;
        // What is no number cannot be written, and is predicted again.
        let mut values = predictions
            .gradient
            .iter()
            .flatten()
            .chain(predictions.population.iter().flatten().flatten());
        if values.all(|value| value.is_finite()) {
            let known = KnownPredictions {
                key,
                predictions: predictions.clone(),
            };
            write_json(&path, &known)?;
        }
        Ok(Some(predictions))
    }

    /// Every multiplier in all layers that may have it.
    fn uniform(
        &self,
        evaluator: &mut Evaluator<NetworkMeasure<Classifier>>,
    ) -> Result<(Vec<UniformPoint>, Measured), Stop> {
        let space = &self.space;
        let choices: Vec<usize> = (1..space.choices().len())
            .filter(|choice| {
                let uniform = space.uniform(*choice);
                uniform != space.exact() && space.allows(&uniform)
            })
            .collect();
        let assignments: Vec<Assignment> = choices
            .iter()
            .map(|choice| space.uniform(*choice))
            .collect();
        let blocks = evaluator.blocks();
        let outcomes = evaluator
            .outcomes(&assignments, blocks)
            .map_err(not_measured)?;
        let points = choices.iter().zip(&assignments).zip(&outcomes);
        let points = points.map(|((choice, assignment), outcome)| UniformPoint {
            multiplier: space.choices()[*choice].name.clone(),
            energy: space.energy(assignment),
            validation_accuracy: outcome.accuracy(),
        });
        Ok((
            points.collect(),
            assignments.iter().cloned().zip(outcomes).collect(),
        ))
    }

    /// Looks further at the points that were asked for, on images that the search never saw.
    fn try_chosen(
        &self,
        front: &Front,
        measure: &NetworkMeasure<Classifier>,
        report: &mut ExplorationReport,
    ) -> Result<(), CliError> {
        let classification = self.classification;
        let Ok(test) = classification.images(Split::Test, None) else {
            self.output
                .note("the data has no test images: all accuracies are those of the search");
            return Ok(());
        };
        let test = classification.in_order(test);
        let float = classification.measure("float", &classification.in_float()?, &test)?;
        report.float.test_accuracy = Some(float.top1);
        let exact = classification.measure("exact", &self.exact, &test)?;
        report.baseline.worth.test_accuracy = Some(exact.top1);
        let train = classification.images(Split::Train, None)?;
        let trial = Trial {
            args: &self.args.chosen,
            classification,
            exact: &self.exact,
            test: &test,
            train: &train,
            validation: &self.validation,
            calibration: classification.in_order(self.calibration.clone()),
            batch_size: self.images.batch_size,
            seed: self.images.seed,
            settings: report.settings.clone(),
            folder: self.args.output.clone(),
        };
        let chosen = self.args.chosen.choose(report)?;
        for (number, point) in front.points().iter().enumerate() {
            if !chosen.contains(&number) {
                trial.recall(&self.name(&point.assignment), &mut report.points[number])?;
            }
        }
        for number in chosen {
            let assignment = &front.points()[number].assignment;
            let name = self.name(assignment);
            let network = measure.network(assignment)?;
            self.output.note(format!(
                "point {number}: {:.2} % of the energy",
                100.0 * report.points[number].energy
            ));
            trial.run(&name, network, &mut report.points[number])?;
        }
        Ok(())
    }

    /// A name for an assignment that is the same in every search.
    fn name(&self, assignment: &Assignment) -> String {
        let choices = self.space.of_layers(assignment);
        let layers = self.space.layers().iter().zip(choices);
        let text: String = layers
            .map(|(layer, choice)| {
                format!("{}={}\n", layer.path, self.space.choices()[choice].hash)
            })
            .collect();
        hex::encode(&Sha256::digest(text)[..8])
    }
}

/// Why a search has no result.
enum Stop {
    /// The rest falls to other shards: no fault.
    LeftToOthers(String),
    Failed(Box<CliError>),
}

impl<E: Into<CliError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

/// Why outcomes cannot be had.
fn not_measured(error: EvaluateError<ExplorationError>) -> Stop {
    match error {
        EvaluateError::Missing { .. } => Stop::LeftToOthers(error.to_string()),
        EvaluateError::Measure(error) => error.into(),
        error => usage(error).into(),
    }
}

/// What went wrong in a search, for the user to mend.
fn usage(error: impl std::fmt::Display) -> CliError {
    CliError::Usage(error.to_string())
}
