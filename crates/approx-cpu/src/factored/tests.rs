//! Factored products against loops that read like the formula.

use proptest::prelude::*;

use super::*;
use crate::Padding2d;
use crate::accumulators::Accumulators;
use crate::arch::InstructionSet;
use crate::error::KernelError;
use crate::operand::OperandWidth;
use crate::operand::ProductQuantizers;
use crate::quantize::ChannelLayout;
use crate::quantize::ChannelQuantizer;
use crate::rescale::ChannelRescale;
use crate::rescale::{rescale_planes, rescale_rows};
use crate::shapes::Conv2dShape;
use crate::shapes::ConvTranspose2dShape;
use crate::tests::{
    Random, any_quantizer, convolution, transposed_convolution, transposed_reference, visit_taps,
};

/// What the factors of a term look like.
#[derive(Debug, Clone, Copy)]
enum Factor {
    Small,
    Signed8,
    Unsigned8,
    /// Nine bits, or a few odd values far from zero.
    Offset,
    Signed12,
    /// Up to 65535 on either side of zero.
    Wide,
    /// Far beyond what any element type holds.
    Huge,
    Constant,
    /// The code itself.
    Code,
    Zero,
}

const FACTORS: [Factor; 10] = [
    Factor::Small,
    Factor::Signed8,
    Factor::Unsigned8,
    Factor::Offset,
    Factor::Signed12,
    Factor::Wide,
    Factor::Huge,
    Factor::Constant,
    Factor::Code,
    Factor::Zero,
];

impl Factor {
    fn entries(self, random: &mut Random, operand: OperandWidth) -> Vec<i64> {
        let constant = random.next() as i64 % 200 - 100;
        (0..operand.patterns())
            .map(|pattern| {
                let word = random.next() as i64;
                match self {
                    Factor::Small => word % 7 - 3,
                    Factor::Signed8 => i64::from(word as i8),
                    Factor::Unsigned8 => i64::from(word as u8),
                    Factor::Offset => 6 * (word % 40) + 1001,
                    Factor::Signed12 => word % 4096 - 2048,
                    Factor::Wide => [65_535, -65_535, word % 65_536, -(word % 65_536)]
                        [(word >> 20) as usize % 4],
                    Factor::Huge => word % (1 << 27) - (1 << 26),
                    Factor::Constant => constant,
                    Factor::Code => i64::from(operand.code(pattern as u16)),
                    Factor::Zero => 0,
                }
            })
            .collect()
    }
}

fn terms(random: &mut Random, operands: [OperandWidth; 2], kinds: &[Kind]) -> Vec<FactorTerm> {
    kinds
        .iter()
        .map(|&(activation, weight, scale)| FactorTerm {
            scale,
            activation: activation.entries(random, operands[0]),
            weight: weight.entries(random, operands[1]),
        })
        .collect()
}

/// Random patterns, or only the ones at the ends of the codes.
fn patterns(random: &mut Random, operand: OperandWidth, count: usize, extreme: bool) -> Vec<u16> {
    let half = 1 << (operand.bits - 1);
    (0..count)
        .map(|_| {
            let word = random.next() as u16;
            if extreme {
                [0, 1, half - 1, half, operand.mask()][usize::from(word) % 5]
            } else {
                word
            }
        })
        .collect()
}

/// `sum over t of scale_t * activation_t[a] * weight_t[w]`.
fn product(terms: &[FactorTerm], operands: [OperandWidth; 2], a: u16, w: u16) -> i64 {
    let (a, w) = (a & operands[0].mask(), w & operands[1].mask());
    terms
        .iter()
        .map(|term| term.scale * term.activation[usize::from(a)] * term.weight[usize::from(w)])
        .sum()
}

/// A quantiser that yields every code of the operand, whatever its zero point.
fn quantizer(random: &mut Random, operand: OperandWidth) -> ChannelQuantizer {
    let low = if operand.signed {
        -(1 << (operand.bits - 1))
    } else {
        0
    };
    let zero_point = low + (random.next() % operand.patterns() as u64) as i32;
    ChannelQuantizer {
        scale: 0.25,
        reciprocal: 4.0,
        zero_point: zero_point as f32,
        low: low as f32,
        high: (low + operand.patterns() as i32 - 1) as f32,
    }
}

/// Values that quantise to the given patterns.
fn values(quantizer: ChannelQuantizer, operand: OperandWidth, patterns: &[u16]) -> Vec<f32> {
    patterns
        .iter()
        .map(|&pattern| {
            let steps = operand.code(pattern) as f32 - quantizer.zero_point;
            // Neither in the middle between two codes nor exactly on one.
            steps * quantizer.scale + 0.25 * quantizer.scale
        })
        .collect()
}

