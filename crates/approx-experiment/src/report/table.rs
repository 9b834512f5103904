//! A report as a table.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use super::{EvaluationReport, EvaluationResult};

impl fmt::Display for EvaluationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header([
            "network",
            "power, mW",
            "top-1",
            "against float",
            "top-5",
            "loss",
            "seconds",
        ]);
        let float = self.float().map(|float| float.top1);
        let known = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        for EvaluationResult {
            subject,
            evaluation,
        } in self.sorted()
        {
            let difference = float.map(|float| format!("{:+.2}", evaluation.top1 - float));
            table.add_row([
                subject.label().to_owned(),
                known(subject.power_mw().map(|power| format!("{power:.3}"))),
                format!("{:.2} %", evaluation.top1),
                known(difference),
                format!("{:.2} %", evaluation.top5),
                known(evaluation.loss.map(|loss| format!("{loss:.4}"))),
                format!("{:.1}", evaluation.seconds),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let data = &self.data;
        let [channels, height, width] = data.shape;
        writeln!(
            f,
            "{} on {}: {} {} images of {channels} x {height} x {width}, {}",
            self.network.name, data.source, data.images, data.split, data.preparation
        )?;
        for assumption in &data.assumptions {
            writeln!(f, "assumed: {assumption}")?;
        }
        write!(f, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;

    #[test]
    fn the_table_says_what_was_measured_and_on_what() {
        let text = example().to_string();
        for part in [
            "mine.onnx on digits: 360 test images of 1 x 16 x 16, (x / 255 - [0.25]) / [0.5]",
            "assumed: channels are normalised by their mean",
            "98.00 %",
            "-89.00",
            "0.400",
            "0.2500",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let place = |name: &str| text.find(name).unwrap();
        assert!(place("cheap") < place("costly") && place("beaten") < place("unknown"));
    }
}
