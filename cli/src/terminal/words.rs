//! Writes numbers, durations and names as people read them, and breaks texts into lines.

use std::borrow::Cow;

use tidemark::model::names::steers;
use time::OffsetDateTime;

/// The beginning of the lines that continue a text.
pub(super) const INDENT: &str = "  ";

/// Breaks a text between words into lines of at most so many characters. All lines but the first are indented.
pub(super) fn folded(text: &str, width: usize) -> String {
    let mut folded = String::new();
    let mut column = 0;
    for word in text.split_inclusive(' ') {
        let characters = word.trim_end().chars().count();
        if column > INDENT.len() && column + characters > width {
            folded.truncate(folded.trim_end().len());
            folded.push('\n');
            folded.push_str(INDENT);
            column = INDENT.len();
        }
        folded.push_str(word);
        column += word.chars().count();
    }
    folded
}

/// Returns a name in at most so many characters. A name that is too long loses its middle, because names often differ
/// at their ends.
pub(crate) fn shortened(name: &str, width: usize) -> String {
    let characters: Vec<char> = name.chars().collect();
    if characters.len() <= width || width < 5 {
        return name.to_owned();
    }
    let tail = (width - 1) / 2;
    let head = width - 1 - tail;
    let begin: String = characters.iter().take(head).collect();
    let end: String = characters.iter().skip(characters.len() - tail).collect();
    format!("{begin}…{end}")
}

/// Returns a text in which no character steers a terminal, because a name in a database may hold any character.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    without(text, |c| steers(c) && !matches!(c, '\n' | '\t'))
}

/// Returns a text in which no character steers a terminal or begins another line or column.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    without(text, steers)
}

/// Returns a text with an escape in place of every such character.
fn without(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| {
        if is_escaped(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    });
    Cow::Owned(shown.collect())
}

/// Returns the present time as logs have it.
pub(crate) fn timestamp() -> String {
    let now = OffsetDateTime::now_utc();
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    now.format(format).unwrap_or_default()
}

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

    #[test]
    fn a_text_is_broken_between_words_and_a_word_that_is_too_long_is_left_whole() {
        assert_eq!(folded("error: one two three four", 14), "error: one two\n  three four");
        let path = "/a/path/that/is/longer/than/a/line";
        assert_eq!(folded(&format!("in {path} or"), 10), format!("in\n  {path}\n  or"));
        assert_eq!(folded("  fits", 80), "  fits");
    }

    #[test]
    fn no_character_of_a_name_steers_a_terminal_or_begins_a_line() {
        let name = "a\x1b[31mb\nc\td\u{202e}e";
        let shown = r"a\u{1b}[31mb\nc\td\u{202e}e";
        assert_eq!(one_line(name), shown);
        assert_eq!(printable(name), "a\\u{1b}[31mb\nc\td\\u{202e}e");
        assert_eq!(printable("Größe 表"), "Größe 表");
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(shortened("dbo.orders", 20), "dbo.orders");
        assert_eq!(shortened("sales.order_lines_of_2024", 15), "sales.o…of_2024");
    }
}
