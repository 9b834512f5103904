//! The figures that say how wrong a multiplier is.

use serde::{Deserialize, Serialize};

use crate::Coverage;

/// How wrong a multiplier is, compared with the exact product of its operands.
///
/// | metric | definition, with the error `e = m(a, b) - a * b` |
/// |---|---|
/// | MAE, WCE | mean and maximum of `abs(e)` |
/// | MRE, WCRE | mean and maximum of `abs(e) / abs(a * b)` over the pairs with `a * b != 0` |
/// | EP | share of the pairs with `e != 0` |
/// | MSE | mean of `e^2` |
/// | bias | mean of `e` |
///
/// The output range that percentages refer to is `2^(n + m)` for n and m operand bits.
///
/// # Agreement with the published figures
///
/// Measured so, over all operand pairs, all [figures published](crate::evoapprox::entries) for the 73 bundled circuits
/// are confirmed to the precision in which they are printed, except
///
/// | circuit | figure | published | measured |
/// |---|---|---|---|
/// | `mul8s_1KV8` | MAE in percent | 0.0018 | 0.00191 |
/// | `mul8s_1KV9` | MAE in percent | 0.0064 | 0.00648 |
/// | `mul8s_1KVQ` | MAE | 36 | 36.535 |
/// | `mul12s_2PQ` | MAE in percent | 0.0000012 | 0.00000149 |
/// | `mul12s_2PR` | MAE in percent | 0.0000072 | 0.00000745 |
///
/// The percentages follow from an MAE that was rounded before it was divided, the other figure was cut off instead of
/// rounded. The tests confirm this; that of the 16-bit circuits takes two minutes and only runs when asked for:
///
/// ```sh
/// cargo test --release -p approx-multiplier --lib published_figures_of_16 -- --ignored
/// ```
///
/// ```
/// use approx_multiplier::{ErrorMetrics, evoapprox};
///
/// let metrics = ErrorMetrics::measure(&evoapprox::multiplier("mul8s_1L2J")?)?;
/// assert_eq!(metrics.wce, 255.0);
/// assert!((metrics.mae_percent - 0.081).abs() < 0.0005);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorMetrics {
    /// Mean absolute error.
    pub mae: f64,
    /// Mean absolute error in percent of the output range.
    pub mae_percent: f64,
    /// Worst-case error.
    pub wce: f64,
    /// Worst-case error in percent of the output range.
    pub wce_percent: f64,
    /// Worst-case relative error in percent; 0 if no pair has a product other than 0.
    pub wcre_percent: f64,
    /// Error probability in percent, 0 to 100.
    pub ep_percent: f64,
    /// Mean relative error in percent; 0 if no pair has a product other than 0.
    pub mre_percent: f64,
    /// Mean squared error.
    pub mse: f64,
    /// Mean error, negative for products that are too small on average.
    pub bias: f64,
    /// Mean error in percent of the output range.
    pub bias_percent: f64,
    /// The operand pairs that were measured.
    pub coverage: Coverage,
}
