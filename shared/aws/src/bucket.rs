//! Implements the object ports with a bucket of Amazon S3, or of a store with the same interface.

mod archive;
mod checks;

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ServerSideEncryption,
};
use bytes::Bytes;
use tidemark::checksum::crc64nvme_base64;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::bucket::{BucketFacts, Encryption};
use tidemark::model::record::{UploadedObject, UploadedPiece};
use tidemark::ports::objects::{
    CompleteObjects, Completed, CreateObjects, Created, Object, ReadObjects, ReplaceObjects, Replaced, Upload,
    UploadObjects,
};

use crate::reason::reason;

/// The metadata key under which an object carries the token of its upload.
const TOKEN: &str = "tidemark-upload";
/// The number of times that a write is repeated after a conflict with a concurrent one (`409
/// ConditionalRequestConflict`).
const CONFLICT_TRIES: u32 = 5;

/// A bucket of S3.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
    facts: BucketFacts,
}

impl S3Store {
    /// Makes the store for a bucket that `client` reaches.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self {
            client,
            bucket: bucket.into(),
            facts: BucketFacts::default(),
        }
    }

    /// Sets what is known about the bucket: its owner, the encryption to ask for, and whether payloads are signed.
    #[must_use]
    pub fn with_facts(self, facts: BucketFacts) -> Self {
        Self { facts, ..self }
    }

    fn owner(&self) -> Option<String> {
        self.facts.owner.clone()
    }

    /// Returns the encryption of new objects, for the calls that take it.
    fn encryption(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match &self.facts.encryption {
            Encryption::OfBucket => (None, None),
            Encryption::S3 => (Some(ServerSideEncryption::Aes256), None),
            Encryption::Kms(key) => (Some(ServerSideEncryption::AwsKms), key.clone()),
            Encryption::KmsTwice(key) => (Some(ServerSideEncryption::AwsKmsDsse), key.clone()),
        }
    }

    /// Begins a request that writes the whole object at `key`, with what every such request says. A bucket with Object
    /// Lock demands a checksum. The SDK adds one by itself, unless AWS_REQUEST_CHECKSUM_CALCULATION says otherwise.
    fn put(&self, key: &str) -> PutObjectFluentBuilder {
        let (encryption, key_id) = self.encryption();
        let request = self.client.put_object().bucket(&self.bucket).key(key);
        request
            .set_expected_bucket_owner(self.owner())
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
    }

    /// Begins a request for an upload to `key`, with what every such request says.
    fn begin_upload(&self, key: &str) -> CreateMultipartUploadFluentBuilder {
        let (encryption, key_id) = self.encryption();
        let request = self.client.create_multipart_upload().bucket(&self.bucket).key(key);
        request
            .set_expected_bucket_owner(self.owner())
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
    }

    /// Reads the body of an answer to its end.
    async fn read_to_end(&self, key: &str, body: ByteStream) -> Result<Bytes> {
        let body = body.collect().await.map_err(|error| {
            let message = format!(
                "S3 broke off while Tidemark read s3://{}/{key}: try again later",
                self.bucket
            );
            Error::with_source(ErrorCode::SinkUnavailable, message, error)
        })?;
        Ok(body.into_bytes())
    }

    async fn head(&self, key: &str) -> Result<Option<HeadObjectOutput>> {
        let request = self.client.head_object().bucket(&self.bucket).key(key);
        match request.set_expected_bucket_owner(self.owner()).send().await {
            Ok(head) => Ok(Some(head)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.error("read", key, error)),
        }
    }

    /// Returns the size of an object. An answer without one is no answer about an empty object.
    fn size_of(&self, key: &str, head: &HeadObjectOutput) -> Result<u64> {
        let bytes = head.content_length().and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| {
            let message = format!("the store does not say how large s3://{}/{key} is", self.bucket);
            Error::new(ErrorCode::SinkRejected, message)
        })
    }

    /// Maps an error of S3 by its status and code. `verb` and `key` say in the message what failed. No other function
    /// maps errors of S3.
    fn error<E>(&self, verb: &str, key: &str, error: SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let bucket = &self.bucket;
        let name = error.code().unwrap_or_default().to_owned();
        let (code, advice) = match (status(&error), name.as_str()) {
            (_, "NoSuchBucket") => (
                ErrorCode::SinkRejected,
                "there is no such bucket: check its name (SINK_BUCKET, or --sink of the command)",
            ),
            (
                _,
                "SlowDown"
                | "RequestTimeout"
                | "ConditionalRequestConflict"
                | "InternalError"
                | "ServiceUnavailable"
                | "OperationAborted"
                | "ThrottlingException"
                | "KMS.ThrottlingException",
            ) => (ErrorCode::SinkUnavailable, "the bucket is busy: try again later"),
            // The connection broke within a body, or a body was changed on the way.
            (_, "BadDigest" | "IncompleteBody") => (
                ErrorCode::SinkUnavailable,
                "not all of it arrived as it was sent: try again",
            ),
            (_, name) if name.starts_with("KMS.") => (
                ErrorCode::SinkRejected,
                "the KMS key of the objects cannot be used: check that it exists, is enabled, and is of the bucket's region",
            ),
            (Some(403), _) if error.message().is_some_and(|message| message.contains("kms:")) => (
                ErrorCode::SinkRejected,
                "access to the KMS key denied: allow kms:GenerateDataKey and kms:Decrypt, in the role and in the key's policy",
            ),
            (Some(403), _) => (
                ErrorCode::SinkRejected,
                "access denied: check the rights of the role, the bucket policy and the key's policy. The bucket of a stack lets nobody write \
                 below its prefix but the functions and who is in the parameter OperatorArns",
            ),
            // CompleteMultipartUpload can answer 200 and report an error in its body.
            (Some(200..=299 | 408 | 429 | 500..), _) => {
                (ErrorCode::SinkUnavailable, "S3 is not available now: try again later")
            }
            (Some(_), _) => (ErrorCode::SinkRejected, "S3 refused the request"),
            (None, _) if matches!(error, SdkError::ConstructionFailure(_)) => (
                ErrorCode::InvalidConfig,
                "the request could not be built: check region, credentials and SINK_BUCKET",
            ),
            (None, _) => (
                ErrorCode::SinkUnavailable,
                "S3 does not answer: check the network, and the VPC's endpoint for S3",
            ),
        };
        let name = if name.is_empty() {
            String::new()
        } else {
            format!(" ({name})")
        };
        Error::with_source(
            code,
            format!("Tidemark cannot {verb} s3://{bucket}/{key}: {advice}{name}"),
            reason(&error),
        )
        .shared_as(format!(
            "Tidemark cannot {verb} objects of s3://{bucket}: {advice}{name}"
        ))
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Makes a conditional write, and makes it again for as long as it meets a concurrent one.
async fn after_conflicts<T, E>(
    write: impl AsyncFn() -> std::result::Result<T, SdkError<E>>,
) -> std::result::Result<T, SdkError<E>> {
    let mut tries = 0;
    loop {
        match write().await {
            Err(error) if status(&error) == Some(409) && tries < CONFLICT_TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(50 << tries)).await;
            }
            answer => return answer,
        }
    }
}

