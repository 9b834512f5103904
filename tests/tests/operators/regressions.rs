//! Defects of earlier tools, one test each, as far as they concern operators.

use approx_multiplier::{Multiplier, OperandFormat, evoapprox};
use burn::prelude::*;
use burn::tensor::ops::ConvOptions;
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::{CodeQuantizer, CodeRange};
use burn_approx::{PreparedMultiplier, ops};
use burn_approx_tests::layer::{float_tensor, int_tensor, integers, values};
use burn_approx_tests::random::Random;
use rstest::rstest;

use crate::device;

const INT8: OperandFormat = OperandFormat::INT8;

fn per_tensor(scale: f32, zero_point: i32) -> CodeQuantizer {
    CodeQuantizer::per_tensor(scale, zero_point, CodeRange::full(INT8), &device()).unwrap()
}

fn table(name: &str, product: impl Fn(i64, i64) -> i64) -> PreparedMultiplier {
    PreparedMultiplier::new(Multiplier::from_fn(name, INT8, INT8, product).unwrap())
}

/// The exact product by every route: arithmetic and factors, in integers and in float32, and a table, in which every
/// product is looked up.
fn exact() -> [PreparedMultiplier; 5] {
    let arithmetic = PreparedMultiplier::new(Multiplier::exact(INT8, INT8));
    let table = table("exact table", |a, b| a * b);
    [
        (&arithmetic, PlanChoice::Exact),
        (&arithmetic, PlanChoice::ExactFloat32),
        (&table, PlanChoice::Factored),
        (&table, PlanChoice::FactoredFloat32),
        (&table, PlanChoice::Gather),
    ]
    .map(|(multiplier, plan)| multiplier.clone().with_plan(plan))
}

/// A multiplier as the planner computes it, and with every product looked up.
fn planned_and_looked_up(multiplier: PreparedMultiplier) -> [PreparedMultiplier; 2] {
    let looked_up = multiplier.clone().with_plan(PlanChoice::Gather);
    [multiplier, looked_up]
}

fn padded(padding: usize) -> ConvOptions<2> {
    ConvOptions::new([1, 1], [padding, padding], [1, 1], 1)
}

/// With the wrong sign, codes 12 and 4 with zero points 10 and 1 would give anything but 2 * 3.
#[test]
fn zero_point_correction_has_the_right_sign() {
    for multiplier in exact() {
        let x = float_tensor::<2>(&[2.0], &[1, 1], &device());
        let w = float_tensor::<2>(&[3.0], &[1, 1], &device());
        let (a, b) = (per_tensor(1.0, 10), per_tensor(1.0, 1));
        let y = ops::matmul(x, w, &a, &b, &multiplier).unwrap();
        assert_eq!(values(y), [6.0]);
    }
    // The correction is of the exact product also where the multiplier's differs: 12 * 4 - 1 - (10 * 4 + 12 - 10).
    let x = float_tensor::<2>(&[2.0], &[1, 1], &device());
    let w = float_tensor::<2>(&[3.0], &[1, 1], &device());
    for off in planned_and_looked_up(table("a*b-1", |a, b| a * b - 1)) {
        let (a, b) = (per_tensor(1.0, 10), per_tensor(1.0, 1));
        let y = ops::matmul(x.clone(), w.clone(), &a, &b, &off).unwrap();
        assert_eq!(values(y), [5.0]);
    }
}

