//! The check that the bucket honours the conditions of writes. Without them, two runs that meet would each decide.

use bytes::Bytes;

use crate::error::{Error, ErrorCode, Result};
use crate::ports::objects::{CreateObjects, Created, ReplaceObjects, Replaced};

/// An `ETag` that no object has.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";

/// Returns the key of an object without a meaning, with which the bucket is checked when no table is given.
#[must_use]
pub fn probe_key(prefix: &str) -> String {
    let separator = if prefix.is_empty() { "" } else { "/" };
    format!("{prefix}{separator}_ledger/_doctor/probe.json")
}

/// Makes the object at `key`, unless it is there, and checks whether the bucket honours conditions. The object stays.
///
/// # Errors
///
/// `SinkRejected` when the bucket ignores one of the conditions, and the errors of the store.
pub async fn try_conditions<S: CreateObjects + ReplaceObjects>(store: &S, key: &str) -> Result<()> {
    let body = Bytes::from_static(b"{\"made_by\": \"tidemark doctor\"}");
    store.create(key, body.clone()).await?;
    check_conditions(store, key, body).await
}

/// Checks that neither a second creation nor a replacement with a wrong `ETag` changes the object at `key`, which must
/// exist.
pub(super) async fn check_conditions<S: CreateObjects + ReplaceObjects>(
    store: &S,
    key: &str,
    body: Bytes,
) -> Result<()> {
    let ignored = if store.create(key, body.clone()).await? == Created::Created {
        "If-None-Match"
    } else if store.replace(key, body, NO_ETAG).await? == Replaced::Replaced {
        "If-Match"
    } else {
        return Ok(());
    };
    let message = format!(
        "the bucket ignores {ignored}: it replaced {key} though that was there. The ledger needs conditional writes, which Amazon S3 \
         has: use it, or a release of your object store that honours them"
    );
    Err(Error::new(ErrorCode::SinkRejected, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryStore;

    /// An object store that ignores one of the conditions.
    struct Careless {
        store: MemoryStore,
        creates_again: bool,
    }

    impl CreateObjects for Careless {
        async fn create(&self, key: &str, body: Bytes) -> Result<Created> {
            let created = self.store.create(key, body).await?;
            Ok(if self.creates_again { Created::Created } else { created })
        }
    }

    impl ReplaceObjects for Careless {
        async fn replace(&self, _key: &str, _body: Bytes, _expected: &str) -> Result<Replaced> {
            Ok(Replaced::Replaced)
        }
    }

    #[tokio::test]
    async fn a_bucket_that_ignores_a_condition_is_refused_by_its_name_before_any_table_is_copied() {
        for (creates_again, ignored) in [(true, "If-None-Match"), (false, "If-Match")] {
            let careless = Careless {
                store: MemoryStore::default(),
                creates_again,
            };
            let error = try_conditions(&careless, "k").await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::SinkRejected);
            assert!(error.to_string().contains(&format!("ignores {ignored}:")), "{error}");
        }
    }

    #[tokio::test]
    async fn an_object_that_an_earlier_doctor_left_is_no_obstacle() {
        let store = MemoryStore::default();
        for _ in 0..2 {
            try_conditions(&store, &probe_key("p")).await.unwrap();
        }
        assert_eq!(store.keys(), ["p/_ledger/_doctor/probe.json"]);
        assert_eq!(probe_key(""), "_ledger/_doctor/probe.json");
    }
}
