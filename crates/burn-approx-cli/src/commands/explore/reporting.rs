//! What is said of a search: everything that is needed to get it again, in figures, pictures and configurations.

use approx_experiment::data::Split;
use approx_experiment::exploration::prediction::Predictions;
use approx_experiment::exploration::report::{
    Correlation, EnergySummary, ExplorationReport, ExploredData, FORMAT, ReportedLayer,
    ReportedMultiplier, ReportedPoint, ReportedSensitivity, Worth,
};
use approx_explore::front::Front;
use approx_explore::measure::Outcome;
use approx_explore::sensitivity::Sensitivity;
use approx_explore::space::Assignment;
use approx_multiplier::MultiplierSource;
use burn_approx::{ApproxConfig, LayerRule, approx_layers};

use super::{CONFIGS, Run, usage};
use crate::error::CliError;
use crate::files::write_json;

impl Run<'_> {
    pub(super) fn report(
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
            network: None,
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

    pub(super) fn add_sensitivities(
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

    pub(super) fn save(&self, report: &ExplorationReport) -> Result<(), CliError> {
        let path = |name: &str| self.args.output.join(name);
        let file = |name: &str, result: std::io::Result<()>| {
            result.map_err(|error| CliError::file(&path(name), error))
        };
        let configs = path(CONFIGS);
        std::fs::create_dir_all(&configs).map_err(|error| CliError::file(&configs, error))?;
        for (number, point) in report.points.iter().enumerate() {
            write_json(&configs.join(format!("point-{number}.json")), &point.config)?;
        }
        // Of an earlier run with more points.
        for number in report.points.len().. {
            match std::fs::remove_file(configs.join(format!("point-{number}.json"))) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => return Err(CliError::file(&configs, error)),
            }
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
