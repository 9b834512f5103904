//! A network's accuracies one after the other, as a table: in float, quantised, on a multiplier, retrained.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

/// A network's accuracies, the first of which the others are compared with. As text it is a table.
///
/// ```
/// use approx_experiment::report::Stages;
///
/// let stages = Stages::new("float", 98.0).with("approximate", 61.25);
/// assert!(stages.to_string().contains("-36.75"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Stages(Vec<(String, f64)>);

impl Stages {
    /// The stage that others are compared with, and its accuracy in per cent.
    pub fn new(label: impl Into<String>, accuracy: f64) -> Self {
        Self(vec![(label.into(), accuracy)])
    }

    /// Adds a stage.
    pub fn with(mut self, label: impl Into<String>, accuracy: f64) -> Self {
        self.0.push((label.into(), accuracy));
        self
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, reference) = &self.0[0];
        let against = format!("against {first}");
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header([
            "network",
            "test accuracy",
            &against,
        ]);
        for (label, accuracy) in &self.0 {
            let difference = accuracy - reference;
            table.add_row([
                label.clone(),
                format!("{accuracy:.2} %"),
                format!("{difference:+.2}"),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "{table}")
    }
}
