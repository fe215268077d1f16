//! JSON without a tree: a digest of what a document means, and cuts and additions that leave every
//! other byte as it was.

mod canonical;
mod member;

pub use canonical::{Canonical, Ignore, JsonError, canonical};
pub use member::{MemberSpan, elements, member_span, removal_span, with_member, without_member};