fn channels(random: &mut Random, count: usize) -> Vec<ChannelRescale> {
    let corrected = random.next().is_multiple_of(2);
    (0..count)
        .map(|_| ChannelRescale {
            scale: (random.next() % 1000) as f32 * 1e-4,
            weight_zero_point: if corrected {
                random.next() as i64 % 9 - 4
            } else {
                0
            },
            constant: random.next() as i64 % 100_000 - 50_000,
        })
        .collect()
}

/// One problem's operands in every form that they may come in.
struct Forms {
    activations: Vec<u16>,
    narrow: Option<Vec<u8>>,
    quantizer: ChannelQuantizer,
    values: Vec<f32>,
}

impl Forms {
    fn new(random: &mut Random, operand: OperandWidth, activations: Vec<u16>) -> Self {
        let quantizer = quantizer(random, operand);
        Forms {
            values: values(quantizer, operand, &activations),
            narrow: (operand.bits <= 8).then(|| activations.iter().map(|&p| p as u8).collect()),
            activations,
            quantizer,
        }
    }

    fn each(&self) -> impl Iterator<Item = Activations<'_>> {
        [
            Some(Activations::Wide(&self.activations)),
            self.narrow.as_deref().map(Activations::Narrow),
            Some(Activations::Values {
                values: &self.values,
                quantizer: self.quantizer,
            }),
        ]
        .into_iter()
        .flatten()
    }
}

/// A multiplier, and whether it meets codes at the ends of their ranges only.
struct Case {
    operands: [OperandWidth; 2],
    terms: Vec<FactorTerm>,
    extreme: bool,
}

impl std::fmt::Debug for Case {
    /// Without the factors, which follow from the seed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?}, {} terms, extreme: {}",
            self.operands,
            self.terms.len(),
            self.extreme
        )
    }
}

fn check_matmul(random: &mut Random, case: &Case, rows: usize, inner: usize, columns: usize) {
    let Case {
        operands,
        terms,
        extreme,
    } = case;
    let activations = patterns(random, operands[0], rows * inner, *extreme);
    let weights = patterns(random, operands[1], inner * columns, *extreme);
    let channels = channels(random, columns);
    let forms = Forms::new(random, operands[0], activations);

    let mut sums = Vec::new();
    let mut codes = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            sums.push(
                (0..inner)
                    .map(|k| {
                        let a = forms.activations[row * inner + k];
                        product(terms, *operands, a, weights[k * columns + column])
                    })
                    .sum(),
            );
        }
        codes.push(
            (0..inner)
                .map(|k| i64::from(operands[0].code(forms.activations[row * inner + k])))
                .sum(),
        );
    }
    let codes = (columns > 0).then_some(codes.as_slice());
    let rescaled = rescale_rows(&Accumulators::I64(sums.clone()), &channels, codes);
    let product = FactoredProduct::new(operands[0], operands[1], terms).unwrap();
    let packed = product
        .pack_matmul(Weights::Wide(&weights), inner, columns)
        .unwrap();
    for &set in InstructionSet::available() {
        for activations in forms.each() {
            let found = product
                .matmul_with(set, activations, rows, &packed)
                .unwrap();
            let shape = (rows, inner, columns);
            assert_eq!(found.to_i64(), sums, "{set:?} {shape:?}");
            let found = product
                .matmul_rescaled_with(set, activations, rows, &packed, &channels)
                .unwrap();
            assert_eq!(found, rescaled, "{set:?} {shape:?} {channels:?}");
        }
    }
}

fn check_conv2d(random: &mut Random, case: &Case, shape: Conv2dShape) {
    let Case {
        operands,
        terms,
        extreme,
    } = case;
    let activations = patterns(random, operands[0], shape.input_length(), *extreme);
    let weights = patterns(
        random,
        operands[1],
        shape.out_channels * shape.inner(),
        *extreme,
    );
    let padding = random.next() as u16;
    let channels = channels(random, shape.out_channels);
    let forms = Forms::new(random, operands[0], activations);

    let plane: usize = shape.output().iter().product();
    let mut sums = vec![0; shape.batch * shape.out_channels * plane];
    visit_taps(shape, &forms.activations, |output, activation, weight| {
        sums[output] += product(
            terms,
            *operands,
            activation.unwrap_or(padding),
            weights[weight],
        );
    });
    let mut windows = vec![0; shape.batch * shape.groups * plane];
    let one_per_group = Conv2dShape {
        out_channels: shape.groups,
        ..shape
    };
    visit_taps(
        one_per_group,
        &forms.activations,
        |window, activation, _| {
            windows[window] += i64::from(operands[0].code(activation.unwrap_or(padding)));
        },
    );
    let rescaled = rescale_planes(
        &Accumulators::I64(sums.clone()),
        &channels,
        Some(&windows),
        shape,
    );
    let product = FactoredProduct::new(operands[0], operands[1], terms).unwrap();
    let packed = product
        .pack_conv2d(
            Weights::Wide(&weights),
            shape.out_channels,
            shape.in_channels / shape.groups,
            shape.groups,
            shape.kernel,
        )
        .unwrap();
    for &set in InstructionSet::available() {
        for activations in forms.each() {
            let found = product
                .conv2d_with(set, activations, padding, &packed, shape)
                .unwrap();
            assert_eq!(found.to_i64(), sums, "{set:?} {shape:?}");
            let found = product
                .conv2d_rescaled_with(set, activations, padding, &packed, shape, &channels)
                .unwrap();
            assert_eq!(found, rescaled, "{set:?} {shape:?} {channels:?}");
        }
    }
}

