//! Powers of ten and five, and what is counted with them.

/// 10^0 ..= 10^38: the powers of ten that 128 bits hold.
const POWERS_OF_TEN: [u128; 39] = powers(10);

/// 5^0 ..= 5^55: the powers of five that 128 bits hold.
const POWERS_OF_FIVE: [u128; 56] = powers(5);

const fn powers<const N: usize>(base: u128) -> [u128; N] {
    let mut powers = [1; N];
    let mut n = 1;
    while n < N {
        powers[n] = powers[n - 1] * base;
        n += 1;
    }
    powers
}

/// 10^`exponent`, which is at most 38.
#[inline]
pub(super) fn power_of_ten(exponent: u32) -> u128 {
    POWERS_OF_TEN[exponent as usize]
}

/// 10^`exponent`, if 128 bits hold it.
#[inline]
pub(super) fn checked_power_of_ten(exponent: u32) -> Option<u128> {
    POWERS_OF_TEN.get(exponent as usize).copied()
}

/// 5^`exponent`, if 128 bits hold it.
#[inline]
pub(super) fn checked_power_of_five(exponent: u32) -> Option<u128> {
    POWERS_OF_FIVE.get(exponent as usize).copied()
}

/// Decimal digits of `value`; zero has none.
#[inline]
pub(super) fn digit_count(value: u128) -> u32 {
    // 1233 / 4096 is log10(2), and a bit more: the estimate is right or one too small (checked for each power below).
    let bits = u128::BITS - value.leading_zeros();
    let estimate = (bits * 1233) >> 12;
    match POWERS_OF_TEN.get(estimate as usize) {
        Some(&power) => estimate + u32::from(value >= power),
        None => estimate,
    }
}

/// A value without the zeros at its end, and how many they were. The value is not zero.
#[inline]
pub(super) fn without_trailing_zeros(value: u128) -> (u128, u32) {
    match u64::try_from(value) {
        Ok(value) => {
            let (value, zeros) = without_trailing_zeros_u64(value);
            (u128::from(value), zeros)
        }
        Err(_) => without_trailing_zeros_u128(value),
    }
}

/// [`without_trailing_zeros`] for what 64 bits hold.
#[inline]
pub(super) fn without_trailing_zeros_u64(mut value: u64) -> (u64, u32) {
    debug_assert!(value != 0);
    let mut zeros = 0;
    if !value.is_multiple_of(10) {
        return (value, zeros);
    }
    // Written out, since dividing by a constant is a multiplication.
    macro_rules! take_off {
        ($($step:literal)*) => {$(
            if value.is_multiple_of(const { 10u64.pow($step) }) {
                value /= const { 10u64.pow($step) };
                zeros += $step;
            }
        )*};
    }
    take_off!(16 8 4 2 1);
    (value, zeros)
}

fn without_trailing_zeros_u128(mut value: u128) -> (u128, u32) {
    let mut zeros = 0;
    for step in [32, 16, 8, 4, 2, 1] {
        // What is divisible by 10^n is divisible by 2^n, which is seen at once: dividing 128 bits is slow.
        let power = POWERS_OF_TEN[step as usize];
        if value.trailing_zeros() >= step && value.is_multiple_of(power) {
            value /= power;
            zeros += step;
        }
    }
    (value, zeros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_counted_right_around_every_power_of_ten_and_two() {
        assert_eq!(digit_count(0), 0);
        for power in 0..39 {
            assert_eq!(digit_count(power_of_ten(power)), power + 1);
            assert_eq!(digit_count(power_of_ten(power) - 1), power);
        }
        for bit in 0..128 {
            let value = 1u128 << bit;
            assert_eq!(digit_count(value), value.to_string().len() as u32);
        }
        assert_eq!(digit_count(u128::MAX), 39);
    }

    #[test]
    fn any_number_of_zeros_is_taken_off() {
        for zeros in 0..38 {
            for digits in [1, 2, 7, 16, 25, u128::from(u64::MAX), power_of_ten(38) - 1] {
                if let Some(value) = digits.checked_mul(power_of_ten(zeros)) {
                    assert_eq!(without_trailing_zeros(value), (digits, zeros));
                }
            }
        }
        assert_eq!(without_trailing_zeros(power_of_ten(38)), (1, 38));
    }
}
