//! Pooling of volumes, beside the plain loop over every window.

use approx_onnx::OnnxModel;
use burn::prelude::*;
use burn::tensor::{Distribution, Tolerance};

use crate::common::{Builder, Setting};

/// One pooling; its lists have a number for each axis, `sides` those before and then those after the input.
#[derive(Clone)]
struct Pooling {
    kernel: [usize; 3],
    strides: [usize; 3],
    dilations: [usize; 3],
    sides: [usize; 6],
    rounds_up: bool,
    counts_padding: bool,
}

const PLAIN: Pooling = Pooling {
    kernel: [2, 3, 2],
    strides: [1, 1, 1],
    dilations: [1, 1, 1],
    sides: [0; 6],
    rounds_up: false,
    counts_padding: false,
};

const SIZES: [usize; 3] = [5, 7, 6];

impl Pooling {
    fn model(&self, operator: &str) -> OnnxModel {
        let ints =
            |values: &[usize]| Setting::Ints(values.iter().map(|&value| value as i64).collect());
        let mut settings = vec![
            ("kernel_shape", ints(&self.kernel)),
            ("strides", ints(&self.strides)),
            ("pads", ints(&self.sides)),
            ("ceil_mode", Setting::Int(i64::from(self.rounds_up))),
        ];
        match operator {
            "MaxPool" => settings.push(("dilations", ints(&self.dilations))),
            _ => settings.push((
                "count_include_pad",
                Setting::Int(i64::from(self.counts_padding)),
            )),
        }
        let size = |size: usize| Some(size as i64);
        let file = Builder::default()
            .input(
                "x",
                &[
                    None,
                    Some(2),
                    size(SIZES[0]),
                    size(SIZES[1]),
                    size(SIZES[2]),
                ],
            )
            .output("y")
            .node(operator, &["x"], &["y"], &settings);
        OnnxModel::from_bytes(file.bytes(19), &Device::flex()).unwrap()
    }

    fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilations[axis] + 1
    }

    fn outputs(&self, axis: usize) -> usize {
        let (before, after) = (self.sides[axis], self.sides[axis + 3]);
        let steps = SIZES[axis] + before + after - self.reach(axis);
        match self.rounds_up {
            false => steps / self.strides[axis] + 1,
            true => {
                let outputs = steps.div_ceil(self.strides[axis]) + 1;
                // A window that begins behind the input is none.
                let begins_behind = (outputs - 1) * self.strides[axis] >= SIZES[axis] + before;
                outputs - usize::from(begins_behind)
            }
        }
    }

    /// The places of a window along an axis, with those around the input, as far as there is something around it.
    fn places(&self, axis: usize, output: usize) -> Vec<Option<usize>> {
        let (before, after) = (self.sides[axis], self.sides[axis + 3]);
        (0..self.kernel[axis])
            .map(|step| output * self.strides[axis] + step * self.dilations[axis])
            .filter(|&place| place < before + SIZES[axis] + after)
            .map(|place| {
                place
                    .checked_sub(before)
                    .filter(|&place| place < SIZES[axis])
            })
            .collect()
    }

    /// What every window of a volume gives.
    fn plain(&self, volume: &[f32], largest: bool) -> Vec<f32> {
        let mut values = Vec::new();
        for layer in 0..self.outputs(0) {
            for row in 0..self.outputs(1) {
                for column in 0..self.outputs(2) {
                    let (mut most, mut sum) = (f32::NEG_INFINITY, 0.0);
                    let (mut within, mut all) = (0, 0);
                    for z in self.places(0, layer) {
                        for y in self.places(1, row) {
                            for x in self.places(2, column) {
                                all += 1;
                                if let (Some(z), Some(y), Some(x)) = (z, y, x) {
                                    let value = volume[(z * SIZES[1] + y) * SIZES[2] + x];
                                    most = most.max(value);
                                    sum += value;
                                    within += 1;
                                }
                            }
                        }
                    }
                    let counted = if self.counts_padding { all } else { within };
                    values.push(if largest { most } else { sum / counted as f32 });
                }
            }
        }
        values
    }
}

#[test]
fn volumes_are_pooled_as_by_a_loop_over_their_windows() {
    let poolings = [
        PLAIN,
        Pooling {
            strides: [2, 1, 3],
            ..PLAIN
        },
        Pooling {
            strides: [2, 2, 2],
            sides: [1, 1, 1, 1, 1, 1],
            ..PLAIN
        },
        Pooling {
            sides: [1, 0, 1, 0, 2, 1],
            counts_padding: true,
            ..PLAIN
        },
        Pooling {
            sides: [1, 0, 1, 0, 2, 1],
            ..PLAIN
        },
        Pooling {
            strides: [2, 3, 4],
            sides: [1, 1, 0, 0, 1, 1],
            rounds_up: true,
            ..PLAIN
        },
        Pooling {
            strides: [3, 3, 3],
            rounds_up: true,
            counts_padding: true,
            ..PLAIN
        },
        Pooling {
            kernel: [1, 1, 2],
            strides: [2, 2, 2],
            rounds_up: true,
            ..PLAIN
        },
    ];
    let gaps = [
        Pooling {
            dilations: [2, 3, 1],
            ..PLAIN
        },
        Pooling {
            dilations: [3, 2, 2],
            strides: [1, 2, 2],
            sides: [1, 1, 1, 0, 2, 1],
            ..PLAIN
        },
    ];
    let averages = poolings.iter().map(|pooling| (pooling, "AveragePool"));
    let most = poolings
        .iter()
        .chain(&gaps)
        .map(|pooling| (pooling, "MaxPool"));
    for (pooling, operator) in averages.chain(most) {
        let model = pooling.model(operator);
        let input = |batch| {
            let shape = [batch, 2, SIZES[0], SIZES[1], SIZES[2]];
            Tensor::<5>::random(shape, Distribution::Uniform(-2.0, -1.0), &Device::flex())
        };
        let captured = model.capture::<Tensor<5>, Tensor<5>>(input(2)).unwrap();
        let x = input(3);
        let outputs = [0, 1, 2].map(|axis| pooling.outputs(axis));
        let data = x.to_data();
        let volumes = data
            .as_slice::<f32>()
            .unwrap()
            .chunks(SIZES.iter().product());
        let expected: Vec<f32> = volumes
            .flat_map(|volume| pooling.plain(volume, operator == "MaxPool"))
            .collect();
        let expected = TensorData::new(expected, [3, 2, outputs[0], outputs[1], outputs[2]]);
        let run: Tensor<5> = model.forward(x.clone()).unwrap();
        for found in [run, captured.forward(x)] {
            let found = found.into_data();
            found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        }
    }
}
