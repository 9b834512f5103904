//! Networks under assignments of multipliers to layers: shared computing, predictions, means and energies.

use std::sync::Arc;

use approx_experiment::data::{Images, Normalisation};
use approx_experiment::exploration::prediction::{PredictionSettings, predict};
use approx_experiment::exploration::{AssignableNetwork, NetworkMeasure, blocks, each_by_itself};
use approx_experiment::loader::ImageLoader;
use approx_experiment::progress::Display;
use approx_explore::evaluator::Evaluator;
use approx_explore::sensitivity::Sensitivity;
use approx_explore::space::{Assignment, Choice, Layer, Space};
use approx_models::training::ImageBatch;
use approx_multiplier::Multiplier;
use approx_multiplier::evoapprox::multiplier;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor};
use burn_approx::{ApproxConfig, GraphModel, approx_layers, calibrate, capture, convert};

/// A network of Burn's own layers, with a shortcut.
#[derive(Module, Debug)]
struct Network {
    first: Conv2d,
    second: Conv2d,
    third: Conv2d,
    output: Linear,
}

impl Network {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.first.forward(images));
        let x = relu(self.second.forward(x.clone())) + x;
        let x = relu(self.third.forward(x));
        self.output.forward(x.mean_dim(3).mean_dim(2).flatten(1, 3))
    }
}

type Captured = GraphModel<Network, Tensor<4>, Tensor<2>>;

const NAMES: [&str; 4] = ["mul8s_1KV6", "mul8s_1KVP", "mul8s_1L2J", "mul8s_1L2L"];

fn multipliers() -> Vec<Multiplier> {
    NAMES.iter().map(|name| multiplier(name).unwrap()).collect()
}

/// Images that have something of their class.
fn images(count: usize) -> Images {
    let pixels = (0..count * 64).map(|place| {
        let (image, pixel) = (place / 64, place % 64);
        let stripes = (pixel * (1 + image % 4)) % 7 * 20;
        (stripes + (image * 37 + pixel * 11) % 100) as u8
    });
    Images::new(
        [1, 8, 8],
        pixels.collect(),
        (0..count).map(|image| image % 4).collect(),
    )
}

fn normalisation() -> Arc<Normalisation> {
    Arc::new(Normalisation::new(&[0.4], &[0.25]))
}

fn loader(count: usize, batch: usize) -> ImageLoader {
    ImageLoader::in_order(images(count), normalisation(), batch, &Device::flex())
}

