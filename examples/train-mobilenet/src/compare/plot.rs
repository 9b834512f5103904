//! Accuracies before and after retraining, by multiplier and gradient, as an SVG picture.

use approx_experiment::plot::{self, Drawing, Drawn, FONT};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::results::{Results, extremes};

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

/// For every multiplier, the accuracy before retraining as a dash, and beside it one column for each gradient: a ring
/// for the first epoch, a disc for the last, each at the mean of the seeds, with a line between the best and the worst.
impl Drawing for Results {
    const SIZE: (u32, u32) = (980, 540);

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let subjects = &self.subjects;
        let gradients = self.gradients();
        let shown = self.epochs_shown();
        let every = subjects.iter().flat_map(|subject| {
            let runs = subject.runs.iter().flat_map(|run| run.accuracy.clone());
            runs.chain([subject.before])
        });
        let float = self.float.as_ref().map(|float| float.after);
        let every: Vec<f64> = every.chain(float).collect();
        let [low, high] = match every.is_empty() {
            true => [0.0, 100.0],
            false => extremes(&every),
        };
        let bottom = (low.min(99.0) / 10.0).floor() * 10.0;
        let top = ((high / 10.0).floor() * 10.0 + 10.0).min(101.0);

        let width = subjects.len().max(1) as f64;
        // The legend stands to the right of everything.
        let x = 0.0..width * (1.0 + LEGEND);
        let caption = "Accuracy before and after retraining";
        let mut chart = plot::chart(area, caption, x, bottom..top)?;
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
            let label = format!("float: {level:.2} %");
            plot::level(&mut chart, [0.0, width], level, label, BLACK.mix(0.5))?;
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
        plot::legend(&mut chart, SeriesLabelPosition::UpperRight)
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::example;
    use super::*;

    #[test]
    fn every_accuracy_shown_is_a_mark() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accuracy.svg");
        plot::save(&example(), &path).unwrap();
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
        plot::save(&results, &directory.path().join("accuracy.svg")).unwrap();
    }
}