/// A padded tap is the real value 0, not the code 0.
#[test]
fn padding_holds_the_zero_point() {
    for multiplier in exact() {
        let x = float_tensor::<4>(&[2.0], &[1, 1, 1, 1], &device());
        let w = float_tensor::<4>(&[1.0; 9], &[1, 1, 3, 3], &device());
        let (a, b) = (per_tensor(1.0, -128), per_tensor(1.0, 5));
        let y = ops::conv2d(x, w, None, &a, &b, &multiplier, padded(1)).unwrap();
        assert_eq!(values(y), [2.0]);
    }
    // The multiplier sees the zero point: code 7 in eight padded taps, and 7 + 2 in the middle.
    let seen = table("the activation, weights ignored", |a, _| 1000 * a);
    for seen in planned_and_looked_up(seen) {
        let x = int_tensor::<4>(&[9], &[1, 1, 1, 1], &device());
        let w = int_tensor::<4>(&[0; 9], &[1, 1, 3, 3], &device());
        let sums = ops::conv2d_accumulators(x, w, 7, &seen, padded(1)).unwrap();
        assert_eq!(integers(sums), [1000 * (8 * 7 + 9)]);
        let x = float_tensor::<4>(&[2.0], &[1, 1, 1, 1], &device());
        let w = float_tensor::<4>(&[0.0; 9], &[1, 1, 3, 3], &device());
        let (a, b) = (per_tensor(1.0, 7), per_tensor(1.0, 0));
        let y = ops::conv2d(x, w, None, &a, &b, &seen, padded(1)).unwrap();
        assert_eq!(values(y), [1000.0 * (8.0 * 7.0 + 9.0)]);
    }
}

#[test]
fn per_channel_symmetric_scales_count() {
    let codes = CodeRange::new(-127, 127).unwrap();
    for multiplier in exact() {
        let scales = [1.0, 0.5, 0.125];
        let quantizer =
            |axis| CodeQuantizer::per_channel(&scales, &[0; 3], codes, axis, &device()).unwrap();
        let a = per_tensor(1.0, 0);
        // 0.4 rounds to 0 with the first scale, to 0.5 with the second and to 0.375 with the third.
        let x = float_tensor::<2>(&[2.0], &[1, 1], &device());
        let w = float_tensor::<2>(&[0.4; 3], &[1, 3], &device());
        let y = ops::linear(x, w, None, &a, &quantizer(1), &multiplier).unwrap();
        assert_eq!(values(y), [0.0, 1.0, 0.75]);
        let x = float_tensor::<4>(&[2.0], &[1, 1, 1, 1], &device());
        let w = float_tensor::<4>(&[0.4; 3], &[3, 1, 1, 1], &device());
        let y = ops::conv2d(x, w, None, &a, &quantizer(0), &multiplier, padded(0)).unwrap();
        assert_eq!(values(y), [0.0, 1.0, 0.75]);
    }
}

/// The activation is the first operand in linear layers and convolutions, under tables and HTP models.
#[test]
fn the_activation_is_always_the_first_operand() {
    let first = table("twice the activation's lowest bit", |a, _| {
        2 * a.rem_euclid(2)
    });
    let (x, w) = (3, 4);
    for first in planned_and_looked_up(first) {
        let linear = ops::matmul_accumulators(
            int_tensor::<2>(&[x], &[1, 1], &device()),
            int_tensor::<2>(&[w], &[1, 1], &device()),
            &first,
        );
        let conv2d = ops::conv2d_accumulators(
            int_tensor::<4>(&[x], &[1, 1, 1, 1], &device()),
            int_tensor::<4>(&[w], &[1, 1, 1, 1], &device()),
            0,
            &first,
            padded(0),
        );
        assert_eq!(integers(linear.unwrap()), [2]);
        assert_eq!(integers(conv2d.unwrap()), [2]);
    }

    // mul8s_1KVM is a * b - (a mod 2): asymmetric, and its HTP model reproduces it.
    let name = "mul8s_1KVM";
    let circuit = evoapprox::multiplier(name).unwrap();
    assert_ne!(circuit.product(x, w), circuit.product(w, x));
    let expected = circuit.product(x, w).unwrap() as f32;
    let one = per_tensor(1.0, 0);
    let [planned, looked_up] = planned_and_looked_up(PreparedMultiplier::new(circuit));
    let model = PreparedMultiplier::htp(evoapprox::htp(name).unwrap());
    for multiplier in [planned, looked_up, model] {
        let (x, w) = (x as f32, w as f32);
        let y = ops::linear(
            float_tensor::<2>(&[x], &[1, 1], &device()),
            float_tensor::<2>(&[w], &[1, 1], &device()),
            None,
            &one,
            &one,
            &multiplier,
        );
        assert_eq!(values(y.unwrap()), [expected]);
        let y = ops::conv2d(
            float_tensor::<4>(&[x], &[1, 1, 1, 1], &device()),
            float_tensor::<4>(&[w], &[1, 1, 1, 1], &device()),
            None,
            &one,
            &one,
            &multiplier,
            padded(0),
        );
        assert_eq!(values(y.unwrap()), [expected]);
    }
}

