//! What each layer loses on each multiplier, as a picture.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{ExplorationReport, ReportedPoint};
use crate::plot::{Drawing, Drawn, FONT};

/// Losses below this are all alike, and so are those above the other, in the unit of the mean loss.
const RANGE: [f64; 2] = [1e-4, 1.0];
/// Room for names of layers and of multipliers, at least and for each character of the longest, in pixels.
const MARGIN: [i32; 2] = [60, 40];
const CHARACTER: i32 = 8;
const CAPTION: i32 = 56;

/// A cell for every layer and multiplier, the darker the greater the loss; those of an assignment have a frame.
pub(super) struct SensitivityMap<'a> {
    report: &'a ExplorationReport,
    /// The multipliers by increasing energy.
    columns: Vec<&'a str>,
    chosen: Option<&'a ReportedPoint>,
}

impl<'a> SensitivityMap<'a> {
    pub(super) fn new(report: &'a ExplorationReport, chosen: Option<&'a ReportedPoint>) -> Self {
        let mut columns: Vec<_> = report.multipliers.iter().collect();
        columns.sort_by(|one, other| one.energy.total_cmp(&other.energy));
        Self {
            report,
            columns: columns
                .into_iter()
                .map(|multiplier| multiplier.name.as_str())
                .collect(),
            chosen,
        }
    }

    /// The loss of a cell: measured, or else predicted; none with the exact multiplier.
    fn loss(&self, layer: &str, multiplier: &str) -> Option<f64> {
        let found = (self.report.sensitivities.iter())
            .find(|found| found.layer == layer && found.multiplier == multiplier)?;
        found.measured_loss.or(found.predicted_loss)
    }
}

/// From white to dark red, by the logarithm of the loss.
fn color(loss: Option<f64>) -> RGBColor {
    let Some(loss) = loss else { return WHITE };
    let [low, high] = RANGE.map(f64::ln);
    let share = match loss.is_finite() {
        true => (loss.max(RANGE[0]).ln() - low) / (high - low),
        false => 1.0,
    };
    let share = share.clamp(0.0, 1.0);
    let channel = |light: f64, dark: f64| (light + share * (dark - light)) as u8;
    RGBColor(
        channel(255.0, 140.0),
        channel(247.0, 10.0),
        channel(236.0, 20.0),
    )
}

impl Drawing for SensitivityMap<'_> {
    const SIZE: (u32, u32) = (960, 720);

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let (width, height) = (Self::SIZE.0 as i32, Self::SIZE.1 as i32);
        let (rows, columns) = (
            self.report.layers.len().max(1) as i32,
            self.columns.len().max(1) as i32,
        );
        let longest = |names: &mut dyn Iterator<Item = &str>| {
            let lengths = names.map(|name| name.chars().count() as i32);
            lengths.max().unwrap_or(0) * CHARACTER
        };
        let left = longest(&mut self.report.layers.iter().map(|layer| &*layer.path)).max(MARGIN[0]);
        let bottom = longest(&mut self.columns.iter().copied()).max(MARGIN[1]) + 16;
        let cell = [
            (width - left - 20) as f64 / columns as f64,
            (height - bottom - CAPTION) as f64 / rows as f64,
        ];
        let place = |row: i32, column: i32| {
            let x = left + (column as f64 * cell[0]).round() as i32;
            let y = CAPTION + (row as f64 * cell[1]).round() as i32;
            (x, y)
        };
        let network = Path::new(&self.report.network.name);
        let network = Path::new(network.file_name().unwrap_or(network.as_os_str()));
        let caption = format!(
            "{}: increase of the mean loss by one layer on one multiplier, from {} (light) to {} (dark)",
            network.display(),
            RANGE[0],
            RANGE[1]
        );
        let text = |size: i32| (FONT, size).into_font().color(&BLACK);
        let middle = text(16).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new(
            caption,
            (width / 2, CAPTION / 3),
            middle.clone(),
        ))?;
        let chosen = (self.chosen).map(|point| {
            format!(
                "frames: the point that takes {:.2} % of the energy",
                100.0 * point.energy
            )
        });
        if let Some(chosen) = chosen {
            let place = (width / 2, 3 * CAPTION / 4);
            area.draw(&Text::new(chosen, place, middle.color(&BLUE)))?;
        }
        let size = (cell[1] * 0.8).clamp(6.0, 13.0) as i32;
        for (row, layer) in self.report.layers.iter().enumerate() {
            let row = row as i32;
            let beside = (
                left - 6,
                CAPTION + ((f64::from(row) + 0.5) * cell[1]) as i32,
            );
            let style = text(size).pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(layer.path.clone(), beside, style))?;
            let own = self
                .chosen
                .and_then(|point| point.multipliers.get(row as usize));
            for (column, multiplier) in self.columns.iter().enumerate() {
                let [from, to] = [0, 1].map(|next| place(row + next, column as i32 + next));
                let fill = color(self.loss(&layer.path, multiplier));
                area.draw(&Rectangle::new([from, to], fill.filled()))?;
                area.draw(&Rectangle::new([from, to], BLACK.mix(0.15)))?;
                if own.is_some_and(|own| own == multiplier) {
                    let [from, to] = [(from.0 + 2, from.1 + 2), (to.0 - 2, to.1 - 2)];
                    area.draw(&Rectangle::new([from, to], BLUE.stroke_width(3)))?;
                }
            }
        }
        let size = (cell[0] * 0.8).clamp(6.0, 13.0) as i32;
        for (column, multiplier) in self.columns.iter().enumerate() {
            let x = left + ((column as f64 + 0.5) * cell[0]) as i32;
            let style = text(size)
                .transform(FontTransform::Rotate270)
                .pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(
                multiplier.to_string(),
                (x, height - bottom + 8),
                style,
            ))?;
        }
        Ok(())
    }
}