fn check_conv_transpose2d(
    random: &mut Random,
    case: &Case,
    shape: ConvTranspose2dShape,
    [exact_zero, zero_weights, per_channel]: [bool; 3],
) {
    let Case {
        operands,
        terms,
        extreme,
    } = case;
    let activations = patterns(random, operands[0], shape.input_length(), *extreme);
    let weights = patterns(random, operands[1], shape.weight_length(), *extreme);
    let mut forms = Forms::new(random, operands[0], activations);
    if exact_zero {
        forms.quantizer.zero_point = 0.0;
        forms.values = values(forms.quantizer, operands[0], &forms.activations);
    }
    let count = if per_channel {
        shape.out_channels.max(1)
    } else {
        1
    };
    let weight_quantizers: Vec<_> = (0..count)
        .map(|_| any_quantizer(random, operands[1], zero_weights))
        .collect();
    let quantizers = ProductQuantizers {
        activation: forms.quantizer,
        weights: &weight_quantizers,
    };
    let (sums, rescaled) = transposed_reference(
        shape,
        |activation, weight| {
            product(
                terms,
                *operands,
                forms.activations[activation],
                weights[weight],
            )
        },
        [
            &|index| operands[0].code(forms.activations[index]).into(),
            &|index| operands[1].code(weights[index]).into(),
        ],
        quantizers,
    );
    let product = FactoredProduct::new(operands[0], operands[1], terms).unwrap();
    let packed = product
        .pack_conv_transpose2d(Weights::Wide(&weights), shape)
        .unwrap();
    for &set in InstructionSet::available() {
        for activations in forms.each() {
            let found = product
                .conv_transpose2d_with(set, activations, &packed, shape)
                .unwrap();
            assert_eq!(found.to_i64(), sums, "{set:?} {shape:?}");
            let found = product
                .conv_transpose2d_rescaled_with(set, activations, &packed, quantizers, shape)
                .unwrap();
            assert_eq!(found, rescaled, "{set:?} {shape:?} {quantizers:?}");
        }
    }
}

fn operand() -> impl Strategy<Value = OperandWidth> {
    let bits = prop_oneof![4 => Just(8u8), 1 => Just(12), 1 => Just(16), 3 => 2..=16u8];
    (bits, any::<bool>()).prop_map(|(bits, signed)| OperandWidth { bits, signed })
}

type Kind = (Factor, Factor, i64);

