//! Redis behind TLS, for users who may do little.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use reqwest::Method;
use tempfile::TempDir;

use super::super::embeddings::{embed, texts};
use super::sentinels::Sentinel;
use super::tier::stored;
use super::{cluster, in_use, sidecars_with};
use crate::harness::{Binary, Fault, Hold, Pareto, Redis, free_port, provider, until, within};

/// An authority made for one test, with a certificate for this machine and one for a client.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
        let mut about = CertificateParams::new([]).unwrap();
        // Each must be told from what it signs, and from the others.
        about.distinguished_name.push(DnType::CommonName, format!("authority {}", free_port()));
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(about, KeyPair::generate().unwrap()).unwrap();
        write("ca.pem", issuer.pem());
        for name in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
            let signed = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
            write(&format!("{name}.pem"), signed.pem());
            write(&format!("{name}-key.pem"), key.serialize_pem());
        }
        Self(directory)
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// What makes a server answer with TLS on a second port, and what to ask its clients for.
    fn options(&self, port: u16, clients: &str) -> Vec<String> {
        let [certificate, key, ca] = ["server.pem", "server-key.pem", "ca.pem"].map(|name| self.file(name));
        let port = port.to_string();
        let options = [
            ["--tls-port", &port],
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &ca],
            ["--tls-auth-clients", clients],
        ];
        options.concat().into_iter().map(str::to_owned).collect()
    }

    /// A server with TLS on the port given beside it.
    async fn server(&self, clients: &str) -> (Redis, u16) {
        let port = free_port();
        let options = self.options(port, clients);
        (Redis::with(&options.iter().map(String::as_str).collect::<Vec<_>>()).await, port)
    }

    /// The setting that trusts it.
    fn trusted(&self) -> String {
        format!("tls: {{ca: {}}}", self.file("ca.pem"))
    }
}

const PASSWORD: &str = "p4ssw0rd";

/// Makes the user that the README makes for a section of the storage.
fn allow(redis: &Redis, user: &str) {
    let start = format!("ACL SETUSER {user} ");
    let readme = include_str!("../../../README.md");
    let rule = readme.lines().find(|line| line.starts_with(&start)).expect("the README makes this user");
    let rule = rule.replace("PASSWORD", PASSWORD);
    assert_eq!(redis.cli(&rule.split(' ').collect::<Vec<_>>()), "OK");
}

fn may_also(redis: &Redis, user: &str, rights: &[&str]) {
    assert_eq!(redis.cli(&[&["ACL", "SETUSER", user], rights].concat()), "OK");
}

/// Nothing was asked of it that its users may not do.
fn assert_nothing_was_refused(redis: &Redis) {
    assert_eq!(redis.cli(&["ACL", "LOG"]), "");
}

fn url(scheme: &str, host_and_port: &str) -> String {
    format!("{scheme}://pareto:{PASSWORD}@{host_and_port}")
}

fn storage(url: &str, more: &str) -> String {
    format!("storage: {{redis: {{url: \"{url}\", timeout: 5s, lease: 20s, {more}}}}}\n")
}

#[tokio::test]
async fn sidecars_share_through_tls_with_the_rights_that_the_readme_gives() {
    let authority = Authority::new();
    let (redis, port) = authority.server("no").await;
    allow(&redis, "pareto");
    let route = "providers: {sim: {url: \"{provider}\", keys: [sk-sim]}}\n\
                 routes: [{models: [\"*\"], targets: [{provider: sim}]}]\n";
    let settings = storage(&url("rediss", &format!("localhost:{port}/3")), &authority.trusted()) + route;
    let [first, second] = sidecars_with(&settings).await;
    first.chat("a").await;
    within("the entry", async {
        while second.chat("a").await.cache().starts_with("fwd") {
            second.admin(Method::DELETE, "/cache").await;
        }
    })
    .await;
    first.chat("b").await;
    first.admin(Method::DELETE, "/cache").await;
    second.becomes("cache_entries", &[], 0.0).await;
    // A stream that is heard while it streams.
    first.provider.hold(Hold::AfterEvents(3));
    let mut leader = first.chat("c").stream().open().await;
    let heard = leader.events(3).await;
    let mut follower = second.chat("c").stream().open().await;
    assert_eq!(within("the events", follower.events(3)).await, heard);
    first.provider.release();
    assert!(leader.rest().await.whole && follower.rest().await.whole);
    embed(&first, texts(0..3)).await;
    // A key that is refused, which the others hear of.
    first.provider.next(Fault::Status(401));
    assert_eq!(first.chat("d").await.status, 401);
    until("the word of it", async || !redis.cli(&["-n", "3", "KEYS", "{pareto:targets}*"]).is_empty()).await;
    assert_nothing_was_refused(&redis);
}

