//! OpenAI's way to say no: status and error object.

use serde_json::json;

use crate::demo::provider::api::Ask;
use crate::demo::provider::reply::Reply;

/// An error answer; source: openai.md section 4.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    pub code: Option<&'static str>,
    pub message: String,
    pub param: Option<&'static str>,
}

impl Refusal {
    /// A 400.
    pub fn invalid(message: impl Into<String>, param: Option<&'static str>) -> Self {
        Self { status: 400, code: None, message: message.into(), param }
    }

    /// The answer on the wire.
    pub fn reply(self) -> Reply {
        Reply::json(
            self.status,
            &json!({"error": {
                "message": self.message,
                "type": "invalid_request_error",
                "param": self.param,
                "code": self.code,
            }}),
        )
    }
}

/// The model asked for, if it is one that exists: any name but those starting with `no-such`.
pub fn model<'a>(ask: &Ask<'a>) -> Result<&'a str, Refusal> {
    let Some(model) = ask.body["model"].as_str().filter(|model| !model.is_empty()) else {
        return Err(Refusal::invalid("you must provide a model parameter", None));
    };
    if model.starts_with("no-such") {
        return Err(Refusal {
            status: 404,
            code: Some("model_not_found"),
            message: format!("The model `{model}` does not exist or you do not have access to it."),
            param: None,
        });
    }
    Ok(model)
}

/// A number within bounds, or its default where absent.
pub fn number(ask: &Ask<'_>, name: &'static str, low: f64, high: f64, default: f64) -> Result<f64, Refusal> {
    let value = &ask.body[name];
    if value.is_null() {
        return Ok(default);
    }
    value.as_f64().filter(|value| (low..=high).contains(value)).ok_or_else(|| Refusal {
        status: 400,
        code: Some("invalid_value"),
        message: format!("Invalid value for '{name}': expected a number between {low} and {high}."),
        param: Some(name),
    })
}

/// A refusal for a required member that is not there.
pub fn missing(name: &'static str) -> Refusal {
    Refusal {
        status: 400,
        code: Some("missing_required_parameter"),
        message: format!("Missing required parameter: '{name}'."),
        param: Some(name),
    }
}
