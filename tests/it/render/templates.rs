//! A practice's own templates: what overrides what, what is wrong with one, and the page that documents their variables.

use std::path::Path;

use punctual::feedback::answer::Answer;
use punctual::notice::Occasion;
use punctual::render::{RenderError, Renderer, Settings};

use super::{Case, LOCALES, email, settings, sms};

/// A folder with these files, and settings that use it. The folder lives as long as the first value.
pub(super) fn with_templates(files: &[(&str, &str)]) -> (tempfile::TempDir, Settings) {
    let dir = tempfile::tempdir().unwrap();
    for (path, source) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, source).unwrap();
    }
    let settings = Settings { template_dir: Some(dir.path().to_path_buf()), ..settings() };
    (dir, settings)
}

fn errors(files: &[(&str, &str)]) -> Vec<String> {
    let (dir, settings) = with_templates(files);
    let root = dir.path().display().to_string();
    Renderer::new(settings).err().unwrap_or_default().into_iter().map(|e| e.replace(&root, "DIR")).collect()
}

fn invite(renderer: &Renderer, locale: &'static str) -> String {
    let rendered = Case::new(Occasion::Invite, locale).render(renderer).unwrap();
    rendered.locale.clone() + ": " + email(&rendered).1
}

#[test]
fn one_file_is_overridden_and_the_others_stay() {
    let (_dir, settings) = with_templates(&[("en-US/invite/body.txt", "Dear {{ recipient.name }}")]);
    let renderer = Renderer::new(settings).unwrap();
    assert_eq!(invite(&renderer, "en-US"), "en-US: Dear Trevor\n");
    let rendered = Case::new(Occasion::Invite, "en-US").render(&renderer).unwrap();
    assert!(email(&rendered).2.contains("Your video session"));
    assert!(invite(&renderer, "fr-CA").contains("Bonjour Trevor"));
}

#[test]
fn a_layout_is_overridden_for_all_that_extend_it() {
    let (_dir, settings) = with_templates(&[("en-US/layout.txt", "Dear {{ recipient.name }}: {% block lead %}{% endblock %}")]);
    let text = invite(&Renderer::new(settings).unwrap(), "en-US");
    assert!(text.starts_with("en-US: Dear Trevor: You have a video session coming up."), "{text}");
}

#[test]
fn a_locale_falls_back_to_its_language_and_then_to_the_practices() {
    let renderer = Renderer::new(Settings { locale: "fr-CA".to_owned(), ..settings() }).unwrap();
    for (asked, used) in [
        (Some("es-US"), "es-US"),
        (Some("ES-us"), "es-US"),
        (Some("es-MX"), "es-US"),
        (Some("es"), "es-US"),
        (Some("en_GB"), "en-US"),
        (Some("de-AT"), "de-DE"),
        (Some("pt"), "pt-BR"),
        (Some("nl-NL"), "fr-CA"),
        (Some(""), "fr-CA"),
        (None, "fr-CA"),
    ] {
        let case = Case { locale: asked, ..Case::new(Occasion::Invite, "en-US") };
        assert_eq!(case.render(&renderer).unwrap().locale, used, "{asked:?}");
    }
}

#[test]
fn all_errors_are_told_at_once_with_file_and_line() {
    let found = errors(&[
        ("en-US/invite/body.txt", "one\n{{ recipient.name"),
        ("fr-CA/reminder/sms.txt", "{% if %}"),
        ("en-US/invite/boddy.html", "x"),
        ("notes.txt", "x"),
    ]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().any(|e| e.starts_with("template DIR/en-US/invite/boddy.html: no message uses a file of this name")), "{found:#?}");
    let found = errors(&[("en-US/invite/body.txt", "one\n{{ recipient.name"), ("fr-CA/reminder/sms.txt", "{% if %}")]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("template en-US/invite/body.txt:2: "), "{found:#?}");
    assert!(found[1].starts_with("template fr-CA/reminder/sms.txt:1: "), "{found:#?}");
}

#[test]
fn a_locale_is_complete_or_an_error() {
    let found = errors(&[("nl-NL/invite/sms.txt", "x")]);
    assert_eq!(found.len(), 35, "{found:#?}");
    assert!(found.contains(&"template nl-NL/cancelled/subject.txt is missing".to_owned()));
    assert!(found.contains(&"template nl-NL/calendar/summary.txt is missing".to_owned()));
    assert!(found.contains(&"template nl-NL/answer/stopped.txt is missing".to_owned()));
    let found = errors(&[("en-US/layout.txt", "Hello")]);
    assert_eq!(found, ["template en-US/cancelled/body.txt:2: Block `lead` is not defined in any parent template"]);
    let found = errors(&[("en-US/layout.txt", "{% extends \"layout/none.txt\" %}")]);
    assert!(found[0].contains("layout/none.txt, which does not exist"), "{found:#?}");
}

