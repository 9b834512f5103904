//! Plots as SVG: what all of them share, so that they look alike. [`labels`] puts names beside points.

pub mod labels;

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::files::write_atomically;

/// The font of all text.
pub const FONT: &str = "sans-serif";

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// It cannot be drawn.
    #[error("the plot cannot be drawn: {0}")]
    Draw(String),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

/// What drawing on a backend gives.
pub type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Axes of real numbers.
pub type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A picture that can be drawn on any backend.
///
/// ```
/// use approx_experiment::plot::{self, Drawing, Drawn};
/// use plotters::coord::Shift;
/// use plotters::prelude::*;
///
/// struct Line;
///
/// impl Drawing for Line {
///     const SIZE: (u32, u32) = (400, 300);
///
///     fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
///         let mut chart = plot::chart(area, "a line", 0.0..1.0, 0.0..1.0)?;
///         plot::level(&mut chart, [0.0, 1.0], 0.5, "one half".into(), BLACK.mix(0.5))?;
///         plot::legend(&mut chart, SeriesLabelPosition::LowerRight)
///     }
/// }
///
/// assert!(plot::svg(&Line)?.contains("one half"));
/// # Ok::<(), plot::PlotError>(())
/// ```
pub trait Drawing {
    /// Its width and height in pixels.
    const SIZE: (u32, u32);

    /// Draws it on a white area of this size.
    ///
    /// # Errors
    ///
    /// What the backend says.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B>;
}

/// A picture as the text of an SVG file.
///
/// # Errors
///
/// What cannot be drawn.
pub fn svg<D: Drawing>(drawing: &D) -> Result<String, PlotError> {
    let failed = |error: &dyn std::fmt::Display| PlotError::Draw(error.to_string());
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, D::SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(|error| failed(&error))?;
        drawing.draw(&area).map_err(|error| failed(&error))?;
        area.present().map_err(|error| failed(&error))?;
    }
    Ok(picture)
}

/// Writes a picture to an SVG file.
///
/// # Errors
///
/// What cannot be drawn, or a file that cannot be written.
pub fn save<D: Drawing>(drawing: &D, path: &Path) -> Result<(), PlotError> {
    Ok(write_atomically(path, svg(drawing)?.as_bytes())?)
}

/// Axes with room for their labels, under a caption.
///
/// # Errors
///
/// What the backend says.
pub fn chart<'a, B: DrawingBackend>(
    area: &'a DrawingArea<B, Shift>,
    caption: &str,
    x: Range<f64>,
    y: Range<f64>,
) -> Result<Chart<'a, B>, DrawingAreaErrorKind<B::ErrorType>> {
    ChartBuilder::on(area)
        .caption(caption, (FONT, 20))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d(x, y)
}

/// A dashed line at a level, and what it is in the legend.
///
/// # Errors
///
/// What the backend says.
pub fn level<'a, B: DrawingBackend + 'a>(
    chart: &mut Chart<'a, B>,
    [left, right]: [f64; 2],
    level: f64,
    label: String,
    color: RGBAColor,
) -> Drawn<B> {
    let line = [(left, level), (right, level)];
    let dashed = DashedLineSeries::new(line, 6, 4, color.stroke_width(1));
    chart
        .draw_series(dashed)?
        .label(label)
        .legend(move |(x, y)| {
            let dash = |from, to| PathElement::new([(from, 0), (to, 0)], color.stroke_width(1));
            EmptyElement::at((x, y)) + dash(0, 7) + dash(11, 18)
        });
    Ok(())
}

/// The legend of what was drawn.
///
/// # Errors
///
/// What the backend says.
pub fn legend<'a, B: DrawingBackend + 'a>(
    chart: &mut Chart<'a, B>,
    position: SeriesLabelPosition,
) -> Drawn<B> {
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.4))
        .label_font((FONT, 14))
        .draw()
}
