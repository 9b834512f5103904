//! Batch normalisation against loops that read like the formula, on every instruction set and by any number of threads.

use proptest::prelude::*;

use super::*;
use crate::tests::Random;

/// A batch normalisation with everything it reads.
#[derive(Debug, Clone)]
struct Case {
    shape: BatchNormShape,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    limits: Limits,
    values: Vec<f32>,
    shortcut: Option<Vec<f32>>,
    gradient: Vec<f32>,
}

const EPSILON: f32 = 1e-5;

impl Case {
    fn new(shape: BatchNormShape, limits: Limits, with_shortcut: bool, seed: u64) -> Self {
        let mut random = Random(seed | 1);
        let mut values = |count: usize| -> Vec<f32> {
            (0..count)
                .map(|_| f32::from(random.next() as i16) / 8192.0)
                .collect()
        };
        let length = shape.batch * shape.channels * shape.inner;
        Self {
            shape,
            gamma: values(shape.channels),
            beta: values(shape.channels),
            limits,
            values: values(length)
                .into_iter()
                .map(|value| 10.0 + value)
                .collect(),
            shortcut: with_shortcut.then(|| values(length)),
            gradient: values(length),
        }
    }

    fn norm(&self) -> BatchNorm<'_> {
        BatchNorm {
            gamma: &self.gamma,
            beta: &self.beta,
            epsilon: EPSILON,
            limits: self.limits,
        }
    }

    /// The positions of a channel's elements.
    fn positions(&self, channel: usize) -> Vec<usize> {
        let BatchNormShape {
            batch,
            channels,
            inner,
        } = self.shape;
        let plane = |image: usize| (image * channels + channel) * inner;
        (0..batch)
            .flat_map(|image| plane(image)..plane(image) + inner)
            .collect()
    }
}

/// What is expected of a case.
struct Expected {
    statistics: [Vec<f64>; 2],
    /// Before the limits.
    unlimited: Vec<f64>,
    outputs: Vec<f64>,
    parameters: [Vec<f64>; 2],
    of_values: Vec<f64>,
    of_shortcut: Vec<f64>,
}

impl Expected {
    fn of(case: &Case, given: Option<&Statistics>) -> Self {
        let length = case.values.len();
        let mut expected = Self {
            statistics: [vec![], vec![]],
            unlimited: vec![0.0; length],
            outputs: vec![0.0; length],
            parameters: [vec![], vec![]],
            of_values: vec![0.0; length],
            of_shortcut: vec![0.0; length],
        };
        for channel in 0..case.shape.channels {
            let positions = case.positions(channel);
            let count = positions.len() as f64;
            let at = |values: &[f32], position: usize| f64::from(values[position]);
            let mean_of = |term: &dyn Fn(usize) -> f64| {
                positions.iter().map(|&p| term(p)).sum::<f64>() / count
            };
            let (mean, variance) = match given {
                Some(given) => (at(&given.mean, channel), at(&given.variance, channel)),
                None => {
                    let mean = mean_of(&|p| at(&case.values, p));
                    (mean, mean_of(&|p| (at(&case.values, p) - mean).powi(2)))
                }
            };
            let deviation = (variance + f64::from(EPSILON)).sqrt();
            let normalized = |p| (at(&case.values, p) - mean) / deviation;
            let [low, high] = [case.limits.low, case.limits.high].map(f64::from);
            let (gamma, beta) = (at(&case.gamma, channel), at(&case.beta, channel));
            let output = |p| {
                let shortcut = case
                    .shortcut
                    .as_ref()
                    .map_or(0.0, |shortcut| at(shortcut, p));
                normalized(p) * gamma + beta + shortcut
            };
            let passed = |p| match output(p) > low && output(p) <= high {
                true => at(&case.gradient, p),
                false => 0.0,
            };
            let (mean_passed, mean_product) =
                (mean_of(&passed), mean_of(&|p| passed(p) * normalized(p)));
            for &p in &positions {
                expected.unlimited[p] = output(p);
                expected.outputs[p] = output(p).clamp(low, high);
                expected.of_shortcut[p] = passed(p);
                expected.of_values[p] =
                    gamma / deviation * (passed(p) - mean_passed - normalized(p) * mean_product);
            }
            expected.statistics[0].push(mean);
            expected.statistics[1].push(variance);
            expected.parameters[0].push(mean_product * count);
            expected.parameters[1].push(mean_passed * count);
        }
        expected
    }
}

