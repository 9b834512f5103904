//! What becomes of sums while they are in cache: the constants that they lack are added, and they are kept as integers
//! or rescaled to real values.

use std::mem::MaybeUninit;

use crate::accumulators::Accumulator;
use crate::arch::{Instructions, Kernel};
use crate::rescale::{ChannelRescale, rescaled};

/// The sums over the windows of some positions; a missing one is 0 everywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowSums<'a, S> {
    /// What the activations add whatever the weights.
    pub(super) offsets: &'a [S],
    /// The codes.
    pub(super) codes: &'a [S],
}

impl<S> WindowSums<'_, S> {
    /// Those of the first positions.
    fn first(self, count: usize) -> Self {
        WindowSums {
            offsets: &self.offsets[..count],
            codes: &self.codes[..count],
        }
    }
}

/// How a sum becomes an output. Both methods are `#[inline(always)]` and called where code is compiled for an
/// instruction set.
///
/// # Safety
/// Both methods either panic or write the first outputs, as many as there are sums: what they are given need not have
/// been written before, and is read afterwards.
pub(super) unsafe trait Epilogue<S>: Sync {
    type Output: Copy + Default + Send + Sync;

    /// Whether the sums of codes matter.
    fn takes_codes(&self) -> bool;

    /// Finishes sums of one channel: writes as many outputs as there are sums.
    fn finish_positions(
        &self,
        channel: usize,
        sums: &[S],
        windows: Option<WindowSums<'_, S>>,
        outputs: &mut [MaybeUninit<Self::Output>],
    );

    /// Finishes sums of one window, of channels from the given one on; there may be more of them than there are
    /// channels. Writes as many outputs as there are sums.
    fn finish_channels(
        &self,
        channel: usize,
        sums: &[S],
        offset: S,
        codes: S,
        outputs: &mut [MaybeUninit<Self::Output>],
    );
}

/// [`Epilogue::finish_positions`] as a kernel.
pub(super) struct FinishPositions<'a, S, F> {
    pub(super) epilogue: &'a F,
    pub(super) channel: usize,
    pub(super) sums: &'a [S],
    pub(super) windows: Option<WindowSums<'a, S>>,
}

impl<S: Accumulator, F: Epilogue<S>> Kernel for FinishPositions<'_, S, F> {
    type Target = [MaybeUninit<F::Output>];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, _: I, outputs: &mut Self::Target) {
        self.epilogue
            .finish_positions(self.channel, self.sums, self.windows, outputs);
    }
}

/// [`Epilogue::finish_channels`] as a kernel.
pub(super) struct FinishChannels<'a, S, F> {
    pub(super) epilogue: &'a F,
    pub(super) channel: usize,
    pub(super) sums: &'a [S],
    pub(super) offset: S,
    pub(super) codes: S,
}

impl<S: Accumulator, F: Epilogue<S>> Kernel for FinishChannels<'_, S, F> {
    type Target = [MaybeUninit<F::Output>];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, _: I, outputs: &mut Self::Target) {
        self.epilogue
            .finish_channels(self.channel, self.sums, self.offset, self.codes, outputs);
    }
}

/// Sums as they are.
pub(super) struct Exact<S> {
    /// What every channel's sums lack.
    constants: Vec<S>,
}

impl<S: Accumulator> Exact<S> {
    /// `padded` is at least the number of channels whose sums are handed over.
    pub(super) fn new(constants: &[i64], padded: usize) -> Self {
        Exact {
            constants: converted(constants.iter().copied(), padded),
        }
    }
}

// SAFETY: every slice is cut to the number of sums before its elements are paired with them, so that all are written.
unsafe impl<S: Accumulator> Epilogue<S> for Exact<S> {
    type Output = S;

    fn takes_codes(&self) -> bool {
        false
    }

    #[inline(always)]
    fn finish_positions(
        &self,
        channel: usize,
        sums: &[S],
        windows: Option<WindowSums<'_, S>>,
        outputs: &mut [MaybeUninit<S>],
    ) {
        let constant = self.constants[channel];
        let outputs = &mut outputs[..sums.len()];
        match windows {
            None => add_constant(constant, sums, outputs),
            Some(windows) => {
                let windows = windows.first(sums.len());
                add_all(constant, windows.offsets, sums, outputs);
            }
        }
    }

    #[inline(always)]
    fn finish_channels(
        &self,
        channel: usize,
        sums: &[S],
        offset: S,
        _codes: S,
        outputs: &mut [MaybeUninit<S>],
    ) {
        let constants = &self.constants[channel..][..sums.len()];
        add_all(offset, constants, sums, &mut outputs[..sums.len()]);
    }
}

#[inline(always)]
fn add_constant<S: Accumulator>(constant: S, sums: &[S], outputs: &mut [MaybeUninit<S>]) {
    for (output, sum) in outputs.iter_mut().zip(sums) {
        output.write(sum.plus(constant));
    }
}

