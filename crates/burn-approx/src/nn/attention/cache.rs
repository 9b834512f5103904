//! What attention keeps from one token to the next.

use crate::nn::cache::{Step, TensorCache};

/// What a [`MultiHeadAttention`](super::MultiHeadAttention) computed for the tokens so far; drop-in for
/// [`burn::nn::attention::MhaCache`].
#[derive(Clone, Debug)]
pub struct MhaCache {
    query: TensorCache<4>,
    key: TensorCache<4>,
    value: TensorCache<4>,
    output: TensorCache<3>,
    /// Whether keys and values are those of the first step for good.
    fixed_memory: bool,
}

impl MhaCache {
    /// For a sequence that attends to itself and grows by a token in every step.
    pub fn autoregressive() -> Self {
        Self {
            query: TensorCache::empty(),
            key: TensorCache::empty(),
            value: TensorCache::empty(),
            output: TensorCache::empty(),
            fixed_memory: false,
        }
    }

    /// For a sequence that grows by a token in every step and attends to another one, which stays that of the first
    /// step.
    pub fn autoregressive_cross_attention() -> Self {
        Self {
            fixed_memory: true,
            ..Self::autoregressive()
        }
    }
}

/// What each linear layer computes in a step.
pub(super) struct Steps<'a> {
    pub(super) query: Step<'a, 4>,
    pub(super) key: Step<'a, 4>,
    pub(super) value: Step<'a, 4>,
    pub(super) output: Step<'a, 3>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(cache: Option<&'a mut MhaCache>) -> Self {
        let Some(cache) = cache else {
            return Self {
                query: Step::All,
                key: Step::All,
                value: Step::All,
                output: Step::All,
            };
        };
        // The heads of a token lie along axis 2.
        let (key, value) = match cache.fixed_memory {
            true => (
                Step::Once(&mut cache.key, 2),
                Step::Once(&mut cache.value, 2),
            ),
            false => (
                Step::Last(&mut cache.key, 2),
                Step::Last(&mut cache.value, 2),
            ),
        };
        Self {
            query: Step::Last(&mut cache.query, 2),
            key,
            value,
            output: Step::Last(&mut cache.output, 1),
        }
    }
}
