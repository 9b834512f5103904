//! Every error of the operators: the variant, and a text that says what was wrong. And a NaN never becomes a number.

use approx_cpu::KernelError;
use approx_multiplier::{Multiplier, OperandFormat, ProductTable, evoapprox};
use burn::prelude::*;
use burn::tensor::ops::ConvOptions;
use burn_approx::quantization::{CodeQuantizer, CodeRange};
use burn_approx::{ApproxError, PreparedMultiplier, ops};
use burn_approx_tests::layer::{float_tensor, integers, values};
use rstest::rstest;

use crate::device;

const INT8: OperandFormat = OperandFormat::INT8;

fn quantizer() -> CodeQuantizer {
    CodeQuantizer::per_tensor(0.1, 0, CodeRange::full(INT8), &device()).unwrap()
}

fn channels(count: usize, axis: usize) -> CodeQuantizer {
    let (scales, zeros) = (vec![0.1; count], vec![0; count]);
    CodeQuantizer::per_channel(&scales, &zeros, CodeRange::full(INT8), axis, &device()).unwrap()
}

fn table() -> PreparedMultiplier {
    PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J").unwrap())
}

fn ones<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::ones(shape, &device())
}

fn plain() -> ConvOptions<2> {
    ConvOptions::new([1, 1], [0, 0], [1, 1], 1)
}

#[track_caller]
fn shape_error<T>(result: Result<T, ApproxError>, words: &[&str]) {
    match result {
        Err(error @ ApproxError::Shape { .. }) => says(&error, words),
        Err(error) => panic!("another error: {error:?}"),
        Ok(_) => panic!("no error"),
    }
}

