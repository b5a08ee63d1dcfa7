//! Writing HTML.
//!
//! In: markup from this program, and text from anywhere. Out: HTML in which the text is escaped. Markup is a
//! `&'static str`, so that text from a policy or a proxy cannot be passed as markup by mistake. Text goes only between
//! tags, never into an attribute.

use std::fmt::{Display, Write as _};

/// HTML that is being written.
#[derive(Debug, Default)]
pub(crate) struct Html(String);

/// The most characters of a text that are shown.
pub(crate) const LIMIT: usize = 400;

impl Html {
    /// Markup of this program.
    pub(crate) fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text from anywhere, cut at [`LIMIT`] characters. Characters that cannot be seen, or that change the direction of
    /// the text, are shown as escapes.
    pub(crate) fn text(&mut self, text: impl Display) -> &mut Self {
        let text = text.to_string();
        let mut runes = text.chars();
        for rune in runes.by_ref().take(LIMIT) {
            self.rune(rune);
        }
        if runes.next().is_some() {
            self.0.push('…');
        }
        self
    }

    /// A name or a value, as code.
    pub(crate) fn code(&mut self, text: impl Display) -> &mut Self {
        let text = text.to_string();
        match text.is_empty() {
            true => self.markup("<em>empty</em>"),
            false => self.markup("<code>").text(text).markup("</code>"),
        }
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn rune(&mut self, rune: char) {
        match rune {
            '&' => self.0.push_str("&amp;"),
            '<' => self.0.push_str("&lt;"),
            '>' => self.0.push_str("&gt;"),
            '"' => self.0.push_str("&quot;"),
            '\'' => self.0.push_str("&#39;"),
            _ if is_unseen(rune) => {
                // Writing to a String does not fail.
                let _ = write!(self.0, "{}", rune.escape_default());
            }
            _ => self.0.push(rune),
        }
    }
}

/// Control characters, and Unicode's format characters, line separators, and blanks that are invisible or look like a
/// space (UnicodeData.txt: Cc, Cf, Zl, Zp, Zs).
fn is_unseen(rune: char) -> bool {
    rune.is_control()
        || matches!(rune,
            '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{115f}'..='\u{1160}' | '\u{1680}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        let mut html = Html::default();
        html.text(text);
        html.finish()
    }

    #[test]
    fn text_is_text() {
        for (from, to) in [
            ("plain, é, 日本, 🔑", "plain, é, 日本, 🔑"),
            ("<b>&amp;\"'", "&lt;b&gt;&amp;amp;&quot;&#39;"),
            ("a\u{202e}b\u{200b}\n\0\u{7f}", "a\\u{202e}b\\u{200b}\\n\\u{0}\\u{7f}"),
        ] {
            assert_eq!(text(from), to);
        }
    }

    #[test]
    fn text_is_cut() {
        let (whole, long) = ("<".repeat(LIMIT), "<".repeat(LIMIT + 1));
        assert_eq!(text(&whole), "&lt;".repeat(LIMIT));
        assert_eq!(text(&long), "&lt;".repeat(LIMIT) + "…");
    }

    #[test]
    fn a_name_that_is_empty_is_seen() {
        let mut html = Html::default();
        html.code("").code("a");
        assert_eq!(html.finish(), "<em>empty</em><code>a</code>");
    }
}
