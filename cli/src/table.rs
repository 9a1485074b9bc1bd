//! Columns of text.

/// Space between columns.
const GAP: usize = 2;

/// Lays out rows under a heading; the last column is as wide as it likes.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heading.map(console::measure_text_width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(console::measure_text_width(cell));
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.into_iter().zip(widths) {
            line += cell;
            let pad = width.saturating_sub(console::measure_text_width(cell)) + GAP;
            line += &" ".repeat(pad);
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(heading)];
    lines.extend(
        rows.iter().map(|row| {
            line(std::array::from_fn(|index| row.get(index).map_or("", String::as_str)))
        }),
    );
    lines.join("\n")
}

/// Cuts a text to a width, and says so.
pub(crate) fn cut(text: &str, width: usize) -> String {
    console::truncate_str(text, width, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text =
            table(["NAME", "AGE"], &[["a".into(), "1s".into()], ["longer".into(), String::new()]]);
        assert_eq!(text, "NAME    AGE\na       1s\nlonger");
    }

    #[test]
    fn a_cut_is_visible() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abc", 4), "abc");
    }
}
