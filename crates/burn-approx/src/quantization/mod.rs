//! Quantisation: which codes there are, how ranges are observed, and the quantisers that map real values to codes.

mod quantizer;

pub use quantizer::CodeQuantizer;
pub(crate) use quantizer::{ROWS, SCALE, ZERO_POINT, channel_quantizers};

pub use crate::codes::{
    CodeRange, Granularity, LayerQuantization, Observation, Observer, Operand, OperandQuantization,
    Symmetry,
};
