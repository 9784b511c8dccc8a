//! `docs/scenario.md` lists every key that the types of a scenario accept, and no other.
//!
//! The types are asked themselves: a deserializer that has no file answers every question of theirs and writes down what they asked
//! for — the fields of structs, the variants of enums, and which fields must be there.

use super::raw::RawScenario;
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, Visitor};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

type Error = de::value::Error;

/// What the types accept. Keys are dotted paths such as `landscape.quadratic.spectrum`; a type that several keys have is listed at
/// the first of them.
#[derive(Debug, Default)]
struct Keys {
    /// Every key, and whether it must be given.
    keys: BTreeMap<String, bool>,
    /// The words that a key may be, such as `least_squares`.
    words: BTreeMap<String, BTreeSet<String>>,
    /// The type and its first key.
    homes: HashMap<&'static str, String>,
    /// Runs that are still to do: which variant to take at which key, and which key to leave out.
    pending: Vec<Run>,
    /// Keys of enums and structs whose variants and fields have been planned.
    planned: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct Run {
    variants: BTreeMap<String, usize>,
    omitted: Option<String>,
}

/// All keys of a type.
fn keys_of<T: for<'de> Deserialize<'de>>() -> Keys {
    let keys = RefCell::new(Keys {
        pending: vec![Run::default()],
        ..Keys::default()
    });
    loop {
        let Some(run) = keys.borrow_mut().pending.pop() else {
            break;
        };
        let source = Source {
            keys: &keys,
            run: &run,
            path: String::new(),
        };
        let outcome = T::deserialize(source);
        match (outcome, &run.omitted) {
            (Ok(_), None) => (),
            (outcome, Some(key)) => {
                let missing = outcome.is_err_and(|e| e.to_string().starts_with("missing field"));
                keys.borrow_mut().keys.insert(key.clone(), missing);
            }
            (Err(e), None) => panic!("{run:?}: {e}"),
        }
    }
    keys.into_inner()
}

/// Answers the type at `path`.
#[derive(Clone)]
struct Source<'a> {
    keys: &'a RefCell<Keys>,
    run: &'a Run,
    path: String,
}

impl<'a> Source<'a> {
    fn at(&self, key: &str) -> Source<'a> {
        let dot = if self.path.is_empty() { "" } else { "." };
        Source {
            path: format!("{}{dot}{key}", self.path),
            ..self.clone()
        }
    }

    /// Makes sure that the key is listed.
    fn record(&self) {
        let mut keys = self.keys.borrow_mut();
        keys.keys.entry(self.path.clone()).or_default();
    }

    /// Whether a type is listed here: not where an earlier key has it.
    fn is_home(&self, name: &'static str) -> bool {
        let mut keys = self.keys.borrow_mut();
        let home = keys.homes.entry(name).or_insert_with(|| self.path.clone());
        *home == self.path
    }

    /// Lists the fields of a struct or struct variant, and plans a run without each of them.
    fn plan_fields(&self, fields: &[&str]) {
        let mut keys = self.keys.borrow_mut();
        if !keys.planned.insert(format!("{}.", self.path)) {
            return;
        }
        for field in fields {
            let omitted = Some(self.at(field).path);
            let variants = self.run.variants.clone();
            keys.pending.push(Run { variants, omitted });
        }
    }

    /// The fields one by one, but for the one to leave out.
    fn fields(&self, fields: &'static [&'static str]) -> Fields<'a> {
        let omitted = |f: &&&str| self.run.omitted.as_deref() == Some(&self.at(f).path);
        let given: Vec<&'static str> = fields.iter().filter(|f| !omitted(f)).copied().collect();
        Fields {
            source: self.clone(),
            left: given.into_iter(),
            current: None,
        }
    }
}

/// The fields of a struct.
struct Fields<'a> {
    source: Source<'a>,
    left: std::vec::IntoIter<&'static str>,
    current: Option<&'static str>,
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.current = self.left.next();
        match self.current {
            Some(field) => seed.deserialize(str_of(field)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let field = self.current.ok_or_else(|| Error::custom("no field"))?;
        seed.deserialize(self.source.at(field))
    }
}

fn str_of(text: &str) -> StrDeserializer<'_, Error> {
    text.into_deserializer()
}

/// One element of a list.
struct One<'a>(Option<Source<'a>>);

impl<'de> de::SeqAccess<'de> for One<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0
            .take()
            .map(|source| seed.deserialize(source))
            .transpose()
    }
}

/// A variant of an enum, at home or not.
struct Choice<'a> {
    source: Source<'a>,
    variant: &'static str,
    home: bool,
}

