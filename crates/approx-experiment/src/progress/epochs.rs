//! The progress of a training, split by split and epoch by epoch, as burn-train reports it.

use std::time::Instant;

use burn::train::LearnerSummary;
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId, NumericEntry};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use indicatif::ProgressBar;

use super::Display;

/// A mean over values that stand for several images each.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn update(&mut self, entry: &NumericEntry) {
        match *entry {
            NumericEntry::Value(value) => self.add(value, 1.0),
            NumericEntry::Aggregated {
                aggregated_value,
                count,
            } => self.add(aggregated_value, count as f64),
            NumericEntry::Final(value) => {
                *self = Self {
                    sum: value,
                    count: 1.0,
                }
            }
        }
    }

    fn add(&mut self, value: f64, count: f64) {
        self.sum += value * count;
        self.count += count;
    }

    fn value(self) -> f64 {
        self.sum / self.count
    }
}

/// The running loss and accuracy of one split of one epoch.
#[derive(Debug, Clone, Copy, Default)]
struct Metrics {
    loss: Mean,
    accuracy: Mean,
}

impl std::fmt::Display for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (loss, accuracy) = (self.loss.value(), self.accuracy.value());
        write!(formatter, "loss {loss:.4}, accuracy {accuracy:.2} %")
    }
}

/// burn-train's progress display: a bar for every split, and a line for every epoch.
pub struct EpochRenderer {
    display: Display,
    label: String,
    /// What the metrics are called.
    names: Vec<(MetricId, String)>,
    epochs: usize,
    epoch: usize,
    started: Instant,
    bar: ProgressBar,
    train: Metrics,
    valid: Metrics,
}

impl EpochRenderer {
    /// A display for the training called `label`.
    pub fn new(display: Display, label: &str) -> Self {
        Self {
            display,
            label: label.into(),
            names: Vec::new(),
            epochs: 0,
            epoch: 1,
            started: Instant::now(),
            bar: ProgressBar::hidden(),
            train: Metrics::default(),
            valid: Metrics::default(),
        }
    }

    fn update(names: &[(MetricId, String)], metrics: &mut Metrics, state: &MetricState) {
        let MetricState::Numeric(entry, Some(value)) = state else {
            return;
        };
        let name = names
            .iter()
            .find(|(id, _)| *id == entry.metric_id)
            .map(|(_, name)| name.as_str());
        match name {
            Some("Loss") => metrics.loss.update(value),
            Some("Accuracy") => metrics.accuracy.update(value),
            _ => {}
        }
    }
}

impl MetricsRendererTraining for EpochRenderer {
    fn update_train(&mut self, state: MetricState) {
        Self::update(&self.names, &mut self.train, &state);
        self.bar.set_message(self.train.to_string());
    }

    fn update_valid(&mut self, state: MetricState) {
        Self::update(&self.names, &mut self.valid, &state);
        self.bar.set_message(self.valid.to_string());
    }

    fn on_train_end(
        &mut self,
        _summary: Option<LearnerSummary>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        Ok(())
    }
}

impl TrainingProgressLogger for EpochRenderer {
    fn start(
        &mut self,
        total_epochs: usize,
        starting_epoch: usize,
        _total_items: Option<usize>,
        _label: Option<&str>,
    ) {
        self.epochs = total_epochs;
        self.epoch = starting_epoch;
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        if split == "train" {
            self.started = Instant::now();
            self.train = Metrics::default();
            self.valid = Metrics::default();
        }
        let label = format!("epoch {}/{} {split}", self.epoch, self.epochs);
        self.bar = self.display.bar(&label, total_items);
    }

    fn update_split(&mut self, items_processed: usize) {
        self.bar.set_position(items_processed as u64);
    }

    fn end_split(&mut self) {
        self.bar.finish_and_clear();
    }

    fn update_epoch(&mut self, epoch: usize) {
        let line = format!(
            "{} epoch {epoch}/{}: training {}; held out {}; {:.1} s",
            self.label,
            self.epochs,
            self.train,
            self.valid,
            self.started.elapsed().as_secs_f64()
        );
        self.display.line(&line);
        self.epoch = epoch + 1;
    }

    fn end(&mut self) {
        self.bar.finish_and_clear();
    }

    fn log_event_training(&mut self, _event: String) {}
}

/// Accuracy after training is measured without burn-train, which would average over batches: nothing is drawn here.
impl EvaluationProgressLogger for EpochRenderer {
    fn start_global_progress(&mut self, _total_tests: usize) {}
    fn start_test(&mut self, _name: &str, _total_items: usize) {}
    fn update_test_progress(&mut self, _items_processed: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRendererEvaluation for EpochRenderer {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl MetricsRenderer for EpochRenderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.names
            .push((definition.metric_id, definition.name.to_string()));
    }
}
