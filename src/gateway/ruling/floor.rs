//! A search's answer without the results that score too little.

use bytes::BytesMut;

use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::gateway::head::Served;
use crate::response::search::above;
use crate::response::{Body, Next};

impl Gateway {
    /// The answer without its results below `least`. What is stored keeps them: the floor may change.
    ///
    /// # Errors
    /// The answer broke off before it was whole.
    pub(in crate::gateway) async fn floored(
        &self,
        mut served: Served,
        least: f64,
    ) -> Result<Served, ApiError> {
        if !served.status.is_success() {
            return Ok(served);
        }
        let page = match served.body {
            Body::Whole(page) => page,
            Body::Live(mut live) => {
                let mut page = BytesMut::new();
                loop {
                    match live.next().await {
                        Next::Bytes(bytes) => page.extend_from_slice(&bytes),
                        Next::End(_) => break page.freeze(),
                        Next::Broken(_, error) => return Err(error),
                    }
                }
            }
        };
        served.body = Body::Whole(above(&page, least).unwrap_or(page));
        Ok(served)
    }
}
