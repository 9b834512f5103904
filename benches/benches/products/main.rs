//! What a product of factors costs beside float32, beside a lookup per product, and beside the exact product: on two
//! large layers for some multipliers of different ranks and widths, and on one layer of ResNet-18 for every bundled
//! 8-bit one.
//!
//! Layers run as users run them: drop-ins, calibrated, floats in and floats out, weights kept from an earlier pass.
//! What is compared runs in turn in one process. The ratios are meant for one thread: `RAYON_NUM_THREADS=1`.

mod comparison;
mod plot;
mod sweep;

use approx_cpu::{Conv2dShape, MatmulShape, Padding2d};
use burn_approx::plan::Geometry;
use burn_approx_benches::Arguments;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    threads: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    comparison: Vec<comparison::Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<sweep::Sweep>,
}

/// A convolution with a kernel of 3 x 3 that keeps the image's size.
fn convolution(batch: usize, channels: usize, side: usize) -> Geometry {
    Geometry::Conv2d(Conv2dShape {
        batch,
        in_channels: channels,
        out_channels: channels,
        groups: 1,
        input: [side, side],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding2d::symmetric(1, 1),
    })
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::from_command_line();
    let mut report = Report {
        threads: rayon::current_num_threads(),
        comparison: Vec::new(),
        sweep: None,
    };
    let product = Geometry::Matmul(MatmulShape {
        rows: 1024,
        inner: 1024,
        columns: 1024,
    });
    for (name, geometry) in [
        ("matmul 1024x1024x1024", product),
        ("conv 3x3 64->64, 8x32x32", convolution(8, 64, 32)),
    ] {
        if arguments.selects(name) {
            report.comparison.extend(comparison::run(name, &geometry));
        }
    }
    let name = "every multiplier, conv 3x3 64->64, 1x56x56";
    if arguments.selects(name) {
        let sweep = sweep::run(name, &convolution(1, 64, 56));
        if let Some(path) = &arguments.plot {
            let caption = format!(
                "The bundled 8-bit multipliers on a 3x3 convolution of 64 to 64 channels, 56x56 pixels; threads: {}",
                report.threads
            );
            let picture = plot::draw(&caption, &sweep).map_err(std::io::Error::other)?;
            std::fs::write(path, picture)?;
        }
        report.sweep = Some(sweep);
    }
    arguments.write_json(&report)
}
