//! What cannot be a number is a NaN, everywhere.

use cubecl::prelude::*;
use kernels_cubecl::{
    Conv2dProblem, ConvTranspose2dProblem, DeviceTable, MatmulProblem, Operand, Output,
    PackedCodes, QuantizerBuffer, ScalarProduct, Words, conv_transpose2d, conv2d, matmul,
};

use crate::common::{client, download};

/// All results of a product of matrices, and of convolutions and transposed ones in tiles and without. Of the latter,
/// some results have no product.
fn results(
    flags: [Option<u32>; 2],
    activation_scale: f32,
    weight_scales: &[f32],
    zero_point: f32,
) -> Vec<f32> {
    let client = client();
    let table = DeviceTable::new(&client, &[0; 16], 2, 2).unwrap();
    let product = ScalarProduct::Lookup {
        table: &table,
        words: Words::One,
    };
    let codes = PackedCodes::from_codes(&client, &[1; 9], 2, false).unwrap();
    let flags = flags.map(|flag| flag.map(|flag| client.create_from_slice(u32::as_bytes(&[flag]))));
    let [activation, weight] = [0, 1].map(|side| Operand {
        codes: &codes,
        poison: flags[side].as_ref(),
    });
    let activation_quantizer =
        QuantizerBuffer::from_parameters(&client, &[activation_scale], &[zero_point]).unwrap();
    let zero_points = vec![0.0; weight_scales.len()];
    let weight_quantizers =
        QuantizerBuffer::from_parameters(&client, weight_scales, &zero_points).unwrap();
    let output = Output::Rescaled {
        activation: &activation_quantizer,
        weight: &weight_quantizers,
    };
    let problem = MatmulProblem::single(3, 3, 3);
    let matrix = matmul(&client, problem, [activation, weight], product, output).unwrap();
    let problem = Conv2dProblem {
        batch: 1,
        in_channels: 1,
        out_channels: 9,
        groups: 1,
        input: [3, 3],
        kernel: [1, 1],
        stride: [3, 3],
        dilation: [1, 1],
        padding: [0, 0],
        output: [1, 1],
    };
    let quantizer = QuantizerBuffer::from_parameters(&client, &weight_scales[..1], &[0.0]).unwrap();
    let output = Output::Rescaled {
        activation: &activation_quantizer,
        weight: &quantizer,
    };
    let tiled = conv2d(&client, problem, [activation, weight], product, output).unwrap();
    let problem = Conv2dProblem {
        in_channels: 9,
        groups: 9,
        input: [1, 1],
        ..problem
    };
    let direct = conv2d(&client, problem, [activation, weight], product, output).unwrap();
    let transposed = |channels: usize| {
        let problem = ConvTranspose2dProblem {
            batch: 1,
            in_channels: 1,
            out_channels: channels,
            groups: 1,
            input: [3, 3],
            kernel: [1, 9 / channels],
            stride: [2, 10],
            dilation: [1, 1],
            padding: [0, 0],
            output: [4, 5],
        };
        let operands = [activation, weight];
        conv_transpose2d(&client, problem, operands, product, output).unwrap()
    };
    [
        (matrix, 9),
        (tiled, 9),
        (direct, 9),
        (transposed(9), 180),
        (transposed(1), 20),
    ]
    .into_iter()
    .flat_map(|(result, length)| download::<f32>(&client, result, length))
    .collect()
}

#[test]
fn numbers_stay_numbers() {
    for flags in [
        [None, None],
        [Some(0), None],
        [None, Some(0)],
        [Some(0), Some(0)],
    ] {
        let values = results(flags, 0.5, &[1.0, 2.0, 3.0], 0.0);
        // An integer 0 has no sign, whatever the scale's.
        assert!(
            values.iter().all(|value| value.to_bits() == 0),
            "{values:?}"
        );
    }
}

#[test]
fn a_flag_spoils_every_result() {
    for flags in [
        [Some(1), None],
        [None, Some(1)],
        [Some(0), Some(1)],
        [Some(u32::MAX), Some(0)],
    ] {
        let values = results(flags, 0.5, &[1.0, 2.0, 3.0], 1.0);
        assert!(
            values.iter().all(|value| value.is_nan()),
            "{flags:?}: {values:?}"
        );
    }
}

#[test]
fn a_quantizer_that_is_not_finite_spoils_every_result() {
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (activation, weight) in [(bad, [1.0; 3]), (1.0, [bad, 1.0, 1.0])] {
            let values = results([None, None], activation, &weight, 0.0);
            assert!(
                values.iter().all(|value| value.is_nan()),
                "{bad}: {values:?}"
            );
        }
        // A channel of the matrix product other than the first.
        let values = results([None, None], 1.0, &[1.0, 1.0, bad], 0.0);
        assert!(
            values[..9].iter().all(|value| value.is_nan()),
            "{bad}: {values:?}"
        );
        let values = results([None, None], 1.0, &[1.0; 3], bad);
        assert!(
            values.iter().all(|value| value.is_nan()),
            "{bad}: {values:?}"
        );
    }
}
