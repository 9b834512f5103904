//! One layer on every bundled 8-bit multiplier: its rank, the plan that is chosen, and how fast that is beside other
//! plans.

use std::time::Duration;

use approx_multiplier::{FactorizationForm, FactorizationOptions, evoapprox};
use burn::tensor::Device;
use burn_approx::convert::ApproxConfig;
use burn_approx::plan::{Geometry, PlanChoice};
use burn_approx_benches::layer::Layer;
use burn_approx_benches::measure_in_turn;
use serde::Serialize;

/// Long, so that every layer has a run that nothing else on the machine disturbs.
const BUDGET: Duration = Duration::from_secs(90);

/// All multipliers on one layer. Speeds are in 10^9 multiplications of the layer per second, of the
/// fastest run: the better measure on a machine that does other work too.
#[derive(Serialize)]
pub(crate) struct Sweep {
    work: &'static str,
    /// The largest rank that was looked for.
    pub(crate) largest_rank: usize,
    /// Burn's float32 layer.
    pub(crate) float32: f64,
    pub(crate) multipliers: Vec<Line>,
}

#[derive(Serialize)]
pub(crate) struct Line {
    multiplier: &'static str,
    /// The rank of the table; none if it is larger than looked for.
    table_rank: Option<usize>,
    /// The rank of the table less the exact product's.
    error_rank: Option<usize>,
    /// The products of one-operand functions that make one product: the rank of the table, or that of the error and
    /// one.
    pub(crate) products: Option<usize>,
    /// The plan that is chosen.
    plan: String,
    pub(crate) is_factored: bool,
    pub(crate) planned: f64,
    pub(crate) lookup: f64,
    /// By factors, whether that is chosen or not; none where there are too many.
    pub(crate) factored: Option<f64>,
}

/// A multiplier, and its layers by every plan.
struct Case {
    multiplier: &'static str,
    table_rank: Option<usize>,
    error_rank: Option<usize>,
    products: Option<usize>,
    planned: Layer,
    lookup: Layer,
    factored: Option<Layer>,
}

pub(crate) fn run(work: &'static str, geometry: &Geometry) -> Sweep {
    let names = evoapprox::names().filter(|name| name.starts_with("mul8"));
    let cases: Vec<Case> = names.map(|name| Case::new(name, geometry)).collect();
    let float = Layer::float(geometry, &Device::flex());
    let mut runs: Vec<Box<dyn FnMut() + '_>> = vec![Box::new(|| drop(float.run()))];
    for case in &cases {
        let layers = [
            Some(&case.planned),
            Some(&case.lookup),
            case.factored.as_ref(),
        ];
        for layer in layers.into_iter().flatten() {
            runs.push(Box::new(|| drop(layer.run())));
        }
    }
    let mut speeds = measure_in_turn(BUDGET, &mut runs)
        .into_iter()
        .map(|timing| geometry.products() as f64 / timing.fastest / 1e9);
    let mut next = || speeds.next().expect("every layer was measured");
    let float32 = next();
    println!("{work}, 10^9 multiplications per second; float32: {float32:.1}");
    println!(
        "  {:12} {:>5} {:>5} {:14} {:>8} {:>8} {:>8}",
        "multiplier", "table", "error", "plan", "planned", "lookup", "factored"
    );
    let multipliers = cases.iter().map(|case| case.line(&mut next)).collect();
    Sweep {
        work,
        largest_rank: FactorizationOptions::default().max_rank,
        float32,
        multipliers,
    }
}

impl Case {
    fn new(name: &'static str, geometry: &Geometry) -> Self {
        let multiplier = evoapprox::multiplier(name).expect("a bundled multiplier");
        let rank = |form| {
            let options = FactorizationOptions {
                form: Some(form),
                ..FactorizationOptions::default()
            };
            // Above the largest rank there are none.
            let factorization = multiplier.factorization(&options).ok()?;
            Some(factorization.rank())
        };
        let (table_rank, error_rank) = (
            rank(FactorizationForm::Table),
            rank(FactorizationForm::Error),
        );
        let products = [table_rank, error_rank.map(|rank| rank + 1)];
        let products = products.into_iter().flatten().min();
        let by = |choice| {
            let config = ApproxConfig::bundled(name).with_plan(choice);
            Layer::converted(geometry, &config, &Device::flex())
        };
        Self {
            multiplier: name,
            table_rank,
            error_rank,
            products,
            planned: by(PlanChoice::Auto),
            lookup: by(PlanChoice::Gather),
            factored: products.map(|_| by(PlanChoice::Factored)),
        }
    }

    /// The results, with the speeds of the layers in their order.
    fn line(&self, mut speed: impl FnMut() -> f64) -> Line {
        let plan = self.planned.handle().plan();
        let plan = plan.expect("the layer is converted and has run");
        let line = Line {
            multiplier: self.multiplier,
            table_rank: self.table_rank,
            error_rank: self.error_rank,
            products: self.products,
            plan: plan.to_string(),
            is_factored: plan.products().is_some(),
            planned: speed(),
            lookup: speed(),
            factored: self.factored.as_ref().map(|_| speed()),
        };
        let text = |rank: Option<usize>| rank.map_or("-".to_string(), |rank| rank.to_string());
        let factored = line
            .factored
            .map_or("-".to_string(), |speed| format!("{speed:.1}"));
        println!(
            "  {:12} {:>5} {:>5} {:14} {:8.1} {:8.1} {factored:>8}",
            line.multiplier,
            text(line.table_rank),
            text(line.error_rank),
            line.plan,
            line.planned,
            line.lookup
        );
        line
    }
}
