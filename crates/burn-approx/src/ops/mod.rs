//! The operators: the trait that backends implement, and thin functions over Burn's tensors.

#[cfg_attr(
    feature = "ndarray",
    allow(
        deprecated,
        reason = "burn-ndarray is deprecated and stays behind a feature"
    )
)]
mod backend;
mod functions;
pub(crate) mod generic;
mod kept;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "gpu"))]
pub(crate) mod shapes;

pub use backend::{ApproxOps, CodeGrid, ProductOperation};
#[cfg(feature = "capture")]
pub(crate) use functions::matmul_workload;
pub(crate) use functions::{
    Quantizers, check_conv2d_config, check_linear, conv2d_keeping, conv2d_shape, fake_quantize,
    linear_keeping, linear_workload, observe_histogram, observe_ranges, operand_codes,
};
pub use functions::{
    check_device, conv2d, conv2d_accumulators, linear, matmul, matmul_accumulators,
};
pub(crate) use generic::FLOAT32_EXACT;
pub(crate) use kept::KeptWeight;
