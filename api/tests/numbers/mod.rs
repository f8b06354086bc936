//! Numbers of wildly different shape, for property tests.
#![allow(dead_code, reason = "each test program uses a part")]

use dynamite_core::number::Number;
use proptest::prelude::*;

/// Any number: short ones, long ones, those near doubles, near the limits, and runs of nines and zeros.
pub(crate) fn any_number() -> impl Strategy<Value = Number> {
    prop_oneof![
        2 => any::<i64>().prop_map(Number::from),
        2 => (-1000i64..1000).prop_map(Number::from),
        2 => (any::<bool>(), 0u128..100_000_000, -10i32..10).prop_filter_map("in range", from_parts),
        4 => (any::<bool>(), digits(), -170i32..126).prop_filter_map("in range", from_parts),
        2 => (any::<bool>(), digits(), -45i32..5).prop_filter_map("in range", from_parts),
        2 => in_range_double().prop_map(|double| Number::try_from(double).unwrap()),
        2 => (any::<bool>(), 1u64.., 0u32..40).prop_filter_map("38 digits", |(negative, mantissa, shift)| {
            dyadic(negative, mantissa >> 32, shift)
        }),
        1 => prop::sample::select(landmarks()),
        2 => (prop::sample::select(landmarks()), -2i64..=2, -40i32..10).prop_filter_map("in range", |(number, by, exponent)| {
            number.checked_add(Number::from_parts(by < 0, by.unsigned_abs().into(), exponent).ok()?).ok()
        }),
    ]
}

/// Two numbers, often so near to each other that no double tells them apart.
pub(crate) fn two_numbers() -> impl Strategy<Value = (Number, Number)> {
    let neighbours = (any_number(), -3i64..=3, 0i32..39).prop_map(|(number, by, digits)| {
        // A step in the last digits that the number has room for.
        let exponent = leading_exponent(&number) - digits;
        let step = Number::from_parts(by < 0, by.unsigned_abs().into(), exponent);
        let other = step.and_then(|step| number.checked_add(step)).unwrap_or(number);
        (number, other)
    });
    prop_oneof![
        1 => (any_number(), any_number()),
        1 => any_number().prop_map(|number| (number, -number)),
        2 => neighbours,
        1 => (around_double(), around_double()),
        1 => around_double().prop_flat_map(|number| (Just(number), Just(Number::try_from(number.to_f64()).unwrap_or(number)))),
    ]
}

/// Numbers whose order and keys are easily got wrong.
pub(crate) fn landmarks() -> Vec<Number> {
    let texts = [
        "0",
        "1",
        "0.1",
        "0.5",
        "0.3",
        "10",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "9007199254740994",
        "18014398509481983",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999991611392",
        "1e22",
        "1e23",
        "1E-130",
        "1.1E-130",
        "9.9999999999999999999999999999999999999E-130",
        "9.9999999999999999999999999999999999999E+125",
        "9E+125",
        "1E+125",
        "99999999999999999999999999999999999999",
        "0.99999999999999999999999999999999999999",
        "0.10000000000000000555111512312578270211",
        "0.10000000000000000555111512312578270212",
        "85070591730234615865843651857942052864",
    ];
    let positive = texts.map(|text| text.parse::<Number>().unwrap());
    positive.iter().flat_map(|&number| [number, -number]).collect()
}

/// The exponent of the first digit.
pub(crate) fn leading_exponent(number: &Number) -> i32 {
    number.exponent() + number.coefficient().to_string().len() as i32 - 1
}

/// The exact value of ±`mantissa` / 2^`shift`, if it has no more than 38 digits.
pub(crate) fn dyadic(negative: bool, mantissa: u64, shift: u32) -> Option<Number> {
    let coefficient = u128::from(mantissa).checked_mul(5u128.checked_pow(shift)?)?;
    Number::from_parts(negative, coefficient, -(shift as i32)).ok()
}

pub(crate) fn in_range_double() -> impl Strategy<Value = f64> {
    (any::<u64>(), -430i32..417).prop_map(|(bits, exponent)| {
        let bits = (bits & !(0x7ff << 52)) | (((exponent + 1023) as u64) << 52);
        f64::from_bits(bits)
    })
}

/// A double's first 38 digits, rounded somehow: beside it by less than any other double.
fn around_double() -> impl Strategy<Value = Number> {
    (in_range_double(), 15usize..38)
        .prop_map(|(double, digits)| format!("{double:.digits$e}").parse().unwrap())
}

fn digits() -> impl Strategy<Value = u128> {
    prop_oneof![
        "[1-9][0-9]{0,37}".prop_map(|text| text.parse().unwrap()),
        "[1-9][09]{0,37}".prop_map(|text| text.parse().unwrap()),
        "9{1,38}".prop_map(|text| text.parse().unwrap()),
    ]
}

fn from_parts((negative, coefficient, exponent): (bool, u128, i32)) -> Option<Number> {
    Number::from_parts(negative, coefficient, exponent).ok()
}
