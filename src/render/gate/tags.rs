//! Tags, comments and style sheets: where they end, what stands in them, and what is read without them.
//!
//! In: HTML, or a text that may be some. Out: readings of it. Invariant: a tag is never lost but where another reading has it.

use std::collections::BTreeSet;

use super::digits::Digits;
use crate::render::bytes::find_near;

/// Stands where a tag was: two numbers beside it are two, and their digits are still read on.
pub(super) const TAG: char = '\u{1}';

/// Tags, comments and style sheets that stand word for word in the templates that the program brings: nearly all of a message's HTML, and nobody's
/// secret. (What a practice writes may be: a code was pasted into it.)
pub(super) struct Markup {
    whole: ByLength,
    /// What stands before and behind the one value of a tag.
    around: BTreeSet<[Box<str>; 2]>,
}

impl Markup {
    /// `settled`: expressions of the templates that stand for the same in every message, and what they stand for.
    pub(super) fn of<'t>(templates: impl Iterator<Item = &'t str>, settled: &[(&str, &str)]) -> Self {
        let mut all = Self { whole: ByLength::default(), around: BTreeSet::new() };
        for template in templates {
            let template = settled.iter().fold(template.to_owned(), |text, (expression, value)| text.replace(expression, value));
            // Between the lines of a part of a message stands CRLF.
            [template.replace('\n', "\r\n"), template].iter().for_each(|template| each_tag(template, |tag| all.put(tag)));
        }
        all
    }

    fn put(&mut self, tag: &str) {
        let around = tag.split_once("{{").and_then(|(before, rest)| Some([before, rest.split_once("}}")?.1]));
        if is_said_as_it_is(tag) {
            self.whole.put(tag);
        } else if let Some(around) = around.filter(|around| around.iter().copied().all(is_said_as_it_is)) {
            self.around.insert(around.map(Into::into));
        }
    }

    /// The value in a tag of which all else is the templates' own, if it is written as it reads.
    fn value<'t>(&self, tag: &'t str) -> Option<&'t str> {
        let value = self.around.iter().find_map(|[before, behind]| tag.strip_prefix(&**before)?.strip_suffix(&**behind))?;
        Some(value).filter(|value| !value.contains(['<', '&', '%']))
    }
}

/// Texts, found by their length: few have the same one.
#[derive(Default)]
struct ByLength(Vec<Vec<Box<str>>>);

impl ByLength {
    fn put(&mut self, text: &str) {
        if !self.contains(text) {
            self.0.resize(self.0.len().max(text.len() + 1), Vec::new());
            self.0[text.len()].push(text.into());
        }
    }

    fn contains(&self, text: &str) -> bool {
        self.0.get(text.len()).is_some_and(|alike| alike.iter().any(|one| **one == *text))
    }
}

/// The engine puts nothing into it, and it holds nothing like a code or a number.
fn is_said_as_it_is(tag: &str) -> bool {
    !["{{", "{%", "{#"].iter().any(|begin| tag.contains(begin)) && Digits::long(tag).is_empty()
}

fn each_tag<'t>(html: &'t str, mut visit: impl FnMut(&'t str)) {
    let mut rest = html;
    while let Some(start) = memchr::memchr(b'<', rest.as_bytes()) {
        rest = &rest[start..];
        let end = style_end(rest).or_else(|| tag_end(rest)).unwrap_or(rest.len());
        visit(&rest[..end]);
        rest = &rest[end..];
    }
}

/// Where the tag or comment ends that begins a text. `None`: it does not.
fn tag_end(tag: &str) -> Option<usize> {
    let all = tag.as_bytes();
    let is_comment = all.starts_with(b"<!--");
    memchr::memchr_iter(b'>', all).find(|at| !is_comment || all[..*at].ends_with(b"--")).map(|at| at + 1)
}

/// Where the style sheet ends that begins a text. `None`: none begins it.
fn style_end(tag: &str) -> Option<usize> {
    const END: &[u8] = b"</style>";
    let all = tag.as_bytes();
    let rest = all.strip_prefix(b"<style")?;
    memchr::memchr_iter(b'<', rest).find(|at| rest[*at..].starts_with(END)).map(|at| all.len() - rest.len() + at + END.len())
}

/// Where the tag ends that begins a text, if what stands in quotes is passed over.
fn quoted_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    let end = tag.bytes().position(|byte| {
        if let Some(open) = quote {
            quote = quote.filter(|_| byte != open);
            return false;
        }
        quote = Some(byte).filter(|byte| matches!(byte, b'"' | b'\''));
        byte == b'>'
    });
    end.map(|end| end + 1)
}

