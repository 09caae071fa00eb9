# Written by tools/terraform.py from infra/template.yaml (make terraform). Changes belong there.

variable "source_secret_arn" {
  description = "ARN of an existing secret with the keys host, port, username, password and dbname. It is better to give one than to leave this empty. When it is empty, the stack creates the secret from the Source* parameters below."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^arn:[^\\s,]+:secretsmanager:[^\\s,]+:secret:[^\\s,]+-[A-Za-z0-9]{6}$)$", var.source_secret_arn))
    error_message = "The value must be the full ARN of a secret, which ends in a hyphen and six characters that AWS chose."
  }
}

variable "source_host" {
  description = "Host name of the SQL Server. With SourceSecretArn it stands in for a host that the secret lacks."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^[A-Za-z0-9._:-]*$)$", var.source_host))
    error_message = "The value must be a host name or an address, without a port and without an instance."
  }
}

variable "source_port" {
  description = "Port of the SQL Server. With SourceSecretArn it stands in for a port that the secret lacks."
  type        = number
  default     = 1433

  validation {
    condition     = var.source_port >= 1 && var.source_port <= 65535
    error_message = "The value must be at least 1 and at most 65535."
  }
}

variable "source_database" {
  description = "Database to read from. With SourceSecretArn it stands in for a dbname that the secret lacks."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^[^\"\\\\\\x00-\\x1f]*$)$", var.source_database))
    error_message = "The value cannot hold a quote, a backslash or a control character here; create the secret yourself and give SourceSecretArn."
  }
}

variable "source_username" {
  description = "Login; infra/sql/grants.sql has the rights it needs. With SourceSecretArn it is not used."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^[^\"\\\\\\x00-\\x1f]*$)$", var.source_username))
    error_message = "The value cannot hold a quote, a backslash or a control character here; create the secret yourself and give SourceSecretArn."
  }
}

variable "source_password" {
  description = "Password of the login. With SourceSecretArn it is not used."
  type        = string
  default     = ""
  sensitive   = true

  validation {
    condition     = can(regex("^(?:^[^\"\\\\\\x00-\\x1f]*$)$", var.source_password))
    error_message = "The value cannot hold a quote, a backslash or a control character here; create the secret yourself and give SourceSecretArn."
  }
}

variable "source_tls" {
  description = "verify checks the server's certificate; strict does, too, and speaks TDS 8.0; trust accepts any certificate and is meant for tests of private servers only. It holds for the source, if the source's secret does not say it."
  type        = string
  default     = "verify"

  validation {
    condition     = contains(["verify", "strict", "trust"], var.source_tls)
    error_message = "The value must be one of verify, strict, trust."
  }
}

variable "source_read_intent" {
  description = "Whether connections to the source ask for a replica that is only read from. On a replica, a table with change tracking is refused, and so is a table whose watermark is a rowversion."
  type        = string
  default     = "false"

  validation {
    condition     = contains(["true", "false"], var.source_read_intent)
    error_message = "The value must be one of true, false."
  }
}

variable "web_identity_audience" {
  description = "For secrets whose authentication is web_identity: the audience of the tokens that the functions may ask AWS for, as a rule api://AzureADTokenExchange, in the cloud of the US government api://AzureADTokenExchangeUSGov, in China's api://AzureADTokenExchangeChina. When empty, they may not ask for any."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^[A-Za-z0-9:/._-]*$)$", var.web_identity_audience))
    error_message = "The value must be an audience, such as api://AzureADTokenExchange."
  }
}

variable "ca_bundle" {
  description = "Path, inside the function, of a PEM file with the private authority that signed the server's certificate and the public roots (AWS itself is verified against the same file). \"make deploy CA_BUNDLE=file.pem\" packs one as /var/task/ca-bundle.pem and sets this."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^/[A-Za-z0-9._/-]+$)$", var.ca_bundle))
    error_message = "The value must be the whole path of a file."
  }
}

