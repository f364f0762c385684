//! Close frames: their codes and reasons (RFC 6455 §5.5.1, §7.4).

use super::error::Error;
use super::frame::MAX_CONTROL_PAYLOAD;

/// What a Close frame says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloseReason {
    /// The code, None if the frame is empty.
    pub code: Option<u16>,
    /// The reason, empty if there is none.
    pub reason: String,
}

/// Whether a Close frame may have this code: those that are registered (1000 to 1014 but for the
/// three that stand for what did not come over the wire) and those for applications.
#[must_use]
pub const fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

impl CloseReason {
    /// Read the payload of a Close frame.
    ///
    /// # Errors
    /// The code is cut off or may not be sent, or the reason is not UTF-8.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let (code, reason) = match payload {
            [] => return Ok(Self::default()),
            [_] => return Err(Error::CloseCode),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        if !is_sendable(code) {
            return Err(Error::CloseCode);
        }
        let reason = std::str::from_utf8(reason).map_err(|_| Error::CloseReason)?;
        Ok(Self {
            code: Some(code),
            reason: reason.to_owned(),
        })
    }

    /// The payload that says this. A reason that is too long is cut off behind a character.
    #[must_use]
    pub fn payload(code: Option<u16>, reason: &str) -> Vec<u8> {
        let Some(code) = code else {
            return Vec::new();
        };
        let mut end = reason.len().min(MAX_CONTROL_PAYLOAD - 2);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let mut payload = Vec::with_capacity(2 + end);
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(&reason.as_bytes()[..end]);
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for code in [
            1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999,
        ] {
            assert!(is_sendable(code), "{code}");
        }
        for code in [
            0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ] {
            assert!(!is_sendable(code), "{code}");
        }
    }

    #[test]
    fn payloads() {
        assert_eq!(CloseReason::parse(b""), Ok(CloseReason::default()));
        assert_eq!(CloseReason::parse(b"\x03"), Err(Error::CloseCode));
        assert_eq!(CloseReason::parse(b"\x03\xed"), Err(Error::CloseCode));
        assert_eq!(CloseReason::parse(b"\x03\xe8\xff"), Err(Error::CloseReason));
        let bye = CloseReason {
            code: Some(1000),
            reason: "bye".to_owned(),
        };
        assert_eq!(CloseReason::parse(b"\x03\xe8bye"), Ok(bye));
        assert_eq!(CloseReason::payload(Some(1000), "bye"), b"\x03\xe8bye");
        assert_eq!(CloseReason::payload(None, "bye"), b"");
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        let payload = CloseReason::payload(Some(1000), &"é".repeat(100));
        assert_eq!(payload.len(), 124);
        assert!(CloseReason::parse(&payload).is_ok());
    }
}
