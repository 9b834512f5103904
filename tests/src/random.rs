//! Seeded random numbers, and proptest strategies for layers and multipliers.

use approx_multiplier::{Multiplier, OperandFormat, Signedness};
use burn_approx::quantization::CodeRange;
use proptest::prelude::*;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::layer::{Layer, Operand};
use crate::reference::{Convolution, LayerGeometry, TransposedConvolution};

/// A random generator whose sequence is fixed by its seed.
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A whole number in `low..=high`.
    pub fn integer(&mut self, low: i64, high: i64) -> i64 {
        low + (self.0.next_u64() % (high - low + 1) as u64) as i64
    }

    /// A real number in `low..high`, uniformly distributed.
    pub fn real(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.0.next_u64() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: i64) -> bool {
        self.integer(1, count) == 1
    }

    /// As many whole numbers in `low..=high`.
    pub fn integers(&mut self, count: usize, low: i32, high: i32) -> Vec<i32> {
        (0..count)
            .map(|_| self.integer(low.into(), high.into()) as i32)
            .collect()
    }

    /// As many real numbers in `low..high`.
    pub fn reals(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| self.real(low, high)).collect()
    }

    /// A multiplier whose every product is drawn from `low..=high`: neither symmetric nor 0 at `m(0, 0)` but by chance.
    pub fn multiplier(
        &mut self,
        activation: OperandFormat,
        weight: OperandFormat,
        low: i32,
        high: i32,
    ) -> Multiplier {
        let entries = self.integers(activation.cardinality() * weight.cardinality(), low, high);
        Multiplier::from_slice("random", activation, weight, &entries)
            .expect("there is one entry per pair of codes")
    }
}

/// How large the layers of a strategy are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How far an image reaches beyond its kernel, at most. Lines are longer and volumes less high, for about as many
    /// outputs.
    pub image: usize,
    /// The rows and columns of a matrix product, at most.
    pub matrix: usize,
    /// The inner size of a matrix product, at most; another share of them is deeper than 1024.
    pub inner: usize,
    /// Whether some layers have more than 1024 products per output.
    pub deep: bool,
}

impl Size {
    /// A few dozen outputs, for gradients and shrunken counterexamples.
    pub const SMALL: Self = Self {
        image: 4,
        matrix: 5,
        inner: 8,
        deep: false,
    };
    /// Hundreds of outputs, some of them deep.
    pub const MEDIUM: Self = Self {
        image: 16,
        matrix: 24,
        inner: 80,
        deep: true,
    };
    /// More than ten thousand outputs in the mean, some of them deep.
    pub const LARGE: Self = Self {
        image: 110,
        matrix: 190,
        inner: 60,
        deep: true,
    };
}

/// Operand formats of 2 to 8 bits.
pub fn formats() -> impl Strategy<Value = OperandFormat> {
    (2u8..=8, any::<bool>()).prop_map(|(bits, signed)| {
        let signedness = if signed {
            Signedness::Signed
        } else {
            Signedness::Unsigned
        };
        OperandFormat::new(bits, signedness).expect("2 to 8 bits are supported")
    })
}

/// Operand formats of up to 16 bits, at least one of which is wider than 8.
pub fn wide_formats() -> impl Strategy<Value = [OperandFormat; 2]> {
    let format = |bits: std::ops::RangeInclusive<u8>| {
        (bits, any::<bool>()).prop_map(|(bits, signed)| {
            let signedness = match signed {
                true => Signedness::Signed,
                false => Signedness::Unsigned,
            };
            OperandFormat::new(bits, signedness).expect("2 to 16 bits are supported")
        })
    };
    (format(9..=16), format(2..=16), any::<bool>()).prop_map(|(wide, other, swap)| match swap {
        true => [other, wide],
        false => [wide, other],
    })
}

/// Code ranges within a format: all of it, without the lowest code, the non-negative codes, or any part with 0 in it.
fn code_ranges(format: OperandFormat) -> impl Strategy<Value = CodeRange> {
    prop_oneof![
        3 => Just(CodeRange::full(format)),
        2 => Just(CodeRange::mirrored(format)),
        1 => Just(CodeRange::non_negative(format)),
        2 => (format.min_code()..=0, 1..=format.max_code())
            .prop_map(|(low, high)| CodeRange::new(low, high).expect("0 is within, and 1")),
    ]
}

fn linear(size: Size) -> impl Strategy<Value = LayerGeometry> {
    let inner = if size.deep {
        prop_oneof![6 => 1..=size.inner, 1 => 1025..=2600usize].boxed()
    } else {
        (1..=size.inner).boxed()
    };
    let leading = prop_oneof![
        (1..=size.matrix).prop_map(|rows| vec![rows]),
        (1..=3usize, 1..=size.matrix / 2).prop_map(|(batch, rows)| vec![batch, rows]),
        (1..=2usize, 1..=3usize, 1..=size.matrix / 4 + 1).prop_map(|(a, b, c)| vec![a, b, c]),
    ];
    (leading, inner, 1..=size.matrix).prop_map(|(leading, inputs, outputs)| LayerGeometry::Linear {
        // A deep layer is kept short.
        leading: if inputs > 1024 {
            leading.into_iter().map(|size| size.div_ceil(8)).collect()
        } else {
            leading
        },
        inputs,
        outputs,
    })
}

