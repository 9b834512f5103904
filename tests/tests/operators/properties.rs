//! Runs a property over layers drawn from a strategy, always the same ones, and counts what it covered.

use burn_approx_tests::layer::Layer;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::{MAIN_LAYERS, MOST_LAYERS, WIDE};

/// What a property was tried on.
#[derive(Debug, Default, PartialEq)]
pub struct Coverage {
    /// Layers.
    pub layers: usize,
    /// Accumulators of all layers together.
    pub accumulators: usize,
    /// Layers with more than 1024 products per accumulator.
    pub deep_layers: usize,
}

impl Coverage {
    /// Prints the coverage and asserts that it is what the library's promises are to be tried on.
    fn assert_wide(&self) {
        println!("{self:?}");
        let Self {
            layers,
            accumulators,
            deep_layers,
        } = self;
        assert!(*layers >= WIDE.layers, "{layers} layers");
        assert!(
            *accumulators >= WIDE.accumulators,
            "{accumulators} accumulators"
        );
        assert!(
            *deep_layers >= WIDE.deep_layers,
            "{deep_layers} layers deeper than 1024"
        );
    }
}

/// Tries a main law of the library on as many and as large layers as the device allows, and asserts that they were.
pub fn main_law(
    seed: u8,
    layers: impl Strategy<Value = Layer>,
    property: impl Fn(&Layer) -> Result<(), TestCaseError>,
) {
    run(MAIN_LAYERS, seed, layers, property).assert_wide();
}

/// Tries `property` on `count` layers, or the most that the device allows. A layer for which it fails is made smaller
/// before it is reported.
pub fn over_layers(
    count: u32,
    seed: u8,
    layers: impl Strategy<Value = Layer>,
    property: impl Fn(&Layer) -> Result<(), TestCaseError>,
) -> Coverage {
    run(count.min(MOST_LAYERS), seed, layers, property)
}

fn run(
    count: u32,
    seed: u8,
    layers: impl Strategy<Value = Layer>,
    property: impl Fn(&Layer) -> Result<(), TestCaseError>,
) -> Coverage {
    let config = Config {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let coverage = std::cell::RefCell::new(Coverage::default());
    let run = TestRunner::new_with_rng(config, random).run(&layers, |layer| {
        let mut coverage = coverage.borrow_mut();
        coverage.layers += 1;
        coverage.accumulators += layer.geometry.outputs();
        coverage.deep_layers += usize::from(layer.geometry.inner() > 1024);
        property(&layer)
    });
    if let Err(error) = run {
        panic!("{error}");
    }
    coverage.into_inner()
}

/// Fails a property unless `found` and `expected` are equal, naming the first difference instead of printing both.
pub fn all_equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &[T],
    expected: &[T],
) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len(), "number of {}", what);
    let different = found.iter().zip(expected).position(|(a, b)| a != b);
    if let Some(index) = different {
        let (found, expected) = (&found[index], &expected[index]);
        return Err(TestCaseError::fail(format!(
            "{what} {index} is {found:?}, not {expected:?}"
        )));
    }
    Ok(())
}
