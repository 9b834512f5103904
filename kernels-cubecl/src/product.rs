//! Products of codes as the host describes them: operands, scalar products on the device, and what is put out.

use std::marker::PhantomData;

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::checks::{check_count, check_length, check_width};
use crate::codes::PackedCodes;
use crate::error::DeviceKernelError;
use crate::kernels::scalar_product::{EntryForm, FactorsLaunch, LookupLaunch, ScalarProductArgs};
use crate::kernels::sums::SumKind;
use crate::quantizer::QuantizerBuffer;

/// An operand of a product.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// The codes.
    pub codes: &'a PackedCodes,
    /// A buffer of one `u32`, not 0 if a NaN was among the values that were encoded: then every real result is a NaN.
    pub poison: Option<&'a Handle>,
}

impl<'a> Operand<'a> {
    /// Codes without a flag.
    pub fn new(codes: &'a PackedCodes) -> Self {
        Self {
            codes,
            poison: None,
        }
    }
}

/// The width of the integers that sums are accumulated in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// 32 bits: for sums that are known to fit. What is in between may wrap.
    One,
    /// 64 bits.
    Two,
}

/// The product of two codes.
#[derive(Clone, Copy, Debug)]
pub enum ScalarProduct<'a> {
    /// Looked up in a table.
    Lookup {
        /// The products.
        table: &'a DeviceTable,
        /// What sums are accumulated in.
        words: Words,
    },
    /// A sum of products of integer factors.
    Integer {
        /// The factors.
        factors: &'a DeviceFactors<i32>,
        /// What sums are accumulated in. Products of factors are exact with two words and may wrap with one.
        words: Words,
    },
    /// A sum of products of float32 factors, accumulated in float32.
    Real {
        /// The factors.
        factors: &'a DeviceFactors<f32>,
    },
}

/// What a product puts out.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    /// The sums as they are: `i32`, or `f32` for float32 factors.
    Accumulators {
        /// The code of a padded tap of a convolution; other products have none.
        padding_code: i32,
    },
    /// The real values that the sums stand for, `f32`: `s_x s_w (acc - z_x sum b - z_w sum a + K z_x z_w)`, the bracket
    /// rounded to float32 once. Padded taps hold the code of the real value 0; of a transposed convolution `a`, `b` and
    /// `K` are those of the products that enter `acc`. All are NaN if a quantiser is not finite.
    Rescaled {
        /// The activation's quantiser: one channel.
        activation: &'a QuantizerBuffer,
        /// The weight's: one channel, or one for each output channel.
        weight: &'a QuantizerBuffer,
    },
}

/// A table of products on the device.
///
/// Where the entries span no more than 16 bits they are stored in 16.
///
/// ```no_run
/// use kernels_cubecl::DeviceTable;
///
/// let client = cubecl::Device::default().client();
/// let products: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |b| a * b)).collect();
/// let table = DeviceTable::new(&client, &products, 4, 4)?;
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeviceTable {
    words: Handle,
    length: usize,
    form: EntryForm,
    minimum: i32,
    bits: [u32; 2],
}

impl DeviceTable {
    /// A table from the host: `entries[a << weight_bits | b]` for all bit patterns `a` and `b`.
    ///
    /// # Errors
    /// If a width is not in 1..=16, there is not one entry per pair of patterns, or there are 2^31 entries or more.
    pub fn new(
        client: &Client,
        entries: &[i32],
        activation_bits: u32,
        weight_bits: u32,
    ) -> Result<Self, DeviceKernelError> {
        let bits = [activation_bits, weight_bits];
        bits.into_iter().try_for_each(check_width)?;
        check_count("entries of a table", 1 << (activation_bits + weight_bits))?;
        check_length(
            "a table's entries",
            1 << (activation_bits + weight_bits),
            entries.len(),
        )?;
        let (minimum, maximum) = entries
            .iter()
            .fold((i32::MAX, i32::MIN), |(low, high), &entry| {
                (low.min(entry), high.max(entry))
            });
        let offset = |entry: i32| entry.wrapping_sub(minimum) as u32;
        let (form, words): (_, Vec<u32>) = if offset(maximum) <= u16::MAX.into() {
            let pack = |pair: &[i32]| offset(pair[0]) | offset(pair[1]) << 16;
            (
                EntryForm::Offsets,
                entries.chunks_exact(2).map(pack).collect(),
            )
        } else {
            (
                EntryForm::Full,
                entries.iter().map(|entry| *entry as u32).collect(),
            )
        };
        Ok(Self {
            words: client.create_from_slice(u32::as_bytes(&words)),
            length: words.len(),
            form,
            minimum,
            bits,
        })
    }