fn matmul(size: Size) -> impl Strategy<Value = LayerGeometry> {
    let batch = || {
        (1..=3usize, 0..3u8).prop_map(|(size, broadcast)| match broadcast {
            0 => [size, 1],
            1 => [1, size],
            _ => [size, size],
        })
    };
    let side = size.matrix * 2 / 3 + 1;
    (batch(), batch(), 1..=side, 1..=size.inner, 1..=side).prop_map(
        |(outer, nested, rows, inner, columns)| LayerGeometry::Matmul {
            activation_batch: [outer[0], nested[0]],
            weight_batch: [outer[1], nested[1]],
            rows,
            inner,
            columns,
        },
    )
}

/// Groups, and the input and output channels of each: one group, several, and depthwise with a channel multiplier.
fn channels(most: usize) -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![
        3 => (Just(1usize), 1..=most, 1..=most),
        3 => (2..=4usize, 1..=most / 2, 1..=most / 2),
        2 => (1..=most, Just(1usize), 1..=2usize),
    ]
}

/// Along one axis: the kernel's size, stride, dilation, padding on both sides, and how far the input reaches beyond the
/// kernel.
type Axis = (usize, usize, usize, (usize, usize), usize);

fn axis(kernel: usize, spread: usize, reach: usize) -> impl Strategy<Value = Axis> {
    let padding = (0..=spread, 0..=spread);
    (1..=kernel, 1..=3usize, 1..=spread, padding, 0..=reach)
}

fn convolution<const N: usize>(
    batch: usize,
    (groups, group_inputs, group_outputs): (usize, usize, usize),
    axes: [Axis; N],
) -> Convolution<N> {
    let input = axes.map(|(kernel, _, dilation, (before, after), reach)| {
        let span = dilation * (kernel - 1) + 1;
        (span + reach).saturating_sub(before + after).max(1)
    });
    Convolution {
        batch,
        groups,
        group_inputs,
        group_outputs,
        input,
        kernel: axes.map(|axis| axis.0),
        stride: axes.map(|axis| axis.1),
        dilation: axes.map(|axis| axis.2),
        padding: axes.map(|axis| axis.3),
    }
}

fn conv1d(size: Size) -> impl Strategy<Value = LayerGeometry> {
    let length = size.image * size.image;
    (channels(6), 1..=2usize, axis(7, 3, length))
        .prop_map(|(channels, batch, axis)| convolution(batch, channels, [axis]))
        .prop_map(LayerGeometry::Conv1d)
}

fn conv2d(size: Size) -> impl Strategy<Value = LayerGeometry> {
    let axis = || axis(4, 3, size.image);
    (channels(6), 1..=2usize, axis(), axis())
        .prop_map(|(channels, batch, rows, columns)| convolution(batch, channels, [rows, columns]))
        .prop_map(LayerGeometry::Conv2d)
}

/// Padded alike on both sides of an axis, as Burn pads volumes.
fn conv3d(size: Size) -> impl Strategy<Value = LayerGeometry> {
    let side = (size.image as f64).powf(2.0 / 3.0) as usize;
    let axis = || {
        axis(3, 2, side).prop_map(|(kernel, stride, dilation, (padding, _), reach)| {
            (kernel, stride, dilation, (padding, padding), reach)
        })
    };
    (channels(4), 1..=2usize, axis(), axis(), axis())
        .prop_map(|(channels, batch, slices, rows, columns)| {
            convolution(batch, channels, [slices, rows, columns])
        })
        .prop_map(LayerGeometry::Conv3d)
}

/// A transposed convolution, of which something is left after cropping.
fn transposed<const N: usize>(
    batch: usize,
    (groups, group_inputs, group_outputs): (usize, usize, usize),
    axes: [Axis; N],
    output_padding: [usize; N],
) -> TransposedConvolution<N> {
    let full = TransposedConvolution {
        batch,
        groups,
        group_inputs,
        group_outputs,
        input: axes.map(|axis| axis.4 + 1),
        kernel: axes.map(|axis| axis.0),
        stride: axes.map(|axis| axis.1),
        dilation: axes.map(|axis| axis.2),
        padding: [0; N],
        output_padding: std::array::from_fn(|axis| output_padding[axis] % axes[axis].1),
    };
    let output = full.output();
    TransposedConvolution {
        padding: std::array::from_fn(|axis| axes[axis].3.0.min((output[axis] - 1) / 2)),
        ..full
    }
}

fn conv_transpose1d(size: Size) -> impl Strategy<Value = LayerGeometry> {
    let length = size.image * size.image / 2;
    (channels(5), 1..=2usize, axis(7, 3, length), 0..3usize)
        .prop_map(|(channels, batch, axis, end)| transposed(batch, channels, [axis], [end]))
        .prop_map(LayerGeometry::ConvTranspose1d)
}

