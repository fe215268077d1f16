//! Counts that are looked at or reset as a whole, by operators.

use std::collections::HashMap;

use redis::pipe;

use super::SharedLedger;
use crate::io::redis::Away;
use crate::limits::ledger::Standing;

/// Counts of a limit that are shown.
const SHOWN: usize = 10_000;
/// Counts read or reset in one round trip.
const PAGE: usize = 256;

impl SharedLedger {
    /// The digests of the counts of a limit, of those that end last.
    async fn listed(&self, index: &str) -> Result<Vec<String>, Away> {
        let mut commands = pipe();
        commands.cmd("ZREVRANGE").arg(index).arg(0).arg(SHOWN - 1);
        let (listed,): (Vec<String>,) = self.redis.run(&commands).await?;
        Ok(listed)
    }

    async fn fields(&self, digests: &[String]) -> Result<Vec<HashMap<String, String>>, Away> {
        let mut commands = pipe();
        for digest in digests {
            commands.cmd("HGETALL").arg(self.keys.count_of(digest));
        }
        self.redis.run(&commands).await
    }

    /// How every count stands, of the limit called `name` or of all.
    pub(super) async fn everything(&self, name: Option<&str>) -> Result<Vec<Standing>, Away> {
        let indices = self.mirror.lock().indices(name, &self.keys);
        let mut standings = Vec::new();
        for (limit, index) in indices {
            for page in self.listed(&index).await?.chunks(PAGE) {
                let found = self.fields(page).await?;
                let mut mirror = self.mirror.lock();
                for fields in found.iter().filter(|fields| fields.contains_key("n")) {
                    standings.extend(mirror.read(limit, fields));
                }
            }
        }
        Ok(standings)
    }

    /// What this sidecar knows of them while they are away.
    pub(super) fn known_here(&self, name: Option<&str>) -> Vec<Standing> {
        let mut mirror = self.mirror.lock();
        mirror.known(name, &self.shares.lock())
    }

    /// Forgets what was used, as [`Ledger::reset`](crate::limits::ledger::Ledger::reset) says.
    pub(super) async fn forget(&self, name: &str, tenant: Option<&str>) -> Result<Option<usize>, Away> {
        let indices = self.mirror.lock().indices(Some(name), &self.keys);
        let Some((limit, index)) = indices.into_iter().next() else { return Ok(None) };
        let mut count = 0;
        for page in self.listed(&index).await?.chunks(PAGE) {
            let mut keys = Vec::with_capacity(page.len());
            for (digest, fields) in page.iter().zip(self.fields(page).await?) {
                let subject = fields.get("n").map_or("", String::as_str);
                let wanted = tenant.is_none_or(|tenant| self.mirror.lock().is_of(limit, subject, tenant));
                if wanted && !fields.is_empty() {
                    keys.push(self.keys.count_of(digest));
                }
            }
            if !keys.is_empty() {
                count += self
                    .run::<usize>(&self.scripts.reset, &keys, std::slice::from_ref(&self.keys.freed))
                    .await?;
            }
        }
        self.mirror.lock().forget(limit, tenant);
        Ok(Some(count))
    }
}
