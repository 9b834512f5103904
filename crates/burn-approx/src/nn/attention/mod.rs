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
