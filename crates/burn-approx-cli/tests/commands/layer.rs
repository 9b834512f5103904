//! `layer`: plans agree with the plain loop, and what does not apply is said.

use crate::support::Workplace;

/// Numbers that look random, the same in every run.
fn noise(count: usize) -> impl Iterator<Item = u32> {
    let mut state = 1u32;
    (0..count).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    })
}

fn codes(count: usize) -> Vec<i8> {
    noise(count).map(|value| value as u8 as i8).collect()
}

fn reals(count: usize) -> Vec<f32> {
    noise(count)
        .map(|value| value as f32 / 8192.0 - 4.0)
        .collect()
}

/// A convolution with two of everything that can differ by axis, and a scale per channel.
fn uneven(place: &Workplace) {
    place.array("x.npy", &[2, 4, 7, 9], &reals(2 * 4 * 7 * 9));
    place.array("w.npy", &[6, 2, 3, 2], &reals(6 * 2 * 3 * 2));
    place.array("b.npy", &[6], &reals(6));
    place.array("scales.npy", &[6], &[0.03f32, 0.02, 0.01, 0.04, 0.05, 0.06]);
    place.array("zeros.npy", &[6], &[0i32, 1, -2, 3, 0, -5]);
    place.array("g.npy", &[2, 6, 4, 9], &reals(2 * 6 * 4 * 9));
}

const UNEVEN: &str = "layer conv2d --input x.npy --weight w.npy --bias b.npy --input-scale 0.031 --input-zero-point 7 \
    --weight-scale scales.npy --weight-zero-point zeros.npy --stride 2,1 --padding 2,1 --dilation 2 --groups 2";

#[test]
fn plans_agree_with_the_loop_to_the_last_bit() {
    let place = Workplace::new();
    uneven(&place);
    for multiplier in [
        "mul8s_1L2J",
        "mul8s_1KVA",
        "exact",
        "mul12s_2PS",
        "drum:k=4,bits=8,signed",
    ] {
        let run = |plan: &str, device: &str| {
            place.succeed(&format!(
                "{UNEVEN} --multiplier {multiplier} --plan {plan} --device {device} --accumulator acc.npy --output y.npy"
            ));
            let outputs = place.values::<f32>("y.npy").1;
            let bits: Vec<u32> = outputs.iter().map(|value| value.to_bits()).collect();
            (place.values::<i64>("acc.npy"), bits)
        };
        let expected = run("loop", "cpu");
        let mut plans = vec![("auto", "cpu"), ("auto", "ndarray"), ("auto", "wgpu")];
        if multiplier != "mul12s_2PS" {
            plans.push(("gather", "cpu"));
        }
        if multiplier.starts_with("mul") {
            plans.push(("factored", "cpu"));
        }
        for (plan, device) in plans {
            assert_eq!(run(plan, device), expected, "{multiplier} {plan} {device}");
        }
    }
}

#[test]
fn gradients_agree_with_the_loop() {
    let place = Workplace::new();
    uneven(&place);
    let run = |plan: &str| {
        place.succeed(&format!(
            "{UNEVEN} --multiplier mul8s_1L2J --plan {plan} --grad-output g.npy --grad-input gx.npy --grad-weight gw.npy"
        ));
        [
            place.values::<f32>("gx.npy").1,
            place.values::<f32>("gw.npy").1,
        ]
    };
    for (found, expected) in run("auto").iter().zip(run("loop")) {
        let largest = expected
            .iter()
            .fold(0f32, |largest, value| largest.max(value.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= 1e-5 * largest,
                "{found} {expected}"
            );
        }
        // Some codes were clamped, and most were not.
        let zeros = expected.iter().filter(|value| **value == 0.0).count();
        assert!(zeros > 0 && zeros < expected.len() / 2, "{zeros}");
    }
}

