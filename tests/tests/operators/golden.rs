//! The reference vectors recorded from TorchApprox: accumulators bit for bit, outputs and gradients within rounding.

use approx_multiplier::{Feature, Multiplier, OperandFormat, evoapprox};
use burn_approx::PreparedMultiplier;
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::CodeRange;
use burn_approx_tests::golden::{Archive, Vector, to_layout};
use burn_approx_tests::layer::{Layer, Operand, accumulators, relative_difference};
use burn_approx_tests::reference::{Conv2d, LayerGeometry};

const INT8: OperandFormat = OperandFormat::INT8;

/// The recorded layers.
const VECTORS: [&str; 7] = [
    "linear",
    "linear_affine",
    "conv3x3",
    "conv3x3_grouped2",
    "conv3x3_depthwise",
    "conv3x3_stride2",
    "conv3x3_pad1",
];

/// A recorded layer as it is fed to the operators: real values and a quantiser per tensor.
fn layer(vector: &Vector) -> Layer {
    let operand = |values: &[f32], shape, scale, zero| Operand {
        values: values.to_vec(),
        shape,
        scales: vec![scale],
        zero_points: vec![zero],
        channel_axis: None,
        range: CodeRange::full(INT8),
        format: INT8,
    };
    Layer {
        geometry: vector.geometry.clone(),
        activation: operand(
            &vector.activation,
            vector.geometry.activation_shape(),
            vector.activation_scale,
            vector.activation_zero,
        ),
        weight: operand(
            &vector.weight,
            vector.geometry.weight_shape(),
            vector.weight_scale,
            vector.weight_zero,
        ),
    }
}

