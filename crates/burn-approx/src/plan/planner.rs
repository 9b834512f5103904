//! Which plans can compute a multiplier, and which of them to take.

use std::sync::Arc;

use approx_multiplier::Definition;

use super::bounds::{TWO_TO_31, corrected_sum, factors_fit_in_32_bits};
use super::execution::{Exactness, ExecutionPlan, FactorSummary, Reason};
use super::target::Target;
use super::{cost, float32};
use crate::codes::{CodeGrid, CodeRange};
use crate::error::ApproxError;
use crate::geometry::Geometry;
use crate::multiplier::{Factors, PlanChoice, PreparedMultiplier, Route};

/// The codes of activation and weight.
type Codes = [CodeRange; 2];

/// What can compute a multiplier on given codes.
struct Routes {
    routes: Vec<Route>,
    factors: Option<Arc<Factors>>,
    /// Why there are no factors, if there are none, or why else a route is missing.
    note: String,
}

impl Routes {
    fn of(multiplier: &PreparedMultiplier, codes: Codes) -> Self {
        let mut routes = Vec::new();
        if matches!(multiplier.definition(), Definition::Htp(_)) {
            return Self {
                routes: vec![Route::Htp],
                factors: None,
                note: "an HTP model has no integer products".into(),
            };
        }
        let products = match multiplier.definition() {
            Definition::Exact => [Route::Exact, Route::ExactFloat32],
            _ => [Route::Factored, Route::FactoredFloat32],
        };
        let (factors, note) = match multiplier.factors(codes) {
            Ok(factors) => (Some(factors), String::new()),
            Err(problem) => (None, problem),
        };
        if factors.is_some() {
            routes.extend(products);
        }
        if multiplier.can_look_up() {
            routes.push(Route::Gather);
        }
        Self {
            routes,
            factors,
            note,
        }
    }

    /// Drops the routes for which a GPU's integers or indices are too small.
    fn keep_what_a_gpu_computes(
        &mut self,
        grids: [CodeGrid; 2],
        geometry: &Geometry,
        target: Target,
    ) {
        if let Geometry::ConvTranspose2d(_) = geometry {
            self.routes.retain(|route| !route.is_float32_product());
            self.note = "Burn's transposed convolution is not known to be exact on GPUs".into();
        }
        let Some(factors) = &self.factors else {
            return;
        };
        let sum = corrected_sum(factors.largest_product(), grids, geometry);
        if sum >= TWO_TO_31 && !factors_fit_in_32_bits(factors) {
            self.routes
                .retain(|route| !matches!(route, Route::Exact | Route::Factored));
            self.note =
                "its factors have more than 32 bits, which GPUs do not multiply exactly".into();
        }
        let rows = float32::rows(factors, target) as f64;
        if rows * geometry.inputs().max(geometry.weights()) as f64 >= TWO_TO_31 {
            self.routes.retain(|route| !route.is_float32_product());
            self.note = "its factors of an operand would be more than 2^31 elements".into();
        }
    }

    /// The names of the routes that can be forced.
    fn names(&self) -> Vec<String> {
        let possible = Route::ALL
            .iter()
            .filter(|route| self.routes.contains(route));
        possible.map(Route::to_string).collect()
    }

    /// The routes that are left by the user's choice.
    fn chosen(&self, multiplier: &PreparedMultiplier) -> Result<Vec<Route>, ApproxError> {
        let choice = multiplier.plan();
        let mut chosen = self.routes.clone();
        if let Some(route) = choice.route() {
            chosen.retain(|own| *own == route);
        }
        if !chosen.is_empty() {
            return Ok(chosen);
        }
        let definition = match multiplier.definition() {
            Definition::Exact => "is exact",
            Definition::Htp(_) => "is an HTP model",
            _ => "is neither exact nor an HTP model",
        };
        let (activation, weight) = multiplier.formats();
        let mut problem = format!("it {definition}, with {activation} and {weight} operands");
        if !self.note.is_empty() {
            problem += &format!("; {}", self.note);
        }
        Err(ApproxError::ImpossiblePlan {
            plan: choice,
            multiplier: multiplier.multiplier().name().to_string(),
            problem,
            possible: self.names(),
        })
    }
}

/// Checks that some plan, or the one that was forced, can compute a multiplier on given codes.
pub(crate) fn check(multiplier: &PreparedMultiplier, codes: Codes) -> Result<(), ApproxError> {
    let multiplier = multiplier.on_codes(codes)?;
    Routes::of(&multiplier, codes)
        .chosen(&multiplier)
        .map(|_| ())
}

/// A plan, and what it computes with.
pub(crate) struct Planned {
    pub(crate) plan: ExecutionPlan,
    pub(crate) multiplier: PreparedMultiplier,
    /// The factors of an exact or a factored plan.
    pub(crate) factors: Option<Arc<Factors>>,
}

/// What is wanted of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Results {
    /// Real values: any route serves.
    RealValues,
    /// The integers themselves.
    Accumulators,
}

