//! What the tests of encoding share: operands that are hard to quantise.

use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
use cubecl::prelude::*;
use kernels_cubecl::{ChannelQuantization, QuantizerBuffer};
use proptest::prelude::*;

pub use crate::common::{client, download, upload};

/// Bits, so that NaNs compare and zeros differ by their sign. All NaNs are one.
pub fn bits(values: &[f32]) -> Vec<u32> {
    let canonical = |value: &f32| if value.is_nan() { f32::NAN } else { *value };
    values
        .iter()
        .map(|value| canonical(value).to_bits())
        .collect()
}

/// A tensor with the quantisers of its channels.
#[derive(Debug, Clone)]
pub struct Quantized {
    pub values: Vec<f32>,
    pub layout: ChannelLayout,
    pub bits: u32,
    pub signed: bool,
}

impl Quantized {
    pub fn low(&self) -> i32 {
        self.layout.channels[0].low as i32
    }

    pub fn high(&self) -> i32 {
        self.layout.channels[0].high as i32
    }

    pub fn quantizer(&self, client: &Client) -> QuantizerBuffer {
        let channels = &self.layout.channels;
        let parameters: Vec<f32> = [
            channels
                .iter()
                .map(|channel| channel.scale)
                .collect::<Vec<_>>(),
            channels.iter().map(|channel| channel.reciprocal).collect(),
            channels.iter().map(|channel| channel.zero_point).collect(),
        ]
        .concat();
        let symmetric = channels.iter().all(|channel| channel.zero_point == 0.0);
        QuantizerBuffer::new(upload(client, &parameters), channels.len(), symmetric).unwrap()
    }

    pub fn quantization<'a>(&self, quantizer: &'a QuantizerBuffer) -> ChannelQuantization<'a> {
        ChannelQuantization {
            quantizer,
            inner: self.layout.inner,
            low: self.low(),
            high: self.high(),
        }
    }
}

/// Ties, values near ties, values far beyond the codes, both zeros, subnormal values, infinities, NaNs.
fn value(scale: f32, nans: bool) -> impl Strategy<Value = f32> {
    let steps = prop_oneof![-70_000i32..70_000, -300i32..300, -3i32..3];
    let special = prop::sample::select(vec![
        0.0,
        -0.0,
        1e-40,
        -1e-40,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::MIN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        if nans { f32::NAN } else { 1.0 },
        if nans { -f32::NAN } else { -1.0 },
    ]);
    prop_oneof![
        4 => (steps, prop::sample::select(vec![0.0f32, 0.5, 0.25]), -1i32..=1).prop_map(move |(steps, part, nudge)| {
            let value = (steps as f32 + part) * scale;
            match nudge {
                -1 => value.next_down(),
                1 => value.next_up(),
                _ => value,
            }
        }),
        2 => (-4f32..4.0).prop_map(move |value| value * scale),
        1 => special,
    ]
}

/// Tensors of every layout, with codes of every width.
pub fn quantized(nans: bool) -> impl Strategy<Value = Quantized> {
    let format = (2u32..=16, any::<bool>(), any::<bool>());
    let layout = (1usize..6, 1usize..9, 0usize..9);
    (format, layout, prop_oneof![-20i32..10, Just(0)]).prop_flat_map(
        move |((bits, signed, symmetric), (channels, inner, outer), exponent)| {
            let (mut low, high) = if signed {
                (-1 << (bits - 1), (1 << (bits - 1)) - 1)
            } else {
                (0, (1 << bits) - 1)
            };
            if signed && symmetric {
                low += 1;
            }
            let quantizer = (1f32..2.0, any::<bool>(), low..=high).prop_map(
                move |(scale, power, zero_point)| {
                    let scale = if power { 1.0 } else { scale } * f32::powi(2.0, exponent);
                    ChannelQuantizer {
                        scale,
                        reciprocal: 1.0 / scale,
                        zero_point: if symmetric { 0.0 } else { zero_point as f32 },
                        low: low as f32,
                        high: high as f32,
                    }
                },
            );
            let length = channels * inner * outer;
            let values = prop::collection::vec(value(f32::powi(2.0, exponent), nans), length);
            (values, prop::collection::vec(quantizer, channels)).prop_map(
                move |(values, channels)| Quantized {
                    values,
                    layout: ChannelLayout { channels, inner },
                    bits,
                    signed,
                },
            )
        },
    )
}
