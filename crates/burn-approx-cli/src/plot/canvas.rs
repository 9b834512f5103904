//! Pixels to draw on, with text in a font that comes with the program. `plotters` has the lines and areas; for text it
//! would look for the system's fonts, and no two systems have the same ones.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use plotters::backend::BitMapBackend;
use plotters::prelude::DrawingBackend;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind,
};

use crate::error::CliError;

type Failure<'a> = DrawingErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>;

/// A picture in memory, three bytes a pixel.
pub struct Canvas<'a> {
    pixels: BitMapBackend<'a>,
    font: FontRef<'static>,
}

/// A line of text, laid out from its upper left corner.
struct Line {
    glyphs: Vec<Glyph>,
    width: f32,
    height: f32,
}

impl<'a> Canvas<'a> {
    /// A canvas on memory of the size's pixels.
    pub fn new(pixels: &'a mut [u8], size: (u32, u32)) -> Result<Self, CliError> {
        let font = FontRef::try_from_slice(dejavu::sans::regular())
            .map_err(|error| CliError::Plot(error.to_string()))?;
        Ok(Self {
            pixels: BitMapBackend::with_buffer(pixels, size),
            font,
        })
    }

    fn line(&self, text: &str, size: f64) -> Line {
        // `plotters` takes the height of a line as a font's size, and says 1.24 times the em square for it, in SVG too.
        let em = self.font.units_per_em().unwrap_or(1000.0);
        let scale = PxScale::from(size as f32 / 1.24 * self.font.height_unscaled() / em);
        let font = self.font.as_scaled(scale);
        let mut glyphs = Vec::new();
        let mut x = 0.0;
        let mut last = None;
        for character in text.chars() {
            let id = font.glyph_id(character);
            x += last.map_or(0.0, |last| font.kern(last, id));
            glyphs.push(id.with_scale_and_position(scale, point(x, font.ascent())));
            x += font.h_advance(id);
            last = Some(id);
        }
        Line {
            glyphs,
            width: x,
            height: font.height(),
        }
    }
}

impl<'a> DrawingBackend for Canvas<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.pixels.get_size()
    }

    fn ensure_prepared(&mut self) -> Result<(), Failure<'a>> {
        self.pixels.ensure_prepared()
    }

    fn present(&mut self) -> Result<(), Failure<'a>> {
        self.pixels.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Result<(), Failure<'a>> {
        self.pixels.draw_pixel(point, color)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Result<(), Failure<'a>> {
        self.pixels.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Result<(), Failure<'a>> {
        self.pixels.draw_rect(upper_left, bottom_right, style, fill)
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        position: BackendCoord,
    ) -> Result<(), Failure<'a>> {
        let line = self.line(text, style.size());
        let left = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Right => -line.width,
            HPos::Center => -line.width / 2.0,
        };
        let top = match style.anchor().v_pos {
            VPos::Top => 0.0,
            VPos::Center => -line.height / 2.0,
            VPos::Bottom => -line.height,
        };
        let (left, top) = (left.round() as i32, top.round() as i32);
        let color = style.color();
        let mut dots = Vec::new();
        for glyph in line.glyphs {
            let Some(outline) = self.font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, coverage| {
                let x = left + corner.x as i32 + x as i32;
                let y = top + corner.y as i32 + y as i32;
                let (x, y) = style.transform().transform(x, y);
                let alpha = color.alpha * f64::from(coverage.min(1.0));
                dots.push((
                    (position.0 + x, position.1 + y),
                    BackendColor { alpha, ..color },
                ));
            });
        }
        let (width, height) = self.get_size();
        let inside =
            |(x, y): BackendCoord| x >= 0 && y >= 0 && x < width as i32 && y < height as i32;
        for (dot, color) in dots.into_iter().filter(|(dot, _)| inside(*dot)) {
            self.draw_pixel(dot, color)?;
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), Failure<'a>> {
        let line = self.line(text, style.size());
        Ok((line.width.ceil() as u32, line.height.ceil() as u32))
    }
}
