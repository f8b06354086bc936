//! Numbers against a naive twin: text and digits one by one, in vectors that grow as they must.

mod numbers;

use std::cmp::Ordering;

use dynamite_core::number::{Number, NumberError};
use numbers::{any_number, in_range_double, landmarks, two_numbers};
use proptest::prelude::*;

/// ±0.digits · 10^point, without zeros at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Naive {
    negative: bool,
    digits: Vec<u8>,
    point: i64,
}

impl Naive {
    fn new(negative: bool, digits: &[u8], point: i64) -> Naive {
        let leading = digits.iter().take_while(|&&digit| digit == 0).count();
        let trailing = digits.iter().rev().take_while(|&&digit| digit == 0).count();
        if leading == digits.len() {
            return Naive { negative: false, digits: Vec::new(), point: 0 };
        }
        Naive {
            negative,
            digits: digits[leading..digits.len() - trailing].to_vec(),
            point: point - leading as i64,
        }
    }

    fn of(number: &Number) -> Naive {
        let digits: Vec<u8> = number.coefficient().to_string().bytes().map(|byte| byte - b'0').collect();
        Naive::new(number.is_negative(), &digits, digits.len() as i64 + i64::from(number.exponent()))
    }

    fn parse(text: &str) -> Option<Naive> {
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
                if digits.is_empty() || !all_digits(digits) {
                    return None;
                }
                (mantissa, exponent.parse().ok()?)
            }
            None => (unsigned, 0i64),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        let parsed = Naive::new(text.starts_with('-'), &digits, exponent.saturating_add(whole.len() as i64));
        // Zero is one digit, the last one that is written.
        let magnitude = exponent.saturating_sub(fraction.len() as i64);
        match parsed.digits.is_empty() && !(-130..=125).contains(&magnitude) {
            true => Some(Naive { point: magnitude.saturating_add(1), ..parsed }),
            false => Some(parsed),
        }
    }

    /// What may be stored is a number.
    fn check(self) -> Result<Naive, NumberError> {
        match &self {
            Naive { point, .. } if *point > 126 => Err(NumberError::Overflow),
            Naive { point, .. } if *point < -129 => Err(NumberError::Underflow),
            Naive { digits, .. } if digits.len() > 38 => Err(NumberError::TooManyDigits),
            _ => Ok(self),
        }
    }

    fn text(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let digits: String = self.digits.iter().map(|digit| (b'0' + digit) as char).collect();
        let len = digits.len() as i64;
        match self.point {
            _ if digits.is_empty() => "0".to_owned(),
            point if point <= 0 => format!("{sign}0.{}{digits}", "0".repeat(-point as usize)),
            point if point >= len => format!("{sign}{digits}{}", "0".repeat((point - len) as usize)),
            point => format!("{sign}{}.{}", &digits[..point as usize], &digits[point as usize..]),
        }
    }

    /// The digits of both from the higher to the lower end of either.
    fn aligned(&self, other: &Naive) -> (Vec<u8>, Vec<u8>, i64) {
        let top = self.point.max(other.point);
        let end = |naive: &Naive| naive.point - naive.digits.len() as i64;
        let bottom = end(self).min(end(other));
        let place = |naive: &Naive| {
            let mut digits = vec![0; (top - naive.point) as usize];
            digits.extend(&naive.digits);
            digits.resize((top - bottom) as usize, 0);
            digits
        };
        (place(self), place(other), top)
    }

    fn cmp(&self, other: &Naive) -> Ordering {
        let (one, two, _) = self.aligned(other);
        match (self.negative, other.negative) {
            (false, false) => one.cmp(&two),
            (true, true) => two.cmp(&one),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }

    fn add(&self, other: &Naive) -> Naive {
        let (one, two, top) = self.aligned(other);
        if self.negative == other.negative {
            let mut sum = vec![0; one.len() + 1];
            for place in (0..one.len()).rev() {
                let digit = sum[place + 1] + one[place] + two[place];
                sum[place + 1] = digit % 10;
                sum[place] = digit / 10;
            }
            return Naive::new(self.negative, &sum, top + 1);
        }
        let (negative, greater, less) =
            if one >= two { (self.negative, one, two) } else { (other.negative, two, one) };
        let mut difference = greater;
        for place in (0..less.len()).rev() {
            if difference[place] < less[place] {
                difference[place] += 10;
                // A borrow may run through zeros; the greater number has a digit to end it.
                let mut from = place - 1;
                while difference[from] == 0 {
                    difference[from] = 9;
                    from -= 1;
                }
                difference[from] -= 1;
            }
            difference[place] -= less[place];
        }
        Naive::new(negative, &difference, top)
    }
}