#[tokio::test]
async fn sidecars_count_together_with_the_rights_that_the_readme_gives() {
    let authority = Authority::new();
    let (redis, port) = authority.server("no").await;
    allow(&redis, "pareto-counts");
    let url = format!("rediss://pareto-counts:{PASSWORD}@localhost:{port}/1");
    let limits =
        "{per: tenant, requests: 3/day, alert: {at: [50%]}}, {per: tenant, tokens: 1M/min, concurrent: 5}";
    let settings = format!(
        "storage: {{counts: {{redis: \"{url}\", timeout: 5s, lease: 30s, {}}}}}\nlimits: [{limits}]\n",
        authority.trusted()
    );
    let provider = Arc::new(provider().await);
    let all: [Pareto; 2] = std::array::from_fn(|_| Pareto::before(provider.clone(), &settings));
    super::limits::joined(&all).await;
    let [first, second] = all;
    let mut passed = 0;
    for number in 0..6 {
        let pareto = if number % 2 == 0 { &first } else { &second };
        let answer = pareto.chat("a").with("x-tenant-id", "acme").cache_control("no-store").await;
        passed += u32::from(answer.status == 200);
    }
    assert_eq!(passed, 3);
    let reset = first.admin(Method::DELETE, "/limits/tenant-requests?tenant=acme").await;
    assert_eq!(reset.json()["reset"], 1);
    assert_eq!(second.admin(Method::GET, "/limits").await.status, 200);
    assert_eq!(second.metric("limit_ledger_losses_total", &[]).await, 0.0);
    assert_nothing_was_refused(&redis);
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let authority = Authority::new();
    let (redis, port) = authority.server("yes").await;
    let url = format!("rediss://127.0.0.1:{port}");
    let shown = format!(
        "tls: {{ca: {}, certificate: {}, key: {}}}",
        authority.file("ca.pem"),
        authority.file("client.pem"),
        authority.file("client-key.pem")
    );
    let [pareto] = sidecars_with(&storage(&url, &shown)).await;
    pareto.chat("a").await;
    stored(&redis).await;
    let without = Pareto::start(&storage(&url, &authority.trusted())).await;
    assert_eq!(without.chat("a").await.cache(), "fwd=miss; stored");
    until("the refusal", async || without.metric("redis_errors_total", &[]).await != 0.0).await;
    in_use(&without, false).await;
}