/// Makes a write on the condition that nothing is there.
async fn created<T, E>(
    write: impl AsyncFn() -> std::result::Result<T, SdkError<E>>,
) -> std::result::Result<Created, SdkError<E>> {
    match after_conflicts(write).await {
        Ok(_) => Ok(Created::Created),
        Err(error) if status(&error) == Some(412) => Ok(Created::AlreadyExists),
        Err(error) => Err(error),
    }
}

impl ReadObjects for S3Store {
    fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    async fn get(&self, key: &str) -> Result<Option<Object>> {
        // This future and that of `create` are boxed: the SDK's futures are large and would make every future that
        // awaits them as large.
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let request = request.set_expected_bucket_owner(self.owner());
        let answer = match Box::pin(request.send()).await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(self.error("read", key, error)),
        };
        let etag = answer.e_tag().unwrap_or_default().to_owned();
        let body = self.read_to_end(key, answer.body).await?;
        Ok(Some(Object { body, etag }))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        let head = self.head(key).await?;
        head.map(|head| self.size_of(key, &head)).transpose()
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_expected_bucket_owner(self.owner())
            .delimiter("/");
        let mut pages = request.into_paginator().send();
        let mut folders = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error("list", prefix, error))?;
            let found = page.common_prefixes().iter().filter_map(|folder| folder.prefix());
            folders.extend(found.filter_map(|key| Some(key.strip_prefix(prefix)?.trim_end_matches('/').to_owned())));
        }
        Ok(folders)
    }
}

impl CreateObjects for S3Store {
    async fn create(&self, key: &str, body: Bytes) -> Result<Created> {
        let write = async || {
            let request = self.put(key).if_none_match("*").content_type("application/json");
            Box::pin(request.body(body.clone().into()).send()).await
        };
        created(write).await.map_err(|error| self.error("create", key, error))
    }
}