/// Whatever a kernel fills its blocks up with adds nothing, for sizes on all sides of any block size.
#[rstest]
fn filler_lanes_add_nothing(
    #[values(1, 2, 3, 5, 8, 9, 31, 33, 64, 65)] inner: usize,
    #[values(1, 3, 7, 16, 17, 33, 65)] columns: usize,
    #[values(1, 2, 5, 33)] rows: usize,
) {
    let expected = vec![1000 * inner as i64; rows * columns];
    for constant in planned_and_looked_up(table("always 1000", |_, _| 1000)) {
        let codes = |shape: &[usize]| vec![0; shape.iter().product()];
        let [x, w] = [[rows, inner], [inner, columns]]
            .map(|shape| int_tensor::<2>(&codes(&shape), &shape, &device()));
        let sums = ops::matmul_accumulators(x, w, &constant).unwrap();
        assert_eq!(integers(sums), expected);
        let [x, w] = [[1, inner, 1, rows], [columns, inner, 1, 1]]
            .map(|shape| int_tensor::<4>(&codes(&shape), &shape, &device()));
        let sums = ops::conv2d_accumulators(x, w, 0, &constant, padded(0)).unwrap();
        assert_eq!(integers(sums), expected);
    }
}

/// An HTP term without an activation counts at the border as anywhere else: the model gives its table's result there.
#[rstest]
fn htp_terms_without_an_activation_count_at_the_border(
    #[values("mul8s_1L2J", "mul8s_1L2L", "mul8s_1L2N")] name: &str,
    #[values(0, -128, 127, 3)] zero_point: i32,
) {
    let mut random = Random::new(31);
    let x = float_tensor::<4>(&random.reals(2 * 25, -9.0, 9.0), &[1, 2, 5, 5], &device());
    let w = float_tensor::<4>(&random.reals(3 * 18, -9.0, 9.0), &[3, 2, 3, 3], &device());
    let (a, b) = (per_tensor(0.1, zero_point), per_tensor(0.1, 0));
    let run = |multiplier| {
        let multiplier = &multiplier;
        let y = ops::conv2d(x.clone(), w.clone(), None, &a, &b, multiplier, padded(2));
        values(y.unwrap())
    };
    let model = run(PreparedMultiplier::htp(evoapprox::htp(name).unwrap()));
    let circuit = PreparedMultiplier::new(evoapprox::multiplier(name).unwrap());
    for circuit in planned_and_looked_up(circuit) {
        assert_eq!(run(circuit), model);
    }
}

/// Rounding is half to even, and its result is used.
#[test]
fn values_are_rounded() {
    let x = [
        0.49, 0.5, 0.51, 1.5, 2.5, -0.5, -1.5, -2.51, 126.5, 127.49, -128.5,
    ];
    let expected = [
        0.0, 0.0, 1.0, 2.0, 2.0, 0.0, -2.0, -3.0, 126.0, 127.0, -128.0,
    ];
    let quantizer = per_tensor(1.0, 0);
    for multiplier in exact() {
        let column = float_tensor::<2>(&x, &[x.len(), 1], &device());
        let one = float_tensor::<2>(&[1.0], &[1, 1], &device());
        let y = ops::matmul(column, one, &quantizer, &quantizer, &multiplier).unwrap();
        assert_eq!(values(y), expected);
    }
    let codes = quantizer.codes(float_tensor::<1>(&x, &[x.len()], &device()));
    let found: Vec<f32> = integers(codes)
        .into_iter()
        .map(|code| code as f32)
        .collect();
    assert_eq!(found, expected);
}

