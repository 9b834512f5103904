//! A weight with its channels exchanged: lines of input channels instead of output channels.

use rayon::prelude::*;

/// A weight `[groups, out, in, taps]` as `[groups, in, sets of taps, out, taps of the set]`.
pub(super) fn turned(
    weight: &[f32],
    [groups, outputs, inputs]: [usize; 3],
    taps: usize,
    sets: &[Vec<usize>],
) -> Vec<f32> {
    let depth = outputs * sets.iter().map(Vec::len).sum::<usize>();
    let mut turned = vec![0.0; groups * inputs * depth];
    if turned.is_empty() {
        return turned;
    }
    let lines = turned.par_chunks_exact_mut(depth).enumerate();
    lines.with_min_len(16).for_each(|(line, to)| {
        let (group, input) = (line / inputs, line % inputs);
        let mut to = to.iter_mut();
        for set in sets {
            for output in 0..outputs {
                let first = ((group * outputs + output) * inputs + input) * taps;
                let weights = &weight[first..first + taps];
                for (to, &tap) in to.by_ref().take(set.len()).zip(set) {
                    *to = weights[tap];
                }
            }
        }
    });
    turned
}
