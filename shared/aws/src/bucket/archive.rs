//! Moves objects within the bucket, with a copy and then a removal. An object in the archive is never overwritten.
//!
//! A bucket policy may require that every write creates a new object, which `CopyObject` cannot be asked for
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html>). So small objects are read
//! and written. S3 itself copies large ones as pieces of an upload, and the completion of the upload takes the
//! condition.

use std::collections::HashMap;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::delete_object::DeleteObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ports::archive::ArchiveObjects;
use tidemark::ports::objects::{Created, Upload, UploadObjects};

use super::{CONFLICT_TRIES, S3Store, created, status};

/// The largest size in bytes of an object that is read and written.
const READ_AND_WRITTEN: u64 = 1 << 20;
/// The size in bytes of a piece that S3 copies in one call. S3 allows 5 GiB, but answers sooner for a smaller piece.
const PIECE: u64 = 1 << 30;
/// The metadata key under which an object in the archive carries the ETag of the object from which it was made.
const MOVED: &str = "tidemark-moved";

impl S3Store {
    /// Makes the object at `to` from the one at `from`, with the same metadata.
    async fn copy(&self, from: &str, to: &str, head: &HeadObjectOutput) -> Result<Created> {
        let bytes = self.size_of(from, head)?;
        if bytes <= READ_AND_WRITTEN {
            return self.read_and_write(from, to, head).await;
        }
        let mut uploads = 0;
        loop {
            let upload = self.begin_copy(from, to, head).await?;
            uploads += 1;
            let copied = self.copy_in_pieces(from, &upload, head, bytes).await;
            let copied = match copied {
                Ok(Some(Created::Created)) => return Ok(Created::Created),
                // A conflict can end an upload. It is begun again then, as S3 documents it.
                Ok(None) if uploads <= CONFLICT_TRIES => continue,
                Ok(None) => {
                    let message = format!(
                        "another process ended the upload of s3://{}/{to}: try again",
                        self.bucket
                    );
                    Err(Error::new(ErrorCode::SinkUnavailable, message))
                }
                Ok(Some(created)) => Ok(created),
                Err(error) => Err(error),
            };
            // What is left of the upload would be paid for. The first failure says more than one of the abort.
            let aborted = self.abort(&upload).await;
            let copied = copied?;
            return aborted.map(|()| copied);
        }
    }

    async fn read_and_write(&self, from: &str, to: &str, head: &HeadObjectOutput) -> Result<Created> {
        let request = self.client.get_object().bucket(&self.bucket).key(from);
        let request = request
            .set_expected_bucket_owner(self.owner())
            .set_if_match(head.e_tag.clone());
        let read = Box::pin(request.send()).await;
        let read = read.map_err(|error| self.error("move", from, error))?;
        let body = self.read_to_end(from, read.body).await?;
        let write = async || {
            let request = self.put(to).set_content_type(head.content_type.clone());
            let request = request
                .set_metadata(Some(metadata(head)))
                .if_none_match("*")
                .body(body.clone().into());
            Box::pin(request.send()).await
        };
        created(write).await.map_err(|error| self.error("move", from, error))
    }

    /// Lets S3 copy the object, whose bytes do not pass through this process. Returns `None` if the upload is gone when it
    /// is to be completed.
    async fn copy_in_pieces(
        &self,
        from: &str,
        upload: &Upload,
        head: &HeadObjectOutput,
        bytes: u64,
    ) -> Result<Option<Created>> {
        let to = upload.key.as_str();
        let mut pieces = Vec::new();
        for (number, first) in (1..).zip((0..bytes).step_by(usize::try_from(PIECE).unwrap_or(usize::MAX))) {
            // S3 refuses a range of a small object.
            let range = (bytes > PIECE).then(|| format!("bytes={first}-{}", (first + PIECE).min(bytes) - 1));
            let request = self.client.upload_part_copy().bucket(&self.bucket).key(to);
            let request = request
                .set_expected_bucket_owner(self.owner())
                .set_expected_source_bucket_owner(self.owner())
                .upload_id(&upload.id)
                .part_number(number)
                .copy_source(self.source_of(from))
                .set_copy_source_if_match(head.e_tag.clone())
                .set_copy_source_range(range);
            let copied = Box::pin(request.send()).await;
            let copied = copied.map_err(|error| self.error("move", from, error))?;
            let result = copied.copy_part_result();
            let piece = CompletedPart::builder()
                .part_number(number)
                .set_e_tag(result.and_then(|result| result.e_tag.clone()))
                .set_checksum_crc64_nvme(result.and_then(|result| result.checksum_crc64_nvme.clone()));
            pieces.push(piece.build());
        }
        let pieces = CompletedMultipartUpload::builder().set_parts(Some(pieces)).build();
        let complete = async || {
            let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(to);
            let request = request
                .set_expected_bucket_owner(self.owner())
                .upload_id(&upload.id)
                .multipart_upload(pieces.clone())
                .if_none_match("*");
            Box::pin(request.send()).await
        };
        match created(complete).await {
            Ok(created) => Ok(Some(created)),
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(None),
            Err(error) => Err(self.error("move", from, error)),
        }
    }

    async fn begin_copy(&self, from: &str, to: &str, head: &HeadObjectOutput) -> Result<Upload> {
        let request = self.begin_upload(to).set_content_type(head.content_type.clone());
        let request = request.set_metadata(Some(metadata(head)));
        let begun = Box::pin(request.send()).await;
        let begun = begun.map_err(|error| self.error("move", from, error))?;
        Ok(Upload {
            key: to.to_owned(),
            id: begun.upload_id.unwrap_or_default(),
            token: String::new(),
        })
    }

    /// Returns whether the object at `to` was made from this one, by a move that was interrupted before the removal.
    async fn is_copy(&self, to: &str, head: &HeadObjectOutput) -> Result<bool> {
        let Some(there) = self.head(to).await? else {
            return Ok(false);
        };
        let moved = there.metadata().and_then(|metadata| metadata.get(MOVED));
        let is_as_large = self.size_of(to, &there)? == self.size_of(to, head)?;
        Ok(moved.map(String::as_str) == Some(etag(head)) && is_as_large)
    }

    /// Removes an object. It is no error if there is none.
    pub(super) async fn remove(&self, key: &str) -> std::result::Result<(), SdkError<DeleteObjectError>> {
        let request = self.client.delete_object().bucket(&self.bucket).key(key);
        match Box::pin(request.set_expected_bucket_owner(self.owner()).send()).await {
            Err(error) if status(&error) != Some(404) => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns the object's name for the header of a copy.
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
        if self.copy(from, to, &head).await? == Created::AlreadyExists && !self.is_copy(to, &head).await? {
            let bucket = &self.bucket;
            let message = format!(
                "Tidemark cannot move s3://{bucket}/{from}: s3://{bucket}/{to} is there already, and is another object: move that away"
            );
            return Err(Error::new(ErrorCode::SinkRejected, message));
        }
        let removed = self.remove(from).await;
        removed.map_err(|error| self.error("remove", from, error))
    }
}

fn etag(head: &HeadObjectOutput) -> &str {
    head.e_tag().unwrap_or_default().trim_matches('"')
}

/// Returns the metadata of the object that is made from this one.
fn metadata(head: &HeadObjectOutput) -> HashMap<String, String> {
    let mut metadata = head.metadata.clone().unwrap_or_default();
    metadata.insert(MOVED.to_owned(), etag(head).to_owned());
    metadata
}

#[cfg(test)]
mod tests;