fn check_close(what: &str, found: &[f32], expected: &[f64]) {
    let largest = expected
        .iter()
        .fold(1.0f64, |largest, value| largest.max(value.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(
            error <= 2e-5 * largest,
            "{what}, element {index}: {found} instead of {expected}"
        );
    }
}

/// What a case gives.
#[derive(Debug, Clone, PartialEq)]
struct Results {
    statistics: Statistics,
    outputs: Vec<f32>,
    gradients: BatchNormGradients,
}

fn compute(set: InstructionSet, case: &Case) -> Results {
    let (norm, shortcut) = (case.norm(), case.shortcut.as_deref());
    let (shape, values) = (&case.shape, &case.values);
    let (outputs, statistics) =
        outputs(set, shape, &norm, Found::OfValues, values, shortcut).unwrap();
    let gradient = &case.gradient;
    let gradients = gradients(set, shape, &norm, &statistics, values, shortcut, gradient);
    Results {
        statistics,
        outputs,
        gradients: gradients.unwrap(),
    }
}

fn check(case: &Case) {
    // On which side of a limit an output is that is as good as on it, is a matter of rounding.
    let mut case = case.clone();
    let unlimited = Expected::of(&case, None).unlimited;
    for (gradient, output) in case.gradient.iter_mut().zip(unlimited) {
        let is_near = |limit: f32| (output - f64::from(limit)).abs() < 1e-4;
        if is_near(case.limits.low) || is_near(case.limits.high) {
            *gradient = 0.0;
        }
    }
    let case = &case;
    let expected = Expected::of(case, None);
    let results = compute(InstructionSet::best(), case);
    check_close("means", &results.statistics.mean, &expected.statistics[0]);
    check_close(
        "variances",
        &results.statistics.variance,
        &expected.statistics[1],
    );
    check_close("outputs", &results.outputs, &expected.outputs);
    let gradients = &results.gradients;
    check_close("gamma", &gradients.gamma, &expected.parameters[0]);
    check_close("beta", &gradients.beta, &expected.parameters[1]);
    check_close("values", &gradients.values, &expected.of_values);
    assert_eq!(gradients.shortcut.is_some(), case.shortcut.is_some());
    if let Some(gradient) = &gradients.shortcut {
        check_close("shortcut", gradient, &expected.of_shortcut);
    }
    let bits = |results: &Results| format!("{results:?}");
    for &set in InstructionSet::available() {
        assert_eq!(bits(&compute(set, case)), bits(&results), "{set:?}");
    }
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let again = pool.install(|| compute(InstructionSet::best(), case));
        assert_eq!(bits(&again), bits(&results), "{threads} threads");
    }
}

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![Just(Limits::NONE), Just(Limits::RELU), Just(Limits::RELU6)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn outputs_and_gradients_are_the_formula(
        batch in 1usize..6, channels in 1usize..20, inner in 1usize..90, limits in limits(), with_shortcut: bool,
        seed: u64,
    ) {
        prop_assume!(batch * inner > 1);
        check(&Case::new(BatchNormShape { batch, channels, inner }, limits, with_shortcut, seed));
    }

    #[test]
    fn given_statistics_are_used(batch in 1usize..4, inner in 1usize..40, limits in limits(), with_shortcut: bool, seed: u64) {
        let case = Case::new(BatchNormShape { batch, channels: 3, inner }, limits, with_shortcut, seed);
        let given = Statistics { mean: vec![9.0, 10.0, 11.5], variance: vec![0.25, 4.0, 1.0] };
        let outputs = normalize(&case.shape, &case.norm(), &given, &case.values, case.shortcut.as_deref());
        check_close("outputs", &outputs.unwrap(), &Expected::of(&case, Some(&given)).outputs);
    }
}

/// Large enough for several tasks, and for planes as long as in networks.
#[test]
fn large_tensors_are_cut_into_tasks() {
    for (batch, channels, inner) in [(8, 17, 1024), (64, 40, 49), (33, 130, 4), (300, 65, 1)] {
        let shape = BatchNormShape {
            batch,
            channels,
            inner,
        };
        check(&Case::new(shape, Limits::RELU, true, 7));
    }
}

