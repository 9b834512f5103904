//! `explore`: which multiplier in which layer. `space` is what is chosen among, `search` how, `chosen` what becomes of the
//! points that are looked at further; here the run itself.

mod chosen;
mod search;
mod space;

use std::path::PathBuf;
use std::time::Instant;

use approx_experiment::data::{Images, Split};
use approx_experiment::exploration::prediction::{PredictionSettings, Predictions, predict};
use approx_experiment::exploration::report::{
    Correlation, EnergySummary, ExplorationReport, ExploredData, FORMAT, ReportedLayer,
    ReportedMultiplier, ReportedPoint, ReportedSensitivity, UniformPoint, Worth,
};
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
use approx_multiplier::MultiplierSource;
use burn_approx::{ApproxConfig, LayerRule, approx_layers};
use sha2::{Digest, Sha256};

use self::chosen::{ChosenArgs, Trial};
use self::search::SearchArgs;
use self::space::{Multipliers, SpaceArgs};
use crate::classification::{Classification, Classifier, ImageArgs};
use crate::error::CliError;
use crate::files::write_json;
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
        Err(CliError::LeftToOthers(text)) => {
            output.note(text);
            return Ok(());
        }
        report => report?,
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

    fn explore(&self, started: Instant) -> Result<ExplorationReport, CliError> {
        let args = self.args;
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
                error => usage(error),
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
        let (layers, loader) = (measure.layers(), self.blocks(images).remove(0));
        let predictions = predict(&graphs, multipliers, layers, &loader, settings, display)?;
        Ok(Some(predictions))
    }

    /// Every multiplier in all layers that may have it.
    fn uniform(
        &self,
        evaluator: &mut Evaluator<NetworkMeasure<Classifier>>,
    ) -> Result<(Vec<UniformPoint>, Measured), CliError> {
        let space = &self.space;
        let choices: Vec<usize> = (1..space.choices().len())
            .filter(|choice| space.allows(&space.uniform(*choice)))
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

    fn report(
        &self,
        settings: serde_json::Value,
        front: &Front,
        baseline: &Outcome,
    ) -> Result<ExplorationReport, CliError> {
        let classification = self.classification;
        let table = approx_layers(&self.exact);
        let total = self.space.multiplications() as f64;
        let layers = self.space.layers().iter().map(|layer| ReportedLayer {
            path: layer.path.clone(),
            kind: table
                .get(&layer.path)
                .map_or(String::new(), |layer| layer.kind().to_string()),
            multiplications: layer.multiplications,
            share: layer.multiplications as f64 / total,
        });
        let multipliers = self
            .space
            .choices()
            .iter()
            .map(|choice| ReportedMultiplier {
                name: choice.name.clone(),
                hash: choice.hash.clone(),
                energy: choice.energy,
            });
        let float = classification.in_float()?;
        let on_validation = classification.in_order(self.validation.clone());
        let float = classification.measure("float", &float, &on_validation)?;
        let test = classification.images(Split::Test, None).ok();
        Ok(ExplorationReport {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            network: self.network_summary.clone(),
            data: ExploredData {
                name: self.images.data.to_string(),
                validation_images: self.validation.len(),
                test_images: test.map(|test| test.len()),
                validation: self.validation_summary.clone(),
            },
            ranges: classification.range_summary(),
            method: self.args.search.method.to_string(),
            settings,
            energy: EnergySummary {
                baseline: self.multipliers.all[0].name().to_string(),
                assumptions: self.multipliers.energies.assumptions.clone(),
            },
            layers: layers.collect(),
            multipliers: multipliers.collect(),
            float: Worth {
                validation_accuracy: Some(float.top1),
                validation_loss: float.loss,
                ..Worth::default()
            },
            baseline: self.point(&self.space.exact(), baseline),
            points: (front.points().iter())
                .map(|point| self.point(&point.assignment, &point.outcome))
                .collect(),
            uniform: Vec::new(),
            sensitivities: Vec::new(),
            correlation: Correlation::default(),
            measured_images: 0,
            seconds: 0.0,
        })
    }

    fn point(&self, assignment: &Assignment, outcome: &Outcome) -> ReportedPoint {
        let choices = self.space.of_layers(assignment);
        let names = choices
            .iter()
            .map(|choice| self.space.choices()[*choice].name.clone());
        ReportedPoint {
            energy: self.space.energy(assignment),
            worth: Worth {
                validation_accuracy: Some(outcome.accuracy()),
                validation_loss: Some(outcome.mean_loss()).filter(|loss| loss.is_finite()),
                ..Worth::default()
            },
            multipliers: names.collect(),
            config: self.config(&choices),
        }
    }

    /// An assignment as a configuration: the exact multiplier, and a rule for every layer that has another.
    fn config(&self, choices: &[usize]) -> ApproxConfig {
        let multiplier = |choice: usize| MultiplierSource::describe(&self.multipliers.all[choice]);
        let rules = self
            .space
            .layers()
            .iter()
            .zip(choices)
            .filter(|(_, choice)| **choice != 0);
        let rules = rules.map(|(layer, choice)| {
            LayerRule::layer(&layer.path).with_multiplier(multiplier(*choice))
        });
        ApproxConfig {
            rules: rules.collect(),
            ..ApproxConfig::new(multiplier(0))
        }
    }

    fn add_sensitivities(
        &self,
        report: &mut ExplorationReport,
        measured: &Sensitivity,
        predictions: Option<Predictions>,
    ) -> Result<(), CliError> {
        // Layers that are bound together are predicted one by one: to first order, their losses add up.
        let of_groups = |by_layer: Vec<Vec<Option<f64>>>| {
            let of_group = |layers: &Vec<usize>| {
                let of_choice =
                    |choice: usize| layers.iter().map(|layer| by_layer[*layer][choice]).sum();
                (0..self.space.choices().len()).map(of_choice).collect()
            };
            let groups = self
                .space
                .groups()
                .iter()
                .map(|group| of_group(&group.layers));
            Sensitivity::from_increases(&self.space, groups.collect()).map_err(usage)
        };
        let [mut gradient, mut population] = [None, None];
        if let Some(predictions) = predictions {
            let known = predictions.gradient.into_iter();
            let known = known
                .map(|row| row.into_iter().map(Some).collect())
                .collect();
            gradient = Some(of_groups(known)?);
            population = Some(of_groups(predictions.population)?);
        }
        let correlation = |predicted: &Option<Sensitivity>| {
            predicted
                .as_ref()
                .and_then(|predicted| predicted.spearman(measured))
        };
        report.correlation = Correlation {
            predicted: correlation(&gradient),
            population: correlation(&population),
        };
        for (number, group) in self.space.groups().iter().enumerate() {
            for choice in group.choices.iter().copied().filter(|choice| *choice != 0) {
                let of = |table: &Option<Sensitivity>| {
                    table
                        .as_ref()
                        .and_then(|table| table.increase(number, choice))
                };
                for layer in &group.layers {
                    report.sensitivities.push(ReportedSensitivity {
                        layer: self.space.layers()[*layer].path.clone(),
                        multiplier: self.space.choices()[choice].name.clone(),
                        measured_loss: measured
                            .increase(number, choice)
                            .filter(|loss| loss.is_finite()),
                        measured_accuracy: measured.drop(number, choice).map(|drop| -drop),
                        predicted_loss: of(&gradient),
                        population_loss: of(&population),
                    });
                }
            }
        }
        Ok(())
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
        for number in self.args.chosen.choose(report)? {
            let assignment = &front.points()[number].assignment;
            let name = self.name(assignment);
            let network = measure.network(assignment)?;
            self.output.note(format!(
                "point {number}: {:.2} % of the energy",
                100.0 * report.points[number].energy
            ));
            trial.run(&name, network, &mut report.points[number].worth)?;
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

    fn save(&self, report: &ExplorationReport) -> Result<(), CliError> {
        let path = |name: &str| self.args.output.join(name);
        let file = |name: &str, result: std::io::Result<()>| {
            result.map_err(|error| CliError::file(&path(name), error))
        };
        let configs = path(CONFIGS);
        std::fs::create_dir_all(&configs).map_err(|error| CliError::file(&configs, error))?;
        for (number, point) in report.points.iter().enumerate() {
            write_json(&configs.join(format!("point-{number}.json")), &point.config)?;
        }
        let plot = |error: approx_experiment::plot::PlotError| CliError::Plot(error.to_string());
        report.save_front(&path("front.svg")).map_err(plot)?;
        let shown = report.within(1.0);
        report
            .save_map(shown, &path("sensitivities.svg"))
            .map_err(plot)?;
        file("front.html", report.save_page(&path("front.html")))?;
        file("front.json", report.save_json(&path("front.json")))
    }
}

/// Why outcomes cannot be had.
fn not_measured(error: EvaluateError<ExplorationError>) -> CliError {
    match error {
        EvaluateError::Missing { .. } => CliError::LeftToOthers(error.to_string()),
        EvaluateError::Measure(error) => error.into(),
        error => usage(error),
    }
}

/// What went wrong in a search, for the user to mend.
fn usage(error: impl std::fmt::Display) -> CliError {
    CliError::Usage(error.to_string())
}
