//! How often each code of an operand occurs: counted on the device, added up there, and read once at the end.

use std::collections::BTreeMap;

use burn::prelude::*;
use burn::tensor::IndexingUpdateOp;

use crate::error::ApproxError;
use crate::quantization::CodeQuantizer;

/// A device's counts have at least 31 bits: they are read before they could be full.
const MOST_COUNTED: u64 = i32::MAX as u64;

/// How often each code occurred in one pass.
pub(crate) struct PassCounts {
    /// The lowest code.
    low: i32,
    /// One count per code, from the lowest.
    counts: Tensor<1, Int>,
    /// The number of values.
    values: u64,
}

impl PassCounts {
    /// Counts the codes of `values`; reads nothing back from the device.
    pub(crate) fn of<const D: usize>(values: &Tensor<D>, quantizer: &CodeQuantizer) -> Self {
        let (low, high) = (quantizer.grid().low, quantizer.grid().high);
        let device = values.device();
        let device = device.inner();
        let count = values.shape().num_elements();
        let zeros = Tensor::<1, Int>::zeros([(high - low + 1) as usize], &device);
        let counts = match count {
            0 => zeros,
            _ => {
                // What is not a number has whatever code; it must be one.
                let codes = quantizer.codes(values.clone()).clamp(low, high) - low;
                let codes = codes.reshape([count]);
                let ones = Tensor::<1, Int>::ones([count], &device);
                zeros.scatter(0, codes, ones, IndexingUpdateOp::Add)
            }
        };
        Self {
            low,
            counts,
            values: count as u64,
        }
    }
}

/// How often each code occurred so far.
#[derive(Default)]
pub(crate) struct CodeCounts {
    /// What was read from devices.
    read: BTreeMap<i32, u64>,
    /// What is still on one.
    pending: Option<PassCounts>,
    /// The first failure to read.
    failure: Option<String>,
}

impl CodeCounts {
    /// Adds the counts of a pass. What lies on a device is only read if the codes or the device change, or its counts
    /// could overflow.
    pub(crate) fn add(&mut self, pass: PassCounts) {
        if let Some(pending) = self.pending.take() {
            let fits = pending.low == pass.low
                && pending.counts.dims() == pass.counts.dims()
                && pending.counts.device() == pass.counts.device()
                && pending.values + pass.values <= MOST_COUNTED;
            if fits {
                self.pending = Some(PassCounts {
                    low: pass.low,
                    counts: pending.counts + pass.counts,
                    values: pending.values + pass.values,
                });
                return;
            }
            self.read(pending);
        }
        self.pending = Some(pass);
    }

    /// Every code that occurred, in ascending order, with its count.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub(crate) fn finish(mut self, layer: &str) -> Result<BTreeMap<i32, u64>, ApproxError> {
        if let Some(pending) = self.pending.take() {
            self.read(pending);
        }
        match self.failure {
            None => Ok(self.read),
            Some(problem) => Err(ApproxError::Trace {
                layer: layer.to_string(),
                problem,
            }),
        }
    }

    fn read(&mut self, pass: PassCounts) {
        let data = pass.counts.into_data().convert::<i64>();
        match data.try_into_vec::<i64>() {
            Ok(counts) => {
                let counts = (pass.low..).zip(counts).filter(|(_, count)| *count > 0);
                for (code, count) in counts {
                    *self.read.entry(code).or_default() += count.unsigned_abs();
                }
            }
            Err(error) => self.failure = self.failure.take().or(Some(format!("{error:?}"))),
        }
    }
}

impl std::fmt::Debug for CodeCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeCounts")
            .field("read", &self.read.len())
            .field("pending", &self.pending.is_some())
            .finish()
    }
}
