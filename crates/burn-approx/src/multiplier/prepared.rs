//! A multiplier together with what the operators prepare from it once and then share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use approx_cpu::LookupTable;
use approx_multiplier::{
    Definition, GradientRule, HtpModel, Multiplier, MultiplierError, MultiplierGradient,
    OperandFormat,
};

use super::factors::{Factors, RankLimit};
#[cfg(feature = "gpu")]
use super::on_devices::OnDevices;
use super::route::PlanChoice;
use crate::codes::CodeRange;
use crate::error::ApproxError;

/// A multiplier ready for the operators, the plan by which they are to compute it, and its gradient in training: cheap to
/// clone, its tables, factors and derivatives made at most once.
///
/// ```
/// use approx_multiplier::evoapprox;
/// use burn_approx::PreparedMultiplier;
///
/// let prepared = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J")?);
/// assert_eq!(prepared.multiplier().name(), "mul8s_1L2J");
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone)]
pub struct PreparedMultiplier {
    shared: Arc<Shared>,
    plan: PlanChoice,
    gradient: GradientRule,
}

/// The factors on given codes of activation and weight.
struct FactorsOnCodes {
    codes: [CodeRange; 2],
    limit: RankLimit,
    /// Or why there are none.
    factors: Result<Arc<Factors>, String>,
}

struct Shared {
    multiplier: Multiplier,
    /// The table in the layout of the CPU kernels; only made where a kernel looks products up.
    lookup: OnceLock<LookupTable>,
    extremes: OnceLock<Option<(i32, i32)>>,
    largest_entry: OnceLock<f64>,
    /// What GPUs hold of it.
    #[cfg(feature = "gpu")]
    on_devices: OnDevices,
    /// The factors for each pair of code ranges asked for.
    factors: Mutex<Vec<FactorsOnCodes>>,
    /// The derivatives by each rule asked for.
    derivatives: Mutex<Vec<(GradientRule, Arc<MultiplierGradient>)>>,
}

impl PreparedMultiplier {
    /// Prepares a multiplier.
    pub fn new(multiplier: Multiplier) -> Self {
        Self {
            shared: Arc::new(Shared {
                multiplier,
                lookup: OnceLock::new(),
                extremes: OnceLock::new(),
                largest_entry: OnceLock::new(),
                #[cfg(feature = "gpu")]
                on_devices: OnDevices::default(),
                factors: Mutex::default(),
                derivatives: Mutex::default(),
            }),
            plan: PlanChoice::Auto,
            gradient: GradientRule::default(),
        }
    }

    /// The exact product of the given codes of activation and weight: what QUANTIZED computes with. One for each pair
    /// of formats is shared by all layers.
    ///
    /// # Errors
    /// [`ApproxError::UnsupportedBits`] for codes that do not fit 16 bits.
    pub fn exact([activation, weight]: [CodeRange; 2]) -> Result<Self, ApproxError> {
        static SHARED: Mutex<Vec<PreparedMultiplier>> = Mutex::new(Vec::new());
        let formats = (activation.smallest_format()?, weight.smallest_format()?);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(exact) = shared.iter().find(|exact| exact.formats() == formats) {
            return Ok(exact.clone());
        }
        let exact = Self::new(Multiplier::exact(formats.0, formats.1));
        shared.push(exact.clone());
        Ok(exact)
    }

    /// Prepares an HTP model.
    pub fn htp(model: HtpModel) -> Self {
        Self::new(Multiplier::from_htp(model))
    }

    /// Sets the plan by which the multiplier is to be computed. Whether that is possible is checked where it is used.
    #[must_use]
    pub fn with_plan(self, plan: PlanChoice) -> Self {
        Self { plan, ..self }
    }

    /// The plan by which it is to be computed.
    pub fn plan(&self) -> PlanChoice {
        self.plan
    }

    /// Sets which derivative of the multiplier training uses. Whether the multiplier has it is checked where it is used.
    ///
    /// ```
    /// use approx_multiplier::{GradientRule, evoapprox};
    /// use burn_approx::PreparedMultiplier;
    ///
    /// let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1KVA")?);
    /// assert_eq!(multiplier.gradient(), GradientRule::StraightThrough);
    /// let multiplier = multiplier.with_gradient(GradientRule::LinearRegression);
    /// assert_eq!(multiplier.gradient(), GradientRule::LinearRegression);
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    #[must_use]
    pub fn with_gradient(self, gradient: GradientRule) -> Self {
        Self { gradient, ..self }
    }

    /// Which derivative of the multiplier training uses.
    pub fn gradient(&self) -> GradientRule {
        self.gradient
    }

    /// Checks that the gradient's rule can be applied to the multiplier.
    pub(crate) fn check_gradient(&self) -> Result<(), MultiplierError> {
        self.gradient.check(self.multiplier())
    }

