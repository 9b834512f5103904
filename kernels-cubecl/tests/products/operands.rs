//! Random operands, scalar products and quantisers, on the host and on the device, and the sums' way to real values as
//! a formula.

use cubecl::prelude::*;
use cubecl::server::Handle;
use kernels_cubecl::{
    DeviceFactors, DeviceTable, Operand, Output, PackedCodes, QuantizerBuffer, ScalarProduct, Words,
};
use proptest::prelude::*;

use crate::common::download;

/// Numbers that look random, from a seed.
pub struct Source(pub u64);

impl Source {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, often one of the two.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        match self.next() % 8 {
            0 => low,
            1 => high,
            _ => {
                (i128::from(low)
                    + i128::from(self.next()) % (i128::from(high) - i128::from(low) + 1))
                    as i64
            }
        }
    }

    pub fn many(&mut self, count: usize, low: i64, high: i64) -> Vec<i32> {
        (0..count).map(|_| self.between(low, high) as i32).collect()
    }
}

/// The codes of an operand.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    pub bits: u32,
    pub signed: bool,
}

impl Format {
    pub fn range(self) -> (i64, i64) {
        if self.signed {
            (-1 << (self.bits - 1), (1 << (self.bits - 1)) - 1)
        } else {
            (0, (1 << self.bits) - 1)
        }
    }

    pub fn pattern(self, code: i32) -> usize {
        (code & ((1 << self.bits) - 1)) as usize
    }

    pub fn codes(self, count: usize, source: &mut Source) -> Vec<i32> {
        let (low, high) = self.range();
        source.many(count, low, high)
    }

    pub fn pack(self, client: &Client, codes: &[i32]) -> PackedCodes {
        PackedCodes::from_codes(client, codes, self.bits, self.signed).unwrap()
    }
}

pub fn formats(bits: &'static [u32]) -> impl Strategy<Value = [Format; 2]> {
    let format = || {
        (prop::sample::select(bits), any::<bool>())
            .prop_map(|(bits, signed)| Format { bits, signed })
    };
    [format(), format()]
}

/// How products are computed on the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Entries that span 16 bits.
    NarrowTable,
    /// Entries that span more.
    WideTable,
    /// A number of terms.
    Factors(usize),
}

pub fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::NarrowTable),
        Just(Kind::WideTable),
        (0usize..4).prop_map(Kind::Factors)
    ]
}

pub fn words() -> impl Strategy<Value = Words> {
    prop_oneof![Just(Words::One), Just(Words::Two)]
}

/// A scalar product, as the host computes it.
#[derive(Clone, Debug)]
pub struct Product {
    pub formats: [Format; 2],
    pub words: Words,
    terms: Terms,
}

#[derive(Clone, Debug)]
enum Terms {
    Table(Vec<i32>),
    Factors(Vec<i32>, Vec<i32>),
}

impl Product {
    /// A random product whose sums over `depth` fit the words, and not much more.
    pub fn random(
        formats: [Format; 2],
        kind: Kind,
        words: Words,
        depth: usize,
        source: &mut Source,
    ) -> Self {
        let [activation, weight] = formats;
        let depth = depth.max(1) as i64;
        let limit = match words {
            Words::One => i64::from(i32::MAX) / depth,
            Words::Two => i64::from(i32::MAX),
        };
        let entries = 1 << (activation.bits + weight.bits);
        let terms = match kind {
            Kind::NarrowTable => {
                let minimum = source.between(-limit, limit - limit.min(65_535));
                Terms::Table(source.many(entries, minimum, minimum + limit.min(65_535)))
            }
            Kind::WideTable => Terms::Table(source.many(entries, -limit, limit)),
            Kind::Factors(count) => {
                let largest = match words {
                    Words::One => ((limit / count.max(1) as i64) as f64).sqrt() as i64,
                    Words::Two => 1 << 26,
                };
                Terms::Factors(
                    source.many(count << activation.bits, -largest, largest),
                    source.many(count << weight.bits, -largest, largest),
                )
            }
        };
        Self {
            formats,
            words,
            terms,
        }
    }

    pub fn table(formats: [Format; 2], words: Words, entries: Vec<i32>) -> Self {
        Self {
            formats,
            words,
            terms: Terms::Table(entries),
        }
    }

    pub fn factors(
        formats: [Format; 2],
        words: Words,
        activation: Vec<i32>,
        weight: Vec<i32>,
    ) -> Self {
        Self {
            formats,
            words,
            terms: Terms::Factors(activation, weight),
        }
    }

    /// The product of two codes.
    pub fn of(&self, a: i32, b: i32) -> i128 {
        let [activation, weight] = self.formats;
        let (a, b) = (activation.pattern(a), weight.pattern(b));
        match &self.terms {
            Terms::Table(entries) => entries[a << weight.bits | b].into(),
            Terms::Factors(u, v) => (0..u.len() >> activation.bits)
                .map(|t| {
                    let u = u[t << activation.bits | a];
                    let v = v[t << weight.bits | b];
                    i128::from(u) * i128::from(v)
                })
                .sum(),
        }
    }