    /// The bytes of the table.
    pub fn bytes(&self) -> usize {
        4 * self.length
    }

    /// The table as an argument of a kernel, copied to shared memory if `shared`.
    fn argument(&self, shared: bool) -> ScalarProductArgs {
        ScalarProductArgs::Lookup(LookupLaunch::new(
            // SAFETY: the constructor made the buffer of this length.
            unsafe { BufferArg::from_raw_parts(self.words.clone(), self.length) },
            self.bits[1],
            self.minimum,
            self.form,
            shared.then_some(self.length),
        ))
    }
}

/// A number that factors can be: `i32` or `f32`.
pub trait FactorNumber: CubeElement {}

impl FactorNumber for i32 {}
impl FactorNumber for f32 {}

/// The factors of a sum of products, `p(a, b) = sum over t of u_t[a] * v_t[b]`, by bit pattern, on the device. Those of
/// float32 are finite.
///
/// ```no_run
/// use kernels_cubecl::DeviceFactors;
///
/// let client = cubecl::Device::default().client();
/// // a * b + 1 on codes of 2 bits: u = (a, 1), v = (b, 1).
/// let factors = [0, 1, 2, 3, 1, 1, 1, 1];
/// let factors = DeviceFactors::<i32>::new(&client, &factors, &factors, 2, 2)?;
/// assert_eq!(factors.terms(), 2);
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeviceFactors<T> {
    values: Handle,
    length: usize,
    terms: usize,
    bits: [u32; 2],
    number: PhantomData<T>,
}

impl<T: FactorNumber> DeviceFactors<T> {
    /// Factors from the host: `activation` as `[terms, 2^activation_bits]`, `weight` as `[terms, 2^weight_bits]`.
    ///
    /// # Errors
    /// If a width is not in 1..=16, the lengths are not those of the same number of terms, or there are 2^31 values or
    /// more.
    pub fn new(
        client: &Client,
        activation: &[T],
        weight: &[T],
        activation_bits: u32,
        weight_bits: u32,
    ) -> Result<Self, DeviceKernelError> {
        let bits = [activation_bits, weight_bits];
        bits.into_iter().try_for_each(check_width)?;
        let terms = activation.len() >> activation_bits;
        check_length(
            "an activation's factors",
            terms << activation_bits,
            activation.len(),
        )?;
        check_length("a weight's factors", terms << weight_bits, weight.len())?;
        let length = activation.len() + weight.len();
        check_count("values of factors", length as u128)?;
        let mut bytes = [T::as_bytes(activation), T::as_bytes(weight)].concat();
        // A buffer of no bytes cannot be bound.
        bytes.resize(bytes.len().max(4), 0);
        Ok(Self {
            values: client.create_from_slice(&bytes),
            length,
            terms,
            bits,
            number: PhantomData,
        })
    }

    /// The number of terms.
    pub fn terms(&self) -> usize {
        self.terms
    }

    fn argument(&self) -> ScalarProductArgs {
        ScalarProductArgs::Factors(FactorsLaunch::new(
            // SAFETY: the constructor made the buffer of this length.
            unsafe { BufferArg::from_raw_parts(self.values.clone(), self.length.max(1)) },
            self.terms as u32,
            self.bits[0],
            self.bits[1],
        ))
    }
}

impl ScalarProduct<'_> {
    /// The widths of the codes, activation and weight.
    pub(crate) fn bits(&self) -> [u32; 2] {
        match self {
            Self::Lookup { table, .. } => table.bits,
            Self::Integer { factors, .. } => factors.bits,
            Self::Real { factors } => factors.bits,
        }
    }

    /// What sums are accumulated in.
    pub(crate) fn sum_kind(&self) -> SumKind {
        match self {
            Self::Lookup { words, .. } | Self::Integer { words, .. } => match words {
                Words::One => SumKind::OneWord,
                Words::Two => SumKind::TwoWords,
            },
            Self::Real { .. } => SumKind::Real,
        }
    }

    /// The bytes of a table that would be worth a copy in shared memory.
    pub(crate) fn table_bytes(&self) -> Option<usize> {
        match self {
            Self::Lookup { table, .. } => Some(table.bytes()),
            _ => None,
        }
    }

    /// The product as an argument of a kernel, its table copied to shared memory if `shared`.
    pub(crate) fn argument(&self, shared: bool) -> ScalarProductArgs {
        match self {
            Self::Lookup { table, .. } => table.argument(shared),
            Self::Integer { factors, .. } => factors.argument(),
            Self::Real { factors } => factors.argument(),
        }
    }
}
