//! Moving objects within the bucket: a copy, which S3 makes by itself, then a removal.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tidemark::error::Result;
use tidemark::ports::archive::ArchiveObjects;

use super::{S3Store, TOKEN, status};

/// Bytes of an object that one call copies at most, and of a piece of a larger one
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>).
const COPIED_AT_ONCE: u64 = 5 << 30;

impl S3Store {
    async fn copy(&self, from: &str, to: &str) -> Result<()> {
        let (encryption, key_id) = self.encryption();
        let request = self.client.copy_object().bucket(&self.bucket).key(to);
        let request = request
            .set_expected_bucket_owner(self.owner())
            .set_expected_source_bucket_owner(self.owner())
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id);
        let answer = request.copy_source(self.source_of(from)).send().await;
        answer.map(drop).map_err(|error| self.error("move", from, error))
    }

    /// Copies an object that is too large for one call.
    async fn copy_in_pieces(&self, from: &str, to: &str, bytes: u64, token: Option<&String>) -> Result<()> {
        let (encryption, key_id) = self.encryption();
        let request = self.client.create_multipart_upload().bucket(&self.bucket).key(to);
        let request = request
            .set_expected_bucket_owner(self.owner())
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id);
        let begun = request.set_metadata(token.map(|token| [(TOKEN.to_owned(), token.clone())].into()));
        let begun = begun.send().await.map_err(|error| self.error("move", from, error))?;
        let id = begun.upload_id().unwrap_or_default();
        let mut pieces = Vec::new();
        for (number, first) in (1..).zip((0..bytes).step_by(usize::try_from(COPIED_AT_ONCE).unwrap_or(usize::MAX))) {
            let last = (first + COPIED_AT_ONCE).min(bytes) - 1;
            let request = self
                .client
                .upload_part_copy()
                .bucket(&self.bucket)
                .key(to)
                .upload_id(id);
            let request = request
                .set_expected_bucket_owner(self.owner())
                .set_expected_source_bucket_owner(self.owner())
                .part_number(number)
                .copy_source(self.source_of(from));
            let copied = request.copy_source_range(format!("bytes={first}-{last}")).send().await;
            let copied = copied.map_err(|error| self.error("move", from, error))?;
            let etag = copied.copy_part_result().and_then(|result| result.e_tag());
            let piece = CompletedPart::builder()
                .part_number(number)
                .set_e_tag(etag.map(str::to_owned));
            pieces.push(piece.build());
        }
        let pieces = CompletedMultipartUpload::builder().set_parts(Some(pieces)).build();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(to)
            .upload_id(id);
        let request = request.set_expected_bucket_owner(self.owner());
        let completed = request.multipart_upload(pieces).send().await;
        completed.map(drop).map_err(|error| self.error("move", from, error))
    }

    /// The object as the header of a copy names it.
    fn source_of(&self, key: &str) -> String {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
        let mut source = format!("{}/", self.bucket);
        for byte in key.bytes() {
            if is_plain(&byte) {
                source.push(char::from(byte));
            } else {
                source.push_str(&format!("%{byte:02X}"));
            }
        }
        source
    }
}

impl ArchiveObjects for S3Store {
    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let request = request.set_expected_bucket_owner(self.owner());
        let mut pages = request.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error("list", prefix, error))?;
            keys.extend(
                page.contents()
                    .iter()
                    .filter_map(|object| object.key().map(str::to_owned)),
            );
        }
        Ok(keys)
    }

    async fn archive(&self, from: &str, to: &str) -> Result<()> {
        let Some(head) = self.head(from).await? else {
            return Ok(());
        };
        let bytes = head
            .content_length()
            .and_then(|bytes| u64::try_from(bytes).ok())
            .unwrap_or_default();
        if bytes > COPIED_AT_ONCE {
            let token = head.metadata().and_then(|metadata| metadata.get(TOKEN));
            self.copy_in_pieces(from, to, bytes, token).await?;
        } else {
            self.copy(from, to).await?;
        }
        let request = self.client.delete_object().bucket(&self.bucket).key(from);
        match request.set_expected_bucket_owner(self.owner()).send().await {
            Err(error) if status(&error) != Some(404) => Err(self.error("remove", from, error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_answer::{Answer, in_turn};

    /// What is said in the heads of the calls that move `a key` of so many bytes.
    async fn heads_of_moving(bytes: u64, pieces: usize) -> Vec<Vec<String>> {
        let answer = |element: &str| Answer {
            status: 200,
            content_type: "application/xml",
            body: format!("<{element}><UploadId>u</UploadId><ETag>\"e\"</ETag></{element}>"),
        };
        let copied = (0..pieces).map(|_| answer("CopyPartResult"));
        let answers = [answer("InitiateMultipartUploadResult")].into_iter().chain(copied);
        let (clients, heads) = in_turn(answers.chain([answer("CompleteMultipartUploadResult")]).collect());
        let store = clients.store("b");
        let token = "t".to_owned();
        store
            .copy_in_pieces("t/a key", "to", bytes, Some(&token))
            .await
            .unwrap();
        heads.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn what_is_too_large_for_one_call_is_copied_in_pieces_to_its_last_byte() {
        for (bytes, expected) in [
            (COPIED_AT_ONCE + 1, vec!["0-5368709119", "5368709120-5368709120"]),
            (2 * COPIED_AT_ONCE, vec!["0-5368709119", "5368709120-10737418239"]),
        ] {
            let heads = heads_of_moving(bytes, expected.len()).await;
            let value = |head: &Vec<String>, name: &str| {
                let line = head.iter().find_map(|line| line.strip_prefix(name));
                line.map(str::to_owned)
            };
            let ranges: Vec<_> = heads
                .iter()
                .filter_map(|head| value(head, "x-amz-copy-source-range: bytes="))
                .collect();
            assert_eq!(ranges, expected);
            assert_eq!(
                heads.len(),
                expected.len() + 2,
                "begun once and completed once: {heads:?}"
            );
            assert_eq!(value(&heads[0], "x-amz-meta-tidemark-upload: ").as_deref(), Some("t"));
            assert_eq!(value(&heads[1], "x-amz-copy-source: ").as_deref(), Some("b/t/a%20key"));
            assert!(heads[expected.len() + 1][0].starts_with("post /b/to?"), "{heads:?}");
        }
    }
}