#[inline(always)]
fn add_all<S: Accumulator>(constant: S, others: &[S], sums: &[S], outputs: &mut [MaybeUninit<S>]) {
    for ((output, sum), &other) in outputs.iter_mut().zip(sums).zip(others) {
        output.write(sum.plus(constant).plus(other));
    }
}

/// Sums rescaled to real values.
pub(super) struct Rescaled<S> {
    scales: Vec<f32>,
    constants: Vec<S>,
    weight_zero_points: Vec<S>,
    takes_codes: bool,
}

impl<S: Accumulator> Rescaled<S> {
    /// `constants` are what every channel's sums lack, `codes` what every sum of codes lacks. `padded` is at least the
    /// number of channels whose sums are handed over.
    pub(super) fn new(
        channels: &[ChannelRescale],
        constants: &[i64],
        codes: i64,
        padded: usize,
    ) -> Self {
        let mut scales: Vec<f32> = channels.iter().map(|channel| channel.scale).collect();
        scales.resize(padded, 0.0);
        let constants = channels.iter().zip(constants).map(|(channel, constant)| {
            let of_codes = channel.weight_zero_point.wrapping_mul(codes);
            channel
                .constant
                .wrapping_add(*constant)
                .wrapping_sub(of_codes)
        });
        let weight_zero_points = channels.iter().map(|channel| channel.weight_zero_point);
        Rescaled {
            scales,
            constants: converted(constants, padded),
            weight_zero_points: converted(weight_zero_points, padded),
            takes_codes: channels
                .iter()
                .any(|channel| channel.weight_zero_point != 0),
        }
    }
}

// SAFETY: as for `Exact`.
unsafe impl<S: Accumulator> Epilogue<S> for Rescaled<S> {
    type Output = f32;

    fn takes_codes(&self) -> bool {
        self.takes_codes
    }

    #[inline(always)]
    fn finish_positions(
        &self,
        channel: usize,
        sums: &[S],
        windows: Option<WindowSums<'_, S>>,
        outputs: &mut [MaybeUninit<f32>],
    ) {
        let (scale, constant) = (self.scales[channel], self.constants[channel]);
        let outputs = &mut outputs[..sums.len()];
        match windows {
            None => rescale(scale, constant, sums, outputs),
            Some(windows) => {
                let windows = windows.first(sums.len());
                let zero_point = self.weight_zero_points[channel];
                rescale_windows((scale, constant, zero_point), sums, windows, outputs);
            }
        }
    }

    #[inline(always)]
    fn finish_channels(
        &self,
        channel: usize,
        sums: &[S],
        offset: S,
        codes: S,
        outputs: &mut [MaybeUninit<f32>],
    ) {
        let channels = Channels {
            scales: &self.scales[channel..][..sums.len()],
            constants: &self.constants[channel..][..sums.len()],
            weight_zero_points: &self.weight_zero_points[channel..][..sums.len()],
        };
        let outputs = &mut outputs[..sums.len()];
        rescale_channels(channels, sums, offset, codes, outputs);
    }
}

/// What neighbouring channels are rescaled by.
struct Channels<'a, S> {
    scales: &'a [f32],
    constants: &'a [S],
    weight_zero_points: &'a [S],
}

#[inline(always)]
fn rescale<S: Accumulator>(scale: f32, constant: S, sums: &[S], outputs: &mut [MaybeUninit<f32>]) {
    for (output, &sum) in outputs.iter_mut().zip(sums) {
        output.write(rescaled(scale, sum, constant, S::default(), S::default()));
    }
}

#[inline(always)]
fn rescale_windows<S: Accumulator>(
    channel: (f32, S, S),
    sums: &[S],
    windows: WindowSums<'_, S>,
    outputs: &mut [MaybeUninit<f32>],
) {
    let (scale, constant, weight_zero_point) = channel;
    let windows = windows.offsets.iter().zip(windows.codes);
    for ((output, sum), (&offset, &codes)) in outputs.iter_mut().zip(sums).zip(windows) {
        output.write(rescaled(
            scale,
            sum.plus(offset),
            constant,
            weight_zero_point,
            codes,
        ));
    }
}

#[inline(always)]
fn rescale_channels<S: Accumulator>(
    channels: Channels<'_, S>,
    sums: &[S],
    offset: S,
    codes: S,
    outputs: &mut [MaybeUninit<f32>],
) {
    let scales = channels.scales.iter().zip(channels.constants);
    let channels = scales.zip(channels.weight_zero_points);
    for ((output, sum), ((&scale, &constant), &zero_point)) in
        outputs.iter_mut().zip(sums).zip(channels)
    {
        output.write(rescaled(
            scale,
            sum.plus(offset),
            constant,
            zero_point,
            codes,
        ));
    }
}

fn converted<S: Accumulator>(values: impl Iterator<Item = i64>, padded: usize) -> Vec<S> {
    let mut converted: Vec<S> = values.map(S::from_i64).collect();
    converted.resize(padded, S::default());
    converted
}
