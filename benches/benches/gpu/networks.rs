//! Whole networks by every way to multiply: in float, quantised, by table, by HTP model, and as planned.

use approx_models::Classifier;
use burn::optim::SgdConfig;
use burn::tensor::{Device, Distribution, Tensor};
use burn_approx::convert::{ApproxLayer, approx_layers};
use burn_approx_benches::network::{Case, training_step};

use crate::report::{Goal, Operation};
use crate::session::{Session, Work, check_finite};
use crate::works::NetworkWork;

const CASES: [Case; 5] = [
    Case::FLOAT,
    Case::QUANTIZED,
    Case::TABLE_LOOKUP,
    Case::HTP_MODEL,
    Case::PLANNED,
];

pub(crate) fn run(session: &mut Session) {
    for network in session.size().networks() {
        let name = network.describe("forward");
        if session.selects(&name) {
            let images = Images::new(network, session.device());
            for case in CASES {
                images.forward(session, &name, case, None);
            }
        }
        let name = network.describe("training step");
        if session.selects(&name) {
            let images = Images::new(network, &session.device().clone().autodiff());
            for case in CASES {
                images.training_step(session, &name, case);
            }
        }
    }
}

/// A network in float, and what it is shown.
pub(crate) struct Images {
    model: Classifier,
    images: Tensor<4>,
}

impl Images {
    pub(crate) fn new(work: NetworkWork, device: &Device) -> Self {
        device.seed(1);
        let model = work.init(device);
        let values = Distribution::Normal(0.0, 1.0);
        let images = Tensor::random([work.batch, 3, work.side, work.side], values, device);
        Self { model, images }
    }

    fn prepared(&self, case: Case) -> Classifier {
        case.prepare(&self.model, |model| drop(self.logits(model)))
    }

    fn logits(&self, model: &Classifier) -> Tensor<2> {
        model.forward(self.images.clone())
    }

    /// Measures a forward pass.
    pub(crate) fn forward(
        &self,
        session: &mut Session,
        name: &str,
        case: Case,
        goal: Option<Goal>,
    ) {
        let model = self.prepared(case);
        check_finite(&self.logits(&model).into_data());
        let geometries = approx_layers(&model)
            .iter()
            .filter_map(ApproxLayer::geometry)
            .collect::<Vec<_>>();
        let products = geometries
            .iter()
            .map(|geometry| geometry.products() as u64)
            .sum();
        let work = Work {
            name: name.to_string(),
            operation: Operation::Multiplications,
            operations: Some(products),
        };
        session.measure(&work, case.name(), goal, || self.logits(&model));
    }

    /// Measures a training step, with observers frozen.
    fn training_step(&self, session: &mut Session, name: &str, case: Case) {
        let mut model = self.prepared(case);
        let mut optimizer = SgdConfig::new().init();
        let mut step = || {
            let (updated, loss) =
                training_step(model.clone(), &mut optimizer, |model| self.logits(model));
            model = updated;
            loss
        };
        check_finite(&step().into_data());
        let work = Work {
            name: name.to_string(),
            operation: Operation::Multiplications,
            operations: None,
        };
        session.measure(&work, case.name(), None, step);
    }
}
