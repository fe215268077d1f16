//! Embeddings by way of LangChain and LlamaIndex, which ask in ways of their own: tokens in place of texts,
//! base64, long texts in pieces.

use pareto::demo::provider::{Behaviour, Provider};
use serde_json::Value;

use crate::before;
use crate::compare::differences;
use crate::library::Library;

#[tokio::test(flavor = "multi_thread")]
async fn langchain_and_llamaindex_see_the_same() {
    let library = Library::python("frameworks", Some("--frameworks"));
    let provider = Provider::start(Behaviour::default()).await.unwrap();
    let direct = library.run(&provider.url()).await;
    assert!(direct.len() >= 14, "only {} scenarios ran", direct.len());
    for (name, line) in &direct {
        let fails = name.contains("error_");
        assert_eq!(line["outcome"], if fails { "error" } else { "ok" }, "{name}: {line}");
    }
    let asked = provider.total();
    let forms = provider.calls().iter().map(|call| call.json()).collect::<Vec<_>>();
    let tokens =
        |body: &Value| body["input"].get(0).is_some_and(|input| input.get(0).is_some_and(Value::is_u64));
    assert!(forms.iter().any(tokens), "LangChain sends tokens");
    assert!(forms.iter().any(|body| body["encoding_format"] == "base64"), "both ask for base64");

    let pareto = before(&provider);
    let url = format!("http://{}/v1", pareto.running.address);
    let seen = library.run(&url).await;
    assert_eq!(differences(&direct, &seen), Vec::<String>::new(), "fetched");
    let fetched = provider.total() - asked;
    assert!(fetched < asked, "{fetched} calls through pareto, {asked} without");
    let again = library.run(&url).await;
    assert_eq!(differences(&direct, &again), Vec::<String>::new(), "replayed");
    let errors = direct.keys().filter(|name| name.contains("error_")).count() as u64;
    assert_eq!(provider.total() - asked - fetched, errors, "only what fails is asked again");
}
