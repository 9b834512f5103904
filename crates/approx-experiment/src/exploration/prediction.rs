//! What the change of a single layer's multiplier will cost, without measuring it.
//!
//! A layer's error `e`, its output with the multiplier minus the exact one, changes the mean loss by about
//!
//! ```text
//! dL = <g, e> + 1/2 e' H e
//! ```
//!
//! with the gradient `g` of the loss by the layer's output and the Gauss-Newton matrix `H = J' (diag(p) - p p') J` of
//! cross-entropy, where `J` is the derivative of the logits by the output and `p` are the probabilities. For a random
//! vector `v` with the covariance `diag(p) - p p'`, `J' v` is what a pass back from `v` gives, and the mean of
//! `<J' v, e>^2` over some such vectors is an estimate of `e' H e` (the estimator of Hutchinson 1990 for this quadratic
//! form; the Gauss-Newton matrix is that of Schraudolph 2002). Errors are exact: each layer is computed with every
//! multiplier, on what it is given in the exact network.
//!
//! All of it is one pass forward and a few passes back on the calibration images, and as many products as one pass with
//! every multiplier has.
//!
//! Cheaper still, the prediction from the population takes the mean and the variance of the error from how often codes
//! occur, in place of the error itself; the derivatives are the same.

use std::collections::BTreeMap;

use approx_models::training::ImageBatch;
use approx_multiplier::Multiplier;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Int, Tensor, activation};
use burn_approx::{ApproxError, GraphModel};
use serde::{Deserialize, Serialize};

use super::ExplorationError;
use super::population::{self, PopulationError};
use crate::loader::ImageLoader;
use crate::progress::Display;

/// A captured network of images.
type Captured<M> = GraphModel<M, Tensor<4>, Tensor<2>>;

/// How the loss is differentiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictionSettings {
    /// How many random vectors the quadratic term is estimated with, for each image.
    pub probes: usize,
    /// The seed that they are drawn by.
    pub seed: u64,
}

impl Default for PredictionSettings {
    /// Four vectors.
    fn default() -> Self {
        Self { probes: 4, seed: 1 }
    }
}

/// The predicted increase of the mean loss when one layer alone has another multiplier, by layer and copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// From the layer's exact error.
    pub gradient: Vec<Vec<f64>>,
    /// From the mean and the variance of its error, where these are known.
    pub population: Vec<Vec<Option<f64>>>,
}

