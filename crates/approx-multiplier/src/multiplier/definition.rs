//! The ways in which a multiplier's products are given.

use crate::{Factorization, HtpModel, ProductTable};

/// How a multiplier's products are given.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Definition {
    /// The exact product `a * b`.
    Exact,
    /// Every product, in a table.
    Table(ProductTable),
    /// An exact sum of products of one-operand functions, which also exists where no table would fit.
    Factored(Factorization),
    /// A High-Throughput model, whose products are real numbers.
    Htp(HtpModel),
}
