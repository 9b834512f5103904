//! A rising curve through scattered points.

/// No network can lose more points of accuracy.
const MOST: f64 = 100.0;

/// Points nearer to each other along the axis are one: a slope between them would be that of rounding errors.
const SAME: f64 = 1e-9;

/// A piecewise linear curve that never falls: through the means of the blocks that isotonic regression forms (Ayer et
/// al., Annals of Mathematical Statistics 26, 1955), so that no shape has to be assumed.
#[derive(Debug, Clone)]
pub(super) struct Link {
    points: Vec<(f64, f64)>,
}

impl Link {
    /// The curve through points `(x, y)` with weights, which must not be empty and must be finite.
    pub fn new(mut points: Vec<(f64, f64, f64)>) -> Self {
        points.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
        let mut blocks: Vec<(f64, f64, f64)> = Vec::new();
        for point in points {
            let mut block = point;
            while let Some(before) =
                blocks.pop_if(|before| before.1 >= block.1 || block.0 - before.0 < SAME)
            {
                let weight = before.2 + block.2;
                let mean = |one: f64, other: f64| (one * before.2 + other * block.2) / weight;
                block = (mean(before.0, block.0), mean(before.1, block.1), weight);
            }
            blocks.push(block);
        }
        Self {
            points: blocks.into_iter().map(|(x, y, _)| (x, y)).collect(),
        }
    }

    /// The curve's value. Before its first point it is constant; beyond its last it goes on as between the last two, up to
    /// [`MOST`].
    pub fn at(&self, x: f64) -> f64 {
        let [first, .., last] = self.points.as_slice() else {
            return self.points.first().map_or(0.0, |point| point.1);
        };
        if x <= first.0 {
            return first.1;
        }
        let after = self
            .points
            .partition_point(|point| point.0 < x)
            .min(self.points.len() - 1);
        let (from, to) = (self.points[after - 1], self.points[after]);
        let slope = (to.1 - from.1) / (to.0 - from.0);
        match x > last.0 {
            true => (last.1 + slope * (x - last.0)).min(last.1.max(MOST)),
            false => from.1 + slope * (x - from.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_falls(points in prop::collection::vec((-9.0..9.0, -5.0..5.0, 0.1..3.0), 1..30)) {
            let link = Link::new(points);
            let values: Vec<f64> = (-100..100).map(|x| link.at(f64::from(x) / 10.0)).collect();
            prop_assert!(values.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9));
        }

        #[test]
        fn has_no_cliffs_where_points_are_one_above_the_other(
            places in prop::collection::vec((0_u8..4, -5.0..5.0, 0.1..3.0), 1..40),
        ) {
            let points: Vec<(f64, f64, f64)> = (places.iter())
                .map(|(place, y, weight)| (0.1 + 0.7 * f64::from(*place), *y, *weight))
                .collect();
            let link = Link::new(points);
            prop_assert!((-100..100).all(|x| (-5.0..=MOST).contains(&link.at(f64::from(x) / 10.0))));
        }

        #[test]
        fn goes_through_what_rises(steps in prop::collection::vec((0.1..2.0, 0.1..2.0), 2..10)) {
            let sum = |at: &mut (f64, f64), step: &(f64, f64)| {
                *at = (at.0 + step.0, at.1 + step.1);
                Some((at.0, at.1, 1.0))
            };
            let points: Vec<(f64, f64, f64)> = steps.iter().scan((0.0, 0.0), sum).collect();
            let link = Link::new(points.clone());
            prop_assert!(points.iter().all(|(x, y, _)| (link.at(*x) - y).abs() < 1e-9));
        }
    }
}
