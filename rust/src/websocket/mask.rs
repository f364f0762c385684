//! Masking (RFC 6455 §5.3): payload XOR a key of four bytes, over and over.

/// A masking key.
pub type Key = [u8; 4];

/// Bytes that are masked at once: as wide as the widest vector registers, so that the compiler
/// makes one instruction of it.
const BLOCK: usize = 32;

/// Mask `data` in place, or take the mask off: it is the same. `offset` is where the data stands
/// in its payload. O(n).
pub fn mask(data: &mut [u8], key: Key, offset: usize) {
    let mut block = [0; BLOCK];
    for (place, byte) in block.iter_mut().enumerate() {
        *byte = key[(offset + place) % 4];
    }
    let (blocks, rest) = data.as_chunks_mut::<BLOCK>();
    for chunk in blocks {
        for (byte, key) in chunk.iter_mut().zip(block) {
            *byte ^= key;
        }
    }
    for (byte, key) in rest.iter_mut().zip(block) {
        *byte ^= key;
    }
}

/// Append the unmasked form of `data` to `out`.
pub fn append(out: &mut Vec<u8>, data: &[u8], key: Option<Key>, offset: usize) {
    let start = out.len();
    out.extend_from_slice(data);
    if let Some(key) = key {
        mask(&mut out[start..], key, offset);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn example_of_the_rfc() {
        // RFC 6455 §5.7: a masked "Hello".
        let mut data = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        mask(&mut data, [0x37, 0xfa, 0x21, 0x3d], 0);
        assert_eq!(&data, b"Hello");
    }

    proptest! {
        #[test]
        fn is_what_the_rfc_says(data: Vec<u8>, key: Key, offset in 0usize..8) {
            let mut masked = data.clone();
            mask(&mut masked, key, offset);
            let expected: Vec<u8> = data
                .iter()
                .enumerate()
                .map(|(place, byte)| byte ^ key[(place + offset) % 4])
                .collect();
            prop_assert_eq!(masked, expected);
        }
    }
}
