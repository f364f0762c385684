//! Requests: the same events however the input is split; what was understood can be sent again
//! and is then understood alike.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

use _core::http1::{BodyLength, Decoder, Encoder, Event, Limits, Role, StartLine};
use libfuzzer_sys::fuzz_target;
use support::Conversation;

fuzz_target!(|data: &[u8]| {
    // The first two bytes say where to split, and how small the limits are.
    let [at, limit, input @ ..] = data else {
        return;
    };
    let mut conversation = Conversation::new(Role::Server);
    conversation.eof = at & 1 == 1;
    if limit & 1 == 1 {
        conversation.limits.max_head_size = usize::from(*limit);
        conversation.limits.max_body_size = u64::from(*limit >> 4);
    }
    let whole = conversation.run([input]);
    let (first, second) = input.split_at(usize::from(*at) % (input.len() + 1));
    let split = conversation.run([first, second]);
    assert_eq!(whole.lines(), split.lines());
    assert!(whole.calls <= 4 * input.len() + 1);
    if input.len() < 1024 {
        assert_eq!(whole.lines(), conversation.run(input.chunks(1)).lines());
    }
    send_again(input);
});

fn send_again(input: &[u8]) {
    let decode = |input: &[u8]| match Decoder::new(Role::Server, Limits::default()).decode(input) {
        Ok((_, Event::Head(head))) => Some(head),
        _ => None,
    };
    let Some(head) = decode(input) else {
        return;
    };
    let StartLine::Request { method, target, .. } = &head.start_line else {
        unreachable!("a response came to a server")
    };
    let mut out = Vec::new();
    let sent = Encoder::new().request(
        &mut out,
        head.text(method),
        head.text(target),
        &head.headers,
    );
    if sent.is_err() {
        // Lengths that only a reader takes ("5, 5").
        assert!(matches!(head.body, BodyLength::Exact(_)));
        return;
    }
    let again = decode(&out).expect("what we send, we understand");
    let StartLine::Request {
        method: m,
        target: t,
        ..
    } = &again.start_line
    else {
        unreachable!("a response came to a server")
    };
    assert_eq!(head.text(method), again.text(m));
    assert_eq!(head.text(target), again.text(t));
    assert_eq!(head.body, again.body);
    assert!(head.headers.iter().eq(again.headers.iter()));
}
