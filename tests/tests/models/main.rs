//! Tests of converted models: what the layers, the conversion pass, calibration and saving promise.

mod bad_input;
mod conversion;
mod kept_weights;
mod modes;
mod networks;
mod observers;
mod records;
mod storage;
mod torchapprox_usage;
mod training;
