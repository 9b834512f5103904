//! The routes to a sum of products, and the choice among them that a user can make.

use serde::{Deserialize, Serialize};

/// A way to compute a multiplier's products.
///
/// ```
/// use burn_approx::plan::Route;
///
/// assert_eq!(Route::FactoredFloat32.to_string(), "factored_float32");
/// assert!(Route::FactoredFloat32.is_factored());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// The multiplier is exact: one product of codes, in integers.
    Exact,
    /// One product of codes, through the backend's own float32 matrix product or convolution.
    ExactFloat32,
    /// The multiplier's table is a sum of few products of one-operand functions: one product in integers, as many times
    /// as deep.
    Factored,
    /// The product of those functions through the backend's own float32 matrix product or convolution.
    FactoredFloat32,
    /// Every product is looked up in the multiplier's table.
    Gather,
    /// A High-Throughput model in float32: on a CPU through the backend's own products, on a GPU by a kernel of its
    /// own.
    Htp,
}

impl Route {
    /// Every route.
    pub(crate) const ALL: [Self; 6] = [
        Self::Exact,
        Self::ExactFloat32,
        Self::Factored,
        Self::FactoredFloat32,
        Self::Gather,
        Self::Htp,
    ];

    /// The route's name, as configurations spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::ExactFloat32 => "exact_float32",
            Self::Factored => "factored",
            Self::FactoredFloat32 => "factored_float32",
            Self::Gather => "gather",
            Self::Htp => "htp",
        }
    }

    /// Whether the multiplier is exact, whatever computes its products.
    pub const fn is_exact_product(self) -> bool {
        matches!(self, Self::Exact | Self::ExactFloat32)
    }

    /// Whether the multiplier's factors are multiplied, whatever computes their products.
    pub const fn is_factored(self) -> bool {
        matches!(self, Self::Factored | Self::FactoredFloat32)
    }

    /// Whether codes or factors are multiplied by the backend's own float32 matrix product or convolution.
    pub const fn is_float32_product(self) -> bool {
        matches!(self, Self::ExactFloat32 | Self::FactoredFloat32)
    }

    /// Whether the sums are integers by construction.
    pub(crate) const fn sums_integers(self) -> bool {
        matches!(self, Self::Exact | Self::Factored | Self::Gather)
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Which plan a user asks for.
///
/// ```
/// use approx_multiplier::evoapprox;
/// use burn_approx::{PreparedMultiplier, plan::PlanChoice};
///
/// let gathered = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J")?).with_plan(PlanChoice::Gather);
/// assert_eq!(gathered.plan(), PlanChoice::Gather);
/// assert_eq!(serde_json::to_string(&PlanChoice::FactoredFloat32)?, "\"factored_float32\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanChoice {
    /// The one that is expected to be the fastest.
    #[default]
    Auto,
    /// The exact product in integers; for exact multipliers only.
    Exact,
    /// The exact product through the backend's float32 product.
    ExactFloat32,
    /// The product of integer factors in integers.
    Factored,
    /// The product of integer factors through the backend's float32 product.
    FactoredFloat32,
    /// Table lookup; for integer-valued multipliers of at most 8 x 8 bits.
    Gather,
    /// An HTP model, where one is given.
    Htp,
}

impl PlanChoice {
    /// The route that is asked for; `None` for [`Auto`](Self::Auto).
    pub(crate) fn route(self) -> Option<Route> {
        Some(match self {
            Self::Auto => return None,
            Self::Exact => Route::Exact,
            Self::ExactFloat32 => Route::ExactFloat32,
            Self::Factored => Route::Factored,
            Self::FactoredFloat32 => Route::FactoredFloat32,
            Self::Gather => Route::Gather,
            Self::Htp => Route::Htp,
        })
    }
}

impl std::fmt::Display for PlanChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.route().map_or("auto", Route::name))
    }
}
