//! The front as a table.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use super::ExplorationReport;

impl fmt::Display for ExplorationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = &self.data;
        writeln!(
            f,
            "{} on {}: searched on {} images",
            self.network.name, data.name, data.validation_images
        )?;
        for assumption in &self.energy.assumptions {
            writeln!(f, "{assumption}")?;
        }
        let columns = [
            ("validation", true),
            ("against exact", true),
            ("test", self.is_known(|point| point.test_accuracy)),
            (
                "means put right",
                self.is_known(|point| point.corrected_accuracy),
            ),
            ("retrained", self.is_known(|point| point.retrained_accuracy)),
        ];
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        let shown = columns
            .iter()
            .filter(|(_, shown)| *shown)
            .map(|(name, _)| *name);
        table.set_header(["point", "energy", "multipliers"].into_iter().chain(shown));
        let exact = self.baseline.worth.validation_accuracy;
        let percent =
            |value: Option<f64>| value.map_or("-".to_string(), |value| format!("{value:.2} %"));
        let mut row = |name: String, energy: String, multipliers: String, worth: super::Worth| {
            let difference = worth.validation_accuracy.zip(exact);
            let difference = difference.map(|(own, exact)| format!("{:+.2}", own - exact));
            let cells = [
                percent(worth.validation_accuracy),
                difference.unwrap_or("-".to_string()),
                percent(worth.test_accuracy),
                percent(worth.corrected_accuracy),
                percent(worth.retrained_accuracy),
            ];
            let cells = cells
                .into_iter()
                .zip(columns)
                .filter(|(_, (_, shown))| *shown);
            let cells = cells.map(|(cell, _)| cell);
            table.add_row([name, energy, multipliers].into_iter().chain(cells));
        };
        row(
            "float".to_string(),
            "-".to_string(),
            "-".to_string(),
            self.float,
        );
        let of_point = |point: &super::ReportedPoint| {
            let mut different: Vec<&String> = point.multipliers.iter().collect();
            different.sort();
            different.dedup();
            (
                format!("{:.2} %", 100.0 * point.energy),
                different.len().to_string(),
            )
        };
        let (energy, multipliers) = of_point(&self.baseline);
        row(
            "exact".to_string(),
            energy,
            multipliers,
            self.baseline.worth,
        );
        for (number, point) in self.points.iter().enumerate() {
            let (energy, multipliers) = of_point(point);
            row(number.to_string(), energy, multipliers, point.worth);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "{table}")?;
        for drop in [0.6, 1.0] {
            if let Some(point) = self.within(drop) {
                let saved = 100.0 * (1.0 - point.energy);
                write!(
                    f,
                    "\n{saved:.1} % of the multiplications' energy saved at no more than {drop} points below the exact \
                     multiplier, on the images of the search"
                )?;
            }
        }
        Ok(())
    }
}

impl ExplorationReport {
    /// Whether a figure is known of any assignment.
    pub(super) fn is_known(&self, figure: impl Fn(&super::Worth) -> Option<f64>) -> bool {
        let points = self.points.iter().chain([&self.baseline]);
        points
            .map(|point| &point.worth)
            .chain([&self.float])
            .any(|worth| figure(worth).is_some())
    }
}
