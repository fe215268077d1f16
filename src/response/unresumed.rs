//! Why a stream that broke off did not go on at another target.

/// The first thing that stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresumed {
    /// Its route does not say `resume`, or failover is switched off.
    Off,
    /// Failover is only observed.
    Observed,
    /// The attempts of its route are used up.
    NoAttemptLeft,
    /// Nobody can go on with answers of this endpoint.
    Endpoint,
    /// So much was told that not all of it is kept.
    TooLong,
    /// A tool call has begun, and may not be made twice.
    ToolCall,
    /// There are thoughts in it, which nobody else can be given back.
    Thoughts,
    /// There is other than the unfinished text of one choice in it.
    BeyondText,
    /// What was asked cannot be answered by two: a JSON format, log probabilities, thoughts, a forced call.
    Request,
    /// No target of its route goes on from a text, or has words for the request.
    NoTarget,
    /// A target that could was not to be had: it failed, rests, has no room, or is not ready soon enough.
    NoneReady,
    /// The time for the whole request has run out.
    Deadline,
}

impl Unresumed {
    /// The word in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observed => "observed",
            Self::NoAttemptLeft => "no_attempt_left",
            Self::Endpoint => "endpoint",
            Self::TooLong => "too_long",
            Self::ToolCall => "tool_call",
            Self::Thoughts => "thoughts",
            Self::BeyondText => "beyond_text",
            Self::Request => "request",
            Self::NoTarget => "no_target",
            Self::NoneReady => "none_ready",
            Self::Deadline => "deadline",
        }
    }
}
