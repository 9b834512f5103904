//! What the launches of products have in common: the operands checked against each other, and turned into arguments.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::codes::PackedCodes;
use crate::device::Limits;
use crate::error::{KernelError, check_buffer, check_length};
use crate::kernels::epilogue::{EpilogueArgs, FLAG_BYTES, RawSumsLaunch, RescaleLaunch};
use crate::kernels::sums::SumKind;
use crate::kernels::tile::UNITS;
use crate::product::{Operand, Output, ScalarProduct};

/// A product whose parts fit together.
pub(super) struct Prepared<'a> {
    activation: Operand<'a>,
    weight: Operand<'a>,
    product: ScalarProduct<'a>,
    output: Output<'a>,
    limits: Limits,
}

/// The lengths that follow from a product's shape.
pub(super) struct Lengths {
    pub(super) activation: usize,
    pub(super) weight: usize,
    /// The number of products in a sum.
    pub(super) depth: usize,
    /// The number of output channels.
    pub(super) channels: usize,
}

impl<'a> Prepared<'a> {
    /// Checks the parts of a product.
    pub(super) fn new(
        client: &Client,
        [activation, weight]: [Operand<'a>; 2],
        product: ScalarProduct<'a>,
        output: Output<'a>,
        lengths: Lengths,
    ) -> Result<Self, KernelError> {
        check_length("activations", lengths.activation, activation.codes.length())?;
        check_length("weights", lengths.weight, weight.codes.length())?;
        for ((operand, name), expected) in [(activation, "activations"), (weight, "weights")]
            .into_iter()
            .zip(product.bits())
        {
            if operand.codes.bits() != expected {
                return Err(KernelError::OperandWidth {
                    operand: name,
                    expected,
                    actual: operand.codes.bits(),
                });
            }
            if let Some(poison) = operand.poison {
                check_buffer::<u32>("a poison flag", 1, poison)?;
            }
        }
        match output {
            Output::Accumulators { .. } => {
                if product.sum_kind() == SumKind::TwoWords {
                    return Err(KernelError::WideAccumulators);
                }
            }
            Output::Rescaled {
                activation: quantizer,
                weight: quantizers,
            } => {
                check_length("the activation's quantisers", 1, quantizer.channels())?;
                if quantizers.channels() != 1 {
                    check_length(
                        "the weight's quantisers",
                        lengths.channels,
                        quantizers.channels(),
                    )?;
                }
                // Sums of code values, also of their distances from a zero point, are 32 bits wide.
                let largest = |codes: &PackedCodes| (1u128 << codes.bits()) - 1;
                let code = largest(activation.codes).max(largest(weight.codes));
                if !(quantizer.is_symmetric() && quantizers.is_symmetric()) {
                    super::check_count("the largest sum of codes", code * lengths.depth as u128)?;
                }
            }
        }
        Ok(Self {
            activation,
            weight,
            product,
            output,
            limits: Limits::of(client),
        })
    }

    /// What sums are accumulated in.
    pub(super) fn sum_kind(&self) -> SumKind {
        self.product.sum_kind()
    }

    /// The most buffers that a kernel is given: operands, tables, quantisers, flags, pairs, the result and the scalars.
    fn buffers(&self) -> usize {
        let of_output = match self.output {
            Output::Accumulators { .. } => 0,
            Output::Rescaled { .. } => {
                let flags = [self.activation.poison, self.weight.poison];
                2 + flags.iter().flatten().count()
            }
        };
        6 + of_output
    }

    /// Whether the table, if there is one, is copied to shared memory beside `tiles` bytes, and a grid for `count` pieces of
    /// work; an error if the device cannot run the kernel at all.
    pub(super) fn placement(
        &self,
        tiles: usize,
        count: usize,
    ) -> Result<(bool, CubeCount), KernelError> {
        let needed = tiles + FLAG_BYTES;
        self.limits.check(UNITS * UNITS, needed, self.buffers())?;
        let used = self.product.table_bytes().map(|table| table + needed);
        Ok(
            match used.filter(|used| *used <= self.limits.shared_memory) {
                Some(used) => (true, self.limits.resident_grid(count, used)),
                None => (false, self.limits.grid(count)),
            },
        )
    }

    /// The operands as arguments.
    pub(super) fn operands(&self) -> [crate::codes::CodesLaunch; 2] {
        [
            self.activation.codes.argument(),
            self.weight.codes.argument(),
        ]
    }

    /// The scalar product as an argument.
    pub(super) fn product(
        &self,
        shared: bool,
    ) -> crate::kernels::scalar_product::ScalarProductArgs {
        self.product.argument(shared)
    }

    /// What is put out, as an argument.
    pub(super) fn epilogue(&self) -> EpilogueArgs {
        match self.output {
            Output::Accumulators { padding_code } => EpilogueArgs::Accumulators(
                RawSumsLaunch::new(self.activation.codes.pattern(padding_code)),
            ),
            Output::Rescaled { activation, weight } => {
                let flag = |operand: Operand| {
                    // SAFETY: a flag was checked to have a word.
                    let argument =
                        |poison: &Handle| unsafe { BufferArg::from_raw_parts(poison.clone(), 1) };
                    ComptimeOptionArgs::from(operand.poison.map(argument))
                };
                EpilogueArgs::Rescaled(RescaleLaunch::new(
                    activation.argument(),
                    weight.argument(),
                    flag(self.activation),
                    flag(self.weight),
                ))
            }
        }
    }
}