fn case() -> impl Strategy<Value = (u64, Vec<Kind>, Case)> {
    let factor = || proptest::sample::select(&FACTORS);
    let scale = proptest::sample::select(&[1i64, -1, 2, 4, 3, -7, 256, 1 << 10]);
    let kinds = proptest::collection::vec((factor(), factor(), scale), 0..=5);
    (1u64.., [operand(), operand()], kinds, any::<bool>()).prop_map(
        |(seed, operands, kinds, extreme)| {
            // Two huge factors would leave 64 bits.
            let kinds: Vec<_> = kinds
                .into_iter()
                .map(|(activation, weight, scale)| match (activation, weight) {
                    (Factor::Huge, Factor::Huge) => (Factor::Huge, Factor::Small, scale),
                    _ => (activation, weight, scale),
                })
                .collect();
            let terms = terms(&mut Random(seed), operands, &kinds);
            let case = Case {
                operands,
                terms,
                extreme,
            };
            (seed, kinds, case)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn matmul_equals_the_formula(
        (seed, _, case) in case(),
        (rows, inner, columns) in (0..20usize, 0..40usize, 0..70usize),
    ) {
        check_matmul(&mut Random(seed), &case, rows, inner, columns);
    }

    #[test]
    fn conv2d_equals_the_formula((seed, _, case) in case(), shape in convolution()) {
        check_conv2d(&mut Random(seed), &case, shape);
    }

    #[test]
    fn conv_transpose2d_equals_the_formula(
        (seed, _, case) in case(),
        shape in transposed_convolution(),
        choices: [bool; 3],
    ) {
        check_conv_transpose2d(&mut Random(seed), &case, shape, choices);
    }
}

fn eight_bits(signed: bool) -> OperandWidth {
    OperandWidth { bits: 8, signed }
}

#[test]
fn long_sums_of_extreme_codes_are_exact() {
    let mut random = Random(5);
    let sixteen_bits = |signed| OperandWidth { bits: 16, signed };
    for (operands, kind) in [
        ([eight_bits(true); 2], (Factor::Code, Factor::Code, 1)),
        ([eight_bits(false); 2], (Factor::Code, Factor::Code, 1)),
        ([eight_bits(true); 2], (Factor::Wide, Factor::Wide, -3)),
        ([sixteen_bits(true); 2], (Factor::Code, Factor::Code, 1)),
        ([sixteen_bits(false); 2], (Factor::Code, Factor::Code, 1)),
        (
            [sixteen_bits(true), sixteen_bits(false)],
            (Factor::Wide, Factor::Wide, 1),
        ),
    ] {
        let terms = terms(&mut random, operands, &[kind]);
        let case = Case {
            operands,
            terms,
            extreme: true,
        };
        check_matmul(&mut random, &case, 3, 5003, 18);
        let shape = Conv2dShape {
            batch: 1,
            in_channels: 521,
            out_channels: 9,
            groups: 1,
            input: [3, 3],
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding2d::symmetric(1, 1),
        };
        check_conv2d(&mut random, &case, shape);
    }
}

#[test]
fn all_codes_at_one_end_are_exact() {
    let mut random = Random(9);
    for signed in [false, true] {
        for bits in [2, 8, 9, 12, 16] {
            let operands = [OperandWidth { bits, signed }; 2];
            let code = terms(&mut random, operands, &[(Factor::Code, Factor::Code, 1)]);
            let ends = [
                0,
                operands[0].mask(),
                operands[0].mask() / 2,
                operands[0].mask() / 2 + 1,
            ];
            let product = FactoredProduct::new(operands[0], operands[1], &code).unwrap();
            for &set in InstructionSet::available() {
                for activation in ends {
                    for weight in ends {
                        let inner = 4099;
                        let packed = product
                            .pack_matmul(Weights::Wide(&vec![weight; inner]), inner, 1)
                            .unwrap();
                        let activations = vec![activation; inner];
                        let activations = Activations::Wide(&activations);
                        let found = product.matmul_with(set, activations, 1, &packed);
                        let code = |pattern| i64::from(operands[0].code(pattern));
                        let expected = code(activation) * code(weight) * inner as i64;
                        assert_eq!(found.unwrap().to_i64(), [expected]);
                    }
                }
            }
        }
    }
}

#[test]
fn accumulators_are_as_wide_as_the_weights_demand() {
    let operands = [eight_bits(false); 2];
    let code = terms(
        &mut Random(1),
        operands,
        &[(Factor::Code, Factor::Code, 1 << 15)],
    );
    let product = FactoredProduct::new(operands[0], operands[1], &code).unwrap();
    for &set in InstructionSet::available() {
        let sums = |weights: &[u8]| {
            let packed = product
                .pack_matmul(Weights::Narrow(weights), weights.len(), 1)
                .unwrap();
            product
                .matmul_with(
                    set,
                    Activations::Narrow(&vec![1; weights.len()]),
                    1,
                    &packed,
                )
                .unwrap()
        };
        assert_eq!(sums(&[255, 1]), Accumulators::I32(vec![256 << 15]));
        assert_eq!(sums(&[255, 3]), Accumulators::I64(vec![258 << 15]));
    }
}

#[test]
fn no_terms_and_no_elements_are_products_too() {
    let mut random = Random(3);
    let operands = [eight_bits(true), eight_bits(false)];
    let case = Case {
        operands,
        terms: Vec::new(),
        extreme: false,
    };
    check_matmul(&mut random, &case, 3, 5, 7);
    let code = terms(
        &mut random,
        operands,
        &[(Factor::Code, Factor::Constant, 1)],
    );
    let case = Case {
        operands,
        terms: code,
        extreme: false,
    };
    for (rows, inner, columns) in [(0, 5, 7), (3, 0, 7), (3, 5, 0), (1, 1, 1)] {
        check_matmul(&mut random, &case, rows, inner, columns);
    }
}

#[test]
fn larger_shapes_cross_pieces() {
    let mut random = Random(31);
    let operands = [eight_bits(true), eight_bits(false)];
    let kinds = [
        (Factor::Signed8, Factor::Code, 1),
        (Factor::Code, Factor::Constant, 3),
    ];
    let terms = terms(&mut random, operands, &kinds);
    let case = Case {
        operands,
        terms,
        extreme: false,
    };
    check_matmul(&mut random, &case, 700, 390, 5);
    check_matmul(&mut random, &case, 3, 70, 1000);
    let square = |batch, in_channels, side, kernel, stride| Conv2dShape {
        batch,
        in_channels,
        out_channels: 2,
        groups: 1,
        input: [side, side + 1],
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1, 1],
        padding: Padding2d::symmetric(kernel / 2, kernel / 2),
    };
    // Some rows of one image each, and several images.
    check_conv2d(&mut random, &case, square(1, 12, 240, 3, 1));
    check_conv2d(&mut random, &case, square(1, 12, 400, 3, 2));
    check_conv2d(&mut random, &case, square(1, 12, 800, 1, 3));
    check_conv2d(&mut random, &case, square(120, 32, 7, 3, 1));
    let dilated = Conv2dShape {
        dilation: [5, 3],
        ..square(1, 12, 240, 3, 1)
    };
    check_conv2d(&mut random, &case, dilated);
}

#[test]
fn a_nan_anywhere_is_an_error() {
    let operands = [eight_bits(true); 2];
    let code = terms(&mut Random(1), operands, &[(Factor::Code, Factor::Code, 1)]);
    let quantizer = quantizer(&mut Random(1), operands[0]);
    let error = KernelError::NotANumber {
        operand: "activations",
    };
    for terms in [code.as_slice(), &[]] {
        let product = FactoredProduct::new(operands[0], operands[1], terms).unwrap();
        let matmul = product
            .pack_matmul(Weights::Narrow(&[1; 100]), 100, 1)
            .unwrap();
        for (in_channels, side, kernel, stride) in [(12, 300, 1, 4), (8, 9, 3, 1), (1, 40, 3, 2)] {
            let shape = Conv2dShape {
                batch: 2,
                in_channels,
                out_channels: 1,
                groups: 1,
                input: [side; 2],
                kernel: [kernel; 2],
                stride: [stride; 2],
                dilation: [1, 1],
                padding: Padding2d::default(),
            };
            let weights = vec![1; in_channels * kernel * kernel];
            let conv2d = product
                .pack_conv2d(Weights::Narrow(&weights), 1, in_channels, 1, [kernel; 2])
                .unwrap();
            let mut values = vec![0.5; shape.input_length()];
            for place in [
                0,
                1,
                side + 1,
                values.len() / 2 + 3 * side + 2,
                values.len() - 1,
            ] {
                values[place] = f32::NAN;
                let activations = Activations::Values {
                    values: &values,
                    quantizer,
                };
                assert_eq!(
                    product.conv2d(activations, 0, &conv2d, shape),
                    Err(error.clone())
                );
                let length = values.len() / 100 * 100;
                let activations = Activations::Values {
                    values: &values[..length],
                    quantizer,
                };
                let found = product.matmul(activations, length / 100, &matmul);
                assert_eq!(found.is_err(), place < length);
                values[place] = 0.5;
            }
        }
    }
}

#[test]
fn sums_of_codes_are_exact_over_the_largest_windows() {
    let operand = OperandWidth {
        bits: 16,
        signed: false,
    };
    let product = FactoredProduct::new(operand, operand, &[]).unwrap();
    let side = 260;
    let shape = Conv2dShape {
        batch: 1,
        in_channels: 1,
        out_channels: 1,
        groups: 1,
        input: [side; 2],
        kernel: [side; 2],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding2d::default(),
    };
    let (inner, patterns) = (side * side, vec![u16::MAX; side * side]);
    let channel = ChannelRescale {
        scale: 1.0,
        weight_zero_point: -1,
        constant: 0,
    };
    let expected = [(i64::from(u16::MAX) * inner as i64) as f32];
    let filters = product
        .pack_conv2d(Weights::Wide(&patterns), 1, 1, 1, [side; 2])
        .unwrap();
    let columns = product
        .pack_matmul(Weights::Wide(&patterns), inner, 1)
        .unwrap();
    let activations = Activations::Wide(&patterns);
    for &set in InstructionSet::available() {
        let found = product.conv2d_rescaled_with(set, activations, 0, &filters, shape, &[channel]);
        assert_eq!(found.unwrap(), expected, "{set:?}");
        let found = product.matmul_rescaled_with(set, activations, 1, &columns, &[channel]);
        assert_eq!(found.unwrap(), expected, "{set:?}");
    }
}

#[test]
fn factors_that_only_vanish_together_are_no_overflow() {
    let operand = eight_bits(false);
    let term = FactorTerm {
        scale: i64::MAX,
        activation: vec![0; 256],
        weight: vec![2; 256],
    };
    let product = FactoredProduct::new(operand, operand, &[term]).unwrap();
    let weights = product.pack_matmul(Weights::Narrow(&[1; 3]), 3, 1).unwrap();
    let found = product
        .matmul(Activations::Narrow(&[1; 3]), 1, &weights)
        .unwrap();
    assert_eq!(found, Accumulators::I32(vec![0]));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let mut random = Random(23);
    let operands = [eight_bits(true); 2];
    let kinds = [
        (Factor::Signed8, Factor::Signed8, 1),
        (Factor::Code, Factor::Wide, 1),
    ];
    let terms = terms(&mut random, operands, &kinds);
    let case = Case {
        operands,
        terms,
        extreme: false,
    };
    for threads in [1, 2, 3, 16] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let shape = Conv2dShape {
            batch: 3,
            in_channels: 16,
            out_channels: 40,
            groups: 2,
            input: [15, 17],
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding2d::symmetric(1, 1),
        };
        pool.install(|| {
            check_matmul(&mut random, &case, 130, 100, 70);
            check_conv2d(&mut random, &case, shape);
        });
    }
}

