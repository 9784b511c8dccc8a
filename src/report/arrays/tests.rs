//! The arrays come back from the file, hold the numbers of the result, and are the ones that `docs/data.md` lists.

use super::*;
use crate::report::plots::fixture::ornstein_uhlenbeck;
use crate::report::plots::slow_fixture::{between, hyperbola};
use crate::report::tables::TABLES;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Cursor, Read};

const DOCS: &str = include_str!("../../../docs/data.md");

fn file(result: &ScenarioResult) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    write(result, &mut bytes).expect("written");
    bytes.into_inner()
}

#[test]
fn arrays_come_back_with_all_their_bits() {
    for result in [ornstein_uhlenbeck(), hyperbola()] {
        let bytes = file(&result);
        assert!(bytes == file(&result), "the same bytes again");
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("an archive");
        let all = arrays(&result);
        assert_eq!(archive.len(), all.len());
        for array in all {
            let mut entry = archive
                .by_name(&format!("{}.npy", array.name))
                .expect("an entry");
            let mut bytes = vec![];
            entry.read_to_end(&mut bytes).expect("read");
            let npy = npyz::NpyFile::new(&bytes[..]).expect("an array");
            let shape: Vec<usize> = npy.shape().iter().map(|&n| n as usize).collect();
            assert_eq!(
                (shape, npy.order()),
                (array.shape, npyz::Order::C),
                "{}",
                array.name
            );
            match array.data {
                Data::Numbers(values) => {
                    let back: Vec<f64> = npy.into_vec().expect("numbers");
                    let bits = |v: &[f64]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&back), bits(&values), "{}", array.name);
                }
                Data::Counts(values) => assert_eq!(npy.into_vec::<u64>().expect("counts"), values),
                Data::Texts(values) => assert_eq!(npy.into_vec::<String>().expect("texts"), values),
            }
        }
    }
}

#[test]
fn arrays_hold_the_numbers_of_the_result() {
    let result = hyperbola();
    let all = arrays(&result);
    let at = |name: &str, index: &[usize]| -> f64 {
        let array = all.iter().find(|a| a.name == name).expect("an array");
        let flat = index
            .iter()
            .zip(&array.shape)
            .fold(0, |flat, (i, n)| flat * n + i);
        match &array.data {
            Data::Numbers(values) => values[flat],
            Data::Counts(values) => values[flat] as f64,
            Data::Texts(_) => f64::NAN,
        }
    };
    let check = &result.comparisons[1].functions[1];
    assert_eq!(at("error", &[1, 1, 2]), check.errors[2].error.value);
    assert_eq!(at("limit_upper", &[1, 1]), check.limit.upper);
    let process = &result.cells[2].processes[1];
    assert_eq!(
        at("quantile", &[2, 1, 0, 3, 4]),
        process.quantiles[0].values[3][4]
    );
    let histogram = &process.histograms[1];
    assert_eq!(at("histogram_time", &[2, 1, 0, 1]), histogram.time);
    assert_eq!(
        at("histogram_count", &[2, 1, 0, 1, 7]),
        histogram.counts[7] as f64
    );
    let before = result.comparisons[0].distances.len();
    let distance = &result.comparisons[1].distances[2];
    assert_eq!(
        at("distance", &[before + 2, 1]),
        distance.check.errors[1].error.value
    );
    assert_eq!(at("distance_comparison", &[before + 2]), 1.0);
    let before = result.comparisons[0].laws.len();
    let law = &result.comparisons[1].laws[0].points[2];
    assert_eq!(at("law_p_value", &[before, 2]), law.p_value);
    assert_eq!(at("law_distance_upper", &[before, 2]), law.distance.upper);
    assert_eq!(at("law_comparison", &[before]), 1.0);
    let close = &result.comparisons[3].closeness[0].points[1];
    assert_eq!(at("closeness_factor", &[3, 1]), close.factor.value);
    assert_eq!(at("closeness_comparison", &[3]), 3.0);
}

/// The part of the document below a heading, up to the next one of its rank.
fn chapter(heading: &str) -> &'static str {
    let (_, rest) = DOCS
        .split_once(&format!("\n## {heading}\n"))
        .expect("a chapter");
    rest.split("\n## ").next().unwrap_or(rest)
}

