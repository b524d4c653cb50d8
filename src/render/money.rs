//! Amounts in US dollars, in the reader's language.
//!
//! In: a decimal as the source has it. Out: CLDR's currency form for the locale, with plain spaces. Never fails.

use rust_decimal::{Decimal, RoundingStrategy};

/// `$20.00` in English and in the Spanish of the Americas, `20,00 $ US` in Canadian French, `20,00 US-$` in German, `US$ 20,00` in
/// Portuguese, `USD 20.00` elsewhere:
/// a form that no reader can take for another currency.
pub(super) fn us_dollars(amount: Decimal, locale: &str) -> String {
    let cents = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    let digits = format!("{cents:.2}");
    match locale.split(['-', '_']).next().unwrap_or("") {
        "en" => format!("${}", grouped(&digits, ',', '.')),
        "es" if !locale.ends_with("ES") => format!("${}", grouped(&digits, ',', '.')),
        "fr" => format!("{} $ US", grouped(&digits, ' ', ',')),
        "de" => format!("{} US-$", grouped(&digits, '.', ',')),
        "pt" => format!("US$ {}", grouped(&digits, '.', ',')),
        _ => format!("USD {digits}"),
    }
}

/// `1234.50` as `1,234.50`.
fn grouped(digits: &str, group: char, point: char) -> String {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "00"));
    let mut out = String::with_capacity(digits.len() + 4);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) && !out.ends_with('-') {
            out.push(group);
        }
        out.push(digit);
    }
    out.push(point);
    out.push_str(fraction);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        for (amount, locale, printed) in [
            ("20.00", "en-US", "$20.00"),
            ("20", "en-US", "$20.00"),
            ("20.5", "es-US", "$20.50"),
            ("20.00", "fr-CA", "20,00 $ US"),
            ("1234.5", "de-DE", "1.234,50 US-$"),
            ("1234.5", "pt-BR", "US$ 1.234,50"),
            ("1234.5", "en-US", "$1,234.50"),
            ("1234567.891", "fr-CA", "1 234 567,89 $ US"),
            ("0.005", "en-US", "$0.01"),
            ("999", "en-CA", "$999.00"),
            ("20", "es-ES", "USD 20.00"),
            ("20", "nl-NL", "USD 20.00"),
        ] {
            assert_eq!(us_dollars(amount.parse().unwrap(), locale), printed);
        }
    }
}
