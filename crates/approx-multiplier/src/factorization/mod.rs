//! Exact factorisations: a multiplier as a sum of products of one-operand functions.
//!
//! - [`exact`]: what one is, of [`term`]s, with a [`certificate`].
//! - [`search`]: how one is found, from a [`basis`] of a [`lattice`], with small factors ([`balance`]).
//! - [`derivation`]: others that follow from one, by codes that are independent ([`independence`]).
//! - [`serialized`]: how they are written to files.
//! - [`truncated`]: inexact ones, of fewer terms, by [`singular_values`].

mod balance;
mod basis;
mod certificate;
mod codes;
mod derivation;
mod exact;
mod exact_in;
mod factor_term;
mod independence;
mod lattice;
mod search;
mod serialized;
mod singular_values;
mod term;
mod truncated;

pub use certificate::{Certificate, Coverage};
pub(crate) use codes::{all_codes, by_pattern};
pub use exact::Factorization;
pub use exact_in::ExactIn;
pub use factor_term::FactorTerm;
pub(crate) use factor_term::Size;
pub use search::FactorizationOptions;
pub(crate) use search::Products;
pub(crate) use serialized::SerializedFactors;
pub(crate) use singular_values::largest_terms;
pub use term::{FactorizationForm, Term};
pub use truncated::{TruncatedFactorization, TruncatedTerm};