#[test]
fn a_convolution_of_lines_is_one_of_images_of_height_one() {
    let place = Workplace::new();
    for (name, shape) in [("x", [2, 4, 9]), ("w", [6, 2, 3]), ("g", [2, 6, 4])] {
        let [first, second, width] = shape;
        let values = reals(shape.iter().product::<u64>() as usize);
        place.array(&format!("{name}.npy"), &shape, &values);
        let images = [first, second, 1, width];
        place.array(&format!("{name}2.npy"), &images, &values);
    }
    place.array("b.npy", &[6], &reals(6));
    place.array("scales.npy", &[6], &[0.03f32, 0.02, 0.01, 0.04, 0.05, 0.06]);
    place.array("zeros.npy", &[6], &[0i32, 1, -2, 3, 0, -5]);
    let run = |layer: &str, operands: [&str; 3], rest: &str| {
        let [x, w, g] = operands;
        place.succeed(&format!(
            "layer {layer} --groups 2 --input {x}.npy --weight {w}.npy --bias b.npy --input-scale 0.031 --input-zero-point 7 \
             --weight-scale scales.npy --weight-zero-point zeros.npy --accumulator acc.npy --output y.npy \
             --grad-output {g}.npy --grad-input gx.npy --grad-weight gw.npy {rest}"
        ));
        let reals = ["y.npy", "gx.npy", "gw.npy"].map(|name| place.values::<f32>(name));
        (place.values::<i64>("acc.npy"), reals)
    };
    for rest in [
        "--multiplier mul8s_1L2J --plan loop",
        "--multiplier mul8s_1L2J --plan gather",
        "--multiplier mul8s_1KVA --plan factored",
        "--multiplier exact --plan auto --device ndarray",
        "--multiplier mul8s_1L2J --plan auto --device wgpu",
    ] {
        let lines = run(
            "conv1d --stride 2 --padding 1 --dilation 2",
            ["x", "w", "g"],
            rest,
        );
        let images = run(
            "conv2d --stride 1,2 --padding 0,1 --dilation 1,2",
            ["x2", "w2", "g2"],
            rest,
        );
        let ((shape, sums), outputs) = lines;
        assert_eq!(shape, [2, 6, 4], "{rest}");
        assert_eq!(sums, images.0.1, "{rest}");
        for ((shape, found), (image_shape, expected)) in outputs.into_iter().zip(images.1) {
            let [first, second, 1, width] = image_shape[..] else {
                panic!("{rest}: {image_shape:?}");
            };
            assert_eq!(shape, [first, second, width], "{rest}");
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(found), bits(expected), "{rest}");
        }
    }
}

#[test]
fn a_convolution_of_lines_pads_with_the_code_of_zero() {
    let place = Workplace::new();
    place.array("x.npy", &[1, 1, 3], &[1i8, 2, 3]);
    place.array("w.npy", &[1, 1, 2], &[10i8, 1]);
    for plan in ["loop", "auto"] {
        place.succeed(&format!(
            "layer conv1d --input x.npy --weight w.npy --multiplier exact --input-zero-point 4 --padding 1 --plan {plan} \
             --accumulator acc.npy"
        ));
        assert_eq!(
            place.values::<i64>("acc.npy"),
            (vec![1, 1, 4], vec![41, 12, 23, 34]),
            "{plan}"
        );
    }
}

#[test]
fn a_linear_layer_takes_leading_sizes_and_unsigned_codes() {
    let place = Workplace::new();
    place.array(
        "x.npy",
        &[2, 1, 3, 4, 5],
        &noise(120).map(|value| value as u8).collect::<Vec<_>>(),
    );
    place.array("w.npy", &[3, 5], &codes(15));
    for plan in ["loop", "auto", "gather"] {
        place.succeed(&format!(
            "layer linear --input x.npy --weight w.npy --multiplier exact:uint8,int8 --plan {plan} --accumulator {plan}.npy"
        ));
        assert_eq!(
            place.values::<i64>(&format!("{plan}.npy")),
            place.values::<i64>("loop.npy")
        );
    }
    assert_eq!(place.values::<i64>("auto.npy").0, [2, 1, 3, 4, 3]);
}