#[test]
fn wrong_arguments_are_named() {
    let eight = eight_bits(false);
    let twelve = OperandWidth {
        bits: 12,
        signed: true,
    };
    let error = |bits| {
        FactoredProduct::new(
            OperandWidth {
                bits,
                signed: false,
            },
            eight,
            &[],
        )
        .unwrap_err()
    };
    assert_eq!(error(1), KernelError::FactoredOperandWidth { bits: 1 });
    assert_eq!(error(17), KernelError::FactoredOperandWidth { bits: 17 });
    let short = FactorTerm {
        scale: 1,
        activation: vec![0; 256],
        weight: vec![0; 255],
    };
    assert_eq!(
        FactoredProduct::new(eight, eight, &[short]).unwrap_err(),
        KernelError::Length {
            operand: "a term's weight factor",
            expected: 256,
            actual: 255
        }
    );

    let term = |activation: OperandWidth, weight: OperandWidth| FactorTerm {
        scale: 1,
        activation: (0..activation.patterns() as i64).collect(),
        weight: (0..weight.patterns() as i64).collect(),
    };
    let product = FactoredProduct::new(eight, eight, &[term(eight, eight)]).unwrap();
    assert_eq!(
        product
            .pack_matmul(Weights::Narrow(&[0; 5]), 2, 3)
            .unwrap_err(),
        KernelError::Length {
            operand: "weights",
            expected: 6,
            actual: 5
        }
    );
    let wide = FactoredProduct::new(twelve, twelve, &[term(twelve, twelve)]).unwrap();
    assert_eq!(
        wide.pack_matmul(Weights::Narrow(&[0; 6]), 2, 3)
            .unwrap_err(),
        KernelError::NarrowPatterns {
            operand: "weights",
            bits: 12
        }
    );
    assert!(matches!(
        product.pack_conv2d(Weights::Narrow(&[]), 3, 1, 2, [1, 1]),
        Err(KernelError::Groups {
            groups: 2,
            channels: 3,
            side: "output"
        })
    ));
    assert!(matches!(
        product.pack_conv2d(Weights::Narrow(&[]), 2, 1, 2, [1, 0]),
        Err(KernelError::Zero {
            parameter: "kernel"
        })
    ));
    let overflow = FactorTerm {
        scale: i64::MAX,
        ..term(eight, eight)
    };
    let overflow = FactoredProduct::new(eight, eight, &[overflow]).unwrap();
    assert!(matches!(
        overflow.pack_matmul(Weights::Narrow(&[1]), 1, 1),
        Err(KernelError::Overflow { .. })
    ));

    let weights = product.pack_matmul(Weights::Narrow(&[1; 6]), 2, 3).unwrap();
    assert_eq!(
        wide.matmul(Activations::Wide(&[0; 2]), 1, &weights)
            .unwrap_err(),
        KernelError::OtherProduct
    );
    let equal = FactoredProduct::new(eight, eight, &[term(eight, eight)]).unwrap();
    assert!(
        equal
            .matmul(Activations::Wide(&[0; 2]), 1, &weights)
            .is_ok()
    );
    assert_eq!(
        product
            .matmul(Activations::Narrow(&[0; 3]), 1, &weights)
            .unwrap_err(),
        KernelError::Length {
            operand: "activations",
            expected: 2,
            actual: 3
        }
    );
    let good = ChannelQuantizer {
        scale: 1.0,
        reciprocal: 1.0,
        zero_point: 0.0,
        low: 0.0,
        high: 255.0,
    };
    let quantized =
        |values, quantizer| product.matmul(Activations::Values { values, quantizer }, 1, &weights);
    assert_eq!(quantized(&[1.0, 2.0], good).unwrap().to_i64(), [3, 3, 3]);
    assert_eq!(
        quantized(&[1.0, f32::NAN], good).unwrap_err(),
        KernelError::NotANumber {
            operand: "activations"
        }
    );
    for (parameter, bad) in [
        ("lowest code", ChannelQuantizer { low: -1.0, ..good }),
        (
            "highest code",
            ChannelQuantizer {
                high: 256.0,
                ..good
            },
        ),
        (
            "zero point",
            ChannelQuantizer {
                zero_point: 0.5,
                ..good
            },
        ),
    ] {
        let (bits, signed) = (8, false);
        let error = KernelError::Quantizer {
            parameter,
            bits,
            signed,
        };
        assert_eq!(quantized(&[1.0, 2.0], bad).unwrap_err(), error);
    }
    let channel = ChannelRescale {
        scale: 1.0,
        weight_zero_point: 0,
        constant: 0,
    };
    let rescaled = |channels: &[ChannelRescale]| {
        product.matmul_rescaled(Activations::Narrow(&[0; 2]), 1, &weights, channels)
    };
    assert!(rescaled(&[channel; 3]).is_ok());
    assert_eq!(
        rescaled(&[channel; 2]).unwrap_err(),
        KernelError::Length {
            operand: "channels",
            expected: 3,
            actual: 2
        }
    );
    assert!(matches!(
        rescaled(
            &[ChannelRescale {
                constant: i64::MAX,
                ..channel
            }; 3]
        ),
        Err(KernelError::Overflow { .. })
    ));

    let shape = Conv2dShape {
        batch: 1,
        in_channels: 2,
        out_channels: 2,
        groups: 1,
        input: [2, 2],
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding2d::default(),
    };
    let weights = product
        .pack_conv2d(Weights::Narrow(&[1; 4]), 2, 2, 1, [1, 1])
        .unwrap();
    let conv2d = |shape| product.conv2d(Activations::Narrow(&[1; 8]), 0, &weights, shape);
    assert!(conv2d(shape).is_ok());
    assert_eq!(
        conv2d(Conv2dShape {
            kernel: [1, 2],
            ..shape
        })
        .unwrap_err(),
        KernelError::OtherConvolution {
            parameter: "a kernel width",
            packed: 1,
            expected: 2
        }
    );
    assert_eq!(
        conv2d(Conv2dShape {
            in_channels: 4,
            groups: 2,
            ..shape
        })
        .unwrap_err(),
        KernelError::OtherConvolution {
            parameter: "a number of groups",
            packed: 1,
            expected: 2
        }
    );
    assert!(matches!(
        conv2d(Conv2dShape {
            stride: [0, 1],
            ..shape
        }),
        Err(KernelError::Zero { .. })
    ));
}

