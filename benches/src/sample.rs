//! Measured values and their quantiles.

use std::time::Duration;

/// Values in the order in which they were measured.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Adds a value.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Adds a time, in microseconds.
    pub fn push_us(&mut self, time: Duration) {
        self.push(time.as_secs_f64() * 1e6);
    }

    /// Adds the values of another sample.
    pub fn extend(&mut self, other: &Sample) {
        self.0.extend(&other.0);
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value that a share of `q` of all values does not exceed. Not a number if there are none.
    pub fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = (q * (sorted.len() as f64 - 1.0)).round().max(0.0) as usize;
        sorted.get(rank).copied().unwrap_or(f64::NAN)
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The arithmetic mean.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// The ratios to what was measured in the same turns.
    pub fn ratios(&self, reference: &Sample) -> Sample {
        assert_eq!(self.len(), reference.len(), "both were measured in the same turns");
        Sample(self.0.iter().zip(&reference.0).map(|(value, reference)| value / reference).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_sample() {
        let sample = Sample([5.0, 1.0, 4.0, 2.0, 3.0].to_vec());
        assert_eq!([0.0, 0.5, 1.0].map(|q| sample.quantile(q)), [1.0, 3.0, 5.0]);
        assert!(Sample::default().median().is_nan());
    }

    #[test]
    fn a_ratio_belongs_to_its_turn() {
        let ratios = Sample([6.0, 2.0].to_vec()).ratios(&Sample([2.0, 4.0].to_vec()));
        assert_eq!((ratios.quantile(0.0), ratios.quantile(1.0)), (0.5, 3.0));
    }
}