variable "sink_bucket_name" {
  description = "Existing bucket to write to. When empty, the stack creates one and keeps it when the stack is deleted."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$)$", var.sink_bucket_name))
    error_message = "The value must be the name of a bucket, without s3:// and without a path."
  }
}

variable "sink_bucket_owner" {
  description = "Account that owns the bucket of SinkBucketName; this one, when empty. Every call names it, so that a bucket of that name which somebody else has is refused."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^[0-9]{12}$)$", var.sink_bucket_owner))
    error_message = "The value must be the id of an account, 12 digits."
  }
}

variable "sink_encryption" {
  description = "The encryption that every call that makes an object asks for, where the policy of the bucket demands that it does. With KmsKeyArn it is aws:kms, unless aws:kms:dsse is given."
  type        = string
  default     = ""

  validation {
    condition     = contains(["", "AES256", "aws:kms", "aws:kms:dsse"], var.sink_encryption)
    error_message = "The value must be one of , AES256, aws:kms, aws:kms:dsse."
  }
}

variable "sink_signed_payloads" {
  description = "Whether the pieces of uploads are signed, for a bucket whose policy denies UNSIGNED-PAYLOAD. It takes more of copy-delta's processor."
  type        = string
  default     = "false"

  validation {
    condition     = contains(["true", "false"], var.sink_signed_payloads)
    error_message = "The value must be one of true, false."
  }
}

variable "sink_prefix" {
  description = "Everything this stack writes is under this prefix. Readers pass over folders that begin with a point or with _."
  type        = string
  default     = "tidemark"

  validation {
    condition     = can(regex("^(?:^[A-Za-z0-9=-][A-Za-z0-9_.=-]*(/[A-Za-z0-9=-][A-Za-z0-9_.=-]*)*$)$", var.sink_prefix))
    error_message = "The value must be letters, digits and _ . = - in segments that begin with no point and no _, without a slash at either end."
  }

  validation {
    condition     = length(var.sink_prefix) <= 128
    error_message = "The value must have at most 128 characters."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the bucket, whether the stack makes it or not. It may be empty. The secrets, the logs and the state machines have keys of their own."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^arn:[^\\s,]+:kms:[^\\s,]+:key/[^\\s,]+$)$", var.kms_key_arn))
    error_message = "The value must be the ARN of a key, not an alias."
  }
}

variable "secret_kms_key_arns" {
  description = "ARNs of the keys that encrypt the secrets, those of sinks too, if they are not the account's own; comma separated. The first one encrypts the secret that the stack creates without SourceSecretArn."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.secret_kms_key_arns : can(regex("^(?:^$|^arn:[^\\s,]+:kms:[^\\s,]+:key/[^\\s,]+$)$", member))])
    error_message = "The value must be ARNs of keys, not aliases."
  }
}

variable "log_kms_key_arn" {
  description = "Key that encrypts the log groups. It may be empty. The policy of the key must let CloudWatch Logs use it."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^arn:[^\\s,]+:kms:[^\\s,]+:key/[^\\s,]+$)$", var.log_kms_key_arn))
    error_message = "The value must be the ARN of a key, not an alias."
  }
}

variable "states_kms_key_arn" {
  description = "Key that encrypts the state machines and their executions' histories. It may be empty. With a key, EventBridge leaves error and cause out of the message about a failed run, so the run sends one of its own, with the names of its tables and their errors."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^arn:[^\\s,]+:kms:[^\\s,]+:key/[^\\s,]+$)$", var.states_kms_key_arn))
    error_message = "The value must be the ARN of a key, not an alias."
  }
}

variable "operator_arns" {
  description = "ARNs of the roles and users that may write below the prefix beside the functions, to repair or move what is there, and that alone may write the list of TableListKey; * is allowed in them, comma separated. When empty, everybody to whom IAM gives the right may write the list. Only for the bucket that the stack creates; the policy of another is its owner's."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.operator_arns : can(regex("^(?:^$|^arn:[^\\s,]+:(iam|sts)::[^\\s,]+:[^\\s,]+$)$", member))])
    error_message = "The value must be ARNs of roles or users, comma separated."
  }
}

