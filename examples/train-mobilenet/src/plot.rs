//! The curve of accuracy over epochs, in training and in retraining, as an SVG picture.

use approx_experiment::plot::{self, Drawing, Drawn, FONT};
use approx_experiment::training::EpochMetrics;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::report::Report;

const TRAINING: RGBColor = RGBColor(31, 119, 180);
const RETRAINING: RGBColor = RGBColor(214, 39, 40);
const QUANTIZED: RGBColor = RGBColor(44, 160, 44);
const APPROXIMATE: RGBColor = RGBColor(255, 127, 14);

/// Test accuracy over epochs, with the levels of the float, quantised and approximate network as dashed lines.
impl Drawing for Report {
    const SIZE: (u32, u32) = (900, 520);

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let accuracy = self.accuracy;
        let trained = self.settings.epochs as f64;
        let last = trained + self.settings.retrain_epochs as f64;
        let lowest = self
            .training
            .iter()
            .chain(&self.retraining)
            .map(|epoch| epoch.test_accuracy)
            .chain([accuracy.quantized, accuracy.approximate, accuracy.float])
            .fold(100.0, f64::min);
        let bottom = (lowest / 10.0).floor() * 10.0;

        let caption = format!(
            "MobileNetV2 on {}, {}",
            self.dataset.name, self.multiplier.name
        );
        let mut chart = plot::chart(area, &caption, 0.0..last + 0.5, bottom..102.0)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc("test accuracy, %")
            .x_label_formatter(&|epoch| format!("{epoch:.0}"))
            .y_label_formatter(&|accuracy| format!("{accuracy:.0}"))
            .light_line_style(WHITE)
            .label_style((FONT, 14))
            .draw()?;

        for (label, level, color) in [
            ("float", accuracy.float, TRAINING),
            ("quantised", accuracy.quantized, QUANTIZED),
            (
                "approximate, before retraining",
                accuracy.approximate,
                APPROXIMATE,
            ),
        ] {
            let label = format!("{label}: {level:.2} %");
            plot::level(&mut chart, [0.0, last + 0.5], level, label, color.mix(1.0))?;
        }

        let points = |epochs: &[EpochMetrics], before: f64| -> Vec<(f64, f64)> {
            epochs
                .iter()
                .map(|epoch| (before + epoch.epoch as f64, epoch.test_accuracy))
                .collect()
        };
        let training = points(&self.training, 0.0);
        // Retraining begins where the conversion has left the network.
        let retraining = if self.retraining.is_empty() {
            Vec::new()
        } else {
            let mut points = points(&self.retraining, trained);
            points.insert(0, (trained, accuracy.approximate));
            points
        };
        for (label, points, color) in [
            ("training in floating point", training, TRAINING),
            ("retraining on the multiplier", retraining, RETRAINING),
        ] {
            if points.is_empty() {
                continue;
            }
            chart
                .draw_series(LineSeries::new(
                    points.iter().copied(),
                    color.stroke_width(2),
                ))?
                .label(label)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
                });
            chart.draw_series(
                points
                    .iter()
                    .map(|&point| Circle::new(point, 3, color.filled())),
            )?;
        }
        plot::legend(&mut chart, SeriesLabelPosition::LowerRight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example;

    #[test]
    fn the_picture_shows_both_trainings_and_every_level() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accuracy.svg");
        plot::save(&example(), &path).unwrap();
        let picture = std::fs::read_to_string(path).unwrap();
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        for part in [
            "61.25 %",
            "98.00 %",
            "retraining on the multiplier",
            "epoch",
        ] {
            assert!(picture.contains(part), "{part}");
        }
        // Two training epochs, and one of retraining after its starting point.
        assert_eq!(picture.matches("<circle").count(), 4);
    }

    #[test]
    fn a_run_without_retraining_or_metrics_can_be_drawn() {
        let directory = tempfile::tempdir().unwrap();
        let mut report = example();
        report.retraining.clear();
        report.training.clear();
        report.settings.retrain_epochs = 0;
        report.accuracy.retrained = None;
        let path = directory.path().join("accuracy.svg");
        plot::save(&report, &path).unwrap();
        let picture = std::fs::read_to_string(path).unwrap();
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        assert!(picture.contains("61.25 %"), "the levels are there still");
        assert!(!picture.contains("retraining on the multiplier"));
        assert_eq!(picture.matches("<circle").count(), 0);
    }
}