#[test]
fn a_bad_setting_is_an_error_at_start() {
    for (settings, expected) in [
        (
            Settings { locale: "nl-NL".to_owned(), ..settings() },
            "locale \"nl-NL\": there are no templates for it; expected one of de-DE, en-US, es-US, fr-CA, pt-BR",
        ),
        (Settings { join_url: "https://x.example/join".to_owned(), ..settings() }, "join_url: the link does not hold {{ code }}"),
        (Settings { join_url: "x.example/{{ code }}".to_owned(), ..settings() }, "join_url: it makes no link: relative URL without a base"),
        (Settings { join_url: "javascript:{{ code }}".to_owned(), ..settings() }, "join_url: expected a link that begins with https://"),
    ] {
        assert_eq!(Renderer::new(settings).err(), Some(vec![expected.to_owned()]));
    }
    let broken = Settings { join_url: "https://x.example/{{ code".to_owned(), ..settings() };
    assert!(Renderer::new(broken).err().unwrap()[0].starts_with("join_url:1: "));
}

#[test]
fn values_are_data() {
    let (_dir, settings) = with_templates(&[
        ("en-US/invite/body.txt", "{{ recipient.name }}"),
        ("en-US/invite/body.html", "<p>{{ recipient.name }}</p>"),
        ("en-US/invite/subject.txt", "{{ recipient.name }}"),
        ("en-US/invite/sms.txt", "{{ recipient.name }}"),
    ]);
    let renderer = Renderer::new(settings).unwrap();
    let mut case = Case::new(Occasion::Invite, "en-US");
    case.session.participants[1].name =
        punctual::contact::PersonName::clean("{{ 7*7 }} {% raw %} <script>alert('x')</script> \"O'Neil\" & co");
    let rendered = case.render(&renderer).unwrap();
    let (subject, text, html) = email(&rendered);
    assert_eq!(text, "{{ 7*7 }} {% raw %} <script>alert('x')</script> \"O'Neil\" & co\n");
    assert_eq!(subject, text.trim_end());
    assert_eq!(html, "<p>{{ 7*7 }} {% raw %} &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &quot;O&#39;Neil&quot; &amp; co</p>");
    case.sms = true;
    assert_eq!(sms(&case.render(&renderer).unwrap()).0, text.trim_end());
}

#[test]
fn a_template_reaches_nothing_but_its_context() {
    for source in [
        "{{ get_env(name=\"HOME\") }}",
        "{% include \"/etc/passwd\" %}",
        "{{ load_data(path=\"/etc/passwd\") }}",
        "{{ now() }}",
        "{{ participants }}",
        "{{ session.participants }}",
        "{{ recipient.email }}",
    ] {
        let (_dir, settings) = with_templates(&[("en-US/invite/body.txt", source)]);
        let refused = match Renderer::new(settings) {
            Err(_) => true,
            Ok(renderer) => matches!(Case::new(Occasion::Invite, "en-US").render(&renderer), Err(RenderError::Template { .. })),
        };
        assert!(refused, "{source}");
    }
}

#[test]
fn an_error_while_rendering_repeats_no_value() {
    for source in [
        "\n{{ recipient.name + 1 }}",
        "\n{{ throw(message=recipient.name) }}",
        "\n{{ recipient.code | int + \"x\" }}",
        "\n{{ recipient.nickname }}",
    ] {
        let (_dir, settings) = with_templates(&[("en-US/invite/body.txt", source)]);
        let error = Case::new(Occasion::Invite, "en-US").render(&Renderer::new(settings).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("template en-US/invite/body.txt:2: "), "{error}");
        assert!(!error.contains("Trevor") && !error.contains("378"), "{error}");
    }
}

#[test]
fn lint_finds_what_is_wrong() {
    let (_dir, settings) = with_templates(&[
        ("en-US/invite/subject.txt", "{{ recipient.code }}"),
        ("en-US/invite/body.txt", "No code, no link, {{ session.time }}"),
        ("en-US/invite/sms.txt", "{{ session.time }} {{ recipient.join_url }} {{ recipient.code }} it’s on. 漢"),
        ("en-US/rescheduled/sms.txt", "{{ session.time }} {{ recipient.join_url }} {{ recipient.code }} Reply CANCEL to cancel."),
        ("en-US/reminder/subject.txt", "{% if false %}x{% endif %}"),
        (
            "en-US/reminder/sms.txt",
            "{{ session.time }} {{ recipient.join_url }} {{ recipient.code }} {{ session.topic }} {% for i in range(end=300) %}x{% endfor %}",
        ),
        (
            "en-US/reminder/body.txt",
            "{% if deposit %}{{ deposit.amount }}{% endif %}{{ session.time }} {{ recipient.join_url }} {{ recipient.code }}",
        ),
        ("en-US/cancelled/body.txt", "Cancelled {{ 1 }}"),
    ]);
    let problems = Renderer::new(settings).unwrap().lint();
    for expected in [
        "template en-US/invite, email to a participant, a usual name: the subject shows the code",
        "template en-US/invite, email to a participant, a usual name: the text does not show the recipient's code",
        "template en-US/invite, email to a host, a usual name: the text does not show the join link",
        "template en-US/rescheduled, sms to a participant, a usual name: carriers take the word \"CANCEL\" for an opt-out",
        "template en-US/invite, sms to a participant, a usual name: '’' (U+2019) is not in the GSM alphabet",
        "template en-US/reminder, email to a participant, a usual name: the subject is empty",
        "template en-US/reminder, sms to a participant, a usual name: the text needs 4 segments (Gsm7), 2 are allowed",
        "template en-US/reminder/body.txt:1, email to a participant, a deposit, a pass that ends and a passkey: ",
        "template en-US/cancelled, email to a participant, a usual name: the text does not show the time",
    ] {
        assert!(problems.iter().any(|p| p.starts_with(expected)), "{expected}\n{problems:#?}");
    }
}

