//! A planned product: everything that an engine must know besides the operands themselves.

use std::any::Any;
use std::sync::Arc;

#[cfg(feature = "autodiff")]
use approx_multiplier::MultiplierGradient;

use super::bounds::TWO_TO_31;
#[cfg(feature = "gpu")]
use super::bounds::corrected_sum;
use super::execution::ExecutionPlan;
use super::float32;
use super::planner::{Planned, Results, plan};
use super::target::Target;
use super::weight::{KeptWeight, Layout};
use crate::codes::{CodeGrid, Operand};
use crate::error::ApproxError;
use crate::geometry::Geometry;
use crate::multiplier::{Factors, PreparedMultiplier, Route};

/// The product that an operator sums, the codes that its operands take, their geometry, and how it is to be computed.
///
/// Made once for a layer, a shape of input and a device, and cheap to clone.
#[derive(Clone, Debug)]
pub struct ProductOperation {
    planned: Arc<PlannedProduct>,
    /// What is kept of the weight from one forward pass to the next.
    kept: Option<KeptWeight>,
}

#[derive(Debug)]
struct PlannedProduct {
    multiplier: PreparedMultiplier,
    grids: [CodeGrid; 2],
    geometry: Geometry,
    #[cfg(feature = "gpu")]
    target: Target,
    plan: ExecutionPlan,
    factors: Option<Arc<Factors>>,
    exact_depth: Option<usize>,
}

