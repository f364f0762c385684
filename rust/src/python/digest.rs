//! Entity tags for content.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// A strong entity tag (RFC 9110 §8.8.3) for the content that these pieces make, in its quotes.
///
/// It is the same in every process and version. It is no protection against content that was made
/// to have the same tag.
pub fn tag_of(chunks: &Bound<'_, PyList>) -> PyResult<String> {
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
    Ok(format!("\"{hash:032x}\""))
}
