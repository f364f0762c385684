//! Escaped text has nothing special in it and grows at most sixfold; decoding never grows.
#![no_main]

use _core::escape::{url_unescape, xhtml_escape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let escaped = xhtml_escape(data);
    assert!(!escaped.iter().any(|byte| b"<>\"'".contains(byte)));
    assert!(data.len() <= escaped.len() && escaped.len() <= data.len() * b"&quot;".len());
    for plus in [false, true] {
        let decoded = url_unescape(data, plus);
        assert!(decoded.len() <= data.len() && data.len() <= decoded.len() * 3);
        let written: String = decoded.iter().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(url_unescape(written.as_bytes(), plus), decoded);
    }
});
