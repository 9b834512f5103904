//! Quantisation: which codes there are, how ranges are observed, and the quantisers that map real values to codes.

mod counts;
mod histogram;
mod observation;
mod quantizer;
mod scheme;

pub(crate) use counts::{CodeCounts, PassCounts};
pub(crate) use observation::{OperandRole, OperandState};
pub use quantizer::Quantizer;
pub(crate) use quantizer::{ROWS, SCALE, ZERO_POINT, channel_quantizers};
pub use scheme::{
    CodeRange, Granularity, Observation, Observer, OperandQuantization, QuantizationScheme,
    Symmetry,
};