/// What stands within tags that may hold HTML themselves, in attributes; each in a line of its own. `None`: there are none.
pub(super) fn within_tags(html: &str) -> Option<String> {
    let mut within = String::new();
    for at in memchr::memchr_iter(b'<', html.as_bytes()) {
        let tag = &html[at..];
        let inside = &tag[1..quoted_end(tag).or_else(|| tag_end(tag)).unwrap_or(tag.len())];
        if inside.contains(['<', '&', '%']) && !within.contains(inside) {
            within.extend([inside, "\n"]);
        }
    }
    (!within.is_empty()).then_some(within)
}

/// HTML as it is written and as it reads: all tags out of both that are the templates' own, and out of the second those that hold something, too.
pub(super) fn apart(html: &str, markup: &Markup) -> (String, String) {
    /// As much as the words of a style sheet part what stands around it.
    const SHEET: &str = "\u{1} and \u{1}";
    let (mut written, mut read) = (String::with_capacity(html.len() / 2), String::with_capacity(html.len() / 4));
    let mut rest = html;
    while let Some(start) = find_near(rest.as_bytes(), b'<') {
        let (text, tag) = rest.split_at(start);
        written.push_str(text);
        read.push_str(text);
        if let Some(end) = style_end(tag).filter(|end| markup.whole.contains(&tag[..*end])) {
            written.push_str(SHEET);
            read.push_str(SHEET);
            rest = &tag[end..];
            continue;
        }
        read.push(TAG);
        let end = tag_end(tag);
        let (tag, after) = tag.split_at(end.unwrap_or(tag.len()));
        if end.is_some() && markup.whole.contains(tag) {
            written.push(TAG);
        } else if let Some(value) = end.and_then(|_| markup.value(tag)) {
            written.push(TAG);
            written.push_str(value);
            written.push(TAG);
        } else {
            written.push_str(tag);
        }
        rest = after;
    }
    written.push_str(rest);
    read.push_str(rest);
    (written, read)
}

/// Something in it would be taken for a tag or a comment.
pub(super) fn has_tag(text: &str) -> bool {
    memchr::memchr_iter(b'<', text.as_bytes())
        .any(|at| text.as_bytes().get(at + 1).is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!' | b'?')))
}

/// HTML as it reads: without tags and comments.
pub(super) fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(start) = memchr::memchr(b'<', rest.as_bytes()) {
        out.push_str(&rest[..start]);
        out.push(TAG);
        let tag = &rest[start..];
        rest = tag_end(tag).map_or("", |end| &tag[end..]);
    }
    out.push_str(rest);
    out
}

/// Without what stands for tags.
pub(super) fn without_marks(marked: &str) -> String {
    // Marks are many: without a jump for each.
    let mut out = vec![0; marked.len()];
    let mut n = 0;
    for byte in marked.bytes() {
        out[n] = byte;
        n += usize::from(byte != TAG as u8);
    }
    out.truncate(n);
    String::from_utf8(out).expect("no character but the mark has its byte")
}

/// As a browser shows it: `>` in quotes ends no tag, `--!>` ends a comment, and style sheets and scripts are not shown. `None`: that is what
/// [`without_tags`] shows.
pub(super) fn as_shown(html: &str) -> Option<String> {
    memchr::memchr(b'<', html.as_bytes())?;
    let mut out = String::with_capacity(html.len() / 2);
    let mut differs = false;
    let mut rest = html;
    while let Some(start) = memchr::memchr(b'<', rest.as_bytes()) {
        out.push_str(&rest[..start]);
        out.push(TAG);
        let tag = &rest[start..];
        let naive = tag_end(tag).unwrap_or(tag.len());
        let shown = if tag.starts_with("<!--") { comment_end(tag) } else { hidden_end(tag).or_else(|| quoted_end(tag)) };
        let end = shown.unwrap_or(naive);
        differs |= end != naive;
        rest = &tag[end..];
    }
    out.push_str(rest);
    differs.then_some(out)
}

fn comment_end(comment: &str) -> Option<usize> {
    let ends = [("-->", 3), ("--!>", 4)];
    ends.into_iter().filter_map(|(end, length)| comment.find(end).map(|at| at + length)).min()
}