#[test]
fn the_program_ships_every_file_of_its_folders() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut files = Vec::new();
    let mut folders: Vec<_> = LOCALES.into_iter().chain(["layout", "staff"]).map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert_eq!(files.len(), 2 + 3 + LOCALES.len() * (7 * 4 + 5 + 6), "a file that is not embedded is never used");
    // Each of them has a name that an override may have, too, and the program's own copy is the same.
    let files: Vec<(&str, &str)> = files.iter().map(|(path, source)| (path.as_str(), source.as_str())).collect();
    let (_dir, overridden) = with_templates(&files);
    let (own, shipped) = (Renderer::new(overridden).unwrap(), Renderer::new(settings()).unwrap());
    for locale in LOCALES {
        assert_eq!(invite(&own, locale), invite(&shipped, locale));
    }
}

#[test]
fn answers_are_templates_in_the_language_of_the_word_or_the_practices() {
    let own = "{{ practice.name }} dit stop. {{ practice.contact }}";
    let (_dir, settings) = with_templates(&[("fr-CA/answer/stopped.txt", own)]);
    let renderer = Renderer::new(Settings { locale: "fr-CA".to_owned(), ..settings }).unwrap();
    let text = |answer, asked| renderer.answer(answer, asked);
    for (asked, begins) in
        [("es", "Elm Street Counseling: No recibir"), ("en", "Elm Street Counseling: You will"), ("fr", "Elm Street Counseling dit stop.")]
    {
        assert!(text(Answer::Stopped, asked).starts_with(begins), "{asked}: {}", text(Answer::Stopped, asked));
    }
    assert_eq!(text(Answer::Stopped, "nl-NL"), text(Answer::Stopped, "fr-CA"), "the practice's own where there is no other");
    assert!(text(Answer::Help, "fr").starts_with("Elm Street Counseling : Nous vous"), "the others stay as they came");
    let found = errors(&[("en-US/answer/help.txt", "{{ practice.phone }}"), ("es-US/answer/stopped.txt", "{{ recipient.name }}")]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("template en-US/answer/help.txt:1: "), "at the start, and not when somebody writes: {found:#?}");
    assert!(errors(&[("en-US/answer/stoped.txt", "x")])[0].contains("no message uses a file of this name"));
}

/// A reader's program shows a mail without a subject last, or takes it for spam: staff mend the template.
#[test]
fn a_subject_that_comes_out_empty_is_a_fault_of_the_template() {
    for (source, fails) in [("{% if session.topic %}{{ session.topic }}{% endif %}", true), ("  \n ", true), ("Your session", false)] {
        let (_dir, settings) = with_templates(&[("en-US/invite/subject.txt", source)]);
        let Ok(renderer) = Renderer::new(settings) else { panic!("it compiles") };
        let mut case = super::Case::new(punctual::notice::Occasion::Invite, "en-US");
        case.session.topic = String::new();
        match case.render(&renderer) {
            Err(punctual::render::RenderError::Template { file, why }) => {
                assert!(fails && file == "en-US/invite/subject.txt" && why.contains("empty"), "{source:?}: {file}: {why}");
            }
            other => assert!(other.is_ok() && !fails, "{source:?}: {:?}", other.err()),
        }
    }
}

#[test]
fn the_checker_reads_the_answers() {
    for (path, source, says) in [
        ("en-US/answer/help.txt", "Text us: {{ practice.contact }}", "the practice's name is missing"),
        ("en-US/answer/help.txt", "", "the text is empty"),
        ("fr-CA/answer/declined.txt", "{{ practice.name }}: Reply CANCEL to cancel", "\"CANCEL\" for an opt-out"),
        ("es-US/answer/confirmed.txt", "{{ practice.name }} ✓", "not in the GSM alphabet"),
    ] {
        let (_dir, settings) = with_templates(&[(path, source)]);
        let problems = Renderer::new(settings).unwrap().lint();
        assert!(problems.iter().any(|p| p.starts_with(&format!("template {path}: ")) && p.contains(says)), "{path}: {problems:#?}");
    }
    let (_dir, settings) = with_templates(&[]);
    let long =
        Renderer::new(Settings { practice_name: "The Long and Winding Road ".repeat(2), max_segments: 1, ..settings }).unwrap().lint();
    assert!(long.iter().any(|p| p.starts_with("template fr-CA/answer/help.txt: the text needs 2 segments, 1 are allowed")), "{long:#?}");
}
