//! Multipliers: [`handle`] is the type, [`construction`] has the ways to make one, [`transformation`] those to make one
//! of another. A multiplier is identified by the [`hash`] of its [`definition`].

mod construction;
mod definition;
mod handle;
mod hardware;
mod hash;
mod serialized;
mod transformation;

#[cfg(test)]
mod tests;

pub use definition::Definition;
pub use handle::Multiplier;
pub use hardware::HardwareFigures;
pub use hash::ContentHash;
pub(crate) use transformation::{SIGN_MAGNITUDE_SUFFIX, SWAPPED_SUFFIX};
