//! Transposed convolutions with any strides, dilations, paddings, output paddings and groups, in tiles and without.

use kernels_cubecl::{ConvTranspose2dProblem, Words, conv_transpose2d};
use proptest::prelude::*;

use crate::common::client;
use crate::operands::{
    Element, Format, Kind, Product, Quantizers, Source, check, formats, kind, words,
};

#[derive(Clone, Debug)]
pub struct Case {
    pub problem: ConvTranspose2dProblem,
    pub symmetric: [bool; 2],
    pub per_channel: bool,
    /// A padding code, which never enters, that is not the quantiser's zero point.
    pub other_padding: bool,
    pub seed: u64,
}

impl Case {
    fn run(&self, formats: [Format; 2], kind: Kind, words: Words) -> Result<(), TestCaseError> {
        let ConvTranspose2dProblem {
            in_channels,
            groups,
            kernel,
            ..
        } = self.problem;
        let depth = in_channels / groups * kernel[0] * kernel[1];
        let source = &mut Source(self.seed);
        let product = Product::random(formats, kind, words, depth, source);
        self.check(&product, source)
    }

    pub fn check(&self, product: &Product, source: &mut Source) -> Result<(), TestCaseError> {
        let client = client();
        let problem = self.problem;
        let ConvTranspose2dProblem {
            batch,
            in_channels,
            out_channels,
            groups,
            input,
            kernel,
            output,
            ..
        } = problem;
        let (in_per_group, out_per_group) = (in_channels / groups, out_channels / groups);
        let formats = product.formats;
        let activation = formats[0].codes(batch * in_channels * input[0] * input[1], source);
        let weight = formats[1].codes(in_channels * out_per_group * kernel[0] * kernel[1], source);
        let channels = if self.per_channel { out_channels } else { 1 };
        let quantizers = Quantizers::random(formats, self.symmetric, channels, source);
        let padding = if self.other_padding && product.words == Words::One {
            formats[0].codes(1, source)[0]
        } else {
            quantizers.activation_zero_point
        };
        let mut elements: Vec<Element> = (0..batch * out_channels * output[0] * output[1])
            .map(|element| Element {
                codes: Vec::new(),
                channel: element / (output[0] * output[1]) % out_channels,
            })
            .collect();
        // The output that an input adds to through a tap.
        let target = |position: usize, tap: usize, axis: usize| {
            (position * problem.stride[axis] + tap * problem.dilation[axis])
                .checked_sub(problem.padding[axis])
                .filter(|target| *target < output[axis])
        };
        for (image, channel, column) in each([batch, in_channels, out_per_group]) {
            for (_, v, u) in each([1, input[0], input[1]]) {
                for (_, i, j) in each([1, kernel[0], kernel[1]]) {
                    let (Some(y), Some(x)) = (target(v, i, 0), target(u, j, 1)) else {
                        continue;
                    };
                    let out = channel / in_per_group * out_per_group + column;
                    let element = ((image * out_channels + out) * output[0] + y) * output[1] + x;
                    elements[element].codes.push((
                        activation[((image * in_channels + channel) * input[0] + v) * input[1] + u],
                        weight[((out * in_per_group + channel % in_per_group) * kernel[0] + i)
                            * kernel[1]
                            + j],
                    ));
                }
            }
        }
        check(
            &client,
            product,
            &quantizers,
            padding,
            [&activation, &weight],
            &elements,
            |operands, product, output| {
                conv_transpose2d(&client, problem, operands, product, output).unwrap()
            },
        )
    }
}

/// All triples of indices below the given numbers.
fn each([a, b, c]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a * b * c).map(move |index| (index / (b * c), index / c % b, index % c))
}

