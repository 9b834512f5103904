//! A quantiser: scales and zero points on a device. What it does to tensors is an operator (`ops::element_wise`).

use approx_cpu::quantize::ChannelQuantizer;
use burn::prelude::*;

use crate::codes::{CodeGrid, CodeRange, Symmetry};
use crate::error::ApproxError;

/// Rows of a quantiser's parameter tensor.
pub(crate) const SCALE: usize = 0;
pub(crate) const RECIPROCAL: usize = 1;
pub(crate) const ZERO_POINT: usize = 2;
/// The number of rows.
pub(crate) const ROWS: usize = 3;

/// Maps real values to codes and back: `code = clamp(round_half_even(x / scale) + zero_point, low, high)`.
///
/// The parameters lie in one tensor of shape `[3, channels]` on the device: the scales, their reciprocals (computed
/// once in float32, because a division is not the same on every device) and the zero points.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::quantization::{CodeRange, CodeQuantizer};
///
/// let device = Device::default();
/// let quantizer = CodeQuantizer::per_tensor(0.5, 0, CodeRange::new(-8, 7)?, &device)?;
/// let x = Tensor::<1>::from_floats([0.3, -1.0, 100.0], &device);
/// quantizer.codes(x.clone()).to_data().assert_eq(&TensorData::from([1, -2, 7]), false);
/// quantizer.fake_quantize(x).to_data().assert_eq(&TensorData::from([0.5, -1.0, 3.5]), false);
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CodeQuantizer {
    parameters: Tensor<2>,
    grid: CodeGrid,
}

impl CodeQuantizer {
    /// A quantiser with one scale and zero point for the whole tensor.
    ///
    /// # Errors
    /// [`ApproxError::InvalidQuantizer`] unless the scale is finite and a normal float32 above 0, and the zero point is a
    /// code.
    pub fn per_tensor(
        scale: f32,
        zero_point: i32,
        codes: CodeRange,
        device: &Device,
    ) -> Result<Self, ApproxError> {
        Self::new(&[scale], &[zero_point], codes, None, device)
    }

    /// A quantiser with one scale and zero point for each index along `axis`.
    ///
    /// # Errors
    /// [`ApproxError::InvalidQuantizer`] unless there are as many zero points as scales, at least one, every scale is
    /// finite and a normal float32 above 0, and every zero point is a code.
    pub fn per_channel(
        scales: &[f32],
        zero_points: &[i32],
        codes: CodeRange,
        axis: usize,
        device: &Device,
    ) -> Result<Self, ApproxError> {
        Self::new(scales, zero_points, codes, Some(axis), device)
    }

    fn new(
        scales: &[f32],
        zero_points: &[i32],
        codes: CodeRange,
        channel_axis: Option<usize>,
        device: &Device,
    ) -> Result<Self, ApproxError> {
        let invalid = |problem| ApproxError::InvalidQuantizer {
            what: format!("codes {codes}"),
            problem,
        };
        if scales.is_empty() || scales.len() != zero_points.len() {
            return Err(invalid(format!(
                "{} scales and {} zero points, but one of each per channel is needed",
                scales.len(),
                zero_points.len()
            )));
        }
        if let Some(scale) = scales
            .iter()
            .find(|scale| !(scale.is_finite() && **scale >= f32::MIN_POSITIVE))
        {
            return Err(invalid(format!(
                "scale {scale} must be finite and at least {:e}, so that its reciprocal is finite",
                f32::MIN_POSITIVE
            )));
        }
        if let Some(zero) = zero_points
            .iter()
            .find(|zero| **zero < codes.low() || **zero > codes.high())
        {
            return Err(invalid(format!("zero point {zero} must be a code")));
        }
        let rows = scales
            .iter()
            .copied()
            .chain(scales.iter().map(|scale| 1.0 / scale))
            .chain(zero_points.iter().map(|zero| *zero as f32))
            .collect::<Vec<f32>>();
        let parameters = Tensor::from_data(TensorData::new(rows, [ROWS, scales.len()]), device);
        let symmetry = match zero_points.iter().all(|zero| *zero == 0) {
            true => Symmetry::Symmetric,
            false => Symmetry::Affine,
        };
        Ok(Self::from_parameters(
            parameters,
            codes,
            symmetry,
            channel_axis,
        ))
    }

    /// A quantiser from its parameter tensor of shape `[3, channels]`, whose zero points are all 0 if it is symmetric.
    pub(crate) fn from_parameters(
        parameters: Tensor<2>,
        codes: CodeRange,
        symmetry: Symmetry,
        channel_axis: Option<usize>,
    ) -> Self {
        let grid = CodeGrid {
            low: codes.low(),
            high: codes.high(),
            symmetric: symmetry == Symmetry::Symmetric,
            channel_axis,
        };
        Self {
            parameters: parameters.without_autodiff(),
            grid,
        }
    }

