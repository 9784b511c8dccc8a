//! The page as a whole: well formed, escaped, complete, and without a load from anywhere.

use super::*;
use crate::report::plots::layout::Width;
use crate::report::plots::{animated, slow_fixture::hyperbola};
use crate::report::result::Comparison;
use resvg::usvg::roxmltree::{Document, Node, ParsingOptions};

const HOSTILE: &str = "<script>alert(\"1\")</script> & 'x' --> </style> ]]> é∂Φ";

/// A result whose every text is hostile.
fn hostile() -> ScenarioResult {
    let mut result = hyperbola();
    let info = &mut result.scenario;
    for text in [
        &mut info.name,
        &mut info.title,
        &mut info.claim,
        &mut info.about,
        &mut info.profile,
        &mut info.settings,
        &mut result.version,
        &mut result.machine.system,
    ] {
        *text = HOSTILE.to_owned();
    }
    result.notes = vec![HOSTILE.to_owned(); 2];
    result
        .functions
        .iter_mut()
        .for_each(|f| *f = HOSTILE.to_owned());
    for process in &mut result.processes {
        process.label = HOSTILE.to_owned();
    }
    for comparison in &mut result.comparisons {
        comparison.id = HOSTILE.to_owned();
        comparison.reason = HOSTILE.to_owned();
    }
    result
}

fn rendered(results: &[ScenarioResult], interrupted: &[String]) -> String {
    let sections: Vec<Section> = results
        .iter()
        .map(|r| section(r, &animated(r, Width::Natural).expect("figures")).expect("a section"))
        .collect();
    page(&sections, interrupted).expect("a page")
}

fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).expect("well formed")
}

fn elements<'a>(document: &'a Document<'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |n| n.has_tag_name(name))
}

#[test]
fn the_page_is_well_formed_and_texts_are_escaped() {
    let text = rendered(&[hyperbola(), hostile()], &[HOSTILE.to_owned()]);
    let document = parsed(&text);
    assert_eq!(elements(&document, "script").count(), 0);
    // Every text came through as a text.
    let title = elements(&document, "h2").filter(|h| h.text() == Some(HOSTILE));
    assert_eq!(title.count(), 1);
    let settings =
        elements(&document, "pre").filter(|p| p.descendants().any(|d| d.text() == Some(HOSTILE)));
    assert_eq!(settings.count(), 1);
    assert!(!text.contains("<script"));
    // Ids are unique, and every link and label has its target.
    let mut ids: Vec<&str> = document
        .descendants()
        .filter_map(|n| n.attribute("id"))
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    for node in document.descendants() {
        for name in ["aria-labelledby", "href"] {
            if let Some(target) = node.attribute(name) {
                assert!(ids.contains(&target.trim_start_matches('#')), "{target}");
            }
        }
    }
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let text = rendered(&[hyperbola(), hostile()], &[]);
    let document = parsed(&text);
    for node in document.descendants().filter(Node::is_element) {
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            let loads = ["src", "srcset", "data", "action"].contains(&name);
            // An animation is a part of the page.
            let own = name == "src" && value.starts_with("data:image/gif;base64,");
            assert!(!loads || own, "{name}={value}");
            assert!(name != "href" || value.starts_with('#'), "{value}");
        }
        assert!(
            !["link", "iframe", "object", "embed", "image", "use"]
                .contains(&node.tag_name().name())
        );
    }
    assert!(!text.contains("@import") && !text.contains("http:") && !text.contains("https:"));
    for (place, _) in text.match_indices("url(") {
        assert!(text[place..].starts_with("url(data:font/woff2;base64,"));
    }
}

