//! How many measurements are made before they are written down: as many as take some seconds, so that a process that is
//! killed loses no more, and a network shares as much work between them as that allows.

use std::time::Duration;

/// How long a batch of measurements is to take.
const TARGET: Duration = Duration::from_secs(10);
/// How many measurements the first batch has, before it is known how long they take.
const FIRST: usize = 16;

/// How fast measurements are. What they give does not depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    most: usize,
    next: usize,
}

impl Pace {
    /// A pace of at most so many measurements in a batch, at least one.
    pub(super) fn of_at_most(most: usize) -> Self {
        let most = most.max(1);
        Self {
            most,
            next: most.min(FIRST),
        }
    }

    /// How many are made next.
    pub(super) fn next(self) -> usize {
        self.next
    }

    /// Learns how long a batch took.
    pub(super) fn learn(&mut self, measured: usize, took: Duration) {
        let in_time = measured as f64 * TARGET.as_secs_f64() / took.as_secs_f64().max(1e-6);
        // Networks share work within a batch: a larger one takes less for each.
        self.next = (in_time as usize).clamp(1, self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_take_some_seconds_whatever_the_network() {
        let mut pace = Pace::of_at_most(512);
        assert_eq!(pace.next(), FIRST);
        pace.learn(16, Duration::from_secs(2));
        assert_eq!(pace.next(), 80);
        pace.learn(80, Duration::from_millis(1));
        assert_eq!(pace.next(), 512);
        pace.learn(512, Duration::from_secs(50_000));
        assert_eq!(pace.next(), 1);
        assert_eq!(Pace::of_at_most(3).next(), 3);
        assert_eq!(Pace::of_at_most(0).next(), 1);
    }
}
