//! Every plan that can compute a multiplier gives the same sums, those of a plain 64-bit integer loop; a plan that
//! cannot is an error; and what a plan says of itself holds.

use approx_multiplier::{Multiplier, OperandFormat, evoapprox};
use burn::tensor::Device;
use burn_approx::plan::{Exactness, PlanChoice, Route};
use burn_approx::quantization::CodeRange;
use burn_approx::{ApproxError, PreparedMultiplier};
use burn_approx_tests::layer::{Layer, Operand, bits};
use burn_approx_tests::random::{Random, Size, formats, layers_of, wide_formats};
use burn_approx_tests::reference::{self, Conv2d, LayerGeometry};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use rstest::rstest;

use crate::properties::{all_equal, over_layers};

/// The plans that sum integers exactly, whatever the multiplier.
const INTEGER_PLANS: [PlanChoice; 3] =
    [PlanChoice::Exact, PlanChoice::Factored, PlanChoice::Gather];

/// The plans that go through the backend's float32 products.
const FLOAT32_PLANS: [PlanChoice; 2] = [PlanChoice::ExactFloat32, PlanChoice::FactoredFloat32];

/// The plan of a layer under a multiplier, or that there is none.
fn is_possible(layer: &Layer, multiplier: &PreparedMultiplier) -> bool {
    match layer.plan(multiplier, &crate::device()) {
        Ok(_) => true,
        Err(ApproxError::ImpossiblePlan { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// All possible plans against the loop; returns how many there were.
fn plans_equal_the_loop(layer: &Layer, multiplier: &Multiplier) -> Result<usize, TestCaseError> {
    let device = crate::device();
    let product = |a, b| multiplier.product(a, b).expect("integer products");
    let codes = layer.codes();
    let sums = reference::accumulators(
        &layer.geometry,
        &codes.activation,
        &codes.weight,
        codes.activation_zero,
        product,
    );
    let outputs = bits(&codes.outputs(&layer.geometry, product));
    let mut possible = 0;
    // Its factors are the same for all plans, and sought once.
    let prepared = PreparedMultiplier::new(multiplier.clone());
    for plan in INTEGER_PLANS {
        let prepared = prepared.clone().with_plan(plan);
        if !is_possible(layer, &prepared) {
            continue;
        }
        possible += 1;
        match layer.try_accumulators(&prepared, &device) {
            None => {}
            Some(Ok(found)) => all_equal(&format!("{plan} accumulator"), &found, &sums)?,
            // Low rank on the layer's codes, but not on all.
            Some(Err(ApproxError::ImpossiblePlan { .. })) => {}
            // Accumulators have 32 bits on a GPU; outputs have what they need.
            Some(Err(ApproxError::SumsTooLarge { bits: 32, .. })) if device != Device::flex() => {}
            Some(Err(error)) => panic!("{error}"),
        }
        let found = bits(&layer.outputs(&prepared, &device));
        all_equal(&format!("{plan} output"), &found, &outputs)?;
    }
    for plan in FLOAT32_PLANS {
        let prepared = prepared.clone().with_plan(plan);
        if is_possible(layer, &prepared) {
            float32_is_as_exact_as_it_says(layer, &prepared, &sums)?;
        }
    }
    Ok(possible)
}

/// The outputs of a float32 plan: those of the integers where the plan says so, within its bound elsewhere.
fn float32_is_as_exact_as_it_says(
    layer: &Layer,
    prepared: &PreparedMultiplier,
    sums: &[i64],
) -> Result<(), TestCaseError> {
    let device = crate::device();
    let plan = layer.plan(prepared, &device).expect("it is possible");
    let found = layer.outputs(prepared, &device);
    let codes = layer.codes();
    let corrected = codes.corrected(&layer.geometry, sums);
    for (output, (found, sum)) in found.iter().zip(&corrected).enumerate() {
        let scale = f64::from(codes.output_scale(&layer.geometry, output));
        let found = f64::from(*found) / scale;
        let bound = match plan.exactness() {
            Exactness::Integer => 0.0,
            Exactness::Float32 { error_bound } => error_bound,
            Exactness::Model => unreachable!("no HTP model"),
        };
        // The corrections and the final scaling round as well.
        let rounding = 1e-6 * ((*sum as f64).abs() + bound + 1.0);
        prop_assert!(
            (found - *sum as f64).abs() <= bound + rounding,
            "{}: output {output} is {found} for {sum}, bound {bound}",
            plan.explain()
        );
    }
    Ok(())
}

/// All bundled 8-bit circuits, on layers of their operands: full, narrow and one-sided codes, all-extreme ones, zero
/// points at both ends, more than 1024 products per output.
#[test]
fn all_tables_on_all_plans() {
    let (factored, mut deep) = (std::cell::Cell::new(0), 0);
    for (index, name) in evoapprox::names()
        .filter(|name| name.starts_with("mul8"))
        .enumerate()
    {
        let multiplier = evoapprox::multiplier(name).unwrap();
        let format = Just(multiplier.activation()).boxed();
        let layers = layers_of(Size::MEDIUM, [format.clone(), format]);
        let coverage = over_layers(
            crate::LAYERS_PER_TABLE,
            100 + index as u8,
            layers,
            |layer| {
                let plans = plans_equal_the_loop(layer, &multiplier)
                    .map_err(|error| TestCaseError::fail(format!("{name}: {error}")))?;
                factored.set(factored.get() + usize::from(plans > 1));
                Ok(())
            },
        );
        deep += coverage.deep_layers;
    }
    let factored = factored.get();
    // Of 50 tables, some are of too high a rank for factors.
    let layers = crate::LAYERS_PER_TABLE as usize;
    assert!(
        factored >= 20 * layers && deep > layers,
        "{factored} factored, {deep} deep"
    );
}

/// Multipliers of random integer factors, of any width: sums of products of functions of one operand.
fn of_factors(formats: [OperandFormat; 2], rank: usize, magnitude: i32, seed: u64) -> Multiplier {
    let mut random = Random::new(seed);
    let mut factors = |format: OperandFormat| -> Vec<Vec<i32>> {
        (0..rank)
            .map(|_| random.integers(format.cardinality(), -magnitude, magnitude))
            .collect()
    };
    let (left, right) = (factors(formats[0]), factors(formats[1]));
    let product = move |a: i64, b: i64| {
        let (a, b) = (formats[0].pattern(a as i32), formats[1].pattern(b as i32));
        let terms = left.iter().zip(&right);
        terms.map(|(u, v)| i64::from(u[a]) * i64::from(v[b])).sum()
    };
    Multiplier::from_fn("factors", formats[0], formats[1], product).expect("products of 32 bits")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Rank 0 upwards, factors of a byte and beyond.
    #[test]
    fn random_factors_on_all_plans(
        (layer, rank, magnitude, seed) in (formats(), formats(), 0usize..5, prop_oneof![Just(3), Just(127), Just(9000)], any::<u64>())
            .prop_flat_map(|(a, w, rank, magnitude, seed)| {
                let layers = layers_of(Size::SMALL, [Just(a).boxed(), Just(w).boxed()]);
                (layers, Just(rank), Just(magnitude), Just(seed))
            })
    ) {
        let formats = [layer.activation.format, layer.weight.format];
        plans_equal_the_loop(&layer, &of_factors(formats, rank, magnitude, seed))?;
    }

    /// Exact multipliers of any width.
    #[test]
    fn wide_exact_multipliers(
        layer in wide_formats().prop_flat_map(|[a, w]| layers_of(Size::SMALL, [Just(a).boxed(), Just(w).boxed()]))
    ) {
        let multiplier = Multiplier::exact(layer.activation.format, layer.weight.format);
        prop_assert!(plans_equal_the_loop(&layer, &multiplier)? >= 1);
    }

    /// The bundled 12- and 16-bit circuits.
    #[test]
    fn wide_circuits(
        (layer, name) in (0..23usize)
            .prop_flat_map(|index| {
                let name = evoapprox::names().filter(|name| !name.starts_with("mul8")).nth(index).unwrap();
                let format = Just(evoapprox::multiplier(name).unwrap().activation()).boxed();
                (layers_of(Size::SMALL, [format.clone(), format]), Just(name))
            })
    ) {
        let multiplier = evoapprox::multiplier(name).unwrap();
        prop_assert!(plans_equal_the_loop(&layer, &multiplier)? >= 1);
    }
}

/// 16 x 16 bits with sums far beyond 32, of nothing but extreme codes.
#[rstest]
fn wide_extremes(#[values(-32768, 32767)] activation: i32, #[values(-32767, 32767)] weight: i32) {
    let format = OperandFormat::signed(16).unwrap();
    let operand = |shape: Vec<usize>, code: i32| {
        let codes = vec![code; shape.iter().product()];
        Operand::from_codes(&codes, shape, 1.0, 0, format)
    };
    let geometry = LayerGeometry::Linear {
        leading: vec![2],
        inputs: 3000,
        outputs: 5,
    };
    let layer = Layer {
        activation: operand(geometry.activation_shape(), activation),
        weight: operand(geometry.weight_shape(), weight),
        geometry,
    };
    for name in ["mul16s_HG4", "mul16s_GRU", "mul16s_GQV"] {
        let multiplier = evoapprox::multiplier(name).unwrap();
        plans_equal_the_loop(&layer, &multiplier).unwrap();
    }
}

/// A small layer of 8-bit signed codes.
fn small_layer() -> Layer {
    let geometry = LayerGeometry::Linear {
        leading: vec![4],
        inputs: 9,
        outputs: 3,
    };
    let operand = |shape: Vec<usize>| {
        let codes: Vec<i32> = (0..shape.iter().product::<usize>() as i32).collect();
        Operand::from_codes(&codes, shape, 1.0, 0, OperandFormat::INT8)
    };
    Layer {
        activation: operand(geometry.activation_shape()),
        weight: operand(geometry.weight_shape()),
        geometry,
    }
}

#[rstest]
#[case("mul8s_1L2J", PlanChoice::Exact, "factored, factored_float32, gather")]
#[case("mul8s_1L2J", PlanChoice::ExactFloat32, "factored")]
#[case("mul8s_1L2J", PlanChoice::Htp, "gather")]
#[case("mul8u_0AB:sign-magnitude", PlanChoice::Factored, "gather")]
#[case("mul12s_2QH", PlanChoice::Gather, "factored")]
#[case("exact", PlanChoice::Factored, "exact")]
fn a_plan_that_cannot_compute_the_multiplier_is_an_error(
    #[case] name: &str,
    #[case] plan: PlanChoice,
    #[case] possible: &str,
) {
    let multiplier = match name.split_once(':') {
        Some((name, _)) => evoapprox::multiplier(name)
            .unwrap()
            .sign_magnitude()
            .unwrap(),
        None if name == "exact" => Multiplier::exact(OperandFormat::INT8, OperandFormat::INT8),
        None => evoapprox::multiplier(name).unwrap(),
    };
    let error = small_layer()
        .plan(
            &PreparedMultiplier::new(multiplier).with_plan(plan),
            &crate::device(),
        )
        .unwrap_err();
    assert!(
        matches!(error, ApproxError::ImpossiblePlan { .. }),
        "{error}"
    );
    let text = error.to_string();
    for part in [&format!("`{plan}`"), name, possible] {
        assert!(text.contains(part), "{part} in: {text}");
    }
}

/// Sums that 64 bits might not hold are an error before anything is computed.
#[test]
fn sums_that_might_not_fit_in_64_bits_are_refused() {
    let wide = OperandFormat::signed(16).unwrap();
    let huge = Multiplier::from_fn_factored("huge", wide, wide, |a, b| (a * b) << 28).unwrap();
    let mut layer = small_layer();
    layer.geometry = LayerGeometry::Linear {
        leading: vec![1],
        inputs: 4000,
        outputs: 1,
    };
    for operand in [&mut layer.activation, &mut layer.weight] {
        operand.range = CodeRange::full(wide);
    }
    match layer.plan(&PreparedMultiplier::new(huge), &crate::device()) {
        Err(error @ ApproxError::SumsTooLarge { .. }) => {
            assert!(error.to_string().contains("4000 products"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn plans_explain_themselves() {
    let explain = |multiplier: &str, choice| {
        let multiplier = evoapprox::multiplier(multiplier).unwrap();
        let mut layer = small_layer();
        for operand in [&mut layer.activation, &mut layer.weight] {
            operand.range = CodeRange::full(multiplier.activation());
        }
        let prepared = PreparedMultiplier::new(multiplier).with_plan(choice);
        layer.plan(&prepared, &crate::device()).unwrap()
    };
    let plan = explain("mul8s_1L2J", PlanChoice::Factored);
    assert_eq!(plan.route(), Route::Factored);
    assert_eq!((plan.products(), plan.is_exact()), (Some(1), true));
    for part in [
        "factored",
        "mul8s_1L2J",
        "1 product of",
        "all 65536",
        "forced",
        "exact integers",
    ] {
        assert!(
            plan.explain().contains(part),
            "{part} in: {}",
            plan.explain()
        );
    }
    let plan = explain("mul8s_1KVA", PlanChoice::Auto);
    assert!(
        plan.explain().contains("as fast as the next best"),
        "{}",
        plan.explain()
    );
    // A CPU's integer kernels beat its float32 products, a GPU's matrix units anything.
    assert!(plan.to_string().starts_with("factored x5"), "{plan}");
    assert!(plan.relative_cost() >= 1.0);
    let plan = explain("mul8s_1KVQ", PlanChoice::Gather);
    assert!(plan.explain().contains("looked up"), "{}", plan.explain());
    let plan = explain("mul16s_GRU", PlanChoice::FactoredFloat32);
    assert!(
        !plan.is_exact() && plan.explain().contains("float32 rounding"),
        "{}",
        plan.explain()
    );
    let model = PreparedMultiplier::htp(evoapprox::htp("mul8s_1KVA").unwrap());
    let plan = small_layer().plan(&model, &crate::device()).unwrap();
    assert_eq!(
        (plan.route(), plan.exactness()),
        (Route::Htp, Exactness::Model)
    );
    assert!(plan.explain().contains("model's"), "{}", plan.explain());
}

/// A convolution with kernels of one tap, of which every code is drawn.
fn one_tap(
    groups: usize,
    [group_inputs, group_outputs]: [usize; 2],
    stride: usize,
    padding: usize,
    format: OperandFormat,
    zeros: [i32; 2],
) -> Layer {
    let geometry = LayerGeometry::Conv2d(Conv2d {
        batch: 2,
        groups,
        group_inputs,
        group_outputs,
        input: [7, 9],
        kernel: [1, 1],
        stride: [stride; 2],
        dilation: [1, 1],
        padding: [(padding, padding); 2],
    });
    let mut random = Random::new(41);
    let mut operand = |shape: Vec<usize>, zero| {
        let count = shape.iter().product();
        let codes = random.integers(count, format.min_code(), format.max_code());
        Operand::from_codes(&codes, shape, 0.5, zero, format)
    };
    let (activation, weight) = (
        operand(geometry.activation_shape(), zeros[0]),
        operand(geometry.weight_shape(), zeros[1]),
    );
    Layer {
        geometry,
        activation,
        weight,
    }
}

#[rstest]
fn kernels_of_one_tap(
    #[values(1, 2)] stride: usize,
    #[values(0, 1)] padding: usize,
    #[values((1, [6, 5]), (2, [3, 4]), (6, [1, 2]))] groups: (usize, [usize; 2]),
) {
    let format = OperandFormat::UINT8;
    let layer = one_tap(groups.0, groups.1, stride, padding, format, [3, 7]);
    // Neither commutative nor 0 at (0, 0): of full rank, and of rank 2.
    let random = Random::new(42).multiplier(format, format, 1, 60_000);
    let shifted = |a, b| a * b + 2 * (a % 4) + 32;
    let shifted = Multiplier::from_fn("shifted", format, format, shifted).unwrap();
    for multiplier in [random, shifted] {
        assert!(plans_equal_the_loop(&layer, &multiplier).unwrap() > 0);
    }
}

/// Shapes for which a search for the fastest kernel has once taken a wrong one.
#[rstest]
fn one_tap_over_many_channels(#[values([104, 208], [440, 440])] channels: [usize; 2]) {
    let int8 = OperandFormat::INT8;
    let layer = one_tap(1, channels, 1, 0, int8, [0, 0]);
    for multiplier in [
        Multiplier::exact(int8, int8),
        evoapprox::multiplier("mul8s_1L2J").unwrap(),
    ] {
        assert!(plans_equal_the_loop(&layer, &multiplier).unwrap() > 0);
    }
}
