//! The figures, and how they are shown.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

/// Everything measured in one run.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

struct Figure {
    name: String,
    ours: String,
    raw: String,
    ratio: String,
    goal: String,
}

impl Report {
    /// Two rates of the same work: the goal is a least ratio.
    pub(crate) fn ratio(&mut self, name: &str, unit: &str, ours: f64, raw: f64, goal: f64) {
        let ratio = if raw > 0.0 { ours / raw } else { 0.0 };
        let verdict = if ratio >= goal { "met" } else { "missed" };
        self.figures.push(Figure {
            name: name.to_owned(),
            ours: format!("{} {unit}", thousands(ours)),
            raw: format!("{} {unit}", thousands(raw)),
            ratio: format!("{ratio:.2}"),
            goal: format!("≥ {goal:.2} {verdict}"),
        });
    }

    /// Two times of the same work: the goal is a greatest ratio.
    pub(crate) fn at_most(&mut self, name: &str, unit: &str, ours: f64, raw: f64, goal: f64) {
        let ratio = if raw > 0.0 { ours / raw } else { 0.0 };
        let verdict = if ratio <= goal { "met" } else { "missed" };
        self.figures.push(Figure {
            name: name.to_owned(),
            ours: format!("{ours:.1} {unit}"),
            raw: format!("{raw:.1} {unit}"),
            ratio: format!("{ratio:.2}"),
            goal: format!("≤ {goal:.2} {verdict}"),
        });
    }

    /// A figure without a baseline.
    pub(crate) fn figure(&mut self, name: &str, value: String, goal: &str, met: bool) {
        let verdict = if met { "met" } else { "missed" };
        let goal = format!("{goal} {verdict}");
        let (raw, ratio) = (String::new(), String::new());
        self.figures.push(Figure { name: name.to_owned(), ours: value, raw, ratio, goal });
    }

    /// What is told beside the figures.
    pub(crate) fn note(&mut self, name: &str, value: String) {
        let (raw, ratio, goal) = (String::new(), String::new(), String::new());
        self.figures.push(Figure { name: name.to_owned(), ours: value, raw, ratio, goal });
    }

    /// Shows everything on standard output.
    #[allow(clippy::print_stdout, reason = "the report is the program's data")]
    pub(crate) fn print(&self) {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(["measured", "cairn", "raw, same run", "ratio", "goal"]);
        for figure in &self.figures {
            table.add_row([&figure.name, &figure.ours, &figure.raw, &figure.ratio, &figure.goal]);
        }
        for column in 1..=3 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        println!("{table}");
        println!(
            "durability class of every write that names no other: power-loss (SQLite, synchronous=FULL); views: rebuildable"
        );
    }
}

/// `1234567.8` → `1,234,568`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        let _ = write!(text, "{digit}");
    }
    text
}
