//! What is known of a bucket beside its name.

/// This says what every call says of the bucket beside its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketFacts {
    /// This is the account that owns the bucket: one of that name which somebody else has is refused.
    pub owner: Option<String>,
    /// This is the ARN of the key that objects are encrypted with; the bucket's own default without one.
    pub kms_key: Option<String>,
    /// This says whether the pieces of an upload are signed as well, for policies that deny `UNSIGNED-PAYLOAD`. It
    /// costs a SHA-256 of them.
    pub signs_payloads: bool,
}
