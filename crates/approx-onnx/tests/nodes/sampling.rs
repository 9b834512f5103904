//! Images sampled by a grid, beside the plain loop over its places.

use approx_onnx::OnnxModel;
use burn::prelude::*;
use burn::tensor::{Distribution, Tolerance};

use crate::common::{Builder, Setting};

#[test]
fn every_place_of_a_grid_is_a_mean_of_the_four_pixels_around_it() {
    let (device, [height, width]) = (Device::flex(), [4_i64, 5_i64]);
    let images = Tensor::<4>::random([2, 3, 4, 5], Distribution::Uniform(-1.0, 1.0), &device);
    // Beyond the image too.
    let grid = Tensor::<4>::random([2, 3, 4, 2], Distribution::Uniform(-1.3, 1.3), &device);
    let pixels: Vec<f32> = images.to_data().iter().collect();
    let places: Vec<f32> = grid.to_data().iter().collect();
    for (padding, aligns) in [
        ("zeros", false),
        ("zeros", true),
        ("border", false),
        ("border", true),
    ] {
        let pixel = |image: usize, row: i64, column: i64| {
            let (inner_row, inner_column) = (row.clamp(0, height - 1), column.clamp(0, width - 1));
            let is_inside = (row, column) == (inner_row, inner_column);
            match is_inside || padding == "border" {
                true => {
                    pixels[((image as i64 * height + inner_row) * width + inner_column) as usize]
                }
                false => 0.0,
            }
        };
        let place = |at: f32, size: i64| match aligns {
            true => (at + 1.0) / 2.0 * (size - 1) as f32,
            false => ((at + 1.0) * size as f32 - 1.0) / 2.0,
        };
        let mut expected = Vec::new();
        for batch in 0..2 {
            for channel in 0..3 {
                for at in places[batch * 24..][..24].chunks(2) {
                    let (x, y) = (place(at[0], width), place(at[1], height));
                    let (right, below) = (x - x.floor(), y - y.floor());
                    let own = |down, across| {
                        pixel(
                            batch * 3 + channel,
                            y.floor() as i64 + down,
                            x.floor() as i64 + across,
                        )
                    };
                    let above = own(0, 0) * (1.0 - right) + own(0, 1) * right;
                    let beneath = own(1, 0) * (1.0 - right) + own(1, 1) * right;
                    expected.push(above * (1.0 - below) + beneath * below);
                }
            }
        }
        let file = Builder::default()
            .input("x", &[None; 4])
            .input("grid", &[None; 4])
            .output("y")
            .node(
                "GridSample",
                &["x", "grid"],
                &["y"],
                &[
                    ("mode", Setting::Text("bilinear")),
                    ("padding_mode", Setting::Text(padding)),
                    ("align_corners", Setting::Int(i64::from(aligns))),
                ],
            );
        let model = OnnxModel::from_bytes(file.bytes(16), &device).unwrap();
        let found: Tensor<4> = model.forward((images.clone(), grid.clone())).unwrap();
        let expected = TensorData::new(expected, [2, 3, 3, 4]);
        found
            .into_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }
}