/// What a sidecar with this setting says of Redis, which it does not use and no client notices.
async fn complaint(settings: &str, part: &str) -> String {
    let provider = provider().await;
    let yaml = format!("providers: {{sim: {{url: \"{}\"}}}}\n{settings}", provider.url());
    let mut pareto = Binary::start(&yaml).await;
    assert_eq!(pareto.chat("a").await.cache(), "fwd=miss; stored");
    assert!(pareto.chat("a").await.is_hit());
    let said = pareto.opening.iter().find(|line| line.contains(part)).cloned();
    let said = match said {
        Some(said) => said,
        None => pareto.logs(part).await,
    };
    assert_eq!(pareto.metric("cache_tier_up", &[("tier", "redis")]).await, 0.0);
    assert!(pareto.metric("redis_errors_total", &[]).await >= 1.0);
    said
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_a_tier_that_is_off_and_a_word_in_the_log() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (_redis, port) = authority.server("no").await;
    for trusted in [other.trusted(), String::new()] {
        let said =
            complaint(&storage(&format!("rediss://localhost:{port}"), &trusted), "Redis cannot be reached")
                .await;
        assert!(said.contains("UnknownIssuer"), "{said}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_tier_that_is_off_and_a_word_in_the_log() {
    let redis = Redis::start().await;
    allow(&redis, "pareto");
    let settings = storage(&format!("redis://pareto:wr0ng@127.0.0.1:{}", redis.port), "");
    let said = complaint(&settings, "Redis cannot be reached").await;
    assert!(said.contains("authentication failed") && !said.contains("wr0ng"), "{said}");
}

#[tokio::test]
async fn a_user_without_a_right_costs_nobody_an_answer() {
    for lacking in
        ["-get", "-set", "-evalsha", "-xlen", "-publish", "-subscribe", "resetchannels", "resetkeys"]
    {
        let redis = Redis::start().await;
        allow(&redis, "pareto");
        may_also(&redis, "pareto", &[lacking]);
        let settings = storage(&url("redis", &format!("127.0.0.1:{}", redis.port)), "")
            .replace("lease: 20s", "lease: 1h");
        let provider = Arc::new(provider().await);
        let [first, second] = std::array::from_fn(|_| Pareto::before(provider.clone(), &settings));
        within("something to be refused", async {
            let mut number = 0;
            while redis.cli(&["ACL", "LOG"]).is_empty() {
                number += 1;
                for pareto in [&first, &second] {
                    let answer = pareto.chat(&format!("{number}")).await;
                    assert!(answer.status == 200 && answer.whole, "{lacking}: {}", answer.text());
                }
            }
        })
        .await;
        // From here on nobody waits for what will not be heard: a lease would last an hour.
        for text in ["a", "b"] {
            let asked = [&first, &second, &first, &second].map(|pareto| pareto.chat(text).spawn());
            for answer in asked {
                let answer = within(lacking, answer).await.unwrap();
                assert!(answer.status == 200 && answer.whole, "{lacking}: {}", answer.text());
            }
            assert!(first.chat(text).await.is_hit());
        }
    }
}

#[tokio::test]
async fn sentinels_are_asked_with_the_same_encryption_user_and_password() {
    let authority = Authority::new();
    let (redis, port) = authority.server("no").await;
    allow(&redis, "pareto");
    may_also(&redis, "pareto", &["+role"]);
    let asked = free_port();
    let mut rules: Vec<String> =
        authority.options(asked, "no").chunks(2).map(|pair| pair.join(" ")[2..].to_owned()).collect();
    rules.push("tls-replication yes".to_owned());
    rules.push(format!("user pareto on >{PASSWORD} +role +sentinel|masters"));
    rules.push("user default on nopass -@all +ping".to_owned());
    let _sentinel = Sentinel::of(port, &rules).await;
    let settings =
        storage(&url("rediss+sentinel", &format!("localhost:{asked}/cache")), &authority.trusted());
    let [pareto] = sidecars_with(&settings).await;
    pareto.chat("a").await;
    stored(&redis).await;
    assert_nothing_was_refused(&redis);
}

#[tokio::test]
async fn sentinels_without_a_password_are_asked_without() {
    let redis = Redis::start().await;
    allow(&redis, "pareto");
    may_also(&redis, "pareto", &["+role"]);
    let sentinel = Sentinel::of(redis.port, &[]).await;
    let settings = storage(&url("redis+sentinel", &format!("127.0.0.1:{}/cache", sentinel.port())), "");
    let [pareto] = sidecars_with(&settings).await;
    pareto.chat("a").await;
    stored(&redis).await;
    assert_eq!(pareto.metric("redis_errors_total", &[]).await, 0.0);
}

#[tokio::test]
async fn a_cluster_is_used_through_tls_as_a_user() {
    let authority = Authority::new();
    let ports = [free_port(), free_port(), free_port()];
    let node = |port| {
        let mut options = authority.options(port, "no");
        // They name each other by the ports with TLS.
        options.extend(["--tls-cluster", "yes"].map(str::to_owned));
        async move { cluster::node(&options).await }
    };
    let nodes = [node(ports[0]).await, node(ports[1]).await, node(ports[2]).await];
    let nodes = cluster::join(nodes, ports, &["--tls", "--cacert", &authority.file("ca.pem")]).await;
    for node in &nodes {
        allow(node, "pareto");
        may_also(node, "pareto", &["+cluster|slots", "+asking"]);
    }
    let url = url("rediss+cluster", &format!("localhost:{}", ports[0]));
    let [first, second] = sidecars_with(&storage(&url, &authority.trusted())).await;
    for number in 0..6 {
        first.chat(&format!("{number}")).await;
    }
    until("the answers in Redis", async || cluster::keys(&nodes) >= 6).await;
    for number in 0..6 {
        let found = second.chat(&format!("{number}")).await;
        assert!(found.cache().ends_with("detail=redis"), "{}", found.cache());
    }
    nodes.iter().for_each(assert_nothing_was_refused);
}