/// The words in backticks of the first cell of every row of tables, and of the second.
fn rows(text: &str) -> Vec<(String, Vec<String>)> {
    let ticked = |cell: &str| -> Vec<String> {
        let parts = cell.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    let lines = text.lines().filter(|l| l.starts_with("| `"));
    lines
        .map(|l| {
            let cells: Vec<&str> = l.split(" | ").collect();
            let name = ticked(cells[0]).concat();
            (name, cells.get(1).map_or(vec![], |c| ticked(c)))
        })
        .collect()
}

#[test]
fn the_document_lists_the_arrays_with_their_axes() {
    let listed = rows(chapter("statistics.npz"));
    let there: Vec<(String, Vec<String>)> = arrays(&hyperbola())
        .iter()
        .map(|a| {
            (
                a.name.to_owned(),
                a.axes.iter().map(|&x| x.to_owned()).collect(),
            )
        })
        .collect();
    let sorted = |mut v: Vec<(String, Vec<String>)>| {
        v.sort();
        v
    };
    assert_eq!(sorted(listed), sorted(there));
}

/// Paths of two processes at two η, with different numbers of times.
fn kept() -> KeptPaths {
    KeptPaths {
        etas: vec![0.5, 0.25],
        times: vec![vec![0.0, 0.5], vec![0.0, 0.25, 0.5]],
        shape: [2, 3, 1, 3, 2],
        states: (0..36).map(f64::from).collect(),
    }
}

#[test]
fn kept_paths_come_back() {
    let (mut result, kept) = (hyperbola(), kept());
    result.processes.truncate(3);
    let mut bytes = Cursor::new(vec![]);
    write_paths(&result, &kept, &mut bytes).expect("written");
    let mut archive = zip::ZipArchive::new(bytes).expect("an archive");
    let mut read = |name: &str| -> (Vec<u64>, Vec<f64>) {
        let mut entry = archive.by_name(name).expect("an entry");
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).expect("read");
        let npy = npyz::NpyFile::new(&bytes[..]).expect("an array");
        (npy.shape().to_vec(), npy.into_vec().expect("numbers"))
    };
    assert_eq!(read("state.npy"), (vec![2, 3, 1, 3, 2], kept.states));
    assert_eq!(read("eta.npy"), (vec![2], kept.etas));
    let (shape, times) = read("time.npy");
    assert_eq!(shape, [2, 3]);
    assert_eq!(
        (&times[..2], &times[3..]),
        (&[0.0, 0.5][..], &[0.0, 0.25, 0.5][..])
    );
    assert!(times[2].is_nan());
}

#[test]
fn the_document_lists_the_arrays_of_kept_paths() {
    let owned = |axes: &[&str]| axes.iter().map(|&x| x.to_owned()).collect::<Vec<_>>();
    let coordinates = path_coordinates(&hyperbola(), &kept());
    let mut there: Vec<_> = coordinates
        .iter()
        .map(|a| (a.name.to_owned(), owned(a.axes)))
        .collect();
    there.push(("state".to_owned(), owned(&STATE_AXES)));
    assert_eq!(rows(chapter("paths.npz")), there);
}

#[test]
fn the_document_lists_the_tables_with_their_columns() {
    let listed = rows(chapter("CSV tables"));
    let there: Vec<(String, Vec<String>)> = TABLES
        .iter()
        .map(|t| {
            (
                t.name.to_owned(),
                t.columns.iter().map(|&c| c.to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(listed, there);
}

/// Sets of keys of all objects in a JSON value.
fn objects(value: &Value, found: &mut BTreeSet<BTreeSet<String>>) {
    match value {
        Value::Array(list) => list.iter().for_each(|v| objects(v, found)),
        Value::Object(map) => {
            found.insert(map.keys().cloned().collect());
            map.values().for_each(|v| objects(v, found));
        }
        _ => {}
    }
}

/// Every kind of object in the file has a table with exactly its keys, and every table an object.
fn documented(heading: &str, values: &[Value]) {
    let mut there = BTreeSet::new();
    values.iter().for_each(|v| objects(v, &mut there));
    let tables = chapter(heading)
        .split("\n### ")
        .map(|part| -> BTreeSet<String> { rows(part).into_iter().map(|r| r.0).collect() });
    let listed: BTreeSet<BTreeSet<String>> = tables.filter(|t| !t.is_empty()).collect();
    let missing: Vec<_> = there.difference(&listed).collect();
    let extra: Vec<_> = listed.difference(&there).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "not in docs/data.md: {missing:#?}; only there: {extra:#?}"
    );
}

/// A result in which every kind of object occurs.
fn full() -> ScenarioResult {
    let mut result = ornstein_uhlenbeck();
    let slow = hyperbola();
    result.clouds = slow.clouds;
    result.hand_over = between().hand_over;
    result.fall = Some(Fall {
        times: vec![0.5],
        distances: vec![0.1],
    });
    result.comparisons.extend(slow.comparisons);
    let slope = SlopePoint {
        eta_large: 0.5,
        eta_small: 0.25,
        slope: result.comparisons[0].limit,
    };
    result.comparisons[0].functions[0].slopes.push(slope);
    result.cells[0].processes[0]
        .means
        .push(EstimateSeries::default());
    result
}

#[test]
fn the_document_lists_every_field_of_the_result() {
    let value = serde_json::to_value(full()).expect("JSON");
    documented("result.json", &[value]);
    assert!(DOCS.contains(&format!("`schema` is {SCHEMA}")));
}

#[test]
fn the_document_lists_every_field_of_the_summary() {
    use crate::report::summary::{ScenarioRow, Summary};
    let mut summary = Summary::new("quick", 1.0, vec![ScenarioRow::new(&full())], vec![]);
    summary.path_steps = 1;
    let value = serde_json::to_value(summary).expect("JSON");
    documented("summary.json", &[value]);
}
