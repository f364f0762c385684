//! Runs the cases of `tests/http1/cases`: whole, split at every byte, and byte by byte.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod support;

use std::fs;
use std::path::Path;

use support::{Conversation, Trace, unescape};

/// Longer input is split at so many places only, evenly spread, so that a run stays short.
const MOST_SPLITS: usize = 400;

struct Case {
    name: String,
    conversation: Conversation,
    input: Vec<u8>,
    expected: Vec<String>,
}

fn read_cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/http1/cases");
    let mut cases = Vec::new();
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name != "README.md"))
        .collect();
    paths.sort();
    for path in paths {
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        read_file(&file, &fs::read_to_string(path).unwrap(), &mut cases);
    }
    cases
}

fn read_file(file: &str, text: &str, cases: &mut Vec<Case>) {
    let mut name = String::new();
    let mut pending: Option<(Conversation, Vec<u8>)> = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            assert!(pending.is_none(), "{name}: no events");
            name = format!("{file}: {heading}");
        } else if let Some(info) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if info == "events" {
                let (conversation, input) = pending.take().expect("events without input");
                cases.push(Case {
                    name: name.clone(),
                    conversation,
                    input,
                    expected: block.iter().map(|line| (*line).to_owned()).collect(),
                });
            } else {
                pending = Some((Conversation::from_info(info), unescape(&block.concat())));
            }
        }
    }
    assert!(pending.is_none(), "{name}: no events");
}

#[test]
fn cases() {
    let cases = read_cases();
    assert!(cases.len() > 10, "the cases were not found");
    let mut failures = Vec::new();
    for case in &cases {
        let whole = case.conversation.run([&case.input[..]]);
        let expected = with_fields_only_if_listed(&whole, &case.expected);
        if expected != case.expected {
            failures.push(format!(
                "{}\n  expected {:#?}\n  got {:#?}",
                case.name,
                case.expected,
                whole.lines()
            ));
            continue;
        }
        let step = case.input.len().div_ceil(MOST_SPLITS).max(1);
        for at in (1..case.input.len()).step_by(step) {
            let (first, second) = case.input.split_at(at);
            let split = case.conversation.run([first, second]);
            if split.lines() != whole.lines() {
                failures.push(format!(
                    "{}: split at {at}: {:#?}",
                    case.name,
                    split.lines()
                ));
                break;
            }
        }
        let bytes = case.conversation.run(case.input.chunks(1));
        if bytes.lines() != whole.lines() {
            failures.push(format!("{}: by bytes: {:#?}", case.name, bytes.lines()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What was seen, without the fields of those heads whose fields the case does not list.
fn with_fields_only_if_listed(trace: &Trace, expected: &[String]) -> Vec<String> {
    let is_field = |line: &String| line.starts_with("field ");
    let listed: Vec<bool> = expected
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with("head "))
        .map(|(index, _)| expected.get(index + 1).is_some_and(is_field))
        .collect();
    let mut heads = 0;
    trace
        .lines()
        .into_iter()
        .filter(|line| {
            heads += usize::from(line.starts_with("head "));
            !is_field(line) || listed.get(heads - 1).is_some_and(|listed| *listed)
        })
        .collect()
}
