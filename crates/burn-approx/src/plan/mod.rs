//! Execution plans: how the products of a layer are computed, and why that way.
//!
//! The same sums can be had by several routes: one exact product (of codes, or of the factors that a multiplier's table is
//! made of), a lookup per product, or a model that is not the circuit. The planner knows which of them can compute a given
//! multiplier on given codes and takes the one that [`approx_cpu::cost`] expects to be the fastest for the layer's shape,
//! unless the user forces one. The result never depends on the choice, but for what [`Exactness`] says.

mod bounds;
mod factors;
mod float32;
mod planner;
mod target;

use approx_multiplier::FactorizationForm;
use serde::{Deserialize, Serialize};

pub use approx_cpu::cost::Workload;
pub(crate) use bounds::TWO_TO_31;
#[cfg(feature = "gpu")]
pub(crate) use bounds::corrected_sum;
pub(crate) use factors::{Factors, RankLimit};
#[cfg(feature = "gpu")]
pub(crate) use float32::exact_depth;
pub(crate) use planner::{Planned, Sums, check, plan};
pub use target::Target;

/// The routes to a sum of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// The multiplier is exact: one product of codes.
    Exact,
    /// The multiplier's table is a sum of few products of one-operand functions: one product, as many times as deep.
    Factored,
    /// Every product is looked up in the multiplier's table.
    Gather,
    /// A High-Throughput model in float.
    Htp,
}

impl std::fmt::Display for PlanKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Factored => "factored",
            Self::Gather => "gather",
            Self::Htp => "htp",
        })
    }
}

/// What computes a plan's products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Integer kernels: those of [`approx_cpu`], or on a GPU those written in CubeCL.
    Integer,
    /// Table lookup kernels, likewise.
    Lookup,
    /// The backend's own float32 matrix product and convolution.
    Float32,
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
    /// Every choice.
    const ALL: [Self; 7] = [
        Self::Auto,
        Self::Exact,
        Self::ExactFloat32,
        Self::Factored,
        Self::FactoredFloat32,
        Self::Gather,
        Self::Htp,
    ];

    /// The kind and engine that are asked for; `None` for [`Auto`](Self::Auto).
    fn route(self) -> Option<(PlanKind, Engine)> {
        Some(match self {
            Self::Auto => return None,
            Self::Exact => (PlanKind::Exact, Engine::Integer),
            Self::ExactFloat32 => (PlanKind::Exact, Engine::Float32),
            Self::Factored => (PlanKind::Factored, Engine::Integer),
            Self::FactoredFloat32 => (PlanKind::Factored, Engine::Float32),
            Self::Gather => (PlanKind::Gather, Engine::Lookup),
            Self::Htp => (PlanKind::Htp, Engine::Float32),
        })
    }
}

impl std::fmt::Display for PlanChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Exact => "exact",
            Self::ExactFloat32 => "exact_float32",
            Self::Factored => "factored",
            Self::FactoredFloat32 => "factored_float32",
            Self::Gather => "gather",
            Self::Htp => "htp",
        })
    }
}

/// What a plan's sums are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Exactness {
    /// The exact integer sums of the multiplier's products.
    Integer,
    /// The same within the rounding of float32 sums.
    Float32 {
        /// The largest possible error of a sum, in units of the product.
        error_bound: f64,
    },
    /// A model's sums, in float32.
    Model,
}

/// Why a plan was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reason {
    Forced,
    OnlyOne,
    /// Cheaper than the next best by this factor.
    Cheapest {
        next: (PlanKind, Engine),
        ratio: f64,
    },
}

/// The factors of a factored plan.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FactorSummary {
    form: FactorizationForm,
    rank: usize,
    products: usize,
    largest: u64,
    /// The operand pairs compared, and whether that was all.
    compared: (u64, bool),
}

/// How one layer's products are computed for one shape of input.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
/// use burn_approx::nn::LinearConfig;
/// use burn_approx::plan::PlanKind;
///
/// let device = Device::flex(); // on a GPU, another plan may be the fastest
/// let (layer, _) = convert(LinearConfig::new(64, 32).init(&device), &ApproxConfig::bundled("mul8s_1KVA"))?;
/// calibrate(&layer, |layer| drop(layer.forward(Tensor::<2>::ones([8, 64], &device))))?;
/// let plan = approx_layers(&layer)[0].plan()?.expect("the layer has seen an input");
/// assert_eq!((plan.kind(), plan.is_exact()), (PlanKind::Factored, true));
/// println!("{}", plan.explain());
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionPlan {
    multiplier: String,
    kind: PlanKind,
    engine: Engine,
    factors: Option<FactorSummary>,
    seconds: f64,
    exact_seconds: f64,
    exactness: Exactness,
    reason: Reason,
}

impl ExecutionPlan {
    /// The route.
    pub fn kind(&self) -> PlanKind {
        self.kind
    }

    /// What computes the products.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// How many one-operand products make one product of the multiplier, in a factored plan.
    pub fn products(&self) -> Option<usize> {
        self.factors.map(|factors| factors.products)
    }

    /// The expected time in seconds: on one thread of a CPU, by [`approx_cpu::cost`], or on a data-centre GPU.
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
        let what = match (self.kind, self.factors) {
            (PlanKind::Factored, Some(factors)) => {
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
                        self.engine_name()
                    ),
                }
            }
            (PlanKind::Exact, _) => {
                format!(
                    "{name} is exact, so the layer is one {} product",
                    self.engine_name()
                )
            }
            (PlanKind::Gather, _) => {
                format!("every product of {name} is looked up in its table")
            }
            _ => {
                format!("{name} is computed as an HTP model through the backend's float32 products")
            }
        };
        let why = match self.reason {
            Reason::Forced => "forced by the user".to_string(),
            Reason::OnlyOne => "the only exact way for this multiplier here".to_string(),
            Reason::Cheapest {
                next: (kind, engine),
                ratio,
            } => {
                let engine = match engine {
                    Engine::Float32 => " in float32",
                    Engine::Integer | Engine::Lookup => "",
                };
                format!("expected {ratio:.1} times as fast as the next best, {kind}{engine}")
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
            self.kind,
            self.relative_cost()
        )
    }

    fn engine_name(&self) -> &'static str {
        match self.engine {
            Engine::Float32 => "float32",
            Engine::Integer | Engine::Lookup => "integer",
        }
    }
}

/// In a few words, as the listing of layers shows it.
impl std::fmt::Display for ExecutionPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let float = match (self.kind, self.engine) {
            (PlanKind::Htp, _) | (_, Engine::Integer | Engine::Lookup) => "",
            (_, Engine::Float32) => " float32",
        };
        let text = match self.products() {
            Some(products) => format!("{} x{products}{float}", self.kind),
            None => format!("{}{float}", self.kind),
        };
        f.pad(&text)
    }
}
