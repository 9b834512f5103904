//! Accuracies before and after retraining, by multiplier and gradient, as an SVG picture.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::error::StudyError;
use super::results::{Results, extremes};
use crate::files::write_atomically;

const SIZE: (u32, u32) = (980, 540);
const FONT: &str = "sans-serif";
/// The legend's share of the width that the multipliers take.
const LEGEND: f64 = 0.42;
/// Of the gradients; more than these begin anew.
const COLORS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(214, 39, 40),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(23, 190, 207),
];

/// Draws, for every multiplier, the accuracy before retraining as a dash, and beside it one column for each gradient: a ring
/// for the first epoch, a disc for the last, each at the mean of the seeds, with a line between the best and the worst.
///
/// # Errors
/// A file that cannot be written.
pub fn save(results: &Results, path: &Path) -> Result<(), StudyError> {
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        draw(results, &area).map_err(|error| StudyError::output(path, error))?;
    }
    write_atomically(path, picture.as_bytes()).map_err(|error| StudyError::output(path, error))
}

type DrawResult<'a> =
    Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(results: &Results, area: &DrawingArea<SVGBackend<'a>, Shift>) -> DrawResult<'a> {
    let subjects = &results.subjects;
    let gradients = results.gradients();
    let shown = results.epochs_shown();
    let every = subjects.iter().flat_map(|subject| {
        let runs = subject.runs.iter().flat_map(|run| run.accuracy.clone());
        runs.chain([subject.before])
    });
    let float = results.float.as_ref().map(|float| float.after);
    let every: Vec<f64> = every.chain(float).collect();
    let [low, high] = match every.is_empty() {
        true => [0.0, 100.0],
        false => extremes(&every),
    };
    let bottom = (low.min(99.0) / 10.0).floor() * 10.0;
    let top = ((high / 10.0).floor() * 10.0 + 10.0).min(101.0);

    area.fill(&WHITE)?;
    let width = subjects.len().max(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption("Accuracy before and after retraining", (FONT, 20))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(56)
        // The legend stands to the right of everything.
        .build_cartesian_2d(0.0..width * (1.0 + LEGEND), bottom..top)?;
    let name = |position: &f64| {
        let index = (position - 0.5).round();
        let is_middle = (position - 0.5 - index).abs() < 1e-6;
        let subject = subjects
            .get(index as usize)
            .filter(|_| is_middle && index >= 0.0);
        subject.map_or_else(String::new, |subject| subject.name.clone())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(3 * subjects.len() + 1)
        .x_label_formatter(&name)
        .y_desc("test accuracy, %")
        .y_label_formatter(&|accuracy| format!("{accuracy:.0}"))
        .light_line_style(WHITE)
        .label_style((FONT, 14))
        .draw()?;

    if let Some(level) = float {
        let line = [(0.0, level), (width, level)];
        chart
            .draw_series(DashedLineSeries::new(
                line,
                6,
                4,
                BLACK.mix(0.5).stroke_width(1),
            ))?
            .label(format!("float: {level:.2} %"))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK.mix(0.5)));
    }
    let dash = |index: usize, level: f64| {
        let middle = index as f64 + 0.5;
        PathElement::new(
            [(middle - 0.4, level), (middle + 0.4, level)],
            BLACK.stroke_width(2),
        )
    };
    let before = subjects.iter().enumerate();
    chart
        .draw_series(before.map(|(index, subject)| dash(index, subject.before)))?
        .label("before retraining")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK.stroke_width(2)));

    let step = 0.7 / (gradients.len() * shown.len()).max(1) as f64;
    for (column, gradient) in gradients.iter().enumerate() {
        let color = COLORS[column % COLORS.len()];
        for (place, &epoch) in shown.iter().enumerate() {
            let is_last = place + 1 == shown.len();
            let mut points = Vec::new();
            for (index, subject) in subjects.iter().enumerate() {
                let after = subject.after(epoch);
                let Some(accuracies) = after.get(gradient) else {
                    continue;
                };
                let slot = (column * shown.len() + place) as f64 + 0.5;
                let x = index as f64 + 0.15 + slot * step;
                let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
                points.push((x, mean, extremes(accuracies)));
            }
            let lines = points.iter().map(|&(x, _, [low, high])| {
                PathElement::new([(x, low), (x, high)], color.stroke_width(2))
            });
            chart.draw_series(lines)?;
            let style = match is_last {
                true => color.filled(),
                false => color.stroke_width(2),
            };
            let plural = if epoch == 1 { "" } else { "s" };
            chart
                .draw_series(
                    points
                        .iter()
                        .map(|&(x, mean, _)| Circle::new((x, mean), 4, style)),
                )?
                .label(format!("{gradient}, {epoch} epoch{plural}"))
                .legend(move |(x, y)| Circle::new((x + 9, y), 4, style));
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.4))
        .label_font((FONT, 14))
        .draw()?;
    area.present()
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::example;
    use super::*;

    #[test]
    fn every_accuracy_shown_is_a_mark() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accuracy.svg");
        save(&example(), &path).unwrap();
        let picture = std::fs::read_to_string(&path).unwrap();
        // Three means after each of two epochs, and four in the legend.
        assert_eq!(picture.matches("<circle").count(), 3 * 2 + 4);
        for part in [
            "mild",
            "wild",
            "float: 85.50 %",
            "linear_regression, 2 epochs",
        ] {
            assert!(picture.contains(part), "{part}");
        }
    }

    #[test]
    fn a_study_without_runs_can_be_drawn() {
        let directory = tempfile::tempdir().unwrap();
        let mut results = example();
        results.subjects.clear();
        results.float = None;
        save(&results, &directory.path().join("accuracy.svg")).unwrap();
    }
}