/// What is on a limit has no gradient at the lower end and one at the upper, as of ReLU and of Burn's clamp.
#[test]
fn limits_have_the_gradients_of_activations() {
    let shape = BatchNormShape {
        batch: 1,
        channels: 1,
        inner: 4,
    };
    let norm = BatchNorm {
        gamma: &[1.0],
        beta: &[0.0],
        epsilon: 0.0,
        limits: Limits::RELU6,
    };
    let statistics = Statistics {
        mean: vec![0.0],
        variance: vec![1.0],
    };
    let values = [0.0, 6.0, 7.0, -1.0];
    let gradients = batch_norm_gradient(
        &shape,
        &norm,
        &statistics,
        &values,
        Some(&[0.0; 4]),
        &[1.0; 4],
    );
    let of_shortcut = gradients.unwrap().shortcut.unwrap();
    assert_eq!(of_shortcut, [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn nans_stay_nans() {
    let case = Case::new(
        BatchNormShape {
            batch: 2,
            channels: 2,
            inner: 20,
        },
        Limits::RELU6,
        false,
        3,
    );
    let mut case = case;
    case.values[0] = f32::NAN;
    let results = compute(InstructionSet::best(), &case);
    for (index, output) in results.outputs.iter().enumerate() {
        assert_eq!(output.is_nan(), index / 20 % 2 == 0, "element {index}");
    }
}

#[test]
fn shapes_without_elements_have_no_results() {
    // Sides that only a zero beside them keeps from being too large.
    for (batch, channels, inner) in [(0, 2, usize::MAX), (usize::MAX, 0, 15), (usize::MAX, 2, 0)] {
        let shape = BatchNormShape {
            batch,
            channels,
            inner,
        };
        let norm = BatchNorm {
            gamma: &vec![1.0; channels],
            beta: &vec![0.0; channels],
            epsilon: EPSILON,
            limits: Limits::RELU,
        };
        let (outputs, statistics) = batch_norm(&shape, &norm, &[], None).unwrap();
        assert_eq!((outputs.len(), statistics.mean.len()), (0, channels));
        let gradients = batch_norm_gradient(&shape, &norm, &statistics, &[], Some(&[]), &[]);
        assert_eq!(gradients.unwrap().values, []);
    }
    for (batch, channels, inner) in [(0, 2, 3), (2, 0, 3), (2, 2, 0), (2, 2, 1)] {
        let shape = BatchNormShape {
            batch,
            channels,
            inner,
        };
        let case = Case::new(shape, Limits::NONE, true, 3);
        let results = compute(InstructionSet::best(), &case);
        let beta = results.gradients.beta;
        assert_eq!(beta.len(), channels);
        let no_gradient = batch * inner == 0;
        assert!(!no_gradient || beta.iter().all(|&gradient| gradient == 0.0));
    }
}

#[test]
fn slices_that_do_not_fit_are_refused() {
    let shape = BatchNormShape {
        batch: 2,
        channels: 2,
        inner: 3,
    };
    let norm = BatchNorm {
        gamma: &[1.0; 2],
        beta: &[0.0; 2],
        epsilon: EPSILON,
        limits: Limits::NONE,
    };
    let refused = |result: Result<(), KernelError>| {
        assert!(
            matches!(result, Err(KernelError::Length { .. })),
            "{result:?}"
        );
    };
    let forward = |norm: &BatchNorm<'_>, values: &[f32], shortcut: Option<&[f32]>| {
        batch_norm(&shape, norm, values, shortcut).map(|_| ())
    };
    refused(forward(&norm, &[0.0; 11], None));
    refused(forward(&norm, &[0.0; 12], Some(&[0.0; 13])));
    let short = BatchNorm {
        gamma: &[1.0],
        ..norm
    };
    refused(forward(&short, &[0.0; 12], None));
    let given = |means: usize, variances: usize| Statistics {
        mean: vec![0.0; means],
        variance: vec![1.0; variances],
    };
    for (means, variances) in [(1, 2), (2, 3)] {
        let statistics = given(means, variances);
        refused(normalize(&shape, &norm, &statistics, &[0.0; 12], None).map(|_| ()));
    }
    let backward = |statistics: &Statistics, values: usize, shortcut: usize, gradient: usize| {
        let [values, shortcut, gradient] = [values, shortcut, gradient].map(|n| vec![0.0; n]);
        let shortcut = Some(&shortcut[..]);
        batch_norm_gradient(&shape, &norm, statistics, &values, shortcut, &gradient).map(|_| ())
    };
    let fine = given(2, 2);
    assert!(backward(&fine, 12, 12, 12).is_ok());
    refused(backward(&fine, 11, 12, 12));
    refused(backward(&fine, 12, 11, 12));
    refused(backward(&fine, 12, 12, 13));
    refused(backward(&given(3, 2), 12, 12, 12));
    let huge = BatchNormShape {
        batch: usize::MAX,
        channels: 2,
        inner: 2,
    };
    let result = batch_norm(&huge, &norm, &[], None);
    assert!(
        matches!(result, Err(KernelError::Overflow { .. })),
        "{result:?}"
    );
}
