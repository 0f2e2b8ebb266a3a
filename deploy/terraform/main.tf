# The twin of ../sam/template.yaml.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  here      = "${data.aws_region.this.id}:${local.account}"
  secrets   = "arn:${local.partition}:secretsmanager:${local.here}:secret:${var.secret_prefix}*"
  glue      = "arn:${local.partition}:glue:${local.here}"
  settings  = "arn:${local.partition}:ssm:${local.here}:parameter/${var.secret_prefix}*"

  jobs = {
    ingest = { size = var.ingest_size, role = aws_iam_role.ingest.arn }
    engine = { size = var.engine_size, role = aws_iam_role.engine.arn }
  }
}

# --- Jobs -----------------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_group" "jobs" {
  name              = "/solder/${var.name}"
  retention_in_days = 30
}

resource "aws_cloudwatch_log_group" "pipeline" {
  name              = "/aws/vendedlogs/states/${var.name}"
  retention_in_days = 30
}

resource "aws_batch_compute_environment" "this" {
  type  = "MANAGED"
  state = "ENABLED"

  compute_resources {
    type               = "FARGATE"
    max_vcpus          = var.max_vcpus
    subnets            = var.subnets
    security_group_ids = var.security_groups
  }
}

resource "aws_batch_job_queue" "this" {
  name     = var.name
  priority = 1
  state    = "ENABLED"

  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.this.arn
  }
}

resource "aws_batch_job_definition" "this" {
  for_each = local.jobs

  name                  = "${var.name}-${each.key}"
  type                  = "container"
  platform_capabilities = ["FARGATE"]
  propagate_tags        = true

  timeout {
    attempt_duration_seconds = var.timeout
  }

  retry_strategy {
    attempts = 4

    evaluate_on_exit {
      on_reason = "CannotPullContainerError:*"
      action    = "RETRY"
    }
    # 75: the program says that trying again can help. Nothing else does.
    evaluate_on_exit {
      on_exit_code = "75"
      action       = "RETRY"
    }
    # Without a last rule for everything, Batch tries again whatever fits no rule.
    evaluate_on_exit {
      on_exit_code = "*"
      action       = "EXIT"
    }
    evaluate_on_exit {
      on_reason = "*"
      action    = "EXIT"
    }
  }

  container_properties = jsonencode({
    image                  = var.image
    command                = [each.key, "--version"]
    jobRoleArn             = each.value.role
    executionRoleArn       = aws_iam_role.execution.arn
    readonlyRootFilesystem = true
    user                   = "65532"
    resourceRequirements = [
      { type = "VCPU", value = each.value.size.vcpu },
      { type = "MEMORY", value = each.value.size.memory },
    ]
    runtimePlatform              = { cpuArchitecture = var.architecture, operatingSystemFamily = "LINUX" }
    networkConfiguration         = { assignPublicIp = var.assign_public_ip ? "ENABLED" : "DISABLED" }
    fargatePlatformConfiguration = { platformVersion = "LATEST" }
    # The root is read-only: temporary files go to a volume of the task's own disk.
    volumes     = [{ name = "tmp" }]
    mountPoints = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
    environment = [{ name = "TMPDIR", value = "/tmp" }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.jobs.name
        "awslogs-region"        = data.aws_region.this.id
        "awslogs-stream-prefix" = each.key
      }
    }
  })
}

# --- The function: ingests that are small enough for 15 minutes at a time --------------------------------------------

resource "aws_cloudwatch_log_group" "function" {
  count = var.function == null ? 0 : 1

  name              = "/aws/lambda/${var.name}-ingest"
  retention_in_days = 30
}

resource "aws_lambda_function" "ingest" {
  count = var.function == null ? 0 : 1

  function_name = "${var.name}-ingest"
  description   = "Solder - lands what is new of a source; calls itself done, or says that more is left"
  runtime       = "provided.al2023"
  # The program itself, as `bootstrap`; it needs no handler, but the resource does.
  handler          = "bootstrap"
  architectures    = [lower(var.architecture)]
  filename         = var.function.zip
  source_code_hash = filebase64sha256(var.function.zip)
  role             = aws_iam_role.function[0].arn
  memory_size      = var.function.memory
  timeout          = 900

  ephemeral_storage {
    size = 2048
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function[0].name
  }
}

# --- The pipeline ---------------------------------------------------------------------------------------------------

resource "aws_sfn_state_machine" "pipeline" {
  name     = "${var.name}-pipeline"
  type     = "STANDARD"
  role_arn = aws_iam_role.pipeline.arn

  definition = templatefile("${path.module}/../statemachines/pipeline.asl.json", {
    Bucket         = aws_s3_bucket.data.id
    JobQueue       = aws_batch_job_queue.this.arn
    IngestJob      = aws_batch_job_definition.this["ingest"].arn
    EngineJob      = aws_batch_job_definition.this["engine"].arn
    IngestFunction = var.function == null ? "" : aws_lambda_function.ingest[0].function_name
    Topic          = aws_sns_topic.this.arn
    Catalog        = var.catalog_database
  })

  logging_configuration {
    level           = "ERROR"
    log_destination = "${aws_cloudwatch_log_group.pipeline.arn}:*"
  }

  # IAM policies are attached one by one: without this, the first check of the role can come too early.
  depends_on = [aws_iam_role_policy.pipeline]
}

resource "aws_scheduler_schedule" "this" {
  for_each = var.schedules

  name                         = "${var.name}-${each.key}"
  schedule_expression          = each.value.expression
  schedule_expression_timezone = each.value.time_zone
  state                        = each.value.enabled ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.pipeline.arn
    role_arn = aws_iam_role.schedule.arn
    input    = each.value.input

    retry_policy {
      maximum_retry_attempts       = 3
      maximum_event_age_in_seconds = 900
    }
  }
}

# --- Word of failures -----------------------------------------------------------------------------------------------

resource "aws_sns_topic" "this" {
  name              = var.name
  kms_master_key_id = aws_kms_key.this.id
}

resource "aws_sns_topic_subscription" "email" {
  count = var.alarm_email == null ? 0 : 1

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

# The pipeline tells of its own failures. The alarms also see those that it cannot tell of.
resource "aws_cloudwatch_metric_alarm" "executions" {
  for_each = toset(["ExecutionsFailed", "ExecutionsTimedOut"])

  alarm_name          = "${var.name}-${each.key}"
  namespace           = "AWS/States"
  metric_name         = each.key
  dimensions          = { StateMachineArn = aws_sfn_state_machine.pipeline.arn }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
}

output "bucket" {
  value = aws_s3_bucket.data.id
}

output "pipeline" {
  value = aws_sfn_state_machine.pipeline.arn
}

output "topic" {
  value = aws_sns_topic.this.arn
}