/// The exact product by arithmetic, by factors and by table, and the random table.
fn multipliers(vector: &Vector) -> [(&'static str, PreparedMultiplier, bool); 4] {
    let table = Multiplier::from_fn("exact table", INT8, INT8, |a, b| a * b).unwrap();
    let exact = Multiplier::exact(INT8, INT8);
    [
        ("exact", exact, PlanChoice::Exact, false),
        ("exact factors", table.clone(), PlanChoice::Factored, false),
        ("exact table", table, PlanChoice::Gather, false),
        (
            "random",
            vector.random_multiplier(),
            PlanChoice::Gather,
            true,
        ),
    ]
    .map(|(name, multiplier, plan, random)| {
        let prepared = PreparedMultiplier::new(multiplier).with_plan(plan);
        (name, prepared, random)
    })
}

#[test]
fn the_library_quantises_the_recorded_operands_to_the_recorded_codes() {
    for name in VECTORS {
        let vector = Vector::read(name);
        let layer = layer(&vector);
        let device = crate::device();
        for (operand, codes) in [
            (&layer.activation, &vector.activation_codes),
            (&layer.weight, &vector.weight_codes),
        ] {
            let values = burn_approx_tests::layer::float_tensor::<1>(
                &operand.values,
                &[operand.values.len()],
                &device,
            );
            let found =
                burn_approx_tests::layer::integers(operand.quantizer(&device).codes(values));
            let expected: Vec<i64> = codes.iter().map(|code| (*code).into()).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn accumulators_of_every_vector_are_bit_exact() {
    for name in VECTORS {
        let vector = Vector::read(name);
        for (table, multiplier, random) in multipliers(&vector) {
            let found = accumulators(
                &vector.geometry,
                [&vector.activation_codes, &vector.weight_codes],
                vector.activation_zero,
                &multiplier,
                &crate::device(),
            );
            let found = found.unwrap().unwrap();
            let expected = if random {
                &vector.random_accumulators
            } else {
                &vector.exact_accumulators
            };
            assert_eq!(&found, expected, "{name}, {table}");
        }
    }
}

#[test]
fn outputs_of_every_vector_agree() {
    for name in VECTORS {
        let vector = Vector::read(name);
        for (table, multiplier, random) in multipliers(&vector) {
            let found = layer(&vector).outputs(&multiplier, &crate::device());
            let expected = if random {
                &vector.random_outputs
            } else {
                &vector.exact_outputs
            };
            let difference = relative_difference(&found, expected);
            assert!(difference <= 1e-6, "{name}, {table}: {difference}");
        }
    }
}

#[test]
fn gradients_of_every_vector_agree_whatever_the_table() {
    let device = crate::device().autodiff();
    for name in VECTORS {
        let vector = Vector::read(name);
        for (table, multiplier, _) in multipliers(&vector) {
            let found = layer(&vector).gradients(&multiplier, &vector.output_gradient, &device);
            for (operand, found, expected) in [
                ("activation", found.activation, &vector.activation_gradient),
                ("weight", found.weight, &vector.weight_gradient),
            ] {
                let difference = relative_difference(&found, expected);
                assert!(
                    difference <= 1e-5,
                    "{name}, {table}, {operand}: {difference}"
                );
            }
        }
    }
}

/// The layer of one of `htp.npz`'s kinds, on integers: scales 1, zero points 0.
fn htp_layer(archive: &mut Archive, kind: &str, padding: usize) -> Layer {
    let x = archive.codes(&format!("{kind}_x"));
    let w = archive.codes(&format!("{kind}_w"));
    let geometry = match kind {
        "lin" => LayerGeometry::Linear {
            leading: vec![x.shape[0]],
            inputs: x.shape[1],
            outputs: w.shape[0],
        },
        _ => LayerGeometry::Conv2d(Conv2d {
            batch: x.shape[0],
            groups: x.shape[1] / w.shape[1],
            group_inputs: w.shape[1],
            group_outputs: w.shape[0] * w.shape[1] / x.shape[1],
            input: [x.shape[2], x.shape[3]],
            kernel: [w.shape[2], w.shape[3]],
            stride: [1, 1],
            dilation: [1, 1],
            padding: [(padding, padding); 2],
        }),
    };
    let weight = to_layout(&geometry, w.values);
    Layer {
        activation: Operand::from_codes(&x.values, geometry.activation_shape(), 1.0, 0, INT8),
        weight: Operand::from_codes(&weight, geometry.weight_shape(), 1.0, 0, INT8),
        geometry,
    }
}

#[test]
fn htp_models_agree_with_the_recorded_ones() {
    let mut archive = Archive::open("htp");
    for kind in ["conv", "dw", "lin"] {
        let layer = htp_layer(&mut archive, kind, 0);
        for name in signed_multipliers() {
            let model = PreparedMultiplier::htp(evoapprox::htp(name).unwrap());
            let found = layer.outputs(&model, &crate::device());
            let expected = archive.floats(&format!("{kind}_{name}")).values;
            let difference = relative_difference(&found, &expected);
            assert!(difference <= 1e-6, "{kind} {name}: {difference}");
        }
    }
}

fn signed_multipliers() -> impl Iterator<Item = &'static str> {
    let names = evoapprox::names().filter(|name| name.starts_with("mul8s"));
    assert_eq!(names.clone().count(), 13);
    names
}

/// The recorded padded results lack the terms of padded taps that contain no activation; this library counts them.
#[test]
fn htp_border_terms_that_the_source_drops_are_counted() {
    let mut archive = Archive::open("htp");
    for (kind, recorded) in [("conv", "convpad1"), ("dw", "dwpad1")] {
        let layer = htp_layer(&mut archive, kind, 1);
        let mut corrected = 0;
        for name in signed_multipliers() {
            let model = evoapprox::htp(name).unwrap();
            let expected: Vec<f32> = layer
                .codes()
                .htp(&layer.geometry, &model)
                .into_iter()
                .map(|(value, _)| value as f32)
                .collect();
            let found = layer.outputs(&PreparedMultiplier::htp(model.clone()), &crate::device());
            let difference = relative_difference(&found, &expected);
            assert!(difference <= 1e-6, "{recorded} {name}: {difference}");
            // With code 0 for the real value 0, only a term without the activation is not 0 in the padding.
            let has_border_terms = model.terms().iter().any(|term| term.first == Feature::One);
            let dropped = archive.floats(&format!("{recorded}_{name}")).values;
            let difference = relative_difference(&found, &dropped);
            if has_border_terms {
                assert!(difference > 1e-5, "{recorded} {name}: {difference}");
                corrected += 1;
            } else {
                assert!(difference <= 1e-6, "{recorded} {name}: {difference}");
            }
        }
        assert!(corrected > 0, "{recorded}");
    }
}
