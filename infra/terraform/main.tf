# Written by tools/terraform.py from infra/template.yaml (make terraform). Changes belong there.

locals {
  create_secret                  = var.source_secret_arn == ""
  create_bucket                  = var.sink_bucket_name == ""
  knows_update_object_encryption = data.aws_partition.current.partition == "aws"
  has_bucket_owner               = !(var.sink_bucket_owner == "")
  has_ca_bundle                  = !(var.ca_bundle == "")
  has_kms_key                    = !(var.kms_key_arn == "")
  has_vpc                        = !(join("", var.subnet_ids) == "")
  has_secret_kms_keys            = !(join("", var.secret_kms_key_arns) == "")
  has_log_kms_key                = !(var.log_kms_key_arn == "")
  has_states_kms_key             = !(var.states_kms_key_arn == "")
  causes_are_told                = !(local.has_states_kms_key)
  has_operators                  = !(join("", var.operator_arns) == "")
  has_access_log                 = !(var.access_log_bucket == "")
  has_reserved_concurrency       = !(var.copy_reserved_concurrency == 0)
  create_topic                   = var.alarm_topic_arn == ""
  tells_with_key                 = (local.has_states_kms_key) && (!(var.alarm_topic_kms_key_arn == ""))
  has_alarm_email                = (local.create_topic) && (!(var.alarm_email == ""))
  has_lag_alarm                  = !(var.watermark_lag_alarm_seconds == 0)
  has_no_success_alarm           = (local.schedule_is_enabled) && (!(var.no_success_alarm_hours == 0))
  has_watermark_secret           = !(var.watermark_secret_arn == "")
  has_watermark_secret_in_sql    = (local.in_sql) && (local.has_watermark_secret)
  decrypts_in_sql                = (local.in_sql) && (local.has_secret_kms_keys)
  has_web_identity_in_sql        = (local.in_sql) && (local.has_web_identity)
  has_mask_secret                = !(var.mask_secret_arn == "")
  has_sink_secrets               = !(join("", var.sink_secret_arns) == "")
  in_sql                         = var.watermark_store == "sql"
  has_web_identity               = !(var.web_identity_audience == "")
  on_arm                         = var.architecture == "arm64"
  has_table_list                 = !(var.table_list_key == "")
  guards_table_list              = (local.has_table_list) && (local.has_operators)
  schedule_is_enabled            = var.schedule_enabled == "true"
}

resource "terraform_data" "rules" {
  lifecycle {
    precondition {
      condition     = (!(var.source_secret_arn == "")) || ((!(var.source_host == "")) && (!(var.source_database == "")) && (!(var.source_username == "")) && (!(var.source_password == "")))
      error_message = "Give SourceSecretArn, or all of SourceHost, SourceDatabase, SourceUsername and SourcePassword."
    }

    precondition {
      condition     = (!(var.sink_encryption == "AES256")) || (var.kms_key_arn == "")
      error_message = "SinkEncryption is AES256, a key of S3, and KmsKeyArn names one of KMS; give one of them."
    }

    precondition {
      condition     = !(!(var.sink_bucket_owner == "")) || (!(var.sink_bucket_name == ""))
      error_message = "SinkBucketOwner is the owner of SinkBucketName; give both, or neither of them."
    }

    precondition {
      condition     = !(!(var.sink_bucket_name == "")) || (alltrue([for member in var.operator_arns : member == ""]))
      error_message = "OperatorArns goes into the policy of the bucket that the stack creates. Write the roles into the policy of SinkBucketName, and leave OperatorArns empty."
    }

    precondition {
      condition     = !(!(var.sink_bucket_name == "")) || (var.access_log_bucket == "")
      error_message = "AccessLogBucket is for the bucket that the stack creates. Switch the access log of SinkBucketName on at that bucket, and leave AccessLogBucket empty."
    }

    precondition {
      condition     = !(!(var.alarm_topic_arn == "")) || (var.alarm_email == "")
      error_message = "AlarmEmail is subscribed to the topic that the stack creates, so nobody would get a message. Subscribe the address to AlarmTopicArn, and leave AlarmEmail empty."
    }

    precondition {
      condition     = !(!(var.alarm_topic_kms_key_arn == "")) || (!(var.alarm_topic_arn == ""))
      error_message = "AlarmTopicKmsKeyArn is the key of the topic of AlarmTopicArn; give both, or neither of them."
    }

    precondition {
      condition     = !(!(var.watermark_secret_arn == "")) || (var.watermark_store == "sql")
      error_message = "WatermarkSecretArn is for a control table, and WatermarkStore keeps the watermarks in the bucket. Give sql as WatermarkStore, or leave WatermarkSecretArn empty."
    }

    precondition {
      condition     = (!(alltrue([for member in var.sink_secret_arns : member == ""]))) || ((var.sink_host == "") && (var.sink_database == ""))
      error_message = "SinkHost and SinkDatabase fill the gaps of the secrets of SinkSecretArns. Give SinkSecretArns, or leave both empty."
    }

    precondition {
      condition     = ((alltrue([for member in var.subnet_ids : member == ""])) && (alltrue([for member in var.security_group_ids : member == ""]))) || ((!(alltrue([for member in var.subnet_ids : member == ""]))) && (!(alltrue([for member in var.security_group_ids : member == ""]))))
      error_message = "Give SubnetIds and SecurityGroupIds together, or neither of them."
    }

    precondition {
      condition     = !(var.schedule_enabled == "true") || ((!(var.table_list_key == "")) || (!(contains(["{\"tables\": []}", "{\"tables\":[]}"], var.tables_json))))
      error_message = "A schedule that is on needs tables; give TablesJson (make deploy TABLES=file.json) or TableListKey."
    }

    precondition {
      condition     = !(!(var.table_list_key == "")) || (var.sink_bucket_owner == "")
      error_message = "With TableListKey the bucket must be of the account of the stack; leave SinkBucketOwner empty."
    }
  }
}

