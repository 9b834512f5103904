//! What holds: the command line, the run to be resumed, or a default.

use std::fmt::Debug;
use std::path::Path;

use super::{Settings, SettingsError};

/// Chooses between what the command line gives and what the run to be resumed has; `default` if neither says.
pub struct Chooser<'a> {
    /// The run's directory.
    pub directory: &'a Path,
    /// The settings of the run to be resumed.
    pub stored: Option<&'a Settings>,
}

impl Chooser<'_> {
    /// Chooses the value of an option.
    pub fn choose<T: PartialEq + Clone + Debug>(
        &self,
        option: &'static str,
        given: Option<T>,
        stored: impl Fn(&Settings) -> &T,
        default: T,
    ) -> Result<T, SettingsError> {
        match (given, self.stored.map(stored)) {
            (Some(given), Some(stored)) if given != *stored => Err(SettingsError::Conflict {
                option,
                given: format!("{given:?}"),
                stored: format!("{stored:?}"),
                directory: self.directory.into(),
            }),
            (_, Some(stored)) => Ok(stored.clone()),
            (Some(given), None) => Ok(given),
            (None, None) => Ok(default),
        }
    }
}
