//! Numbers as people read them.

/// Returns a number with its noun: `1 row`, `2,000 rows`.
pub(crate) fn count(value: u64, what: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(value))
}

/// Returns a number with its noun and its verb, in the form for one or in that for several: `1 row has`, `2,000 rows
/// have`.
pub(crate) fn counted(value: u64, what: &str, [one, several]: [&str; 2]) -> String {
    let verb = if value == 1 { one } else { several };
    format!("{} {verb}", count(value, what))
}

/// Returns a number with commas between its thousands.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number in few characters: `950`, `12.3k`, `4.1M`.
pub(crate) fn short(value: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let unit = units.into_iter().find(|(size, _)| value >= *size);
    unit.map_or_else(
        || format!("{value:.0}"),
        |(size, name)| format!("{:.1}{name}", value / size),
    )
}

/// Returns a number of bytes in few characters: `12.3KB`.
#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit after the point")]
pub(crate) fn bytes(value: u64) -> String {
    format!("{}B", short(value as f64).replace('k', "K"))
}

/// Returns a duration in few characters: `8s`, `2m 05s`, `3h 10m`.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_people_read_them() {
        assert_eq!((number(0), number(1_234_567)), ("0".into(), "1,234,567".into()));
        assert_eq!(
            (short(950.0), short(12_345.0), short(4.1e6)),
            ("950".into(), "12.3k".into(), "4.1M".into())
        );
        assert_eq!((bytes(999), bytes(120_400_000)), ("999B".into(), "120.4MB".into()));
        let texts = [8, 125, 11_400].map(duration);
        assert_eq!(texts, ["8s", "2m 05s", "3h 10m"]);
    }
}
