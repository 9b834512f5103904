//! Products through circuits against loops that read like the formulas, on random circuits and with every instruction
//! set.

use approx_netlists::{Circuit, Netlist, NetlistFormat, NetlistOptions};
use proptest::prelude::*;

use super::CircuitProduct;
use crate::arch::InstructionSet;
use crate::error::KernelError;
use crate::shapes::{Conv2dShape, ConvTranspose2dShape, MatmulShape, Padding2d};

/// A circuit with the product that it computes of two patterns, one gate after the other.
#[derive(Debug, Clone)]
struct Sample {
    circuit: Circuit,
    bits: [u8; 2],
    signed: bool,
    scale: u32,
}

impl Sample {
    fn product(&self) -> CircuitProduct {
        CircuitProduct::new(&self.circuit, self.bits, self.signed, self.scale).unwrap()
    }

    fn reference(&self, activation: u16, weight: u16) -> i64 {
        let [activation_bits, weight_bits] = self.bits.map(u32::from);
        let low = |pattern: u16, bits: u32| u64::from(pattern) & ((1 << bits) - 1);
        let inputs = low(weight, weight_bits) | low(activation, activation_bits) << weight_bits;
        let product = self.circuit.evaluate(inputs).unwrap() as i64;
        let outputs = self.circuit.outputs().len();
        let is_negative = self.signed && product >> (outputs - 1) & 1 == 1;
        let product = product - if is_negative { 1 << outputs } else { 0 };
        product * i64::from(self.scale)
    }
}

fn parsed(text: &str) -> Circuit {
    let options = NetlistOptions::default();
    let netlist = Netlist::parse(text, NetlistFormat::Verilog, &options).unwrap();
    netlist.circuit().clone()
}

/// Gates between random bits, inverted or not, of which the last ones are the product.
fn samples() -> impl Strategy<Value = Sample> {
    let gate = (0_usize..3, any::<u32>(), any::<u32>());
    let gates = prop::collection::vec(gate, 1..60);
    let sides = (1_u8..=16, 1_u8..=16, 1_usize..=33);
    (
        sides,
        any::<bool>(),
        prop_oneof![Just(1_u32), Just(8), Just(13)],
        gates,
    )
        .prop_map(
            |((activation_bits, weight_bits, outputs), signed, scale, gates)| {
                let weights = (0..weight_bits).map(|bit| format!("w[{bit}]"));
                let activations = (0..activation_bits).map(|bit| format!("a[{bit}]"));
                let mut signals: Vec<String> = ["1'b0".into()]
                    .into_iter()
                    .chain(weights)
                    .chain(activations)
                    .collect();
                let mut body = String::new();
                for (number, (operator, one, other)) in gates.into_iter().enumerate() {
                    let input = |number: u32| {
                        let inversion = if number.is_multiple_of(2) { "" } else { "~" };
                        format!(
                            "{inversion}{}",
                            signals[number as usize / 2 % signals.len()]
                        )
                    };
                    let operator = ["&", "|", "^"][operator];
                    body += &format!(
                        "wire g{number}; assign g{number} = {} {operator} {};\n",
                        input(one),
                        input(other)
                    );
                    signals.push(format!("g{number}"));
                }
                for output in 0..outputs {
                    let signal = &signals[signals.len() - 1 - output % signals.len()];
                    let inversion = if output % 3 == 1 { "~" } else { "" };
                    body += &format!("assign p[{output}] = {inversion}{signal};\n");
                }
                let [w, a, p] = [weight_bits, activation_bits, outputs as u8].map(|bits| bits - 1);
                let text = format!(
                    "module m(input [{w}:0] w, input [{a}:0] a, output [{p}:0] p);\n{body}endmodule"
                );
                Sample {
                    circuit: parsed(&text),
                    bits: [activation_bits, weight_bits],
                    signed,
                    scale,
                }
            },
        )
}

/// So many patterns from a seed, the extreme ones among them.
fn patterns(count: usize, seed: u64) -> Vec<u16> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as u16
    };
    let pattern = |index: usize| match index % 7 {
        0 => u16::MAX,
        3 => 0,
        5 => 0x8080,
        _ => next(),
    };
    (0..count).map(pattern).collect()
}

