//! Where layers and networks are computed.

use approx_experiment::device::{DeviceError, DeviceKind};
use burn::tensor::Device;

use crate::panics::silenced;

/// Opens so many devices of a kind and tries them; their driver's panics say no more than the error.
pub fn open(kind: DeviceKind, count: usize) -> Result<Vec<Device>, DeviceError> {
    silenced(|| kind.open(count))
}

/// Opens a device and tries it.
pub fn open_one(kind: DeviceKind) -> Result<Device, DeviceError> {
    Ok(open(kind, 1)?.remove(0))
}
