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
        let energies: Vec<f64> = self.points.iter().map(|point| point.energy).collect();
        let listed = listed(&energies, |number| {
            self.points[number].worth.test_accuracy.is_some()
        });
        for number in &listed {
            let (energy, multipliers) = of_point(&self.points[*number]);
            let worth = self.points[*number].worth;
            row(number.to_string(), energy, multipliers, worth);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "{table}")?;
        if listed.len() < energies.len() {
            let (listed, all) = (listed.len(), energies.len());
            write!(f, "\n{listed} of the front's {all} points are listed")?;
        }
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

/// The numbers of the points that are listed: of so many strips of equal width in energy, the most accurate of each, and
/// those that were looked at further.
fn listed(energies: &[f64], is_tried: impl Fn(usize) -> bool) -> Vec<usize> {
    let (Some(least), Some(most)) = (energies.first(), energies.last()) else {
        return Vec::new();
    };
    let strip = |number: usize| {
        let place = (energies[number] - least) / (most - least).max(f64::MIN_POSITIVE);
        ((place * LISTED as f64) as usize).min(LISTED - 1)
    };
    let all = 0..energies.len();
    let is_listed = |number: &usize| {
        let is_last = energies.len() == number + 1 || strip(*number) < strip(number + 1);
        energies.len() <= LISTED || is_last || is_tried(*number)
    };
    all.filter(is_listed).collect()
}

/// About so many points of a front are listed.
const LISTED: usize = 24;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_points_those_are_listed_that_lie_apart_and_those_that_were_tried() {
        let few = [0.3, 0.300001, 0.7];
        assert_eq!(listed(&few, |_| false), [0, 1, 2]);
        assert_eq!(listed(&[], |_| false), [0; 0]);
        assert_eq!(listed(&[0.5; 30], |number| number == 3), [3, 29]);
        let many: Vec<f64> = (0..240)
            .map(|number| 0.4 + f64::from(number) / 400.0)
            .collect();
        let shown = listed(&many, |number| number == 1);
        assert_eq!(shown.len(), LISTED + 1);
        assert_eq!((shown[0], shown.last()), (1, Some(&239)));
        // Of each strip the last, which is the most accurate one: the energies of neighbours are a strip apart.
        for pair in shown[1..].windows(2) {
            assert!((8..=12).contains(&(pair[1] - pair[0])), "{pair:?}");
        }
    }
}