resource "aws_s3_bucket" "sink_bucket" {
  count         = local.create_bucket ? 1 : 0
  bucket_prefix = "${lower(var.name)}-"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "sink_bucket" {
  count                   = local.create_bucket ? 1 : 0
  bucket                  = aws_s3_bucket.sink_bucket[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "sink_bucket" {
  count  = local.create_bucket ? 1 : 0
  bucket = aws_s3_bucket.sink_bucket[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "sink_bucket" {
  count  = local.create_bucket ? 1 : 0
  bucket = aws_s3_bucket.sink_bucket[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = (local.has_kms_key ? "aws:kms" : "AES256")
      kms_master_key_id = (local.has_kms_key ? var.kms_key_arn : null)
    }
    bucket_key_enabled = (local.has_kms_key ? true : false)
  }
}

resource "aws_s3_bucket_versioning" "sink_bucket" {
  count  = local.create_bucket ? 1 : 0
  bucket = aws_s3_bucket.sink_bucket[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "sink_bucket" {
  count  = local.create_bucket ? 1 : 0
  bucket = aws_s3_bucket.sink_bucket[0].id

  rule {
    id     = "expire-old-versions"
    status = "Enabled"

    filter {}

    expiration {
      expired_object_delete_marker = true
    }

    noncurrent_version_expiration {
      noncurrent_days = var.keep_old_versions_days
    }
  }

  rule {
    id     = "abort-abandoned-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  rule {
    id     = "expire-leases-of-runs"
    status = "Enabled"

    filter {
      prefix = "${var.sink_prefix}/_ledger/_runs/"
    }

    expiration {
      days = 30
    }
  }
  depends_on = [aws_s3_bucket_versioning.sink_bucket]
}

resource "aws_s3_bucket_logging" "sink_bucket" {
  count         = local.create_bucket && local.has_access_log ? 1 : 0
  bucket        = aws_s3_bucket.sink_bucket[0].id
  target_bucket = var.access_log_bucket
  target_prefix = "${var.name}/"
}

resource "aws_s3_bucket_policy" "sink_bucket_policy" {
  count  = local.create_bucket ? 1 : 0
  bucket = aws_s3_bucket.sink_bucket[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for item in [
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.sink_bucket[0].arn, "${aws_s3_bucket.sink_bucket[0].arn}/*"]
        Condition = {
          Bool = {
            "aws:SecureTransport" = "false"
          }
        }
      },
      {
        Sid       = "OnlyTheFunctionsWrite"
        Effect    = "Deny"
        Principal = "*"
        Action = [for item in [
          "s3:PutObject*",
          "s3:DeleteObject*",
          "s3:Replicate*",
          "s3:AbortMultipartUpload",
          "s3:BypassGovernanceRetention",
          "s3:ObjectOwnerOverrideToBucketOwner",
          (local.knows_update_object_encryption ? "s3:UpdateObjectEncryption" : null),
        ] : item if item != null]
        Resource = "${aws_s3_bucket.sink_bucket[0].arn}/${var.sink_prefix}/*"
        Condition = {
          ArnNotLike = {
            "aws:PrincipalArn" = split(",", join(",", [
              aws_iam_role.lookup_new_watermark_role.arn,
              aws_iam_role.copy_delta_role.arn,
              aws_iam_role.update_watermark_role.arn,
              (local.has_operators ? join(",", var.operator_arns) : aws_iam_role.update_watermark_role.arn),
            ]))
          }
        }
      },
      (local.guards_table_list ? {
        Sid       = "OnlyOperatorsWriteTheList"
        Effect    = "Deny"
        Principal = "*"
        Action = [
          "s3:PutObject",
          "s3:DeleteObject",
          "s3:DeleteObjectVersion",
          "s3:ReplicateObject",
          "s3:ReplicateDelete",
        ]
        Resource = "${aws_s3_bucket.sink_bucket[0].arn}/${var.table_list_key}"
        Condition = {
          ArnNotLike = {
            "aws:PrincipalArn" = var.operator_arns
          }
        }
      } : null),
      {
        Sid       = "WrittenOnce"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource = [
          "${aws_s3_bucket.sink_bucket[0].arn}/${var.sink_prefix}/_ledger/*/plan.json",
          "${aws_s3_bucket.sink_bucket[0].arn}/${var.sink_prefix}/_ledger/*/record-*.json",
          "${aws_s3_bucket.sink_bucket[0].arn}/${var.sink_prefix}/_ledger/*/void-*.json",
          "${aws_s3_bucket.sink_bucket[0].arn}/${var.sink_prefix}/_ledger/*/manifest.json",
          "${aws_s3_bucket.sink_bucket[0].arn}/${var.sink_prefix}/_ledger/*/previous.json",
          "${aws_s3_bucket.sink_bucket[0].arn}/${var.sink_prefix}/_ledger/*/loader-*",
          "${aws_s3_bucket.sink_bucket[0].arn}/${var.sink_prefix}/*/tidemark_window=*/part-*",
          "${aws_s3_bucket.sink_bucket[0].arn}/${var.sink_prefix}/_archive/*",
        ]
        Condition = {
          Null = {
            "s3:if-none-match" = "true"
          }
          Bool = {
            "s3:ObjectCreationOperation" = "true"
          }
        }
      },
      {
        Sid       = "NeverBlindly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.sink_bucket[0].arn}/${var.sink_prefix}/_ledger/*"
        Condition = {
          Null = {
            "s3:if-none-match" = "true"
            "s3:if-match"      = "true"
          }
          Bool = {
            "s3:ObjectCreationOperation" = "true"
          }
        }
      },
    ] : item if item != null]
  })
}

resource "aws_secretsmanager_secret" "source_secret" {
  count       = local.create_secret ? 1 : 0
  name_prefix = "${var.name}-source-"
  description = "Login of ${var.name} at the source."
  kms_key_id  = (local.has_secret_kms_keys ? var.secret_kms_key_arns[0] : null)
}

resource "aws_secretsmanager_secret_version" "source_secret" {
  count         = local.create_secret ? 1 : 0
  secret_id     = aws_secretsmanager_secret.source_secret[0].id
  secret_string = "{\"host\": \"${var.source_host}\", \"port\": ${var.source_port}, \"dbname\": \"${var.source_database}\", \"username\": \"${var.source_username}\", \"password\": \"${var.source_password}\"}"
}

resource "aws_iam_policy" "function_basics" {
  name_prefix = "${var.name}-function-basics-"
  description = "Tracing, network and encryption for the functions of ${var.name}."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for item in [
      {
        Sid      = "ListLedger"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}"
        Condition = {
          StringLike = {
            "s3:prefix" = "${var.sink_prefix}/_ledger/*"
          }
        }
      },
      {
        Sid      = "Trace"
        Effect   = "Allow"
        Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        Resource = "*"
      },
      (local.has_vpc ? {
        Sid    = "JoinVpc"
        Effect = "Allow"
        Action = [
          "ec2:CreateNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
          "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
        ]
        Resource = "*"
      } : null),
      (local.has_vpc ? {
        Sid    = "CodeDoesNotJoinVpc"
        Effect = "Deny"
        Action = [
          "ec2:CreateNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
          "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
        ]
        Resource = "*"
        Condition = {
          ArnLike = {
            "lambda:SourceFunctionArn" = "arn:${data.aws_partition.current.partition}:lambda:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:function:*"
          }
        }
      } : null),
    ] : item if item != null]
  })
}

resource "aws_lambda_function" "lookup_old_watermark_function" {
  function_name    = "${var.name}-lookup-old-watermark"
  description      = "Reads the watermark of every table, and rolls a lagging one forward along the manifests."
  role             = aws_iam_role.lookup_old_watermark_role.arn
  filename         = "${local.packages}/lookup-old-watermark.zip"
  source_code_hash = filebase64sha256("${local.packages}/lookup-old-watermark.zip")
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = var.lookup_memory
  timeout          = 300

  tracing_config {
    mode = "Active"
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = var.log_level
    log_group             = aws_cloudwatch_log_group.lookup_old_watermark_logs.name
  }

  environment {
    variables = { for key, value in {
      SINK_BUCKET          = (local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)
      SINK_PREFIX          = var.sink_prefix
      SINK_BUCKET_OWNER    = (local.has_bucket_owner ? var.sink_bucket_owner : data.aws_caller_identity.current.account_id)
      SINK_ENCRYPTION      = var.sink_encryption
      SINK_KMS_KEY_ARN     = var.kms_key_arn
      SINK_SIGNED_PAYLOADS = var.sink_signed_payloads
      SOURCE_SECRET_ARN    = (local.create_secret ? aws_secretsmanager_secret.source_secret[0].arn : var.source_secret_arn)
      SOURCE_HOST          = var.source_host
      SOURCE_PORT          = var.source_port
      SOURCE_DATABASE      = var.source_database
      SOURCE_TLS           = var.source_tls
      SOURCE_READ_INTENT   = var.source_read_intent
      METRICS_STACK        = var.name
      METRICS_PER_TABLE    = var.metrics_per_table
      SSL_CERT_FILE        = (local.has_ca_bundle ? var.ca_bundle : null)
      WATERMARK_STORE      = var.watermark_store
      WATERMARK_TABLE      = var.watermark_table
      WATERMARK_SECRET_ARN = (local.has_watermark_secret ? var.watermark_secret_arn : null)
      WATERMARK_HOST       = (local.has_watermark_secret ? var.watermark_host : null)
      WATERMARK_PORT       = (local.has_watermark_secret ? var.watermark_port : null)
      WATERMARK_DATABASE   = (local.has_watermark_secret ? var.watermark_database : null)
    } : key => value if value != null }
  }

  dynamic "vpc_config" {
    for_each = local.has_vpc ? [1] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }
  depends_on = [aws_iam_role_policy.lookup_old_watermark_role, aws_iam_role_policy_attachment.lookup_old_watermark_role]
}

resource "aws_cloudwatch_log_group" "lookup_old_watermark_logs" {
  name              = "/tidemark/${var.name}/lookup-old-watermark"
  retention_in_days = var.log_retention_days
  kms_key_id        = (local.has_log_kms_key ? var.log_kms_key_arn : null)
}