/// Predicts what changes of single layers cost. The first copy is the exact one, to which the others are compared. `copies`
/// are copies of one calibrated network, each on one of the multipliers; `layers` are the paths of the layers that are
/// changed.
///
/// # Errors
///
/// Images that cannot be read, or a layer that cannot be simulated.
pub fn predict<M: Module>(
    copies: &[&Captured<M>],
    multipliers: &[Multiplier],
    layers: &[String],
    loader: &ImageLoader,
    settings: PredictionSettings,
    display: Display,
) -> Result<Predictions, ExplorationError> {
    let errors = population::errors(copies[0], multipliers, layers, loader)?;
    let bar = display.bar("predicting", loader.images().len());
    let numbers = layers.iter().enumerate();
    let mut prediction = Prediction {
        copies,
        layers: numbers
            .map(|(number, path)| (path.as_str(), number))
            .collect(),
        increase: vec![vec![0.0; copies.len()]; layers.len()],
        derivatives: vec![Derivatives::default(); layers.len()],
    };
    let mut images_seen = 0;
    for batch in loader.batches() {
        let ImageBatch { images, labels } = batch?;
        let count = images.dims()[0];
        let device = images.device();
        device.seed(settings.seed.wrapping_add(images_seen as u64));
        let gradients = Gradients::of(copies[0], &images, &labels, settings.probes, &device)?;
        prediction.add(images, &gradients)?;
        images_seen += count;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    let count = images_seen.max(1) as f64;
    let Prediction {
        increase,
        derivatives,
        ..
    } = prediction;
    let mean = |increase: Vec<f64>| increase.into_iter().map(|sum| sum / count).collect();
    let of_layer = |(derivatives, errors): (&Derivatives, Vec<Option<PopulationError>>)| {
        let of_copy = |error: PopulationError| derivatives.increase(error) / count;
        errors.into_iter().map(|error| error.map(of_copy)).collect()
    };
    Ok(Predictions {
        gradient: increase.into_iter().map(mean).collect(),
        population: derivatives.iter().zip(errors).map(of_layer).collect(),
    })
}

/// The derivatives of one batch by the outputs of the operations with layers, in their order, each `[rows, elements]`.
struct Gradients {
    /// Of the summed loss.
    loss: Vec<Tensor<2>>,
    /// Of the products of the logits with random vectors, vector by vector.
    probes: Vec<Vec<Tensor<2>>>,
}

impl Gradients {
    fn of<M: Module>(
        exact: &Captured<M>,
        images: &Tensor<4>,
        labels: &Tensor<1, Int>,
        probes: usize,
        device: &Device,
    ) -> Result<Self, ApproxError> {
        let back = |by: &dyn Fn(Tensor<2>) -> Tensor<2>| gradients(exact, images, device, by);
        let loss = back(&|logits| {
            let classes = logits.dims()[1];
            let labels = labels.clone().one_hot::<2>(classes).float();
            activation::softmax(logits, 1) - labels
        })?;
        // Their covariance is diag(p) - p p'.
        let vector = |logits: Tensor<2>| {
            let probabilities = activation::softmax(logits, 1);
            let roots = probabilities.clone().sqrt();
            let noise = roots.random_like(Distribution::Normal(0.0, 1.0));
            let scaled = roots * noise;
            let along = (scaled.clone() * probabilities.clone().sqrt()).sum_dim(1);
            scaled - probabilities * along
        };
        let probes = (0..probes).map(|_| back(&vector));
        Ok(Self {
            loss,
            probes: probes.collect::<Result<_, ApproxError>>()?,
        })
    }
}

/// The derivatives of `<logits, by(logits)>`, with `by` taken as a constant, by the outputs of the operations with
/// layers.
fn gradients<M: Module>(
    exact: &Captured<M>,
    images: &Tensor<4>,
    device: &Device,
    by: &dyn Fn(Tensor<2>) -> Tensor<2>,
) -> Result<Vec<Tensor<2>>, ApproxError> {
    let autodiff = device.clone().autodiff();
    let mut pass = exact.begin(images.clone())?;
    let mut added = Vec::new();
    while !pass.next_layers().is_empty() {
        let sizes = pass.run_layers()?.dims();
        // The gradient of what is added to an output is that of the output.
        let zeros = Tensor::<2>::zeros(sizes, &autodiff).require_grad();
        pass.add_to_output(zeros.clone());
        added.push(zeros);
    }
    let logits = pass.finish()?;
    let by = by(logits.clone().detach().without_autodiff());
    let gradients = (logits * by).sum().backward();
    let of_output = |zeros: Tensor<2>| {
        let none = || Tensor::zeros(zeros.dims(), device);
        zeros.grad(&gradients).unwrap_or_else(none)
    };
    Ok(added.into_iter().map(of_output).collect())
}

/// Sums of the derivatives by a layer's outputs, over images.
#[derive(Clone, Copy, Default)]
struct Derivatives {
    /// Of the gradient.
    gradient: f64,
    /// Of the squares of sums over an image, a mean over vectors.
    squared_sums: f64,
    /// Of squares, a mean over vectors.
    squares: f64,
}

impl Derivatives {
    fn add(&mut self, gradients: &Gradients, operation: usize) {
        let sum = |values: Tensor<2>| values.sum().into_scalar::<f64>();
        self.gradient += sum(gradients.loss[operation].clone());
        let share = 1.0 / gradients.probes.len().max(1) as f64;
        for probe in &gradients.probes {
            let probe = probe[operation].clone();
            self.squared_sums += share * sum(probe.clone().sum_dim(1).square());
            self.squares += share * sum(probe.square());
        }
    }

    /// How much the summed loss increases by an error with this mean and variance at every output.
    fn increase(&self, error: PopulationError) -> f64 {
        let PopulationError { mean, variance } = error;
        mean * self.gradient + 0.5 * (mean * mean * self.squared_sums + variance * self.squares)
    }
}

/// What was predicted so far.
struct Prediction<'a, M> {
    copies: &'a [&'a Captured<M>],
    layers: BTreeMap<&'a str, usize>,
    /// The increase of the summed loss, by layer and copy.
    increase: Vec<Vec<f64>>,
    /// By layer.
    derivatives: Vec<Derivatives>,
}

impl<M: Module> Prediction<'_, M> {
    /// Adds a batch.
    fn add(&mut self, images: Tensor<4>, gradients: &Gradients) -> Result<(), ApproxError> {
        let mut pass = self.copies[0].begin(images)?;
        for operation in 0..gradients.loss.len() {
            let next = pass.next_layers();
            let Some(first) = next.first() else { break };
            pass.run_to(first)?;
            let mut outputs = Vec::new();
            for path in &next {
                let Some(&layer) = self.layers.get(path.as_str()) else {
                    continue;
                };
                self.derivatives[layer].add(gradients, operation);
                for (copy, with) in self.copies.iter().enumerate().skip(1) {
                    let mut changed = pass.clone();
                    changed.replace(path, with)?;
                    outputs.push((layer, copy, changed.run_layers()?));
                }
            }
            let exact = pass.run_layers()?;
            for (layer, copy, output) in outputs {
                let error = output - exact.clone();
                self.increase[layer][copy] += gradients.increase(operation, error);
            }
        }
        Ok(())
    }
}

impl Gradients {
    /// How much the summed loss increases by an error of an operation's output, `[rows, elements]`.
    fn increase(&self, operation: usize, error: Tensor<2>) -> f64 {
        let first: f64 = (self.loss[operation].clone() * error.clone())
            .sum()
            .into_scalar();
        let squares = self.probes.iter().map(|probe| {
            let along = (probe[operation].clone() * error.clone()).sum_dim(1);
            along.square().sum().into_scalar::<f64>()
        });
        let count = self.probes.len().max(1) as f64;
        first + 0.5 * squares.sum::<f64>() / count
    }
}
