//! Names beside points that touch neither points nor lines nor each other.

/// A position in pixels, to the right and down.
pub type Position = (i32, i32);

/// What of a picture is taken, and where names may still go.
///
/// ```
/// use approx_experiment::plot::labels::Labels;
///
/// let mut labels = Labels::within([0, 0, 200, 100], 15);
/// labels.avoid_point((50, 50));
/// let first = labels.place("first", (50, 50)).unwrap();
/// assert_ne!(labels.place("second", (50, 50)), Some(first));
/// assert_eq!(Labels::within([0, 0, 5, 5], 15).place("no room", (2, 2)), None);
/// ```
#[derive(Debug, Clone)]
pub struct Labels {
    /// Rectangles, given as left, top, right and bottom.
    taken: Vec<[i32; 4]>,
    frame: [i32; 4],
    font_size: i32,
}

impl Labels {
    /// Names inside of a frame, given as left, top, right and bottom, in letters of a size.
    pub fn within(frame: [i32; 4], font_size: i32) -> Self {
        Self {
            taken: Vec::new(),
            frame,
            font_size,
        }
    }

    /// Names stay off a point's mark.
    pub fn avoid_point(&mut self, point: Position) {
        self.taken.push(around(point, 5));
    }

    /// Names stay off a line.
    pub fn avoid_line(&mut self, from: Position, to: Position) {
        self.taken.extend(along(from, to).map(|dot| around(dot, 1)));
    }

    /// The upper left corner of a name beside a point, which is taken from then on; none where there is no room.
    pub fn place(&mut self, name: &str, (x, y): Position) -> Option<Position> {
        // What no letter exceeds by much, on the average of a name.
        let width = name.chars().count() as i32 * self.font_size * 7 / 12;
        let height = self.font_size * 7 / 8;
        // Above to the right, below to the left, and further around the point.
        let places = [
            (7, -height - 1),
            (-width - 7, 1),
            (7, 1),
            (-width - 7, -height - 1),
            (-width / 2, -height - 7),
            (-width / 2, 7),
            (9, -height / 2),
            (-width - 9, -height / 2),
        ];
        let place = places.into_iter().find_map(|(right, down)| {
            let place = [x + right, y + down, x + right + width, y + down + height];
            let is_free = is_inside(&place, &self.frame)
                && self.taken.iter().all(|other| !overlap(&place, other));
            is_free.then_some(place)
        })?;
        self.taken.push(place);
        Some((place[0], place[1]))
    }
}

fn is_inside(place: &[i32; 4], frame: &[i32; 4]) -> bool {
    place[0] >= frame[0] && place[1] >= frame[1] && place[2] < frame[2] && place[3] < frame[3]
}

fn overlap(one: &[i32; 4], other: &[i32; 4]) -> bool {
    one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
}

/// The rectangle that reaches so far around a point.
fn around((x, y): Position, reach: i32) -> [i32; 4] {
    [x - reach, y - reach, x + reach, y + reach]
}

/// Dots along a line.
fn along(from: Position, to: Position) -> impl Iterator<Item = Position> {
    let (right, down) = (to.0 - from.0, to.1 - from.1);
    let count = (right.abs().max(down.abs()) / 3).max(1);
    (0..=count).map(move |index| {
        (
            from.0 + right * index / count,
            from.1 + down * index / count,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_touches_anything() {
        let frame = [0, 0, 300, 200];
        let mut labels = Labels::within(frame, 15);
        let points: Vec<Position> = (0..12)
            .map(|index| (20 + 23 * index, 30 + 11 * index))
            .collect();
        for point in &points {
            labels.avoid_point(*point);
        }
        labels.avoid_line((0, 100), (300, 100));
        let before = labels.taken.len();
        let placed = points
            .iter()
            .filter_map(|point| labels.place("1KV8", *point));
        assert!(placed.count() > 6);
        let names = &labels.taken[before..];
        for (index, name) in names.iter().enumerate() {
            assert!(is_inside(name, &frame));
            let others = labels.taken[..before].iter().chain(&names[..index]);
            assert!(others.clone().all(|other| !overlap(name, other)));
        }
    }
}