resource "aws_iam_role" "lookup_old_watermark_role" {
  name = "${var.name}-lookup-old-watermark-${data.aws_region.current.region}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "lookup_old_watermark_role" {
  name = "lookup-old-watermark"
  role = aws_iam_role.lookup_old_watermark_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for item in [
      {
        Sid      = "ReadLedger"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*"
      },
      {
        Sid      = "AskBucket"
        Effect   = "Allow"
        Action   = ["s3:GetLifecycleConfiguration", "s3:GetBucketVersioning", "s3:GetBucketPolicy"]
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}"
      },
      (local.in_sql ? {
        Sid      = "ReadWatermarkSecret"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = (local.has_watermark_secret ? var.watermark_secret_arn : (local.create_secret ? aws_secretsmanager_secret.source_secret[0].arn : var.source_secret_arn))
      } : null),
      (local.decrypts_in_sql ? {
        Sid      = "DecryptSecrets"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.secret_kms_key_arns
        Condition = {
          StringLike = {
            "kms:ViaService" = "secretsmanager.${data.aws_region.current.region}.*"
          }
        }
      } : null),
      (local.has_web_identity_in_sql ? {
        Sid      = "AskForTokens"
        Effect   = "Allow"
        Action   = "sts:GetWebIdentityToken"
        Resource = "*"
        Condition = {
          "ForAllValues:StringEquals" = {
            "sts:IdentityTokenAudience" = var.web_identity_audience
          }
        }
      } : null),
      (local.has_kms_key ? {
        Sid      = "UseKey"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.kms_key_arn
        Condition = {
          StringLike = {
            "kms:ViaService" = "s3.${data.aws_region.current.region}.*"
          }
        }
      } : null),
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.lookup_old_watermark_logs.arn}:*"
      },
    ] : item if item != null]
  })
}

resource "aws_iam_role_policy_attachment" "lookup_old_watermark_role" {
  role       = aws_iam_role.lookup_old_watermark_role.name
  policy_arn = aws_iam_policy.function_basics.arn
}

resource "aws_lambda_function" "lookup_new_watermark_function" {
  function_name    = "${var.name}-lookup-new-watermark"
  description      = "Freezes the window of every table that has changed."
  role             = aws_iam_role.lookup_new_watermark_role.arn
  filename         = "${local.packages}/lookup-new-watermark.zip"
  source_code_hash = filebase64sha256("${local.packages}/lookup-new-watermark.zip")
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = var.lookup_memory
  timeout          = 300

  tracing_config {
    mode = "Active"
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = var.log_level
    log_group             = aws_cloudwatch_log_group.lookup_new_watermark_logs.name
  }

  environment {
    variables = { for key, value in {
      SINK_BUCKET          = (local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)
      SINK_PREFIX          = var.sink_prefix
      SINK_BUCKET_OWNER    = (local.has_bucket_owner ? var.sink_bucket_owner : data.aws_caller_identity.current.account_id)
      SINK_ENCRYPTION      = var.sink_encryption
      SINK_KMS_KEY_ARN     = var.kms_key_arn
      SINK_SIGNED_PAYLOADS = var.sink_signed_payloads
      SOURCE_SECRET_ARN    = (local.create_secret ? aws_secretsmanager_secret.source_secret[0].arn : var.source_secret_arn)
      SOURCE_HOST          = var.source_host
      SOURCE_PORT          = var.source_port
      SOURCE_DATABASE      = var.source_database
      SOURCE_TLS           = var.source_tls
      SOURCE_READ_INTENT   = var.source_read_intent
      METRICS_STACK        = var.name
      METRICS_PER_TABLE    = var.metrics_per_table
      SSL_CERT_FILE        = (local.has_ca_bundle ? var.ca_bundle : null)
      MASK_SECRET_ARN      = (local.has_mask_secret ? var.mask_secret_arn : null)
    } : key => value if value != null }
  }

  dynamic "vpc_config" {
    for_each = local.has_vpc ? [1] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }
  depends_on = [aws_iam_role_policy.lookup_new_watermark_role, aws_iam_role_policy_attachment.lookup_new_watermark_role]
}

resource "aws_cloudwatch_log_group" "lookup_new_watermark_logs" {
  name              = "/tidemark/${var.name}/lookup-new-watermark"
  retention_in_days = var.log_retention_days
  kms_key_id        = (local.has_log_kms_key ? var.log_kms_key_arn : null)
}

resource "aws_iam_role" "lookup_new_watermark_role" {
  name = "${var.name}-lookup-new-watermark-${data.aws_region.current.region}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "lookup_new_watermark_role" {
  name = "lookup-new-watermark"
  role = aws_iam_role.lookup_new_watermark_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for item in [
      {
        Sid      = "ReadLedger"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*"
      },
      {
        Sid      = "FreezePlan"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/plan.json"
      },
      {
        Sid      = "TakeLease"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/lease.json"
      },
      {
        Sid      = "DecideSlice"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/record-*.json"
      },
      {
        Sid      = "ReadSourceSecret"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = (local.create_secret ? aws_secretsmanager_secret.source_secret[0].arn : var.source_secret_arn)
      },
      (local.has_secret_kms_keys ? {
        Sid      = "DecryptSecrets"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.secret_kms_key_arns
        Condition = {
          StringLike = {
            "kms:ViaService" = "secretsmanager.${data.aws_region.current.region}.*"
          }
        }
      } : null),
      (local.has_web_identity ? {
        Sid      = "AskForTokens"
        Effect   = "Allow"
        Action   = "sts:GetWebIdentityToken"
        Resource = "*"
        Condition = {
          "ForAllValues:StringEquals" = {
            "sts:IdentityTokenAudience" = var.web_identity_audience
          }
        }
      } : null),
      (local.has_kms_key ? {
        Sid      = "UseKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
        Condition = {
          StringLike = {
            "kms:ViaService" = "s3.${data.aws_region.current.region}.*"
          }
        }
      } : null),
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.lookup_new_watermark_logs.arn}:*"
      },
    ] : item if item != null]
  })
}

resource "aws_iam_role_policy_attachment" "lookup_new_watermark_role" {
  role       = aws_iam_role.lookup_new_watermark_role.name
  policy_arn = aws_iam_policy.function_basics.arn
}

resource "aws_lambda_function" "copy_delta_function" {
  function_name                  = "${var.name}-copy-delta"
  description                    = "Copies one slice of a window into an upload that is completed when the window commits."
  role                           = aws_iam_role.copy_delta_role.arn
  filename                       = "${local.packages}/copy-delta.zip"
  source_code_hash               = filebase64sha256("${local.packages}/copy-delta.zip")
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  memory_size                    = var.copy_memory
  timeout                        = 900
  reserved_concurrent_executions = (local.has_reserved_concurrency ? var.copy_reserved_concurrency : -1)

  tracing_config {
    mode = "Active"
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = var.log_level
    log_group             = aws_cloudwatch_log_group.copy_delta_logs.name
  }

  environment {
    variables = { for key, value in {
      SINK_BUCKET            = (local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)
      SINK_PREFIX            = var.sink_prefix
      SINK_BUCKET_OWNER      = (local.has_bucket_owner ? var.sink_bucket_owner : data.aws_caller_identity.current.account_id)
      SINK_ENCRYPTION        = var.sink_encryption
      SINK_KMS_KEY_ARN       = var.kms_key_arn
      SINK_SIGNED_PAYLOADS   = var.sink_signed_payloads
      SOURCE_SECRET_ARN      = (local.create_secret ? aws_secretsmanager_secret.source_secret[0].arn : var.source_secret_arn)
      SOURCE_HOST            = var.source_host
      SOURCE_PORT            = var.source_port
      SOURCE_DATABASE        = var.source_database
      SOURCE_TLS             = var.source_tls
      SOURCE_READ_INTENT     = var.source_read_intent
      METRICS_STACK          = var.name
      METRICS_PER_TABLE      = var.metrics_per_table
      SSL_CERT_FILE          = (local.has_ca_bundle ? var.ca_bundle : null)
      PART_BYTES             = var.part_bytes
      COPY_MEMORY            = var.copy_memory
      RUN_BUDGET_ROWS        = var.run_budget_rows
      RUN_BUDGET_BYTES       = var.run_budget_bytes
      RUN_BUDGET_USD         = var.run_budget_usd
      SOURCE_SILENCE_SECONDS = var.source_silence_seconds
      MASK_SECRET_ARN        = (local.has_mask_secret ? var.mask_secret_arn : null)
      SINK_SECRET_ARNS       = (local.has_sink_secrets ? join(",", var.sink_secret_arns) : null)
      SINK_HOST              = var.sink_host
      SINK_PORT              = var.sink_port
      SINK_DATABASE          = var.sink_database
    } : key => value if value != null }
  }

  dynamic "vpc_config" {
    for_each = local.has_vpc ? [1] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }
  depends_on = [aws_iam_role_policy.copy_delta_role, aws_iam_role_policy_attachment.copy_delta_role]
}

resource "aws_cloudwatch_log_group" "copy_delta_logs" {
  name              = "/tidemark/${var.name}/copy-delta"
  retention_in_days = var.log_retention_days
  kms_key_id        = (local.has_log_kms_key ? var.log_kms_key_arn : null)
}

