//! Which streams lose when too much is held, in the form of [`crate::spec`].

use crate::spec::tell;

/// The limit is 16 MiB: 160 bodies of 100 KiB, and the state of their streams.
#[test]
fn strangers_lose_when_too_much_is_held_the_oldest_first() {
    let mut story = vec![("push a".to_owned(), String::new())];
    let mut add = |event: String, wanted: &str| story.push((event, wanted.to_owned()));
    add("headers 1 good".to_owned(), "pause");
    for stream in 2..=162 {
        add(format!("bootstrap {stream}"), "pause");
    }
    for stream in 2..=161 {
        add(format!("body {stream} large"), "pause");
    }
    let shed = |stream| format!("denied.overloaded, {stream}:deny overloaded, {stream}:answer 14");
    add("body 162 large".to_owned(), &format!("pause, {}, warn", shed(2)));
    add("body 1 long".to_owned(), &format!("pause, {}, warn", shed(3)));
    add("bootstrap 163".to_owned(), "pause");
    add("body 163 boot-good end".to_owned(), "continue, allowed, kid.1.allowed, 163:allow");
    add("headers 164 good".to_owned(), "pause");
    add("body 164 ingress".to_owned(), "continue, allowed, kid.1.allowed, 164:allow");
    add("gauges".to_owned(), "open 2 held 160 shadowed 0");
    tell(&story);
}

/// The limit is 16 MiB: 270 times 60,000 bytes, and the state of each stream.
#[test]
fn headers_count_towards_the_limit_of_held_data() {
    let mut story = vec![("push a".to_owned(), String::new())];
    for stream in 1..=270 {
        story.push((format!("bootstrap {stream} with 60000"), "pause".to_owned()));
    }
    let shed = "pause, denied.overloaded, 1:deny overloaded, 1:answer 14, warn".to_owned();
    story.push(("bootstrap 271 with 60000".to_owned(), shed));
    tell(&story);
}

/// If only proxies with a verified token hold data, the stream that has waited longest is refused.
#[test]
fn without_strangers_the_stream_that_has_waited_longest_loses() {
    let mut story = vec![("push a".to_owned(), String::new())];
    for stream in 1..=161 {
        story.push((format!("headers {stream} good"), "pause".to_owned()));
    }
    for stream in 1..=161 {
        story.push((format!("body {stream} long"), "pause".to_owned()));
    }
    let lost = "pause, denied.overloaded, 1:deny overloaded, 1:answer 14, warn";
    story.last_mut().unwrap().1 = lost.to_owned();
    // Whoever is done at once is let in.
    let lost = "pause, denied.overloaded, 2:deny overloaded, 2:answer 14, warn";
    story.push(("headers 162 other".to_owned(), "pause".to_owned()));
    story.push(("headers 163 other".to_owned(), "pause".to_owned()));
    story.push(("body 163 long".to_owned(), lost.to_owned()));
    story.push((
        "body 162 ingress".to_owned(),
        "continue, allowed, kid.1.allowed, 162:allow".to_owned(),
    ));
    story.push(("gauges".to_owned(), "open 1 held 160 shadowed 0".to_owned()));
    tell(&story);
}

/// In shadow mode the gate holds copies of the bodies.
#[test]
fn in_shadow_mode_a_stranger_that_loses_passes() {
    let mut story = vec![("push a {\"mode\": \"shadow\"}".to_owned(), String::new())];
    for stream in 1..=200 {
        story.push((format!("bootstrap {stream}"), format!("continue, {stream}:pending")));
        let mut wanted = "continue".to_owned();
        if stream > 160 {
            let lost = stream - 160;
            wanted = format!("continue, would_deny.overloaded, {lost}:would_deny overloaded");
        }
        if (161..171).contains(&stream) {
            wanted += ", warn";
        }
        story.push((format!("body {stream} large"), wanted));
    }
    tell(&story);
}