/// Where an element ends whose text is not shown.
fn hidden_end(tag: &str) -> Option<usize> {
    let name = ["style", "script", "title"].into_iter().find(|name| {
        let word = tag.as_bytes().get(1..=name.len());
        word.is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    })?;
    let close = memchr::memmem::find_iter(tag.as_bytes(), "</").find(|at| {
        let word = tag.as_bytes().get(at + 2..at + 2 + name.len());
        word.is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    })?;
    tag_end(&tag[close..]).map(|end| close + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_shows_what_stands_around_tags() {
        for (html, shown) in [
            ("724<i title=\"a>b\">338", "724\u{1}338"),
            ("77</i x='>b'>0", "77\u{1}0"),
            ("77<!--x--!>0<b>1", "77\u{1}0\u{1}1"),
            ("7<style>a > b</style>8", "7\u{1}8"),
            ("7<SCRIPT src=x>a</script >8", "7\u{1}8"),
        ] {
            assert_eq!(as_shown(html).as_deref(), Some(shown), "{html}");
        }
        for same in ["<p class=\"a\">7</p><?x>8<!-- y -->", "a < b", "<style>", "<i title='3>4"] {
            assert_eq!(as_shown(same), None, "{same}");
        }
    }

    #[test]
    fn of_html_all_is_read_but_the_templates_own_markup() {
        let template = "<!-- 378174671 --><p class=\"a\">{{ name }}</p><style>\np { color: red }\n</style><!--[if mso]><br><![endif]--><a href=\"{{ link }}\" style=\"color:{{ color }}\">{# x #}<p style=\"color:{{ color }}\">";
        let markup = Markup::of([template].into_iter(), &[("{{ color }}", "#0b666c")]);
        for (html, written, read) in [
            ("<!-- 378174671 -->", "<!-- 378174671 -->", "\u{1}"),
            ("<p class=\"a\">Ann</p>", "\u{1}Ann\u{1}", "\u{1}Ann\u{1}"),
            ("<p class=\"b\">Ann</p>", "<p class=\"b\">Ann\u{1}", "\u{1}Ann\u{1}"),
            ("1<a href=\"https://example.com/378\">2", "1<a href=\"https://example.com/378\">2", "1\u{1}2"),
            ("1<a href=\"https://example.com/378\" style=\"color:#0b666c\">2", "1\u{1}https://example.com/378\u{1}2", "1\u{1}2"),
            ("<a href=\"3&lt;7\" style=\"color:#0b666c\">2", "<a href=\"3&lt;7\" style=\"color:#0b666c\">2", "\u{1}2"),
            ("<p style=\"color:#0b666c\">2<p style=\"color:#0b666d\">", "\u{1}2<p style=\"color:#0b666d\">", "\u{1}2\u{1}"),
            ("1<style>\np { color: red }\n</style>2", "1\u{1} and \u{1}2", "1\u{1} and \u{1}2"),
            ("1<style>\r\np { color: red }\r\n</style>2", "1\u{1} and \u{1}2", "1\u{1} and \u{1}2"),
            ("1<style>\np { color: 378 }\n</style>2", "1<style>\np { color: 378 }\n</style>2", "1\u{1}\np { color: 378 }\n\u{1}2"),
            ("1<!--[if mso]><br><![endif]-->2<!-- 378 -->", "1\u{1}2<!-- 378 -->", "1\u{1}2\u{1}"),
            ("1<p class=\"a\"", "1<p class=\"a\"", "1\u{1}"),
            ("a < b", "a < b", "a \u{1}"),
        ] {
            assert_eq!(apart(html, &markup), (written.to_owned(), read.to_owned()), "{html}");
        }
    }

    #[test]
    fn a_tag_may_hold_tags() {
        for (html, within) in [
            ("<i title='3<b>7</b>'>x", "i title='3<b>7</b>'>\n"),
            ("<i title=\"3&lt;b>7\">x", "i title=\"3&lt;b>7\">\n"),
            ("<i title=O'Brien&lt;b>7", "i title=O'Brien&lt;b>\n"),
            ("<i title='3<b>7", "i title='3<b>\n"),
            ("<a href='data:,3%3Cb%3E7'>", "a href='data:,3%3Cb%3E7'>\n"),
            ("a < b & c", " b & c\n"),
        ] {
            assert_eq!(within_tags(html).unwrap_or_default(), within, "{html}");
        }
        assert_eq!(within_tags("<p class=\"a\">R&D</p>"), None);
    }
}