/// A transposed convolution that is cut between images.
const TRANSPOSED: ConvTranspose2dShape = ConvTranspose2dShape {
    batch: 5,
    in_channels: 6,
    out_channels: 70,
    groups: 2,
    input: [11, 13],
    kernel: [4, 5],
    stride: [2, 3],
    dilation: [1, 2],
    padding: [1, 3],
    output_padding: [1, 0],
};

#[test]
fn larger_transposed_convolutions_cross_images() {
    let mut random = Random(31);
    let operands = [eight_bits(true); 2];
    for kinds in [
        vec![(Factor::Code, Factor::Code, 1)],
        vec![
            (Factor::Offset, Factor::Signed8, 1),
            (Factor::Wide, Factor::Wide, -3),
        ],
    ] {
        let case = Case {
            operands,
            terms: terms(&mut random, operands, &kinds),
            extreme: false,
        };
        for groups in [1, 2] {
            let shape = ConvTranspose2dShape {
                groups,
                ..TRANSPOSED
            };
            check_conv_transpose2d(&mut random, &case, shape, [false; 3]);
        }
        let depthwise = ConvTranspose2dShape {
            in_channels: 70,
            groups: 70,
            ..TRANSPOSED
        };
        check_conv_transpose2d(&mut random, &case, depthwise, [true; 3]);
    }
}

