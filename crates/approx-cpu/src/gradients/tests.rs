//! The gradients against loops that read like the formula, on every instruction set and by any number of threads.

use proptest::prelude::*;

use super::conv_transpose2d::{
    conv_transpose2d_activation_gradient_with, conv_transpose2d_weight_gradient_with,
};
use super::conv2d::{conv2d_activation_gradient_with, conv2d_weight_gradient_with};
use super::matmul::{matmul_activation_gradient_with, matmul_weight_gradient_with};
use super::*;
use crate::arch::InstructionSet;
use crate::quantize::ChannelQuantizer;
use crate::tests::Random;
use crate::{Conv2dShape, ConvTranspose2dShape, KernelError, MatmulShape, Padding2d};

fn values(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count)
        .map(|_| (random.next() as i16 as f32) / 8192.0)
        .collect()
}

/// Compares with an expected gradient on every instruction set, and between pools of threads bit for bit.
fn check(expected: &[f64], compute: impl Fn(InstructionSet) -> Vec<f32> + Sync) {
    let largest = expected
        .iter()
        .fold(0.0f64, |largest, value| largest.max(value.abs()));
    for &set in InstructionSet::available() {
        let found = compute(set);
        assert_eq!(found.len(), expected.len());
        for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            let error = (f64::from(found) - expected).abs();
            assert!(
                error <= 1e-5 * largest,
                "{set:?}, element {index}: {found} instead of {expected}"
            );
        }
        for threads in [1, 2, 3] {
            let again = pool(threads).install(|| compute(set));
            let bits = |values: &[f32]| {
                values
                    .iter()
                    .map(|value| value.to_bits())
                    .collect::<Vec<_>>()
            };
            assert_eq!(bits(&again), bits(&found), "{set:?}, {threads} threads");
        }
    }
}

/// A quantiser that clips many of the values here.
const QUANTIZER: ChannelQuantizer = ChannelQuantizer {
    scale: 0.25,
    reciprocal: 4.0,
    zero_point: 3.0,
    low: -8.0,
    high: 7.0,
};

/// A function of the quantiser's codes.
const FUNCTION: [f32; 16] = [
    3.0, -1.5, 0.0, 2.25, 7.0, -8.0, 0.5, 1.0, -2.0, 4.0, 6.5, -0.25, 9.0, 5.0, -3.0, 1.75,
];

