//! Entity tags (RFC 9110 §8.8.3).

/// Whether a list of tags, the value of If-None-Match, names this tag or is `*` (§13.1.2).
///
/// The comparison is weak (§8.8.3.2). What is not a tag is passed over. Linear in both.
#[must_use]
pub fn matches(mut list: &[u8], etag: &[u8]) -> bool {
    if etag.is_empty() {
        return false;
    }
    let opaque = etag.strip_prefix(b"W/").unwrap_or(etag);
    loop {
        match list {
            [] => return false,
            [b'*', ..] => return true,
            [b'"', rest @ ..] => {
                let Some(end) = memchr::memchr(b'"', rest) else {
                    return false;
                };
                if &list[..end + 2] == opaque {
                    return true;
                }
                list = &rest[end + 1..];
            }
            [_, rest @ ..] => list = rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn compares_weakly_with_each_member() {
        for list in [
            r#""a""#,
            r#"W/"a""#,
            r#""b", "a""#,
            r#""b",W/"a" , "c""#,
            "*",
        ] {
            assert!(matches(list.as_bytes(), br#""a""#), "{list}");
            assert!(matches(list.as_bytes(), br#"W/"a""#), "{list}");
        }
        for list in ["", "a", r#""b""#, r#""aa""#, r#""a"#, r#""b*""#] {
            assert!(!matches(list.as_bytes(), br#""a""#), "{list}");
        }
        assert!(!matches(b"*", b""));
    }
}
