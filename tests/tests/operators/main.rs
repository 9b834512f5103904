//! Tests of the operators over tensors: against plain integer loops, against the recorded reference vectors, and of every
//! backend against the others.

mod backends;
mod bad_input;
mod exact_equals_quantized;
mod golden;
mod gradients;
mod htp;
mod plans;
mod properties;
mod regressions;
mod table_reference;