    /// Runs something with the product on the device.
    pub fn on_device<R>(&self, client: &Client, run: impl FnOnce(ScalarProduct) -> R) -> R {
        let [activation, weight] = self.formats.map(|format| format.bits);
        let words = self.words;
        match &self.terms {
            Terms::Table(entries) => {
                let table = DeviceTable::new(client, entries, activation, weight).unwrap();
                run(ScalarProduct::Lookup {
                    table: &table,
                    words,
                })
            }
            Terms::Factors(u, v) => {
                let factors = DeviceFactors::<i32>::new(client, u, v, activation, weight).unwrap();
                run(ScalarProduct::Integer {
                    factors: &factors,
                    words,
                })
            }
        }
    }
}

/// The quantisers of both operands.
#[derive(Clone, Debug)]
pub struct Quantizers {
    pub activation_scale: f32,
    pub activation_zero_point: i32,
    pub weight_scales: Vec<f32>,
    pub weight_zero_points: Vec<i32>,
}

impl Quantizers {
    /// Random ones, for one weight channel or many.
    pub fn random(
        formats: [Format; 2],
        [activation_symmetric, weight_symmetric]: [bool; 2],
        channels: usize,
        source: &mut Source,
    ) -> Self {
        let mut scale = || {
            2f32.powi((source.next() % 40) as i32 - 20)
                * (1.0 + (source.next() % 999) as f32 / 999.0)
        };
        let weight_scales = (0..channels).map(|_| scale()).collect();
        let activation_scale = scale();
        let mut zero_point = |symmetric: bool, format: Format| {
            let (low, high) = format.range();
            if symmetric {
                0
            } else {
                source.between(low, high) as i32
            }
        };
        Self {
            activation_scale,
            activation_zero_point: zero_point(activation_symmetric, formats[0]),
            weight_scales,
            weight_zero_points: (0..channels)
                .map(|_| zero_point(weight_symmetric, formats[1]))
                .collect(),
        }
    }

    pub fn on_device(&self, client: &Client) -> [QuantizerBuffer; 2] {
        let buffer = |scales: &[f32], zero_points: &[i32]| {
            let zero_points: Vec<f32> = zero_points
                .iter()
                .map(|zero_point| *zero_point as f32)
                .collect();
            QuantizerBuffer::from_parameters(client, scales, &zero_points).unwrap()
        };
        [
            buffer(&[self.activation_scale], &[self.activation_zero_point]),
            buffer(&self.weight_scales, &self.weight_zero_points),
        ]
    }

    /// The real value of a sum over codes: the contract's formula.
    pub fn rescaled(&self, products: i128, codes: &[(i32, i32)], channel: usize) -> f32 {
        let channel = channel.min(self.weight_scales.len() - 1);
        let sum = |code: fn(&(i32, i32)) -> i32| {
            codes
                .iter()
                .map(|pair| i128::from(code(pair)))
                .sum::<i128>()
        };
        let (z_x, z_w) = (
            i128::from(self.activation_zero_point),
            i128::from(self.weight_zero_points[channel]),
        );
        let bracket = products - z_x * sum(|pair| pair.1) - z_w * sum(|pair| pair.0)
            + codes.len() as i128 * z_x * z_w;
        (self.activation_scale * self.weight_scales[channel]) * bracket as f32
    }
}

/// A result with all that entered it: the pairs of codes and the output channel.
pub struct Element {
    pub codes: Vec<(i32, i32)>,
    pub channel: usize,
}

/// Checks both outputs of a product, in one and the same order of elements; `padding` is the code of padded taps.
pub fn check(
    client: &Client,
    product: &Product,
    quantizers: &Quantizers,
    padding: i32,
    [activation, weight]: [&[i32]; 2],
    elements: &[Element],
    launch: impl Fn([Operand; 2], ScalarProduct, Output) -> Handle,
) -> Result<(), TestCaseError> {
    let packed = [
        product.formats[0].pack(client, activation),
        product.formats[1].pack(client, weight),
    ];
    let operands = || [Operand::new(&packed[0]), Operand::new(&packed[1])];
    let sum = |element: &Element| {
        element
            .codes
            .iter()
            .map(|&(a, b)| product.of(a, b))
            .sum::<i128>()
    };
    if product.words == Words::One {
        let expected: Vec<i32> = elements.iter().map(|element| sum(element) as i32).collect();
        let output = Output::Accumulators {
            padding_code: padding,
        };
        let found = product.on_device(client, |product| launch(operands(), product, output));
        prop_assert_eq!(download::<i32>(client, found, elements.len()), expected);
    }
    if padding == quantizers.activation_zero_point {
        let [activation, weight] = &quantizers.on_device(client);
        let output = Output::Rescaled { activation, weight };
        let found = product.on_device(client, |product| launch(operands(), product, output));
        let found = download::<f32>(client, found, elements.len());
        for (index, (element, found)) in elements.iter().zip(found).enumerate() {
            let expected = quantizers.rescaled(sum(element), &element.codes, element.channel);
            prop_assert_eq!(
                expected.to_bits(),
                found.to_bits(),
                "element {}: {} is not {}",
                index,
                found,
                expected
            );
        }
    }
    Ok(())
}