impl ProductOperation {
    /// A product of codes on the given grids, activation and weight, planned for a geometry and a kind of device.
    ///
    /// # Errors
    /// [`ApproxError::CodesOutsideMultiplier`] if the multiplier lacks a code of a grid,
    /// [`ApproxError::ImpossiblePlan`] if no plan, or not the forced one, can compute it, [`ApproxError::SumsTooLarge`]
    /// if a sum might not fit in 64 bits, [`ApproxError::Multiplier`] if a gradient's window is wider than an operand
    /// has codes.
    ///
    /// ```
    /// use approx_cpu::MatmulShape;
    /// use approx_multiplier::evoapprox;
    /// use burn_approx::ops::CodeGrid;
    /// use burn_approx::plan::{Geometry, ProductOperation, Target};
    ///
    /// let codes = CodeGrid { low: -127, high: 127, symmetric: true, channel_axis: None };
    /// let geometry = Geometry::Matmul(MatmulShape { rows: 8, inner: 64, columns: 32 });
    /// let multiplier = evoapprox::multiplier("mul8s_1L2J")?.into();
    /// let operation = ProductOperation::new(multiplier, [codes, codes], geometry, Target::Host)?;
    /// assert_eq!(operation.plan().products(), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(
        multiplier: PreparedMultiplier,
        grids: [CodeGrid; 2],
        geometry: Geometry,
        target: Target,
    ) -> Result<Self, ApproxError> {
        Self::planned(multiplier, grids, geometry, target, Results::RealValues)
    }

    /// A product whose accumulators themselves are wanted, which only integer routes have.
    ///
    /// # Errors
    /// As [`new`](Self::new), and on a GPU where a sum might not fit in 32 bits.
    pub(crate) fn of_accumulators(
        multiplier: PreparedMultiplier,
        grids: [CodeGrid; 2],
        geometry: Geometry,
        target: Target,
    ) -> Result<Self, ApproxError> {
        let operation = Self::planned(multiplier, grids, geometry, target, Results::Accumulators)?;
        if target.is_gpu() {
            operation.check_sums_in_32_bits(operation.largest_product()?)?;
        }
        Ok(operation)
    }

    fn planned(
        multiplier: PreparedMultiplier,
        grids: [CodeGrid; 2],
        geometry: Geometry,
        target: Target,
        results: Results,
    ) -> Result<Self, ApproxError> {
        for (tensor, elements) in [
            (Operand::Activation.name(), geometry.inputs()),
            (Operand::Weight.name(), geometry.weights()),
            ("result", geometry.outputs()),
        ] {
            target.check_elements(tensor, elements)?;
        }
        multiplier.check_gradient()?;
        let (activation_format, weight_format) = multiplier.formats();
        for (operand, grid, format) in [
            (Operand::Activation, grids[0], activation_format),
            (Operand::Weight, grids[1], weight_format),
        ] {
            let range = grid.codes()?;
            if !range.fits(format) {
                let multiplier = multiplier.multiplier().name().to_string();
                return Err(ApproxError::CodesOutsideMultiplier {
                    operand,
                    range,
                    format,
                    multiplier,
                });
            }
        }
        let Planned {
            plan,
            multiplier,
            factors,
        } = plan(&multiplier, grids, &geometry, target, results)?;
        let route = plan.route();
        let exact_depth = factors
            .as_ref()
            .filter(|_| route.is_float32_product() && target.is_gpu())
            .and_then(|factors| float32::exact_depth(factors, grids, &geometry, target));
        let planned = PlannedProduct {
            exact_depth,
            multiplier,
            grids,
            geometry,
            #[cfg(feature = "gpu")]
            target,
            plan,
            factors,
        };
        let operation = Self {
            planned: Arc::new(planned),
            kept: None,
        };
        // What no kernel can take is an error here and not in the middle of a forward pass.
        if route == Route::Gather {
            match target {
                Target::Host => drop(operation.multiplier().lookup()?),
                Target::Gpu { .. } => drop(operation.multiplier().largest_entry()?),
            }
        }
        if results == Results::RealValues && target.is_gpu() && !route.is_float32_product() {
            operation.check_code_sums()?;
        }
        Ok(operation)
    }

    /// The plan.
    pub fn plan(&self) -> &ExecutionPlan {
        &self.planned.plan
    }

    /// The geometry of the operands.
    pub fn geometry(&self) -> &Geometry {
        &self.planned.geometry
    }

    pub(crate) fn route(&self) -> Route {
        self.planned.plan.route()
    }

    pub(crate) fn multiplier(&self) -> &PreparedMultiplier {
        &self.planned.multiplier
    }

    /// The multiplier's derivatives for the backward pass; `None` where they are those of the exact product.
    #[cfg(feature = "autodiff")]
    pub(crate) fn derivatives(&self) -> Option<Arc<MultiplierGradient>> {
        self.planned.multiplier.derivatives()
    }

    /// The activation's codes.
    pub(crate) fn activation(&self) -> CodeGrid {
        self.planned.grids[0]
    }

    /// The weight's codes.
    pub(crate) fn weight(&self) -> CodeGrid {
        self.planned.grids[1]
    }

    #[cfg(feature = "gpu")]
    pub(crate) fn target(&self) -> Target {
        self.planned.target
    }

    /// A bound of the magnitude of a single product.
    fn largest_product(&self) -> Result<f64, ApproxError> {
        match &self.planned.factors {
            Some(factors) => Ok(factors.largest_product()),
            None => self.multiplier().largest_entry(),
        }
    }

    /// A bound of the magnitude of such a sum less its zero-point corrections.
    #[cfg(feature = "gpu")]
    pub(crate) fn largest_sum(&self) -> Result<f64, ApproxError> {
        let PlannedProduct {
            grids, geometry, ..
        } = &*self.planned;
        Ok(corrected_sum(self.largest_product()?, *grids, geometry))
    }

    /// How many products a float32 sum of a float32 route holds exactly on a GPU; `None` if the sums are not exact
    /// there, or it is another route.
    pub(crate) fn exact_depth(&self) -> Option<usize> {
        self.planned.exact_depth
    }

    /// Refuses sums of codes, which zero points are multiplied with, that a GPU's kernels cannot hold in 32 bits.
    fn check_code_sums(&self) -> Result<(), ApproxError> {
        if self.activation().symmetric && self.weight().symmetric {
            return Ok(());
        }
        let (activation, weight) = self.multiplier().formats();
        self.check_sums_in_32_bits(f64::from(activation.mask().max(weight.mask())))
    }

    /// Refuses sums that might not fit in 32 bits, of values that are at most `largest` in magnitude.
    fn check_sums_in_32_bits(&self, largest: f64) -> Result<(), ApproxError> {
        let products = self.geometry().inner();
        match products as f64 * largest < TWO_TO_31 {
            true => Ok(()),
            false => Err(ApproxError::SumsTooLarge {
                bits: 32,
                multiplier: self.multiplier().multiplier().name().to_string(),
                largest,
                products,
            }),
        }
    }

    /// The operation on a weight of which something may have been kept.
    pub(crate) fn keeping(self, kept: Option<KeptWeight>) -> Self {
        Self { kept, ..self }
    }

    /// What was kept of the weight for this operation, or else what `make` returns, which is then kept if anything is.
    pub(crate) fn kept_weight<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let Some(kept) = &self.kept else {
            return Arc::new(make());
        };
        let layout = Layout {
            route: self.route(),
            geometry: self.geometry().of_weight(),
            exact_depth: self.exact_depth(),
        };
        kept.get(self.multiplier(), layout, make)
    }

    /// Whether anything is kept of the weight.
    pub(crate) fn keeps_weight(&self) -> bool {
        self.kept.is_some()
    }

    /// The factors that an exact or a factored route multiplies.
    pub(crate) fn factors(&self) -> &Factors {
        self.planned
            .factors
            .as_ref()
            .expect("exact and factored plans are made from factors")
    }
}

