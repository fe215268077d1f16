//! What a reload can change, and what needs a restart.

use super::config;

#[test]
fn only_four_settings_need_a_restart() {
    let running = config("");
    for (text, needed) in [
        ("listen: 127.0.0.1:1", vec!["listen"]),
        ("admin: {listen: 127.0.0.1:1}", vec!["admin.listen"]),
        ("threads: 999", vec!["threads"]),
        ("storage: {memory: 1GiB}", vec!["storage"]),
        ("threads: 999\nlisten: 127.0.0.1:1", vec!["listen", "threads"]),
        ("admin: {token: t}", vec![]),
        ("max_body: 1MiB", vec![]),
        ("providers: {a: {url: http://a.example}}", vec![]),
        ("cache: {exact: {ttl: 1s}}\nfeatures: {coalesce: off}\nlog: {level: debug}", vec![]),
    ] {
        let new = config(text);
        assert_ne!(new, running, "{text}");
        assert_eq!(running.needs_restart(&new), needed, "{text}");
    }
    assert!(running.needs_restart(&config("listen: 127.0.0.1:8080")).is_empty());
}

#[test]
fn a_reload_keeps_the_old_value_of_what_needs_a_restart_and_shows_it() {
    let running = config(
        "listen: 127.0.0.1:1\nadmin: {listen: 127.0.0.1:2}\nthreads: 3\nstorage: {memory: 4MiB}\ncache: {max_entry: 1MiB}",
    );
    let new = config(
        "listen: 127.0.0.1:5\nadmin: {listen: 127.0.0.1:6, token: t}\nthreads: 7\nstorage: {memory: 8MiB}\ncache: {max_entry: 2MiB}",
    );
    let kept = new.clone().keeping_restart_settings_of(&running);
    assert!(running.needs_restart(&kept).is_empty());
    assert_eq!((kept.cache, kept.admin.token.is_some()), (new.cache, true));
    let shown = kept.effective();
    assert_eq!(shown["listen"], "127.0.0.1:1");
    assert_eq!(shown["admin"]["listen"], "127.0.0.1:2");
    assert_eq!(shown["threads"], 3);
    assert_eq!(shown["storage"]["memory"], "4MiB");
    assert_eq!(shown["cache"]["max_entry"], "2MiB");
}

#[test]
fn a_reload_never_opens_a_reachable_admin_listener() {
    let running = config("admin: {listen: '0.0.0.0:9090', token: t0ken}");
    let kept = config("admin: {listen: '127.0.0.1:9090'}").keeping_restart_settings_of(&running);
    assert_eq!(kept.admin, running.admin);
    assert_eq!(kept.effective()["admin"]["token"], "(hidden)");
    let loopback = config("admin: {listen: '127.0.0.1:9090', token: t0ken}");
    assert_eq!(config("").keeping_restart_settings_of(&loopback).admin.token, None);
}
