//! The integer accumulators of one layer of a network: golden vectors for a simulation of the hardware.

use burn::module::Module;
use burn::tensor::TensorData;

use super::walk::Walk;
use crate::error::ApproxError;
use crate::nn::{LayerKind, Tap};

/// Runs `passes` and gives the integer accumulators of one converted layer of `model`: for every product that it
/// computes in them, `sum over k of m(a, w)` of 64-bit integers before any correction, in the shape of the layer's
/// output (transposed, where a captured layer has its weight on the left).
///
/// A layer that computes on codes has one product for each of its forward passes; a recurrent one has one for each step.
/// In mode QUANTIZED the sums are those of exact products.
///
/// # Errors
/// [`ApproxError::UnknownLayer`] for a path that no layer has, [`ApproxError::NotConverted`]; a multiplier whose sums are
/// not integers (an HTP model), a plan that cannot compute them, or on a GPU sums that might not fit in 32 bits.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::convert::{ApproxConfig, accumulators, calibrate, convert};
/// use burn_approx::nn::LinearConfig;
///
/// let device = Device::default();
/// let model = vec![LinearConfig::new(8, 4).init(&device)];
/// let (model, _) = convert(model, &ApproxConfig::bundled("mul8s_1L2J"))?;
/// let x = Tensor::<2>::ones([2, 8], &device);
/// calibrate(&model, |model| drop(model[0].forward(x.clone())))?;
/// let found = accumulators(&model, "0", |model| drop(model[0].forward(x)))?;
/// assert_eq!((found.len(), found[0].shape().to_vec()), (1, vec![2, 4]));
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
pub fn accumulators<M: Module>(
    model: &M,
    path: &str,
    passes: impl FnOnce(&M),
) -> Result<Vec<TensorData>, ApproxError> {
    let walk = Walk::through(model);
    let Some(found) = walk.layers.iter().find(|found| found.path == path) else {
        let known = walk.layers.iter().map(|found| found.path.clone());
        return Err(ApproxError::UnknownLayer {
            path: path.to_string(),
            known: known.collect(),
        });
    };
    let layer = &found.state;
    if layer.lock().is_none() {
        return Err(ApproxError::NotConverted {
            layer: path.to_string(),
        });
    }
    let opened = Opened::new(layer.tap());
    passes(model);
    let batch = layer.last_pass().map_or(1, |pass| pass.batch());
    let taken = opened.0.close().into_iter();
    taken
        .map(|accumulators| Ok(in_shape_of_output(layer.kind, accumulators?, batch)))
        .collect()
}

/// A tap that is closed when this is dropped, also by a panic in a pass.
struct Opened(Tap);

impl Opened {
    fn new(tap: Tap) -> Self {
        tap.open();
        Self(tap)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Accumulators of a product in the shape of the layer's output: signals are computed as images of one line, volumes as
/// images of one output slice each.
fn in_shape_of_output(kind: LayerKind, accumulators: TensorData, batch: usize) -> TensorData {
    let shape = accumulators.shape().to_vec();
    match (kind, &shape[..]) {
        (LayerKind::Conv1d | LayerKind::ConvTranspose1d, &[images, channels, 1, length]) => {
            let values: Vec<i64> = accumulators.iter().collect();
            TensorData::new(values, [images, channels, length])
        }
        (LayerKind::Conv3d, &[images, channels, height, width]) if batch > 0 => {
            let slices = images / batch;
            let plane = height * width;
            let own: Vec<i64> = accumulators.iter().collect();
            let mut values = Vec::with_capacity(own.len());
            for image in 0..batch {
                for channel in 0..channels {
                    for slice in 0..slices {
                        let first = ((image * slices + slice) * channels + channel) * plane;
                        values.extend_from_slice(&own[first..first + plane]);
                    }
                }
            }
            TensorData::new(values, [batch, channels, slices, height, width])
        }
        _ => accumulators,
    }
}
