//! An integer of 512 bits, for comparing a double with a decimal exactly: no number of ours needs more than 450.

use std::cmp::Ordering;

use super::powers::checked_power_of_five;

const LIMBS: usize = 8;

/// A non-negative integer; the least significant limb comes first.
#[derive(Clone, Copy)]
pub(super) struct Wide([u64; LIMBS]);

impl Wide {
    pub(super) fn new(value: u128) -> Wide {
        let mut limbs = [0; LIMBS];
        limbs[0] = value as u64;
        limbs[1] = (value >> 64) as u64;
        Wide(limbs)
    }

    /// The integer times 5^`exponent`.
    pub(super) fn times_power_of_five(mut self, mut exponent: u32) -> Wide {
        // 5^27 is the greatest power that 64 bits hold.
        while exponent > 0 {
            let step = exponent.min(27);
            let factor = checked_power_of_five(step).expect("27 is in the table");
            let mut carry = 0;
            for limb in &mut self.0 {
                let product = u128::from(*limb) * factor + carry;
                *limb = product as u64;
                carry = product >> 64;
            }
            debug_assert_eq!(carry, 0);
            exponent -= step;
        }
        self
    }

    /// The integer times 2^`exponent`.
    pub(super) fn times_power_of_two(self, exponent: u32) -> Wide {
        let (whole, part) = ((exponent / 64) as usize, exponent % 64);
        debug_assert!(whole < LIMBS && self.0[LIMBS - whole..].iter().all(|&limb| limb == 0));
        let mut shifted = [0; LIMBS];
        for (to, shifted) in shifted.iter_mut().enumerate().skip(whole) {
            let limb = u128::from(self.0[to - whole]) << 64;
            let below = if to > whole { u128::from(self.0[to - whole - 1]) } else { 0 };
            *shifted = ((limb | below) << part >> 64) as u64;
        }
        Wide(shifted)
    }

    pub(super) fn cmp(&self, other: &Wide) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_128_bits_where_these_suffice() {
        for five in [0, 1, 26, 27, 28, 30] {
            for two in [0, 1, 31, 56] {
                let wide = Wide::new(3).times_power_of_five(five).times_power_of_two(two);
                let narrow = (3 * checked_power_of_five(five).unwrap()).checked_shl(two).unwrap();
                assert_eq!(wide.cmp(&Wide::new(narrow)), Ordering::Equal, "5^{five} 2^{two}");
                assert_eq!(wide.cmp(&Wide::new(narrow - 1)), Ordering::Greater);
            }
        }
    }

    #[test]
    fn factors_commute_far_beyond_128_bits() {
        let one = Wide::new(u128::from(u64::MAX)).times_power_of_two(300).times_power_of_five(60);
        let other = Wide::new(u128::from(u64::MAX)).times_power_of_five(60).times_power_of_two(300);
        assert_eq!(one.cmp(&other), Ordering::Equal);
        let more = Wide::new(u128::from(u64::MAX)).times_power_of_five(61).times_power_of_two(300);
        let less = Wide::new(u128::from(u64::MAX)).times_power_of_five(60).times_power_of_two(299);
        assert_eq!(one.cmp(&more), Ordering::Less);
        assert_eq!(one.cmp(&less), Ordering::Greater);
    }
}