variable "keep_old_versions_days" {
  description = "How long the bucket that the stack creates keeps what was deleted or replaced in it. With SinkBucketName it is not used."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_old_versions_days >= 1 && var.keep_old_versions_days <= 3650
    error_message = "The value must be at least 1 and at most 3650."
  }
}

variable "access_log_bucket" {
  description = "Existing bucket that receives the access logs of the bucket that the stack creates. It may be empty, and cannot be given with SinkBucketName."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$)$", var.access_log_bucket))
    error_message = "The value must be the name of a bucket, without s3:// and without a path."
  }
}

variable "source_silence_seconds" {
  description = "How long the server may be silent while copy-delta reads rows, before the first one too."
  type        = number
  default     = 300

  validation {
    condition     = var.source_silence_seconds >= 1 && var.source_silence_seconds <= 840
    error_message = "The value must be at least 1 and at most 840."
  }
}

variable "part_bytes" {
  description = "Size of the pieces of an upload. An object has at most 10,000 pieces. Four of them are in the memory of copy-delta, which needs 192 MB beside them; CopyMemory must have room for both."
  type        = number
  default     = 8388608

  validation {
    condition     = var.part_bytes >= 5242880 && var.part_bytes <= 67108864
    error_message = "The value must be at least 5242880 and at most 67108864."
  }
}

variable "mask_secret_arn" {
  description = "ARN of the secret whose text, of 32 bytes or more, is the key of hashes, for tables whose mask asks for hash. Only copy-delta may read it. Another text makes other hashes, so it must never change."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^arn:[^\\s,]+:secretsmanager:[^\\s,]+:secret:[^\\s,]+-[A-Za-z0-9]{6}$)$", var.mask_secret_arn))
    error_message = "The value must be the full ARN of a secret, which ends in a hyphen and six characters that AWS chose."
  }
}

variable "sink_secret_arns" {
  description = "ARNs of the secrets of the SQL Server databases that tables are merged into, those that tables name as sink, comma separated. copy-delta opens no other secret for a sink, and only its role may read them. Not for tables that become files."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.sink_secret_arns : can(regex("^(?:^$|^arn:[^\\s,]+:secretsmanager:[^\\s,]+:secret:[^\\s,]+-[A-Za-z0-9]{6}$)$", member))])
    error_message = "The value must be full ARNs of secrets, which end in a hyphen and six characters that AWS chose."
  }
}

variable "sink_host" {
  description = "Host name of a SQL sink's server, if its secret lacks it. Only with SinkSecretArns."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^[A-Za-z0-9._:-]*$)$", var.sink_host))
    error_message = "The value must be a host name or an address, without a port and without an instance."
  }
}

variable "sink_port" {
  description = "Port of a SQL sink's server, if its secret lacks it. Without SinkSecretArns it is not used."
  type        = number
  default     = 1433

  validation {
    condition     = var.sink_port >= 1 && var.sink_port <= 65535
    error_message = "The value must be at least 1 and at most 65535."
  }
}

variable "sink_database" {
  description = "Database of a SQL sink's server, if its secret lacks it. Only with SinkSecretArns."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^[^\"\\\\\\x00-\\x1f]*$)$", var.sink_database))
    error_message = "The value cannot hold a quote, a backslash or a control character."
  }
}

variable "watermark_store" {
  description = "s3 keeps watermarks in the ledger and needs SELECT only; sql keeps them in a control table, as in the Azure tutorials."
  type        = string
  default     = "s3"

  validation {
    condition     = contains(["s3", "sql"], var.watermark_store)
    error_message = "The value must be one of s3, sql."
  }
}