fn conv_transpose2d(size: Size) -> impl Strategy<Value = LayerGeometry> {
    let axis = || axis(4, 3, size.image / 2);
    (channels(5), 1..=2usize, axis(), axis(), [0..3usize, 0..3])
        .prop_map(|(channels, batch, rows, columns, end)| {
            transposed(batch, channels, [rows, columns], end)
        })
        .prop_map(LayerGeometry::ConvTranspose2d)
}

/// Convolutions with more than 1024 products per output.
fn deep_conv2d() -> impl Strategy<Value = LayerGeometry> {
    (
        1..=2usize,
        115..=150usize,
        1..=4usize,
        1..=6usize,
        0..=2usize,
    )
        .prop_map(|(groups, group_inputs, group_outputs, side, padding)| {
            LayerGeometry::Conv2d(Convolution {
                batch: 1,
                groups,
                group_inputs,
                group_outputs,
                input: [side + 2, side + 3],
                kernel: [3, 3],
                stride: [1, 1],
                dilation: [1, 1],
                padding: [(padding, 0), (1, padding)],
            })
        })
}

/// Layers of every kind.
pub fn geometries(size: Size) -> BoxedStrategy<LayerGeometry> {
    if size.deep {
        prop_oneof![
            6 => linear(size),
            5 => matmul(size),
            3 => conv1d(size),
            12 => conv2d(size),
            3 => conv3d(size),
            2 => conv_transpose1d(size),
            5 => conv_transpose2d(size),
            1 => deep_conv2d(),
        ]
        .boxed()
    } else {
        prop_oneof![
            2 => linear(size),
            2 => matmul(size),
            1 => conv1d(size),
            4 => conv2d(size),
            1 => conv3d(size),
            1 => conv_transpose1d(size),
            2 => conv_transpose2d(size),
        ]
        .boxed()
    }
}

/// Where a strategy puts a zero point.
#[derive(Clone, Copy, Debug)]
enum Zero {
    Code0,
    Lowest,
    Highest,
    Anywhere,
}

fn operand_settings(
    formats: impl Strategy<Value = OperandFormat>,
) -> impl Strategy<Value = (OperandFormat, CodeRange, Zero)> {
    let zeros = prop_oneof![
        Just(Zero::Code0),
        Just(Zero::Lowest),
        Just(Zero::Highest),
        Just(Zero::Anywhere),
    ];
    formats.prop_flat_map(move |format| (Just(format), code_ranges(format), zeros.clone()))
}

/// Layers with values for both operands and quantisers of every sort: 2 to 8 bits, signed and unsigned, narrow ranges,
/// zero points anywhere and at both ends, weights per tensor and per channel. Some values lie beyond the codes, and
/// some layers hold extreme codes alone.
pub fn layers(size: Size) -> impl Strategy<Value = Layer> {
    layers_of(size, [formats().boxed(), formats().boxed()])
}

/// Layers as [`layers`] has them, for operands of given formats.
pub fn layers_of(
    size: Size,
    [activation, weight]: [BoxedStrategy<OperandFormat>; 2],
) -> impl Strategy<Value = Layer> {
    let settings = (
        operand_settings(activation),
        operand_settings(weight),
        any::<bool>(),
        any::<u64>(),
    );
    (geometries(size), settings).prop_map(|(geometry, settings)| {
        let (activation, weight, per_channel, seed) = settings;
        let mut random = Random::new(seed);
        let channels = per_channel.then(|| (geometry.channel_axis(), geometry.channels()));
        let activation = operand(&mut random, geometry.activation_shape(), activation, None);
        let weight = operand(&mut random, geometry.weight_shape(), weight, channels);
        Layer {
            geometry,
            activation,
            weight,
        }
    })
}

fn operand(
    random: &mut Random,
    shape: Vec<usize>,
    (format, range, zero): (OperandFormat, CodeRange, Zero),
    channels: Option<(usize, usize)>,
) -> Operand {
    let count = channels.map_or(1, |(_, count)| count);
    let (low, high) = (range.low(), range.high());
    let scales = (0..count)
        .map(|_| random.real(0.5, 1.5) * f32::powi(2.0, random.integer(-9, 2) as i32))
        .collect::<Vec<f32>>();
    let zero_points = match zero {
        Zero::Code0 => vec![0; count],
        Zero::Lowest => vec![low; count],
        Zero::Highest => vec![high; count],
        Zero::Anywhere => random.integers(count, low, high),
    };
    let mut operand = Operand {
        values: Vec::new(),
        shape,
        scales,
        zero_points,
        channel_axis: channels.map(|(axis, _)| axis),
        range,
        format,
    };
    let extreme = random.one_in(6);
    operand.values = (0..operand.shape.iter().product())
        .map(|index| {
            let channel = operand.channel(index);
            let code = if extreme {
                [low, high][random.integer(0, 1) as usize]
            } else {
                // Up to two codes beyond either end.
                random.integer(i64::from(low) - 2, i64::from(high) + 2) as i32
            };
            let offset = random.real(-0.49, 0.49);
            operand.scales[channel] * ((code - operand.zero_points[channel]) as f32 + offset)
        })
        .collect();
    operand
}
