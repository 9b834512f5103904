//! The operators over Burn's tensors: thin functions that check their arguments and hand them to the backend.

mod accumulators;
mod arguments;
mod batch_norm;
mod element_wise;
mod observe;
mod precision;
mod products;

pub(crate) use accumulators::{accumulators_of, linear_accumulators_of};
pub use accumulators::{conv_transpose2d_accumulators, conv2d_accumulators, matmul_accumulators};
pub use arguments::check_device;
pub(crate) use arguments::{Quantizers, check_bias, check_devices, check_float};
pub(crate) use batch_norm::{BatchNormParameters, limited};
pub(crate) use observe::{observe_histogram, observe_ranges};
pub use products::{conv_transpose2d, conv2d, linear, matmul};
pub(crate) use products::{
    float_product, linear_product, product, reshaped, turned_weight, with_channel_bias,
};

pub use crate::backends::{ApproxOps, BatchNormSettings, CodeFunction, Shortcut};
pub use crate::codes::CodeGrid;
pub use crate::plan::ProductOperation;
