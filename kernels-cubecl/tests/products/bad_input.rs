//! What a launch refuses, and what is merely empty.

use kernels_cubecl::{
    Conv2dProblem, ConvTranspose2dProblem, DeviceFactors, DeviceKernelError, DeviceTable,
    MatmulProblem, MatrixPairs, Operand, Output, PackedCodes, QuantizerBuffer, ScalarProduct,
    Words, conv_transpose2d, conv2d, matmul,
};

use crate::common::{client, download};

const RAW: Output = Output::Accumulators { padding_code: 0 };

fn convolution() -> Conv2dProblem {
    Conv2dProblem {
        batch: 1,
        in_channels: 2,
        out_channels: 2,
        groups: 2,
        input: [2, 2],
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [0, 0],
        output: [2, 2],
    }
}

/// The outcome with 4-bit operands of these lengths and a table whose sums take the words.
fn multiplied(
    problem: MatmulProblem,
    lengths: [usize; 2],
    bits: u32,
    words: Words,
    output: Output,
) -> Result<(), DeviceKernelError> {
    let client = client();
    let table = DeviceTable::new(&client, &[1; 256], 4, 4)?;
    let codes = lengths
        .map(|length| PackedCodes::from_codes(&client, &vec![1; length], bits, false).unwrap());
    let product = ScalarProduct::Lookup {
        table: &table,
        words,
    };
    matmul(
        &client,
        problem,
        [Operand::new(&codes[0]), Operand::new(&codes[1])],
        product,
        output,
    )
    .map(drop)
}

fn convolved(problem: Conv2dProblem) -> Result<(), DeviceKernelError> {
    let client = client();
    let factors = DeviceFactors::<i32>::new(&client, &[1; 16], &[1; 16], 4, 4)?;
    let activation = PackedCodes::from_codes(&client, &[1; 8], 4, false)?;
    let weight = PackedCodes::from_codes(&client, &[1; 2], 4, false)?;
    let product = ScalarProduct::Integer {
        factors: &factors,
        words: Words::One,
    };
    conv2d(
        &client,
        problem,
        [Operand::new(&activation), Operand::new(&weight)],
        product,
        RAW,
    )
    .map(drop)
}

fn transposed_convolution() -> ConvTranspose2dProblem {
    ConvTranspose2dProblem {
        batch: 1,
        in_channels: 2,
        out_channels: 2,
        groups: 2,
        input: [2, 2],
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [0, 0],
        output: [2, 2],
    }
}

/// The outcome with 8 activations and 2 weights.
fn convolved_transposed(problem: ConvTranspose2dProblem) -> Result<(), DeviceKernelError> {
    let client = client();
    let factors = DeviceFactors::<i32>::new(&client, &[1; 16], &[1; 16], 4, 4)?;
    let activation = PackedCodes::from_codes(&client, &[1; 8], 4, false)?;
    let weight = PackedCodes::from_codes(&client, &[1; 2], 4, false)?;
    let product = ScalarProduct::Integer {
        factors: &factors,
        words: Words::One,
    };
    let operands = [Operand::new(&activation), Operand::new(&weight)];
    conv_transpose2d(&client, problem, operands, product, RAW).map(drop)
}

#[test]
fn transposed_convolutions_have_lengths_strides_groups_and_an_end() {
    let problem = transposed_convolution();
    assert_eq!(convolved_transposed(problem), Ok(()));
    let error = |operand, expected, actual| DeviceKernelError::Length {
        operand,
        expected,
        actual,
    };
    for (problem, expected) in [
        (
            ConvTranspose2dProblem {
                input: [2, 3],
                ..problem
            },
            error("activations", 12, 8),
        ),
        (
            ConvTranspose2dProblem {
                kernel: [2, 1],
                ..problem
            },
            error("weights", 4, 2),
        ),
        // Input channels by output channels of a group.
        (
            ConvTranspose2dProblem {
                out_channels: 4,
                ..problem
            },
            error("weights", 4, 2),
        ),
        (
            ConvTranspose2dProblem {
                groups: 3,
                ..problem
            },
            DeviceKernelError::Groups {
                groups: 3,
                channels: 2,
                side: "input",
            },
        ),
        (
            ConvTranspose2dProblem {
                out_channels: 3,
                ..problem
            },
            DeviceKernelError::Groups {
                groups: 2,
                channels: 3,
                side: "output",
            },
        ),
        (
            ConvTranspose2dProblem {
                groups: 0,
                ..problem
            },
            DeviceKernelError::Zero {
                parameter: "number of groups",
            },
        ),
    ] {
        assert_eq!(convolved_transposed(problem), Err(expected), "{problem:?}");
    }
    for axis in 0..2 {
        type Parameter = fn(&mut ConvTranspose2dProblem) -> &mut [usize; 2];
        let windows: [Parameter; 2] = [
            |problem| &mut problem.stride,
            |problem| &mut problem.dilation,
        ];
        for parameter in windows {
            let mut problem = transposed_convolution();
            parameter(&mut problem)[axis] = 0;
            let outcome = convolved_transposed(problem);
            assert!(matches!(outcome, Err(DeviceKernelError::Zero { .. })));
        }
        let sizes: [Parameter; 4] = [
            |problem| &mut problem.padding,
            |problem| &mut problem.output,
            |problem| &mut problem.input,
            |problem| &mut problem.kernel,
        ];
        for parameter in windows.into_iter().chain(sizes) {
            let mut problem = transposed_convolution();
            parameter(&mut problem)[axis] = 1 << 31;
            let outcome = convolved_transposed(problem);
            assert!(matches!(outcome, Err(DeviceKernelError::TooLarge { .. })));
        }
    }
}