resource "aws_iam_role" "copy_delta_role" {
  name = "${var.name}-copy-delta-${data.aws_region.current.region}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "copy_delta_role" {
  name = "copy-delta"
  role = aws_iam_role.copy_delta_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for item in [
      {
        Sid      = "ReadLedger"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*"
      },
      {
        Sid      = "RecordSlice"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/record-*.json"
      },
      {
        Sid      = "TakeLease"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/lease.json"
      },
      {
        Sid      = "UploadParts"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/*/tidemark_window=*/part-*"
      },
      {
        Sid      = "ReadSourceSecret"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = (local.create_secret ? aws_secretsmanager_secret.source_secret[0].arn : var.source_secret_arn)
      },
      (local.has_mask_secret ? {
        Sid      = "ReadMaskSecret"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = var.mask_secret_arn
      } : null),
      (local.has_sink_secrets ? {
        Sid      = "ReadSinkSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = var.sink_secret_arns
      } : null),
      (local.has_secret_kms_keys ? {
        Sid      = "DecryptSecrets"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.secret_kms_key_arns
        Condition = {
          StringLike = {
            "kms:ViaService" = "secretsmanager.${data.aws_region.current.region}.*"
          }
        }
      } : null),
      (local.has_web_identity ? {
        Sid      = "AskForTokens"
        Effect   = "Allow"
        Action   = "sts:GetWebIdentityToken"
        Resource = "*"
        Condition = {
          "ForAllValues:StringEquals" = {
            "sts:IdentityTokenAudience" = var.web_identity_audience
          }
        }
      } : null),
      (local.has_kms_key ? {
        Sid      = "UseKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
        Condition = {
          StringLike = {
            "kms:ViaService" = "s3.${data.aws_region.current.region}.*"
          }
        }
      } : null),
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.copy_delta_logs.arn}:*"
      },
    ] : item if item != null]
  })
}

resource "aws_iam_role_policy_attachment" "copy_delta_role" {
  role       = aws_iam_role.copy_delta_role.name
  policy_arn = aws_iam_policy.function_basics.arn
}

resource "aws_lambda_function" "update_watermark_function" {
  function_name    = "${var.name}-update-watermark"
  description      = "Commits a window: completes its uploads, writes its manifest, moves the watermark."
  role             = aws_iam_role.update_watermark_role.arn
  filename         = "${local.packages}/update-watermark.zip"
  source_code_hash = filebase64sha256("${local.packages}/update-watermark.zip")
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = var.lookup_memory
  timeout          = 300

  tracing_config {
    mode = "Active"
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = var.log_level
    log_group             = aws_cloudwatch_log_group.update_watermark_logs.name
  }

  environment {
    variables = { for key, value in {
      SINK_BUCKET          = (local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)
      SINK_PREFIX          = var.sink_prefix
      SINK_BUCKET_OWNER    = (local.has_bucket_owner ? var.sink_bucket_owner : data.aws_caller_identity.current.account_id)
      SINK_ENCRYPTION      = var.sink_encryption
      SINK_KMS_KEY_ARN     = var.kms_key_arn
      SINK_SIGNED_PAYLOADS = var.sink_signed_payloads
      SOURCE_SECRET_ARN    = (local.create_secret ? aws_secretsmanager_secret.source_secret[0].arn : var.source_secret_arn)
      SOURCE_HOST          = var.source_host
      SOURCE_PORT          = var.source_port
      SOURCE_DATABASE      = var.source_database
      SOURCE_TLS           = var.source_tls
      SOURCE_READ_INTENT   = var.source_read_intent
      METRICS_STACK        = var.name
      METRICS_PER_TABLE    = var.metrics_per_table
      SSL_CERT_FILE        = (local.has_ca_bundle ? var.ca_bundle : null)
      COPY_MEMORY          = var.copy_memory
      RUN_BUDGET_ROWS      = var.run_budget_rows
      RUN_BUDGET_BYTES     = var.run_budget_bytes
      RUN_BUDGET_USD       = var.run_budget_usd
      WATERMARK_STORE      = var.watermark_store
      WATERMARK_TABLE      = var.watermark_table
      WATERMARK_PROCEDURE  = var.watermark_procedure
      WATERMARK_SECRET_ARN = (local.has_watermark_secret ? var.watermark_secret_arn : null)
      WATERMARK_HOST       = (local.has_watermark_secret ? var.watermark_host : null)
      WATERMARK_PORT       = (local.has_watermark_secret ? var.watermark_port : null)
      WATERMARK_DATABASE   = (local.has_watermark_secret ? var.watermark_database : null)
    } : key => value if value != null }
  }

  dynamic "vpc_config" {
    for_each = local.has_vpc ? [1] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }
  depends_on = [aws_iam_role_policy.update_watermark_role, aws_iam_role_policy_attachment.update_watermark_role]
}

resource "aws_cloudwatch_log_group" "update_watermark_logs" {
  name              = "/tidemark/${var.name}/update-watermark"
  retention_in_days = var.log_retention_days
  kms_key_id        = (local.has_log_kms_key ? var.log_kms_key_arn : null)
}

