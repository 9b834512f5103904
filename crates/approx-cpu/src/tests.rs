//! The kernels against loops that read like the formula, on every instruction set and by every strategy.

use proptest::prelude::*;

use crate::arch::InstructionSet;
use crate::lookup::conv_transpose2d::{conv_transpose2d_rescaled_with, conv_transpose2d_with};
use crate::lookup::conv2d::conv2d_with;
use crate::lookup::gather::Strategy as Plan;
use crate::lookup::matmul::matmul_with;
use crate::lookup::transposed::Way;
use crate::quantize::ChannelQuantizer;
use crate::{
    Accumulators, Conv2dShape, ConvTranspose2dShape, KernelError, LookupTable, MatmulShape,
    OperandWidth, Padding2d, ProductQuantizers, conv_transpose2d, conv2d, matmul, row_sums,
    window_sums,
};

/// A small generator for test data, so that a case is one seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn codes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    fn extreme_codes(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|_| [255, 127, 128, 0, 1][self.next() as usize % 5])
            .collect()
    }
}

/// The ranges of table entries that take different paths.
#[derive(Debug, Clone, Copy)]
enum Entries {
    /// Eight entries add up without a carry.
    Small,
    /// Two do.
    Signed16,
    /// The full range of 16 bits, shifted far from zero.
    Biased16,
    /// Needs 32-bit entries, sums of a few still fit.
    Middle,
    /// Both ends of 32 bits.
    Full,
}

const ENTRIES: [Entries; 5] = [
    Entries::Small,
    Entries::Signed16,
    Entries::Biased16,
    Entries::Middle,
    Entries::Full,
];

fn table(random: &mut Random, activation_bits: u8, weight_bits: u8, range: Entries) -> LookupTable {
    let entries = entries(random, activation_bits, weight_bits, range);
    LookupTable::new(activation_bits, weight_bits, &entries).unwrap()
}

fn entries(random: &mut Random, activation_bits: u8, weight_bits: u8, range: Entries) -> Vec<i32> {
    (0..1usize << (activation_bits + weight_bits))
        .map(|_| {
            let word = random.next() as i32;
            match range {
                Entries::Small => word % 4000,
                Entries::Signed16 => word.rem_euclid(32640) - 16256,
                Entries::Biased16 => word.rem_euclid(65536) + 100_000,
                Entries::Middle => word % 3_000_000,
                Entries::Full => match word & 7 {
                    0 => i32::MIN,
                    1 => i32::MAX,
                    _ => word,
                },
            }
        })
        .collect()
}

/// `table[a][w]`, the way the formula has it.
fn product(table: &LookupTable, activation: u8, weight: u8) -> i64 {
    i64::from(table.get(activation, weight))
}

fn matmul_reference(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    shape: MatmulShape,
) -> Vec<i64> {
    let mut sums = Vec::new();
    for row in 0..shape.rows {
        for column in 0..shape.columns {
            let mut sum = 0;
            for k in 0..shape.inner {
                let activation = activations[row * shape.inner + k];
                let weight = weights[k * shape.columns + column];
                sum += product(table, activation, weight);
            }
            sums.push(sum);
        }
    }
    sums
}

/// Calls `visit(position of the output, activation if the tap is inside the input, index of the weight)` for every
/// product.
pub(crate) fn visit_taps<T: Copy>(
    shape: Conv2dShape,
    activations: &[T],
    mut visit: impl FnMut(usize, Option<T>, usize),
) {
    let [output_height, output_width] = shape.output();
    let (inputs, outputs) = (
        shape.in_channels / shape.groups,
        shape.out_channels / shape.groups,
    );
    let mut position = 0;
    for n in 0..shape.batch {
        for o in 0..shape.out_channels {
            for y in 0..output_height {
                for x in 0..output_width {
                    for i in 0..inputs {
                        for dy in 0..shape.kernel[0] {
                            for dx in 0..shape.kernel[1] {
                                let channel = o / outputs * inputs + i;
                                let row = (y * shape.stride[0] + dy * shape.dilation[0]) as isize
                                    - shape.padding.top as isize;
                                let column = (x * shape.stride[1] + dx * shape.dilation[1])
                                    as isize
                                    - shape.padding.left as isize;
                                let inside = (0..shape.input[0] as isize).contains(&row)
                                    && (0..shape.input[1] as isize).contains(&column);
                                let activation = inside.then(|| {
                                    let image = (n * shape.in_channels + channel) * shape.input[0];
                                    activations
                                        [(image + row as usize) * shape.input[1] + column as usize]
                                });
                                let weight = ((o * inputs + i) * shape.kernel[0] + dy)
                                    * shape.kernel[1]
                                    + dx;
                                visit(position, activation, weight);
                            }
                        }
                    }
                    position += 1;
                }
            }
        }
    }
}

