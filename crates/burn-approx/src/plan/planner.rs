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
            Definition::Exact => "exact",
            Definition::Htp(_) => "an HTP model",
            Definition::Factored(_) => "a sum of products of factors",
            _ => "a table",
        };
        let (activation, weight) = multiplier.formats();
        let mut problem = format!("it is {definition}, with {activation} and {weight} operands");
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

#[cfg(test)]
mod tests {
    use approx_cpu::{Conv2dShape, MatmulShape, Padding2d};
    use approx_multiplier::{Multiplier, OperandFormat, evoapprox};

    use super::*;

    const TARGETS: [Target; 3] = [
        Target::Host,
        Target::Gpu {
            tensor_float32: false,
        },
        Target::Gpu {
            tensor_float32: true,
        },
    ];

    /// Every choice but the planner's own.
    const CHOICES: [PlanChoice; 6] = [
        PlanChoice::Exact,
        PlanChoice::ExactFloat32,
        PlanChoice::Factored,
        PlanChoice::FactoredFloat32,
        PlanChoice::Gather,
        PlanChoice::Htp,
    ];

    /// Multipliers of every kind: exact, of few factors, of too many, an HTP model, wide ones with and without a table
    /// of factors.
    fn multipliers() -> Vec<PreparedMultiplier> {
        let bundled = |name| evoapprox::multiplier(name).unwrap().into();
        let int8 = OperandFormat::INT8;
        let wide = OperandFormat::signed(16).unwrap();
        let scattered = |a: i64, b: i64| (a * 7919 + b * 104_729 + a * b * b).rem_euclid(4093);
        vec![
            Multiplier::exact(int8, int8).into(),
            Multiplier::exact(wide, wide).into(),
            bundled("mul8s_1L2J"),
            bundled("mul8s_1KVA"),
            Multiplier::from_fn("scattered", int8, int8, scattered)
                .unwrap()
                .into(),
            PreparedMultiplier::htp(evoapprox::htp("mul8s_1KVA").unwrap()),
            bundled("mul16s_GRU"),
        ]
    }

    fn geometries() -> [Geometry; 3] {
        let matmul = |rows, inner, columns| {
            Geometry::Matmul(MatmulShape {
                rows,
                inner,
                columns,
            })
        };
        let conv2d = Geometry::Conv2d(Conv2dShape {
            batch: 4,
            in_channels: 32,
            out_channels: 64,
            groups: 2,
            input: [14, 14],
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding2d::default(),
        });
        [matmul(1, 16, 16), matmul(256, 3000, 512), conv2d]
    }

    fn grids(multiplier: &PreparedMultiplier, symmetric: bool) -> [CodeGrid; 2] {
        let (activation, weight) = multiplier.formats();
        [activation, weight].map(|format| CodeGrid {
            symmetric,
            ..CodeGrid::of_any_zero_point(CodeRange::mirrored(format))
        })
    }

    /// Calls `law` with every kind of multiplier, zero point, shape and target.
    fn on_everything(law: impl Fn(&PreparedMultiplier, [CodeGrid; 2], &Geometry, Target)) {
        for multiplier in multipliers() {
            for symmetric in [true, false] {
                for geometry in geometries() {
                    for target in TARGETS {
                        law(
                            &multiplier,
                            grids(&multiplier, symmetric),
                            &geometry,
                            target,
                        );
                    }
                }
            }
        }
    }

    fn forced(
        multiplier: &PreparedMultiplier,
        choice: PlanChoice,
        grids: [CodeGrid; 2],
        geometry: &Geometry,
        target: Target,
    ) -> Result<Planned, ApproxError> {
        let multiplier = multiplier.clone().with_plan(choice);
        plan(&multiplier, grids, geometry, target, Results::RealValues)
    }

