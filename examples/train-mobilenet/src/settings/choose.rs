//! What holds: the command line, the run to be resumed, or a default.

use std::path::Path;

use approx_multiplier::{GradientRule, MultiplierSource};

use super::{Settings, SettingsError};
use crate::args::DatasetKind;

/// Chooses between what the command line gives and what the run to be resumed has; `default` if neither says.
pub struct Chooser<'a> {
    /// The run's directory.
    pub directory: &'a Path,
    /// The settings of the run to be resumed.
    pub stored: Option<&'a Settings>,
}

impl Chooser<'_> {
    /// Chooses the value of an option.
    pub fn choose<T: PartialEq + Clone + Typed>(
        &self,
        option: &'static str,
        given: Option<T>,
        stored: impl Fn(&Settings) -> &T,
        default: T,
    ) -> Result<T, SettingsError> {
        match (given, self.stored.map(stored)) {
            (Some(given), Some(stored)) if given != *stored => Err(SettingsError::Conflict {
                option,
                given: given.typed(),
                stored: stored.typed(),
                directory: self.directory.into(),
            }),
            (_, Some(stored)) => Ok(stored.clone()),
            (Some(given), None) => Ok(given),
            (None, None) => Ok(default),
        }
    }
}

/// A value as it is typed on the command line.
pub trait Typed {
    /// The text.
    fn typed(&self) -> String;
}

macro_rules! typed_as_shown {
    ($($kind:ty),+) => {$(
        impl Typed for $kind {
            fn typed(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

typed_as_shown!(usize, u64, f64, MultiplierSource, GradientRule, DatasetKind);

impl Typed for Vec<String> {
    fn typed(&self) -> String {
        match self.is_empty() {
            true => "none".to_string(),
            false => self.join(" and "),
        }
    }
}