/// Shapes with the given numbers of output channels per group.
fn case(
    out_per_group: impl Strategy<Value = usize>,
    groups: impl Strategy<Value = usize>,
) -> impl Strategy<Value = Case> {
    let sizes = (1usize..3, groups, 1usize..4, out_per_group);
    let windows = (
        [1usize..8, 1usize..8],
        [1usize..6, 1usize..6],
        [1usize..5, 1usize..5],
        [1usize..5, 1usize..5],
    );
    let borders = ([0usize..5, 0usize..5], [0usize..6, 0usize..6]);
    (
        sizes,
        windows,
        borders,
        any::<[bool; 2]>(),
        any::<[bool; 2]>(),
        any::<u64>(),
    )
        .prop_map(
            |(
                (batch, groups, in_per_group, out_per_group),
                (input, kernel, stride, dilation),
                (padding, output_padding),
                symmetric,
                [per_channel, other_padding],
                seed,
            )| {
                let output = [0, 1].map(|axis| {
                    let span = (input[axis] - 1) * stride[axis]
                        + (kernel[axis] - 1) * dilation[axis]
                        + 1
                        + output_padding[axis];
                    span.saturating_sub(2 * padding[axis])
                });
                let problem = ConvTranspose2dProblem {
                    batch,
                    in_channels: groups * in_per_group,
                    out_channels: groups * out_per_group,
                    groups,
                    input,
                    kernel,
                    stride,
                    dilation,
                    padding,
                    output,
                };
                Case {
                    problem,
                    symmetric,
                    per_channel,
                    other_padding,
                    seed,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn few_channels_per_group(
        case in case(1usize..8, 1usize..5), formats in formats(&[4, 6, 8]), kind in kind(), words in words(),
    ) {
        case.run(formats, kind, words)?;
    }

    #[test]
    fn many_channels_per_group(
        case in case(prop_oneof![8usize..20, 33usize..70], 1usize..3), formats in formats(&[4, 6, 8]), kind in kind(), words in words(),
    ) {
        case.run(formats, kind, words)?;
    }

    #[test]
    fn wide_codes(
        case in case(1usize..12, 1usize..3), formats in formats(&[9, 12, 16]), terms in 1usize..3, words in words(),
    ) {
        case.run(formats, Kind::Factors(terms), words)?;
    }
}

const FORMATS: [Format; 2] = [Format {
    bits: 4,
    signed: true,
}; 2];

/// A case that is no extreme yet.
pub fn example(out_channels: usize) -> Case {
    Case {
        problem: ConvTranspose2dProblem {
            batch: 2,
            in_channels: 6,
            out_channels,
            groups: 2,
            input: [4, 5],
            kernel: [3, 3],
            stride: [2, 2],
            dilation: [1, 1],
            padding: [1, 1],
            output: [8, 10],
        },
        symmetric: [false; 2],
        per_channel: true,
        other_padding: false,
        seed: 1,
    }
}

/// Strides beyond the kernel and beyond the output leave phases without a tap, and outputs that no input reaches.
#[test]
fn outputs_without_products_are_zero() {
    for out_channels in [2, 20] {
        for (stride, kernel, output) in [
            ([5, 7], [2, 3], [17, 31]),
            ([100, 3], [2, 2], [9, 40]),
            ([2, 2], [1, 1], [30, 2]),
            // No tap meets an odd output.
            ([2, 2], [3, 3], [9, 9]),
        ] {
            let mut case = example(out_channels);
            let problem = &mut case.problem;
            (problem.stride, problem.kernel, problem.output) = (stride, kernel, output);
            problem.dilation = [2, 4];
            case.run(FORMATS, Kind::NarrowTable, Words::One).unwrap();
            case.run(FORMATS, Kind::WideTable, Words::One).unwrap();
        }
    }
}

/// Nothing to sum, nothing to put out.
#[test]
fn tensors_may_be_empty() {
    for out_channels in [2, 20] {
        let case = example(out_channels);
        let problem = case.problem;
        for problem in [
            ConvTranspose2dProblem {
                in_channels: 0,
                ..problem
            },
            ConvTranspose2dProblem {
                input: [0, 5],
                ..problem
            },
            ConvTranspose2dProblem {
                kernel: [3, 0],
                ..problem
            },
            ConvTranspose2dProblem {
                output: [8, 0],
                ..problem
            },
            ConvTranspose2dProblem {
                batch: 0,
                ..problem
            },
            ConvTranspose2dProblem {
                out_channels: 0,
                ..problem
            },
        ] {
            let case = Case {
                problem,
                per_channel: false,
                ..case.clone()
            };
            case.run(FORMATS, Kind::NarrowTable, Words::One).unwrap();
        }
    }
}

/// Cubes with a table of their own are few, and their units compute many elements each.
#[test]
fn more_elements_than_units() {
    let mut case = example(6);
    let problem = &mut case.problem;
    (problem.input, problem.output) = ([50, 45], [100, 90]);
    case.run(FORMATS, Kind::NarrowTable, Words::One).unwrap();
}