#[test]
fn every_verdict_is_there_with_its_figures() {
    let result = hyperbola();
    let text = rendered(std::slice::from_ref(&result), &[]);
    let document = parsed(&text);
    let rows = elements(&document, "tr").filter(|r| {
        let cells: Vec<_> = r.children().filter(Node::is_element).collect();
        let first = cells.first().and_then(|c| c.text()).map(str::trim);
        let verdict = |n: Node| n.attribute("class").is_some_and(|c| c.starts_with("v "));
        let named = |c: &Comparison| first == Some(c.id.as_str());
        r.descendants().any(verdict) && result.comparisons.iter().any(named)
    });
    // In the overview and in the section.
    assert_eq!(rows.count(), 2 * result.comparisons.len());
    let badges = elements(&document, "span").filter(|s| {
        let class = s.attribute("class").unwrap_or_default();
        class == "v consistent" || class == "v refuted" || class == "v inconclusive"
    });
    assert_eq!(badges.count(), 2 * result.comparisons.len());
    let drawn = animated(&result, Width::Natural).expect("figures");
    let slides = drawn.iter().filter_map(|f| f.slides.as_ref());
    let stills: usize = slides.map(|s| s.stills.len()).sum();
    assert_eq!(elements(&document, "svg").count(), drawn.len() + stills);
    for figure in &drawn {
        let caption = elements(&document, "figcaption").find(|c| c.text() == Some(&figure.caption));
        let caption = caption.unwrap_or_else(|| panic!("{}", figure.name));
        // And every figure says how it is read.
        let reading = caption.descendants().filter_map(|n| n.text());
        assert!(
            reading.map(str::len).sum::<usize>() > figure.caption.len() + 60,
            "{}",
            figure.name
        );
    }
    let scopes = elements(&document, "th").filter(|t| t.attribute("scope").is_none());
    assert_eq!(scopes.count(), 0);
    assert!(
        text.contains("negative control")
            == result
                .comparisons
                .iter()
                .any(|c| c.expected == Verdict::Refuted)
    );
}

#[test]
fn a_page_without_scenarios_says_what_is_missing() {
    let text = rendered(&[], &["first".to_owned(), "second".to_owned()]);
    assert!(text.contains("Not completed: first, second."));
    parsed(&text);
}

#[test]
fn numbers_are_short() {
    assert_eq!(grouped(1234), "1234");
    assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    assert_eq!(short(3.21e9), "3.2 billion");
    assert_eq!(short(14_100_000.0), "14.1 million");
    assert_eq!(number(0.003_125), "0.003125");
    assert_eq!(anchor("a b/é_1"), "s-a-20b-2f-c3-a9_1");
}

#[test]
fn a_reader_chooses_the_time_of_a_distribution() {
    let result = hyperbola();
    let text = rendered(std::slice::from_ref(&result), &[]);
    let document = parsed(&text);
    let chosen = document.descendants().filter(|n| {
        let class = n.attribute("class").unwrap_or_default();
        class.split(' ').any(|c| c == "slides")
    });
    let mut found = 0;
    for slides in chosen {
        let own = |name: &'static str| slides.children().filter(move |n| n.has_tag_name(name));
        let [inputs, labels, stills] = ["input", "label", "div"].map(|n| own(n).count());
        assert!(inputs > 1 && inputs == labels && inputs == stills);
        let checked = own("input").filter(|i| i.attribute("checked").is_some());
        assert_eq!(checked.count(), 1);
        for (input, label) in own("input").zip(own("label")) {
            assert_eq!(input.attribute("id"), label.attribute("for"));
            assert_eq!(
                input.attribute("name"),
                own("input").next().and_then(|i| i.attribute("name"))
            );
            assert!(label.text().is_some_and(|t| t.starts_with("t = ")));
        }
        // The style sheet knows as many.
        assert!(text.contains(&format!("input:nth-of-type({inputs}):checked")));
        found += 1;
    }
    let drawn = animated(&result, Width::Natural).expect("figures");
    assert_eq!(found, drawn.iter().filter(|f| f.slides.is_some()).count());
    assert!(found >= 2, "a distribution and a density");
}

#[test]
fn the_animation_is_on_the_page() {
    let result = hyperbola();
    let text = rendered(std::slice::from_ref(&result), &[]);
    let document = parsed(&text);
    let images: Vec<_> = elements(&document, "img").collect();
    assert_eq!(images.len(), 1);
    let source = images[0].attribute("src").unwrap_or_default();
    let data = source
        .strip_prefix("data:image/gif;base64,")
        .expect("a GIF");
    let bytes = STANDARD.decode(data).expect("base64");
    assert!(bytes.starts_with(b"GIF89a"));
    assert!(images[0].attribute("alt").is_some_and(|a| a.len() > 20));
    assert!(text.contains("prefers-reduced-motion"));
}
