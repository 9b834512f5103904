//! What both kernel families need for transposed convolutions: they are taken apart into ordinary ones.
//!
//! Outputs whose position (before cropping) leaves the same remainder modulo the stride form a phase. The products that
//! a phase sums are those of an ordinary convolution of stride 1 with some of the kernel's taps, in reverse (`phases`).
//! That convolution is padded with some code; what padded taps add is known and taken off again (`border`). The phases'
//! outputs then are put between each other (`assemble`), a few images at a time, so that they are still in cache.

mod assemble;
mod border;
mod phases;

pub(crate) use assemble::assemble;
pub(crate) use border::{Border, Correction};
pub(crate) use phases::{Phase, TapSet, phases, tap_sets};
