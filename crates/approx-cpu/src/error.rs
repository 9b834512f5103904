//! What can be wrong with a kernel's arguments, as one typed error.

use thiserror::Error;

/// Why a kernel refused its arguments. Nothing has been computed when one of these is returned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KernelError {
    /// An operand width outside 2..=8 bits.
    #[error("an operand is {bits} bits wide; lookup kernels take 2 to 8 bits")]
    OperandWidth {
        /// The width that was asked for.
        bits: u8,
    },
    /// An operand of a factored product with a width outside 2..=16 bits.
    #[error("an operand is {bits} bits wide; factored products take 2 to 16 bits")]
    FactoredOperandWidth {
        /// The width that was asked for.
        bits: u8,
    },
    /// An operand of a circuit with a width outside 1..=16 bits.
    #[error("an operand is {bits} bits wide; circuits take 1 to 16 bits")]
    CircuitOperandWidth {
        /// The width that was asked for.
        bits: u8,
    },
    /// A circuit that has other inputs than its operands have bits, or too many outputs.
    #[error(
        "the circuit has {inputs} inputs and {outputs} outputs, those for its scale included; for operands of {operands} \
         bits together it needs as many inputs, and may have 49 outputs"
    )]
    CircuitPorts {
        /// The circuit's inputs.
        inputs: usize,
        /// Its outputs, and the bits of its scale.
        outputs: usize,
        /// The bits of both operands.
        operands: usize,
    },
    /// 8-bit patterns for an operand that is wider.
    #[error(
        "{operand} came as 8-bit patterns, but the operand is {bits} bits wide and takes 16-bit ones"
    )]
    NarrowPatterns {
        /// `"activations"` or `"weights"`.
        operand: &'static str,
        /// The operand's width.
        bits: u8,
    },
    /// A quantiser that yields something else than codes of the operand.
    #[error("the quantiser's {parameter} is not a code of a {bits}-bit {} operand", if *.signed { "signed" } else { "unsigned" })]
    Quantizer {
        /// Which parameter: `"lowest code"`, `"highest code"` or `"zero point"`.
        parameter: &'static str,
        /// The operand's width.
        bits: u8,
        /// Whether the operand's codes are signed.
        signed: bool,
    },
    /// A NaN among values to be quantised.
    #[error("{operand} contain a NaN, which has no code")]
    NotANumber {
        /// `"activations"` or `"weights"`.
        operand: &'static str,
    },
    /// Weights that were packed by another product than they came back to.
    #[error(
        "the weights were packed for another product than the one that they are multiplied with"
    )]
    OtherProduct,
    /// Weights that were packed for other channels, groups or another kernel than the convolution has.
    #[error(
        "the weights were packed with {parameter} of {packed}, but the convolution's is {expected}"
    )]
    OtherConvolution {
        /// `"a number of output channels"`, `"a number of input channels per group"`, `"a number of groups"`,
        /// `"a kernel height"` or `"a kernel width"`.
        parameter: &'static str,
        /// What the weights were packed for.
        packed: usize,
        /// What the convolution has.
        expected: usize,
    },
    /// A slice whose length does not follow from the shape.
    #[error("{operand} has {actual} elements where the shape asks for {expected}")]
    Length {
        /// Which argument: `"table"`, `"activations"`, `"weights"`, `"channels"`, or a factor of a term.
        operand: &'static str,
        /// The number of elements the shape asks for.
        expected: usize,
        /// The number of elements that came.
        actual: usize,
    },
    /// A number of elements, or a padded side, that does not fit in `usize`; a sum that does not fit in 64 bits.
    #[error("the arguments are too large: {quantity} does not fit in a machine word")]
    Overflow {
        /// What was being counted.
        quantity: &'static str,
    },
    /// Zero groups, or a channel count that the groups do not divide.
    #[error("{groups} groups do not divide {channels} {side} channels")]
    Groups {
        /// The number of groups.
        groups: usize,
        /// The number of channels.
        channels: usize,
        /// `"input"` or `"output"`.
        side: &'static str,
    },
    /// A stride, a dilation or a kernel side of zero.
    #[error("the {parameter} of a convolution is zero")]
    Zero {
        /// Which parameter.
        parameter: &'static str,
    },
    /// A dilated kernel that does not fit into the padded input.
    #[error(
        "the kernel spans {kernel} positions of the {side}, more than the {input} of the padded input"
    )]
    KernelTooLarge {
        /// `"height"` or `"width"`.
        side: &'static str,
        /// The dilated kernel's extent.
        kernel: usize,
        /// The padded input's extent.
        input: usize,
    },
    /// A transposed convolution whose padding crops more than there is.
    #[error(
        "a padding of {padding} at both ends of the {side} crops more than the {output} positions of the output"
    )]
    CroppedAway {
        /// `"height"` or `"width"`.
        side: &'static str,
        /// The padding at each end.
        padding: usize,
        /// The output's extent before cropping.
        output: usize,
    },
}

/// Checks that groups divide the channels of both sides.
pub(crate) fn check_groups(
    groups: usize,
    in_channels: usize,
    out_channels: usize,
) -> Result<(), KernelError> {
    for (channels, side) in [(in_channels, "input"), (out_channels, "output")] {
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(KernelError::Groups {
                groups,
                channels,
                side,
            });
        }
    }
    Ok(())
}

/// Checks that a parameter is positive along both axes.
pub(crate) fn check_positive(parameter: &'static str, pair: [usize; 2]) -> Result<(), KernelError> {
    if pair.contains(&0) {
        return Err(KernelError::Zero { parameter });
    }
    Ok(())
}

/// The product of `factors`, or the error that names `quantity`.
pub(crate) fn checked_product(
    quantity: &'static str,
    factors: &[usize],
) -> Result<usize, KernelError> {
    // A factor of zero makes the product zero, whatever the others are.
    if factors.contains(&0) {
        return Ok(0);
    }
    factors
        .iter()
        .try_fold(1usize, |product, &factor| product.checked_mul(factor))
        .ok_or(KernelError::Overflow { quantity })
}

/// Checks that `operand` has the length its shape asks for.
pub(crate) fn check_length(
    operand: &'static str,
    expected: usize,
    actual: usize,
) -> Result<(), KernelError> {
    if expected == actual {
        Ok(())
    } else {
        Err(KernelError::Length {
            operand,
            expected,
            actual,
        })
    }
}