    /// The derivatives that training uses, of a rule that was checked; `None` where they are those of the exact product.
    #[cfg(feature = "autodiff")]
    pub(crate) fn derivatives(&self) -> Option<Arc<MultiplierGradient>> {
        let is_exact = matches!(self.definition(), Definition::Exact);
        match self.gradient {
            GradientRule::StraightThrough => return None,
            GradientRule::Custom => {}
            _ if is_exact => return None,
            _ => {}
        }
        let shared = &self.shared.derivatives;
        let mut known = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, derivatives)) = known.iter().find(|(rule, _)| *rule == self.gradient) {
            return Some(derivatives.clone());
        }
        let derivatives = MultiplierGradient::of(self.multiplier(), self.gradient);
        let derivatives = Arc::new(derivatives.expect("the rule was checked"));
        known.push((self.gradient, derivatives.clone()));
        Some(derivatives)
    }

    /// The multiplier to compute with on given codes of activation and weight: an exact one, however wide, gives the
    /// products of the codes that there are.
    pub(crate) fn on_codes(&self, codes: [CodeRange; 2]) -> Result<Self, ApproxError> {
        match self.definition() {
            // The exact multiplier of fewer codes has no gradient tables.
            Definition::Exact if self.gradient != GradientRule::Custom => {
                Ok(Self::exact(codes)?.with_plan(self.plan))
            }
            _ => Ok(self.clone()),
        }
    }

    /// Whether this is a clone of the other, whatever their plans.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The multiplier itself.
    pub fn multiplier(&self) -> &Multiplier {
        &self.shared.multiplier
    }

    pub(crate) fn definition(&self) -> &Definition {
        self.shared.multiplier.definition()
    }

    /// Whether the kernels can look its products up: integers, of operands of at most 8 bits.
    pub(crate) fn can_look_up(&self) -> bool {
        let (activation, weight) = self.formats();
        activation.bits() <= 8
            && weight.bits() <= 8
            && !matches!(self.definition(), Definition::Htp(_))
    }

    /// The smallest and the largest product of a multiplier that is given as a table.
    pub(crate) fn table_extremes(&self) -> Option<(i32, i32)> {
        *self
            .shared
            .extremes
            .get_or_init(|| match self.definition() {
                Definition::Table(table) => {
                    let entries = || table.entries().iter().copied();
                    entries().min().zip(entries().max())
                }
                _ => None,
            })
    }

    /// Whether all products span at most 16 bits, which lookup kernels like.
    pub(crate) fn has_narrow_table(&self) -> bool {
        match self.table_extremes() {
            Some((low, high)) => high.wrapping_sub(low).cast_unsigned() <= u16::MAX.into(),
            // Exact products of 8-bit codes do; others are only estimated.
            None => true,
        }
    }

    /// The largest magnitude of a product that kernels look up.
    ///
    /// # Errors
    /// If the multiplier has no table.
    pub(crate) fn largest_entry(&self) -> Result<f64, ApproxError> {
        if let Some(largest) = self.shared.largest_entry.get() {
            return Ok(*largest);
        }
        let table = self.shared.multiplier.to_table()?;
        let magnitudes = table.entries().iter().map(|entry| entry.unsigned_abs());
        let largest = f64::from(magnitudes.max().unwrap_or_default());
        Ok(*self.shared.largest_entry.get_or_init(|| largest))
    }

    /// What GPUs hold of this multiplier.
    #[cfg(feature = "gpu")]
    pub(crate) fn on_devices(&self) -> &OnDevices {
        &self.shared.on_devices
    }

    /// The table for the CPU kernels.
    ///
    /// # Errors
    /// If the multiplier has no table (an HTP model) or operands of more than 8 bits.
    pub(crate) fn lookup(&self) -> Result<&LookupTable, ApproxError> {
        if let Some(lookup) = self.shared.lookup.get() {
            return Ok(lookup);
        }
        let table = self.shared.multiplier.to_table()?;
        let lookup = LookupTable::new(
            table.activation().bits(),
            table.weight().bits(),
            table.entries(),
        )?;
        Ok(self.shared.lookup.get_or_init(|| lookup))
    }

    /// The factors on the given codes of activation and weight, or why there are none.
    pub(crate) fn factors(&self, codes: [CodeRange; 2]) -> Result<Arc<Factors>, String> {
        let mut known = self
            .shared
            .factors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let limit = match self.plan {
            _ if !self.can_look_up() => RankLimit::Wide,
            PlanChoice::Factored | PlanChoice::FactoredFloat32 => RankLimit::AskedFor,
            _ => RankLimit::Worthwhile,
        };
        // Factors serve whatever the limit was; that there are none, only limits that are no higher.
        let serves = |entry: &&FactorsOnCodes| {
            entry.codes == codes && (entry.factors.is_ok() || limit <= entry.limit)
        };
        if let Some(entry) = known.iter().find(serves) {
            return entry.factors.clone();
        }
        let factors = Factors::of(self.multiplier(), codes, limit)
            .map(Arc::new)
            .map_err(|error| error.to_string());
        known.retain(|entry| entry.codes != codes);
        known.push(FactorsOnCodes {
            codes,
            limit,
            factors: factors.clone(),
        });
        factors
    }

    pub(crate) fn formats(&self) -> (OperandFormat, OperandFormat) {
        (
            self.shared.multiplier.activation(),
            self.shared.multiplier.weight(),
        )
    }
}

impl From<Multiplier> for PreparedMultiplier {
    fn from(multiplier: Multiplier) -> Self {
        Self::new(multiplier)
    }
}

impl std::fmt::Debug for PreparedMultiplier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedMultiplier")
            .field("multiplier", &self.shared.multiplier.name())
            .field("plan", &self.plan)
            .field("gradient", &self.gradient)
            .finish()
    }
}
