//! The Keep-Alive field, in which servers say how long they keep an idle connection. It was only
//! ever in a draft (draft-thomson-hybi-http-timeout), but nginx, Apache and Node send it.

use crate::headers::list_members;

/// The seconds of `timeout=N` in the value of Keep-Alive, if they are there.
#[must_use]
pub fn idle_seconds(value: &[u8]) -> Option<u64> {
    list_members(value).find_map(|member| {
        let (name, seconds) = member.split_at(memchr::memchr(b'=', member)?);
        let digits = std::str::from_utf8(&seconds[1..]).ok()?.trim_matches('"');
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        (name.eq_ignore_ascii_case(b"timeout") && is_number)
            .then(|| digits.parse().unwrap_or(u64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::idle_seconds;

    #[test]
    fn seconds_of_keep_alive() {
        for (value, seconds) in [
            (&b"timeout=5"[..], Some(5)),
            (b"max=100, Timeout=75", Some(75)),
            (b"timeout=\"60\", max=2", Some(60)),
            (b"timeout=99999999999999999999999", Some(u64::MAX)),
            (b"timeout=0", Some(0)),
            (b"timeout=-1", None),
            (b"timeout=", None),
            (b"timeout", None),
            (b"max=5", None),
            (b"", None),
            (b"timeout=\xff", None),
        ] {
            assert_eq!(idle_seconds(value), seconds, "{}", value.escape_ascii());
        }
    }
}