/// With and without a function of the codes of some values: these, and what the function says of each code.
fn coded(values: &[f32]) -> [(Coded<'_>, Vec<f32>); 2] {
    [None, Some(&FUNCTION[..])].map(|function| {
        let coded = Coded {
            values,
            quantizer: QUANTIZER,
            function,
        };
        let of = |value: f32| match function {
            None => QUANTIZER.scale * QUANTIZER.shifted_code(value),
            Some(function) => function[(QUANTIZER.code(value) - QUANTIZER.low) as usize],
        };
        (coded, values.iter().map(|&value| of(value)).collect())
    })
}

/// [`check`] of activations' gradients, with and without those that were clipped, and factors.
fn check_activations(
    expected: &[f64],
    activation: &[f32],
    compute: impl Fn(InstructionSet, Option<Coded<'_>>) -> Vec<f32> + Sync,
) {
    check(expected, |set| compute(set, None));
    for (coded, factors) in coded(activation) {
        let of = |index: usize| {
            let factor = coded.function.map_or(1.0, |_| f64::from(factors[index]));
            match QUANTIZER.in_range(activation[index]) {
                true => factor * expected[index],
                false => 0.0,
            }
        };
        let expected: Vec<f64> = (0..expected.len()).map(of).collect();
        check(&expected, |set| compute(set, Some(coded)));
    }
}

/// [`check`] of weights' gradients, and that mapping by codes on the way is mapping before.
fn check_weights(
    expected: &[f64],
    activation: &[f32],
    compute: impl Fn(InstructionSet, FloatOperand<'_>) -> Vec<f32> + Sync,
) {
    check(expected, |set| compute(set, activation.into()));
    for (on_the_way, before) in coded(activation) {
        for &set in InstructionSet::available() {
            let expected = compute(set, before[..].into());
            assert_eq!(compute(set, on_the_way.into()), expected, "{set:?}");
        }
    }
}

fn pool(threads: usize) -> &'static rayon::ThreadPool {
    static POOLS: std::sync::OnceLock<Vec<rayon::ThreadPool>> = std::sync::OnceLock::new();
    let pools = POOLS.get_or_init(|| {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        (1..=3).map(|threads| pool(threads).unwrap()).collect()
    });
    &pools[threads - 1]
}

/// How the windows of a convolution lie on what they see.
struct Sliding {
    batch: usize,
    groups: usize,
    /// Channels of a group where windows are, and where they look.
    channels: [usize; 2],
    places: [usize; 2],
    seen: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 2],
}

impl Sliding {
    /// Calls `visit(position of the window, position that it sees, [channel of the window, channel that it sees, group],
    /// tap)` for every product.
    fn visit(&self, mut visit: impl FnMut(usize, usize, [usize; 3], usize)) {
        let [place_channels, seen_channels] = self.channels;
        let position = |axis: usize, place: usize, tap: usize| {
            (place * self.stride[axis] + tap * self.dilation[axis])
                .checked_sub(self.padding[axis])
                .filter(|&position| position < self.seen[axis])
        };
        for n in 0..self.batch {
            for g in 0..self.groups {
                for p in 0..place_channels {
                    for s in 0..seen_channels {
                        let place_plane = (n * self.groups + g) * place_channels + p;
                        let seen_plane = (n * self.groups + g) * seen_channels + s;
                        for y in 0..self.places[0] {
                            for x in 0..self.places[1] {
                                for dy in 0..self.kernel[0] {
                                    for dx in 0..self.kernel[1] {
                                        let (Some(row), Some(column)) =
                                            (position(0, y, dy), position(1, x, dx))
                                        else {
                                            continue;
                                        };
                                        visit(
                                            (place_plane * self.places[0] + y) * self.places[1] + x,
                                            (seen_plane * self.seen[0] + row) * self.seen[1]
                                                + column,
                                            [p, s, g],
                                            dy * self.kernel[1] + dx,
                                        );
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn check_conv2d(shape: Conv2dShape, seed: u64) {
    shape.validate().unwrap();
    let mut random = Random(seed);
    let output = shape.output();
    let inputs = shape.in_channels / shape.groups;
    let outputs = shape.out_channels / shape.groups;
    let activation = values(&mut random, shape.input_length());
    let weight = values(&mut random, shape.out_channels * shape.inner());
    let plane = output[0] * output[1];
    let gradient = values(&mut random, shape.batch * shape.out_channels * plane);
    let sliding = Sliding {
        batch: shape.batch,
        groups: shape.groups,
        channels: [outputs, inputs],
        places: output,
        seen: shape.input,
        kernel: shape.kernel,
        stride: shape.stride,
        dilation: shape.dilation,
        padding: [shape.padding.top, shape.padding.left],
    };
    let taps = shape.kernel[0] * shape.kernel[1];
    let mut of_activation = vec![0.0; activation.len()];
    let mut of_weight = vec![0.0; weight.len()];
    sliding.visit(|place, seen, [output, input, group], tap| {
        let index = ((group * outputs + output) * inputs + input) * taps + tap;
        of_activation[seen] += f64::from(gradient[place]) * f64::from(weight[index]);
        of_weight[index] += f64::from(gradient[place]) * f64::from(activation[seen]);
    });
    check_activations(&of_activation, &activation, |set, clipped| {
        conv2d_activation_gradient_with(set, &shape, &weight, &gradient, clipped).unwrap()
    });
    check_weights(&of_weight, &activation, |set, activation| {
        conv2d_weight_gradient_with(set, &shape, activation, &gradient).unwrap()
    });
}

fn check_conv_transpose2d(shape: ConvTranspose2dShape, seed: u64) {
    shape.validate().unwrap();
    let mut random = Random(seed);
    let output = shape.output();
    let inputs = shape.in_channels / shape.groups;
    let outputs = shape.out_channels / shape.groups;
    let activation = values(&mut random, shape.input_length());
    let weight = values(&mut random, shape.weight_length());
    let plane = output[0] * output[1];
    let gradient = values(&mut random, shape.batch * shape.out_channels * plane);
    let sliding = Sliding {
        batch: shape.batch,
        groups: shape.groups,
        channels: [inputs, outputs],
        places: shape.input,
        seen: output,
        kernel: shape.kernel,
        stride: shape.stride,
        dilation: shape.dilation,
        padding: shape.padding,
    };
    let taps = shape.kernel[0] * shape.kernel[1];
    let mut of_activation = vec![0.0; activation.len()];
    let mut of_weight = vec![0.0; weight.len()];
    sliding.visit(|place, seen, [input, output, group], tap| {
        let index = ((group * outputs + output) * inputs + input) * taps + tap;
        of_activation[place] += f64::from(gradient[seen]) * f64::from(weight[index]);
        of_weight[index] += f64::from(gradient[seen]) * f64::from(activation[place]);
    });
    check_activations(&of_activation, &activation, |set, clipped| {
        conv_transpose2d_activation_gradient_with(set, &shape, &weight, &gradient, clipped).unwrap()
    });
    check_weights(&of_weight, &activation, |set, activation| {
        conv_transpose2d_weight_gradient_with(set, &shape, activation, &gradient).unwrap()
    });
}

fn check_matmul(shape: MatmulShape, seed: u64) {
    let MatmulShape {
        rows,
        inner,
        columns,
    } = shape;
    let mut random = Random(seed);
    let activation = values(&mut random, rows * inner);
    let weight = values(&mut random, inner * columns);
    let gradient = values(&mut random, rows * columns);
    let mut of_activation = vec![0.0; rows * inner];
    let mut of_weight = vec![0.0; inner * columns];
    for row in 0..rows {
        for k in 0..inner {
            for column in 0..columns {
                let gradient = f64::from(gradient[row * columns + column]);
                of_activation[row * inner + k] +=
                    gradient * f64::from(weight[k * columns + column]);
                of_weight[k * columns + column] +=
                    gradient * f64::from(activation[row * inner + k]);
            }
        }
    }
    check_activations(&of_activation, &activation, |set, clipped| {
        matmul_activation_gradient_with(set, &shape, &weight, &gradient, clipped).unwrap()
    });
    check_weights(&of_weight, &activation, |set, activation| {
        matmul_weight_gradient_with(set, &shape, activation, &gradient).unwrap()
    });
}

/// Convolutions of all kinds, most of them small.
fn convolution() -> impl Strategy<Value = Conv2dShape> {
    (
        (0..4usize, 1..4usize, 0..6usize, 0..6usize),
        (0..14usize, 0..40usize),
        (1..5usize, 1..5usize),
        (1..4usize, 1..4usize),
        (1..4usize, 1..4usize),
        (0..4usize, 0..4usize, 0..4usize, 0..4usize),
    )
        .prop_map(|(channels, input, kernel, stride, dilation, padding)| {
            let (batch, groups, inputs, outputs) = channels;
            Conv2dShape {
                batch,
                in_channels: groups * inputs,
                out_channels: groups * outputs,
                groups,
                input: input.into(),
                kernel: kernel.into(),
                stride: stride.into(),
                dilation: dilation.into(),
                padding: Padding2d {
                    top: padding.0,
                    bottom: padding.1,
                    left: padding.2,
                    right: padding.3,
                },
            }
        })
        .prop_filter("the kernel fits", |shape| shape.validate().is_ok())
}

/// Transposed convolutions of all kinds, most of them small.
fn transposed_convolution() -> impl Strategy<Value = ConvTranspose2dShape> {
    (
        (0..4usize, 1..4usize, 0..6usize, 0..6usize),
        (0..9usize, 0..30usize),
        (1..5usize, 1..5usize),
        (1..4usize, 1..4usize),
        (1..4usize, 1..4usize),
        (0..3usize, 0..3usize),
        (0..3usize, 0..3usize),
    )
        .prop_map(
            |(channels, input, kernel, stride, dilation, padding, output_padding)| {
                let (batch, groups, inputs, outputs) = channels;
                ConvTranspose2dShape {
                    batch,
                    in_channels: groups * inputs,
                    out_channels: groups * outputs,
                    groups,
                    input: input.into(),
                    kernel: kernel.into(),
                    stride: stride.into(),
                    dilation: dilation.into(),
                    padding: padding.into(),
                    output_padding: output_padding.into(),
                }
            },
        )
        .prop_filter("something is left", |shape| shape.validate().is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn conv2d_equals_the_formula(seed in 1u64.., shape in convolution()) {
        check_conv2d(shape, seed);
    }

    #[test]
    fn conv_transpose2d_equals_the_formula(seed in 1u64.., shape in transposed_convolution()) {
        check_conv_transpose2d(shape, seed);
    }

    #[test]
    fn matmul_equals_the_formula(
        seed in 1u64..,
        (rows, inner, columns) in (0..80usize, 0..80usize, 0..80usize),
    ) {
        check_matmul(MatmulShape { rows, inner, columns }, seed);
    }
}

/// A convolution of one group with the same sides along both axes.
fn square(
    batch: usize,
    [inputs, outputs]: [usize; 2],
    side: usize,
    kernel: usize,
    stride: usize,
) -> Conv2dShape {
    Conv2dShape {
        batch,
        in_channels: inputs,
        out_channels: outputs,
        groups: 1,
        input: [side, side],
        kernel: [kernel, kernel],
        stride: [stride, stride],
        dilation: [1, 1],
        padding: Padding2d::symmetric(kernel / 2, kernel / 2),
    }
}

/// The numbers of channels around which tiles, panels and blocks end.
#[test]
fn channels_around_tiles() {
    for (channels, seed) in [1, 2, 3, 6, 7, 13, 14, 15, 16, 17, 28, 29, 31, 32, 33]
        .into_iter()
        .zip(1..)
    {
        check_conv2d(square(1, [channels, 2], 5, 3, 1), seed);
        check_conv2d(square(1, [2, channels], 5, 3, 1), seed);
        check_conv2d(square(2, [channels, channels], 3, 1, 1), seed);
        check_conv_transpose2d(square_transposed([channels, 3]), seed);
        check_conv_transpose2d(square_transposed([3, channels]), seed);
    }
}

fn square_transposed([in_channels, out_channels]: [usize; 2]) -> ConvTranspose2dShape {
    ConvTranspose2dShape {
        batch: 2,
        in_channels,
        out_channels,
        groups: 1,
        input: [4, 4],
        kernel: [4, 4],
        stride: [2, 2],
        dilation: [1, 1],
        padding: [1, 1],
        output_padding: [0, 0],
    }
}

/// More of everything than a block holds: sums that are cut, several blocks of rows, columns and products.
#[test]
fn more_than_a_block() {
    check_conv2d(square(9, [3, 20], 33, 3, 1), 1);
    check_conv2d(square(3, [270, 30], 3, 3, 1), 2);
    check_conv2d(square(1, [5, 530], 4, 3, 2), 3);
    check_conv2d(square(30, [40, 60], 12, 1, 1), 4);
    check_conv2d(square(30, [20, 40], 13, 1, 2), 5);
    for (rows, inner, columns) in [
        (600, 20, 30),
        (300, 257, 9),
        (9, 300, 257),
        (20, 530, 40),
        (20, 40, 530),
        (5000, 40, 30),
    ] {
        check_matmul(
            MatmulShape {
                rows,
                inner,
                columns,
            },
            6,
        );
    }
}

#[test]
fn shapes_at_the_edge() {
    // One position.
    check_conv2d(square(3, [17, 15], 1, 1, 1), 1);
    check_conv2d(square(3, [17, 15], 1, 3, 1), 2);
    // A kernel that is larger than the image, most of whose taps see nothing.
    check_conv2d(square(2, [3, 4], 2, 9, 1), 3);
    check_conv2d(square(2, [3, 4], 3, 7, 4), 4);
    // Only padding is seen, or some activations are not.
    let shape = square(2, [3, 4], 2, 3, 5);
    check_conv2d(shape, 5);
    let far = Conv2dShape {
        kernel: [1, 1],
        stride: [9, 9],
        padding: Padding2d {
            top: 3,
            bottom: 0,
            left: 3,
            right: 0,
        },
        ..shape
    };
    check_conv2d(far, 6);
    check_conv2d(
        Conv2dShape {
            stride: [1, 7],
            ..square(2, [3, 4], 20, 1, 1)
        },
        7,
    );
    // Taps further apart than memory is long, of which one sees the image.
    let apart = Conv2dShape {
        dilation: [1 << 28, 1],
        padding: Padding2d {
            top: 1 << 28,
            bottom: 1 << 28,
            left: 1,
            right: 1,
        },
        ..square(1, [2, 2], 2, 3, 1)
    };
    check_conv2d(
        Conv2dShape {
            stride: [1 << 29, 1],
            ..apart
        },
        8,
    );
    // Lines that are wider than a block.
    let line = Conv2dShape {
        input: [1, 1500],
        kernel: [1, 5],
        padding: Padding2d::symmetric(0, 2),
        ..square(2, [3, 4], 1, 1, 1)
    };
    check_conv2d(line, 9);
    check_conv2d(
        Conv2dShape {
            stride: [1, 2],
            ..line
        },
        10,
    );
    // One channel of each group.
    check_conv2d(
        Conv2dShape {
            groups: 20,
            ..square(2, [20, 20], 9, 3, 1)
        },
        11,
    );
    check_conv2d(
        Conv2dShape {
            groups: 20,
            ..square(2, [20, 40], 9, 3, 2)
        },
        12,
    );
}

#[test]
fn wrong_lengths_are_refused() {
    let conv = square(2, [3, 4], 5, 3, 1);
    let transposed = square_transposed([3, 4]);
    let matmul = MatmulShape {
        rows: 2,
        inner: 3,
        columns: 4,
    };
    type Gradient<'a> = Box<dyn Fn(&[f32], &[f32]) -> Result<Vec<f32>, KernelError> + 'a>;
    let conv_lengths = [2 * 3 * 25, 4 * 3 * 9, 2 * 4 * 25];
    let transposed_lengths = [2 * 3 * 16, 4 * 3 * 16, 2 * 4 * 64];
    let matmul_lengths = [6, 12, 8];
    let gradients: [(Gradient<'_>, [usize; 3]); 6] = [
        (
            Box::new(|a, b| conv2d_activation_gradient(&conv, a, b, None)),
            of_activation(conv_lengths),
        ),
        (
            Box::new(|a, b| conv2d_weight_gradient(&conv, a, b)),
            of_weight(conv_lengths),
        ),
        (
            Box::new(|a, b| conv_transpose2d_activation_gradient(&transposed, a, b, None)),
            of_activation(transposed_lengths),
        ),
        (
            Box::new(|a, b| conv_transpose2d_weight_gradient(&transposed, a, b)),
            of_weight(transposed_lengths),
        ),
        (
            Box::new(|a, b| matmul_activation_gradient(&matmul, a, b, None)),
            of_activation(matmul_lengths),
        ),
        (
            Box::new(|a, b| matmul_weight_gradient(&matmul, a, b)),
            of_weight(matmul_lengths),
        ),
    ];
    for (gradient, lengths) in gradients {
        let call = |lengths: [usize; 3]| {
            let [a, b, _] = lengths.map(|length| vec![1.0; length]);
            gradient(&a, &b)
        };
        assert_eq!(call(lengths).unwrap().len(), lengths[2]);
        for operand in 0..2 {
            for actual in [lengths[operand] - 1, lengths[operand] + 1] {
                let mut wrong = lengths;
                wrong[operand] = actual;
                let error = call(wrong).unwrap_err();
                let KernelError::Length {
                    expected,
                    actual: found,
                    ..
                } = error
                else {
                    panic!("{error}");
                };
                assert_eq!((expected, found), (lengths[operand], actual));
            }
        }
    }
    let [weight, gradient, _] = of_activation(conv_lengths).map(|length| vec![1.0; length]);
    let short = Coded {
        values: &weight[..1],
        quantizer: QUANTIZER,
        function: None,
    };
    let result = conv2d_activation_gradient(&conv, &weight, &gradient, Some(short));
    assert!(matches!(result, Err(KernelError::Length { actual: 1, .. })));
    let activation = vec![1.0; conv_lengths[0]];
    let function = Coded {
        values: &activation,
        quantizer: QUANTIZER,
        function: Some(&FUNCTION[1..]),
    };
    let of_activation = conv2d_activation_gradient(&conv, &weight, &gradient, Some(function));
    let of_weight = conv2d_weight_gradient(&conv, function, &gradient);
    for result in [of_activation, of_weight] {
        assert!(matches!(
            result,
            Err(KernelError::Length {
                operand: "function",
                expected: 16,
                actual: 15
            })
        ));
    }
    let no_groups = Conv2dShape { groups: 0, ..conv };
    assert!(matches!(
        conv2d_weight_gradient(&no_groups, &[0.0; 0], &[]),
        Err(KernelError::Groups { .. })
    ));
}

/// Of activations, weight and outputs: the operands and the result of the activations' gradient.
fn of_activation([activation, weight, output]: [usize; 3]) -> [usize; 3] {
    [weight, output, activation]
}

/// Of activations, weight and outputs: the operands and the result of the weight's gradient.
fn of_weight([activation, weight, output]: [usize; 3]) -> [usize; 3] {
    [activation, output, weight]
}
