//! The curve of accuracy over epochs, in training and in retraining.

use approx_experiment::report::{AccuracyCurve, Curve};
use approx_experiment::training::EpochMetrics;

use crate::report::Report;

/// Test accuracy over epochs, with the levels of the float, quantised and approximate network.
pub fn curve(report: &Report) -> AccuracyCurve {
    let accuracy = report.accuracy;
    let trained = report.settings.epochs as f64;
    let points = |epochs: &[EpochMetrics], before: f64| -> Vec<(f64, f64)> {
        epochs
            .iter()
            .map(|epoch| (before + epoch.epoch as f64, epoch.test_accuracy))
            .collect()
    };
    let mut retraining = points(&report.retraining, trained);
    if !retraining.is_empty() {
        // Retraining begins where the conversion has left the network.
        retraining.insert(0, (trained, accuracy.approximate));
    }
    let levels = [
        ("float", accuracy.float),
        ("quantised", accuracy.quantized),
        ("approximate, before retraining", accuracy.approximate),
    ];
    let curves = [
        ("training in floating point", points(&report.training, 0.0)),
        ("retraining on the multiplier", retraining),
    ];
    AccuracyCurve {
        caption: format!(
            "MobileNetV2 on {}, {}",
            report.dataset.name, report.multiplier.name
        ),
        epochs: trained + report.settings.retrain_epochs as f64,
        levels: levels.map(|(label, level)| (label.into(), level)).into(),
        curves: curves
            .map(|(label, points)| Curve {
                label: label.into(),
                points,
            })
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use approx_experiment::plot;

    use super::*;
    use crate::report::tests::example;

    #[test]
    fn the_picture_shows_both_trainings_and_every_level() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accuracy.svg");
        plot::save(&curve(&example()), &path).unwrap();
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
        plot::save(&curve(&report), &path).unwrap();
        let picture = std::fs::read_to_string(path).unwrap();
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        assert!(picture.contains("61.25 %"), "the levels are there still");
        assert!(!picture.contains("retraining on the multiplier"));
        assert_eq!(picture.matches("<circle").count(), 0);
    }
}