#[test]
fn plans_that_do_not_apply_say_why() {
    let place = Workplace::new();
    place.array("x.npy", &[2, 3], &codes(6));
    place.array("w.npy", &[4, 3], &codes(12));
    let run = |rest: &str| {
        format!("layer linear --input x.npy --weight w.npy --accumulator acc.npy {rest}")
    };
    place.fail(&run("--multiplier mul16s_GRU --plan gather"), 1, "gather");
    place.fail(&run("--multiplier mul8s_1L2J --plan htp"), 1, "htp");
    place.fail(&run("--multiplier htp:mul8s_1L2J --plan gather"), 1, "HTP");
    place.fail(
        &run("--multiplier htp:mul8s_1L2J --plan loop"),
        2,
        "not integers",
    );
    assert!(!place.files().contains(&"acc.npy".into()));
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let place = Workplace::new();
    place.array("x.npy", &[2, 3], &codes(6));
    place.array("w.npy", &[4, 3], &codes(12));
    place.array("w5.npy", &[4, 5], &codes(20));
    place.array("real.npy", &[2, 3], &[0.5f32, 1.0, f32::NAN, 1.0, 2.0, 3.0]);
    place.array("wide.npy", &[2, 3], &[1i16, 2, 300, 4, 5, 6]);
    place.array("image.npy", &[1, 1, 2, 2], &codes(4));
    place.array("kernel.npy", &[1, 1, 3, 3], &codes(9));
    place.array("line.npy", &[1, 1, 4], &codes(4));
    place.array("line5.npy", &[1, 1, 5], &codes(5));
    place.array("empty.npy", &[0, 3], &[0i8; 0]);
    place.array("double.npy", &[2, 3], &[1u64; 6]);
    let linear =
        |rest: &str| format!("layer linear --multiplier mul8s_1L2J --accumulator acc.npy {rest}");
    for (arguments, code, words) in [
        (linear("--input empty.npy --weight w.npy"), 2, "empty"),
        (linear("--input x.npy --weight w5.npy"), 1, "[.., 5]"),
        (linear("--input missing.npy --weight w.npy"), 1, "missing.npy"),
        (linear("--input real.npy --weight w.npy"), 2, "scale"),
        (linear("--input real.npy --weight w.npy --input-scale 0.1"), 2, "finite"),
        (linear("--input wide.npy --weight w.npy"), 1, "300"),
        (linear("--input double.npy --weight w.npy"), 1, "int8"),
        (linear("--input x.npy --weight w.npy --input-scale 0"), 2, "above 0"),
        (linear("--input x.npy --weight w.npy --input-zero-point 300"), 2, "no code"),
        (linear("--input x.npy --weight w.npy --weight-scale nowhere"), 2, "neither"),
        (linear("--input x.npy --weight w.npy --input-scale x.npy"), 2, "one of each"),
        (linear("--input x.npy --weight w.npy --bias w.npy"), 1, "[4]"),
        (linear("--input x.npy --weight w.npy --grad-input gx.npy"), 2, "grad-output"),
        (linear("--input x.npy --weight w.npy --grad-output x.npy"), 1, "shape"),
        ("layer linear --multiplier exact --input x.npy --weight w.npy".into(), 2, "nothing"),
        ("layer conv2d --multiplier exact --input image.npy --weight kernel.npy --output y.npy".into(), 2, "larger"),
        ("layer conv2d --multiplier exact --input image.npy --weight kernel.npy --output y.npy --stride 0".into(), 2, "above 0"),
        ("layer conv2d --multiplier exact --input image.npy --weight kernel.npy --output y.npy --groups 2".into(), 2, "groups"),
        ("layer conv2d --multiplier exact --input x.npy --weight kernel.npy --output y.npy".into(), 1, "four"),
        ("layer conv1d --multiplier exact --input image.npy --weight line.npy --output y.npy".into(), 1, "three"),
        ("layer conv1d --multiplier exact --input line.npy --weight line5.npy --output y.npy".into(), 2, "kernel, 5 at dilation [1]"),
        ("layer conv1d --multiplier exact --input line.npy --weight line.npy --output y.npy --stride 1,2".into(), 2, "not a number"),
        ("layer conv1d --multiplier exact --input line.npy --weight line.npy --output line.npy".into(), 2, "named twice"),
        ("layer conv2d --multiplier exact --input image.npy --weight kernel.npy --output y.npy --padding 4294967295 --device cpu".into(), 2, "too large"),
    ] {
        place.fail(&arguments, code, words);
    }
}