resource "aws_iam_role" "update_watermark_role" {
  name = "${var.name}-update-watermark-${data.aws_region.current.region}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "update_watermark_role" {
  name = "update-watermark"
  role = aws_iam_role.update_watermark_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for item in [
      {
        Sid      = "ReadLedger"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*"
      },
      {
        Sid      = "CompleteParts"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/*/tidemark_window=*/part-*"
      },
      {
        Sid      = "TellMissingParts"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}"
        Condition = {
          StringLike = {
            "s3:prefix" = "${var.sink_prefix}/*/tidemark_window=*"
          }
        }
      },
      {
        Sid      = "TakeLease"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/lease.json"
      },
      {
        Sid      = "WriteManifest"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/manifest.json"
      },
      {
        Sid      = "WriteLoaderManifests"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/loader-*"
      },
      {
        Sid      = "LeaveColumns"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/previous.json"
      },
      (local.in_sql ? null : {
        Sid      = "MoveWatermark"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/watermark.json"
      }),
      {
        Sid      = "VoidRecords"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/_ledger/*/void-*.json"
      },
      {
        Sid      = "ReadSourceSecret"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = (local.create_secret ? aws_secretsmanager_secret.source_secret[0].arn : var.source_secret_arn)
      },
      (local.has_watermark_secret_in_sql ? {
        Sid      = "ReadWatermarkSecret"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = var.watermark_secret_arn
      } : null),
      (local.has_secret_kms_keys ? {
        Sid      = "DecryptSecrets"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.secret_kms_key_arns
        Condition = {
          StringLike = {
            "kms:ViaService" = "secretsmanager.${data.aws_region.current.region}.*"
          }
        }
      } : null),
      (local.has_web_identity ? {
        Sid      = "AskForTokens"
        Effect   = "Allow"
        Action   = "sts:GetWebIdentityToken"
        Resource = "*"
        Condition = {
          "ForAllValues:StringEquals" = {
            "sts:IdentityTokenAudience" = var.web_identity_audience
          }
        }
      } : null),
      (local.has_kms_key ? {
        Sid      = "UseKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
        Condition = {
          StringLike = {
            "kms:ViaService" = "s3.${data.aws_region.current.region}.*"
          }
        }
      } : null),
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.update_watermark_logs.arn}:*"
      },
    ] : item if item != null]
  })
}

resource "aws_iam_role_policy_attachment" "update_watermark_role" {
  role       = aws_iam_role.update_watermark_role.name
  policy_arn = aws_iam_policy.function_basics.arn
}

resource "aws_sfn_state_machine" "incremental_copy" {
  name     = "${var.name}-incremental-copy"
  role_arn = aws_iam_role.incremental_copy_role.arn
  definition = templatefile("${path.module}/../incremental-copy.asl.json", {
    Partition                     = data.aws_partition.current.partition
    LookupOldWatermarkFunctionArn = aws_lambda_function.lookup_old_watermark_function.arn
    LookupNewWatermarkFunctionArn = aws_lambda_function.lookup_new_watermark_function.arn
    CopyDeltaFunctionArn          = aws_lambda_function.copy_delta_function.arn
    UpdateWatermarkFunctionArn    = aws_lambda_function.update_watermark_function.arn
    TableConcurrency              = var.table_concurrency
    SliceConcurrency              = var.slice_concurrency
    CopyReservedConcurrency       = var.copy_reserved_concurrency
    RunsAtOnce                    = (local.has_table_list ? var.run_concurrency : 1)
    FailureTopicArn               = (local.has_states_kms_key ? (local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn) : "none")
  })

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.incremental_copy_logs.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  dynamic "encryption_configuration" {
    for_each = local.has_states_kms_key ? [1] : []

    content {
      type                              = "CUSTOMER_MANAGED_KMS_KEY"
      kms_key_id                        = var.states_kms_key_arn
      kms_data_key_reuse_period_seconds = 900
    }
  }
  depends_on = [aws_iam_role_policy_attachment.incremental_copy_role]
}

resource "aws_cloudwatch_log_group" "incremental_copy_logs" {
  name              = "/aws/vendedlogs/states/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = (local.has_log_kms_key ? var.log_kms_key_arn : null)
}

resource "aws_iam_policy" "state_machine_basics" {
  name_prefix = "${var.name}-state-machine-basics-"
  description = "Logs and tracing for the state machines of ${var.name}."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for item in [
      {
        Sid    = "DeliverLogs"
        Effect = "Allow"
        Action = [
          "logs:CreateLogDelivery",
          "logs:GetLogDelivery",
          "logs:UpdateLogDelivery",
          "logs:DeleteLogDelivery",
          "logs:ListLogDeliveries",
          "logs:PutResourcePolicy",
          "logs:DescribeResourcePolicies",
          "logs:DescribeLogGroups",
        ]
        Resource = "*"
      },
      {
        Sid    = "Trace"
        Effect = "Allow"
        Action = [
          "xray:PutTraceSegments",
          "xray:PutTelemetryRecords",
          "xray:GetSamplingRules",
          "xray:GetSamplingTargets",
        ]
        Resource = "*"
      },
      (local.has_states_kms_key ? {
        Sid      = "UseKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.states_kms_key_arn
        Condition = {
          StringLike = {
            "kms:EncryptionContext:aws:states:stateMachineArn" = "arn:${data.aws_partition.current.partition}:states:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:stateMachine:*"
          }
        }
      } : null),
      (local.has_states_kms_key ? {
        Sid      = "EncryptLogs"
        Effect   = "Allow"
        Action   = "kms:GenerateDataKey"
        Resource = var.states_kms_key_arn
        Condition = {
          StringEquals = {
            "kms:EncryptionContext:SourceArn" = "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:*"
          }
        }
      } : null),
    ] : item if item != null]
  })
}

resource "aws_iam_role" "incremental_copy_role" {
  name = "${var.name}-incremental-copy-${data.aws_region.current.region}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "states.amazonaws.com"
        }
        Action = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "incremental_copy_role" {
  name = "incremental-copy"
  role = aws_iam_role.incremental_copy_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for item in [
      {
        Sid    = "InvokeSteps"
        Effect = "Allow"
        Action = "lambda:InvokeFunction"
        Resource = [
          aws_lambda_function.lookup_old_watermark_function.arn,
          aws_lambda_function.lookup_new_watermark_function.arn,
          aws_lambda_function.copy_delta_function.arn,
          aws_lambda_function.update_watermark_function.arn,
        ]
      },
      (local.has_states_kms_key ? {
        Sid      = "TellTables"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = (local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)
      } : null),
      (local.tells_with_key ? {
        Sid      = "EncryptMessages"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.alarm_topic_kms_key_arn
        Condition = {
          StringLike = {
            "kms:ViaService" = "sns.${data.aws_region.current.region}.*"
          }
          StringEquals = {
            "kms:EncryptionContext:aws:sns:topicArn" = var.alarm_topic_arn
          }
        }
      } : null),
    ] : item if item != null]
  })
}

resource "aws_iam_role_policy_attachment" "incremental_copy_role" {
  role       = aws_iam_role.incremental_copy_role.name
  policy_arn = aws_iam_policy.state_machine_basics.arn
}

resource "aws_sfn_state_machine" "incremental_copy_list" {
  count    = local.has_table_list ? 1 : 0
  name     = "${var.name}-incremental-copy-list"
  role_arn = aws_iam_role.incremental_copy_list_role[0].arn
  definition = templatefile("${path.module}/../incremental-copy-list.asl.json", {
    Partition               = data.aws_partition.current.partition
    IncrementalCopyArn      = aws_sfn_state_machine.incremental_copy.arn
    SinkBucket              = (local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)
    TableListKey            = var.table_list_key
    TablesPerRun            = var.tables_per_run
    RunConcurrency          = var.run_concurrency
    CopyReservedConcurrency = var.copy_reserved_concurrency
  })

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.incremental_copy_logs.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  dynamic "encryption_configuration" {
    for_each = local.has_states_kms_key ? [1] : []

    content {
      type                              = "CUSTOMER_MANAGED_KMS_KEY"
      kms_key_id                        = var.states_kms_key_arn
      kms_data_key_reuse_period_seconds = 900
    }
  }
  depends_on = [aws_iam_role_policy_attachment.incremental_copy_list_role]
}

resource "aws_iam_role" "incremental_copy_list_role" {
  count = local.has_table_list ? 1 : 0
  name  = "${var.name}-incremental-copy-list-${data.aws_region.current.region}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "states.amazonaws.com"
        }
        Action = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "incremental_copy_list_role" {
  count = local.has_table_list ? 1 : 0
  name  = "incremental-copy-list"
  role  = aws_iam_role.incremental_copy_list_role[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for item in [
      {
        Sid      = "ReadTableList"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.table_list_key}"
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "NotWhereTheFunctionsWrite"
        Effect   = "Deny"
        Action   = "s3:GetObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${(local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)}/${var.sink_prefix}/*"
      },
      (local.has_kms_key ? {
        Sid      = "DecryptTableList"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.kms_key_arn
        Condition = {
          StringLike = {
            "kms:ViaService" = "s3.${data.aws_region.current.region}.*"
          }
        }
      } : null),
      {
        Sid      = "StartRuns"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = aws_sfn_state_machine.incremental_copy.arn
      },
      {
        Sid      = "FollowRuns"
        Effect   = "Allow"
        Action   = ["states:DescribeExecution", "states:StopExecution"]
        Resource = "arn:${data.aws_partition.current.partition}:states:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:execution:${aws_sfn_state_machine.incremental_copy.name}:*"
      },
      (local.has_states_kms_key ? {
        Sid      = "DecryptAnswers"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.states_kms_key_arn
        Condition = {
          StringLike = {
            "kms:ViaService" = "states.${data.aws_region.current.region}.*"
          }
        }
      } : null),
      {
        Sid      = "HearOfRuns"
        Effect   = "Allow"
        Action   = ["events:PutRule", "events:PutTargets", "events:DescribeRule"]
        Resource = "arn:${data.aws_partition.current.partition}:events:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"
      },
    ] : item if item != null]
  })
}

resource "aws_iam_role_policy_attachment" "incremental_copy_list_role" {
  count      = local.has_table_list ? 1 : 0
  role       = aws_iam_role.incremental_copy_list_role[0].name
  policy_arn = aws_iam_policy.state_machine_basics.arn
}

resource "aws_iam_role_policy" "incremental_copy_list_map" {
  count = local.has_table_list ? 1 : 0
  name  = "incremental-copy-list-map"
  role  = aws_iam_role.incremental_copy_list_role[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "StartChildren"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = aws_sfn_state_machine.incremental_copy_list[0].arn
      },
      {
        Sid    = "FollowChildren"
        Effect = "Allow"
        Action = ["states:DescribeExecution", "states:StopExecution"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:states:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:execution:${aws_sfn_state_machine.incremental_copy_list[0].name}:*",
          "arn:${data.aws_partition.current.partition}:states:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:execution:${aws_sfn_state_machine.incremental_copy_list[0].name}/*",
        ]
      },
    ]
  })
}

resource "aws_scheduler_schedule" "schedule" {
  name                         = "${var.name}"
  description                  = "Starts the incremental copy of ${var.name}."
  schedule_expression          = var.schedule_expression
  schedule_expression_timezone = var.schedule_timezone
  state                        = (local.schedule_is_enabled ? "ENABLED" : "DISABLED")

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = (local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)
    role_arn = aws_iam_role.schedule_role.arn
    input    = (local.has_table_list ? "{}" : var.tables_json)

    retry_policy {
      maximum_retry_attempts       = 3
      maximum_event_age_in_seconds = 3600
    }

    dead_letter_config {
      arn = aws_sqs_queue.schedule_dead_letters.arn
    }
  }
}

resource "aws_sqs_queue" "schedule_dead_letters" {
  name_prefix               = "${var.name}-schedule-dead-letters-"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "schedule_dead_letters_policy" {
  queue_url = aws_sqs_queue.schedule_dead_letters.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "UndeliveredMessages"
        Effect = "Allow"
        Principal = {
          Service = "events.amazonaws.com"
        }
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.schedule_dead_letters.arn
        Condition = {
          ArnEquals = {
            "aws:SourceArn" = [for item in [
              aws_cloudwatch_event_rule.run_stopped_message.arn,
              (local.causes_are_told ? aws_cloudwatch_event_rule.run_failed_message[0].arn : null),
            ] : item if item != null]
          }
        }
      },
    ]
  })
}

resource "aws_iam_role" "schedule_role" {
  name = "${var.name}-schedule-${data.aws_region.current.region}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "scheduler.amazonaws.com"
        }
        Action = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "schedule_role" {
  name = "schedule"
  role = aws_iam_role.schedule_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "StartRuns"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = (local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)
      },
      {
        Sid      = "KeepDeadLetters"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.schedule_dead_letters.arn
      },
    ]
  })
}

resource "aws_sns_topic" "notifications" {
  count        = local.create_topic ? 1 : 0
  name_prefix  = "${var.name}-notifications-"
  display_name = "Tidemark"
}

resource "aws_sns_topic_policy" "notifications_policy" {
  count = local.create_topic ? 1 : 0
  arn   = aws_sns_topic.notifications[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Alarms"
        Effect = "Allow"
        Principal = {
          Service = "cloudwatch.amazonaws.com"
        }
        Action   = "sns:Publish"
        Resource = aws_sns_topic.notifications[0].arn
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "FailedRuns"
        Effect = "Allow"
        Principal = {
          Service = "events.amazonaws.com"
        }
        Action   = "sns:Publish"
        Resource = aws_sns_topic.notifications[0].arn
      },
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.notifications[0].arn
        Condition = {
          Bool = {
            "aws:SecureTransport" = "false"
          }
        }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "notifications_email" {
  count     = local.has_alarm_email ? 1 : 0
  topic_arn = aws_sns_topic.notifications[0].arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_event_rule" "run_failed_message" {
  count       = local.causes_are_told ? 1 : 0
  name        = "${var.name}-run-failed-message"
  description = "Tells of every failed run of ${var.name}."
  event_pattern = jsonencode({
    source        = ["aws.states"]
    "detail-type" = ["Step Functions Execution Status Change"]
    detail = {
      status = ["FAILED"]
      stateMachineArn = [for item in [
        aws_sfn_state_machine.incremental_copy.arn,
        (local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : null),
      ] : item if item != null]
    }
  })
}

resource "aws_cloudwatch_event_target" "run_failed_message" {
  count     = local.causes_are_told ? 1 : 0
  rule      = aws_cloudwatch_event_rule.run_failed_message[0].name
  target_id = "topic"
  arn       = (local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)

  dead_letter_config {
    arn = aws_sqs_queue.schedule_dead_letters.arn
  }

  input_transformer {
    input_paths = {
      run       = "$.detail.name"
      execution = "$.detail.executionArn"
      error     = "$.detail.error"
      cause     = "$.detail.cause"
    }
    input_template = "{\n  \"what\": \"A run of the incremental copy ${var.name} failed. Tables that the cause does not name were copied.\",\n  \"run\": <run>,\n  \"error\": <error>,\n  \"cause\": <cause>,\n  \"what_to_do\": \"Look up the error of each table in docs/reference/errors.md, and put its cause right. The next run goes on by itself; nothing has to be cleaned up.\",\n  \"execution\": <execution>\n}"
  }
}

resource "aws_cloudwatch_event_rule" "run_stopped_message" {
  name        = "${var.name}-run-stopped-message"
  description = "Tells of every run of ${var.name} that was stopped or took too long, or whose failure has no cause to tell."
  event_pattern = jsonencode({
    source        = ["aws.states"]
    "detail-type" = ["Step Functions Execution Status Change"]
    detail = {
      status = [for item in ["TIMED_OUT", "ABORTED", (local.causes_are_told ? null : "FAILED")] : item if item != null]
      stateMachineArn = [for item in [
        aws_sfn_state_machine.incremental_copy.arn,
        (local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : null),
      ] : item if item != null]
    }
  })
}

resource "aws_cloudwatch_event_target" "run_stopped_message" {
  rule      = aws_cloudwatch_event_rule.run_stopped_message.name
  target_id = "topic"
  arn       = (local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)

  dead_letter_config {
    arn = aws_sqs_queue.schedule_dead_letters.arn
  }

  input_transformer {
    input_paths = {
      run       = "$.detail.name"
      execution = "$.detail.executionArn"
      status    = "$.detail.status"
    }
    input_template = "{\n  \"what\": \"A run of the incremental copy ${var.name} did not succeed. Its history shows why, and which tables were copied.\",\n  \"run\": <run>,\n  \"status\": <status>,\n  \"what_to_do\": \"FAILED: the error is not in this message, because the execution is encrypted. Read error and cause at the execution, in the console or with aws stepfunctions describe-execution, and look the error up in docs/reference/errors.md. ABORTED, TIMED_OUT: start a run, or wait for the next one, which goes on where this one was ended; if TIMED_OUT comes again, give a run fewer tables.\",\n  \"execution\": <execution>\n}"
  }
}

resource "aws_cloudwatch_metric_alarm" "runs_failed_alarm" {
  alarm_name          = "${var.name}-runs-failed-alarm"
  alarm_description   = "A run of the incremental copy failed. The execution's cause names each failed table and its error."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsFailed"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    StateMachineArn = (local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)
  }
}

resource "aws_cloudwatch_metric_alarm" "runs_timed_out_alarm" {
  alarm_name          = "${var.name}-runs-timed-out-alarm"
  alarm_description   = "A run of the incremental copy took longer than it may."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsTimedOut"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    StateMachineArn = (local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)
  }
}

resource "aws_cloudwatch_metric_alarm" "runs_aborted_alarm" {
  alarm_name          = "${var.name}-runs-aborted-alarm"
  alarm_description   = "A run of the incremental copy was stopped by somebody."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsAborted"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    StateMachineArn = (local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)
  }
}

resource "aws_cloudwatch_metric_alarm" "runs_throttled_alarm" {
  alarm_name          = "${var.name}-runs-throttled-alarm"
  alarm_description   = "Step Functions held runs back for a quarter of an hour. Lower TableConcurrency or RunConcurrency, or ask AWS for more state transitions."
  namespace           = "AWS/States"
  metric_name         = "ExecutionThrottled"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    StateMachineArn = aws_sfn_state_machine.incremental_copy.arn
  }
}

resource "aws_cloudwatch_metric_alarm" "dead_letters_alarm" {
  alarm_name          = "${var.name}-dead-letters-alarm"
  alarm_description   = "The schedule could not start a run, or nobody could be told of one that failed. The messages in the queue have the reason."
  namespace           = "AWS/SQS"
  metric_name         = "NumberOfMessagesSent"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 6
  datapoints_to_alarm = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    QueueName = aws_sqs_queue.schedule_dead_letters.name
  }
}

resource "aws_cloudwatch_metric_alarm" "no_success_alarm" {
  count               = local.has_no_success_alarm ? 1 : 0
  alarm_name          = "${var.name}-no-success-alarm"
  alarm_description   = "No run has succeeded for NoSuccessAlarmHours. Versions of tracked tables may be about to expire."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsSucceeded"
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = var.no_success_alarm_hours
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    StateMachineArn = (local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)
  }
}

resource "aws_cloudwatch_metric_alarm" "late_rows_alarm" {
  alarm_name          = "${var.name}-late-rows-alarm"
  alarm_description   = "Rows were committed after their window was copied, so they are in no file. See late rows in docs/how-to/repair.md."
  namespace           = "Tidemark"
  metric_name         = "LateRows"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    Stack = var.name
  }
}

resource "aws_cloudwatch_metric_alarm" "late_rows_unknown_alarm" {
  alarm_name          = "${var.name}-late-rows-unknown-alarm"
  alarm_description   = "Late rows could not be counted at a commit, so whether there are any is not known. Index the watermark column."
  namespace           = "Tidemark"
  metric_name         = "LateRowsUnknown"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    Stack = var.name
  }
}

resource "aws_cloudwatch_metric_alarm" "tables_failed_alarm" {
  alarm_name          = "${var.name}-tables-failed-alarm"
  alarm_description   = "Tables failed in runs that copied others. The execution's cause names each of them and its error."
  namespace           = "Tidemark"
  metric_name         = "TablesFailed"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    Stack = var.name
  }
}

resource "aws_cloudwatch_metric_alarm" "tables_stopped_alarm" {
  alarm_name          = "${var.name}-tables-stopped-alarm"
  alarm_description   = "A run left the rest of a table to the next one, because the budget of the run was spent."
  namespace           = "Tidemark"
  metric_name         = "TablesStopped"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    Stack = var.name
  }
}

resource "aws_cloudwatch_metric_alarm" "tables_paused_alarm" {
  alarm_name          = "${var.name}-tables-paused-alarm"
  alarm_description   = "Runs leave a table alone, because somebody has paused it. With change tracking, its version may expire meanwhile."
  namespace           = "Tidemark"
  metric_name         = "TablesPaused"
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    Stack = var.name
  }
}

resource "aws_cloudwatch_metric_alarm" "tables_busy_alarm" {
  alarm_name          = "${var.name}-tables-busy-alarm"
  alarm_description   = "For more than a day, runs have left a table alone, because another run was copying it. The run that copies it may be too large, or hang."
  namespace           = "Tidemark"
  metric_name         = "TablesBusy"
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 2
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    Stack = var.name
  }
}

resource "aws_cloudwatch_metric_alarm" "tables_waiting_alarm" {
  alarm_name          = "${var.name}-tables-waiting-alarm"
  alarm_description   = "For more than a day, runs have had more windows, or slices of them, than they can hold, so that tables wait for the next run."
  namespace           = "Tidemark"
  metric_name         = "TablesWaiting"
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 2
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    Stack = var.name
  }
}

resource "aws_cloudwatch_metric_alarm" "tables_incomplete_alarm" {
  alarm_name          = "${var.name}-tables-incomplete-alarm"
  alarm_description   = "A table has rows that are in no window: they have no watermark, a security policy hides them from the login, or a view reads them from another database."
  namespace           = "Tidemark"
  metric_name         = "TablesIncomplete"
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    Stack = var.name
  }
}

resource "aws_cloudwatch_metric_alarm" "reinitializations_alarm" {
  alarm_name          = "${var.name}-reinitializations-alarm"
  alarm_description   = "A table was loaded again in full, in place of another window: its version had expired, it was truncated, or it was loaded into a new folder because its columns changed."
  namespace           = "Tidemark"
  metric_name         = "Reinitializations"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    Stack = var.name
  }
}

resource "aws_cloudwatch_metric_alarm" "watermark_lag_alarm" {
  count               = local.has_lag_alarm ? 1 : 0
  alarm_name          = "${var.name}-watermark-lag-alarm"
  alarm_description   = "A table's watermark is older than it should be, whichever table it is."
  namespace           = "Tidemark"
  metric_name         = "WatermarkLagSeconds"
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = var.watermark_lag_alarm_seconds
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    Stack = var.name
  }
}

resource "aws_cloudwatch_metric_alarm" "lookup_old_watermark_throttles_alarm" {
  alarm_name          = "${var.name}-lookup-old-watermark-throttles-alarm"
  alarm_description   = "Invocations of lookup-old-watermark were refused for a quarter of an hour. Lower TableConcurrency or SliceConcurrency, or raise the limit."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    FunctionName = aws_lambda_function.lookup_old_watermark_function.function_name
  }
}

resource "aws_cloudwatch_metric_alarm" "lookup_old_watermark_near_timeout_alarm" {
  alarm_name          = "${var.name}-lookup-old-watermark-near-timeout-alarm"
  alarm_description   = "An invocation of lookup-old-watermark took more than nine tenths of the time it has. See DeadlineExceeded in docs/reference/errors.md."
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 2
  datapoints_to_alarm = 1
  threshold           = 270000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    FunctionName = aws_lambda_function.lookup_old_watermark_function.function_name
  }
}

resource "aws_cloudwatch_metric_alarm" "lookup_new_watermark_throttles_alarm" {
  alarm_name          = "${var.name}-lookup-new-watermark-throttles-alarm"
  alarm_description   = "Invocations of lookup-new-watermark were refused for a quarter of an hour. Lower TableConcurrency or SliceConcurrency, or raise the limit."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    FunctionName = aws_lambda_function.lookup_new_watermark_function.function_name
  }
}

resource "aws_cloudwatch_metric_alarm" "lookup_new_watermark_near_timeout_alarm" {
  alarm_name          = "${var.name}-lookup-new-watermark-near-timeout-alarm"
  alarm_description   = "An invocation of lookup-new-watermark took more than nine tenths of the time it has. See DeadlineExceeded in docs/reference/errors.md."
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 2
  datapoints_to_alarm = 1
  threshold           = 270000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    FunctionName = aws_lambda_function.lookup_new_watermark_function.function_name
  }
}

resource "aws_cloudwatch_metric_alarm" "copy_delta_throttles_alarm" {
  alarm_name          = "${var.name}-copy-delta-throttles-alarm"
  alarm_description   = "Invocations of copy-delta were refused for a quarter of an hour. Lower TableConcurrency or SliceConcurrency, or raise the limit."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    FunctionName = aws_lambda_function.copy_delta_function.function_name
  }
}

resource "aws_cloudwatch_metric_alarm" "copy_delta_near_timeout_alarm" {
  alarm_name          = "${var.name}-copy-delta-near-timeout-alarm"
  alarm_description   = "An invocation of copy-delta took more than nine tenths of the time it has. See DeadlineExceeded in docs/reference/errors.md."
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 5
  datapoints_to_alarm = 1
  threshold           = 810000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    FunctionName = aws_lambda_function.copy_delta_function.function_name
  }
}

resource "aws_cloudwatch_metric_alarm" "update_watermark_throttles_alarm" {
  alarm_name          = "${var.name}-update-watermark-throttles-alarm"
  alarm_description   = "Invocations of update-watermark were refused for a quarter of an hour. Lower TableConcurrency or SliceConcurrency, or raise the limit."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    FunctionName = aws_lambda_function.update_watermark_function.function_name
  }
}

resource "aws_cloudwatch_metric_alarm" "update_watermark_near_timeout_alarm" {
  alarm_name          = "${var.name}-update-watermark-near-timeout-alarm"
  alarm_description   = "An invocation of update-watermark took more than nine tenths of the time it has. See DeadlineExceeded in docs/reference/errors.md."
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 2
  datapoints_to_alarm = 1
  threshold           = 270000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  ok_actions          = [(local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)]
  dimensions = {
    FunctionName = aws_lambda_function.update_watermark_function.function_name
  }
}

resource "aws_cloudwatch_dashboard" "dashboard" {
  dashboard_name = "${var.name}-${data.aws_region.current.region}"
  dashboard_body = "{\n  \"start\": \"-PT24H\",\n  \"widgets\": [\n    {\"type\": \"metric\", \"x\": 0, \"y\": 0, \"width\": 12, \"height\": 6, \"properties\": {\n      \"title\": \"Runs\", \"region\": \"${data.aws_region.current.region}\", \"view\": \"timeSeries\", \"stat\": \"Sum\", \"period\": 300,\n      \"metrics\": [\n          [\"AWS/States\", \"ExecutionsSucceeded\", \"StateMachineArn\", \"${(local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)}\"],\n          [\"AWS/States\", \"ExecutionsFailed\", \"StateMachineArn\", \"${(local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)}\"],\n          [\"AWS/States\", \"ExecutionsTimedOut\", \"StateMachineArn\", \"${(local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)}\"],\n          [\"AWS/States\", \"ExecutionsAborted\", \"StateMachineArn\", \"${(local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)}\"]]}},\n    {\"type\": \"metric\", \"x\": 12, \"y\": 0, \"width\": 12, \"height\": 6, \"properties\": {\n      \"title\": \"Duration of runs\", \"region\": \"${data.aws_region.current.region}\", \"view\": \"timeSeries\", \"stat\": \"Maximum\", \"period\": 300,\n      \"metrics\": [\n          [\"AWS/States\", \"ExecutionTime\", \"StateMachineArn\", \"${(local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : aws_sfn_state_machine.incremental_copy.arn)}\", {\"stat\": \"Maximum\", \"label\": \"longest\"}],\n          [\"...\", {\"stat\": \"Average\", \"label\": \"average\"}]]}},\n    {\"type\": \"metric\", \"x\": 0, \"y\": 6, \"width\": 12, \"height\": 6, \"properties\": {\n      \"title\": \"Rows and bytes\", \"region\": \"${data.aws_region.current.region}\", \"view\": \"timeSeries\", \"stat\": \"Sum\", \"period\": 3600,\n      \"metrics\": [\n          [\"Tidemark\", \"RowsCopied\", \"Stack\", \"${var.name}\"],\n          [\"Tidemark\", \"BytesWritten\", \"Stack\", \"${var.name}\", {\"yAxis\": \"right\"}]]}},\n    {\"type\": \"log\", \"x\": 12, \"y\": 6, \"width\": 12, \"height\": 6, \"properties\": {\n      \"title\": \"Per table: rows, bytes and last lag of what was committed in the time shown\", \"region\": \"${data.aws_region.current.region}\", \"view\": \"table\",\n      \"query\": \"SOURCE '${aws_cloudwatch_log_group.update_watermark_logs.name}' | filter ispresent(RowsCopied) | stats sum(RowsCopied) as rows, sum(BytesWritten) as bytes, max(LateRows) as late_rows, latest(WatermarkLagSeconds) as lag_seconds by Table | sort lag_seconds desc\"}},\n    {\"type\": \"metric\", \"x\": 0, \"y\": 12, \"width\": 12, \"height\": 6, \"properties\": {\n      \"title\": \"Late rows, unknown late rows, full loads again, tables that failed, stopped, wait, are busy, paused or incomplete\", \"region\": \"${data.aws_region.current.region}\", \"view\": \"timeSeries\", \"stat\": \"Sum\", \"period\": 300,\n      \"metrics\": [\n          [\"Tidemark\", \"LateRows\", \"Stack\", \"${var.name}\"],\n          [\"Tidemark\", \"LateRowsUnknown\", \"Stack\", \"${var.name}\"],\n          [\"Tidemark\", \"Reinitializations\", \"Stack\", \"${var.name}\"],\n          [\"Tidemark\", \"TablesFailed\", \"Stack\", \"${var.name}\"],\n          [\"Tidemark\", \"TablesStopped\", \"Stack\", \"${var.name}\"],\n          [\"Tidemark\", \"TablesPaused\", \"Stack\", \"${var.name}\"],\n          [\"Tidemark\", \"TablesBusy\", \"Stack\", \"${var.name}\"],\n          [\"Tidemark\", \"TablesWaiting\", \"Stack\", \"${var.name}\"],\n          [\"Tidemark\", \"TablesIncomplete\", \"Stack\", \"${var.name}\"]]}},\n    {\"type\": \"metric\", \"x\": 12, \"y\": 12, \"width\": 12, \"height\": 6, \"properties\": {\n      \"title\": \"Errors and throttles of the functions\", \"region\": \"${data.aws_region.current.region}\", \"view\": \"timeSeries\", \"stat\": \"Sum\", \"period\": 300,\n      \"metrics\": [\n          [\"AWS/Lambda\", \"Errors\", \"FunctionName\", \"${aws_lambda_function.lookup_old_watermark_function.function_name}\"],\n          [\"AWS/Lambda\", \"Throttles\", \"FunctionName\", \"${aws_lambda_function.lookup_old_watermark_function.function_name}\"],\n          [\"AWS/Lambda\", \"Errors\", \"FunctionName\", \"${aws_lambda_function.lookup_new_watermark_function.function_name}\"],\n          [\"AWS/Lambda\", \"Throttles\", \"FunctionName\", \"${aws_lambda_function.lookup_new_watermark_function.function_name}\"],\n          [\"AWS/Lambda\", \"Errors\", \"FunctionName\", \"${aws_lambda_function.copy_delta_function.function_name}\"],\n          [\"AWS/Lambda\", \"Throttles\", \"FunctionName\", \"${aws_lambda_function.copy_delta_function.function_name}\"],\n          [\"AWS/Lambda\", \"Errors\", \"FunctionName\", \"${aws_lambda_function.update_watermark_function.function_name}\"],\n          [\"AWS/Lambda\", \"Throttles\", \"FunctionName\", \"${aws_lambda_function.update_watermark_function.function_name}\"]]}},\n    {\"type\": \"metric\", \"x\": 0, \"y\": 18, \"width\": 12, \"height\": 6, \"properties\": {\n      \"title\": \"Longest invocations (ms)\", \"region\": \"${data.aws_region.current.region}\", \"view\": \"timeSeries\", \"stat\": \"Maximum\", \"period\": 300,\n      \"metrics\": [\n          [\"AWS/Lambda\", \"Duration\", \"FunctionName\", \"${aws_lambda_function.lookup_old_watermark_function.function_name}\"],\n          [\"AWS/Lambda\", \"Duration\", \"FunctionName\", \"${aws_lambda_function.lookup_new_watermark_function.function_name}\"],\n          [\"AWS/Lambda\", \"Duration\", \"FunctionName\", \"${aws_lambda_function.copy_delta_function.function_name}\"],\n          [\"AWS/Lambda\", \"Duration\", \"FunctionName\", \"${aws_lambda_function.update_watermark_function.function_name}\"]]}},\n    {\"type\": \"metric\", \"x\": 12, \"y\": 18, \"width\": 12, \"height\": 6, \"properties\": {\n      \"title\": \"Cost of the functions a day without transitions, by the list price of us-east-1\", \"region\": \"${data.aws_region.current.region}\", \"view\": \"timeSeries\", \"stat\": \"Sum\", \"period\": 86400, \"setPeriodToTimeRange\": false,\n      \"metrics\": [\n          [{\"expression\": \"(${var.lookup_memory} * (FILL(old, 0) + FILL(new, 0) + FILL(update, 0)) + ${var.copy_memory} * FILL(copy, 0)) / 1024 / 1000 * ${(local.on_arm ? "0.0000133334" : "0.0000166667")} + (FILL(olds, 0) + FILL(news, 0) + FILL(updates, 0) + FILL(copies, 0)) * ${"0.0000002"}\", \"label\": \"Lambda, USD a day\", \"id\": \"usd\"}],\n          [\"AWS/Lambda\", \"Duration\", \"FunctionName\", \"${aws_lambda_function.lookup_old_watermark_function.function_name}\", {\"id\": \"old\", \"visible\": false}],\n          [\"AWS/Lambda\", \"Duration\", \"FunctionName\", \"${aws_lambda_function.lookup_new_watermark_function.function_name}\", {\"id\": \"new\", \"visible\": false}],\n          [\"AWS/Lambda\", \"Duration\", \"FunctionName\", \"${aws_lambda_function.copy_delta_function.function_name}\", {\"id\": \"copy\", \"visible\": false}],\n          [\"AWS/Lambda\", \"Duration\", \"FunctionName\", \"${aws_lambda_function.update_watermark_function.function_name}\", {\"id\": \"update\", \"visible\": false}],\n          [\"AWS/Lambda\", \"Invocations\", \"FunctionName\", \"${aws_lambda_function.lookup_old_watermark_function.function_name}\", {\"id\": \"olds\", \"visible\": false}],\n          [\"AWS/Lambda\", \"Invocations\", \"FunctionName\", \"${aws_lambda_function.lookup_new_watermark_function.function_name}\", {\"id\": \"news\", \"visible\": false}],\n          [\"AWS/Lambda\", \"Invocations\", \"FunctionName\", \"${aws_lambda_function.copy_delta_function.function_name}\", {\"id\": \"copies\", \"visible\": false}],\n          [\"AWS/Lambda\", \"Invocations\", \"FunctionName\", \"${aws_lambda_function.update_watermark_function.function_name}\", {\"id\": \"updates\", \"visible\": false}]]}},\n    {\"type\": \"metric\", \"x\": 0, \"y\": 24, \"width\": 12, \"height\": 6, \"properties\": {\n      \"title\": \"Dead letters of the schedule\", \"region\": \"${data.aws_region.current.region}\", \"view\": \"timeSeries\", \"stat\": \"Maximum\", \"period\": 300,\n      \"metrics\": [\n          [\"AWS/SQS\", \"ApproximateNumberOfMessagesVisible\", \"QueueName\", \"${aws_sqs_queue.schedule_dead_letters.name}\"]]}}\n  ]\n}"
}
