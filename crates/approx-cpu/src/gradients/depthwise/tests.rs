//! Both ways of both gradients against loops in float64 that read like the formula, on every instruction set.

use proptest::prelude::*;

use super::{activation_gradient, channels, planes, weight_gradient};
use crate::arch::InstructionSet;
use crate::shapes::{Conv2dShape, Padding2d};
use crate::tests::{Random, visit_taps};

type Gradient = fn(InstructionSet, &Conv2dShape, &[f32], &[f32], &mut [f32]);

/// The ways of the gradients of activations and of weights.
const ACTIVATION: [Gradient; 3] = [
    activation_gradient,
    channels::activation_gradient,
    planes::activation_gradient,
];
const WEIGHT: [Gradient; 3] = [
    weight_gradient,
    channels::weight_gradient,
    planes::weight_gradient,
];

/// The operands of both gradients.
struct Operands {
    activation: Vec<f32>,
    weight: Vec<f32>,
    gradient: Vec<f32>,
}

impl Operands {
    fn random(shape: &Conv2dShape, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut floats = |length: usize| -> Vec<f32> {
            let float = || (random.next() as u32 as f32 / u32::MAX as f32) * 2.0 - 1.0;
            std::iter::repeat_with(float).take(length).collect()
        };
        let outputs = shape.output().iter().product::<usize>();
        Operands {
            activation: floats(shape.input_length()),
            weight: floats(shape.out_channels * shape.inner()),
            gradient: floats(shape.batch * shape.out_channels * outputs),
        }
    }

    /// Both gradients by the formula: every product of the convolution adds to one element of each.
    fn expected(&self, shape: &Conv2dShape) -> [Vec<f64>; 2] {
        let mut activations = vec![0.0; self.activation.len()];
        let mut weights = vec![0.0; self.weight.len()];
        let indices: Vec<usize> = (0..self.activation.len()).collect();
        visit_taps(*shape, &indices, |output, activation, weight| {
            // Padding counts as 0, and nobody asks for its gradient.
            if let Some(activation) = activation {
                let gradient = f64::from(self.gradient[output]);
                activations[activation] += gradient * f64::from(self.weight[weight]);
                weights[weight] += gradient * f64::from(self.activation[activation]);
            }
        });
        [activations, weights]
    }
}

fn compute(
    by: Gradient,
    set: InstructionSet,
    shape: &Conv2dShape,
    operands: [&[f32]; 2],
    length: usize,
) -> Vec<f32> {
    // What is there before must not matter.
    let mut to = vec![f32::NAN; length];
    by(set, shape, operands[0], operands[1], &mut to);
    to
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f64], case: impl std::fmt::Debug) {
    assert_eq!(found.len(), expected.len());
    let magnitude = |largest: f64, value: &f64| largest.max(value.abs());
    let tolerance = 1e-5 * expected.iter().fold(0.0, magnitude);
    for (place, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(found) - expected).abs();
        assert!(
            difference <= tolerance,
            "{case:?}: {found} instead of {expected} at {place}"
        );
    }
}

fn check(shape: &Conv2dShape, seed: u64) {
    shape.validate().unwrap();
    let operands = Operands::random(shape, seed);
    let Operands {
        activation,
        weight,
        gradient,
    } = &operands;
    let [activations, weights] = operands.expected(shape);
    for &set in InstructionSet::available() {
        // Empty inputs only come to the first, which decides between the others.
        let ways = if activation.is_empty() { 1 } else { 3 };
        for way in 0..ways {
            let pair = [&weight[..], gradient];
            let found = compute(ACTIVATION[way], set, shape, pair, activation.len());
            assert_close(&found, &activations, (set, way, "activation", shape));
            let pair = [&activation[..], gradient];
            let found = compute(WEIGHT[way], set, shape, pair, weight.len());
            assert_close(&found, &weights, (set, way, "weight", shape));
        }
    }
}

