//! What an approximate hardware multiplier *is*: a function of two integer codes, given by its table of products, by
//! exact factors where a table would be too large, by a High-Throughput (HTP) model, or as the exact product.
//!
//! Everything here is plain Rust without a deep-learning framework: the crates that run neural networks on these
//! multipliers build on it.
//!
//! - [`OperandFormat`]: bit width and signedness of an operand, and how its codes map to the rows of a table.
//! - [`ProductTable`]: every product of a multiplier, exchanged with other tools as a `.npy` file.
//! - [`HtpModel`]: an arithmetic formula that stands in for a table, and can be fitted to one.
//! - [`Multiplier`]: a named definition with a [`ContentHash`] and, where known, its [`HardwareFigures`].
//! - [`import`] and [`export`]: multipliers in the files of other tools and in this project's own.
//! - [`MultiplierSource`]: how a configuration file or a command line says which multiplier it means.
//! - [`evoapprox`]: the multipliers of EvoApproxLib, bundled.
//! - [`MultiplierFamily`]: multipliers by formula, of any width: truncated, broken-array, DRUM, Mitchell, RoBA and
//!   others.
//! - [`Factorization`]: a multiplier as an exact sum of products of one-operand functions; [`TruncatedFactorization`]:
//!   as an inexact one of fewer.
//! - [`ErrorMetrics`]: how wrong a multiplier is, with the definitions of the literature; [`OperandTrace`]: how often a
//!   network meets each operand code, to weight the errors with.
//!
//! # Conventions
//!
//! The first operand `a` is always the activation code, the second operand `b` always the weight code. A table is
//! indexed by bit patterns, `table[a & mask][b & mask]`, so the index of a signed code is its two's complement.
//!
//! # Example
//!
//! ```
//! use approx_multiplier::{ErrorMetrics, Multiplier, OperandFormat, evoapprox};
//!
//! # fn main() -> Result<(), approx_multiplier::MultiplierError> {
//! // One of the bundled circuits ...
//! let bundled = evoapprox::multiplier("mul8s_1L2J")?;
//! assert_eq!(bundled.product(3, 5), Some(8));
//!
//! // ... and one of your own, which drops the lowest bit of both operands: the same function.
//! let own = Multiplier::from_fn("drop_one_bit", OperandFormat::INT8, OperandFormat::INT8, |a, b| {
//!     4 * (a >> 1) * (b >> 1)
//! })?;
//! assert_eq!(own.hash(), bundled.hash());
//!
//! let metrics = ErrorMetrics::measure(&own)?;
//! assert_eq!(metrics.wce, 255.0);
//! # Ok(())
//! # }
//! ```

mod error;
pub mod evoapprox;
pub mod export;
mod factorization;
mod families;
mod file;
mod fit;
mod gradient;
mod htp;
pub mod import;
mod metrics;
mod multiplier;
mod operand;
mod source;
mod table;

pub use error::MultiplierError;
pub use factorization::{
    Certificate, Coverage, ExactIn, FactorTerm, Factorization, FactorizationForm,
    FactorizationOptions, Term, TruncatedFactorization, TruncatedTerm,
};
pub use families::{FamilySpecification, MultiplierFamily};
pub use fit::{HtpFit, HtpFitOptions, MeasuredModel};
pub use gradient::{Derivative, DerivativeTerm, GradientRule, MultiplierGradient};
pub use htp::{Feature, HtpModel, HtpTerm};
pub use metrics::{
    Condition, Difference, DifferingPair, ErrorMetrics, LayerTrace, Operand, OperandDistribution,
    OperandTrace,
};
pub use multiplier::{ContentHash, Definition, HardwareFigures, Multiplier};
pub use operand::{OperandFormat, Signedness};
pub use source::MultiplierSource;
pub use table::{GradientTables, MAX_INDEX_BITS, ProductTable};

/// The example of the crate's README, which is tested as this type's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
