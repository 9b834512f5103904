//! `layer` on the recorded reference vectors: accumulators bit for bit, on every plan and device.

use crate::support::{Workplace, golden};

const VECTORS: [&str; 7] = [
    "linear",
    "linear_affine",
    "conv3x3",
    "conv3x3_grouped2",
    "conv3x3_depthwise",
    "conv3x3_stride2",
    "conv3x3_pad1",
];

/// The command line for a recorded layer, without multiplier and plan.
fn command(place: &Workplace, name: &str) -> String {
    let integer = |array: &str| place.values::<i32>(&format!("{array}.npy")).1[0];
    let real = |array: &str| place.values::<f32>(&format!("{array}.npy")).1[0];
    let mut command = match name.starts_with("linear") {
        true => "layer linear".to_string(),
        false => format!(
            "layer conv2d --stride {} --padding {} --dilation {} --groups {}",
            integer("stride"),
            integer("padding"),
            integer("dilation"),
            integer("groups")
        ),
    };
    command += &format!(
        " --input-scale {} --input-zero-point {} --weight-scale {} --weight-zero-point {}",
        real("x_scale"),
        integer("x_zero_point"),
        real("w_scale"),
        integer("w_zero_point")
    );
    command
}

/// The largest difference of two arrays in proportion to the largest value of the second.
fn difference(place: &Workplace, found: &str, expected: &str) -> f32 {
    let (found_shape, found) = place.values::<f32>(found);
    let (expected_shape, expected) = place.values::<f32>(expected);
    assert_eq!(found_shape, expected_shape);
    let largest = expected
        .iter()
        .fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let differences = found
        .iter()
        .zip(&expected)
        .map(|(found, expected)| (found - expected).abs());
    differences.fold(0.0, f32::max) / largest
}

/// Runs all vectors by the plans on a device, on codes and on real values.
fn reproduce(device: &str, plans: &[(&str, &str)]) {
    for name in VECTORS {
        let place = Workplace::new();
        place.unpack(name);
        std::fs::copy(golden().join("lut_random.npy"), place.path("random.npy")).unwrap();
        // The source's convolutions index their table by the weight first.
        let random = match name.starts_with("linear") {
            true => "random.npy --signed",
            false => "random.npy --signed --swap-operands",
        };
        for (multiplier, plan) in plans {
            let (spec, kind) = match *multiplier {
                "random" => (random, "random"),
                other => (other, "exact"),
            };
            for (input, weight) in [("x_int", "w_int"), ("x", "w")] {
                let what = format!("{name} {spec} {plan} {device} {input}");
                let arguments = format!(
                    "{} --input {input}.npy --weight {weight}.npy --multiplier {spec} --plan {plan} --device {device} \
                     --accumulator acc.npy --output y.npy --grad-output grad_out.npy --grad-input gx.npy --grad-weight gw.npy",
                    command(&place, name)
                );
                place.succeed(&arguments);
                let (shape, found) = place.values::<i64>("acc.npy");
                let (expected_shape, expected) = place.values::<i32>(&format!("acc_{kind}.npy"));
                assert_eq!(shape, expected_shape, "{what}");
                assert!(
                    found
                        .iter()
                        .zip(&expected)
                        .all(|(found, expected)| *found == i64::from(*expected)),
                    "{what}"
                );
                assert!(
                    difference(&place, "y.npy", &format!("y_{kind}.npy")) <= 1e-6,
                    "{what}"
                );
                assert!(difference(&place, "gx.npy", "grad_x.npy") <= 1e-5, "{what}");
                assert!(difference(&place, "gw.npy", "grad_w.npy") <= 1e-5, "{what}");
            }
        }
    }
}

#[test]
fn every_plan_on_the_processor() {
    reproduce(
        "cpu",
        &[
            ("exact", "auto"),
            ("exact", "gather"),
            ("exact", "loop"),
            ("truncated:columns=0,bits=8,signed", "factored"),
            ("random", "auto"),
            ("random", "gather"),
            ("random", "loop"),
        ],
    );
}

#[test]
fn the_older_backend() {
    reproduce("ndarray", &[("exact", "auto"), ("random", "auto")]);
}

#[test]
fn a_gpu_or_the_software_that_stands_in_for_one() {
    reproduce("wgpu", &[("exact", "auto"), ("random", "gather")]);
}

/// The recorded models' sums, on integers: scales 1, zero points 0.
#[test]
fn htp_models() {
    let place = Workplace::new();
    place.unpack("htp");
    for (kind, layer) in [
        ("conv", "conv2d"),
        ("dw", "conv2d --groups 4"),
        ("lin", "linear"),
    ] {
        for name in ["mul8s_1L2J", "mul8s_1KVP"] {
            for plan in ["htp", "auto", "loop"] {
                place.succeed(&format!(
                    "layer {layer} --input {kind}_x.npy --weight {kind}_w.npy --multiplier htp:{name} --plan {plan} --output y.npy"
                ));
                let difference = difference(&place, "y.npy", &format!("{kind}_{name}.npy"));
                assert!(difference <= 1e-6, "{kind} {name} {plan}: {difference}");
            }
        }
    }
}
