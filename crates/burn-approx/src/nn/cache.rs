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
    /// All of it is computed once, and known from then on; its tokens lie along an axis.
    Once(&'a mut TensorCache<D>, usize),
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
    /// Those of `module`, or a sequence that does not go on from what the cache holds; the cache is what it was then.
    pub(crate) fn run(
        &mut self,
        sequence: Tensor<3>,
        module: impl FnOnce(Tensor<3>) -> Result<Tensor<D>, ApproxError>,
    ) -> Result<Tensor<D>, ApproxError> {
        let (cache, output) = match self {
            Self::All => return module(sequence),
            Self::Once(cache, axis) => match &cache.0 {
                Some(known) => {
                    check(&sequence, known, *axis, 0)?;
                    return Ok(known.clone());
                }
                None => (cache, module(sequence)?),
            },
            Self::Last(cache, axis) => match &cache.0 {
                Some(known) => {
                    check(&sequence, known, *axis, 1)?;
                    let tokens = known.dims()[*axis];
                    let last = module(sequence.narrow(1, tokens, 1))?;
                    check_sizes(&last, known, *axis)?;
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

/// Checks that a sequence has so many tokens more than are known along an axis, in the same batch on the same device.
fn check<const D: usize>(
    sequence: &Tensor<3>,
    known: &Tensor<D>,
    axis: usize,
    more: usize,
) -> Result<(), ApproxError> {
    let [batch, tokens, _] = sequence.dims();
    let expected = [known.dims()[0], known.dims()[axis] + more];
    if [batch, tokens] != expected {
        return Err(refuse(format!(
            "the cache goes on with {} sequences of {} tokens, but {batch} of {tokens} are given: give every step all tokens so \
             far and one more, and a memory that stays, or begin with an empty cache",
            expected[0], expected[1]
        )));
    }
    if sequence.device() != known.device() {
        return Err(refuse(format!(
            "the cache lies on {:?}, the sequence on {:?}: begin with an empty cache",
            known.device(),
            sequence.device()
        )));
    }
    Ok(())
}

/// Checks that what a module gives for the last token has the sizes of what it gave for those before.
fn check_sizes<const D: usize>(
    last: &Tensor<D>,
    known: &Tensor<D>,
    axis: usize,
) -> Result<(), ApproxError> {
    let mut expected = known.dims();
    expected[axis] = 1;
    match last.dims() == expected {
        true => Ok(()),
        false => Err(refuse(format!(
            "the last token comes to {:?}, but those before call for {expected:?}: the model is another one than the cache \
             was filled by; begin with an empty cache",
            last.dims()
        ))),
    }
}

fn refuse(problem: String) -> ApproxError {
    shape_error("autoregressive step", problem)
}
