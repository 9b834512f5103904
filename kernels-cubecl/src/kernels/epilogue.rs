//! What becomes of a sum of products: itself, or the real value that it stands for,
//!
//! ```text
//! y = s_x s_w (acc - z_x sum b - z_w sum a + K z_x z_w) = s_x s_w (acc - z_x sum b - z_w (sum a - K z_x))
//! ```
//!
//! with the scales `s` and zero points `z` of activation and weight and the sums of the codes of the `K` products that
//! entered `acc`. The bracket is an exact integer of 64 bits, rounded to float32 once; for real-valued factors it is
//! the float sum plus the corrections, an exact integer rounded to float32 once.

use cubecl::prelude::*;

use crate::codes::Codes;
use crate::float_bits::bits_unless;
use crate::kernels::code_sums::CodeSums;
use crate::kernels::sums::{Sums, Total, TotalExpand};
use crate::quantizer::Quantizers;
use crate::wide::Wide;

/// The bytes of shared memory that [`Epilogue::poison`] takes.
pub(crate) const FLAG_BYTES: usize = 4;

/// What is done with sums.
#[derive(CubeType, CubeLaunch)]
#[expect(dead_code, reason = "kernels construct what the macro makes of it")]
pub(crate) enum Epilogue {
    Accumulators(RawSums),
    Rescaled(Rescale),
}

/// Sums as they are.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct RawSums {
    /// The bit pattern of a padded tap.
    padding: u32,
}

/// Sums as real values.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Rescale {
    /// One quantiser.
    activation: Quantizers,
    /// One quantiser, or one per output channel.
    weight: Quantizers,
    /// One word each, not 0 if a NaN was among the encoded values.
    activation_poison: ComptimeOption<Box<[u32]>>,
    weight_poison: ComptimeOption<Box<[u32]>>,
}

#[cube]
impl Epilogue {
    /// Whether the sums of the weights' codes are needed.
    pub(crate) fn needs_weight_sums(&self) -> comptime_type!(bool) {
        match self {
            Epilogue::Accumulators(_) => comptime!(false),
            Epilogue::Rescaled(rescale) => comptime!(!rescale.activation.symmetric),
        }
    }

    /// Whether the sums of the activations' codes are needed.
    pub(crate) fn needs_activation_sums(&self) -> comptime_type!(bool) {
        match self {
            Epilogue::Accumulators(_) => comptime!(false),
            Epilogue::Rescaled(rescale) => comptime!(!rescale.weight.symmetric),
        }
    }

    /// The bit pattern of a padded tap: the code of the real value 0.
    pub(crate) fn padding(&self, activation: &Codes) -> u32 {
        match self {
            Epilogue::Accumulators(raw) => raw.padding,
            Epilogue::Rescaled(rescale) => {
                activation.pattern_of(rescale.activation.zero_point(0u32))
            }
        }
    }

    /// 1 where no result can be a number, else 0. All units of the cube take part.
    pub(crate) fn poison(&self) -> u32 {
        match self {
            Epilogue::Accumulators(_) => 0u32.runtime(),
            Epilogue::Rescaled(rescale) => rescale.poison(),
        }
    }

    /// The bits of the result of a sum of products of `codes`.
    pub(crate) fn finish(
        &self,
        sums: &Sums,
        #[comptime] index: usize,
        codes: CodeSums,
        channel: u32,
        poison: u32,
    ) -> u32 {
        let total = sums.total(index);
        match self {
            Epilogue::Accumulators(_) => match total {
                Total::Integer(total) => total.low,
                Total::Real(total) => u32::reinterpret(total.value),
            },
            Epilogue::Rescaled(rescale) => {
                let correction = rescale.correction(codes, channel);
                let value = match total {
                    Total::Integer(total) => total.minus(correction).to_f32(),
                    Total::Real(total) => total.value - correction.to_f32(),
                };
                let scale = rescale.activation.scale(0u32) * rescale.weight.scale(channel);
                bits_unless(poison != 0, scale * value)
            }
        }
    }
}

#[cube]
impl Rescale {
    /// `z_x sum b + z_w (sum a - K z_x)`.
    fn correction(&self, codes: CodeSums, channel: u32) -> Wide {
        let of_weights = if comptime!(!self.activation.symmetric) {
            Wide::product(self.activation.zero_point(0u32), codes.weight)
        } else {
            Wide::from_unsigned(0u32)
        };
        let of_activations = if comptime!(!self.weight.symmetric) {
            let mut shifted_sum = codes.activation;
            if comptime!(!self.activation.symmetric) {
                shifted_sum -= i32::reinterpret(codes.products) * self.activation.zero_point(0u32);
            }
            Wide::product(self.weight.zero_point(channel), shifted_sum)
        } else {
            Wide::from_unsigned(0u32)
        };
        of_weights.plus(of_activations)
    }

    /// 1 if a NaN was encoded or a quantiser is not finite, else 0.
    fn poison(&self) -> u32 {
        let poison = Shared::<[Atomic<u32>]>::new_slice(1usize);
        if UNIT_POS == 0 {
            poison[0].store(0u32);
        }
        sync_cube();
        let mut found = false;
        if UNIT_POS == 0 {
            found = !self.activation.is_finite(0u32);
            found = found || flag(&self.activation_poison) != 0;
            found = found || flag(&self.weight_poison) != 0;
        }
        let mut channel = UNIT_POS;
        while channel < self.weight.channels() {
            found = found || !self.weight.is_finite(channel);
            channel += CUBE_DIM;
        }
        if found {
            poison[0].store(1u32);
        }
        sync_cube();
        poison[0].load()
    }
}

/// The word of a flag; 0 without one.
#[cube]
fn flag(words: &ComptimeOption<Box<[u32]>>) -> u32 {
    if comptime!(words.is_some()) {
        words.as_ref().unwrap()[0]
    } else {
        0u32.runtime()
    }
}