#[test]
fn transposed_convolutions_do_not_depend_on_the_number_of_threads() {
    let mut random = Random(37);
    let operands = [eight_bits(true); 2];
    let terms = terms(&mut random, operands, &[(Factor::Offset, Factor::Code, 1)]);
    let product = FactoredProduct::new(operands[0], operands[1], &terms).unwrap();
    let activations = patterns(&mut random, operands[0], TRANSPOSED.input_length(), false);
    let weights = patterns(&mut random, operands[1], TRANSPOSED.weight_length(), false);
    let packed = product
        .pack_conv_transpose2d(Weights::Wide(&weights), TRANSPOSED)
        .unwrap();
    let quantizers = ProductQuantizers {
        activation: any_quantizer(&mut random, operands[0], false),
        weights: &[any_quantizer(&mut random, operands[1], false)],
    };
    let results = [1, 2, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let activations = Activations::Wide(&activations);
            let sums = product
                .conv_transpose2d(activations, &packed, TRANSPOSED)
                .unwrap();
            let values =
                product.conv_transpose2d_rescaled(activations, &packed, quantizers, TRANSPOSED);
            (sums, values.unwrap())
        })
    });
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
}

#[test]
fn weights_of_a_transposed_convolution_are_quantised_by_output_channel() {
    let mut random = Random(41);
    let operands = [eight_bits(true); 2];
    let terms = terms(&mut random, operands, &[(Factor::Code, Factor::Code, 1)]);
    let product = FactoredProduct::new(operands[0], operands[1], &terms).unwrap();
    let shape = ConvTranspose2dShape {
        batch: 1,
        out_channels: 6,
        ..TRANSPOSED
    };
    let channels: Vec<_> = (0..6)
        .map(|_| any_quantizer(&mut random, operands[1], false))
        .collect();
    let layout = ChannelLayout { channels, inner: 1 };
    let taps = shape.kernel[0] * shape.kernel[1];
    let real: Vec<f32> = (0..shape.weight_length())
        .map(|_| (random.next() % 997) as f32 / 10.0 - 50.0)
        .collect();
    let codes: Vec<u16> = (0..real.len())
        .map(|index| {
            let (input, output) = (index / taps / 3, index / taps % 3);
            let channel = input / 3 * 3 + output;
            layout.channels[channel].code(real[index]) as i32 as u16
        })
        .collect();
    let activations = patterns(&mut random, operands[0], shape.input_length(), false);
    let sums = |weights: Weights<'_>| {
        let packed = product.pack_conv_transpose2d(weights, shape).unwrap();
        product
            .conv_transpose2d(Activations::Wide(&activations), &packed, shape)
            .unwrap()
    };
    let values = Weights::Values {
        values: &real,
        layout: &layout,
    };
    assert_eq!(sums(values), sums(Weights::Wide(&codes)));
}

