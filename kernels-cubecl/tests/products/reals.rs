//! Factors of float32.

use kernels_cubecl::{
    DeviceFactors, MatmulProblem, Operand, Output, ScalarProduct, Words, conv_transpose2d, matmul,
};
use proptest::prelude::*;

use crate::common::{client, download};
use crate::conv_transpose2d::example;
use crate::operands::{Format, Quantizers, Source, formats};

/// The sums and the real values of a product of matrices `[rows, depth, columns]`, with the absolute values of what
/// they sum.
fn run(
    shape: [usize; 3],
    formats: [Format; 2],
    terms: usize,
    symmetric: [bool; 2],
    seed: u64,
    mut value: impl FnMut(&mut Source) -> f32,
) -> Vec<[f64; 5]> {
    let client = client();
    let source = &mut Source(seed);
    let [rows, depth, columns] = shape;
    let [u, v]: [Vec<f32>; 2] =
        formats.map(|format| (0..terms << format.bits).map(|_| value(source)).collect());
    let activation = formats[0].codes(rows * depth, source);
    let weight = formats[1].codes(depth * columns, source);
    let quantizers = Quantizers::random(formats, symmetric, columns, source);
    let packed = [
        formats[0].pack(&client, &activation),
        formats[1].pack(&client, &weight),
    ];
    let factors =
        DeviceFactors::<f32>::new(&client, &u, &v, formats[0].bits, formats[1].bits).unwrap();
    let [activation_quantizer, weight_quantizers] = &quantizers.on_device(&client);
    let launch = |output: Output| {
        let operands = [Operand::new(&packed[0]), Operand::new(&packed[1])];
        let product = ScalarProduct::Real { factors: &factors };
        let problem = MatmulProblem::single(rows, depth, columns);
        let values = matmul(&client, problem, operands, product, output).unwrap();
        download::<f32>(&client, values, rows * columns)
    };
    let sums = launch(Output::Accumulators { padding_code: 0 });
    let values = launch(Output::Rescaled {
        activation: activation_quantizer,
        weight: weight_quantizers,
    });
    let mut results = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            let (mut sum, mut magnitude, mut correction) = (0.0, 0.0, 0.0);
            let z_x = f64::from(quantizers.activation_zero_point);
            let z_w = f64::from(quantizers.weight_zero_points[column]);
            for k in 0..depth {
                let (a, b) = (activation[row * depth + k], weight[k * columns + column]);
                for t in 0..terms {
                    let u = u[t << formats[0].bits | formats[0].pattern(a)];
                    let v = v[t << formats[1].bits | formats[1].pattern(b)];
                    sum += f64::from(u) * f64::from(v);
                    magnitude += (f64::from(u) * f64::from(v)).abs();
                }
                correction += z_x * z_w - z_x * f64::from(b) - z_w * f64::from(a);
            }
            let scale = f64::from(quantizers.activation_scale * quantizers.weight_scales[column]);
            let found = row * columns + column;
            results.push([
                sum,
                f64::from(sums[found]),
                scale * (sum + correction),
                f64::from(values[found]),
                // What float32 may lose in sums of so many terms, in either result.
                (magnitude + correction.abs())
                    * f64::from(f32::EPSILON)
                    * (depth * terms + 3) as f64,
            ]);
            results.last_mut().unwrap()[4] *= 1f64.max(scale);
        }
    }
    results
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Small integers are exact in float32, in whatever order they are added.
    #[test]
    fn integers_are_exact(
        shape in [1usize..40, 0usize..30, 1usize..40], formats in formats(&[2, 5, 8, 11]), terms in 0usize..4,
        symmetric: [bool; 2], seed: u64,
    ) {
        for [sum, found, ..] in run(shape, formats, terms, symmetric, seed, |source| source.between(-99, 99) as f32) {
            prop_assert_eq!(sum, found);
        }
    }

    #[test]
    fn rounding_is_that_of_float32(
        shape in [1usize..40, 0usize..30, 1usize..40], formats in formats(&[2, 5, 8, 11]), terms in 0usize..4,
        symmetric: [bool; 2], seed: u64,
    ) {
        let value = |source: &mut Source| source.between(-1 << 40, 1 << 40) as f32 / 3e9;
        for [sum, found_sum, real, found_real, tolerance] in run(shape, formats, terms, symmetric, seed, value) {
            prop_assert!((sum - found_sum).abs() <= tolerance, "{} {}", sum, found_sum);
            prop_assert!((real - found_real).abs() <= tolerance, "{} {}", real, found_real);
        }
    }
}

/// Skipped taps add nothing to float32 sums either: small integers give what integer factors give.
#[test]
fn transposed_convolutions_of_integers_are_those_of_integer_factors() {
    let client = client();
    let format = Format {
        bits: 4,
        signed: true,
    };
    for out_channels in [2, 20] {
        let problem = example(out_channels).problem;
        let source = &mut Source(5);
        let [u, v] = [source.many(32, -9, 9), source.many(32, -9, 9)];
        let [u_real, v_real] = [&u, &v].map(|u| u.iter().map(|u| *u as f32).collect::<Vec<_>>());
        let integers = DeviceFactors::<i32>::new(&client, &u, &v, 4, 4).unwrap();
        let reals = DeviceFactors::<f32>::new(&client, &u_real, &v_real, 4, 4).unwrap();
        let activation = format.pack(&client, &format.codes(2 * 6 * 20, source));
        let weight = format.pack(&client, &format.codes(6 * out_channels / 2 * 9, source));
        let operands = [Operand::new(&activation), Operand::new(&weight)];
        let quantizers = Quantizers::random([format; 2], [false; 2], out_channels, source);
        let [activation_quantizer, weight_quantizers] = &quantizers.on_device(&client);
        let real = ScalarProduct::Real { factors: &reals };
        let integer = ScalarProduct::Integer {
            factors: &integers,
            words: Words::One,
        };
        let length = 2 * out_channels * 80;
        let launch = |product, output| {
            conv_transpose2d(&client, problem, operands, product, output).unwrap()
        };
        let raw = Output::Accumulators { padding_code: 0 };
        let sums = download::<i32>(&client, launch(integer, raw), length);
        let sums: Vec<f32> = sums.into_iter().map(|sum| sum as f32).collect();
        assert_eq!(download::<f32>(&client, launch(real, raw), length), sums);
        let rescaled = Output::Rescaled {
            activation: activation_quantizer,
            weight: weight_quantizers,
        };
        let values = download::<f32>(&client, launch(integer, rescaled), length);
        assert_eq!(
            download::<f32>(&client, launch(real, rescaled), length),
            values
        );
    }
}
