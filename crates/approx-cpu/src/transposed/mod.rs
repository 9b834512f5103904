//! What both kernel families need for transposed convolutions: their outputs fall into phases.
//!
//! The outputs of a phase have the same taps (`phases`), and are those of an ordinary convolution of the input, padded
//! with some code; what padded taps add is known and taken off again (`border`). The outputs of all phases then are put
//! between each other (`interleave`).

mod border;
mod interleave;
mod phases;

pub(crate) use border::{Border, ClassPlaces, Corrections};
pub(crate) use interleave::{PhaseValues, Run, interleave, interleave_planes};
pub(crate) use phases::{Phase, Phases, RowPhases, TapSet, tap_sets};