#[test]
fn wrong_arguments_of_a_transposed_convolution_are_named() {
    let mut random = Random(43);
    let operands = [eight_bits(true); 2];
    let terms = terms(&mut random, operands, &[(Factor::Code, Factor::Code, 1)]);
    let product = FactoredProduct::new(operands[0], operands[1], &terms).unwrap();
    let weights = vec![0u8; TRANSPOSED.weight_length()];
    let packed = product
        .pack_conv_transpose2d(Weights::Narrow(&weights), TRANSPOSED)
        .unwrap();
    let patterns = vec![0u8; TRANSPOSED.input_length()];
    let activations = Activations::Narrow(&patterns);
    for (parameter, packed_for, expected, shape) in [
        (
            "a vertical stride",
            2,
            3,
            ConvTranspose2dShape {
                stride: [3, 3],
                ..TRANSPOSED
            },
        ),
        (
            "a horizontal dilation",
            2,
            1,
            ConvTranspose2dShape {
                dilation: [1, 1],
                ..TRANSPOSED
            },
        ),
        (
            "a number of groups",
            2,
            1,
            ConvTranspose2dShape {
                groups: 1,
                ..TRANSPOSED
            },
        ),
    ] {
        let expected = KernelError::OtherConvolution {
            parameter,
            packed: packed_for,
            expected,
        };
        assert_eq!(
            product
                .conv_transpose2d(activations, &packed, shape)
                .unwrap_err(),
            expected
        );
    }
    let quantizer = any_quantizer(&mut random, operands[0], true);
    let two = [quantizer; 2];
    let quantizers = ProductQuantizers {
        activation: quantizer,
        weights: &two,
    };
    assert_eq!(
        product
            .conv_transpose2d_rescaled(activations, &packed, quantizers, TRANSPOSED)
            .unwrap_err(),
        KernelError::Length {
            operand: "channels",
            expected: 70,
            actual: 2
        }
    );
    // A NaN is noticed also where nothing is multiplied with it.
    let cropped = ConvTranspose2dShape {
        batch: 1,
        input: [3, 3],
        kernel: [1, 1],
        stride: [2, 2],
        padding: [1, 1],
        output_padding: [0, 0],
        ..TRANSPOSED
    };
    let packed = product
        .pack_conv_transpose2d(Weights::Narrow(&vec![0; cropped.weight_length()]), cropped)
        .unwrap();
    for nan in 0..cropped.input_length() {
        let mut values = vec![0.0; cropped.input_length()];
        values[nan] = f32::NAN;
        let activations = Activations::Values {
            values: &values,
            quantizer,
        };
        let found = product.conv_transpose2d(activations, &packed, cropped);
        assert_eq!(
            found.unwrap_err(),
            KernelError::NotANumber {
                operand: "activations"
            }
        );
    }
}