#[track_caller]
fn says(error: &ApproxError, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{text}` does not say `{word}`");
    }
}

#[test]
fn matmul_refuses_shapes_that_do_not_fit() {
    let (q, m) = (quantizer(), table());
    let inner = ops::matmul(ones([2, 3]), ones([4, 5]), &q, &q, &m);
    shape_error(inner, &["matmul", "inner sizes 3 and 4"]);
    let leading = ops::matmul(ones([2, 2, 3]), ones([3, 3, 5]), &q, &q, &m);
    shape_error(leading, &["leading sizes 2 and 3"]);
    let vectors = ops::matmul(ones([3]), ones([3]), &q, &q, &m);
    shape_error(vectors, &["rank 2 or more"]);
    let accumulators = ops::matmul_accumulators(
        Tensor::<2, Int>::ones([2, 3], &device()),
        Tensor::<2, Int>::ones([4, 5], &device()),
        &m,
    );
    shape_error(accumulators, &["inner sizes 3 and 4"]);
}

#[test]
fn linear_refuses_inputs_and_biases_of_other_sizes() {
    let (q, m) = (quantizer(), table());
    let inputs = ops::linear(ones([2, 2, 3]), ones([4, 5]), None, &q, &q, &m);
    shape_error(inputs, &["linear", "takes 4 inputs", "[2, 2, 3]"]);
    let bias = ops::linear(ones([2, 4]), ones([4, 5]), Some(ones([4])), &q, &q, &m);
    shape_error(bias, &["bias has 4 values for 5 outputs"]);
}

#[test]
fn conv2d_refuses_channels_and_biases_that_do_not_fit() {
    let (q, m) = (quantizer(), table());
    let channels = ops::conv2d(
        ones([1, 3, 5, 5]),
        ones([4, 2, 3, 3]),
        None,
        &q,
        &q,
        &m,
        plain(),
    );
    shape_error(channels, &["conv2d", "takes 2 input channels", "has 3"]);
    let x = ones([1, 2, 5, 5]);
    let bias = ops::conv2d(x, ones([4, 2, 3, 3]), Some(ones([1])), &q, &q, &m, plain());
    shape_error(bias, &["bias has 1 values for 4 outputs"]);
    let grouped = ConvOptions::new([1, 1], [0, 0], [1, 1], 3);
    let x = ones([1, 4, 5, 5]);
    let groups = ops::conv2d(x, ones([3, 1, 3, 3]), None, &q, &q, &m, grouped);
    shape_error(groups, &["3 groups", "has 4"]);
}

#[test]
fn conv2d_refuses_geometries_that_are_none() {
    let (q, m) = (quantizer(), table());
    let conv = |x: Tensor<4>, w: Tensor<4>, options: ConvOptions<2>| match ops::conv2d(
        x, w, None, &q, &q, &m, options,
    ) {
        Err(ApproxError::Kernel(error)) => error,
        Err(error) => panic!("another error: {error:?}"),
        Ok(_) => panic!("no error"),
    };
    let two_groups = ConvOptions::new([1, 1], [0, 0], [1, 1], 2);
    let error = conv(ones([1, 4, 5, 5]), ones([3, 2, 3, 3]), two_groups);
    assert!(matches!(
        error,
        KernelError::Groups {
            groups: 2,
            channels: 3,
            side: "output"
        }
    ));
    let padded = ConvOptions::new_with_padding([1, 1], [(1, 0), (0, 0)], [1, 2], 1);
    let error = conv(ones([1, 1, 3, 4]), ones([1, 1, 4, 3]), padded);
    assert!(matches!(
        error,
        KernelError::KernelTooLarge {
            side: "width",
            kernel: 5,
            input: 4
        }
    ));
    // The fields of Burn's options are public, so zeros can arrive here.
    let mut zero = plain();
    zero.stride = [1, 0];
    let error = conv(ones([1, 1, 3, 3]), ones([1, 1, 3, 3]), zero);
    assert!(matches!(
        error,
        KernelError::Zero {
            parameter: "stride"
        }
    ));
    let mut zero = plain();
    zero.dilation = [0, 1];
    let error = conv(ones([1, 1, 3, 3]), ones([1, 1, 3, 3]), zero);
    assert!(matches!(
        error,
        KernelError::Zero {
            parameter: "dilation"
        }
    ));
    let mut huge = plain();
    huge.padding = [(usize::MAX, 1), (0, 0)];
    let error = conv(ones([1, 1, 3, 3]), ones([1, 1, 3, 3]), huge);
    assert!(matches!(error, KernelError::Overflow { .. }));
}

#[test]
fn no_groups_are_an_error() {
    let (q, m) = (quantizer(), table());
    let mut none = plain();
    none.groups = 0;
    let result = ops::conv2d(
        ones([1, 1, 3, 3]),
        ones([1, 1, 3, 3]),
        None,
        &q,
        &q,
        &m,
        none,
    );
    assert!(result.is_err());
}

#[test]
fn quantisers_have_their_channels_in_the_right_place() {
    let (q, m) = (quantizer(), table());
    let activation = ops::matmul(ones([2, 3]), ones([3, 5]), &channels(3, 1), &q, &m);
    shape_error(activation, &["activation", "one scale per tensor"]);
    let x = || ones([1, 2, 5, 5]);
    let w = || ones([4, 2, 3, 3]);
    let activation = ops::conv2d(x(), w(), None, &channels(2, 1), &q, &m, plain());
    shape_error(activation, &["activation", "axis 1"]);
    for weight in [channels(3, 0), channels(4, 1), channels(1, 1)] {
        let axis = ops::linear(ones([2, 3]), ones([3, 5]), None, &q, &weight, &m);
        shape_error(axis, &["5 along axis 1"]);
    }
    for weight in [channels(2, 1), channels(2, 0), channels(3, 2)] {
        let axis = ops::conv2d(x(), w(), None, &q, &weight, &m, plain());
        shape_error(axis, &["4 along axis 0"]);
    }
}

#[rstest]
#[case(OperandFormat::signed(4).unwrap(), OperandFormat::INT8, "activation")]
#[case(OperandFormat::INT8, OperandFormat::UINT8, "weight")]
#[case(OperandFormat::UINT8, OperandFormat::UINT8, "activation")]
fn codes_outside_the_multiplier(
    #[case] activation: OperandFormat,
    #[case] weight: OperandFormat,
    #[case] expected: &str,
) {
    let q = quantizer();
    let table = Multiplier::from_fn("narrow", activation, weight, |a, b| a * b).unwrap();
    for multiplier in [table, Multiplier::exact(activation, weight)] {
        let m = PreparedMultiplier::new(multiplier);
        let results = [
            ops::matmul(ones([2, 3]), ones([3, 5]), &q, &q, &m).err(),
            ops::linear(ones([2, 3]), ones([3, 5]), None, &q, &q, &m).err(),
            ops::conv2d(
                ones([1, 1, 3, 3]),
                ones([1, 1, 3, 3]),
                None,
                &q,
                &q,
                &m,
                plain(),
            )
            .err(),
        ];
        for result in results {
            match result {
                Some(error @ ApproxError::CodesOutsideMultiplier { operand, .. }) => {
                    assert_eq!(operand.name(), expected);
                    says(&error, &["-128..=127", m.multiplier().name()]);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn padding_codes_are_the_multipliers() {
    let x = Tensor::<4, Int>::ones([1, 1, 3, 3], &device());
    let w = Tensor::<4, Int>::ones([1, 1, 3, 3], &device());
    for code in [128, -129] {
        let result = ops::conv2d_accumulators(x.clone(), w.clone(), code, &table(), plain());
        match result {
            Err(error @ ApproxError::InvalidPaddingCode { .. }) => {
                says(&error, &["padding", &code.to_string(), "-128..=127"]);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[rstest]
#[case("activation", 128, 1)]
#[case("weight", 1, -129)]
fn accumulators_of_codes_that_are_none(#[case] operand: &str, #[case] x: i32, #[case] w: i32) {
    let [x, w] = [x, w].map(|code| Tensor::<2, Int>::from_ints([[code]], &device()));
    let error = ops::matmul_accumulators(x, w, &table()).unwrap_err();
    assert!(
        matches!(error, ApproxError::CodeOutsideFormat { .. }),
        "{error}"
    );
    for part in [operand, "8-bit signed", "-128..=127"] {
        assert!(error.to_string().contains(part), "{part} in: {error}");
    }
}

#[test]
fn htp_models_have_no_integer_accumulators() {
    let model = PreparedMultiplier::htp(evoapprox::htp("mul8s_1KV8").unwrap());
    let codes = || Tensor::<2, Int>::ones([1, 1], &device());
    let matmul = ops::matmul_accumulators(codes(), codes(), &model);
    shape_error(matmul, &["mul8s_1KV8", "not integers"]);
    let codes = || Tensor::<4, Int>::ones([1, 1, 3, 3], &device());
    let conv2d = ops::conv2d_accumulators(codes(), codes(), 0, &model, plain());
    shape_error(conv2d, &["mul8s_1KV8", "not integers"]);
}

/// No kernel looks up tables of more than 8 bits: they are multiplied by their factors, and one that has too many is
/// refused.
#[test]
fn wide_tables_take_factors_or_are_refused() {
    let wide = OperandFormat::signed(9).unwrap();
    let q = CodeQuantizer::per_tensor(1.0, 0, CodeRange::full(INT8), &device()).unwrap();
    let low_rank = Multiplier::from_fn("nine bits", wide, INT8, |a, b| a * b + 1).unwrap();
    let y = ops::matmul(ones([2, 3]), ones([3, 5]), &q, &q, &low_rank.into()).unwrap();
    assert_eq!(values(y), [6.0; 10]);

    let noise = ProductTable::from_fn(wide, INT8, |a, b| {
        let mixed = ((a * 40_503) ^ (b * 2_654_435_761)) % 65_537;
        mixed * mixed % 1009
    });
    let noise = Multiplier::from_table("noise", noise.unwrap());
    match ops::matmul(ones([2, 3]), ones([3, 5]), &q, &q, &noise.into()) {
        Err(error @ ApproxError::ImpossiblePlan { .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("noise") && text.contains("no other plan"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// However wide an exact multiplier is, 8-bit codes have exact products, also where floats are not exact any more. Its
/// integer operator takes codes of its own width, for which there is no table.
#[rstest]
fn exact_wide_multipliers_do_not_panic(#[values(9, 12, 16)] bits: u8) {
    let wide = OperandFormat::signed(bits).unwrap();
    let (q, m) = (
        CodeQuantizer::per_tensor(1.0, 0, CodeRange::full(INT8), &device()).unwrap(),
        PreparedMultiplier::new(Multiplier::exact(wide, wide)),
    );
    for inner in [3, 3000] {
        let (x, w) = (ones([1, inner]) * 127.0, ones([inner, 1]) * -127.0);
        let y = ops::matmul(x, w, &q, &q, &m).unwrap();
        assert_eq!(values(y), [-127.0 * 127.0 * inner as f32]);
    }
    let largest = i64::from(wide.min_code());
    let codes = || Tensor::<2, Int>::from_ints([[largest]], &device());
    let sums = ops::matmul_accumulators(codes(), codes(), &m).unwrap();
    assert_eq!(integers(sums), [largest * largest]);
}

#[rstest]
#[case(&[0.0], &[0])]
#[case(&[-1.0], &[0])]
#[case(&[f32::NAN], &[0])]
#[case(&[f32::INFINITY], &[0])]
#[case(&[1.0], &[128])]
#[case(&[1.0], &[-129])]
#[case(&[1.0, 1.0], &[0])]
#[case(&[], &[])]
fn quantisers_are_checked(#[case] scales: &[f32], #[case] zeros: &[i32]) {
    let result = CodeQuantizer::per_channel(scales, zeros, CodeRange::full(INT8), 0, &device());
    assert!(matches!(result, Err(ApproxError::InvalidQuantizer { .. })));
}

/// A quantiser per channel takes values that have its channels.
#[test]
fn quantisers_must_fit_the_values() {
    let own = channels(3, 1);
    let fitting = own.codes(ones([2, 3]));
    assert_eq!(integers(fitting), [10; 6]);
    for shape in [[3, 2], [3, 1], [3, 4]] {
        let values: Tensor<2> = ones(shape);
        let text = format!("{shape:?}");
        let parts = ["3 scales along axis 1", text.as_str()];
        shape_error(own.try_codes(values.clone()), &parts);
        shape_error(own.try_fake_quantize(values), &parts);
    }
    let vector: Tensor<1> = ones([3]);
    shape_error(own.try_codes(vector), &["axis 1", "[3]"]);
}

#[rstest]
#[case(1, 5)]
#[case(-5, -1)]
#[case(0, 0)]
#[case(5, -5)]
fn code_ranges_are_checked(#[case] low: i32, #[case] high: i32) {
    let result = CodeRange::new(low, high);
    assert!(matches!(result, Err(ApproxError::InvalidCodeRange { .. })));
}

/// The multipliers of every execution path.
fn every_path() -> [(&'static str, PreparedMultiplier); 3] {
    [
        (
            "exact",
            PreparedMultiplier::new(Multiplier::exact(INT8, INT8)),
        ),
        ("table", table()),
        (
            "HTP",
            PreparedMultiplier::htp(evoapprox::htp("mul8s_1KVP").unwrap()),
        ),
    ]
}

/// Every output that a NaN enters is NaN, whether it came in the activation or in the weight, deep layers included.
#[rstest]
fn a_nan_never_becomes_a_number(
    #[values(true, false)] in_activation: bool,
    #[values(4, 4000)] inner: usize,
) {
    let q = CodeQuantizer::per_tensor(0.01, 0, CodeRange::full(INT8), &device()).unwrap();
    let poisoned = |count: usize, index: usize| {
        let mut values = vec![1.27; count];
        values[index] = f32::NAN;
        values
    };
    let clean = |count: usize| vec![1.27; count];
    for (path, multiplier) in every_path() {
        // Row 1 of the activation or column 2 of the weight.
        let (x, w) = if in_activation {
            (poisoned(3 * inner, inner + 1), clean(inner * 4))
        } else {
            (clean(3 * inner), poisoned(inner * 4, 4 + 2))
        };
        let x = float_tensor::<2>(&x, &[3, inner], &device());
        let w = float_tensor::<2>(&w, &[inner, 4], &device());
        let y = values(ops::linear(x, w, None, &q, &q, &multiplier).unwrap());
        for (index, value) in y.iter().enumerate() {
            let touched = if in_activation {
                index / 4 == 1
            } else {
                index % 4 == 2
            };
            assert!(
                !touched || value.is_nan(),
                "{path}: output {index} is {value}"
            );
        }

        let side = if inner > 100 { 20 } else { 2 };
        let group = inner / (side * side);
        let (x, w) = if in_activation {
            (poisoned(2 * inner, inner + 1), clean(3 * inner))
        } else {
            (clean(2 * inner), poisoned(3 * inner, inner + 1))
        };
        let x = float_tensor::<4>(&x, &[2, group, side, side], &device());
        let w = float_tensor::<4>(&w, &[3, group, side, side], &device());
        let y = values(ops::conv2d(x, w, None, &q, &q, &multiplier, plain()).unwrap());
        assert_eq!(y.len(), 6);
        for (index, value) in y.iter().enumerate() {
            let touched = if in_activation {
                index / 3 == 1
            } else {
                index % 3 == 1
            };
            assert!(
                !touched || value.is_nan(),
                "{path}: output {index} is {value}"
            );
        }
    }
}
