//! Attention from drop-in layers: `multi_head` (the layer), `products` (its two products as layers, on request),
//! `cache` (what it keeps while tokens are generated). Masks and outputs are Burn's own.

mod cache;
mod multi_head;
mod products;

pub use burn::nn::attention::{
    GeneratePaddingMask, MhaOutput, SeqLengthOption, generate_autoregressive_mask,
    generate_padding_mask,
};
pub use cache::MhaCache;
pub use multi_head::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
pub use products::AttentionProducts;

use crate::error::ApproxError;
use crate::geometry::shape_error;

/// Checks what attention is made from: the features of a token, the heads that share them, and what training drops.
///
/// # Errors
/// [`ApproxError::Shape`] if a size is 0, the heads do not divide the features, or `dropout` is not at least 0 and
/// below 1.
pub(crate) fn check_config(
    operator: &'static str,
    [d_model, n_heads]: [usize; 2],
    dropout: f64,
) -> Result<(), ApproxError> {
    if d_model == 0 || n_heads == 0 || !d_model.is_multiple_of(n_heads) {
        return Err(shape_error(
            operator,
            format!(
                "{n_heads} heads do not share the {d_model} features of a token evenly: choose a number of heads that divides \
                 them, both above 0"
            ),
        ));
    }
    check_dropout(operator, dropout)
}

/// Checks the share that training drops.
///
/// # Errors
/// [`ApproxError::Shape`] unless it is at least 0 and below 1.
pub(crate) fn check_dropout(operator: &'static str, dropout: f64) -> Result<(), ApproxError> {
    match (0.0..1.0).contains(&dropout) {
        true => Ok(()),
        false => Err(shape_error(
            operator,
            format!("dropout {dropout} must be at least 0 and below 1"),
        )),
    }
}