#[cfg(test)]
mod tests {
    use approx_cpu::MatmulShape;
    use approx_multiplier::{Multiplier, OperandFormat};

    use super::*;
    use crate::multiplier::PlanChoice;

    const GPU: Target = Target::Gpu {
        tensor_float32: false,
    };

    fn symmetric(bound: i32) -> CodeGrid {
        CodeGrid {
            low: -bound,
            high: bound,
            symmetric: true,
            channel_axis: None,
        }
    }

    fn matmul([rows, inner, columns]: [usize; 3]) -> Geometry {
        Geometry::Matmul(MatmulShape {
            rows,
            inner,
            columns,
        })
    }

    fn exact(plan: PlanChoice) -> PreparedMultiplier {
        let int8 = OperandFormat::INT8;
        PreparedMultiplier::new(Multiplier::exact(int8, int8)).with_plan(plan)
    }

    /// A forced float32 plan cuts sums into parts only while there is room for all parts of a result: a larger batch of
    /// one weight is cut otherwise, and the weight with it.
    #[test]
    fn a_weight_that_is_cut_otherwise_is_not_reused() {
        let operation = |rows| {
            let multiplier = exact(PlanChoice::ExactFloat32);
            let geometry = matmul([rows, 2048, 1 << 12]);
            ProductOperation::new(multiplier, [symmetric(127); 2], geometry, GPU).unwrap()
        };
        let (few, more, most) = (operation(8), operation(9), operation(1 << 18));
        let depth = few.exact_depth().expect("exact in parts");
        assert!(depth < 2048, "{depth}");
        assert_eq!(more.exact_depth(), Some(depth));
        assert_eq!(most.exact_depth(), None);

        let kept = Some(KeptWeight::default());
        let [few, more, most] = [few, more, most].map(|own| own.keeping(kept.clone()));
        assert_eq!(*few.kept_weight(|| "in parts"), "in parts");
        assert_eq!(*more.kept_weight(|| "again"), "in parts");
        assert_eq!(*most.kept_weight(|| "whole"), "whole");
        assert_eq!(
            *few.kept_weight(|| "in parts once more"),
            "in parts once more"
        );
    }

    #[test]
    fn nothing_is_kept_unless_asked_for() {
        let geometry = matmul([2, 3, 4]);
        let multiplier = exact(PlanChoice::Auto);
        let operation =
            ProductOperation::new(multiplier, [symmetric(127); 2], geometry, Target::Host).unwrap();
        assert!(!operation.keeps_weight());
        assert_eq!(*operation.kept_weight(|| 1), 1);
        assert_eq!(*operation.kept_weight(|| 2), 2);
        assert!(
            operation
                .keeping(Some(KeptWeight::default()))
                .keeps_weight()
        );
    }

    #[test]
    fn a_gpu_refuses_what_it_cannot_index() {
        let multiplier = exact(PlanChoice::Auto);
        let grids = [symmetric(127); 2];
        for (sizes, too_many) in [
            ([1 << 20, 1 << 11, 1], "activation"),
            ([1, 1 << 11, 1 << 20], "weight"),
            ([1 << 16, 1, 1 << 15], "result"),
        ] {
            let plan =
                |target| ProductOperation::new(multiplier.clone(), grids, matmul(sizes), target);
            assert!(plan(Target::Host).is_ok(), "{too_many}");
            match plan(GPU) {
                Err(ApproxError::TooManyElements { tensor, elements }) => {
                    assert_eq!((tensor, elements), (too_many, 1 << 31));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
