//! Multipliers as the operators use them: prepared once, shared by layers, with factors on the codes that a layer's
//! quantisers produce, and with the routes by which their products can be computed.

mod factors;
#[cfg(feature = "gpu")]
mod on_devices;
mod prepared;
mod route;

#[cfg(test)]
pub(crate) use factors::RankLimit;
pub(crate) use factors::{Factors, largest};
pub use prepared::PreparedMultiplier;
pub use route::{PlanChoice, Route};
