//! What the integration tests share: the plain reference computations, random layers, and the recorded reference vectors.

pub mod golden;
pub mod layer;
pub mod random;
pub mod reference;
