//! Images sampled where a grid says.

use burn::backend::Dispatch;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::ops::{GridSampleOptions, GridSamplePaddingMode, InterpolateMode};

use super::Function;
use super::elementwise::floats;
use crate::call::Call;
use crate::error::Problem;
use crate::values::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    match name {
        "GridSample" => Some(Function::One(sample)),
        _ => None,
    }
}

fn sample(call: &Call<'_>) -> Result<Value, Problem> {
    let (image, grid) = (floats(call, 0)?, floats(call, 1)?);
    // The second name is that of version 16.
    let modes = [("linear", ()), ("bilinear", ())];
    call.choice("mode", "linear", &modes)?;
    let paddings = [
        ("zeros", GridSamplePaddingMode::Zeros),
        ("border", GridSamplePaddingMode::Border),
    ];
    let padding = call.choice("padding_mode", "zeros", &paddings)?;
    let aligns = call.switch("align_corners", false)?;
    let (shape, places) = (image.shape(), grid.shape());
    if shape.len() != 4 || places.len() != 4 || places[3] != 2 || shape[0] != places[0] {
        return Err(Problem::new(format!(
            "it samples a tensor of shape {shape:?} by a grid of shape {places:?}; images are covered"
        )));
    }
    let options = GridSampleOptions::new(InterpolateMode::Bilinear)
        .with_padding_mode(padding)
        .with_align_corners(aligns);
    let sampled = Dispatch::float_grid_sample_2d(call.tensor(0)?, call.tensor(1)?, options);
    Ok(call.float_value(sampled))
}
