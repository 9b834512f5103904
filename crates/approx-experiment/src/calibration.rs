//! The ranges of a converted network's activations, from images.

use approx_models::training::ImageBatch;
use burn::module::Module;
use burn::tensor::Tensor;
use burn_approx::ApproxError;

use crate::data::DataError;
use crate::loader::ImageLoader;
use crate::progress::Display;

/// Why a network could not be calibrated.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// Images that cannot be read or decoded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Activations that give no ranges.
    #[error(transparent)]
    Approximation(#[from] ApproxError),
}

/// Calibrates a converted network on a loader's first batches, at most as many as asked for. `forward` must run the
/// network.
///
/// ```
/// use approx_experiment::calibration::calibrate;
/// use approx_experiment::data::{DataSource, ReadOptions, Split};
/// use approx_experiment::{loader::ImageLoader, progress::Display};
/// use approx_models::{MobileNetV2Config, Stem};
/// use burn::tensor::Device;
/// use burn_approx::{ApproxConfig, convert};
///
/// let device = Device::flex();
/// let config = MobileNetV2Config::new(10).with_in_channels(1).with_width(0.25);
/// let model = config.with_stem(Stem::Small).init(&device);
/// let (model, _) = convert(model, &ApproxConfig::bundled("mul8s_1L2J"))?;
///
/// let data = DataSource::DIGITS.read(&ReadOptions::default())?;
/// let images = data.dataset.images(Split::Train)?.drawn(64, 1);
/// let loader = ImageLoader::in_order(images, data.normalisation(), 32, &device);
/// let batches = loader.num_batches();
/// calibrate(&model, |model, images| drop(model.forward(images)), &loader, batches, Display::hidden())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Images that cannot be read or decoded, or activations that are not finite.
pub fn calibrate<M: Module>(
    model: &M,
    forward: impl Fn(&M, Tensor<4>),
    loader: &ImageLoader,
    batches: usize,
    display: Display,
) -> Result<(), CalibrationError> {
    let batches = batches.min(loader.num_batches());
    let bar = display.bar("calibration", batches);
    let mut read = Ok(());
    let calibrated = burn_approx::calibrate(model, |model| {
        read = loader.batches().take(batches).try_for_each(|batch| {
            let ImageBatch { images, .. } = batch?;
            forward(model, images);
            bar.inc(1);
            Ok(())
        });
    });
    bar.finish_and_clear();
    // Without images there are no ranges: what is missing comes first.
    read.map_err(CalibrationError::Data)?;
    Ok(calibrated?)
}
