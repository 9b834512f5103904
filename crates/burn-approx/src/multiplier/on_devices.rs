//! What was uploaded to devices, once for each: tables and factors that belong to a multiplier for as long as it
//! exists.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use burn_cubecl::CubeDevice;

/// Values of any type, at most one of a type for each device.
#[derive(Default)]
pub(crate) struct OnDevices(Mutex<Vec<(CubeDevice, Arc<dyn Any + Send + Sync>)>>);

impl OnDevices {
    /// The value of this type on a device, made now if there is none.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn get<T: Any + Send + Sync, E>(
        &self,
        device: &CubeDevice,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = values
            .iter()
            .filter(|(on, _)| on == device)
            .find_map(|(_, value)| value.clone().downcast::<T>().ok());
        if let Some(value) = found {
            return Ok(value);
        }
        let value = Arc::new(make()?);
        values.push((device.clone(), value.clone()));
        Ok(value)
    }
}

impl std::fmt::Debug for OnDevices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnDevices")
    }
}
