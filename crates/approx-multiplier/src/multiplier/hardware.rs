//! What a multiplier costs in hardware: power, area and delay, as published for its circuit.

use serde::{Deserialize, Serialize};

/// Hardware figures of a multiplier's circuit. Figures of different technologies do not compare.
///
/// ```
/// use approx_multiplier::HardwareFigures;
///
/// let figures = HardwareFigures {
///     power_mw: Some(0.301),
///     ..HardwareFigures::new("45 nm")
/// };
/// assert_eq!(figures.area_um2, None);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardwareFigures {
    /// The technology the circuit was synthesised for, such as "45 nm".
    pub technology: String,
    /// Power in milliwatts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_mw: Option<f64>,
    /// Area in square micrometres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area_um2: Option<f64>,
    /// Delay in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ns: Option<f64>,
}

impl HardwareFigures {
    /// Figures of a technology, none of them known yet.
    pub fn new(technology: impl Into<String>) -> Self {
        Self {
            technology: technology.into(),
            power_mw: None,
            area_um2: None,
            delay_ns: None,
        }
    }
}