fn shapes() -> impl Strategy<Value = Conv2dShape> {
    let axis = |most: usize| {
        let sides = (1..=6usize, 1..=3usize, 1..=3usize);
        (0..=most, sides, 0..=4usize, 0..=4usize)
    };
    // As many channels as leave lanes, fill one vector, and fill one and some lanes of the next.
    let channels = prop_oneof![1..=5usize, 15..=19usize];
    (axis(12), axis(70), 0..=3usize, channels, 0..=3usize).prop_map(
        |(vertical, horizontal, batch, groups, multiplier)| {
            let (height, (kernel_height, stride_y, dilation_y), top, bottom) = vertical;
            let (width, (kernel_width, stride_x, dilation_x), left, right) = horizontal;
            // Grow the input where the kernel would not fit.
            let side = |side: usize, kernel: usize, dilation: usize, padding: usize| {
                side.max(((kernel - 1) * dilation + 1).saturating_sub(padding))
            };
            Conv2dShape {
                batch,
                in_channels: groups,
                out_channels: groups * multiplier,
                groups,
                input: [
                    side(height, kernel_height, dilation_y, top + bottom),
                    side(width, kernel_width, dilation_x, left + right),
                ],
                kernel: [kernel_height, kernel_width],
                stride: [stride_y, stride_x],
                dilation: [dilation_y, dilation_x],
                padding: Padding2d {
                    top,
                    bottom,
                    left,
                    right,
                },
            }
        },
    )
}

/// Square images under a square kernel, with so much padding on all sides.
fn images(
    batch: usize,
    channels: usize,
    side: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Conv2dShape {
    Conv2dShape {
        batch,
        in_channels: channels,
        out_channels: channels,
        groups: channels,
        input: [side, side],
        kernel: [kernel, kernel],
        stride: [stride, stride],
        dilation: [1, 1],
        padding: Padding2d::symmetric(padding, padding),
    }
}

proptest! {
    #[test]
    fn gradients_are_those_of_the_formula(shape in shapes(), seed in 1u64..) {
        check(&shape, seed);
    }
}

#[test]
fn extremes() {
    for shape in [
        // One position, under a kernel larger than the image; most taps only ever meet padding.
        images(3, 17, 1, 1, 1, 0),
        images(2, 17, 1, 7, 1, 3),
        images(2, 5, 2, 9, 3, 5),
        // Most of what is computed is padding, some outputs see nothing else.
        images(1, 16, 3, 2, 1, 9),
        images(1, 3, 1, 2, 5, 7),
        // Strides that leave elements out.
        images(2, 16, 9, 1, 4, 0),
        images(2, 2, 33, 2, 3, 1),
        // No images, no channels, no positions.
        images(0, 16, 5, 3, 1, 1),
        images(2, 16, 0, 3, 1, 2),
        Conv2dShape {
            out_channels: 0,
            ..images(2, 16, 5, 3, 1, 1)
        },
        // Networks'.
        images(2, 32, 112, 3, 1, 1),
        images(2, 20, 56, 3, 2, 1),
        images(2, 20, 28, 5, 1, 2),
        images(2, 20, 14, 5, 2, 2),
        images(3, 40, 7, 3, 1, 1),
        images(16, 40, 4, 3, 1, 1),
        images(16, 40, 2, 3, 1, 1),
    ] {
        check(&shape, 7);
    }
}

/// Paddings so unlike that some outputs, or a whole side of them, are far from the input.
#[test]
fn lopsided_paddings() {
    for [top, bottom, left, right] in [[9, 0, 0, 9], [0, 9, 9, 0], [5, 1, 2, 12]] {
        for stride in 1..=5 {
            for kernel in [1, 2, 4] {
                let padding = Padding2d {
                    top,
                    bottom,
                    left,
                    right,
                };
                for side in [1, 3, 18] {
                    let shape = images(1, 3, side, kernel, stride, 0);
                    check(&Conv2dShape { padding, ..shape }, 11);
                }
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let pools = [1, 2, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap()
    });
    for shape in [
        images(5, 3, 40, 3, 1, 1),
        images(2, 32, 56, 3, 2, 1),
        images(9, 100, 7, 3, 1, 1),
        images(16, 200, 2, 3, 1, 1),
        Conv2dShape {
            out_channels: 60,
            ..images(7, 20, 14, 5, 1, 2)
        },
    ] {
        let operands = Operands::random(&shape, 3);
        let Operands {
            activation,
            weight,
            gradient,
        } = &operands;
        for &set in InstructionSet::available() {
            for way in 0..3 {
                let bits = pools.each_ref().map(|pool| {
                    pool.install(|| {
                        let pair = [&weight[..], gradient];
                        let mut all = compute(ACTIVATION[way], set, &shape, pair, activation.len());
                        let pair = [&activation[..], gradient];
                        all.extend(compute(WEIGHT[way], set, &shape, pair, weight.len()));
                        all.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
                    })
                });
                assert!(
                    bits[0] == bits[1] && bits[0] == bits[2],
                    "{set:?} {way} {shape:?}"
                );
            }
        }
    }
}
