//! Parts are no more than allowed, in order, within the body, and end at a delimiter.
#![no_main]

use _core::forms::multipart::{Limits, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (split, data) = input;
    // A short boundary is found in random bytes.
    let (boundary, body) = data.split_at(usize::from(split % 4).min(data.len()));
    check(boundary, body);
    // So that parameters of a disposition are reached.
    let head = b"--a\r\nContent-Disposition: form-data;";
    check(b"a", &[head, data, b"\r\n\r\n--a--"].concat());
});

fn check(boundary: &[u8], body: &[u8]) {
    let limits = Limits {
        max_parts: 5,
        max_part_header_size: 200,
    };
    let Ok(parts) = parse(boundary, body, limits) else {
        return;
    };
    assert!(parts.len() <= limits.max_parts);
    let mut last = 0;
    for part in parts {
        assert!(last <= part.body.start && part.body.start <= part.body.end);
        assert!(body[part.body.end..].starts_with(b"\r\n--"));
        assert!(!part.name.is_empty() && part.name.len() <= limits.max_part_header_size);
        last = part.body.end;
    }
}
