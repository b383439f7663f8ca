//! What a command tells.

use std::{
    fmt,
    io::{self, IsTerminal as _, Stdout, Write as _},
};

use anstream::AutoStream;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::stop::{Result, Stop};

/// The standard output, with colours where it is a terminal that wants them.
pub(crate) struct Output {
    json: bool,
    stdout: AutoStream<Stdout>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            stdout: anstream::AutoStream::auto(io::stdout()),
        }
    }

    /// Whether it is read by a program.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn line(&mut self, line: impl fmt::Display) -> Result {
        writeln!(self.stdout, "{line}")?;
        Ok(self.stdout.flush()?)
    }

    /// One value, on lines of its own.
    pub(crate) fn json(&mut self, value: &Value) -> Result {
        self.line(format_args!("{value:#}"))
    }

    /// Columns that are as wide as they must be. Those whose head is in capitals that end in `#` are numbers.
    pub(crate) fn table(&mut self, heads: &[&str], rows: &[Vec<String>]) -> Result {
        let numbers: Vec<bool> = heads.iter().map(|head| head.ends_with('#')).collect();
        let heads = heads
            .iter()
            .map(|head| head.trim_end_matches('#').to_owned());
        let heads: Vec<String> = heads.collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widths = cells
                .chain([&heads[column]])
                .map(|cell| cell.chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        for (number, row) in std::iter::once(&heads).chain(rows).enumerate() {
            let mut line = String::new();
            for ((cell, width), is_number) in row.iter().zip(&widths).zip(&numbers) {
                let space = " ".repeat(width - cell.chars().count());
                match is_number {
                    true => line += &format!("{space}{cell}  "),
                    false => line += &format!("{cell}{space}  "),
                }
            }
            let line = line.trim_end();
            match number {
                0 => self.line(bold(line))?,
                _ => self.line(line)?,
            }
        }
        Ok(())
    }
}

pub(crate) fn bold(text: &str) -> String {
    format!("\x1b[1m{text}\x1b[0m")
}

pub(crate) fn green(text: &str) -> String {
    format!("\x1b[32m{text}\x1b[0m")
}

pub(crate) fn yellow(text: &str) -> String {
    format!("\x1b[33m{text}\x1b[0m")
}

pub(crate) fn red(text: &str) -> String {
    format!("\x1b[31m{text}\x1b[0m")
}

/// How far long work is, on a terminal alone. Without a length, how much is done.
pub(crate) fn progress(length: Option<u64>, what: &'static str) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:30} {pos} of {len} {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style).with_message(what),
        Err(_) => bar,
    }
}

/// Asks before something is destroyed. Without a terminal there is nobody to ask.
pub(crate) fn confirm(what: &str, yes: bool) -> Result {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Stop::unconfirmed(format!(
            "this would {what}, and there is no terminal to ask at: say --yes"
        )));
    }
    anstream::eprint!("This will {what}. Go on? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Stop::unconfirmed("nothing was done")),
    }
}
