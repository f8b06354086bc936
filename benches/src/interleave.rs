//! Measuring several things in turns, so that a device that drifts drifts for all of them.

use crate::sample::Sample;

/// Lets `count` subjects take turns. `measure` runs the one with the number that it is given, once, and returns what
/// it measured. Each round begins with another subject, since who comes after whom may matter.
///
/// Returns one sample a subject; equal positions were measured in the same round.
pub fn interleave<E>(
    rounds: usize,
    count: usize,
    mut measure: impl FnMut(usize) -> Result<f64, E>,
) -> Result<Vec<Sample>, E> {
    let mut samples = vec![Sample::default(); count];
    for round in 0..rounds {
        for turn in 0..count {
            let subject = (round + turn) % count;
            samples[subject].push(measure(subject)?);
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_one_turn_a_round_and_each_begins_in_its_turn() {
        let mut order = Vec::new();
        let samples = interleave(3, 3, |subject| {
            order.push(subject);
            Ok::<_, ()>(order.len() as f64)
        });
        assert_eq!(order, [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert!(samples.expect("no turn fails").iter().all(|sample| sample.len() == 3));
    }
}
