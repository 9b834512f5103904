//! Which multiplier in which layer of a network: what [`approx_explore`] needs to know of networks, images and energy.
//!
//! [`NetworkMeasure`] measures assignments on images; of captured networks it computes once what several assignments
//! share. [`predict`](prediction::predict) tells what single changes will cost from one pass forward and some passes
//! back. [`energies`](energy::energies) says what multiplications take, and [`report`] shows what was found.

mod assigned;
mod correction;
pub mod energy;
mod error;
mod measuring;
mod population;
pub mod prediction;
pub mod report;

pub use self::assigned::{AssignableNetwork, each_by_itself};
pub use self::error::ExplorationError;
pub use self::measuring::{NetworkMeasure, blocks};