variable "watermark_table" {
  description = "Control table of the sql store. infra/sql/control-table.sql has one that holds every watermark exactly."
  type        = string
  default     = "dbo.watermarktable"

  validation {
    condition     = can(regex("^(?:^([^\\[\\]\".]+|\\[([^\\]]|\\]\\])+\\])(\\.([^\\[\\]\".]+|\\[([^\\]]|\\]\\])+\\]))?$)$", var.watermark_table))
    error_message = "The value must be a name like dbo.name or [dbo].[name]."
  }
}

variable "watermark_procedure" {
  description = "Procedure that writes the control table, called positionally with (value, table name)."
  type        = string
  default     = "dbo.usp_write_watermark"

  validation {
    condition     = can(regex("^(?:^([^\\[\\]\".]+|\\[([^\\]]|\\]\\])+\\])(\\.([^\\[\\]\".]+|\\[([^\\]]|\\]\\])+\\]))?$)$", var.watermark_procedure))
    error_message = "The value must be a name like dbo.name or [dbo].[name]."
  }
}

variable "watermark_secret_arn" {
  description = "Secret of the server that has the control table, if it is not the source. Only with the sql store."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^arn:[^\\s,]+:secretsmanager:[^\\s,]+:secret:[^\\s,]+-[A-Za-z0-9]{6}$)$", var.watermark_secret_arn))
    error_message = "The value must be the full ARN of a secret, which ends in a hyphen and six characters that AWS chose."
  }
}

variable "watermark_host" {
  description = "Host name of the control table's server, if WatermarkSecretArn lacks it. Without WatermarkSecretArn it is not used."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^[A-Za-z0-9._:-]*$)$", var.watermark_host))
    error_message = "The value must be a host name or an address, without a port and without an instance."
  }
}

variable "watermark_port" {
  description = "Port of the control table's server, if WatermarkSecretArn lacks it. Without WatermarkSecretArn it is not used."
  type        = number
  default     = 1433

  validation {
    condition     = var.watermark_port >= 1 && var.watermark_port <= 65535
    error_message = "The value must be at least 1 and at most 65535."
  }
}

variable "watermark_database" {
  description = "Database of the control table's server, if WatermarkSecretArn lacks it. Without WatermarkSecretArn it is not used."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^[^\"\\\\\\x00-\\x1f]*$)$", var.watermark_database))
    error_message = "The value cannot hold a quote, a backslash or a control character."
  }
}

variable "tables_json" {
  description = "Input of every scheduled run, see infra/tables.json. A parameter holds 4,096 bytes; for more tables, give TableListKey, with which this one is not used."
  type        = string
  default     = "{\"tables\": []}"

  validation {
    condition     = can(regex("^(?:^\\{\"tables\":\\s?\\[\\]\\}$|^\\s*\\{[\\s\\S]*\"tables\"\\s*:\\s*\\[\\s*\\{[\\s\\S]*\\}\\s*$)$", var.tables_json))
    error_message = "The value must be a JSON object with the array \"tables\", which has tables."
  }
}

variable "table_list_key" {
  description = "Key, in the bucket, of a list with any number of tables, as \"tidemark tables --list\" writes it. When given, a second state machine reads it at every scheduled run and starts a run for every TablesPerRun of them. It must not be below SinkPrefix, where the functions write: that state machine may not read it there. TablesJson is not used then, whatever it holds."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^[A-Za-z0-9_=-][A-Za-z0-9_.=-]*(/[A-Za-z0-9_=-][A-Za-z0-9_.=-]*)*$)$", var.table_list_key))
    error_message = "The value must be letters, digits and _ . = - in segments that do not begin with a point, without a slash at either end."
  }
}

variable "tables_per_run" {
  description = "Tables of the list that one run takes at most; fewer if their entries have more than 48 KiB together."
  type        = number
  default     = 200

  validation {
    condition     = var.tables_per_run >= 1 && var.tables_per_run <= 250
    error_message = "The value must be at least 1 and at most 250."
  }
}

variable "run_concurrency" {
  description = "Runs of the list at the same time. Each looks up its tables over one connection and copies within its own TableConcurrency."
  type        = number
  default     = 2

  validation {
    condition     = var.run_concurrency >= 1 && var.run_concurrency <= 40
    error_message = "The value must be at least 1 and at most 40."
  }
}

