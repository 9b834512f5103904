//! A network's accuracy, with a bar meanwhile.

use approx_experiment::evaluation::{EvaluationError, evaluate};
use approx_experiment::loader::ImageLoader;
use approx_experiment::progress::Display;
use burn::tensor::Tensor;

/// The share of the loader's images that a network classifies rightly, in per cent. `forward` gives its logits; it must
/// be on the loader's device and in evaluation mode.
///
/// # Errors
///
/// Images that cannot be read or decoded.
pub fn accuracy(
    forward: impl Fn(Tensor<4>) -> Tensor<2>,
    loader: &ImageLoader,
    label: &str,
    display: Display,
) -> Result<f64, EvaluationError> {
    let bar = display.bar(label, loader.images().len());
    let found = evaluate(forward, loader, |images| bar.inc(images as u64));
    bar.finish_and_clear();
    Ok(found?.top1)
}
