//! Headers behave like a plain list of pairs, and can never split a head when they are written.
#![no_main]

use _core::headers::{Headers, is_field_value, is_token, normalise_into, trim_ows};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut headers = Headers::new();
    let mut model: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    // Each step is three bytes (what to do, length of a name, length of a value) and those texts.
    let mut rest = data;
    while let [step, name_length, value_length, tail @ ..] = rest {
        let (name, tail) = tail.split_at(usize::from(name_length % 8).min(tail.len()));
        let (value, tail) = tail.split_at(usize::from(*value_length).min(tail.len()));
        rest = tail;
        let (good_name, good_value) = (is_token(name), is_field_value(value));
        let mut key = Vec::new();
        normalise_into(&mut key, name);
        let text = trim_ows(value).to_vec();
        match step % 4 {
            0 => {
                assert_eq!(headers.add(name, value).is_ok(), good_name && good_value);
                if good_name && good_value {
                    model.push((key, text));
                }
            }
            1 => {
                assert_eq!(headers.set(name, value).is_ok(), good_name && good_value);
                if good_name && good_value {
                    match model.iter().position(|(known, _)| *known == key) {
                        None => model.push((key, text)),
                        Some(first) => {
                            let mut index = 0;
                            model.retain(|(known, _)| {
                                index += 1;
                                index - 1 <= first || *known != key
                            });
                            model[first].1 = text;
                        }
                    }
                }
            }
            _ => {
                assert_eq!(
                    headers.remove(name),
                    model.iter().any(|(known, _)| *known == key)
                );
                model.retain(|(known, _)| *known != key);
            }
        }
        let seen: Vec<_> = headers
            .iter()
            .map(|(n, v)| (n.to_vec(), v.to_vec()))
            .collect();
        assert_eq!(seen, model);
    }
    let mut out = Vec::new();
    headers.write_to(&mut out);
    assert_eq!(
        out.iter().filter(|byte| **byte == b'\n').count(),
        model.len()
    );
    assert_eq!(
        out.iter().filter(|byte| **byte == b'\r').count(),
        model.len()
    );
});