fn batches(count: usize, batch: usize) -> Vec<ImageBatch> {
    loader(count, batch)
        .batches()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// A network with random weights, calibrated, on the exact multiplier.
fn exact() -> Captured {
    let device = Device::flex();
    device.seed(3);
    let conv = |channels: [usize; 2], stride| {
        Conv2dConfig::new(channels, [3, 3])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init(&device)
    };
    let network = Network {
        first: conv([1, 6], 1),
        second: conv([6, 6], 1),
        third: conv([6, 12], 2),
        output: LinearConfig::new(12, 4).init(&device),
    };
    let example = Tensor::random([2, 1, 8, 8], Distribution::Default, &device);
    let network = capture(&network, example, Network::forward).unwrap();
    let (network, _) = convert(network, &ApproxConfig::bundled(NAMES[0])).unwrap();
    calibrate(&network, |network| {
        for batch in batches(64, 32) {
            drop(network.forward(batch.images));
        }
    })
    .unwrap();
    network
}

fn space(network: &Captured) -> Space {
    let layers = approx_layers(network);
    let layers = layers.iter().map(|layer| Layer {
        path: layer.path().to_string(),
        multiplications: layer.multiplications().unwrap(),
    });
    let choices = NAMES
        .iter()
        .zip([1.0, 0.85, 0.7, 0.47])
        .map(|(name, energy)| Choice {
            name: name.to_string(),
            hash: name.to_string(),
            energy,
        });
    Space::new(layers.collect(), choices.collect()).unwrap()
}

/// Assignments of four choices to four layers that share beginnings of every length.
fn assignments() -> Vec<Vec<usize>> {
    let number = |number: usize| (0..4).map(|layer| (number >> (2 * layer)) % 4).collect();
    [0, 1, 2, 3, 4, 64, 65, 129, 77, 77, 255, 192, 128, 16, 20]
        .map(number)
        .to_vec()
}

fn measure(network: &Captured, space: &Space, block: usize) -> NetworkMeasure<Captured> {
    let blocks = blocks(
        &images(60),
        &normalisation(),
        (block, 16),
        1,
        &Device::flex(),
    );
    NetworkMeasure::new(network, space, &multipliers(), blocks, Display::hidden()).unwrap()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

/// What is computed once for several assignments gives, bit for bit, what each gives by itself.
#[test]
fn branches_of_one_pass_are_whole_passes() {
    let network = exact();
    let space = space(&network);
    let measure = measure(&network, &space, 20);
    let copies: Vec<&Captured> = measure.copies().iter().collect();
    let assignments = assignments();
    let choices: Vec<&[usize]> = assignments.iter().map(Vec::as_slice).collect();
    let images = &batches(16, 16)[0].images;
    let shared = Captured::logits_under(&copies, measure.layers(), &choices, images).unwrap();
    let single = each_by_itself(&copies, measure.layers(), &choices, images).unwrap();
    for ((shared, single), assignment) in shared.into_iter().zip(single).zip(&assignments) {
        let shared = values(shared);
        assert_eq!(shared, values(single), "{assignment:?}");
        // And so does the network that an assignment stands for.
        let network = measure
            .network(&Assignment::new(assignment.clone()))
            .unwrap();
        assert_eq!(
            shared,
            values(network.forward(images.clone())),
            "{assignment:?}"
        );
    }
}

/// An outcome is the assignment's own, whatever it is measured with, and however images are cut.
#[test]
fn outcomes_depend_on_the_assignment_alone() {
    let network = exact();
    let space = space(&network);
    let outcome = |block: usize, assignments: &[Assignment]| {
        let mut evaluator = Evaluator::new(space.clone(), measure(&network, &space, block));
        let blocks = evaluator.blocks();
        evaluator.outcomes(assignments, blocks).unwrap()
    };
    let all: Vec<Assignment> = assignments().into_iter().map(Assignment::new).collect();
    let together = outcome(20, &all);
    for (assignment, expected) in all.iter().zip(&together) {
        let alone = outcome(60, std::slice::from_ref(assignment)).remove(0);
        assert_eq!(alone.right, expected.right);
        assert!((alone.loss - expected.loss).abs() < 1e-4 * expected.loss.abs());
    }
    let answers = together
        .iter()
        .map(|outcome| outcome.right.iter().filter(|right| **right).count());
    assert!(answers.min() != Some(0));
}

/// Devices share the work, by blocks or parts of them, and every outcome finds its place.
#[test]
fn outcomes_do_not_depend_on_the_number_of_devices() {
    let network = exact();
    let space = space(&network);
    let all: Vec<Assignment> = assignments().into_iter().map(Assignment::new).collect();
    for block in [7, 60] {
        let outcomes = |devices: usize| {
            let measure =
                measure(&network, &space, block).with_devices(&vec![Device::flex(); devices - 1]);
            let mut evaluator = Evaluator::new(space.clone(), measure);
            let blocks = evaluator.blocks();
            evaluator.outcomes(&all, blocks).unwrap()
        };
        let alone = outcomes(1);
        assert_eq!(alone, outcomes(2));
        assert_eq!(alone, outcomes(5));
    }
}

/// Without error nothing is lost, and small losses are predicted closely: to second order, on the very images.
#[test]
fn predicted_losses_are_the_measured_ones_where_errors_are_small() {
    let network = exact();
    let space = space(&network);
    let measure = measure(&network, &space, 60);
    let copies: Vec<&Captured> = measure.copies().iter().collect();
    let loader = blocks(&images(60), &normalisation(), (60, 30), 1, &Device::flex()).remove(0);
    let settings = PredictionSettings {
        probes: 64,
        seed: 5,
    };
    let predictions = predict(
        &copies,
        &multipliers(),
        measure.layers(),
        &loader,
        settings,
        Display::hidden(),
    )
    .unwrap();
    let same = [copies[0], copies[0]];
    let nothing = predict(
        &same,
        &[multipliers()[0].clone(), multipliers()[0].clone()],
        measure.layers(),
        &loader,
        settings,
        Display::hidden(),
    );
    assert!(
        nothing
            .unwrap()
            .gradient
            .iter()
            .flatten()
            .all(|loss| *loss == 0.0)
    );

    let mut evaluator = Evaluator::new(space.clone(), self::measure(&network, &space, 60));
    let measured = Sensitivity::measure(&mut evaluator, 1).unwrap();
    for layer in 0..4 {
        for choice in 1..4 {
            let (predicted, measured) = (
                predictions.gradient[layer][choice],
                measured.increase(layer, choice).unwrap(),
            );
            assert!(
                (predicted - measured).abs() <= 0.2 * measured.abs() + 2e-4,
                "layer {layer}, multiplier {choice}: {predicted} {measured}"
            );
        }
    }
    let known = predictions.gradient.into_iter();
    let known = known
        .map(|row| row.into_iter().map(Some).collect())
        .collect();
    let predicted = Sensitivity::from_increases(&space, known).unwrap();
    assert!(predicted.spearman(&measured).unwrap() > 0.9);
}

/// Every layer's output channels have the exact network's means, on the images that they were put right on.
#[test]
fn means_are_those_of_the_exact_network() {
    let network = exact();
    let space = space(&network);
    let measure = measure(&network, &space, 20);
    let images: Vec<Tensor<4>> = batches(64, 32)
        .into_iter()
        .map(|batch| batch.images)
        .collect();
    for choices in [vec![3, 3, 3, 3], vec![0, 2, 0, 3], vec![0, 0, 0, 0]] {
        let assigned = measure.network(&Assignment::new(choices.clone())).unwrap();
        let corrected = assigned.with_means_of(&network, &images).unwrap();
        // By channel: images of 8x8, 8x8 and 4x4 pixels, and single values.
        for (layer, pixels) in [64, 64, 16, 1].into_iter().enumerate() {
            let means = |model: &Captured| {
                let outputs = images.iter().map(|images| {
                    let mut pass = model.begin(images.clone()).unwrap();
                    for _ in 0..layer {
                        pass.run_layers().unwrap();
                    }
                    let output = pass.run_layers().unwrap();
                    let [rows, elements] = output.dims();
                    output
                        .reshape([rows, elements / pixels, pixels])
                        .mean_dim(2)
                        .mean_dim(0)
                });
                values(outputs.reduce(|sum, more| sum + more).unwrap() / images.len() as f64)
            };
            let (found, expected, before) = (means(&corrected), means(&network), means(&assigned));
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{choices:?}, layer {layer}: {found} {expected}"
                );
            }
            if choices[..=layer].contains(&3) {
                assert_ne!(before, expected);
            }
        }
    }
}
