//! What an autoregressive model keeps from one step to the next, so that a step computes with the last token alone.
//!
//! Burn's own cache shows nobody what it holds, so the drop-ins have one of their own, of Burn's name.

use burn::prelude::*;

use crate::error::ApproxError;
use crate::geometry::shape_error;

/// What a module computed for the tokens so far; stands for [`burn::nn::cache::TensorCache`].
#[derive(Clone, Debug)]
pub struct TensorCache<const D: usize>(Option<Tensor<D>>);

impl<const D: usize> TensorCache<D> {
    /// Nothing computed yet.
    pub fn empty() -> Self {
        Self(None)
    }
}

/// Which part of a sequence `[batch, tokens, features]` a module computes, and which it knows.
#[derive(Debug)]
pub(crate) enum Step<'a, const D: usize> {
    /// All of it is computed.
    All,
    /// All of it is computed first, from then on the last token, which is joined to those before along an axis.
    Last(&'a mut TensorCache<D>, usize),
    /// All of it is computed once, and known from then on.
    Once(&'a mut TensorCache<D>),
}

impl<'a> Step<'a, 3> {
    /// The last token of a sequence that stays one, if `caches` has a place for those before.
    pub(crate) fn last<C>(
        caches: &'a mut Option<&mut C>,
        place: impl FnOnce(&mut C) -> &mut TensorCache<3>,
    ) -> Self {
        match caches {
            Some(caches) => Self::Last(place(caches), 1),
            None => Self::All,
        }
    }
}

impl<const D: usize> Step<'_, D> {
    /// What `module` gives for the sequence.
    ///
    /// # Errors
    /// Those of `module`, or a sequence without tokens; the cache is what it was then.
    pub(crate) fn run(
        &mut self,
        sequence: Tensor<3>,
        module: impl FnOnce(Tensor<3>) -> Result<Tensor<D>, ApproxError>,
    ) -> Result<Tensor<D>, ApproxError> {
        let (cache, output) = match self {
            Self::All => return module(sequence),
            Self::Once(cache) => match &cache.0 {
                Some(known) => return Ok(known.clone()),
                None => (cache, module(sequence)?),
            },
            Self::Last(cache, axis) => match &cache.0 {
                Some(known) => {
                    let Some(last) = sequence.dims()[1].checked_sub(1) else {
                        let problem = "a step needs a token at least".to_string();
                        return Err(shape_error("autoregressive step", problem));
                    };
                    let last = module(sequence.narrow(1, last, 1))?;
                    let output = Tensor::cat(vec![known.clone(), last], *axis);
                    (cache, output)
                }
                None => (cache, module(sequence)?),
            },
        };
        cache.0 = Some(output.clone());
        Ok(output)
    }
}
