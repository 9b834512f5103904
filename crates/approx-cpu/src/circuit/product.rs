//! The circuit of a multiplier, prepared for the kernels.

use approx_netlists::{Circuit, Program, Words};

use crate::accumulators::Accumulators;
use crate::error::KernelError;

/// The product of two operands as a circuit computes it, prepared for the kernels.
///
/// The activation always comes first. The circuit need not be symmetric, and the product of two zeros need not be zero.
///
/// ```
/// use approx_cpu::{Accumulators, CircuitProduct, MatmulShape};
/// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions};
///
/// // A 4 x 4 bit unsigned multiplier that drops the lowest bit of the weight. The weight's bits are the first inputs.
/// let text = "module m(input [3:0] w, a, output [7:0] p); assign p = a * {w[3:1], 1'b0}; endmodule";
/// let netlist = Netlist::parse(text, NetlistFormat::Verilog, &NetlistOptions::default())?;
/// let product = CircuitProduct::new(netlist.circuit(), [4, 4], false, 1)?;
/// assert_eq!(product.get(3, 5), 12);
///
/// let shape = MatmulShape { rows: 1, inner: 3, columns: 2 };
/// let sums = product.matmul(&[1, 2, 3], &[1, 4, 2, 5, 3, 6], shape)?;
/// assert_eq!(sums, Accumulators::I32(vec![0 + 4 + 6, 4 + 8 + 18]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CircuitProduct {
    pub(super) program: Program,
    pub(super) activation_bits: u8,
    pub(super) weight_bits: u8,
    /// Whether the highest output counts negatively.
    signed: bool,
    /// What the lowest output counts.
    scale: u32,
}

impl CircuitProduct {
    /// Prepares a circuit. Its inputs are the bits of the weight and then those of the activation, its outputs those of
    /// the product, the lowest first each time. A signed product is in two's complement. `scale` is what a 1 in the lowest
    /// output counts.
    ///
    /// # Errors
    ///
    /// [`KernelError::CircuitOperandWidth`] for an operand outside of 1 to 16 bits, and [`KernelError::CircuitPorts`] if
    /// the circuit does not have as many inputs as both operands have bits, or more than 48 bits of a product.
    pub fn new(
        circuit: &Circuit,
        [activation_bits, weight_bits]: [u8; 2],
        signed: bool,
        scale: u32,
    ) -> Result<Self, KernelError> {
        for bits in [activation_bits, weight_bits] {
            if !(1..=16).contains(&bits) {
                return Err(KernelError::CircuitOperandWidth { bits });
            }
        }
        let scale_bits = u32::BITS - scale.leading_zeros();
        let product_bits = circuit.outputs().len() + scale_bits as usize;
        let inputs = usize::from(activation_bits + weight_bits);
        if circuit.inputs() != inputs || product_bits > Self::MAX_PRODUCT_BITS + 1 {
            return Err(KernelError::CircuitPorts {
                inputs: circuit.inputs(),
                outputs: product_bits,
                operands: inputs,
            });
        }
        Ok(Self {
            program: circuit.program(),
            activation_bits,
            weight_bits,
            signed,
            scale,
        })
    }

    /// The most bits of a product and its scale: 2^15 of them add up to 63 bits.
    const MAX_PRODUCT_BITS: usize = 48;

    /// The product of two bit patterns; bits above the operands' widths are ignored.
    pub fn get(&self, activation_pattern: u16, weight_pattern: u16) -> i64 {
        let mut slots = vec![Words([0]); self.program.slots()];
        for (first, bits, pattern) in [
            (0, self.weight_bits, weight_pattern),
            (self.weight_bits, self.activation_bits, activation_pattern),
        ] {
            for bit in 0..bits {
                slots[usize::from(first + bit)] = Words([u64::from(pattern >> bit & 1)]);
            }
        }
        self.program.run(&mut slots);
        let bits = (0..).zip(self.program.outputs()).map(|(bit, output)| {
            let [word] = output.words(&slots);
            i64::from(word & 1 == 1) * self.worth(bit)
        });
        bits.sum()
    }

    /// What an output counts in the product.
    pub(super) fn worth(&self, bit: usize) -> i64 {
        let worth = i64::from(self.scale) << bit;
        match self.signed && bit + 1 == self.program.outputs().len() {
            true => -worth,
            false => worth,
        }
    }

    /// The largest magnitude that a product could have, by the number of its bits.
    fn bound(&self) -> i64 {
        let bits = self
            .program
            .outputs()
            .len()
            .saturating_sub(self.signed.into());
        i64::from(self.scale) << bits
    }

    /// Sums of at most so many products, in 32 bits where they are sure to fit.
    pub(super) fn accumulators(&self, sums: Vec<i64>, inner: usize) -> Accumulators {
        let is_narrow = i64::try_from(inner)
            .ok()
            .and_then(|inner| inner.checked_mul(self.bound()))
            .is_some_and(|bound| bound <= i64::from(i32::MAX));
        match is_narrow {
            true => Accumulators::I32(sums.into_iter().map(|sum| sum as i32).collect()),
            false => Accumulators::I64(sums),
        }
    }

    /// Checks that sums of so many products fit in 64 bits.
    pub(super) fn check_sums(&self, inner: usize) -> Result<(), KernelError> {
        let bound = i64::try_from(inner)
            .ok()
            .and_then(|inner| inner.checked_mul(self.bound()));
        bound.map(|_| ()).ok_or(KernelError::Overflow {
            quantity: "a sum of products",
        })
    }
}