fn with_every_set<T: PartialEq + std::fmt::Debug>(
    expected: &T,
    compute: impl Fn(InstructionSet) -> T,
) -> Result<(), TestCaseError> {
    for set in InstructionSet::available() {
        prop_assert_eq!(&compute(*set), expected, "{:?}", set);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn single_products_are_the_circuits(sample in samples(), seed: u64) {
        let (product, patterns) = (sample.product(), patterns(20, seed));
        for pair in patterns.windows(2) {
            prop_assert_eq!(product.get(pair[0], pair[1]), sample.reference(pair[0], pair[1]));
        }
    }

    #[test]
    fn matrix_products(sample in samples(), rows in 0_usize..6, inner in 0_usize..140, columns in 0_usize..40, seed: u64) {
        let (activations, weights) = (patterns(rows * inner, seed), patterns(inner * columns, seed ^ 1));
        let expected: Vec<i64> = (0..rows * columns)
            .map(|output| {
                let (row, column) = (output / columns, output % columns);
                let products = (0..inner).map(|k| {
                    sample.reference(activations[row * inner + k], weights[k * columns + column])
                });
                products.sum()
            })
            .collect();
        let shape = MatmulShape { rows, inner, columns };
        let product = sample.product();
        with_every_set(&expected, |set| {
            product.matmul_with(set, &activations, &weights, shape).unwrap().to_i64()
        })?;
    }

    #[test]
    fn convolutions(
        sample in samples(),
        (batch, groups, inputs, outputs) in (1_usize..3, 1_usize..4, 1_usize..4, 1_usize..4),
        input in [1_usize..7, 1..7],
        kernel in [1_usize..4, 1..4],
        stride in [1_usize..4, 1..4],
        dilation in [1_usize..3, 1..3],
        padding in [0_usize..3, 0..3, 0..3, 0..3],
        seed: u64,
    ) {
        let shape = Conv2dShape {
            batch,
            in_channels: inputs * groups,
            out_channels: outputs * groups,
            groups,
            input,
            kernel,
            stride,
            dilation,
            padding: Padding2d { top: padding[0], bottom: padding[1], left: padding[2], right: padding[3] },
        };
        prop_assume!(shape.validate().is_ok());
        let activations = patterns(shape.input_length(), seed);
        let weights = patterns(shape.out_channels * shape.inner(), seed ^ 1);
        let zero_point = patterns(2, seed ^ 2)[1];
        let [height, width] = shape.output();
        let mut expected = Vec::new();
        for image in 0..batch {
            for channel in 0..shape.out_channels {
                for position in 0..height * width {
                    let mut sum = 0;
                    for i in 0..inputs {
                        for tap in 0..kernel[0] * kernel[1] {
                            let tap = [tap / kernel[1], tap % kernel[1]];
                            let at = [position / width, position % width];
                            let place = [0, 1].map(|axis| (at[axis] * stride[axis] + tap[axis] * dilation[axis]) as isize);
                            let (row, column) = (place[0] - padding[0] as isize, place[1] - padding[2] as isize);
                            let is_inside = (0..input[0] as isize).contains(&row) && (0..input[1] as isize).contains(&column);
                            let from = image * shape.in_channels + channel / outputs * inputs + i;
                            let activation = match is_inside {
                                true => activations[(from * input[0] + row as usize) * input[1] + column as usize],
                                false => zero_point,
                            };
                            let weight = ((channel * inputs + i) * kernel[0] + tap[0]) * kernel[1] + tap[1];
                            sum += sample.reference(activation, weights[weight]);
                        }
                    }
                    expected.push(sum);
                }
            }
        }
        let product = sample.product();
        with_every_set(&expected, |set| {
            product.conv2d_with(set, &activations, &weights, zero_point, shape).unwrap().to_i64()
        })?;
    }

    #[test]
    fn transposed_convolutions(
        sample in samples(),
        (batch, groups, inputs, outputs) in (1_usize..3, 1_usize..3, 1_usize..4, 1_usize..4),
        input in [1_usize..5, 1..5],
        kernel in [1_usize..5, 1..5],
        stride in [1_usize..4, 1..4],
        dilation in [1_usize..3, 1..3],
        padding in [0_usize..3, 0..3],
        output_padding in [0_usize..3, 0..3],
        seed: u64,
    ) {
        let shape = ConvTranspose2dShape {
            batch,
            in_channels: inputs * groups,
            out_channels: outputs * groups,
            groups,
            input,
            kernel,
            stride,
            dilation,
            padding,
            output_padding,
        };
        prop_assume!(shape.validate().is_ok());
        let area = input[0] * input[1];
        let taps = kernel[0] * kernel[1];
        let activations = patterns(batch * shape.in_channels * area, seed);
        let weights = patterns(shape.in_channels * outputs * taps, seed ^ 1);
        let [height, width] = shape.output();
        let mut expected = vec![0; batch * shape.out_channels * height * width];
        for image in 0..batch {
            for i in 0..shape.in_channels {
                for (q, tap) in (0..area).flat_map(|q| (0..taps).map(move |tap| (q, tap))) {
                    let (q, tap_at) = ([q / input[1], q % input[1]], [tap / kernel[1], tap % kernel[1]]);
                    let place = [0, 1].map(|axis| {
                        (q[axis] * stride[axis] + tap_at[axis] * dilation[axis]).checked_sub(padding[axis])
                    });
                    let [Some(row), Some(column)] = place else { continue };
                    if row >= height || column >= width {
                        continue;
                    }
                    let activation = activations[(image * shape.in_channels + i) * area + q[0] * input[1] + q[1]];
                    for o in 0..outputs {
                        let channel = i / inputs * outputs + o;
                        let to = ((image * shape.out_channels + channel) * height + row) * width + column;
                        expected[to] += sample.reference(activation, weights[(i * outputs + o) * taps + tap]);
                    }
                }
            }
        }
        let product = sample.product();
        with_every_set(&expected, |set| {
            product.conv_transpose2d_with(set, &activations, &weights, shape).unwrap().to_i64()
        })?;
    }
}

#[test]
fn sums_are_as_wide_as_they_need_to_be() {
    use crate::accumulators::Accumulators;
    let circuit =
        parsed("module m(input [15:0] w, a, output [31:0] p); assign p = w * a; endmodule");
    let product = CircuitProduct::new(&circuit, [16, 16], false, 1).unwrap();
    let shape = |inner| MatmulShape {
        rows: 1,
        inner,
        columns: 1,
    };
    let sum = |count: usize| {
        product
            .matmul(&vec![u16::MAX; count], &vec![u16::MAX; count], shape(count))
            .unwrap()
    };
    let largest = i64::from(u16::MAX).pow(2);
    assert_eq!(sum(1), Accumulators::I64(vec![largest]));
    assert_eq!(sum(1000), Accumulators::I64(vec![1000 * largest]));

    let circuit = parsed(
        "module m(input signed [7:0] w, a, output signed [15:0] p); assign p = w * a; endmodule",
    );
    let product = CircuitProduct::new(&circuit, [8, 8], true, 1).unwrap();
    let sum = |count: usize| {
        product
            .matmul(&vec![0x80; count], &vec![0x80; count], shape(count))
            .unwrap()
    };
    assert_eq!(sum(65_535), Accumulators::I32(vec![65_535 << 14]));
    assert_eq!(sum(65_537), Accumulators::I64(vec![65_537 << 14]));
}

#[test]
fn what_is_no_product_is_refused() {
    let circuit = parsed("module m(input [3:0] w, a, output [7:0] p); assign p = w * a; endmodule");
    let refused = |bits, scale| CircuitProduct::new(&circuit, bits, false, scale).unwrap_err();
    assert_eq!(
        refused([0, 8], 1),
        KernelError::CircuitOperandWidth { bits: 0 }
    );
    assert_eq!(
        refused([17, 1], 1),
        KernelError::CircuitOperandWidth { bits: 17 }
    );
    assert!(matches!(
        refused([4, 5], 1),
        KernelError::CircuitPorts {
            inputs: 8,
            operands: 9,
            ..
        }
    ));
    let wide = parsed("module m(input [3:0] w, a, output [46:0] p); assign p = w * a; endmodule");
    assert!(CircuitProduct::new(&wide, [4, 4], false, 3).is_ok());
    assert!(CircuitProduct::new(&wide, [4, 4], false, 4).is_err());

    let product = CircuitProduct::new(&circuit, [4, 4], false, 1).unwrap();
    let shape = MatmulShape {
        rows: 1,
        inner: 2,
        columns: 1,
    };
    let length = |operand, expected, actual| {
        Err(KernelError::Length {
            operand,
            expected,
            actual,
        })
    };
    assert_eq!(
        product.matmul(&[1], &[1, 2], shape),
        length("activations", 2, 1)
    );
    assert_eq!(
        product.matmul(&[1, 2], &[1], shape),
        length("weights", 2, 1)
    );
}