#[test]
fn lengths_follow_from_the_shape() {
    let problem = MatmulProblem::single(2, 3, 4);
    assert_eq!(multiplied(problem, [6, 12], 4, Words::One, RAW), Ok(()));
    for (lengths, operand, expected, actual) in
        [([7, 12], "activations", 6, 7), ([6, 11], "weights", 12, 11)]
    {
        let error = DeviceKernelError::Length {
            operand,
            expected,
            actual,
        };
        assert_eq!(multiplied(problem, lengths, 4, Words::One, RAW), Err(error));
    }
    assert_eq!(convolved(convolution()), Ok(()));
    let problem = Conv2dProblem {
        input: [2, 3],
        ..convolution()
    };
    let error = DeviceKernelError::Length {
        operand: "activations",
        expected: 12,
        actual: 8,
    };
    assert_eq!(convolved(problem), Err(error));
}

#[test]
fn widths_are_those_of_the_product() {
    let error = DeviceKernelError::OperandWidth {
        operand: "activations",
        expected: 4,
        actual: 5,
    };
    assert_eq!(
        multiplied(MatmulProblem::single(1, 1, 1), [1, 1], 5, Words::One, RAW),
        Err(error)
    );
    let client = client();
    for bits in [0, 17] {
        let error = Some(DeviceKernelError::CodeWidth { bits });
        assert_eq!(
            PackedCodes::from_codes(&client, &[], bits, true).err(),
            error
        );
        assert_eq!(DeviceTable::new(&client, &[], 4, bits).err(), error);
        assert_eq!(
            DeviceFactors::<f32>::new(&client, &[], &[], bits, 4).err(),
            error
        );
    }
    assert!(DeviceTable::new(&client, &[0; 255], 4, 4).is_err());
    let table = DeviceTable::new(&client, &[], 16, 16);
    assert!(matches!(table, Err(DeviceKernelError::TooLarge { .. })));
    assert!(DeviceFactors::<i32>::new(&client, &[0; 17], &[0; 16], 4, 4).is_err());
    assert!(DeviceFactors::<i32>::new(&client, &[0; 32], &[0; 16], 4, 4).is_err());
}

#[test]
fn accumulators_are_32_bits_wide() {
    let problem = MatmulProblem::single(1, 1, 1);
    assert_eq!(
        multiplied(problem, [1, 1], 4, Words::Two, RAW),
        Err(DeviceKernelError::WideAccumulators)
    );
}

#[test]
fn pairs_name_matrices_that_are_there() {
    let client = client();
    let pairs = MatrixPairs::new(&client, &[[0, 1], [1, 0]]);
    let problem = MatmulProblem {
        activation_matrices: 2,
        weight_matrices: 2,
        pairs: Some(&pairs),
        ..MatmulProblem::single(1, 1, 1)
    };
    assert_eq!(multiplied(problem, [2, 2], 4, Words::One, RAW), Ok(()));
    let problem = MatmulProblem {
        weight_matrices: 1,
        ..problem
    };
    let error = DeviceKernelError::Pair {
        operand: "weights",
        index: 1,
        count: 1,
    };
    assert_eq!(multiplied(problem, [2, 1], 4, Words::One, RAW), Err(error));
}

