//! What can be wrong with a kernel's arguments, as one typed error.

use thiserror::Error;

/// Why a launch was refused. Nothing has been computed when one of these is returned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeviceKernelError {
    /// Codes of no bits or of more than 16.
    #[error("codes of {bits} bits; they have 1 to 16")]
    CodeWidth {
        /// The width that was asked for.
        bits: u32,
    },
    /// Something whose length does not follow from the shape.
    #[error("{operand} have {actual} elements where the shape asks for {expected}")]
    Length {
        /// What it is.
        operand: &'static str,
        /// The number of elements that the shape asks for.
        expected: usize,
        /// The number of elements that came.
        actual: usize,
    },
    /// A buffer that holds less than its description says.
    #[error("the buffer of {operand} has {actual} bytes where {expected} are described")]
    Buffer {
        /// What it holds.
        operand: &'static str,
        /// The number of bytes described.
        expected: u64,
        /// The number of bytes there are.
        actual: u64,
    },
    /// Codes of another width than the product takes.
    #[error("{operand} have codes of {actual} bits where the product takes {expected}")]
    OperandWidth {
        /// `"activations"` or `"weights"`.
        operand: &'static str,
        /// The width that the product takes.
        expected: u32,
        /// The width of the codes.
        actual: u32,
    },
    /// A number of elements beyond what 32-bit indices reach.
    #[error("{quantity}: {count}, more than the {limit} that 32-bit kernels can count")]
    TooLarge {
        /// What was counted.
        quantity: &'static str,
        /// How many there are.
        count: u128,
        /// How many there may be.
        limit: u128,
    },
    /// A stride, a dilation, or a number of groups or quantisers of zero.
    #[error("the {parameter} is zero; it must be at least 1")]
    Zero {
        /// Which parameter.
        parameter: &'static str,
    },
    /// Groups that do not divide the channels.
    #[error("{groups} groups do not divide {channels} {side} channels")]
    Groups {
        /// The number of groups.
        groups: usize,
        /// The number of channels.
        channels: usize,
        /// `"input"` or `"output"`.
        side: &'static str,
    },
    /// A pair that names a matrix which is not there.
    #[error("a pair names matrix {index} of {count} {operand}")]
    Pair {
        /// `"activations"` or `"weights"`.
        operand: &'static str,
        /// The index that was named.
        index: u32,
        /// The number of matrices.
        count: usize,
    },
    /// A tensor that is not a number of whole blocks of channels.
    #[error("{length} elements are not whole blocks of {channels} channels of {inner} elements")]
    Layout {
        /// The number of elements.
        length: usize,
        /// The number of channels.
        channels: usize,
        /// The number of neighbouring elements of one channel.
        inner: usize,
    },
    /// Neither one quantiser nor one per channel.
    #[error(
        "{actual} quantisers of {operand}, whose {channels} channels have one each or one for all"
    )]
    Quantizers {
        /// `"activations"` or `"weights"`.
        operand: &'static str,
        /// The number of channels.
        channels: usize,
        /// The number of quantisers.
        actual: usize,
    },
    /// A range of codes beyond those of a format.
    #[error("codes from {low} to {high}, which are not among those from {lowest} to {highest}")]
    CodeRange {
        /// The lowest code.
        low: i32,
        /// The highest code.
        high: i32,
        /// The lowest code of the format.
        lowest: i32,
        /// The highest code of the format.
        highest: i32,
    },
    /// Two-word accumulators asked for as they are.
    #[error(
        "accumulators are put out as 32-bit integers, and these have two words; ask for rescaled values"
    )]
    WideAccumulators,
    /// A device that cannot run the kernel.
    #[error("the device has {available} {resource} where the kernel needs {needed}")]
    Device {
        /// What there is too little of.
        resource: &'static str,
        /// How much the kernel needs.
        needed: usize,
        /// How much the device has.
        available: usize,
    },
}
