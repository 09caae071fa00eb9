//! How texts and tables are laid out in the lines of a terminal, and how what may be in a name is kept from steering it.

use std::borrow::Cow;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use tidemark::model::names::steers;

use super::Side;

/// The beginning of the lines that continue a text.
pub(super) const INDENT: &str = "  ";

/// Lays a table out within so many columns, without a blank at the end of a line.
pub(super) fn laid_out(columns: &[(&str, Side)], rows: Vec<Vec<String>>, width: usize) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(columns.iter().map(|(name, _)| *name));
    let shown = |row: Vec<String>| row.into_iter().map(|cell| one_line(&cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.into_iter().map(shown).collect();
    let widest = widest_numbers(columns, &rows);
    table.add_rows(rows);
    for ((index, (name, side)), widest) in columns.iter().enumerate().zip(widest) {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            // A heading is never broken, and neither is a number.
            let whole = name.len().max(widest) + 2;
            let least = Width::Fixed(u16::try_from(whole).unwrap_or_default());
            column.set_constraint(ColumnConstraint::LowerBoundary(least));
            if *side == Side::Right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns the characters of the longest cell of every column of numbers, and 0 for a column of text.
fn widest_numbers(columns: &[(&str, Side)], rows: &[Vec<String>]) -> Vec<usize> {
    let longest = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let sides = columns.iter().map(|(_, side)| *side).enumerate();
    sides
        .map(|(index, side)| if side == Side::Right { longest(index) } else { 0 })
        .collect()
}

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

#[cfg(test)]
mod tests {
    use super::*;

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
        let text = laid_out(&[("table", Side::Left)], vec![vec![name.to_owned()]], 80);
        assert_eq!(text.lines().nth(1), Some(shown), "{text}");
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(shortened("dbo.orders", 20), "dbo.orders");
        assert_eq!(shortened("sales.order_lines_of_2024", 15), "sales.o…of_2024");
    }

    #[test]
    fn a_number_is_never_broken() {
        let columns = [("table", Side::Left), ("result", Side::Left), ("size", Side::Right)];
        let row = ["dbo.a_table_with_a_long_name", "copied", "1,234.5KB"].map(str::to_owned);
        let text = laid_out(&columns, vec![row.to_vec()], 30);
        assert!(text.contains("1,234.5KB"), "{text}");
    }

    #[test]
    fn a_heading_is_never_broken() {
        let columns = [
            ("table", Side::Left),
            ("watermark", Side::Left),
            ("committed", Side::Right),
        ];
        let row = vec![
            "dbo.a_table_with_a_long_name".to_owned(),
            "2020-01-03T00:00:00.000".to_owned(),
            "1m 05s ago".to_owned(),
        ];
        let text = laid_out(&columns, vec![row], 40);
        let heading = text.lines().next().unwrap();
        assert!(columns.iter().all(|(name, _)| heading.contains(name)), "{text}");
    }

    #[test]
    fn a_table_fits_the_width() {
        let columns = [("table", Side::Left), ("what", Side::Left), ("rows", Side::Right)];
        let row = vec![
            "sales.a_table_with_a_name_that_is_rather_long_for_a_name".to_owned(),
            "w ".repeat(60),
            "1".into(),
        ];
        for width in [80, 200] {
            let text = laid_out(&columns, vec![row.clone(), row.clone()], width);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest.is_some_and(|widest| widest <= width), "{text}");
        }
    }
}