#[test]
fn quantizers_are_one_or_as_many_as_channels() {
    let client = client();
    let quantizer = |channels: usize| {
        QuantizerBuffer::from_parameters(&client, &vec![1.0; channels], &vec![0.0; channels])
            .unwrap()
    };
    let outcome = |activation: usize, weight: usize| {
        let output = Output::Rescaled {
            activation: &quantizer(activation),
            weight: &quantizer(weight),
        };
        multiplied(
            MatmulProblem::single(2, 1, 3),
            [2, 3],
            4,
            Words::One,
            output,
        )
    };
    assert_eq!(outcome(1, 1), Ok(()));
    assert_eq!(outcome(1, 3), Ok(()));
    assert!(matches!(
        outcome(1, 2),
        Err(DeviceKernelError::Length {
            expected: 3,
            actual: 2,
            ..
        })
    ));
    assert!(matches!(
        outcome(2, 1),
        Err(DeviceKernelError::Length {
            expected: 1,
            actual: 2,
            ..
        })
    ));
    assert!(QuantizerBuffer::from_parameters(&client, &[], &[]).is_err());
    assert!(QuantizerBuffer::from_parameters(&client, &[1.0], &[]).is_err());
    let parameters = client.empty(8);
    assert!(matches!(
        QuantizerBuffer::new(parameters, 1, true),
        Err(DeviceKernelError::Buffer { expected: 12, .. })
    ));
}

#[test]
fn convolutions_have_strides_groups_and_an_end() {
    for axis in 0..2 {
        let mut problem = convolution();
        problem.stride[axis] = 0;
        assert!(matches!(
            convolved(problem),
            Err(DeviceKernelError::Zero { .. })
        ));
        problem = convolution();
        problem.dilation[axis] = 0;
        assert!(matches!(
            convolved(problem),
            Err(DeviceKernelError::Zero { .. })
        ));
        problem = convolution();
        problem.stride[axis] = 1 << 31;
        assert!(matches!(
            convolved(problem),
            Err(DeviceKernelError::TooLarge { .. })
        ));
    }
    assert!(matches!(
        convolved(Conv2dProblem {
            groups: 0,
            ..convolution()
        }),
        Err(DeviceKernelError::Zero { .. })
    ));
    let error = DeviceKernelError::Groups {
        groups: 3,
        channels: 2,
        side: "input",
    };
    assert_eq!(
        convolved(Conv2dProblem {
            groups: 3,
            ..convolution()
        }),
        Err(error)
    );
}

#[test]
fn tensors_beyond_32_bit_indices_are_refused() {
    for problem in [
        MatmulProblem::single(1 << 20, 1 << 11, 1),
        MatmulProblem::single(1 << 40, usize::MAX, 1),
        MatmulProblem::single(1 << 16, 0, 1 << 16),
        MatmulProblem::single(0, 1 << 31, 0),
    ] {
        let outcome = multiplied(problem, [0, 0], 4, Words::One, RAW);
        assert!(
            matches!(outcome, Err(DeviceKernelError::TooLarge { .. })),
            "{problem:?}: {outcome:?}"
        );
    }
}

#[test]
fn sums_of_codes_fit_32_bits() {
    let client = client();
    let factors = DeviceFactors::<i32>::new(&client, &vec![0; 1 << 16], &[0; 4], 16, 2).unwrap();
    let product = ScalarProduct::Integer {
        factors: &factors,
        words: Words::One,
    };
    let depth = 1 << 15;
    let activation = PackedCodes::from_codes(&client, &vec![0; depth + 1], 16, false).unwrap();
    let weight = PackedCodes::from_codes(&client, &vec![0; depth + 1], 2, false).unwrap();
    let quantizer =
        |zero_point: f32| QuantizerBuffer::from_parameters(&client, &[1.0], &[zero_point]).unwrap();
    let outcome = |zero_point: f32| {
        let output = Output::Rescaled {
            activation: &quantizer(0.0),
            weight: &quantizer(zero_point),
        };
        let problem = MatmulProblem::single(1, depth + 1, 1);
        matmul(
            &client,
            problem,
            [Operand::new(&activation), Operand::new(&weight)],
            product,
            output,
        )
        .map(drop)
    };
    assert_eq!(outcome(0.0), Ok(()));
    assert!(matches!(
        outcome(1.0),
        Err(DeviceKernelError::TooLarge { .. })
    ));
}

#[test]
fn sums_of_nothing_are_zero() {
    let client = client();
    let table = DeviceTable::new(&client, &[5; 256], 4, 4).unwrap();
    let product = ScalarProduct::Lookup {
        table: &table,
        words: Words::One,
    };
    let empty = PackedCodes::from_codes(&client, &[], 4, true).unwrap();
    let operands = [Operand::new(&empty), Operand::new(&empty)];
    let sums = matmul(
        &client,
        MatmulProblem::single(2, 0, 3),
        operands,
        product,
        RAW,
    )
    .unwrap();
    assert_eq!(download::<i32>(&client, sums, 6), [0; 6]);
    let problem = Conv2dProblem {
        kernel: [0, 1],
        input: [2, 0],
        ..convolution()
    };
    let sums = conv2d(&client, problem, operands, product, RAW).unwrap();
    assert_eq!(download::<i32>(&client, sums, 8), [0; 8]);
}
