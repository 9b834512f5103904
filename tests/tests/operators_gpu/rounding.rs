//! Nothing is rounded on the way to a float32 product: factors around 2^11, which matrix units that compute in TF32
//! would round, and sums up to 2^24. The factors are split into digits for such units whatever the device, so that the
//! split itself is tried everywhere.

use approx_multiplier::{Multiplier, OperandFormat};
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::Tensor;
use burn_approx::PreparedMultiplier;
use burn_approx::ops::{ApproxOps, CodeGrid, ProductOperation};
use burn_approx::plan::{PlanChoice, Route, Target};
use burn_approx::quantization::CodeRange;
use burn_approx_tests::layer::{Layer, Operand, bits, values};
use burn_approx_tests::reference::{Conv2d, LayerGeometry};
use rstest::rstest;

use crate::device;

/// Codes of 12 bits whose values and differences need 11 and 12 significant bits.
const EDGES: [i32; 8] = [4095, 2049, 2047, 0, 2048, 4093, 1, 1025];

fn operand(shape: Vec<usize>, codes: &[i32], zero: i32, format: OperandFormat) -> Operand {
    let count = shape.iter().product();
    let codes: Vec<i32> = codes.iter().copied().cycle().take(count).collect();
    Operand::from_codes(&codes, shape, 0.5, zero, format)
}

fn grid(operand: &Operand) -> CodeGrid {
    CodeGrid {
        low: operand.range.low(),
        high: operand.range.high(),
        symmetric: operand.zero_points == [0],
        channel_axis: None,
    }
}

/// A layer's outputs by a plan for a kind of device, and whether the plan says that they are exact.
fn outputs(
    layer: &Layer,
    multiplier: &Multiplier,
    plan: PlanChoice,
    target: Target,
) -> (Vec<f32>, bool) {
    let device = device();
    let operation = ProductOperation::new(
        PreparedMultiplier::new(multiplier.clone()).with_plan(plan),
        [grid(&layer.activation), grid(&layer.weight)],
        layer.geometry.planned(),
        target,
    )
    .unwrap();
    assert!(operation.plan().route().is_float32_product());
    let exact = operation.plan().is_exact();
    let quantizers = [&layer.activation, &layer.weight]
        .map(|operand| operand.quantizer(&device).parameters().into_dispatch());
    let [activation_quantizer, weight_quantizer] = quantizers;
    let product = |[activation, weight]: [DispatchTensor; 2]| {
        <Dispatch as ApproxOps>::product(
            activation,
            weight,
            activation_quantizer,
            weight_quantizer,
            operation,
        )
    };
    let operands = [&layer.activation, &layer.weight];
    let found = match &layer.geometry {
        LayerGeometry::Conv2d(_) => {
            let operands = operands.map(|operand| operand.tensor::<4>(&device).into_dispatch());
            values(Tensor::<4>::from_dispatch(product(operands)))
        }
        _ => {
            let operands = operands.map(|operand| operand.tensor::<2>(&device).into_dispatch());
            values(Tensor::<2>::from_dispatch(product(operands)))
        }
    };
    (found, exact)
}

fn linear(inputs: usize) -> LayerGeometry {
    LayerGeometry::Linear {
        leading: vec![5],
        inputs,
        outputs: 6,
    }
}

fn conv2d(groups: usize) -> LayerGeometry {
    LayerGeometry::Conv2d(Conv2d {
        batch: 2,
        groups,
        group_inputs: 3,
        group_outputs: 2,
        input: [6, 5],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [(1, 1), (1, 1)],
    })
}

