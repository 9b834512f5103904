//! The crate's error type: what was wrong, where, and what would be right.

use std::io;
use std::path::PathBuf;

use crate::import::ImportError;
use crate::{ContentHash, OperandFormat};

/// Everything that can be wrong with a multiplier, a file that holds one, or a request for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MultiplierError {
    /// An operand's bit width is not supported.
    #[error("an operand of {bits} bits is not supported: 2 to 16 bits are")]
    BitsOutOfRange {
        /// The width asked for.
        bits: u8,
    },

    /// A text does not name an operand format.
    #[error("{text:?} is not an operand format: write int2 to int16 or uint2 to uint16")]
    InvalidFormat {
        /// The text.
        text: String,
    },

    /// A product does not fit in the 32-bit entries of a table.
    #[error(
        "the product of {activation} and {weight} is {value}, which does not fit in a table's 32-bit signed entry"
    )]
    EntryOutOfRange {
        /// Code of the activation.
        activation: i32,
        /// Code of the weight.
        weight: i32,
        /// The product.
        value: i128,
    },

    /// The number of entries does not match the operand formats.
    #[error(
        "{found} entries for {activation} activations and {weight} weights: {expected} are needed"
    )]
    WrongEntryCount {
        /// Format of the activation.
        activation: OperandFormat,
        /// Format of the weight.
        weight: OperandFormat,
        /// How many entries the formats ask for.
        expected: usize,
        /// How many there were.
        found: usize,
    },

    /// The operands have too many bits for a table.
    #[error(
        "a table for {activation} activations and {weight} weights would have 2^{} entries: at most 2^{} \
         (12 x 12 bits) are supported",
        activation.bits() + weight.bits(),
        crate::MAX_INDEX_BITS
    )]
    TableTooLarge {
        /// Format of the activation.
        activation: OperandFormat,
        /// Format of the weight.
        weight: OperandFormat,
    },

    /// A text names no kind of files that can be written.
    #[error("{text:?} is no format of files that can be written: there are {known}")]
    UnknownExportFormat {
        /// The text.
        text: String,
        /// The names that there are.
        known: String,
    },

    /// A file could not be read or written.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, "read" or "write".
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// An input is not a readable `.npy` array.
    #[error("{origin} is not a readable .npy array: {reason}")]
    InvalidNpy {
        /// The file, or what stands for it.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A `.npy` array does not hold integers.
    #[error(
        "{origin} holds entries of type {found}: a table of products needs 8- to 64-bit integers, such as '<i4'"
    )]
    NpyElementType {
        /// The file, or what stands for it.
        origin: String,
        /// The array's NumPy type.
        found: String,
    },

    /// A `.npy` array has another shape than the operand formats ask for.
    #[error(
        "{origin} has shape [{}]: {activation} activations and {weight} weights need [{}, {}]",
        found.join(", "),
        activation.cardinality(),
        weight.cardinality()
    )]
    NpyShape {
        /// The file, or what stands for it.
        origin: String,
        /// Format of the activation.
        activation: OperandFormat,
        /// Format of the weight.
        weight: OperandFormat,
        /// The array's shape.
        found: Vec<String>,
    },

    /// A `.npy` array ends early.
    #[error("{origin} ends after {found} of {expected} entries")]
    NpyTruncated {
        /// The file, or what stands for it.
        origin: String,
        /// How many entries its header announces.
        expected: usize,
        /// How many entries were there.
        found: usize,
    },

    /// Compressed table entries or factors cannot be decoded.
    #[error("the compressed table or vector of factors cannot be decoded: {reason}")]
    InvalidCompressedTable {
        /// What is wrong with them.
        reason: String,
    },

    /// An HTP model is malformed.
    #[error("HTP model {model}: {reason}")]
    InvalidHtpModel {
        /// The model's name.
        model: String,
        /// What is wrong with it, and in which term.
        reason: String,
    },

    /// Sign-magnitude use was asked of a multiplier that is not unsigned.
    #[error(
        "{name} cannot be used with sign-magnitude operands: it takes {activation} activations and {weight} weights, \
         and both must be unsigned"
    )]
    NotUnsigned {
        /// The multiplier's name.
        name: String,
        /// Format of its activation.
        activation: OperandFormat,
        /// Format of its weight.
        weight: OperandFormat,
    },

    /// An operation on integer products was asked of an HTP model, whose products are real numbers.
    #[error("{name} is an HTP model, whose products are not integers: it has no {operation}")]
    NotIntegerValued {
        /// The multiplier's name.
        name: String,
        /// What was asked for.
        operation: &'static str,
    },

    /// No bundled item has this name.
    #[error("there is no bundled {kind} named {name:?}; the nearest names are {}", nearest.join(", "))]
    UnknownName {
        /// "multiplier" or "HTP model".
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The most similar names, best first.
        nearest: Vec<&'static str>,
    },

    /// A multiplier's content is not the one that was asked for.
    #[error(
        "{name} has the content hash {found}, but {expected} was asked for: it is another multiplier"
    )]
    HashMismatch {
        /// The multiplier's name.
        name: String,
        /// The hash asked for.
        expected: ContentHash,
        /// The hash of what is there.
        found: ContentHash,
    },

    /// A text is not a content hash.
    #[error("{text:?} is not a content hash: 64 hexadecimal digits are needed")]
    InvalidHash {
        /// The text.
        text: String,
    },

    /// A multiplier source is malformed.
    #[error("invalid multiplier source: {reason}")]
    InvalidSource {
        /// What is wrong with it, and what would be right.
        reason: String,
    },

    /// A text does not describe a member of a family of multipliers, or a parameter is out of its range.
    #[error("{text}: {reason}")]
    InvalidFamily {
        /// The text, or the family's name.
        text: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },

    /// A text does not name a [`GradientRule`](crate::GradientRule).
    #[error("`{text}` is no gradient: {reason}")]
    UnknownGradient {
        /// The text.
        text: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },

    /// A gradient's window is wider than an operand has codes.
    #[error(
        "a half window of {half_window} is too large for {format} operands: it can be at most {}",
        (format.cardinality() - 1) / 2
    )]
    HalfWindowTooLarge {
        /// The half window.
        half_window: u16,
        /// The operand's format.
        format: OperandFormat,
    },

    /// A multiplier without gradient tables is to be trained by them.
    #[error(
        "{name} has no gradient tables, which the gradient `custom` takes: train by another gradient, such as `linear_regression`, or give it some in a program (`Multiplier::with_gradient_tables`)"
    )]
    NoGradientTables {
        /// The multiplier.
        name: String,
    },

    /// Gradient tables are for operands of other formats than the multiplier's.
    #[error(
        "the gradient tables are for {} x {} operands; those of {name} are {} x {}",
        found[0], found[1], formats[0], formats[1]
    )]
    GradientFormats {
        /// The multiplier.
        name: String,
        /// The formats of its activation and weight.
        formats: [OperandFormat; 2],
        /// Those of the tables.
        found: [OperandFormat; 2],
    },

    /// A derivative is not finite.
    #[error(
        "the derivative by the {by} at the activation {activation} and the weight {weight} is {value}; it must be finite"
    )]
    GradientNotFinite {
        /// "activation" or "weight".
        by: &'static str,
        /// The activation's code.
        activation: i32,
        /// The weight's code.
        weight: i32,
        /// The value.
        value: f32,
    },

    /// The weights of an operand distribution are unusable.
    #[error("the {which} distribution is invalid: {reason}")]
    InvalidDistribution {
        /// "activation", "weight" or "joint".
        which: &'static str,
        /// What is wrong with it.
        reason: String,
    },

    /// An operand distribution is for other formats than the multiplier's.
    #[error(
        "the operand distribution is for {found_activation} activations and {found_weight} weights, but {name} takes \
         {activation} activations and {weight} weights"
    )]
    DistributionFormats {
        /// The multiplier's name.
        name: String,
        /// Format of the multiplier's activation.
        activation: OperandFormat,
        /// Format of the multiplier's weight.
        weight: OperandFormat,
        /// The distribution's activation format.
        found_activation: OperandFormat,
        /// The distribution's weight format.
        found_weight: OperandFormat,
    },

    /// Two multipliers of different operand formats cannot be compared.
    #[error(
        "{name} takes {activation} activations and {weight} weights, but {other_name} takes {other_activation} activations \
         and {other_weight} weights"
    )]
    DifferentFormats {
        /// The multiplier's name.
        name: String,
        /// Format of its activation.
        activation: OperandFormat,
        /// Format of its weight.
        weight: OperandFormat,
        /// The other multiplier's name.
        other_name: String,
        /// Format of the other one's activation.
        other_activation: OperandFormat,
        /// Format of the other one's weight.
        other_weight: OperandFormat,
    },

    /// The products of features that a model should be fitted with do not determine it.
    #[error(
        "term {term} is a sum of multiples of the terms before it, for all operands: leave it out"
    )]
    DependentTerms {
        /// The first such term, counted from 0.
        term: usize,
    },

    /// A record of operand codes is unusable.
    #[error("{origin} is not a usable operand trace: {reason}")]
    InvalidTrace {
        /// The file or the layer.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A file does not hold a multiplier that can be imported.
    #[error(transparent)]
    Import(Box<ImportError>),

    /// There are too many operand pairs to evaluate all of them.
    #[error(
        "{name} has 2^{index_bits} operand pairs, and up to 2^{} are evaluated exhaustively: measure a sample of them \
         with `ErrorMetrics::measure_sampled`",
        crate::MAX_INDEX_BITS
    )]
    TooManyPairs {
        /// The multiplier's name.
        name: String,
        /// Bits of both operands together.
        index_bits: u32,
    },

    /// A measurement over no operand pairs was asked for.
    #[error("error metrics need at least one operand pair: 0 were asked for")]
    NoPairs,

    /// A table has a higher rank than was asked for.
    #[error("the rank is at least {at_least}, above the limit for a factorisation")]
    RankTooHigh {
        /// A lower bound of the rank, one above the limit.
        at_least: usize,
    },

    /// A range of operand codes is empty or not within the operand's format.
    #[error("{low} to {high} is not a range of codes of a {format} operand, {} to {}", format.min_code(), format.max_code())]
    CodesOutOfFormat {
        /// The lowest code of the range.
        low: i32,
        /// The highest code of the range.
        high: i32,
        /// The operand's format.
        format: OperandFormat,
    },

    /// A factorisation that leaves operand codes out cannot fill a table or define a multiplier.
    #[error(
        "the factorisation holds for codes {low} to {high} only, not for all of a {format} operand"
    )]
    RestrictedCodes {
        /// The lowest code that it holds for.
        low: i32,
        /// The highest code that it holds for.
        high: i32,
        /// The operand's format.
        format: OperandFormat,
    },

    /// More terms were asked for than a table can have.
    #[error(
        "a rank of {rank} is too high for a table whose operands have no more than {codes} codes"
    )]
    RankOutOfRange {
        /// The rank asked for.
        rank: usize,
        /// The codes of the operand that has fewer of them.
        codes: usize,
    },

    /// Numbers of a factorisation became too large.
    #[error(
        "the integer factors or the sums of their products do not fit in 64 bits: use the table itself, or lower the \
         limit of the rank"
    )]
    FactorsOutOfRange,

    /// A term has not as many factors as an operand has codes.
    #[error(
        "a term has {found} {which} factors: a {format} operand has {} codes, and needs one for each",
        format.cardinality()
    )]
    WrongFactorCount {
        /// "activation" or "weight".
        which: &'static str,
        /// The operand's format.
        format: OperandFormat,
        /// How many factors there were.
        found: usize,
    },
}

impl From<ImportError> for MultiplierError {
    fn from(error: ImportError) -> Self {
        Self::Import(Box::new(error))
    }
}