/// The shortest digits that are read back as a double, the nearest to it among them, the even ones of two: what
/// serde_json, JavaScript and Python print. The standard library has the shortest, but not always the even ones.
macro_rules! shortest {
    ($double:expr) => {{
        let double = $double;
        let shortest = format!("{double:e}");
        let fraction = shortest.find('e').unwrap().saturating_sub(2 + usize::from(double < 0.0));
        let nearest = format!("{double:.fraction$e}");
        if nearest.parse() == Ok(double) { nearest } else { shortest }
    }};
}

fn number(text: &str) -> Number {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn check_normalised(number: Number) {
    let naive = Naive::of(&number);
    let coefficient = number.coefficient();
    if coefficient == 0 {
        assert_eq!((number.exponent(), number.is_negative(), number.is_zero()), (0, false, true));
    } else {
        assert_eq!(naive.digits.len(), coefficient.to_string().len(), "{number}");
        assert!(!coefficient.is_multiple_of(10), "{number}");
    }
    assert_eq!(naive.clone().check(), Ok(naive));
}

#[track_caller]
fn check_parse(text: &str) -> Result<Number, NumberError> {
    let parsed = Number::parse(text);
    match Naive::parse(text).map(Naive::check) {
        Some(Ok(naive)) => {
            let parsed = parsed.clone().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(Naive::of(&parsed), naive, "{text}");
            check_normalised(parsed);
        }
        Some(Err(error)) => assert_eq!(parsed, Err(error), "{text}"),
        None if text.is_empty() => assert_eq!(parsed, Err(NumberError::Empty)),
        None => assert_eq!(parsed, Err(NumberError::Malformed { text: text.to_owned() })),
    }
    parsed
}

/// Every shape of number, valid or a bit wrong.
fn number_text() -> impl Strategy<Value = String> {
    let digits = prop_oneof![
        3 => "[0-9]{0,3}",
        3 => "0{0,3}[0-9]{0,20}0{0,3}",
        2 => "[0-9]{15,22}",
        1 => "0{0,5}[0-9]{30,40}0{0,9}",
        1 => "[09]{0,45}",
        1 => "0{0,200}[0-9]{0,2}0{0,200}",
    ];
    let fraction = prop_oneof![3 => Just(None), 3 => digits.clone().prop_map(Some)];
    let exponent = prop_oneof![
        4 => Just(String::new()),
        2 => "[eE][+-]?[0-9]{1,3}",
        1 => "[eE][+-]?0{0,30}[0-9]{0,2}",
        1 => "[eE][+-]?[0-9]{0,30}",
    ];
    ("[+-]{0,1}", digits, fraction, exponent).prop_map(|(sign, whole, fraction, exponent)| match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}{exponent}"),
        None => format!("{sign}{whole}{exponent}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_text_is_read_as_the_naive_reader_does(text in number_text()) {
        let _ = check_parse(&text);
    }

    #[test]
    fn a_text_with_a_stray_character_is_read_as_the_naive_reader_does(
        text in number_text(), stray in "[ \t\n._,+eE0-9Ax\u{663}-]", place in any::<prop::sample::Index>(),
    ) {
        let mut text: Vec<char> = text.chars().collect();
        text.insert(place.index(text.len() + 1), stray.chars().next().unwrap());
        let _ = check_parse(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = check_parse(&text);
    }

    #[test]
    fn what_is_printed_is_plain_and_read_back_as_the_same(number in any_number()) {
        let text = number.to_string();
        prop_assert_eq!(&text, &Naive::of(&number).text());
        prop_assert_eq!(Number::parse(&text), Ok(number));
        prop_assert_eq!(format!("{number:?}"), text);
    }

    #[test]
    fn parts_make_the_number_whatever_they_are(
        negative: bool, coefficient in prop_oneof![any::<u128>(), "[0-9]{1,38}".prop_map(|text| text.parse().unwrap())],
        exponent in prop_oneof![-180i32..140, any::<i32>()],
    ) {
        let digits: Vec<u8> = coefficient.to_string().bytes().map(|byte| byte - b'0').collect();
        let naive = Naive::new(negative, &digits, digits.len() as i64 + i64::from(exponent)).check();
        let number = Number::from_parts(negative, coefficient, exponent);
        prop_assert_eq!(number.as_ref().map(Naive::of), naive.as_ref().cloned());
        if let Ok(number) = number {
            check_normalised(number);
        }
    }

    #[test]
    fn the_order_is_that_of_the_values((one, other) in two_numbers()) {
        prop_assert_eq!(one.cmp(&other), Naive::of(&one).cmp(&Naive::of(&other)), "{} {}", one, other);
        prop_assert_eq!(one == other, one.cmp(&other) == Ordering::Equal);
        prop_assert_eq!(one.partial_cmp(&other), Some(one.cmp(&other)));
    }

    #[test]
    fn sums_and_differences_are_exact_or_refused((one, other) in two_numbers()) {
        let check = |result: Result<Number, NumberError>, naive: Naive| {
            if let Ok(result) = &result {
                check_normalised(*result);
            }
            let naive = naive.check().map_err(|error| match error {
                NumberError::TooManyDigits => NumberError::Inexact,
                error => error,
            });
            match (result.as_ref().map(Naive::of), naive) {
                // Where both hold either may be named: the text is the same.
                (Err(NumberError::Inexact), Err(NumberError::Overflow)) => {}
                (result, naive) => assert_eq!(result, naive.as_ref().cloned(), "{one} {other}"),
            }
        };
        check(one.checked_add(other), Naive::of(&one).add(&Naive::of(&other)));
        check(one.checked_sub(other), Naive::of(&one).add(&Naive::of(&-other)));
    }

    #[test]
    fn integers_go_both_ways(signed: i64, unsigned: u64, wide: i128, byte: i8) {
        for shift in [0, 20, 40, 60] {
            let (signed, unsigned) = (signed >> shift, unsigned >> shift);
            prop_assert_eq!(Number::from(signed).to_string(), signed.to_string());
            prop_assert_eq!(Number::from(signed).to_i64(), Some(signed));
            prop_assert_eq!(Number::from(signed).to_u64(), u64::try_from(signed).ok());
            prop_assert_eq!(Number::from(unsigned).to_string(), unsigned.to_string());
            prop_assert_eq!(Number::from(unsigned).to_u64(), Some(unsigned));
            prop_assert_eq!(Number::from(unsigned).to_i64(), i64::try_from(unsigned).ok());
        }
        let wide = wide >> 2;
        let text = wide.to_string();
        let fits = text.trim_start_matches('-').trim_end_matches('0').len() <= 38;
        prop_assert_eq!(Number::try_from(wide).ok().map(|number| number.to_string()), fits.then_some(text));
        prop_assert_eq!(Number::try_from(wide.unsigned_abs()), Number::from_parts(false, wide.unsigned_abs(), 0));
        prop_assert_eq!(Number::from(byte).to_i64(), Some(byte.into()));
    }

    #[test]
    fn no_integer_is_got_from_another_value(number in any_number()) {
        let text = number.to_string();
        prop_assert_eq!(number.to_i64(), text.parse().ok());
        prop_assert_eq!(number.to_u64(), text.parse().ok());
    }

    #[test]
    fn a_number_becomes_the_nearest_double((one, other) in two_numbers()) {
        for number in [one, other] {
            let nearest: f64 = format!("{}e{}", number.coefficient(), number.exponent()).parse().unwrap();
            let nearest = if number.is_negative() { -nearest } else { nearest };
            prop_assert_eq!(number.to_f64().to_bits(), nearest.to_bits(), "{}", number);
        }
    }

    #[test]
    fn a_double_becomes_its_shortest_decimal_and_comes_back(double in prop_oneof![
        in_range_double(),
        any::<i64>().prop_map(|integer| integer as f64),
        (any::<i32>(), 0i32..12).prop_map(|(integer, digits)| f64::from(integer) / 10f64.powi(digits)),
        any::<f64>(),
    ]) {
        let naive = match double {
            f64::INFINITY => Err(NumberError::NotFinite { name: "Infinity" }),
            f64::NEG_INFINITY => Err(NumberError::NotFinite { name: "-Infinity" }),
            double if double.is_nan() => Err(NumberError::NotFinite { name: "NaN" }),
            double => Naive::parse(&shortest!(double)).unwrap().check(),
        };
        let number = Number::try_from(double);
        prop_assert_eq!(number.as_ref().map(Naive::of), naive.as_ref().cloned());
        if let Ok(number) = number {
            prop_assert_eq!(number.to_f64(), double);
            prop_assert_eq!(number.to_f64_exact(), Some(double));
        }
    }

    #[test]
    fn a_single_becomes_its_own_shortest_decimal(single: f32) {
        prop_assume!(single.is_finite());
        let number = Number::try_from(single).unwrap();
        prop_assert_eq!(Some(Naive::of(&number)), Naive::parse(&shortest!(single)));
    }

    #[test]
    fn a_double_stands_only_for_the_number_that_it_prints((one, other) in two_numbers()) {
        for number in [one, other] {
            let stands = Naive::parse(&shortest!(number.to_f64())) == Some(Naive::of(&number));
            prop_assert_eq!(number.to_f64_exact(), stands.then(|| number.to_f64()), "{}", number);
        }
    }
}

#[test]
fn the_landmarks_are_in_order() {
    for one in landmarks() {
        for other in landmarks() {
            assert_eq!(one.cmp(&other), Naive::of(&one).cmp(&Naive::of(&other)), "{one} {other}");
        }
    }
}

#[test]
fn the_syntax_is_dynamodbs() {
    for (text, stored) in [
        ("0", "0"),
        ("-0", "0"),
        ("+0.000", "0"),
        ("0e125", "0"),
        ("-0.00e-128", "0"),
        ("+5", "5"),
        ("5.", "5"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("+.5e1", "5"),
        ("0001.2300", "1.23"),
        ("1e+2", "100"),
        ("1.5E+3", "1500"),
        ("1e-2", "0.01"),
        ("-17.4E37", "-174000000000000000000000000000000000000"),
        ("00042", "42"),
        ("1.0", "1"),
        ("100", "100"),
        ("1e007", "10000000"),
        ("9007199254740993", "9007199254740993"),
    ] {
        assert_eq!(check_parse(text).map(|number| number.to_string()).as_deref(), Ok(stored), "{text}");
    }
    for text in [
        " 1",
        "1 ",
        "1_000",
        "1,5",
        "NaN",
        "Infinity",
        "-Infinity",
        "abc",
        "-",
        "+",
        ".",
        "-.",
        "e5",
        "+e2",
        ".e1",
        "1e",
        "1e+",
        "1e1.5",
        "1.2.3",
        "--1",
        "++5",
        "+-5",
        "1+2",
        "0x10",
        "1f",
        "1e5e5",
        "1\0",
        "\u{661}",
    ] {
        assert!(matches!(check_parse(text), Err(NumberError::Malformed { .. })), "{text}");
    }
}

#[test]
fn the_limits_are_dynamodbs() {
    let greatest = format!("{}{}", "9".repeat(38), "0".repeat(88));
    for sign in ["", "-"] {
        let greatest = format!("{sign}{greatest}");
        assert_eq!(number(&format!("{sign}9.{}E+125", "9".repeat(37))).to_string(), greatest);
        assert_eq!(number(&greatest).to_string(), greatest);
        assert_eq!(number(&format!("{sign}1E+125")).to_string(), format!("{sign}1{}", "0".repeat(125)));
        assert_eq!(number(&format!("{sign}1E-130")).to_string(), format!("{sign}0.{}1", "0".repeat(129)));
        let longest = format!("{sign}0.{}1{}7", "0".repeat(129), "0".repeat(36));
        assert_eq!(number(&longest).to_string(), longest);

        assert_eq!(Number::parse(&format!("{sign}1e126")), Err(NumberError::Overflow));
        assert_eq!(Number::parse(&format!("{sign}11e125")), Err(NumberError::Overflow));
        assert_eq!(Number::parse(&format!("{sign}0.9e-130")), Err(NumberError::Underflow));
        assert_eq!(Number::parse(&format!("{sign}1e-131")), Err(NumberError::Underflow));
        // Zero is held to its exponent, too.
        assert_eq!(Number::parse(&format!("{sign}0e126")), Err(NumberError::Overflow));
        assert_eq!(Number::parse(&format!("{sign}0e-131")), Err(NumberError::Underflow));
        assert_eq!(Number::parse(&format!("{sign}0.0e126")), Ok(Number::ZERO));
        assert_eq!(Number::parse(&format!("{sign}{}", "1".repeat(39))), Err(NumberError::TooManyDigits));
        assert_eq!(Number::parse(&format!("{sign}1.{}1", "0".repeat(37))), Err(NumberError::TooManyDigits));
    }
}

#[test]
fn a_huge_text_is_only_read() {
    for text in ["1e100000000", "0e100000000", "-1e9223372036854775807"] {
        assert_eq!(Number::parse(text), Err(NumberError::Overflow), "{text}");
    }
    for text in ["1e-100000000", "0e-100000000", "1e-9223372036854775808"] {
        assert_eq!(Number::parse(text), Err(NumberError::Underflow), "{text}");
    }
    for text in ["1e9223372036854775808", "0e-9223372036854775809", "1e99999999999999999999999999"] {
        assert!(matches!(Number::parse(text), Err(NumberError::Malformed { .. })), "{text}");
    }
    let zeros = "0".repeat(1_000_000);
    assert_eq!(Number::parse(&format!("{zeros}7.5{zeros}")), Ok(number("7.5")));
    assert_eq!(Number::parse(&format!("7{zeros}e-1000000")), Ok(number("7")));
    assert_eq!(Number::parse(&format!(".{zeros}7e1000001")), Ok(number("7")));
    assert_eq!(Number::parse(&format!("7{zeros}")), Err(NumberError::Overflow));
    assert_eq!(Number::parse(&format!(".{zeros}7")), Err(NumberError::Underflow));
    assert_eq!(Number::parse(&format!("1.{zeros}1")), Err(NumberError::TooManyDigits));
    assert_eq!(Number::parse(&"7".repeat(1_000_000)), Err(NumberError::Overflow));
    assert_eq!(Number::parse(&format!("0e{zeros}1")), Ok(Number::ZERO));
    let nines = "9".repeat(1_000_000);
    assert!(matches!(Number::parse(&format!("0e{nines}")), Err(NumberError::Malformed { .. })));
}

#[test]
fn a_sum_may_carry_over_38_digits() {
    let nines = number(&"9".repeat(38));
    let power = number("1e38");
    assert_eq!(nines.checked_add(Number::from(1)), Ok(power));
    assert_eq!(power.checked_sub(Number::from(1)), Ok(nines));
    assert_eq!((-power).checked_add(Number::from(1)), Ok(-nines));
    assert_eq!(nines.checked_add(Number::from(2)), Err(NumberError::Inexact));
    assert_eq!(nines.checked_add(number("0.1")), Err(NumberError::Inexact));
    assert_eq!(nines.checked_add(nines), Err(NumberError::Inexact));
    let fives = number(&"5".repeat(38));
    assert_eq!(fives.checked_add(fives), Ok(number(&format!("{}0", "1".repeat(38)))));
    assert_eq!(fives.checked_add(nines), Err(NumberError::Inexact));
    assert_eq!(number(&format!("{}5", "9".repeat(37))).checked_add(Number::from(5)), Ok(power));
    // The difference has 38 digits though its operands reach over 39 places.
    assert_eq!(number("1e39").checked_sub(number("9e38")).unwrap(), number("1e38"));
    assert_eq!(number("1e39").checked_sub(Number::from(1)), Err(NumberError::Inexact));
    assert_eq!(number("3e38").checked_sub(number("1")), Err(NumberError::Inexact));
    assert_eq!(
        number("1e38").checked_sub(number("99999999999999999999999999999999999999")),
        Ok(Number::from(1))
    );
}

#[test]
fn a_sum_is_refused_where_it_cannot_be_stored() {
    let huge = number("9e125");
    assert_eq!(huge.checked_add(huge), Err(NumberError::Overflow));
    assert_eq!((-huge).checked_sub(huge), Err(NumberError::Overflow));
    assert_eq!(huge.checked_sub(huge), Ok(Number::ZERO));
    assert_eq!(number("1.1e-130").checked_sub(number("1e-130")), Err(NumberError::Underflow));
    assert_eq!(number("1e50").checked_add(Number::from(1)), Err(NumberError::Inexact));
    assert_eq!(huge.checked_add(number("1e-130")), Err(NumberError::Inexact));
    assert_eq!(huge.checked_add(Number::ZERO), Ok(huge));
    assert_eq!(Number::ZERO.checked_sub(huge), Ok(-huge));
}

#[test]
fn zero_is_one_number() {
    for zero in [number("-0"), number("0.00"), -Number::ZERO, Number::default(), Number::from(0u8)] {
        assert_eq!(zero, Number::ZERO);
        assert_eq!(zero.to_string(), "0");
    }
    assert_eq!(Number::try_from(-0.0), Ok(Number::ZERO));
    assert_eq!(Number::try_from(-0.0f32), Ok(Number::ZERO));
    assert_eq!(Number::from_parts(true, 0, i32::MIN), Ok(Number::ZERO));
    assert_eq!(number("1.5").checked_sub(number("1.5")), Ok(Number::ZERO));
    assert!(Number::ZERO.to_f64().is_sign_positive());
}

#[test]
fn integers_at_the_edges_are_exact() {
    for text in ["9223372036854775807", "-9223372036854775808"] {
        assert_eq!(number(text).to_i64().map(|integer| integer.to_string()).as_deref(), Some(text));
    }
    for text in ["9223372036854775808", "-9223372036854775809", "1e19", "1e125", "0.5", "1e-130"] {
        assert_eq!(number(text).to_i64(), None, "{text}");
    }
    assert_eq!(number("18446744073709551615").to_u64(), Some(u64::MAX));
    assert_eq!(number("18446744073709551616").to_u64(), None);
    assert_eq!(number("1e19").to_u64(), Some(10_000_000_000_000_000_000));
    assert_eq!(number("2e19").to_u64(), None);
    assert_eq!(number("-1").to_u64(), None);
    for exponent in 20..=125 {
        let power = number(&format!("1e{exponent}"));
        assert_eq!((power.to_u64(), power.to_i64()), (None, None), "{power}");
    }
    assert_eq!(Number::try_from(i128::MIN), Err(NumberError::TooManyDigits));
    assert_eq!(Number::try_from(10u128.pow(38)), Ok(number("1e38")));
}

#[test]
fn doubles_keep_their_shortest_digits() {
    assert_eq!(Number::try_from(0.1).unwrap().to_string(), "0.1");
    assert_eq!(Number::try_from(0.1f32).unwrap().to_string(), "0.1");
    assert_eq!(Number::try_from(0.1 + 0.2).unwrap().to_string(), "0.30000000000000004");
    assert_eq!(Number::try_from(1e23).unwrap().to_string(), format!("1{}", "0".repeat(23)));
    assert_eq!(Number::try_from(2f64.powi(60)).unwrap().to_string(), "1152921504606847000");
    // Both neighbours are as near to 700643322397306.25 as can be: the even one is meant.
    assert_eq!(Number::try_from(2802573289589225.0 / 4.0).unwrap().to_string(), "700643322397306.2");
    assert_eq!(Number::try_from(2f64.powi(-44)).unwrap().to_string(), "0.00000000000005684341886080802");
    assert_eq!(number("1152921504606846976").to_f64_exact(), None);
    assert_eq!(number("1152921504606847000").to_f64_exact(), Some(2f64.powi(60)));
    assert_eq!(number("9007199254740993").to_f64_exact(), None);
    assert_eq!(Number::try_from(1e126), Err(NumberError::Overflow));
    assert_eq!(Number::try_from(f64::MIN_POSITIVE), Err(NumberError::Underflow));
    assert_eq!(Number::try_from(f64::NAN), Err(NumberError::NotFinite { name: "NaN" }));
    assert_eq!(Number::try_from(f32::NEG_INFINITY), Err(NumberError::NotFinite { name: "-Infinity" }));
}

#[test]
fn padding_works_as_with_rusts_own_numbers() {
    let number = number("-2.5");
    assert_eq!(
        format!("{number:8}|{number:<8}|{number:08}|{:+}", -number),
        "    -2.5|-2.5    |-00002.5|+2.5"
    );
}

#[test]
fn the_texts_of_the_errors_are_dynamodbs() {
    for (text, message) in [
        ("", "The parameter cannot be converted to a numeric value"),
        ("abc", "The parameter cannot be converted to a numeric value: abc"),
        ("1e126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        (
            "-1e-131",
            "Number underflow. Attempting to store a number with magnitude smaller than supported range",
        ),
        (
            "123456789012345678901234567890123456789",
            "Attempting to store more than 38 significant digits in a Number",
        ),
    ] {
        assert_eq!(Number::parse(text).unwrap_err().to_string(), message);
    }
    assert_eq!(
        Number::try_from(f64::NAN).unwrap_err().to_string(),
        "The parameter cannot be converted to a numeric value: NaN"
    );
    assert_eq!(
        number("1e50").checked_sub(Number::from(1)).unwrap_err().to_string(),
        "Number overflow. Attempting to store a number with magnitude larger than supported range"
    );
}
