//! Entity tags for content.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";

/// A strong entity tag (RFC 9110 §8.8.3) for the content that these pieces make, in its quotes.
///
/// It is the same in every process and version. It is no protection against content that was made
/// to have the same tag.
pub fn tag_of(chunks: &Bound<'_, PyList>) -> PyResult<[u8; 34]> {
    let hash = match chunks.len() {
        1 => xxh3_128(chunks.get_item(0)?.cast::<PyBytes>()?.as_bytes()),
        _ => {
            let mut state = Xxh3::new();
            for chunk in chunks {
                state.update(chunk.cast::<PyBytes>()?.as_bytes());
            }
            state.digest128()
        }
    };
    let mut tag = [b'"'; 34];
    for (place, byte) in hash.to_be_bytes().into_iter().enumerate() {
        tag[1 + 2 * place] = HEXADECIMAL[usize::from(byte >> 4)];
        tag[2 + 2 * place] = HEXADECIMAL[usize::from(byte & 15)];
    }
    Ok(tag)
}
