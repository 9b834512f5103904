//! Plots: what all of them share. One file per plot, `canvas` for pixels.

mod canvas;
pub mod heat_map;
pub mod histogram;
pub mod pareto;

use std::io::Cursor;
use std::path::Path;

use approx_multiplier::export::replace_file;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::CliError;
use canvas::Canvas;

/// The font of all text.
const FONT: &str = "sans-serif";
const BLUE: RGBColor = RGBColor(31, 119, 180);
const RED: RGBColor = RGBColor(200, 40, 40);

/// What drawing on a backend gives.
type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// A picture that can be drawn on any backend.
pub trait Drawing {
    /// Its width and height in pixels.
    const SIZE: (u32, u32);

    /// Draws it on a white area of this size.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B>;
}

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
        Kind::Svg => svg(drawing)?.into_bytes(),
        Kind::Png => png(drawing)?,
    };
    replace_file(path, |writer| writer.write_all(&content))?;
    Ok(())
}

fn failed(error: impl ToString) -> CliError {
    CliError::Plot(error.to_string())
}

fn svg<D: Drawing>(drawing: &D) -> Result<String, CliError> {
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, D::SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        drawing.draw(&area).map_err(failed)?;
        area.present().map_err(failed)?;
    }
    Ok(picture)
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
