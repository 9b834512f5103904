//! What the integration tests share: the plain reference computations, random layers, and the recorded reference
//! vectors.

pub mod golden;
pub mod gpu;
pub mod layer;
pub mod random;
pub mod reference;

/// The README's code, compiled and run as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The code of the models' README.
#[cfg(doctest)]
#[doc = include_str!("../../crates/approx-models/README.md")]
struct ModelsReadme;

/// The code of the page on exact factorisation.
#[cfg(doctest)]
#[doc = include_str!("../../docs/exact-factorisation.md")]
struct ExactFactorisation;
