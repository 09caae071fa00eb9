# Written by tools/terraform.py from infra/template.yaml (make terraform). Changes belong there.

output "notifications_topic_arn" {
  description = "Topic of alarms and failed runs. Subscribe whoever is to hear of them."
  value       = (local.create_topic ? aws_sns_topic.notifications[0].arn : var.alarm_topic_arn)
}

output "dashboard_name" {
  description = "Dashboard of the stack in CloudWatch."
  value       = aws_cloudwatch_dashboard.dashboard.dashboard_name
}

output "state_machine_arn" {
  description = "Start a run with \"aws stepfunctions start-execution --state-machine-arn ... --input file://infra/tables.json\"."
  value       = aws_sfn_state_machine.incremental_copy.arn
}

output "state_machine_role_arn" {
  description = "Role that publishes to the topic with StatesKmsKeyArn, for the policy of a topic of another account and that of the topic's key."
  value       = aws_iam_role.incremental_copy_role.arn
}

output "list_state_machine_arn" {
  description = "Start a run of every table of the list with \"aws stepfunctions start-execution --state-machine-arn ...\"."
  value       = local.has_table_list ? aws_sfn_state_machine.incremental_copy_list[0].arn : null
}

output "bucket_name" {
  description = "Bucket that holds the data and the ledgers."
  value       = (local.create_bucket ? aws_s3_bucket.sink_bucket[0].id : var.sink_bucket_name)
}

output "writer_role_arns" {
  description = "Roles that write to the bucket, for the policy of a bucket that was there before the stack."
  value = join(", ", [
    aws_iam_role.lookup_new_watermark_role.arn,
    aws_iam_role.copy_delta_role.arn,
    aws_iam_role.update_watermark_role.arn,
  ])
}

output "source_secret_arn" {
  description = "Secret the functions log in with."
  value       = (local.create_secret ? aws_secretsmanager_secret.source_secret[0].arn : var.source_secret_arn)
}

output "schedule_name" {
  description = "The schedule; it is off until ScheduleEnabled is true."
  value       = aws_scheduler_schedule.schedule.name
}

output "lookup_old_watermark_function_name" {
  description = "First step."
  value       = aws_lambda_function.lookup_old_watermark_function.function_name
}

output "lookup_new_watermark_function_name" {
  description = "Second step."
  value       = aws_lambda_function.lookup_new_watermark_function.function_name
}

output "copy_delta_function_name" {
  description = "Third step."
  value       = aws_lambda_function.copy_delta_function.function_name
}

output "update_watermark_function_name" {
  description = "Fourth step."
  value       = aws_lambda_function.update_watermark_function.function_name
}