    /// A forced plan takes the route that was asked for, or is an error that names exactly the routes that can be
    /// forced.
    #[test]
    fn a_forced_plan_is_obeyed_or_refused() {
        on_everything(|multiplier, grids, geometry, target| {
            let plans = CHOICES.map(|choice| forced(multiplier, choice, grids, geometry, target));
            let possible: Vec<String> = (CHOICES.iter().zip(&plans))
                .filter(|(_, planned)| planned.is_ok())
                .map(|(choice, _)| choice.to_string())
                .collect();
            for (choice, planned) in CHOICES.into_iter().zip(plans) {
                match planned {
                    Ok(Planned { plan, .. }) => {
                        assert_eq!(Some(plan.route), choice.route());
                        assert_eq!(plan.reason, Reason::Forced);
                    }
                    Err(ApproxError::ImpossiblePlan {
                        plan,
                        possible: named,
                        ..
                    }) => {
                        assert_eq!(plan, choice);
                        assert_eq!(named, possible, "{multiplier:?} on {target:?}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }

    /// Of its own accord the planner takes the cheapest route, but gives up no exactness for speed.
    #[test]
    fn the_cheapest_of_the_exact_plans_is_taken() {
        on_everything(|multiplier, grids, geometry, target| {
            let own = forced(multiplier, PlanChoice::Auto, grids, geometry, target);
            let others: Vec<ExecutionPlan> = (CHOICES.into_iter())
                .filter_map(|choice| forced(multiplier, choice, grids, geometry, target).ok())
                .map(|planned| planned.plan)
                .collect();
            let exact: Vec<&ExecutionPlan> = others.iter().filter(|plan| plan.is_exact()).collect();
            let own = match own {
                Ok(own) => own.plan,
                Err(ApproxError::ImpossiblePlan { .. }) => {
                    assert!(exact.is_empty(), "{multiplier:?} on {target:?}");
                    return;
                }
                Err(error) => panic!("{error}"),
            };
            if own.route == Route::Htp {
                assert_eq!((own.exactness, others.len()), (Exactness::Model, 1));
                return;
            }
            assert!(own.is_exact(), "{multiplier:?} on {target:?}: {own:?}");
            let mut seconds: Vec<f64> = exact.iter().map(|plan| plan.seconds).collect();
            seconds.sort_by(f64::total_cmp);
            assert_eq!(own.seconds, seconds[0], "{multiplier:?} on {target:?}");
            match own.reason {
                Reason::OnlyOne => assert_eq!(seconds.len(), 1),
                Reason::Cheapest { ratio, .. } => assert_eq!(ratio, seconds[1] / seconds[0]),
                Reason::Forced => panic!("nobody forced {own:?}"),
            }
        });
    }

    #[test]
    fn accumulators_are_planned_as_integers_only() {
        on_everything(|multiplier, grids, geometry, target| {
            for choice in CHOICES {
                let multiplier = multiplier.clone().with_plan(choice);
                let planned = plan(&multiplier, grids, geometry, target, Results::Accumulators);
                match planned {
                    Ok(Planned { plan, .. }) => {
                        assert!(plan.route.sums_integers() && plan.is_exact(), "{plan:?}");
                    }
                    Err(ApproxError::ImpossiblePlan { .. }) => {
                        let integers = choice.route().is_some_and(Route::sums_integers);
                        let real = forced(&multiplier, choice, grids, geometry, target);
                        assert!(!integers || real.is_err(), "{choice}: {multiplier:?}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }

    /// What settings are checked with agrees with what is planned.
    #[test]
    fn a_choice_that_passes_its_check_can_be_planned() {
        for multiplier in multipliers() {
            for choice in CHOICES {
                let grids = grids(&multiplier, true);
                let codes = grids.map(|grid| grid.codes().unwrap());
                let checked = check(&multiplier.clone().with_plan(choice), codes);
                let planned = forced(&multiplier, choice, grids, &geometries()[0], Target::Host);
                assert_eq!(checked.is_ok(), planned.is_ok(), "{multiplier:?}, {choice}");
            }
        }
    }

    #[test]
    fn the_exact_product_is_the_unit_of_cost() {
        let exact = &multipliers()[0];
        for geometry in geometries() {
            let own = forced(
                exact,
                PlanChoice::Exact,
                grids(exact, true),
                &geometry,
                Target::Host,
            );
            assert_eq!(own.unwrap().plan.relative_cost(), 1.0);
            let five = &multipliers()[3];
            let factored = forced(
                five,
                PlanChoice::Factored,
                grids(five, true),
                &geometry,
                Target::Host,
            );
            assert!(factored.unwrap().plan.relative_cost() > 1.0);
        }
    }

    /// Products of up to 2^58 in magnitude.
    fn huge() -> PreparedMultiplier {
        let wide = OperandFormat::signed(16).unwrap();
        let huge = Multiplier::from_fn_factored("huge", wide, wide, |a, b| (a * b) << 28);
        huge.unwrap().into()
    }

    #[test]
    fn sums_are_refused_where_they_might_not_fit_in_64_bits() {
        let full = CodeRange::full(OperandFormat::signed(16).unwrap());
        let grids = [CodeGrid::of_any_zero_point(full); 2];
        for (inner, fits) in [(1, true), (3, true), (4, false), (100, false)] {
            let geometry = Geometry::Matmul(MatmulShape {
                rows: 1,
                inner,
                columns: 1,
            });
            let planned = forced(&huge(), PlanChoice::Auto, grids, &geometry, Target::Host);
            match planned.map(|planned| planned.plan.route) {
                Ok(route) => assert!(fits && route == Route::Factored, "{inner}: {route}"),
                Err(ApproxError::SumsTooLarge { bits, products, .. }) => {
                    assert!(!fits, "{inner} products");
                    assert_eq!((bits, products), (64, inner));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Factors of more than 32 bits are no GPU's, and float32 is not exact: there is no plan that the planner would
    /// take.
    #[test]
    fn a_gpu_does_not_multiply_factors_beyond_32_bits() {
        let grids = grids(&huge(), true);
        let geometry = Geometry::Matmul(MatmulShape {
            rows: 1,
            inner: 1,
            columns: 1,
        });
        for target in &TARGETS[1..] {
            let error = forced(&huge(), PlanChoice::Auto, grids, &geometry, *target).err();
            match error {
                Some(ApproxError::ImpossiblePlan {
                    problem, possible, ..
                }) => {
                    assert!(problem.contains("32 bits"), "{problem}");
                    assert_eq!(possible, ["factored_float32"]);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