impl<'de, 'a> de::EnumAccess<'de> for Choice<'a> {
    type Error = Error;
    type Variant = Choice<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        Ok((seed.deserialize(str_of(self.variant))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.home {
            let mut keys = self.source.keys.borrow_mut();
            let words = keys.words.entry(self.source.path.clone()).or_default();
            words.insert(self.variant.to_string());
        }
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let inner = self.source.at(self.variant);
        if self.home {
            inner.record();
        }
        seed.deserialize(inner)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("a scenario has no tuples"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let inner = self.source.at(self.variant);
        if self.home {
            inner.record();
            inner.plan_fields(fields);
        }
        visitor.visit_map(inner.fields(fields))
    }
}

impl<'de> Deserializer<'de> for Source<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom(format!(
            "`{}` does not say what it expects: teach this test about it",
            self.path
        )))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(true)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(1.0)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("text")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(One(Some(self)))
    }

    /// A table with names of the author's.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(de::value::MapDeserializer::new(std::iter::empty::<(
            &str,
            f64,
        )>()))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.is_home(name) {
            self.plan_fields(fields);
        }
        visitor.visit_map(self.fields(fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let home = self.is_home(name);
        if home {
            let mut keys = self.keys.borrow_mut();
            if keys.planned.insert(self.path.clone()) {
                for i in 1..variants.len() {
                    let mut run = self.run.clone();
                    run.variants.insert(self.path.clone(), i);
                    keys.pending.push(run);
                }
            }
        }
        // Elsewhere the first variant will do: no type has itself in it there.
        let chosen = self.run.variants.get(&self.path).copied().unwrap_or(0);
        let variant = variants
            .get(chosen)
            .ok_or_else(|| Error::custom("no variant"))?;
        visitor.visit_enum(Choice {
            source: self,
            variant,
            home,
        })
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 char str bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// A row of a table of the reference.
#[derive(Debug)]
struct Row {
    required: bool,
    text: String,
}

/// The rows of all tables with the head "| key |", under the key of their section: the first text in backticks of its heading.
fn rows(document: &str) -> BTreeMap<String, Row> {
    let (mut section, mut in_table) = (String::new(), false);
    let mut rows = BTreeMap::new();
    for line in document.lines() {
        if line.starts_with('#') {
            section = line.split('`').nth(1).unwrap_or_default().to_string();
        }
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        match (line.starts_with('|'), in_table) {
            (false, _) => in_table = false,
            (true, false) => in_table = cells[0] == "key",
            (true, true) if cells[0].starts_with("---") => (),
            (true, true) => {
                assert_eq!(cells.len(), 4, "four cells: {line}");
                let key = cells[0].trim_matches('`');
                let dot = if section.is_empty() { "" } else { "." };
                let row = Row {
                    required: cells[2] == "**required**",
                    text: line.to_string(),
                };
                let path = format!("{section}{dot}{key}");
                assert!(
                    rows.insert(path.clone(), row).is_none(),
                    "{path} is listed twice"
                );
            }
        }
    }
    rows
}

const REFERENCE: &str = include_str!("../../docs/scenario.md");

#[test]
fn the_reference_lists_every_key_and_no_other() {
    let keys = keys_of::<RawScenario>();
    let rows = rows(REFERENCE);
    let mut wrong = vec![];
    for (key, &required) in &keys.keys {
        match rows.get(key) {
            None => wrong.push(format!("`{key}` is not in docs/scenario.md")),
            Some(row) if row.required != required => {
                let (says, is) = if required {
                    ("optional", "required")
                } else {
                    ("required", "optional")
                };
                wrong.push(format!(
                    "`{key}` is {is}, but docs/scenario.md says {says}: {}",
                    row.text
                ));
            }
            Some(_) => (),
        }
    }
    for key in rows.keys().filter(|k| !keys.keys.contains_key(*k)) {
        wrong.push(format!(
            "`{key}` of docs/scenario.md is not a key of scenarios"
        ));
    }
    for (key, words) in &keys.words {
        let text = rows
            .get(key)
            .map(|row| row.text.as_str())
            .unwrap_or_default();
        for word in words
            .iter()
            .filter(|w| !text.contains(&format!("`\"{w}\"`")))
        {
            wrong.push(format!(
                "docs/scenario.md does not say that `{key}` may be \"{word}\""
            ));
        }
    }
    for (key, row) in &rows {
        let known = keys.words.get(key);
        let words = row
            .text
            .split("`\"")
            .skip(1)
            .filter_map(|rest| rest.split("\"`").next());
        for word in words.filter(|w| !known.is_some_and(|k| k.contains(*w))) {
            wrong.push(format!(
                "docs/scenario.md says that `{key}` may be \"{word}\", which it may not"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The recorder sees what there is: some keys of every kind.
#[test]
fn the_types_are_asked() {
    let keys = keys_of::<RawScenario>();
    for (key, required) in [
        ("title", true),
        ("about", false),
        ("landscape.quadratic.spectrum", false),
        ("landscape.expression.parameters", true),
        ("landscape.diagonal_network.sparse.support", true),
        ("noise.gaussian.factor.isotropic", false),
        ("schedule.learning_rate.warmup.then", true),
        ("run.horizon", false),
        ("profile.smoke", false),
        ("compare.expect", true),
    ] {
        assert_eq!(keys.keys.get(key), Some(&required), "{key}");
    }
    assert!(keys.words["landscape.regression.loss"].contains("least_squares"));
    assert!(keys.words["start.m0"].contains("zero") && keys.keys.contains_key("start.m0.fixed"));
    assert!(keys.words["compare.left"].len() == super::ProcessKind::ALL.len());
    assert!(
        !keys.keys.contains_key("profile.smoke.horizon"),
        "as in run"
    );
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Small {
        a: f64,
        #[serde(default)]
        b: Option<Vec<usize>>,
    }
    let small = keys_of::<Small>();
    assert_eq!(
        small.keys,
        BTreeMap::from([("a".into(), true), ("b".into(), false)])
    );
}

/// The defaults that do not depend on the profile, as the reference has them: numbers in backticks.
#[test]
fn the_reference_has_the_defaults_of_run() -> Result<(), super::ScenarioError> {
    let text = "title = \"T\"\nclaim = \"C\"\n[landscape.hyperbola]\n[noise.gaussian]\nfactor = { isotropic = 1.0 }\n[start]\nx0 = { at = [1.0, 1.0] }\n[run]\nhorizon = 1.0\n[[compare]]\nleft = \"sgdm\"\nright = \"sgd\"\nexpect = \"consistent\"\n";
    let slow = text.replace("[landscape.", "regime = \"slow\"\n[landscape.");
    let read = |text: &str, profile| {
        let overrides = super::Overrides::default();
        super::Scenario::parse(
            text,
            "t",
            "t",
            std::path::Path::new("."),
            profile,
            &overrides,
        )
    };
    let profiles = [
        super::Profile::Smoke,
        super::Profile::Quick,
        super::Profile::Full,
    ];
    let cell = |key: &str| {
        let rows = rows(REFERENCE);
        let text = rows.get(&format!("run.{key}")).map_or("", |row| &row.text);
        text.split(" | ").nth(2).unwrap_or_default().to_string()
    };
    let run = read(text, super::Profile::Quick)?.run;
    for (key, value) in [
        ("eta_max", run.etas[0]),
        ("times", run.times as f64),
        ("early_times", run.early_times as f64),
        ("substeps", run.substeps as f64),
        ("looks", run.looks as f64),
        ("slow_step", run.slow_step),
        ("projection_tolerance", run.projection_tolerance),
        ("level", run.level),
        ("keep_paths", run.keep_paths as f64),
        ("seed", run.seed as f64),
    ] {
        assert_eq!(cell(key).trim_matches('`').parse(), Ok(value), "{key}");
    }
    assert_eq!(read(&slow, super::Profile::Quick)?.run.early_times, 0);
    assert_eq!(cell("alphas"), format!("`{:?}`", run.alphas));
    assert_eq!(run.negligible, 0.1 * run.tolerance);
    let (mut fast_runs, mut slow_runs) = (vec![], vec![]);
    for profile in profiles {
        fast_runs.push(read(text, profile)?.run);
        slow_runs.push(read(&slow, profile)?.run);
    }
    let list = |runs: &[super::RunSettings], value: &dyn Fn(&super::RunSettings) -> f64| {
        let numbers: Vec<String> = runs.iter().map(|r| value(r).to_string()).collect();
        numbers.join(", ")
    };
    type Value = fn(&super::RunSettings) -> f64;
    let values: [(&str, Value); 3] = [
        ("etas", |r| r.etas.len() as f64),
        ("paths", |r| r.paths as f64),
        ("max_paths", |r| r.max_paths as f64),
    ];
    for (key, value) in values {
        let expected = format!(
            "{} ({})",
            list(&fast_runs, &value),
            list(&slow_runs, &value)
        );
        assert_eq!(cell(key), expected, "{key}");
    }
    let both: [(&str, Value); 2] = [
        ("sde_etas", |r| r.sde_etas as f64),
        ("tolerance", |r| r.tolerance),
    ];
    for (key, value) in both {
        assert_eq!(cell(key), list(&fast_runs, &value), "{key}");
        assert_eq!(cell(key), list(&slow_runs, &value), "{key}, slow");
    }
    Ok(())
}
