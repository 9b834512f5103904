//! Multiplier sources: how configuration files and command lines say which multiplier they mean, as [`text`] or
//! [`json`].

mod description;
mod json;
mod multiplier_source;
mod text;

#[cfg(test)]
mod tests;

pub use multiplier_source::MultiplierSource;
