//! Convolutions with any strides, dilations, paddings and groups, in tiles and without.

use kernels_cubecl::{Conv2dProblem, Words, conv2d};
use proptest::prelude::*;

use crate::common::client;
use crate::operands::{
    Element, Format, Kind, Product, Quantizers, Source, check, formats, kind, words,
};

#[derive(Clone, Debug)]
struct Case {
    problem: Conv2dProblem,
    symmetric: [bool; 2],
    per_channel: bool,
    /// A padding that is not the quantiser's zero point.
    other_padding: bool,
    seed: u64,
}

impl Case {
    fn run(&self, formats: [Format; 2], kind: Kind, words: Words) -> Result<(), TestCaseError> {
        let client = client();
        let source = &mut Source(self.seed);
        let Conv2dProblem {
            batch,
            in_channels,
            out_channels,
            groups,
            input,
            kernel,
            ..
        } = self.problem;
        let per_group = in_channels / groups;
        let depth = per_group * kernel[0] * kernel[1];
        let product = Product::random(formats, kind, words, depth, source);
        let activation = formats[0].codes(batch * in_channels * input[0] * input[1], source);
        let weight = formats[1].codes(out_channels * depth, source);
        let channels = if self.per_channel { out_channels } else { 1 };
        let quantizers = Quantizers::random(formats, self.symmetric, channels, source);
        let padding = if self.other_padding && words == Words::One {
            formats[0].codes(1, source)[0]
        } else {
            quantizers.activation_zero_point
        };
        let problem = self.problem;
        let at = |image: usize, channel: usize, y: usize, x: usize| {
            let inside = |position: usize, axis: usize| {
                position
                    .checked_sub(problem.padding[axis])
                    .filter(|position| *position < input[axis])
            };
            match (inside(y, 0), inside(x, 1)) {
                (Some(y), Some(x)) => {
                    activation[((image * in_channels + channel) * input[0] + y) * input[1] + x]
                }
                _ => padding,
            }
        };
        let mut elements = Vec::new();
        for image in 0..batch {
            for out in 0..out_channels {
                for y in 0..problem.output[0] {
                    for x in 0..problem.output[1] {
                        let mut codes = Vec::new();
                        for channel in 0..per_group {
                            for i in 0..kernel[0] {
                                for j in 0..kernel[1] {
                                    let a = at(
                                        image,
                                        out / (out_channels / groups) * per_group + channel,
                                        y * problem.stride[0] + i * problem.dilation[0],
                                        x * problem.stride[1] + j * problem.dilation[1],
                                    );
                                    codes.push((
                                        a,
                                        weight[((out * per_group + channel) * kernel[0] + i)
                                            * kernel[1]
                                            + j],
                                    ));
                                }
                            }
                        }
                        elements.push(Element {
                            codes,
                            channel: out,
                        });
                    }
                }
            }
        }
        check(
            &client,
            &product,
            &quantizers,
            padding,
            [&activation, &weight],
            &elements,
            |operands, product, output| {
                conv2d(&client, problem, operands, product, output).unwrap()
            },
        )
    }
}

/// Shapes with the given numbers of output channels per group.
fn case(
    out_per_group: impl Strategy<Value = usize>,
    groups: impl Strategy<Value = usize>,
) -> impl Strategy<Value = Case> {
    let sizes = (1usize..3, groups, 1usize..4, out_per_group);
    let windows = (
        [1usize..12, 1usize..12],
        [1usize..4, 1usize..4],
        [1usize..4, 1usize..4],
        [1usize..3, 1usize..3],
    );
    let paddings = ([0usize..4, 0usize..4], [0usize..4, 0usize..4]);
    (
        sizes,
        windows,
        paddings,
        any::<[bool; 2]>(),
        any::<[bool; 2]>(),
        any::<u64>(),
    )
        .prop_map(
            |(
                (batch, groups, in_per_group, out_per_group),
                (input, kernel, stride, dilation),
                (before, after),
                symmetric,
                [per_channel, other_padding],
                seed,
            )| {
                let output = [0, 1].map(|axis| {
                    let padded = input[axis] + before[axis] + after[axis];
                    let span = (kernel[axis] - 1) * dilation[axis] + 1;
                    padded
                        .checked_sub(span)
                        .map_or(0, |rest| rest / stride[axis] + 1)
                });
                let problem = Conv2dProblem {
                    batch,
                    in_channels: groups * in_per_group,
                    out_channels: groups * out_per_group,
                    groups,
                    input,
                    kernel,
                    stride,
                    dilation,
                    padding: before,
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

/// Cubes with a table of their own are few, and their units compute many elements each.
#[test]
fn more_elements_than_units() {
    let formats = [Format {
        bits: 4,
        signed: true,
    }; 2];
    let problem = Conv2dProblem {
        batch: 2,
        in_channels: 3,
        out_channels: 6,
        groups: 3,
        input: [100, 90],
        kernel: [1, 2],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [0, 1],
        output: [100, 91],
    };
    let case = Case {
        problem,
        symmetric: [false; 2],
        per_channel: true,
        other_padding: false,
        seed: 1,
    };
    case.run(formats, Kind::NarrowTable, Words::One).unwrap();
}
