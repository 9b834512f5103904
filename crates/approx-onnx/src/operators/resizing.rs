//! Resizing: each place of the output is a sum of a few places of the input, along one axis after the other.

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::{DType, TensorData};

use super::Function;
use super::elementwise::floats;
use super::limits::check_size;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    match name {
        "Resize" => Some(Function::One(resize)),
        "Upsample" => Some(Function::One(upsample)),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

const MODES: [(&str, Mode); 4] = [
    ("nearest", Mode::Nearest),
    ("linear", Mode::Linear),
    ("bilinear", Mode::Linear),
    ("cubic", Mode::Cubic),
];

/// How a place in the output becomes one in the input.
#[derive(Clone, Copy, PartialEq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
}

/// Which of two neighbours is nearest.
#[derive(Clone, Copy)]
enum Nearest {
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
}

/// One axis that changes its size.
struct Axis {
    axis: usize,
    size: usize,
    output: usize,
    scale: f64,
}

struct Settings {
    mode: Mode,
    coordinates: Coordinates,
    nearest: Nearest,
    cubic: f64,
    /// Whether places outside have no weight at all.
    excludes_outside: bool,
}

fn resize(call: &Call<'_>) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let mode = call.choice("mode", "nearest", &MODES)?;
    if call.version < 11 {
        let scales = call.known_floats(1, "its scales")?;
        let scales = scales.ok_or_else(|| Problem::new("its scales are missing"))?;
        return old(input, mode, call, &scales);
    }
    let coordinates = call.choice(
        "coordinate_transformation_mode",
        "half_pixel",
        &[
            ("half_pixel", Coordinates::HalfPixel),
            ("half_pixel_symmetric", Coordinates::HalfPixelSymmetric),
            ("pytorch_half_pixel", Coordinates::PytorchHalfPixel),
            ("align_corners", Coordinates::AlignCorners),
            ("asymmetric", Coordinates::Asymmetric),
        ],
    )?;
    let nearest = call.choice(
        "nearest_mode",
        "round_prefer_floor",
        &[
            ("round_prefer_floor", Nearest::RoundPreferFloor),
            ("round_prefer_ceil", Nearest::RoundPreferCeil),
            ("floor", Nearest::Floor),
            ("ceil", Nearest::Ceil),
        ],
    )?;
    if call.switch("antialias", false)? {
        return Err(Problem::new(
            "it smooths where it makes images smaller (antialias)",
        ));
    }
    call.choice("keep_aspect_ratio_policy", "stretch", &[("stretch", ())])?;
    call.float("extrapolation_value")?;
    let settings = Settings {
        mode,
        coordinates,
        nearest,
        cubic: call.float("cubic_coeff_a")?.unwrap_or(-0.75).into(),
        excludes_outside: call.switch("exclude_outside", false)?,
    };
    let rank = input.rank();
    let named = match call.ints("axes")? {
        None => (0..rank).collect(),
        Some(axes) => {
            let axes = axes.iter().map(|&axis| call.axis(axis, rank));
            axes.collect::<Result<Vec<_>, _>>()?
        }
    };
    let scales = call
        .known_floats(2, "its scales")?
        .filter(|scales| !scales.is_empty());
    let sizes = call
        .known_ints(3, "its sizes")?
        .filter(|sizes| !sizes.is_empty());
    let shape = input.shape();
    let mut axes = Vec::new();
    for (index, &axis) in named.iter().enumerate() {
        let size = shape[axis];
        let missing = || Problem::new(format!("it does not say how large axis {axis} becomes"));
        let (output, scale) = match (&scales, &sizes) {
            (_, Some(sizes)) => {
                let output = *sizes.get(index).ok_or_else(missing)?;
                let output = super::axes::sizes(&[output])?[0];
                (output, output as f64 / size as f64)
            }
            (Some(scales), None) => {
                let scale = *scales.get(index).ok_or_else(missing)?;
                ((size as f64 * scale).floor() as usize, scale)
            }
            (None, None) => return Err(missing()),
        };
        axes.push(Axis {
            axis,
            size,
            output,
            scale,
        });
    }
    apply(call, input, &axes, &settings)
}

/// As before version 11: places are divided by the scale, and the nearest one is the one before.
fn old(input: &Value, mode: Mode, call: &Call<'_>, scales: &[f64]) -> Result<Value, Problem> {
    let shape = input.shape();
    if scales.len() != shape.len() {
        return Err(Problem::new(format!(
            "it has {} scales for {} axes",
            scales.len(),
            shape.len()
        )));
    }
    let axes = shape.iter().zip(scales).enumerate();
    let axes = axes.map(|(axis, (&size, &scale))| Axis {
        axis,
        size,
        output: (size as f64 * scale).floor() as usize,
        scale,
    });
    let settings = Settings {
        mode,
        coordinates: Coordinates::Asymmetric,
        nearest: Nearest::Floor,
        cubic: -0.75,
        excludes_outside: false,
    };
    apply(call, input, &axes.collect::<Vec<_>>(), &settings)
}

fn upsample(call: &Call<'_>) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let mode = call.choice("mode", "nearest", &MODES)?;
    let scales = match call.version {
        ..9 => (call.floats("scales")?).map(|scales| scales.into_iter().map(f64::from).collect()),
        _ => call.known_floats(1, "its scales")?,
    };
    let scales: Vec<f64> = scales.ok_or_else(|| Problem::new("its scales are missing"))?;
    old(input, mode, call, &scales)
}