    /// The quantiser whose codes just cover the ranges `[2, channels]` (smallest and largest values).
    ///
    /// The range is first widened to contain 0. `Symmetric`: the scale is the smallest with which neither end clips.
    /// `Affine`: the range is spread over all codes, and the zero point is rounded to a code. A range without extent,
    /// or so small that the scale would not be a normal float32, gets scale 1.
    pub(crate) fn covering(
        range: Tensor<2>,
        codes: CodeRange,
        symmetry: Symmetry,
        channel_axis: Option<usize>,
    ) -> Self {
        let [_, channels] = range.dims();
        let (low, high) = (codes.low() as f32, codes.high() as f32);
        // Clamping may drop a NaN; adding 0 times the value keeps it.
        let min = range.clone().slice([0..1, 0..channels]);
        let min = min.clone().clamp_max(0.0) + min * 0.0;
        let max = range.slice([1..2, 0..channels]);
        let max = max.clone().clamp_min(0.0) + max * 0.0;
        let (scale, zero_point) = match symmetry {
            Symmetry::Symmetric => {
                let positive = if high > 0.0 {
                    max / high
                } else {
                    max.zeros_like()
                };
                let negative = if low < 0.0 {
                    min / low
                } else {
                    min.zeros_like()
                };
                let poison = (positive.clone() + negative.clone()) * 0.0;
                let scale = one_where_too_small(positive.max_pair(negative) + poison);
                let zero_point = scale.zeros_like();
                (scale, zero_point)
            }
            Symmetry::Affine => {
                let scale = one_where_too_small((max - min.clone()) / (high - low));
                let zero_point = ((min / scale.clone()).neg() + low).round().clamp(low, high);
                (scale, zero_point)
            }
        };
        let reciprocal = scale.clone().recip();
        Self::from_parameters(
            Tensor::cat(vec![scale, reciprocal, zero_point], 0),
            codes,
            symmetry,
            channel_axis,
        )
    }

    /// The quantiser for a tensor whose axis `from` was moved to `to`; one scale for all stays so.
    ///
    /// # Errors
    /// [`ApproxError::InvalidQuantizer`] if it has scales along another axis.
    pub(crate) fn along_axis(&self, from: usize, to: usize) -> Result<Self, ApproxError> {
        let channel_axis = match self.grid.channel_axis {
            None => None,
            Some(axis) if axis == from => Some(to),
            Some(axis) => {
                return Err(ApproxError::InvalidQuantizer {
                    what: "a weight".into(),
                    problem: format!(
                        "it has scales along axis {axis}; the output channels lie along axis {from}"
                    ),
                });
            }
        };
        let grid = CodeGrid {
            channel_axis,
            ..self.grid
        };
        Ok(Self {
            parameters: self.parameters.clone(),
            grid,
        })
    }

    /// What codes and scales it has, for messages.
    pub(crate) fn description(&self) -> String {
        let CodeGrid {
            low,
            high,
            symmetric,
            channel_axis,
        } = self.grid;
        let zero_points = match symmetric {
            true => "no zero points",
            false => "zero points",
        };
        let [_, count] = self.parameters.dims();
        let scales = match channel_axis {
            None => "one scale".to_string(),
            Some(_) => format!("{count} scales, one per output channel"),
        };
        format!("the codes {low} to {high}, {zero_points} and {scales}")
    }

    /// The parameters, `[3, channels]`: scales, reciprocals, zero points.
    pub fn parameters(&self) -> Tensor<2> {
        self.parameters.clone()
    }

    pub(crate) fn grid(&self) -> CodeGrid {
        self.grid
    }

    /// The scales, read from the device.
    pub fn scales(&self) -> Vec<f32> {
        self.row(SCALE)
    }

    /// The zero points, read from the device.
    pub fn zero_points(&self) -> Vec<i32> {
        self.row(ZERO_POINT)
            .into_iter()
            .map(|zero| zero as i32)
            .collect()
    }

    fn row(&self, row: usize) -> Vec<f32> {
        let [_, channels] = self.parameters.dims();
        let row = self.parameters.clone().slice([row..row + 1, 0..channels]);
        row.into_data()
            .convert::<f32>()
            .try_into_vec::<f32>()
            .expect("converted to f32")
    }
}

/// A scale of 0 would divide by 0, and the reciprocal of one below the normal numbers need not be finite: a tensor of
/// nothing but such values takes scale 1, by which they all are 0.
fn one_where_too_small(scale: Tensor<2>) -> Tensor<2> {
    let zero = scale.clone().lower_elem(f32::MIN_POSITIVE);
    scale.mask_fill(zero, 1.0)
}

/// The quantisers of a parameter tensor's rows, as the CPU kernels take them.
pub(crate) fn channel_quantizers(parameters: &[f32], grid: CodeGrid) -> Vec<ChannelQuantizer> {
    let channels = parameters.len() / ROWS;
    (0..channels)
        .map(|channel| ChannelQuantizer {
            scale: parameters[SCALE * channels + channel],
            reciprocal: parameters[RECIPROCAL * channels + channel],
            zero_point: parameters[ZERO_POINT * channels + channel],
            low: grid.low as f32,
            high: grid.high as f32,
        })
        .collect()
}
