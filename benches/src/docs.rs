//! Where tables go: to whoever asked for them, and into the page that quotes them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tower_callback::BoxError;

#[derive(clap::Args)]
pub(crate) struct Docs {
    /// The page whose tables are to be replaced by these
    #[arg(long = "docs", global = true)]
    page: Option<PathBuf>,
}

impl Docs {
    /// Prints a part, and puts it into the page between its marks.
    pub(crate) fn section(&self, name: &str, text: &str) -> Result<(), BoxError> {
        println!("{text}");
        let Some(page) = &self.page else {
            return Ok(());
        };
        let before = fs::read_to_string(page)?;
        let after = replace(&before, name, text);
        let after = after.ok_or_else(|| format!("{} has no marks of {name:?}", page.display()))?;
        Ok(fs::write(page, after)?)
    }

    /// Where the picture of a page is.
    pub(crate) fn picture(&self) -> Option<PathBuf> {
        self.page
            .as_deref()
            .map(|page| Path::with_extension(page, "svg"))
    }
}

fn replace(page: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    let text = text.trim();
    Some(format!("{before}{begin}\n\n{text}\n\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn what_stands_between_the_marks_is_replaced_and_nothing_else() {
        let page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n";
        let new = "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb\n";
        assert_eq!(replace(page, "x", "new\n").as_deref(), Some(new));
        assert_eq!(replace(page, "y", "new"), None);
    }
}
