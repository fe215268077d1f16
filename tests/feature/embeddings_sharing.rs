//! Whose vectors are whose.

use super::embeddings::{embed, sent, texts, truth, vectors};
use crate::harness::{Hold, Pareto, provider, within};

#[tokio::test]
async fn by_default_neither_a_stored_vector_nor_one_under_way_is_for_another_credential() {
    let (pareto, direct) = (Pareto::start("").await, provider().await);
    embed(&pareto, texts(0..2)).await;
    let bob = embed(&pareto, texts(0..2)).by("sk-bob").with("x-tenant-id", "acme").await;
    assert_eq!(bob.cache(), "fwd=miss; stored");
    assert_eq!(vectors(&bob), truth(&direct, &texts(0..2)).await);
    let only = embed(&pareto, texts(0..1)).by("sk-carol").cache_control("only-if-cached").await;
    only.assert_refused(504, "pareto_not_cached");
    pareto.provider.hold(Hold::BeforeHead);
    let alice = embed(&pareto, texts(5..6)).spawn();
    let bob = embed(&pareto, texts(5..6)).by("sk-bob").spawn();
    within("a call for each", pareto.provider.received(4)).await;
    pareto.provider.release();
    for answer in [alice, bob] {
        assert_eq!(answer.await.unwrap().cache(), "fwd=miss; stored");
    }
}

#[tokio::test]
async fn a_tenants_members_share_vectors_and_other_tenants_do_not() {
    let pareto = Pareto::start("cache: {share: tenant}").await;
    let ask = |credential, tenant| embed(&pareto, texts(0..3)).by(credential).with("x-tenant-id", tenant);
    ask("sk-1", "acme").await;
    assert!(ask("sk-2", "acme").await.is_hit());
    assert_eq!(ask("sk-1", "umbrella").await.cache(), "fwd=miss; stored");
    assert_eq!(embed(&pareto, texts(0..3)).by("sk-1").await.cache(), "fwd=miss; stored");
    // One under way is for all members too.
    pareto.provider.hold(Hold::BeforeHead);
    let mine = |credential| embed(&pareto, "new").by(credential).with("x-tenant-id", "acme").spawn();
    let first = mine("sk-1");
    within("the call", pareto.provider.received(4)).await;
    let second = mine("sk-2");
    pareto.waiting(1).await;
    pareto.provider.release();
    assert_eq!(first.await.unwrap().cache(), "fwd=miss; stored");
    assert_eq!(second.await.unwrap().cache(), "fwd=miss; collapsed");
    assert_eq!(pareto.provider.total(), 4);
}

#[tokio::test]
async fn everyone_shares_vectors_where_the_operator_says_so() {
    let pareto = Pareto::start("cache: {share: everyone}").await;
    embed(&pareto, texts(0..3)).by("sk-alice").with("x-tenant-id", "acme").await;
    let partial = embed(&pareto, texts(0..4)).by("sk-bob").await;
    assert_eq!(partial.cache(), "fwd=partial; detail=\"3/4\"");
    assert_eq!(sent(&pareto)[1], texts(3..4));
    let call = pareto.provider.calls().pop().unwrap();
    assert_eq!(call.header("authorization"), Some("Bearer sk-bob"), "each asks with a key of its own");
}
