//! Products of factors: the exact product and a multiplier of rank 1, beside the same layer and the same network in
//! Burn's float.

use burn_approx_benches::layer::Layer;
use burn_approx_benches::network::Case;

use crate::networks::Images;
use crate::report::{Goal, Operation};
use crate::session::{Session, Work, check_finite};
use crate::works::describe;

const GOAL: Goal = Goal {
    operations_per_second: Some(40e12),
    times_reference: Some(1.3),
    times_others: Some(1.5),
};

const CASES: [(Case, Option<Goal>); 3] = [
    (Case::FLOAT, None),
    (Case::QUANTIZED, Some(GOAL)),
    (Case::PLANNED, Some(GOAL)),
];

pub(crate) fn run(session: &mut Session) {
    product(session);
    network(session);
}

fn product(session: &mut Session) {
    let geometry = session.size().product();
    let work = Work {
        name: describe(&geometry),
        operation: Operation::Multiplications,
        operations: Some(geometry.products() as u64),
    };
    if !session.selects(&work.name) {
        return;
    }
    for (case, goal) in CASES {
        let layer = Layer::converted(&geometry, &case.config(), session.device());
        check_finite(&layer.run().into_data());
        let plan = layer.handle().plan();
        let plan = plan.expect("the layer is converted and has run");
        let name = match goal {
            Some(_) => format!("{}: {plan}", case.name()),
            None => case.name().to_string(),
        };
        session.measure(&work, &name, goal, || layer.run());
    }
}

fn network(session: &mut Session) {
    let network = session.size().inference();
    let name = network.describe("forward");
    if !session.selects(&name) {
        return;
    }
    let images = Images::new(network, session.device());
    for (case, goal) in CASES {
        images.forward(session, &name, case, goal);
    }
}