/// Calls `visit(position of the output, position of the activation, position of the weight)` for every product of a
/// transposed convolution.
pub(crate) fn visit_transposed_taps(
    shape: ConvTranspose2dShape,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let [output_height, output_width] = shape.output();
    let (inputs, outputs) = (
        shape.in_channels / shape.groups,
        shape.out_channels / shape.groups,
    );
    let place = |axis: usize, position: usize, tap: usize| {
        let position = position * shape.stride[axis] + tap * shape.dilation[axis];
        let side = [output_height, output_width][axis];
        position
            .checked_sub(shape.padding[axis])
            .filter(|&position| position < side)
    };
    for n in 0..shape.batch {
        for i in 0..shape.in_channels {
            for o in 0..outputs {
                let output = n * shape.out_channels + i / inputs * outputs + o;
                for row in 0..shape.input[0] {
                    for column in 0..shape.input[1] {
                        for dy in 0..shape.kernel[0] {
                            for dx in 0..shape.kernel[1] {
                                let (Some(y), Some(x)) = (place(0, row, dy), place(1, column, dx))
                                else {
                                    continue;
                                };
                                let activation = ((n * shape.in_channels + i) * shape.input[0]
                                    + row)
                                    * shape.input[1]
                                    + column;
                                let weight = ((i * outputs + o) * shape.kernel[0] + dy)
                                    * shape.kernel[1]
                                    + dx;
                                visit(
                                    (output * output_height + y) * output_width + x,
                                    activation,
                                    weight,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What the contract says of a transposed convolution, by a plain loop: its accumulators, and its outputs in real
/// values.
pub(crate) fn transposed_reference(
    shape: ConvTranspose2dShape,
    product: impl Fn(usize, usize) -> i64,
    codes: [&dyn Fn(usize) -> i64; 2],
    quantizers: ProductQuantizers<'_>,
) -> (Vec<i64>, Vec<f32>) {
    let plane = shape.output().iter().product::<usize>();
    let mut sums = vec![0; shape.batch * shape.out_channels * plane];
    let mut corrected = sums.clone();
    let channel = |output: usize| output / plane % shape.out_channels;
    let weight_quantizer = |output: usize| match quantizers.weights {
        [single] => *single,
        quantizers => quantizers[channel(output)],
    };
    visit_transposed_taps(shape, |output, activation, weight| {
        let product = product(activation, weight);
        sums[output] += product;
        let [x, w] = [codes[0](activation), codes[1](weight)];
        let z_x = quantizers.activation.zero_point as i64;
        let z_w = weight_quantizer(output).zero_point as i64;
        corrected[output] += product - z_x * w - z_w * x + z_x * z_w;
    });
    let values = corrected.iter().enumerate().map(|(output, &sum)| {
        quantizers.activation.scale * weight_quantizer(output).scale * sum as f32
    });
    let values = values.collect();
    (sums, values)
}

fn conv2d_reference(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    padding_code: u8,
    shape: Conv2dShape,
) -> Vec<i64> {
    let [height, width] = shape.output();
    let mut sums = vec![0; shape.batch * shape.out_channels * height * width];
    visit_taps(shape, activations, |position, activation, weight| {
        sums[position] += product(table, activation.unwrap_or(padding_code), weights[weight]);
    });
    sums
}

/// Every instruction set with every strategy, and the choice that would be made.
fn paths() -> impl Iterator<Item = (InstructionSet, Option<Plan>)> {
    InstructionSet::available().iter().flat_map(|&set| {
        Plan::ALL
            .into_iter()
            .map(Some)
            .chain([None])
            .map(move |plan| (set, plan))
    })
}

fn check_matmul(table: &LookupTable, activations: &[u8], weights: &[u8], shape: MatmulShape) {
    let expected = matmul_reference(table, activations, weights, shape);
    for (set, plan) in paths() {
        let sums = matmul_with(set, plan, table, activations, weights, shape).unwrap();
        assert_eq!(sums.to_i64(), expected, "{set:?} {plan:?} {shape:?}");
    }
}

/// Every instruction set with every way to compute a transposed convolution, and the choice that would be made.
fn ways() -> impl Iterator<Item = (InstructionSet, Option<Way>)> {
    paths().flat_map(|(set, plan)| {
        let ways = match plan {
            Some(plan) => vec![Some(Way::ByPhases(plan)), Some(Way::ByPositions(plan))],
            None => vec![None],
        };
        ways.into_iter().map(move |way| (set, way))
    })
}

fn check_conv_transpose2d(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    quantizers: ProductQuantizers<'_>,
    shape: ConvTranspose2dShape,
) {
    let operands = quantizers.operands([table.activation_bits(), table.weight_bits()]);
    let (sums, values) = transposed_reference(
        shape,
        |activation, weight| product(table, activations[activation], weights[weight]),
        [
            &|index| operands[0].code(activations[index].into()).into(),
            &|index| operands[1].code(weights[index].into()).into(),
        ],
        quantizers,
    );
    for (set, way) in ways() {
        let found = conv_transpose2d_with(set, way, table, activations, weights, shape).unwrap();
        assert_eq!(found.to_i64(), sums, "{set:?} {way:?} {shape:?}");
        let found = conv_transpose2d_rescaled_with(
            set,
            way,
            table,
            activations,
            weights,
            quantizers,
            shape,
        )
        .unwrap();
        assert_eq!(found, values, "{set:?} {way:?} {shape:?} {quantizers:?}");
    }
}

/// A quantiser of an operand with any zero point, or with one that is 0.
pub(crate) fn any_quantizer(
    random: &mut Random,
    operand: OperandWidth,
    zero: bool,
) -> ChannelQuantizer {
    let low = if operand.signed {
        -(1 << (operand.bits - 1))
    } else {
        0
    };
    let zero_point = low + (random.next() % (1 << operand.bits)) as i32;
    ChannelQuantizer {
        scale: 0.25,
        reciprocal: 4.0,
        zero_point: if zero { 0.0 } else { zero_point as f32 },
        low: low as f32,
        high: (low + (1 << operand.bits) - 1) as f32,
    }
}

fn check_conv2d(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    padding_code: u8,
    shape: Conv2dShape,
) {
    let expected = conv2d_reference(table, activations, weights, padding_code, shape);
    for (set, plan) in paths() {
        let sums =
            conv2d_with(set, plan, table, activations, weights, padding_code, shape).unwrap();
        assert_eq!(sums.to_i64(), expected, "{set:?} {plan:?} {shape:?}");
    }
}

pub(crate) fn convolution() -> impl Strategy<Value = Conv2dShape> {
    (
        (
            0..=3usize,
            1..=3usize,
            1..=3usize,
            prop_oneof![Just(1usize), Just(2), 1..=40usize],
        ),
        (
            [0..=9usize, 0..=20usize],
            [1..=4usize, 1..=4usize],
            [1..=3usize, 1..=3usize],
        ),
        (
            [1..=3usize, 1..=3usize],
            [0..=3usize, 0..=3usize, 0..=3usize, 0..=3usize],
        ),
    )
        .prop_map(
            |((batch, inputs, groups, outputs), (input, kernel, stride), (dilation, sides))| {
                let mut shape = Conv2dShape {
                    batch,
                    in_channels: inputs * groups,
                    out_channels: outputs * groups,
                    groups,
                    input,
                    kernel,
                    stride,
                    dilation,
                    padding: Padding2d {
                        top: sides[0],
                        bottom: sides[1],
                        left: sides[2],
                        right: sides[3],
                    },
                };
                // Grow the input where the kernel would not fit.
                for (axis, padding) in [sides[0] + sides[1], sides[2] + sides[3]]
                    .into_iter()
                    .enumerate()
                {
                    let span = (kernel[axis] - 1) * dilation[axis] + 1;
                    shape.input[axis] = shape.input[axis].max(span.saturating_sub(padding));
                }
                shape
            },
        )
}

pub(crate) fn transposed_convolution() -> impl Strategy<Value = ConvTranspose2dShape> {
    let channels = (
        0..=3usize,
        prop_oneof![Just(1usize), 0..=5usize],
        1..=3usize,
        prop_oneof![Just(1usize), 0..=20usize],
    );
    let axis = || {
        (
            prop_oneof![1 => Just(0usize), 8 => 1..=8usize],
            1..=5usize,
            1..=3usize,
            1..=3usize,
            0..=4usize,
            0..=2usize,
        )
    };
    (channels, axis(), axis()).prop_map(|((batch, inputs, groups, outputs), rows, columns)| {
        let mut shape = ConvTranspose2dShape {
            batch,
            in_channels: inputs * groups,
            out_channels: outputs * groups,
            groups,
            input: [rows.0, columns.0],
            kernel: [rows.1, columns.1],
            stride: [rows.2, columns.2],
            dilation: [rows.3, columns.3],
            padding: [rows.4, columns.4],
            output_padding: [rows.5, columns.5],
        };
        // Add to the output where more would be cropped than there is.
        for axis in 0..2 {
            let cropped = 2 * shape.padding[axis] + shape.stride[axis];
            let side = shape.input[axis] * shape.stride[axis]
                + (shape.kernel[axis] - 1) * shape.dilation[axis]
                + 1;
            shape.output_padding[axis] =
                shape.output_padding[axis].max(cropped.saturating_sub(side));
        }
        shape
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn matmul_equals_the_formula(
        seed in 1u64..,
        bits in (2..=8u8, 2..=8u8),
        range in proptest::sample::select(&ENTRIES),
        (rows, inner, columns) in (0..70usize, 0..40usize, 0..70usize),
    ) {
        let mut random = Random(seed);
        let table = table(&mut random, bits.0, bits.1, range);
        let activations = random.codes(rows * inner);
        let weights = random.codes(inner * columns);
        check_matmul(&table, &activations, &weights, MatmulShape { rows, inner, columns });
    }

    #[test]
    fn conv2d_equals_the_formula(
        seed in 1u64..,
        bits in prop_oneof![Just((8u8, 8u8)), (2..=8u8, 2..=8u8)],
        range in proptest::sample::select(&ENTRIES),
        shape in convolution(),
    ) {
        let mut random = Random(seed);
        let table = table(&mut random, bits.0, bits.1, range);
        let activations = random.codes(shape.batch * shape.in_channels * shape.input[0] * shape.input[1]);
        let weights = random.codes(shape.out_channels * shape.in_channels / shape.groups * shape.kernel[0] * shape.kernel[1]);
        check_conv2d(&table, &activations, &weights, random.next() as u8, shape);
    }

    #[test]
    fn conv_transpose2d_equals_the_formula(
        seed in 1u64..,
        bits in prop_oneof![Just((8u8, 8u8)), (2..=8u8, 2..=8u8)],
        range in proptest::sample::select(&ENTRIES),
        shape in transposed_convolution(),
        (zeros, signed, per_channel, extreme) in any::<([bool; 3], [bool; 2], bool, bool)>(),
    ) {
        let mut random = Random(seed);
        let mut entries = entries(&mut random, bits.0, bits.1, range);
        if zeros[2] {
            // As multipliers have it: nothing comes of a zero.
            entries[..1 << bits.1].fill(0);
        }
        let table = LookupTable::new(bits.0, bits.1, &entries).unwrap();
        let mut codes = |count| if extreme { random.extreme_codes(count) } else { random.codes(count) };
        let activations = codes(shape.input_length());
        let weights = codes(shape.weight_length());
        let [activation, weight] = [(bits.0, signed[0]), (bits.1, signed[1])].map(|(bits, signed)| OperandWidth { bits, signed });
        let count = if per_channel { shape.out_channels.max(1) } else { 1 };
        let quantizers = ProductQuantizers {
            activation: any_quantizer(&mut random, activation, zeros[0]),
            weights: &(0..count).map(|_| any_quantizer(&mut random, weight, zeros[1])).collect::<Vec<_>>(),
        };
        check_conv_transpose2d(&table, &activations, &weights, quantizers, shape);
    }

    #[test]
    fn the_products_of_a_transposed_convolution_are_counted(shape in transposed_convolution()) {
        prop_assert_eq!(shape.validate(), Ok(()));
        let mut products = vec![0; shape.batch * shape.out_channels * shape.output().iter().product::<usize>()];
        visit_transposed_taps(shape, |output, _, _| products[output] += 1);
        prop_assert_eq!(products.iter().sum::<usize>(), shape.products());
        if !products.is_empty() {
            prop_assert_eq!(products.iter().copied().max(), Some(shape.inner()));
        }
    }

    #[test]
    fn window_sums_equal_the_formula(seed in 1u64.., shape in convolution(), padding_code: u8) {
        let mut random = Random(seed);
        let activations = random.codes(shape.batch * shape.in_channels * shape.input[0] * shape.input[1]);
        let decode = |pattern: u8| i32::from(pattern as i8);
        // One output channel per group: its windows are the group's.
        let shape = Conv2dShape { out_channels: shape.groups, ..shape };
        let [height, width] = shape.output();
        let mut expected = vec![0; shape.batch * shape.groups * height * width];
        visit_taps(shape, &activations, |position, activation, _| {
            expected[position] += i64::from(decode(activation.unwrap_or(padding_code)));
        });
        prop_assert_eq!(window_sums(&activations, decode, padding_code, shape).unwrap(), expected);
    }
}

#[test]
fn extreme_codes_in_long_sums() {
    let mut random = Random(7);
    for range in ENTRIES {
        let table = table(&mut random, 8, 8, range);
        for (rows, inner, columns) in [(5, 2051, 37), (66, 1027, 3), (1, 1280, 100), (300, 65, 2)] {
            let activations = random.extreme_codes(rows * inner);
            let weights = random.extreme_codes(inner * columns);
            check_matmul(
                &table,
                &activations,
                &weights,
                MatmulShape {
                    rows,
                    inner,
                    columns,
                },
            );
        }
    }
}

#[test]
fn sums_of_the_largest_and_smallest_entries_are_exact() {
    let inner = 70_001;
    for entry in [i32::MIN, i32::MAX, 65_535, -32_768, 1] {
        // Two values, so that stored entries are at both ends of their range.
        for other in [entry, 0, entry.wrapping_neg().saturating_add(1)] {
            let entries: Vec<i32> = (0..16)
                .map(|i| if i == 0 { other } else { entry })
                .collect();
            let table = LookupTable::new(2, 2, &entries).unwrap();
            let shape = MatmulShape {
                rows: 2,
                inner,
                columns: 2,
            };
            check_matmul(&table, &vec![3; 2 * inner], &vec![255; 2 * inner], shape);
        }
    }
}

#[test]
fn accumulators_are_as_wide_as_the_weights_demand() {
    // Weight 1 has large products, weight 0 has none.
    let entries: Vec<i32> = (0..16)
        .map(|i| if i % 4 == 1 { 1 << 30 } else { 0 })
        .collect();
    let table = LookupTable::new(2, 2, &entries).unwrap();
    let shape = MatmulShape {
        rows: 1,
        inner: 3,
        columns: 1,
    };
    let wide = matmul(&table, &[1, 2, 3], &[1, 1, 0], shape).unwrap();
    assert_eq!(wide, Accumulators::I64(vec![1 << 31]));
    let narrow = matmul(&table, &[1, 2, 3], &[0, 1, 2], shape).unwrap();
    assert_eq!(narrow, Accumulators::I32(vec![1 << 30]));

    let shape = Conv2dShape {
        batch: 1,
        in_channels: 3,
        out_channels: 1,
        groups: 1,
        input: [1, 1],
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding2d::default(),
    };
    assert_eq!(
        conv2d(&table, &[1, 2, 3], &[1, 1, 0], 0, shape).unwrap(),
        wide
    );
    assert_eq!(
        conv2d(&table, &[1, 2, 3], &[0, 1, 2], 0, shape).unwrap(),
        narrow
    );
}

#[test]
fn larger_shapes_cross_tiles_and_blocks() {
    let mut random = Random(11);
    for range in [Entries::Signed16, Entries::Middle, Entries::Full] {
        let table = table(&mut random, 8, 8, range);
        for (rows, inner, columns) in [(4100, 9, 35), (33, 9, 4100)] {
            let activations = random.codes(rows * inner);
            let weights = random.codes(inner * columns);
            check_matmul(
                &table,
                &activations,
                &weights,
                MatmulShape {
                    rows,
                    inner,
                    columns,
                },
            );
        }
        for (groups, in_channels, out_channels, side, stride) in [
            (1, 3, 40, 50, 1),
            (6, 6, 6, 50, 1),
            (6, 6, 12, 49, 2),
            (1, 5, 33, 7, 1),
        ] {
            let shape = Conv2dShape {
                batch: 3,
                in_channels,
                out_channels,
                groups,
                input: [side, side],
                kernel: [3, 3],
                stride: [stride, stride],
                dilation: [1, 1],
                padding: Padding2d::symmetric(1, 1),
            };
            let activations = random.codes(3 * in_channels * side * side);
            let weights = random.codes(out_channels * in_channels / groups * 9);
            check_conv2d(&table, &activations, &weights, 131, shape);
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let mut random = Random(3);
    let table = table(&mut random, 8, 8, Entries::Signed16);
    let shape = MatmulShape {
        rows: 300,
        inner: 129,
        columns: 500,
    };
    let activations = random.codes(shape.rows * shape.inner);
    let weights = random.codes(shape.inner * shape.columns);
    let expected = matmul_reference(&table, &activations, &weights, shape);
    for threads in [1, 2, 3, 16] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        for (set, plan) in paths() {
            let sums = pool
                .install(|| matmul_with(set, plan, &table, &activations, &weights, shape))
                .unwrap();
            assert_eq!(
                sums.to_i64(),
                expected,
                "{threads} threads, {set:?} {plan:?}"
            );
        }
    }
}

#[test]
fn narrow_ranges_of_codes_are_looked_up_alike() {
    let mut random = Random(19);
    let table = table(&mut random, 8, 8, Entries::Biased16);
    let shape = MatmulShape {
        rows: 70,
        inner: 21,
        columns: 70,
    };
    for (low, high) in [(0, 127), (128, 255), (63, 64), (200, 200)] {
        let mut codes = || -> Vec<u8> {
            let codes = random.codes(70 * 21);
            codes
                .into_iter()
                .map(|code| low + (u16::from(code) % (u16::from(high - low) + 1)) as u8)
                .collect()
        };
        let (activations, weights) = (codes(), codes());
        check_matmul(&table, &activations, &weights, shape);
    }
}

#[test]
fn row_sums_equal_the_formula() {
    let mut random = Random(5);
    for (rows, inner) in [(0, 3), (3, 0), (7, 1031)] {
        let activations = random.codes(rows * inner);
        let shape = MatmulShape {
            rows,
            inner,
            columns: 0,
        };
        let expected: Vec<i64> = (0..rows)
            .map(|row| {
                activations[row * inner..][..inner]
                    .iter()
                    .map(|&code| i64::from(code) - 9)
                    .sum()
            })
            .collect();
        assert_eq!(
            row_sums(&activations, |code| i32::from(code) - 9, shape).unwrap(),
            expected
        );
    }
}

#[test]
fn wrong_arguments_are_named() {
    assert_eq!(
        LookupTable::new(8, 9, &[]).unwrap_err(),
        KernelError::OperandWidth { bits: 9 }
    );
    assert_eq!(
        LookupTable::new(2, 3, &[0; 16]).unwrap_err(),
        KernelError::Length {
            operand: "table",
            expected: 32,
            actual: 16
        }
    );
    let table = LookupTable::new(2, 2, &[0; 16]).unwrap();
    let shape = MatmulShape {
        rows: 1,
        inner: 2,
        columns: 1,
    };
    assert_eq!(
        matmul(&table, &[0; 2], &[0; 3], shape).unwrap_err(),
        KernelError::Length {
            operand: "weights",
            expected: 2,
            actual: 3
        }
    );
    let huge = MatmulShape {
        rows: usize::MAX,
        inner: 2,
        columns: 1,
    };
    assert!(matches!(
        matmul(&table, &[], &[], huge),
        Err(KernelError::Overflow { .. })
    ));

    let good = Conv2dShape {
        batch: 1,
        in_channels: 4,
        out_channels: 4,
        groups: 2,
        input: [5, 5],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding2d::default(),
    };
    assert_eq!(good.validate(), Ok(()));
    let error = |shape: Conv2dShape| conv2d(&table, &[0; 100], &[0; 72], 0, shape).unwrap_err();
    assert_eq!(
        error(Conv2dShape { groups: 3, ..good }),
        KernelError::Groups {
            groups: 3,
            channels: 4,
            side: "input"
        }
    );
    assert_eq!(
        error(Conv2dShape { groups: 0, ..good }),
        KernelError::Groups {
            groups: 0,
            channels: 4,
            side: "input"
        }
    );
    assert_eq!(
        error(Conv2dShape {
            stride: [1, 0],
            ..good
        }),
        KernelError::Zero {
            parameter: "stride"
        }
    );
    assert_eq!(
        error(Conv2dShape {
            dilation: [3, 1],
            ..good
        }),
        KernelError::KernelTooLarge {
            side: "height",
            kernel: 7,
            input: 5
        }
    );
    assert_eq!(
        error(Conv2dShape { batch: 2, ..good }),
        KernelError::Length {
            operand: "activations",
            expected: 200,
            actual: 100
        }
    );
    let transposed = ConvTranspose2dShape {
        batch: 1,
        in_channels: 4,
        out_channels: 4,
        groups: 2,
        input: [5, 5],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [0, 0],
        output_padding: [0, 0],
    };
    assert_eq!(transposed.validate(), Ok(()));
    let transposed_error = |shape: ConvTranspose2dShape| {
        conv_transpose2d(&table, &[0; 100], &[0; 72], shape).unwrap_err()
    };
    for (shape, expected) in [
        (
            ConvTranspose2dShape {
                groups: 3,
                ..transposed
            },
            KernelError::Groups {
                groups: 3,
                channels: 4,
                side: "input",
            },
        ),
        (
            ConvTranspose2dShape {
                stride: [0, 1],
                ..transposed
            },
            KernelError::Zero {
                parameter: "stride",
            },
        ),
        (
            ConvTranspose2dShape {
                padding: [0, 4],
                ..transposed
            },
            KernelError::CroppedAway {
                side: "width",
                padding: 4,
                output: 7,
            },
        ),
        (
            ConvTranspose2dShape {
                batch: 2,
                ..transposed
            },
            KernelError::Length {
                operand: "activations",
                expected: 200,
                actual: 100,
            },
        ),
        (
            ConvTranspose2dShape {
                kernel: [3, 2],
                ..transposed
            },
            KernelError::Length {
                operand: "weights",
                expected: 48,
                actual: 72,
            },
        ),
    ] {
        assert_eq!(transposed_error(shape), expected);
    }
    for shape in [
        ConvTranspose2dShape {
            dilation: [usize::MAX, 1],
            ..transposed
        },
        ConvTranspose2dShape {
            stride: [usize::MAX, 1],
            ..transposed
        },
        ConvTranspose2dShape {
            padding: [1, usize::MAX],
            ..transposed
        },
        ConvTranspose2dShape {
            output_padding: [usize::MAX / 2, 1],
            ..transposed
        },
    ] {
        assert!(matches!(
            transposed_error(shape),
            KernelError::Overflow { .. }
        ));
    }

    let wide = Conv2dShape {
        padding: Padding2d {
            left: usize::MAX,
            ..Padding2d::default()
        },
        ..good
    };
    assert!(matches!(error(wide), KernelError::Overflow { .. }));
}

#[test]
fn transposed_convolutions_are_cut_between_images_and_channels() {
    let pool = |threads| {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        builder.build().unwrap()
    };
    let shape = ConvTranspose2dShape {
        batch: 3,
        in_channels: 4,
        out_channels: 44,
        groups: 1,
        input: [20, 20],
        kernel: [4, 4],
        stride: [2, 2],
        dilation: [1, 1],
        padding: [1, 1],
        output_padding: [0, 1],
    };
    let mut random = Random(7);
    let entries = entries(&mut random, 8, 8, ENTRIES[0]);
    let table = LookupTable::new(8, 8, &entries).unwrap();
    let operand = OperandWidth {
        bits: 8,
        signed: true,
    };
    let quantizers = [(); 2].map(|()| any_quantizer(&mut random, operand, false));
    let quantizers = ProductQuantizers {
        activation: quantizers[0],
        weights: &quantizers[1..],
    };
    for groups in [1, 2, 4] {
        let shape = ConvTranspose2dShape { groups, ..shape };
        let activations = random.codes(shape.input_length());
        let weights = random.codes(shape.weight_length());
        for threads in [1, 3] {
            pool(threads).install(|| {
                check_conv_transpose2d(&table, &activations, &weights, quantizers, shape);
            });
        }
    }
}

/// Without an input there are no phases, whose windows are computed nowhere.
#[test]
fn a_transposed_convolution_of_nothing_is_nothing() {
    let mut random = Random(9);
    let table = table(&mut random, 8, 8, ENTRIES[0]);
    let operand = OperandWidth {
        bits: 8,
        signed: true,
    };
    let quantizers = [(); 2].map(|()| any_quantizer(&mut random, operand, false));
    let quantizers = ProductQuantizers {
        activation: quantizers[0],
        weights: &quantizers[1..],
    };
    for (batch, input, kernel) in [
        (0, [0, 0], 1),
        (1, [0, 0], 1),
        (2, [0, 3], 1),
        (0, [0, 0], 3),
    ] {
        let shape = ConvTranspose2dShape {
            batch,
            in_channels: 2,
            out_channels: 3,
            groups: 1,
            input,
            kernel: [kernel; 2],
            stride: [1, 1],
            dilation: [1, 1],
            padding: [0, 0],
            output_padding: [0, 0],
        };
        shape.validate().unwrap();
        let activations = random.codes(shape.input_length());
        let weights = random.codes(shape.weight_length());
        check_conv_transpose2d(&table, &activations, &weights, quantizers, shape);
    }
}

#[test]
fn a_transposed_convolution_without_input_channels_is_zero() {
    let shape = ConvTranspose2dShape {
        batch: 1,
        in_channels: 0,
        out_channels: 5,
        groups: 1,
        input: [2, 2],
        kernel: [3, 5],
        stride: [1, 2],
        dilation: [2, 1],
        padding: [0, 0],
        output_padding: [0, 0],
    };
    let table = LookupTable::new(8, 8, &[7; 1 << 16]).unwrap();
    for (set, way) in ways() {
        let sums = conv_transpose2d_with(set, way, &table, &[], &[], shape).unwrap();
        assert!(sums.to_i64().iter().all(|&sum| sum == 0), "{set:?} {way:?}");
    }
}
