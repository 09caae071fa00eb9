//! Lays out tables: their headings, and their rows in the width that there is.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

use super::words::one_line;

/// A heading, and the side on which the cells below it stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heading {
    name: &'static str,
    side: Side,
}

impl Heading {
    /// Makes the heading of a column of text, which stands on the left.
    pub(crate) const fn left(name: &'static str) -> Self {
        let side = Side::Left;
        Self { name, side }
    }

    /// Makes the heading of a column of numbers, which stand on the right.
    pub(crate) const fn right(name: &'static str) -> Self {
        let side = Side::Right;
        Self { name, side }
    }
}

/// The side on which the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The left, for text.
    Left,
    /// The right, for numbers.
    Right,
}

/// Lays a table out within so many columns, without a blank at the end of a line.
pub(super) fn laid_out(columns: &[Heading], rows: Vec<Vec<String>>, width: usize) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(columns.iter().map(|heading| heading.name));
    let shown = |row: Vec<String>| row.into_iter().map(|cell| one_line(&cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.into_iter().map(shown).collect();
    let widest = widest_numbers(columns, &rows);
    table.add_rows(rows);
    for ((index, heading), widest) in columns.iter().enumerate().zip(widest) {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            // A heading is never broken, and neither is a number.
            let whole = heading.name.len().max(widest) + 2;
            let least = Width::Fixed(u16::try_from(whole).unwrap_or_default());
            column.set_constraint(ColumnConstraint::LowerBoundary(least));
            if heading.side == Side::Right {
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
fn widest_numbers(columns: &[Heading], rows: &[Vec<String>]) -> Vec<usize> {
    let longest = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let sides = columns.iter().map(|heading| heading.side).enumerate();
    sides
        .map(|(index, side)| if side == Side::Right { longest(index) } else { 0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_never_broken() {
        let columns = [
            Heading::left("table"),
            Heading::left("watermark"),
            Heading::right("committed"),
        ];
        let row = vec![
            "dbo.a_table_with_a_long_name".to_owned(),
            "2020-01-03T00:00:00.000".to_owned(),
            "1m 05s ago".to_owned(),
        ];
        let text = laid_out(&columns, vec![row], 40);
        let heading = text.lines().next().unwrap();
        assert!(columns.iter().all(|column| heading.contains(column.name)), "{text}");
    }

    #[test]
    fn a_number_is_never_broken() {
        let columns = [Heading::left("table"), Heading::left("result"), Heading::right("size")];
        let row = ["dbo.a_table_with_a_long_name", "copied", "1,234.5KB"].map(str::to_owned);
        let text = laid_out(&columns, vec![row.to_vec()], 30);
        assert!(text.contains("1,234.5KB"), "{text}");
    }

    #[test]
    fn a_table_fits_the_width() {
        let columns = [Heading::left("table"), Heading::left("what"), Heading::right("rows")];
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

    #[test]
    fn a_row_is_one_line_whatever_its_names_are() {
        let row = vec!["a\nb".to_owned()];
        let text = laid_out(&[Heading::left("table")], vec![row], 80);
        assert_eq!(text.lines().nth(1), Some(r"a\nb"), "{text}");
    }
}
