//! Plots: what all of them share. One file per plot, `canvas` for pixels.

mod canvas;
pub mod heat_map;
pub mod histogram;
pub mod pareto;

use std::io::Cursor;
use std::path::Path;

use approx_experiment::plot::{Drawing, PlotError, svg};
use approx_multiplier::export::replace_file;
use plotters::prelude::*;

use crate::error::CliError;
use canvas::Canvas;

const BLUE: RGBColor = RGBColor(31, 119, 180);
const RED: RGBColor = RGBColor(200, 40, 40);

/// The kinds of files.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Lines and text.
    Svg,
    /// Pixels.
    Png,
}

impl Kind {
    /// The kind that a file's name asks for.
    pub fn of(path: &Path) -> Result<Self, CliError> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(CliError::Usage(format!(
                "`{}` ends neither in .svg nor in .png",
                path.display()
            ))),
        }
    }
}

/// Draws a picture into a file.
pub fn save<D: Drawing>(drawing: &D, kind: Kind, path: &Path) -> Result<(), CliError> {
    let content = match kind {
        Kind::Svg => svg(drawing).map_err(undrawn)?.into_bytes(),
        Kind::Png => png(drawing)?,
    };
    replace_file(path, |writer| writer.write_all(&content))?;
    Ok(())
}

fn failed(error: impl ToString) -> CliError {
    CliError::Plot(error.to_string())
}

/// An error of the library that plots share, whose text begins as this program's does.
fn undrawn(error: PlotError) -> CliError {
    match error {
        PlotError::Draw(reason) => CliError::Plot(reason),
        error => failed(error),
    }
}

fn png<D: Drawing>(drawing: &D) -> Result<Vec<u8>, CliError> {
    let (width, height) = D::SIZE;
    let mut pixels = vec![0; (width * height * 3) as usize];
    {
        let area = Canvas::new(&mut pixels, D::SIZE)?.into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        drawing.draw(&area).map_err(failed)?;
        area.present().map_err(failed)?;
    }
    let image = image::RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| failed("its pixels are missing"))?;
    let mut content = Cursor::new(Vec::new());
    image
        .write_to(&mut content, image::ImageFormat::Png)
        .map_err(failed)?;
    Ok(content.into_inner())
}

/// A mark of an axis: whole numbers in full, others as short as they can be told apart.
fn mark(value: f64) -> String {
    crate::output::number((value * 1e9).round() / 1e9)
}
