//! What every drop-in layer carries besides its weights, and how it computes.
//!
//! From the ground up: `kind` (the kinds of layer and what each says of itself), `weight` (what is known of a weight
//! from one pass to the next), `tap` (where accumulators are left that somebody wants), `simulation` (one forward pass that is not in float), `pass` (what a layer remembers of
//! the last one), `converted` (settings, quantisation state and plans of a converted layer), `state` (that behind a
//! lock, shared with handles), `approximation` (the module that a layer holds).

mod approximation;
mod converted;
mod kind;
mod pass;
mod simulation;
mod state;
mod tap;
mod weight;

pub use approximation::Approximation;
pub(crate) use approximation::with_handle;
pub(crate) use converted::Converted;
pub use kind::{LayerKind, LayerShape};
pub(crate) use simulation::Operands;
pub(crate) use state::LayerState;
pub(crate) use tap::Tap;
