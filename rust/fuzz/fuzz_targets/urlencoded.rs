//! Fields are no more than allowed and no larger than the input they come from.
#![no_main]

use _core::forms::urlencoded::{Options, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for (max_fields, keep_blank_values, strict) in [
        (1000, true, false),
        (3, false, false),
        (usize::MAX, true, true),
    ] {
        let options = Options {
            max_fields,
            keep_blank_values,
            strict,
        };
        let Ok(fields) = parse(data, options) else {
            assert!(data.iter().filter(|&&byte| byte == b'&').count() >= max_fields);
            continue;
        };
        let (mut count, mut size) = (0, 0);
        for (name, value) in fields.flatten() {
            assert!(keep_blank_values || !value.is_empty());
            count += 1;
            size += name.len() + value.len();
        }
        assert!(count <= max_fields && size <= data.len());
    }
});
