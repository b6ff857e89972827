//! Tables: no lines, columns two spaces apart, numbers to the right; fit the terminal, whole when piped.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

/// A table being filled.
pub struct Grid {
    table: Table,
    right: Vec<bool>,
}

impl Grid {
    /// With these headings; one that starts with `>` stands to the right.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        let right: Vec<bool> = headings.iter().map(|h| h.starts_with('>')).collect();
        let cells: Vec<Cell> = headings
            .iter()
            .zip(&right)
            .map(|(h, r)| cell(h.trim_start_matches('>'), *r))
            .collect();
        table.set_header(cells);
        Self { table, right }
    }

    /// One more line.
    pub fn row(&mut self, texts: &[String]) {
        let right = self.right.iter().copied().chain(std::iter::repeat(false));
        let cells: Vec<Cell> = texts
            .iter()
            .zip(right)
            .map(|(text, right)| cell(&super::plain(text).replace('\n', " "), right))
            .collect();
        self.table.add_row(cells);
    }

    /// The lines, without blanks at their ends.
    #[must_use]
    pub fn text(&mut self) -> String {
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.table.trim_fmt()
    }
}

fn cell(text: &str, right: bool) -> Cell {
    Cell::new(text).set_alignment(if right {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_control_bytes_do_not_come_through() {
        let mut grid = Grid::new(&["name", ">size"]);
        grid.row(&["a\x1b[1m".into(), "1.00 kB".into()]);
        grid.row(&["longer name".into(), "7 B".into()]);
        assert_eq!(
            grid.text(),
            "name            size\na\\x1b[1m     1.00 kB\nlonger name      7 B"
        );
    }
}
