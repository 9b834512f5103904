//! The shape of a matrix product.

/// The shape of a matrix product: `[rows, inner]` times `[inner, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatmulShape {
    /// Rows of the activations and of the result.
    pub rows: usize,
    /// Columns of the activations, rows of the weights: products per sum.
    pub inner: usize,
    /// Columns of the weights and of the result.
    pub columns: usize,
}