impl ReplaceObjects for S3Store {
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced> {
        let request = self.put(key).if_match(expected).content_type("application/json");
        match Box::pin(request.body(body.into()).send()).await {
            Ok(_) => Ok(Replaced::Replaced),
            // With 409 another write was in progress at this moment, so the object is about to change.
            Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(Replaced::Changed),
            Err(error) => Err(self.error("replace", key, error)),
        }
    }
}

impl UploadObjects for S3Store {
    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload> {
        let token = uuid::Uuid::new_v4().to_string();
        let request = self
            .begin_upload(key)
            .content_type(content_type)
            .metadata(TOKEN, &token);
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.error("begin to write", key, error))?;
        let id = answer.upload_id().unwrap_or_default().to_owned();
        Ok(Upload {
            key: key.to_owned(),
            id,
            token,
        })
    }

    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<UploadedPiece> {
        let crc64nvme = crc64nvme_base64(&body);
        let request = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&upload.key)
            .upload_id(&upload.id);
        let request = request
            .set_expected_bucket_owner(self.owner())
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            // S3 compares this with the bytes that arrived, and refuses the piece when they differ.
            .checksum_crc64_nvme(&crc64nvme)
            .body(ByteStream::from(body))
            .customize();
        // The signature covers the checksum, and the checksum covers the piece. A SHA-256 of the piece would cost more
        // than the rest of the upload.
        let request = if self.facts.signs_payloads {
            request
        } else {
            request.disable_payload_signing()
        };
        let answer = request
            .send()
            .await
            .map_err(|error| self.error("write", &upload.key, error))?;
        Ok(UploadedPiece {
            number,
            etag: answer.e_tag().unwrap_or_default().to_owned(),
            crc64nvme,
        })
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        let request = self
            .client
            .abort_multipart_upload()
            .set_expected_bucket_owner(self.owner())
            .bucket(&self.bucket)
            .key(&upload.key)
            .upload_id(&upload.id);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(self.error("abort the upload of", &upload.key, error)),
        }
    }
}

impl CompleteObjects for S3Store {
    async fn complete(&self, uploaded: &UploadedObject) -> Result<Completed> {
        let pieces = uploaded.pieces.iter().map(|piece| {
            CompletedPart::builder()
                .part_number(i32::try_from(piece.number).unwrap_or(i32::MAX))
                .e_tag(&piece.etag)
                .checksum_crc64_nvme(&piece.crc64nvme)
                .build()
        });
        let pieces = CompletedMultipartUpload::builder()
            .set_parts(Some(pieces.collect()))
            .build();
        let complete = async || {
            let request = self.client.complete_multipart_upload().bucket(&self.bucket);
            let request = request
                .key(&uploaded.key)
                .set_expected_bucket_owner(self.owner())
                .upload_id(&uploaded.upload_id)
                .multipart_upload(pieces.clone())
                .checksum_crc64_nvme(&uploaded.crc64nvme)
                .checksum_type(ChecksumType::FullObject)
                // A part that exists is never overwritten, whoever made it.
                .if_none_match("*");
            Box::pin(request.send()).await
        };
        let error = match after_conflicts(complete).await {
            Ok(answer) => return Ok(Completed::Visible(answer.e_tag().unwrap_or_default().to_owned())),
            Err(error) => error,
        };
        // The upload is unknown because it was completed before, by a call whose answer was lost or by another run, or
        // because it has expired. An existing object shows which, because it carries the token of its upload.
        let unknown = error.code() == Some("NoSuchUpload");
        if !unknown && !matches!(status(&error), Some(403 | 404 | 412)) {
            return Err(self.error("complete", &uploaded.key, error));
        }
        match self.head(&uploaded.key).await? {
            Some(head) => {
                let etag = head.e_tag().unwrap_or_default().to_owned();
                let token = head.metadata().and_then(|metadata| metadata.get(TOKEN)).cloned();
                let own = token.as_ref() == Some(&uploaded.token);
                Ok(if own {
                    Completed::Visible(etag)
                } else {
                    Completed::Other { token, etag }
                })
            }
            None if unknown => Ok(Completed::Expired),
            None => Err(self.error("complete", &uploaded.key, error)),
        }
    }
}

#[cfg(test)]
mod checks_tests;
#[cfg(test)]
mod tests;
