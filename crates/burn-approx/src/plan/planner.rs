//! Which plans can compute a multiplier, and which of them to take.

use std::sync::Arc;

use approx_cpu::cost;
use approx_multiplier::Definition;

use super::factors::largest;
use super::{
    Engine, Exactness, ExecutionPlan, FactorSummary, Factors, PlanChoice, PlanKind, Reason,
    Workload,
};
use crate::error::ApproxError;
use crate::multiplier::PreparedMultiplier;
use crate::ops::{CodeGrid, FLOAT32_EXACT};
use crate::quantization::CodeRange;

/// The codes of activation and weight.
type Codes = [CodeRange; 2];

/// What can compute a multiplier on given codes.
struct Routes {
    routes: Vec<(PlanKind, Engine)>,
    factors: Option<Arc<Factors>>,
    /// Why there are no factors, if there are none.
    unfactored: String,
}

impl Routes {
    fn of(multiplier: &PreparedMultiplier, codes: Codes) -> Self {
        let mut routes = Vec::new();
        if matches!(multiplier.definition(), Definition::Htp(_)) {
            return Self {
                routes: vec![(PlanKind::Htp, Engine::Float32)],
                factors: None,
                unfactored: "an HTP model has no integer products".into(),
            };
        }
        let kind = match multiplier.definition() {
            Definition::Exact => PlanKind::Exact,
            _ => PlanKind::Factored,
        };
        let (factors, unfactored) = match multiplier.factors(codes) {
            Ok(factors) => (Some(factors), String::new()),
            Err(problem) => (None, problem),
        };
        if factors.is_some() {
            routes.extend([(kind, Engine::Integer), (kind, Engine::Float32)]);
        }
        if multiplier.can_look_up() {
            routes.push((PlanKind::Gather, Engine::Lookup));
        }
        Self {
            routes,
            factors,
            unfactored,
        }
    }

    /// The routes that are left by the user's choice.
    fn chosen(
        &self,
        multiplier: &PreparedMultiplier,
    ) -> Result<Vec<(PlanKind, Engine)>, ApproxError> {
        let choice = multiplier.plan();
        let chosen: Vec<_> = match choice.route() {
            None => self.routes.clone(),
            Some(route) => self
                .routes
                .iter()
                .copied()
                .filter(|own| *own == route)
                .collect(),
        };
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
        if !self.unfactored.is_empty() {
            problem += &format!("; {}", self.unfactored);
        }
        Err(ApproxError::ImpossiblePlan {
            plan: choice,
            multiplier: multiplier.multiplier().name().to_string(),
            problem,
            possible: PlanChoice::ALL
                .into_iter()
                .filter(|choice| {
                    choice
                        .route()
                        .is_some_and(|route| self.routes.contains(&route))
                })
                .map(|choice| choice.to_string())
                .collect(),
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

/// The plan for a multiplier on the codes of two grids and a given shape.
///
/// # Errors
/// [`ApproxError::InvalidCodeRange`], [`ApproxError::ImpossiblePlan`], or [`ApproxError::SumsTooLarge`] where a sum might not fit
/// in 64 bits.
pub(crate) fn plan(
    multiplier: &PreparedMultiplier,
    grids: [CodeGrid; 2],
    workload: &Workload,
) -> Result<Planned, ApproxError> {
    let codes = [grids[0].codes()?, grids[1].codes()?];
    let symmetric = grids[1].symmetric;
    let multiplier = multiplier.on_codes(codes)?;
    let routes = Routes::of(&multiplier, codes);
    let chosen = routes.chosen(&multiplier)?;
    let seconds = |engine: Engine| match (engine, &routes.factors) {
        (Engine::Integer, Some(factors)) => cost::factored(&factors.integer, symmetric, workload),
        (Engine::Lookup, _) => cost::lookup(multiplier.has_narrow_table(), symmetric, workload),
        (Engine::Float32, factors) => {
            let products = match (multiplier.definition(), factors) {
                (Definition::Htp(model), _) => model.terms().len(),
                (_, Some(factors)) => factors.terms.len(),
                _ => 1,
            };
            cost::float32(products, workload)
        }
        (Engine::Integer, None) => f64::INFINITY,
    };
    let exactness = |engine: Engine| match (engine, &routes.factors) {
        (Engine::Float32, Some(factors)) => float32_exactness(factors, grids, workload),
        (Engine::Float32, None) => Exactness::Model,
        _ => Exactness::Integer,
    };
    // Of its own accord the planner gives up no exactness.
    let mut candidates: Vec<_> = chosen
        .iter()
        .map(|(kind, engine)| ((*kind, *engine), seconds(*engine), exactness(*engine)))
        .collect();
    if candidates
        .iter()
        .any(|(.., exactness)| *exactness == Exactness::Integer)
    {
        candidates.retain(|(.., exactness)| *exactness == Exactness::Integer);
    }
    candidates.sort_by(|left, right| left.1.total_cmp(&right.1));
    let ((kind, engine), seconds, exactness) = candidates[0];
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
        Ok(factors) => cost::factored(&factors.integer, symmetric, workload),
        Err(_) => seconds,
    };
    let factors = routes.factors.filter(|_| kind != PlanKind::Gather);
    if let Some(factors) = &factors {
        check_sums(&multiplier, factors, workload)?;
    }
    let factored = factors.as_ref().filter(|_| kind == PlanKind::Factored);
    let plan = ExecutionPlan {
        multiplier: multiplier.multiplier().name().to_string(),
        kind,
        engine,
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
    workload: &Workload,
) -> Result<(), ApproxError> {
    const ROOM: f64 = (1u64 << 60) as f64;
    let largest = factors.largest_product();
    if workload.inner() as f64 * largest < ROOM {
        return Ok(());
    }
    Err(ApproxError::SumsTooLarge {
        multiplier: multiplier.multiplier().name().to_string(),
        largest,
        products: workload.inner(),
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

/// How exact the float32 product of factors is, by the largest values that they can have.
///
/// Integers and their partial sums are exact below 2^24; beyond it every one of n additions rounds by at most 2^-24 of the
/// largest partial sum.
fn float32_exactness(
    factors: &Factors,
    [activation, weight]: [CodeGrid; 2],
    workload: &Workload,
) -> Exactness {
    let ends = |grid: CodeGrid| (i64::from(grid.low), i64::from(grid.high));
    let mut sum = 0.0;
    for (term, [values, weights]) in factors.terms.iter().zip(&factors.extremes) {
        // The activation's factor enters less its value at the zero point, which counts in a product of its own.
        let varying = (values.1 - values.0).max(0) as f64;
        let parts = varying + largest(*values);
        sum += term.scale.unsigned_abs() as f64 * parts * largest(*weights);
    }
    // The zero-point corrections.
    if !activation.symmetric {
        sum += largest(ends(activation)) * largest(ends(weight));
    }
    if !weight.symmetric {
        sum += f64::from(activation.high - activation.low) * largest(ends(weight));
    }
    // Every product and sum, and what the factors and their constants go through before and after.
    let roundings = (2 * workload.inner() * factors.terms.len().max(1) + 16) as f64;
    let bound = workload.inner() as f64 * sum;
    if bound < FLOAT32_EXACT {
        Exactness::Integer
    } else {
        Exactness::Float32 {
            error_bound: roundings * bound / FLOAT32_EXACT,
        }
    }
}