/// -128 has an entry of its own, in both operands.
#[test]
fn the_smallest_code_has_its_own_entry() {
    let circuit = evoapprox::multiplier("mul8s_1KVA").unwrap();
    let others: Vec<i32> = INT8.codes().collect();
    let smallest = int_tensor::<2>(&[-128], &[1, 1], &device());
    let row = int_tensor::<2>(&others, &[1, 256], &device());
    let column = int_tensor::<2>(&others, &[256, 1], &device());
    let products = |product: fn(&Multiplier, i32) -> Option<i64>| -> Vec<i64> {
        let products = others
            .iter()
            .map(|other| product(&circuit, *other).unwrap());
        products.collect()
    };
    for prepared in planned_and_looked_up(PreparedMultiplier::new(circuit.clone())) {
        let sums = ops::matmul_accumulators(smallest.clone(), row.clone(), &prepared).unwrap();
        let expected = products(|circuit, b| circuit.product(-128, b));
        assert_eq!(integers(sums), expected);
        let sums = ops::matmul_accumulators(column.clone(), smallest.clone(), &prepared).unwrap();
        let expected = products(|circuit, a| circuit.product(a, -128));
        assert_eq!(integers(sums), expected);
    }
    for multiplier in exact() {
        let x = float_tensor::<2>(&[-128.0], &[1, 1], &device());
        let one = per_tensor(1.0, 0);
        let y = ops::matmul(x.clone(), x, &one, &one, &multiplier).unwrap();
        assert_eq!(values(y), [16_384.0]);
    }
}

/// Linear layers take any number of leading sizes, with a bias and without.
#[rstest]
fn linear_layers_take_any_rank(#[values(true, false)] with_bias: bool) {
    let mut random = Random::new(32);
    let x = random.reals(24 * 5, -9.0, 9.0);
    let w = float_tensor::<2>(&random.reals(5 * 3, -9.0, 9.0), &[5, 3], &device());
    let bias = with_bias.then(|| float_tensor::<1>(&[0.5, -1.0, 100.0], &[3], &device()));
    let (q, m) = (
        per_tensor(0.1, 3),
        PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J").unwrap()),
    );
    fn run<const D: usize>(
        x: &[f32],
        shape: [usize; D],
        w: &Tensor<2>,
        bias: &Option<Tensor<1>>,
        q: &CodeQuantizer,
        m: &PreparedMultiplier,
    ) -> Vec<f32> {
        let x = float_tensor::<D>(x, &shape, &device());
        let y = ops::linear(x, w.clone(), bias.clone(), q, q, m).unwrap();
        let mut expected = shape;
        expected[D - 1] = 3;
        assert_eq!(y.dims(), expected);
        values(y)
    }
    let two = run(&x, [24, 5], &w, &bias, &q, &m);
    assert_eq!(run(&x, [4, 6, 5], &w, &bias, &q, &m), two);
    assert_eq!(run(&x, [2, 3, 4, 5], &w, &bias, &q, &m), two);
    assert_eq!(run(&x, [2, 3, 2, 2, 5], &w, &bias, &q, &m), two);
    assert_eq!(run(&x[..5], [5], &w, &bias, &q, &m), two[..3]);

    let without = run(&x, [24, 5], &w, &None, &q, &m);
    let shift = if with_bias {
        [0.5, -1.0, 100.0]
    } else {
        [0.0; 3]
    };
    let expected: Vec<f32> = without
        .iter()
        .enumerate()
        .map(|(index, value)| value + shift[index % 3])
        .collect();
    assert_eq!(two, expected);
}

/// The bias of a convolution is added once to every output of its channel.
#[test]
fn convolution_bias_is_added() {
    let mut random = Random::new(33);
    let x = float_tensor::<4>(&random.reals(2 * 16, -9.0, 9.0), &[2, 1, 4, 4], &device());
    let w = float_tensor::<4>(&random.reals(3 * 9, -9.0, 9.0), &[3, 1, 3, 3], &device());
    let bias = [0.5, -1.0, 100.0];
    let q = per_tensor(0.1, 0);
    for multiplier in exact() {
        let run = |bias| {
            let (x, w) = (x.clone(), w.clone());
            values(ops::conv2d(x, w, bias, &q, &q, &multiplier, padded(1)).unwrap())
        };
        let with = run(Some(float_tensor::<1>(&bias, &[3], &device())));
        let expected: Vec<f32> = run(None)
            .iter()
            .enumerate()
            .map(|(index, value)| value + bias[index / 16 % 3])
            .collect();
        assert_eq!(with, expected);
    }
}
