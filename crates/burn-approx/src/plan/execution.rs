//! What a plan says: how one layer's products are computed for one shape of input, why that way, and how exact the sums
//! are.

use approx_multiplier::FactorizationForm;

use crate::multiplier::Route;

/// What a plan's sums are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Exactness {
    /// The exact integer sums of the multiplier's products.
    Integer,
    /// The exact sums within the rounding of float32 sums.
    Float32 {
        /// The largest possible error of a sum, in units of the product.
        error_bound: f64,
    },
    /// A model's sums, in float32.
    Model,
}

/// Why a plan was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reason {
    Forced,
    OnlyOne,
    /// Cheaper than the next best by this factor.
    Cheapest {
        next: Route,
        ratio: f64,
    },
}

/// The factors of a factored plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FactorSummary {
    pub(super) form: FactorizationForm,
    pub(super) rank: usize,
    pub(super) products: usize,
    pub(super) largest: u64,
    /// The operand pairs compared, and whether that was all.
    pub(super) compared: (u64, bool),
}

/// How one layer's products are computed for one shape of input.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
/// use burn_approx::nn::LinearConfig;
/// use burn_approx::plan::Route;
///
/// let device = Device::flex(); // on a GPU, another plan may be the fastest
/// let (layer, _) = convert(LinearConfig::new(64, 32).init(&device), &ApproxConfig::bundled("mul8s_1KVA"))?;
/// calibrate(&layer, |layer| drop(layer.forward(Tensor::<2>::ones([8, 64], &device))))?;
/// let plan = approx_layers(&layer)[0].plan()?;
/// assert_eq!((plan.route(), plan.is_exact()), (Route::Factored, true));
/// println!("{}", plan.explain());
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionPlan {
    pub(super) multiplier: String,
    pub(super) route: Route,
    pub(super) factors: Option<FactorSummary>,
    pub(super) seconds: f64,
    pub(super) exact_seconds: f64,
    pub(super) exactness: Exactness,
    pub(super) reason: Reason,
}

impl ExecutionPlan {
    /// The route.
    pub fn route(&self) -> Route {
        self.route
    }

    /// How many one-operand products make one product of the multiplier, in a factored plan.
    pub fn products(&self) -> Option<usize> {
        self.factors.map(|factors| factors.products)
    }

    /// The expected time in seconds: on one thread of a CPU, by the planner's cost model, or on a data-centre GPU.
    pub fn expected_seconds(&self) -> f64 {
        self.seconds
    }

    /// The expected time in units of that of the exact product of the same shape.
    pub fn relative_cost(&self) -> f64 {
        self.seconds / self.exact_seconds
    }

    /// What the sums are.
    pub fn exactness(&self) -> Exactness {
        self.exactness
    }

    /// Whether the sums are the exact integers.
    pub fn is_exact(&self) -> bool {
        self.exactness == Exactness::Integer
    }

    /// In a sentence or two: what was picked, why, what it is expected to cost, and how exact the result is.
    pub fn explain(&self) -> String {
        let name = &self.multiplier;
        let what = match (self.route, self.factors) {
            (Route::Factored | Route::FactoredFloat32, Some(factors)) => {
                let FactorSummary {
                    form,
                    rank,
                    products,
                    largest,
                    compared: (pairs, all),
                } = factors;
                let all = if all { "all " } else { "" };
                let terms = match form {
                    FactorizationForm::Table => {
                        format!(
                            "{products} product{} of",
                            if products == 1 { "" } else { "s" }
                        )
                    }
                    FactorizationForm::Error => format!("the exact product and {rank} of"),
                };
                match products {
                    0 => format!(
                        "{name} is 0 on these codes (compared on {all}{pairs} operand pairs)"
                    ),
                    _ => format!(
                        "{name} is a sum of {terms} one-operand functions with integer values up to {largest} (compared \
                         on {all}{pairs} operand pairs), so the layer is one {} product",
                        self.arithmetic()
                    ),
                }
            }
            (Route::Gather, _) => {
                format!("every product of {name} is looked up in its table")
            }
            (Route::Htp, _) => format!("{name} is computed as an HTP model in float32"),
            _ => format!(
                "{name} is exact, so the layer is one {} product",
                self.arithmetic()
            ),
        };
        let why = match self.reason {
            Reason::Forced => "forced by the user".to_string(),
            Reason::OnlyOne => "the only exact way for this multiplier here".to_string(),
            Reason::Cheapest { next, ratio } => {
                format!(
                    "expected {ratio:.1} times as fast as the next best, {}",
                    words(next)
                )
            }
        };
        let exact = match self.exactness {
            Exactness::Integer => "the sums are the exact integers".to_string(),
            Exactness::Float32 { error_bound } => {
                format!("the sums are within float32 rounding, at most {error_bound:.3} off")
            }
            Exactness::Model => "the sums are the model's, not the circuit's".to_string(),
        };
        format!(
            "{}: {what}; {why}; expected cost {:.2} times the exact product's; {exact}.",
            kind(self.route),
            self.relative_cost()
        )
    }

    fn arithmetic(&self) -> &'static str {
        match self.route.is_float32_product() {
            true => "float32",
            false => "integer",
        }
    }
}

/// What a route does, whatever computes it.
fn kind(route: Route) -> &'static str {
    match route {
        Route::ExactFloat32 => Route::Exact.name(),
        Route::FactoredFloat32 => Route::Factored.name(),
        route => route.name(),
    }
}

/// A route in words.
fn words(route: Route) -> String {
    match route.is_float32_product() {
        true => format!("{} in float32", kind(route)),
        false => kind(route).to_string(),
    }
}

/// In a few words, as the listing of layers shows it.
impl std::fmt::Display for ExecutionPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = kind(self.route);
        let float = match self.route.is_float32_product() {
            true => " float32",
            false => "",
        };
        let text = match self.products() {
            Some(products) => format!("{kind} x{products}{float}"),
            None => format!("{kind}{float}"),
        };
        f.pad(&text)
    }
}