fn apply(
    call: &Call<'_>,
    input: &Value,
    axes: &[Axis],
    settings: &Settings,
) -> Result<Value, Problem> {
    let mut sizes = input.shape();
    for axis in axes {
        sizes[axis.axis] = axis.output;
    }
    check_size(&sizes)?;
    let mut x = input.tensor();
    for axis in axes {
        if axis.output == 0 {
            return Err(Problem::new(format!(
                "nothing is left along its axis {}",
                axis.axis
            )));
        }
        if axis.output == axis.size && axis.scale == 1.0 {
            continue;
        }
        x = along(call, x, input.rank(), axis, settings, input.is_known());
    }
    Ok(input.with_tensor(x))
}

/// Sums of rows along one axis, each with a weight.
fn along(
    call: &Call<'_>,
    x: DispatchTensor,
    rank: usize,
    axis: &Axis,
    settings: &Settings,
    known: bool,
) -> DispatchTensor {
    let taps: Vec<Vec<(usize, f64)>> = (0..axis.output)
        .map(|place| settings.taps(axis, place))
        .collect();
    let most = taps.iter().map(Vec::len).max().unwrap_or(0);
    let mut sum: Option<DispatchTensor> = None;
    for tap in 0..most {
        let places = taps.iter().map(|taps| taps[tap].0 as i64);
        let places = call.context.ints(places.collect());
        let rows = movement::select(x.clone(), axis.axis, call.context.tensor(&places, known));
        let weights: Vec<f32> = taps.iter().map(|taps| taps[tap].1 as f32).collect();
        let weighted = match weights.iter().all(|&weight| weight == 1.0) {
            true => rows,
            false => {
                let mut shape = vec![1; rank];
                shape[axis.axis] = axis.output;
                let weights = TensorData::new(weights, shape);
                let weights = call.context.known(weights, DType::F32);
                Dispatch::float_mul(rows, call.context.tensor(&weights, known))
            }
        };
        sum = Some(match sum {
            None => weighted,
            Some(sum) => Dispatch::float_add(sum, weighted),
        });
    }
    sum.expect("every place has a tap")
}

impl Settings {
    /// Where a place of the output lies in the input.
    fn source(&self, axis: &Axis, place: usize) -> f64 {
        let place = place as f64;
        // The output as long as the scale says, which need not be whole.
        let (size, output, scale) = (axis.size as f64, axis.size as f64 * axis.scale, axis.scale);
        match self.coordinates {
            Coordinates::HalfPixel => (place + 0.5) / scale - 0.5,
            Coordinates::HalfPixelSymmetric => {
                let adjustment = axis.output as f64 / (size * scale);
                let centre = size / 2.0;
                centre * (1.0 - adjustment) + (place + 0.5) / scale - 0.5
            }
            Coordinates::PytorchHalfPixel if axis.output == 1 => 0.0,
            Coordinates::PytorchHalfPixel => (place + 0.5) / scale - 0.5,
            Coordinates::AlignCorners if axis.output == 1 => 0.0,
            Coordinates::AlignCorners => place * (size - 1.0) / (output - 1.0),
            Coordinates::Asymmetric => place / scale,
        }
    }

    /// The places of the input that one of the output is made of, and their weights.
    fn taps(&self, axis: &Axis, place: usize) -> Vec<(usize, f64)> {
        let source = self.source(axis, place);
        let last = axis.size as i64 - 1;
        let inside = |place: i64| place.clamp(0, last) as usize;
        match self.mode {
            Mode::Nearest => {
                let nearest = match self.nearest {
                    Nearest::RoundPreferFloor => (source - 0.5).ceil(),
                    Nearest::RoundPreferCeil => (source + 0.5).floor(),
                    Nearest::Floor => source.floor(),
                    Nearest::Ceil => source.ceil(),
                };
                vec![(inside(nearest as i64), 1.0)]
            }
            Mode::Linear => {
                let source = source.clamp(0.0, last as f64);
                let before = source.floor();
                let share = source - before;
                let before = before as i64;
                vec![(inside(before), 1.0 - share), (inside(before + 1), share)]
            }
            Mode::Cubic => {
                let before = source.floor();
                let share = source - before;
                let taps = (-1..=2).map(|step: i64| {
                    let place = before as i64 + step;
                    let outside = !(0..=last).contains(&place);
                    let weight = match self.excludes_outside && outside {
                        true => 0.0,
                        false => cubic((share - step as f64).abs(), self.cubic),
                    };
                    (inside(place), weight)
                });
                let taps: Vec<(usize, f64)> = taps.collect();
                let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
                taps.into_iter()
                    .map(|(place, weight)| (place, weight / sum))
                    .collect()
            }
        }
    }
}

/// Keys' cubic kernel (1981) at a distance.
fn cubic(distance: f64, a: f64) -> f64 {
    let (d, square) = (distance, distance * distance);
    if d <= 1.0 {
        (a + 2.0) * square * d - (a + 3.0) * square + 1.0
    } else if d < 2.0 {
        a * square * d - 5.0 * a * square + 8.0 * a * d - 4.0 * a
    } else {
        0.0
    }
}
