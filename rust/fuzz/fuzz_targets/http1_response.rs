//! Responses: the same events however the input is split, to each kind of request.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

use _core::http1::Role;
use libfuzzer_sys::fuzz_target;
use support::Conversation;

fuzz_target!(|data: &[u8]| {
    // The first two bytes say where to split, what was asked for, and how small the limits are.
    let [at, kind, input @ ..] = data else {
        return;
    };
    let mut conversation = Conversation::new(Role::Client);
    conversation.method = [&b"GET"[..], b"HEAD", b"CONNECT"][usize::from(kind % 3)].to_vec();
    conversation.eof = at & 1 == 1;
    if kind & 64 == 64 {
        conversation.limits.max_head_size = usize::from(*kind);
        conversation.limits.max_body_size = u64::from(kind % 16);
    }
    let whole = conversation.run([input]);
    let (first, second) = input.split_at(usize::from(*at) % (input.len() + 1));
    let split = conversation.run([first, second]);
    assert_eq!(whole.lines(), split.lines());
    assert!(whole.calls <= 4 * input.len() + 1);
    if input.len() < 1024 {
        assert_eq!(whole.lines(), conversation.run(input.chunks(1)).lines());
    }
});
