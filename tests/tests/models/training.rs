//! A converted model in burn-train's ordinary pipeline: it trains, validates, checkpoints and resumes.

use std::path::Path;

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::AdamConfig;
use burn::prelude::*;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::quantization::Observation;

use crate::networks::{Perceptron, rows, values};

/// A row of numbers and its class.
#[derive(Clone, Debug)]
struct Item {
    row: [f32; 8],
    class: i64,
}

#[derive(Clone, Debug)]
pub struct Batch {
    rows: Tensor<2>,
    classes: Tensor<1, Int>,
}

#[derive(Clone)]
struct Rows;

impl Batcher<Item, Batch> for Rows {
    fn batch(&self, items: Vec<Item>, device: &Device) -> Batch {
        let rows: Vec<f32> = items.iter().flat_map(|item| item.row).collect();
        let classes: Vec<i64> = items.iter().map(|item| item.class).collect();
        Batch {
            rows: Tensor::from_data(TensorData::new(rows, [items.len(), 8]), device),
            classes: Tensor::from_data(TensorData::new(classes, [items.len()]), device),
        }
    }
}

/// Rows whose class is where their largest of four pair sums lies.
fn items(count: usize, seed: u32) -> Vec<Item> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count)
        .map(|_| {
            let row: [f32; 8] = std::array::from_fn(|_| next());
            let sum = |i: &usize| row[2 * i] + row[2 * i + 1];
            let class = (0..4)
                .max_by(|a, b| sum(a).total_cmp(&sum(b)))
                .expect("four classes");
            Item {
                row,
                class: class as i64,
            }
        })
        .collect()
}

impl Perceptron {
    fn step(&self, batch: Batch) -> ClassificationOutput {
        let output = self.forward(batch.rows);
        let loss = CrossEntropyLossConfig::new()
            .init(&output.device())
            .forward(output.clone(), batch.classes.clone());
        ClassificationOutput::new(loss, output, batch.classes)
    }
}

impl TrainStep for Perceptron {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let item = Perceptron::step(self, batch);
        TrainOutput::new(self, item.loss.backward(), item)
    }
}

impl InferenceStep for Perceptron {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        Perceptron::step(self, batch)
    }
}

fn fit(model: Perceptron, directory: &Path, epochs: usize, resume: Option<usize>) -> Perceptron {
    let loader = |items: Vec<Item>| {
        DataLoaderBuilder::new(Rows)
            .batch_size(32)
            .build(InMemDataset::new(items))
    };
    let mut training =
        SupervisedTraining::new(directory, loader(items(256, 1)), loader(items(128, 2)))
            .metrics((LossMetric::new(), AccuracyMetric::new()))
            .num_epochs(epochs)
            .with_default_checkpointers()
            .with_application_logger(None);
    if let Some(epoch) = resume {
        training = training.checkpoint(epoch);
    }
    let result = training.launch(Learner::new(model, AdamConfig::new().init(), 0.02));
    assert!(result.error.is_none());
    result.model
}

fn accuracy(model: &Perceptron, device: &Device) -> f32 {
    let items = items(512, 3);
    let batch = Rows.batch(items.clone(), device);
    let classes = model.forward(batch.rows).argmax(1).reshape([items.len()]);
    classes
        .equal(batch.classes)
        .int()
        .sum()
        .into_scalar::<i64>() as f32
        / items.len() as f32
}

fn converted(device: &Device) -> Perceptron {
    let (model, _) = convert(
        Perceptron::new(device),
        &ApproxConfig::bundled("mul8s_1KVP"),
    )
    .unwrap();
    calibrate(&model, |model| {
        model.forward(Rows.batch(items(64, 9), device).rows);
    })
    .unwrap();
    for layer in &approx_layers(&model) {
        layer
            .set_observation(Observation::WhileTraining, Observation::Always)
            .unwrap();
    }
    model
}

#[test]
fn a_converted_model_trains_checkpoints_and_resumes() {
    let device = crate::device().autodiff();
    let directory = tempfile::tempdir().unwrap();
    let model = converted(&device);
    let before = accuracy(&model.valid(), &device.clone().inner());
    let trained = fit(model, directory.path(), 3, None);
    let inner = device.clone().inner();
    let after = accuracy(&trained.valid(), &inner);
    assert!(
        after > before + 0.2,
        "accuracy {before} before, {after} after"
    );
    let scales = |model: &Perceptron| {
        let layers = approx_layers(model);
        layers
            .iter()
            .map(|l| l.activation_quantizer().unwrap().scales()[0])
            .collect::<Vec<_>>()
    };
    assert!(
        approx_layers(&trained)
            .iter()
            .all(|layer| layer.is_calibrated())
    );

    // A fresh model of the same configuration takes over weights and quantisation state from the checkpoint.
    let resumed = fit(converted(&device), directory.path(), 3, Some(3));
    assert_eq!(scales(&resumed), scales(&trained));
    assert_eq!(
        values(resumed.valid().forward(rows(&inner))),
        values(trained.valid().forward(rows(&inner)))
    );
    let continued = fit(converted(&device), directory.path(), 6, Some(3));
    assert_ne!(scales(&continued), scales(&trained), "training observes");
    assert!(accuracy(&continued.valid(), &inner) > before + 0.2);
}
