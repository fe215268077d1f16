//! How many files a vector store has: asked of its provider on the caller's behalf.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Uri, header};
use serde::Deserialize;

use crate::exchange::Flown;
use crate::gateway::Gateway;
use crate::io::upstream::Call;
use crate::request::ApiRequest;
use crate::request::endpoint::Endpoint;
use crate::route::{Account, outbound};
use crate::rules::stores::StoreKey;

/// How long a look-up may take. It is there to save a call that takes about as long.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a store's object; a real one has about a thousand.
const LARGEST: usize = 64 * 1024;

#[derive(Deserialize)]
struct Store {
    file_counts: Option<FileCounts>,
    status: Option<String>,
}

#[derive(Deserialize)]
struct FileCounts {
    completed: u64,
}

/// Stores of one request that are looked up; a real one has one or two (OpenAI: at most two).
const MOST_STORES: usize = 8;

#[derive(Deserialize)]
struct Tools<'a> {
    #[serde(borrow, default)]
    tools: Vec<Tool<'a>>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    vector_store_ids: Vec<Cow<'a, str>>,
}

/// The vector stores that a request reads: the one it searches, or those of its `file_search` tools.
pub(super) fn stores<'r>(request: &'r ApiRequest<'_>) -> Vec<Cow<'r, str>> {
    match request.endpoint {
        Endpoint::VectorStoreSearch => request.vector_store().map(Cow::Borrowed).into_iter().collect(),
        Endpoint::Responses => {
            let body: Tools = serde_json::from_slice(&request.body).unwrap_or(Tools { tools: Vec::new() });
            let tools = body.tools.into_iter().filter(|tool| tool.kind.as_deref() == Some("file_search"));
            tools.flat_map(|tool| tool.vector_store_ids).collect()
        }
        _ => Vec::new(),
    }
}

impl Gateway {
    /// The account whose stores a request reads: that of the first target it would be sent to.
    pub(super) fn reads_at(&self, request: &ApiRequest) -> Option<&Account> {
        let route = self.router.route(request.endpoint.family(), request.model())?;
        route.targets.first().map(|target| &*target.account)
    }

    /// Whether every vector store that a request reads is known to have no more files than this.
    pub(super) async fn has_files(&self, request: &ApiRequest<'_>, most: u64) -> bool {
        let stores = stores(request);
        let Some(account) = self.reads_at(request) else { return false };
        if stores.is_empty() || stores.len() > MOST_STORES {
            return false;
        }
        for store in stores {
            match self.files(request, account, &store).await {
                Some(files) if files <= most => {}
                _ => return false,
            }
        }
        true
    }

    /// Why the stores that a request reads are not known to have so few files, by what is remembered of
    /// them: nothing is sent. `None` where they are known to.
    pub(super) fn too_many_files(&self, request: &ApiRequest<'_>, most: u64) -> Option<String> {
        let stores = stores(request);
        let account = self.reads_at(request)?;
        if stores.is_empty() {
            return Some("it reads no vector store".to_owned());
        }
        let now = self.io.clock.now();
        stores.iter().find_map(|store| {
            match self.kept.stores.remembered(&store_key(request, account, store), now) {
                Some(files) if files <= most => None,
                Some(files) => Some(format!("files is {files}, above {most}")),
                None => Some("files is not known, and nothing is sent to find out".to_owned()),
            }
        })
    }

    /// How many files of the store a search can find something in. `None` where its provider does not
    /// say: whoever asks must then act as if there were some.
    async fn files(&self, request: &ApiRequest<'_>, account: &Account, store: &str) -> Option<u64> {
        let key = store_key(request, account, store);
        self.kept.stores.files(key, || self.io.clock.now(), self.read_files(request, account, store)).await
    }

    async fn read_files(&self, request: &ApiRequest<'_>, account: &Account, store: &str) -> Option<u64> {
        let provider = account.provider.clone();
        // What came in a body must not name another path.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let uri: Uri =
            format!("/v1/vector_stores/{store}").parse().ok().filter(|_| store.bytes().all(plain))?;
        let key = account.key(account.turn());
        let mut headers = outbound::headers(&request.head.headers, &provider, key);
        headers.remove(header::CONTENT_TYPE);
        let target = outbound::target(&provider, &uri);
        let call = Call { provider, method: Method::GET, target, headers, body: Bytes::new() };
        let mut flown = Flown::new(
            account.name.clone(),
            Endpoint::VectorStoreSearch,
            request.identity.tenant.clone(),
            None,
            self.io.clock.now(),
        );
        let read = tokio::time::timeout(PATIENCE, self.read_store(&call, &mut flown)).await.ok().flatten();
        self.kept.telemetry.flown(&flown, self.io.clock.now());
        let store: Store = serde_json::from_slice(&read?).ok()?;
        if store.status.as_deref() == Some("expired") {
            return Some(0);
        }
        Some(store.file_counts?.completed)
    }

    async fn read_store(&self, call: &Call, flown: &mut Flown) -> Option<Bytes> {
        let mut reply = match self.io.upstream.call(call).await {
            Ok(reply) => reply,
            Err(error) => {
                flown.failed(&error);
                return None;
            }
        };
        flown.status = Some(reply.head.status);
        if !reply.head.status.is_success() {
            flown.result = "refused";
            return None;
        }
        let mut body = BytesMut::new();
        loop {
            match reply.body.next().await {
                Ok(Some(piece)) if body.len() + piece.len() <= LARGEST => body.extend_from_slice(&piece),
                Ok(None) => break,
                _ => return None,
            }
        }
        flown.result = "ok";
        Some(body.freeze())
    }
}

fn store_key(request: &ApiRequest, account: &Account, store: &str) -> StoreKey {
    StoreKey { credential: request.credential(), account: account.id.clone(), store: store.into() }
}