variable "schedule_expression" {
  description = "rate(...), cron(...) or at(...), as EventBridge Scheduler takes it."
  type        = string
  default     = "rate(1 hour)"

  validation {
    condition     = can(regex("^(?:^(rate|cron|at)\\(.+\\)$)$", var.schedule_expression))
    error_message = "The value must be rate(...), cron(...) or at(...)."
  }
}

variable "schedule_timezone" {
  description = "Time zone of cron(...) and at(...), with its daylight saving time."
  type        = string
  default     = "UTC"

  validation {
    condition     = can(regex("^(?:^[A-Za-z][A-Za-z0-9_+/-]*$)$", var.schedule_timezone))
    error_message = "The value must be a name of the IANA database, like Europe/Berlin."
  }
}

variable "schedule_enabled" {
  description = "Off until the first run by hand was seen to work."
  type        = string
  default     = "false"

  validation {
    condition     = contains(["true", "false"], var.schedule_enabled)
    error_message = "The value must be one of true, false."
  }
}

variable "architecture" {
  description = "What the packages under target/lambda were built for."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The value must be one of x86_64, arm64."
  }
}

variable "lookup_memory" {
  description = "Memory in MB of the two lookups and of update-watermark."
  type        = number
  default     = 256

  validation {
    condition     = var.lookup_memory >= 128 && var.lookup_memory <= 10240
    error_message = "The value must be at least 128 and at most 10240."
  }
}

variable "copy_memory" {
  description = "Memory in MB of copy-delta. It uses less than 200; 1769 is where Lambda gives one whole processor."
  type        = number
  default     = 1769

  validation {
    condition     = var.copy_memory >= 256 && var.copy_memory <= 10240
    error_message = "The value must be at least 256 and at most 10240."
  }
}

variable "table_concurrency" {
  description = "Tables copied at the same time."
  type        = number
  default     = 10

  validation {
    condition     = var.table_concurrency >= 1 && var.table_concurrency <= 40
    error_message = "The value must be at least 1 and at most 40."
  }
}

variable "slice_concurrency" {
  description = "Slices of one table copied at the same time. TableConcurrency times this is the number of connections the source sees; with TableListKey, RunConcurrency times that."
  type        = number
  default     = 5

  validation {
    condition     = var.slice_concurrency >= 1 && var.slice_concurrency <= 40
    error_message = "The value must be at least 1 and at most 40."
  }
}

variable "copy_reserved_concurrency" {
  description = "Most copies of copy-delta at the same time, over all runs: the source never sees more connections that read rows, and the account's other functions never take their place. A run copies no more slices at once than this allows, with TableListKey its share of it. 0 reserves nothing."
  type        = number
  default     = 0

  validation {
    condition     = var.copy_reserved_concurrency >= 0 && var.copy_reserved_concurrency <= 1000
    error_message = "The value must be at least 0 and at most 1000."
  }
}

variable "run_budget_rows" {
  description = "Rows that a run may copy, of all its tables together; 0 is no limit. A run that has copied as many begins no other slice, and says so; the next run goes on. With TableListKey each run of TablesPerRun tables has this budget for itself."
  type        = string
  default     = "0"

  validation {
    condition     = can(regex("^(?:^[0-9]{1,15}$)$", var.run_budget_rows))
    error_message = "The value must be a whole number of rows without signs, points and letters."
  }
}

variable "run_budget_bytes" {
  description = "Bytes of files that a run may write; 0 is no limit. The budget holds for all tables of a run together, as RunBudgetRows does."
  type        = string
  default     = "0"

  validation {
    condition     = can(regex("^(?:^[0-9]{1,15}$)$", var.run_budget_bytes))
    error_message = "The value must be a whole number of bytes without signs, points and letters."
  }
}