/// The plan for a multiplier on the codes of two grids and a given shape.
///
/// # Errors
/// [`ApproxError::InvalidCodeRange`], [`ApproxError::ImpossiblePlan`], or [`ApproxError::SumsTooLarge`] where a sum
/// might not fit in 64 bits.
pub(crate) fn plan(
    multiplier: &PreparedMultiplier,
    grids: [CodeGrid; 2],
    geometry: &Geometry,
    target: Target,
    results: Results,
) -> Result<Planned, ApproxError> {
    let codes = [grids[0].codes()?, grids[1].codes()?];
    let multiplier = multiplier.on_codes(codes)?;
    let mut routes = Routes::of(&multiplier, codes);
    if results == Results::Accumulators {
        routes.routes.retain(|route| route.sums_integers());
        routes.note = "accumulators are integers, which float32 sums need not be".into();
    }
    if target != Target::Host {
        routes.keep_what_a_gpu_computes(grids, geometry, target);
    }
    let chosen = routes.chosen(&multiplier)?;
    let terms = match (multiplier.definition(), &routes.factors) {
        (Definition::Htp(model), _) => model.terms().len(),
        (_, Some(factors)) => factors.terms.len(),
        _ => 1,
    };
    let seconds = |route: Route| {
        let product = cost::Product {
            factors: routes.factors.as_deref(),
            terms,
            narrow_table: multiplier.has_narrow_table(),
            grids,
            geometry,
        };
        cost::seconds(target, route, &product)
    };
    let exactness = |route: Route| match (route, &routes.factors) {
        (Route::Htp, _) => Exactness::Model,
        (route, Some(factors)) if route.is_float32_product() => {
            float32::exactness(factors, grids, geometry, target)
        }
        _ => Exactness::Integer,
    };
    // Of its own accord the planner gives up no exactness.
    let mut candidates: Vec<_> = chosen
        .iter()
        .map(|route| (*route, seconds(*route), exactness(*route)))
        .collect();
    if candidates
        .iter()
        .any(|(.., exactness)| *exactness == Exactness::Integer)
    {
        candidates.retain(|(.., exactness)| *exactness == Exactness::Integer);
    }
    candidates.sort_by(|left, right| left.1.total_cmp(&right.1));
    let (route, seconds, exactness) = candidates[0];
    let reason = match candidates.get(1) {
        _ if multiplier.plan().route().is_some() => Reason::Forced,
        Some((next, next_seconds, _)) => Reason::Cheapest {
            next: *next,
            ratio: next_seconds / seconds,
        },
        None => Reason::OnlyOne,
    };
    let exact = PreparedMultiplier::exact(codes)?;
    let exact_seconds = match exact.factors(codes) {
        Ok(factors) => {
            let product = cost::Product {
                factors: Some(&*factors),
                terms: 1,
                narrow_table: true,
                grids,
                geometry,
            };
            let seconds = |route| cost::seconds(target, route, &product);
            match target {
                Target::Host => seconds(Route::Exact),
                Target::Gpu { .. } => seconds(Route::Exact).min(seconds(Route::ExactFloat32)),
            }
        }
        Err(_) => seconds,
    };
    let factors = routes.factors.clone().filter(|_| route != Route::Gather);
    if let Some(factors) = &factors {
        check_sums(&multiplier, factors, geometry)?;
    }
    if multiplier.plan() == PlanChoice::Auto && matches!(exactness, Exactness::Float32 { .. }) {
        return Err(ApproxError::ImpossiblePlan {
            plan: PlanChoice::Auto,
            multiplier: multiplier.multiplier().name().to_string(),
            problem: format!("{}; what is left is not exact", routes.note),
            possible: routes.names(),
        });
    }
    let factored = factors.as_ref().filter(|_| route.is_factored());
    let plan = ExecutionPlan {
        multiplier: multiplier.multiplier().name().to_string(),
        route,
        factors: factored.map(|factors| summary(factors)),
        seconds,
        exact_seconds,
        exactness,
        reason,
    };
    Ok(Planned {
        plan,
        multiplier,
        factors,
    })
}

/// Refuses sums that might not fit in 64 bits, so that no kernel has to. Corrections and digits take some of the room.
fn check_sums(
    multiplier: &PreparedMultiplier,
    factors: &Factors,
    geometry: &Geometry,
) -> Result<(), ApproxError> {
    const ROOM: f64 = (1u64 << 60) as f64;
    let largest = factors.largest_product();
    if geometry.inner() as f64 * largest < ROOM {
        return Ok(());
    }
    Err(ApproxError::SumsTooLarge {
        bits: 64,
        multiplier: multiplier.multiplier().name().to_string(),
        largest,
        products: geometry.inner(),
    })
}

fn summary(factors: &Factors) -> FactorSummary {
    let factorization = &factors.factorization;
    let certificate = factorization.certificate();
    FactorSummary {
        form: factorization.form(),
        rank: factorization.rank(),
        products: factors.terms.len(),
        largest: certificate.largest_folded_factor,
        compared: (
            certificate.coverage.pairs(),
            certificate.coverage.is_exhaustive(),
        ),
    }
}
