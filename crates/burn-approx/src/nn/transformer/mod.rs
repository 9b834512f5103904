//! Transformers from drop-in layers: `feed_forward` (two linear layers for every token), `encoder` and `decoder`
//! (attention, feed-forward layer and normalisations, several times over).

mod decoder;
mod encoder;
mod feed_forward;

pub use decoder::{
    TransformerDecoder, TransformerDecoderAutoregressiveCache, TransformerDecoderConfig,
    TransformerDecoderInput, TransformerDecoderLayer, TransformerDecoderLayerAutoregressiveCache,
};
pub use encoder::{
    TransformerEncoder, TransformerEncoderAutoregressiveCache, TransformerEncoderConfig,
    TransformerEncoderInput, TransformerEncoderLayer, TransformerEncoderLayerAutoregressiveCache,
};
pub use feed_forward::{PositionWiseFeedForward, PositionWiseFeedForwardConfig};

use burn::prelude::*;

use crate::error::ApproxError;
use crate::geometry::shape_error;

/// Checks that a sequence `[batch, tokens, d_model]` has the features that a layer takes.
fn check_tokens(
    operator: &'static str,
    tokens: &Tensor<3>,
    d_model: usize,
) -> Result<(), ApproxError> {
    let dims = tokens.dims();
    match dims[2] == d_model {
        true => Ok(()),
        false => Err(shape_error(
            operator,
            format!("the input has the shape {dims:?}, but must be [batch, tokens, {d_model}]"),
        )),
    }
}

/// Checks that a cache is one of a model with as many layers.
fn check_cache(operator: &'static str, layers: usize, cached: usize) -> Result<(), ApproxError> {
    match layers == cached {
        true => Ok(()),
        false => Err(shape_error(
            operator,
            format!(
                "the cache is one of {cached} layers, the model has {layers}: take the model's new_autoregressive_cache"
            ),
        )),
    }
}