variable "run_budget_usd" {
  description = "US dollars that the copies of a run may cost, like 2.50; 0 is no limit. They are estimated from the files and the slices by list prices of us-east-1 and CopyMemory, as \"tidemark plan\" does for the default. The budget holds for all tables of a run together, as RunBudgetRows does."
  type        = string
  default     = "0"

  validation {
    condition     = can(regex("^(?:^[0-9]{1,9}(\\.[0-9]{1,6})?$)$", var.run_budget_usd))
    error_message = "The value must be an amount of US dollars with a point and no sign, like 2.50."
  }
}

variable "subnet_ids" {
  description = "Private subnets that reach the server, S3 and Secrets Manager. Without any, the functions call from addresses that change, so the server would have to accept connections from everywhere."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.subnet_ids : can(regex("^(?:^$|^subnet-[0-9a-z]+$)$", member))])
    error_message = "The value must be ids of subnets, comma separated."
  }
}

variable "security_group_ids" {
  description = "Security groups of the functions; needed with SubnetIds."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.security_group_ids : can(regex("^(?:^$|^sg-[0-9a-z]+$)$", member))])
    error_message = "The value must be ids of security groups, comma separated."
  }
}

variable "log_level" {
  description = "What the functions log. Not less than INFO, because the dashboard reads these logs."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["TRACE", "DEBUG", "INFO"], var.log_level)
    error_message = "The value must be one of TRACE, DEBUG, INFO."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 30

  validation {
    condition = contains([
      1,
      3,
      5,
      7,
      14,
      30,
      60,
      90,
      120,
      150,
      180,
      365,
      400,
      545,
      731,
      1096,
      1827,
      2192,
      2557,
      2922,
      3288,
      3653,
    ], var.log_retention_days)
    error_message = "The value must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "alarm_topic_arn" {
  description = "Existing SNS topic that hears of alarms and failed runs. When empty, the stack creates one, to which AlarmEmail subscribes."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^arn:[^\\s,]+:sns:[^\\s,]+:[A-Za-z0-9_-]+$)$", var.alarm_topic_arn))
    error_message = "The value must be the ARN of a topic, and not of one whose name ends in .fifo, to which alarms cannot publish."
  }
}

variable "alarm_topic_kms_key_arn" {
  description = "Key that encrypts the topic of AlarmTopicArn, which the run uses to tell its tables. Without StatesKmsKeyArn it is not used, because no run sends a message then. The policy of the key must let the services publish in any case."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^arn:[^\\s,]+:kms:[^\\s,]+:key/[^\\s,]+$)$", var.alarm_topic_kms_key_arn))
    error_message = "The value must be the ARN of a key, not an alias."
  }
}

variable "alarm_email" {
  description = "Address that is subscribed to the topic that the stack creates. Its owner has to confirm. It may be empty, and cannot be given with AlarmTopicArn."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(?:^$|^[^@\\s]+@[^@\\s]+$)$", var.alarm_email))
    error_message = "The value must be an address of e-mail."
  }
}

variable "no_success_alarm_hours" {
  description = "Alarm when no run has succeeded for so many hours while the schedule is on. 26 suits a schedule of a day or less. With change tracking, take no more than half of CHANGE_RETENTION. 0 is off."
  type        = number
  default     = 26

  validation {
    condition     = var.no_success_alarm_hours >= 0 && var.no_success_alarm_hours <= 168
    error_message = "The value must be at least 0 and at most 168."
  }
}

variable "metrics_per_table" {
  description = "Whether there are metrics of each table beside those of the stack. CloudWatch charges for every one of them; the dashboard, the alarms and the logs do without."
  type        = string
  default     = "false"

  validation {
    condition     = contains(["true", "false"], var.metrics_per_table)
    error_message = "The value must be one of true, false."
  }
}

variable "watermark_lag_alarm_seconds" {
  description = "Alarm when a table's watermark is older than this. 0 is off, because a table that nobody writes to lags by nature."
  type        = number
  default     = 0

  validation {
    condition     = var.watermark_lag_alarm_seconds >= 0
    error_message = "The value must be at least 0."
  }
}
