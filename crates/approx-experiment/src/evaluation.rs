//! How often a network is right, and its loss, in one pass over some images.
//!
//! While the network computes a batch, the next ones are prepared (see [`loader`](crate::loader)) and the last one's
//! outputs are counted, so that a device need not wait for the processor.

use std::time::Instant;

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::data::DataError;
use crate::loader::ImageLoader;

/// How many of a network's likeliest classes count for [`Evaluation::top5`].
const TOP: usize = 5;

/// What a network's outputs for some images are worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// How many images there were.
    pub images: usize,
    /// The share of images whose class is the likeliest, in per cent. Where two are as likely, the first counts; where
    /// an output is no number, none does.
    pub top1: f64,
    /// The share of images whose class is among the five likeliest, in per cent.
    pub top5: f64,
    /// The mean cross-entropy; none if the outputs for an image are not all finite.
    pub loss: Option<f64>,
    /// How long the pass took, in seconds, the preparation of images included.
    pub seconds: f64,
}

/// Why a network could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// Images that cannot be read or decoded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Outputs that are no logits of the images.
    #[error("the network gives {found:?} for {images} images; one row for each is needed")]
    Outputs {
        /// The shape of the outputs.
        found: [usize; 2],
        /// How many images they are for.
        images: usize,
    },
    /// A class that the network does not know.
    #[error("there are images of class {label}, and the network tells {classes} classes apart, 0 to {}", .classes.saturating_sub(1))]
    Classes {
        /// The class.
        label: i64,
        /// How many classes the network's outputs stand for.
        classes: usize,
    },
    /// No images.
    #[error("there are no images to evaluate the network on")]
    NoImages,
}