/// Both operands in turn have the wide codes; zero points at either end and in between.
#[rstest]
fn factors_around_two_to_the_eleventh(
    #[values(linear(1), linear(27), conv2d(1), conv2d(2))] geometry: LayerGeometry,
    #[values(0, 2047, 4095)] zero: i32,
    #[values(false, true)] wide_weight: bool,
    #[values(false, true)] tensor_float32: bool,
) {
    let (wide, narrow) = (
        OperandFormat::unsigned(12).unwrap(),
        OperandFormat::signed(3).unwrap(),
    );
    let narrow_codes = [-4, 3, 0, -1, 2];
    let (activation, weight) = (geometry.activation_shape(), geometry.weight_shape());
    let layer = match wide_weight {
        false => Layer {
            activation: operand(activation, &EDGES, zero, wide),
            weight: operand(weight, &narrow_codes, 0, narrow),
            geometry,
        },
        true => Layer {
            activation: operand(activation, &narrow_codes, 1, narrow),
            weight: operand(weight, &EDGES, zero, wide),
            geometry,
        },
    };
    let formats = [layer.activation.format, layer.weight.format];
    let exact = Multiplier::exact(formats[0], formats[1]);
    // An even product of odd factors: as factors of a table, no common scale is left.
    let shifted =
        Multiplier::from_fn_factored("a * b + a", formats[0], formats[1], |a, b| a * b + a);
    let target = Target::Gpu { tensor_float32 };
    for (multiplier, plan) in [
        (exact, PlanChoice::ExactFloat32),
        (shifted.unwrap(), PlanChoice::FactoredFloat32),
    ] {
        let (found, is_exact) = outputs(&layer, &multiplier, plan, target);
        // The correction for a weight's zero point is not split into digits; such plans do not call themselves exact.
        assert_eq!(is_exact, !(tensor_float32 && wide_weight && zero != 0));
        if !is_exact {
            continue;
        }
        let product = |a, b| multiplier.product(a, b).unwrap();
        let expected = layer.codes().outputs(&layer.geometry, product);
        assert_eq!(bits(&found), bits(&expected), "{}", multiplier.name());
    }
}

/// Sums up to 2^24 are exact in float32, and deeper ones are cut into parts that are; one that would take too many
/// parts is not exact, and its plan says so.
#[test]
fn sums_beyond_float32() {
    let int8 = OperandFormat::INT8;
    let symmetric = CodeRange::new(-127, 127).unwrap();
    let exact = Multiplier::exact(int8, int8);
    let layer_of = |geometry: LayerGeometry| {
        let mut layer = Layer {
            activation: operand(geometry.activation_shape(), &[127], 0, int8),
            weight: operand(
                geometry.weight_shape(),
                &[127, -127, 126, 127, 127],
                0,
                int8,
            ),
            geometry,
        };
        layer.activation.range = symmetric;
        layer.weight.range = symmetric;
        layer
    };
    let deep_conv2d = LayerGeometry::Conv2d(Conv2d {
        batch: 1,
        groups: 1,
        group_inputs: 301,
        group_outputs: 2,
        input: [4, 3],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [(1, 1), (1, 1)],
    });
    let fits = (1 << 24) / (127 * 127);
    for geometry in [
        linear(fits),
        linear(fits + 1),
        linear(4 * fits - 7),
        deep_conv2d,
    ] {
        let layer = layer_of(geometry);
        for tensor_float32 in [false, true] {
            let target = Target::Gpu { tensor_float32 };
            let (found, is_exact) = outputs(&layer, &exact, PlanChoice::ExactFloat32, target);
            assert!(is_exact);
            let product = |a, b| i64::from(a) * i64::from(b);
            let expected = layer.codes().outputs(&layer.geometry, product);
            assert_eq!(bits(&found), bits(&expected));
        }
    }
    let beyond = layer_of(linear(17 * fits));
    let forced = PreparedMultiplier::new(exact.clone()).with_plan(PlanChoice::ExactFloat32);
    assert!(!beyond.plan(&forced, &device()).unwrap().is_exact());
    let planned = beyond
        .plan(&PreparedMultiplier::new(exact), &device())
        .unwrap();
    assert_eq!(
        planned.route(),
        Route::Exact,
        "the planner gives up no exactness"
    );
}
