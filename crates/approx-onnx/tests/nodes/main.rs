//! Nodes of a file: what single operators compute, a file for each family, beside plain loops; and functions.

#[path = "../common/mod.rs"]
mod common;

mod attention;
mod einsum;
mod functions;
mod pooling;
mod recurrent;
mod sampling;
mod scattering;