/// Evaluates a network on a loader's images. `forward` gives its logits, `[batch, classes]`; the network must be on the
/// loader's device and in evaluation mode. `progress` is told after every batch how many images it had.
///
/// ```
/// use std::sync::Arc;
///
/// use approx_experiment::data::{DataSource, ReadOptions, Selection, Split};
/// use approx_experiment::{evaluation::evaluate, loader::ImageLoader};
/// use approx_models::{MobileNetV2Config, Stem};
/// use burn::tensor::Device;
///
/// let device = Device::flex();
/// let data = "digits".parse::<DataSource>()?.read(&ReadOptions::default())?;
/// let few = Selection { limit: Some(60), ..Selection::default() };
/// let images = data.dataset.select(Split::Test, &few)?;
/// let loader = ImageLoader::in_order(images, data.normalisation(), 30, &device);
/// let config = MobileNetV2Config::new(10).with_in_channels(1).with_width(0.25);
/// let model = config.with_stem(Stem::Small).init(&device);
///
/// let found = evaluate(|images| model.forward(images), &loader, |_| {})?;
/// println!("{:.2} %, loss {:?}", found.top1, found.loss);
/// assert_eq!(found.images, 60);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Images that cannot be read or decoded, none, or outputs that do not fit them.
pub fn evaluate(
    forward: impl Fn(Tensor<4>) -> Tensor<2>,
    loader: &ImageLoader,
    mut progress: impl FnMut(usize),
) -> Result<Evaluation, EvaluationError> {
    let started = Instant::now();
    let mut count = Count::default();
    let mut pending: Option<(Tensor<2>, Tensor<1, Int>)> = None;
    for batch in loader.batches() {
        let batch = batch?;
        let logits = forward(batch.images);
        // On a device that computes on its own, the outputs of the batch before are there by now.
        if let Some((logits, labels)) = pending.replace((logits, batch.labels)) {
            progress(count.add(logits, labels)?);
        }
    }
    if let Some((logits, labels)) = pending {
        progress(count.add(logits, labels)?);
    }
    if count.images == 0 {
        return Err(EvaluationError::NoImages);
    }
    let share = |right: usize| 100.0 * right as f64 / count.images as f64;
    Ok(Evaluation {
        images: count.images,
        top1: share(count.top1),
        top5: share(count.top5),
        loss: Some(count.loss / count.images as f64).filter(|loss| loss.is_finite()),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// What was counted so far.
#[derive(Default)]
struct Count {
    images: usize,
    top1: usize,
    top5: usize,
    /// The sum of the losses.
    loss: f64,
}

impl Count {
    /// Adds a batch, and says how many images it had.
    fn add(&mut self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Result<usize, EvaluationError> {
        let labels: Vec<i64> = labels.into_data().iter().collect();
        each_image(logits, &labels, |logits, class| {
            let ahead = ahead_of(logits, class);
            self.top1 += usize::from(ahead == Some(0));
            self.top5 += usize::from(ahead.is_some_and(|ahead| ahead < TOP));
            self.loss += cross_entropy(logits, class);
        })?;
        self.images += labels.len();
        Ok(labels.len())
    }
}

/// Whether every image of a batch is classified as its label says, and the sum of the cross-entropies.
pub(crate) fn judged(
    logits: Tensor<2>,
    labels: &[i64],
) -> Result<(Vec<bool>, f64), EvaluationError> {
    let (mut right, mut loss) = (Vec::with_capacity(labels.len()), 0.0);
    each_image(logits, labels, |logits, class| {
        right.push(ahead_of(logits, class) == Some(0));
        loss += cross_entropy(logits, class);
    })?;
    Ok((right, loss))
}

/// Has a function look at the logits and the class of every image of a batch.
fn each_image(
    logits: Tensor<2>,
    labels: &[i64],
    mut look: impl FnMut(&[f32], usize),
) -> Result<(), EvaluationError> {
    let found = logits.dims();
    let [rows, classes] = found;
    if rows != labels.len() || classes == 0 {
        return Err(EvaluationError::Outputs {
            found,
            images: labels.len(),
        });
    }
    let logits: Vec<f32> = logits.into_data().iter().collect();
    for (logits, &label) in logits.chunks_exact(classes).zip(labels) {
        let class = usize::try_from(label).ok().filter(|class| *class < classes);
        look(
            logits,
            class.ok_or(EvaluationError::Classes { label, classes })?,
        );
    }
    Ok(())
}

/// How many classes are likelier than one, or as likely and come before it; none if an output is no number.
fn ahead_of(logits: &[f32], class: usize) -> Option<usize> {
    if logits.iter().any(|logit| logit.is_nan()) {
        return None;
    }
    let own = logits[class];
    let is_ahead =
        |&(other, logit): &(usize, &f32)| *logit > own || (*logit == own && other < class);
    Some(logits.iter().enumerate().filter(is_ahead).count())
}

/// The negative logarithm of a class's likelihood.
fn cross_entropy(logits: &[f32], class: usize) -> f64 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|logit| f64::from(logit - highest).exp())
        .sum();
    f64::from(highest) + sum.ln() - f64::from(logits[class])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::nn::loss::CrossEntropyLossConfig;
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::data::{Images, Normalisation};

    const ROWS: [([f32; 6], i64); 5] = [
        ([0.1, 3.0, -1.0, 0.0, 0.2, 0.3], 1),
        ([0.1, 3.0, -1.0, 0.0, 0.2, 0.3], 2),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 1),
        ([2.0, 2.0, 0.0, 0.0, 0.0, 0.0], 0),
        ([2.0, 2.0, 0.0, 0.0, 0.0, 0.0], 1),
    ];

    /// Evaluates a network that gives these outputs.
    fn evaluated(rows: &[([f32; 6], i64)]) -> Result<Evaluation, EvaluationError> {
        let device = Device::flex();
        let labels = rows.iter().map(|(_, label)| *label as usize).collect();
        let numbers = (0..rows.len()).map(|number| number as u8).collect();
        let images = Images::new([1, 1, 1], numbers, labels);
        let plain = Arc::new(Normalisation::new(&[0.0], &[1.0 / 255.0]));
        let loader = ImageLoader::in_order(images, plain, 2, &device);
        let mut seen = 0;
        let forward = |images: Tensor<4>| {
            let numbers: Vec<f32> = images.into_data().iter().collect();
            let outputs: Vec<f32> = numbers
                .iter()
                .flat_map(|number| rows[*number as usize].0)
                .collect();
            Tensor::from_data(TensorData::new(outputs, [numbers.len(), 6]), &device)
        };
        let found = evaluate(forward, &loader, |images| seen += images);
        if found.is_ok() {
            assert_eq!(seen, rows.len());
        }
        found
    }

    #[test]
    fn the_likeliest_classes_are_counted() {
        let found = evaluated(&ROWS).unwrap();
        // The first and the fourth are right; of six classes, all but the last in the second are among five.
        assert_eq!((found.images, found.top1, found.top5), (5, 40.0, 80.0));
    }

    #[test]
    fn the_loss_is_burns() {
        let device = Device::flex();
        let logits: Vec<f32> = ROWS.iter().flat_map(|(row, _)| *row).collect();
        let labels: Vec<i64> = ROWS.iter().map(|(_, label)| *label).collect();
        let expected = CrossEntropyLossConfig::new()
            .init(&device)
            .forward(
                Tensor::from_data(TensorData::new(logits, [5, 6]), &device),
                Tensor::from_data(TensorData::new(labels, [5]), &device),
            )
            .into_scalar::<f32>();
        let found = evaluated(&ROWS).unwrap().loss.unwrap();
        assert!(
            (found - f64::from(expected)).abs() < 1e-5,
            "{found} {expected}"
        );
    }

    #[test]
    fn outputs_that_are_no_numbers_are_wrong_and_have_no_loss() {
        let mut rows = ROWS;
        rows[0].0[4] = f32::NAN;
        let found = evaluated(&rows).unwrap();
        assert_eq!((found.top1, found.top5, found.loss), (20.0, 60.0, None));
        rows[0].0 = [f32::INFINITY, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(evaluated(&rows).unwrap().loss, None);
    }

    #[test]
    fn classes_that_the_network_does_not_know_are_named() {
        let mut rows = ROWS;
        rows[3].1 = 6;
        assert_eq!(
            evaluated(&rows).unwrap_err().to_string(),
            "there are images of class 6, and the network tells 6 classes apart, 0 to 5"
        );
        assert!(matches!(evaluated(&[]), Err(EvaluationError::NoImages)));
    }
}
