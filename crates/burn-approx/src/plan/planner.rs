//! Which plans can compute a multiplier, and which of them to take.

use std::sync::Arc;

use approx_multiplier::Definition;

use super::bounds::{TWO_TO_31, corrected_sum, factors_fit_in_32_bits};
use super::float32;
use super::{
    Engine, Exactness, ExecutionPlan, FactorSummary, Factors, PlanChoice, PlanKind, Reason, Target,
    Workload,
};
use crate::error::ApproxError;
use crate::multiplier::PreparedMultiplier;
use crate::ops::CodeGrid;
use crate::quantization::CodeRange;

/// The codes of activation and weight.
type Codes = [CodeRange; 2];

/// What can compute a multiplier on given codes.
struct Routes {
    routes: Vec<(PlanKind, Engine)>,
    factors: Option<Arc<Factors>>,
    /// Why there are no factors, if there are none, or why else a route is missing.
    note: String,
}

impl Routes {
    fn of(multiplier: &PreparedMultiplier, codes: Codes) -> Self {
        let mut routes = Vec::new();
        if matches!(multiplier.definition(), Definition::Htp(_)) {
            return Self {
                routes: vec![(PlanKind::Htp, Engine::Float32)],
                factors: None,
                note: "an HTP model has no integer products".into(),
            };
        }
        let kind = match multiplier.definition() {
            Definition::Exact => PlanKind::Exact,
            _ => PlanKind::Factored,
        };
        let (factors, note) = match multiplier.factors(codes) {
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
            note,
        }
    }

    /// Drops the routes for which a GPU's integers or indices are too small.
    fn keep_what_a_gpu_computes(
        &mut self,
        grids: [CodeGrid; 2],
        workload: &Workload,
        target: Target,
    ) {
        let Some(factors) = &self.factors else {
            return;
        };
        let sum = corrected_sum(factors.largest_product(), grids, workload);
        if sum >= TWO_TO_31 && !factors_fit_in_32_bits(factors) {
            self.routes.retain(|(_, engine)| *engine != Engine::Integer);
            self.note =
                "its factors have more than 32 bits, which GPUs do not multiply exactly".into();
        }
        let rows = float32::rows(factors, target) as f64;
        if rows * workload.inputs().max(workload.weights()) as f64 >= TWO_TO_31 {
            self.routes.retain(|(_, engine)| *engine != Engine::Float32);
            self.note = "its factors of an operand would be more than 2^31 elements".into();
        }
    }

    /// The choices that can be forced.
    fn choices(&self) -> Vec<String> {
        PlanChoice::ALL
            .into_iter()
            .filter(|choice| {
                choice
                    .route()
                    .is_some_and(|route| self.routes.contains(&route))
            })
            .map(|choice| choice.to_string())
            .collect()
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
        if !self.note.is_empty() {
            problem += &format!("; {}", self.note);
        }
        Err(ApproxError::ImpossiblePlan {
            plan: choice,
            multiplier: multiplier.multiplier().name().to_string(),
            problem,
            possible: self.choices(),
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

/// What a product's sums are wanted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sums {
    /// Real values: any engine serves.
    Real,
    /// The integers themselves.
    Integer,
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
    target: Target,
    sums: Sums,
) -> Result<Planned, ApproxError> {
    let codes = [grids[0].codes()?, grids[1].codes()?];
    let multiplier = multiplier.on_codes(codes)?;
    let mut routes = Routes::of(&multiplier, codes);
    if sums == Sums::Integer {
        routes
            .routes
            .retain(|(_, engine)| *engine != Engine::Float32);
        routes.note = "accumulators are integers, which float32 sums need not be".into();
    }
    if target != Target::Host {
        routes.keep_what_a_gpu_computes(grids, workload, target);
    }
    let chosen = routes.chosen(&multiplier)?;
    let terms = match (multiplier.definition(), &routes.factors) {
        (Definition::Htp(model), _) => model.terms().len(),
        (_, Some(factors)) => factors.terms.len(),
        _ => 1,
    };
    let seconds = |engine: Engine| {
        let factors = routes.factors.as_deref();
        let narrow_table = multiplier.has_narrow_table();
        target.seconds(engine, factors, terms, narrow_table, grids, workload)
    };
    let exactness = |engine: Engine| match (engine, &routes.factors) {
        (Engine::Float32, Some(factors)) => float32::exactness(factors, grids, workload, target),
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
        Ok(factors) => {
            let seconds = |engine| {
                let factors = Some(&*factors);
                target.seconds(engine, factors, 1, true, grids, workload)
            };
            match target {
                Target::Host => seconds(Engine::Integer),
                Target::Gpu { .. } => seconds(Engine::Integer).min(seconds(Engine::Float32)),
            }
        }
        Err(_) => seconds,
    };
    let factors = routes.factors.clone().filter(|_| kind != PlanKind::Gather);
    if let Some(factors) = &factors {
        check_sums(&multiplier, factors, workload)?;
    }
    if multiplier.plan() == PlanChoice::Auto && matches!(exactness, Exactness::Float32 { .. }) {
        return Err(ApproxError::ImpossiblePlan {
            plan: PlanChoice::Auto,
            multiplier: multiplier.multiplier().name().to_string(),
            problem: format!("{}; what is left is not exact", routes.note),
            possible: routes.choices(),
        });
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
        bits: 64,
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
