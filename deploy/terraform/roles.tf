locals {
  # Who may take a role: services, of this account where they say which one they act for.
  trust = merge(
    {
      ecs-tasks = jsonencode({
        Version   = "2012-10-17"
        Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" } }]
      })
    },
    {
      lambda = jsonencode({
        Version   = "2012-10-17"
        Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
      })
    },
    {
      for service in ["states", "scheduler"] : service => jsonencode({
        Version = "2012-10-17"
        Statement = [{
          Effect    = "Allow"
          Action    = "sts:AssumeRole"
          Principal = { Service = "${service}.amazonaws.com" }
          Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
        }]
      })
    },
  )

  # Without a prefix: to others S3 says 403 for an object that is not there, where 404 is the answer.
  list       = { Sid = "List", Effect = "Allow", Action = "s3:ListBucket", Resource = aws_s3_bucket.data.arn }
  encryption = { Sid = "Encryption", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = aws_kms_key.this.arn }
}

# Fargate itself: pulls the image and writes logs.
resource "aws_iam_role" "execution" {
  name_prefix        = "${var.name}-execution-"
  assume_role_policy = local.trust["ecs-tasks"]
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

# ingest: reads secrets, lands in raw/.
resource "aws_iam_role" "ingest" {
  name_prefix        = "${var.name}-ingest-"
  assume_role_policy = local.trust["ecs-tasks"]
}

resource "aws_iam_role_policy" "ingest" {
  name = "ingest"
  role = aws_iam_role.ingest.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Land"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = "${aws_s3_bucket.data.arn}/raw/*"
      },
      local.list,
      { Sid = "Secrets", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = local.secrets },
      { Sid = "Parameters", Effect = "Allow", Action = "ssm:GetParameter", Resource = local.settings },
      local.encryption,
      ], [
      for secret in [local.secrets, local.settings] : {
        Effect   = "Allow"
        Action   = ["secretsmanager:PutSecretValue", "ssm:PutParameter"]
        Resource = secret
      } if var.secrets_are_written
    ])
  })
}

# ingest as a function: the same, and its own log.
resource "aws_iam_role" "function" {
  count = var.function == null ? 0 : 1

  name_prefix        = "${var.name}-function-"
  assume_role_policy = local.trust["lambda"]
}

resource "aws_iam_role_policy" "function_ingest" {
  count = var.function == null ? 0 : 1

  name   = "ingest"
  role   = aws_iam_role.function[0].id
  policy = aws_iam_role_policy.ingest.policy
}

resource "aws_iam_role_policy" "function" {
  count = var.function == null ? 0 : 1

  name = "log"
  role = aws_iam_role.function[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Log"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.function[0].arn}:*"
    }]
  })
}

# engine: reads raw/, keeps curated/ and lake/; knows no secret.
resource "aws_iam_role" "engine" {
  name_prefix        = "${var.name}-engine-"
  assume_role_policy = local.trust["ecs-tasks"]
}

resource "aws_iam_role_policy" "engine" {
  name = "engine"
  role = aws_iam_role.engine.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      { Sid = "Read", Effect = "Allow", Action = "s3:GetObject", Resource = "${aws_s3_bucket.data.arn}/raw/*" },
      {
        Sid      = "Keep"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = ["${aws_s3_bucket.data.arn}/curated/*", "${aws_s3_bucket.data.arn}/lake/*"]
      },
      {
        Sid      = "Report"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = "${aws_s3_bucket.data.arn}/runs/*"
      },
      local.list,
      local.encryption,
      ], [
      for database in compact([var.catalog_database]) : {
        Sid    = "Register"
        Effect = "Allow"
        Action = ["glue:GetDatabase", "glue:GetTable", "glue:CreateTable", "glue:UpdateTable"]
        Resource = [
          "${local.glue}:catalog",
          "${local.glue}:database/${database}",
          "${local.glue}:table/${database}/*",
        ]
      }
    ])
  })
}

# The state machine: submits jobs, invokes the function, reads reports, tells of failures.
resource "aws_iam_role" "pipeline" {
  name_prefix        = "${var.name}-pipeline-"
  assume_role_policy = local.trust["states"]
}

resource "aws_iam_role_policy" "pipeline" {
  name = "pipeline"
  role = aws_iam_role.pipeline.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "Submit"
        Effect = "Allow"
        Action = "batch:SubmitJob"
        # Without the revision: a new one needs no new policy.
        Resource = concat([aws_batch_job_queue.this.arn], [
          for job in keys(local.jobs) : "arn:${local.partition}:batch:${local.here}:job-definition/${var.name}-${job}*"
        ])
      },
      # A Distributed Map starts executions of this very state machine. By name: the machine needs the role first.
      {
        Sid      = "StartShards"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = "arn:${local.partition}:states:${local.here}:stateMachine:${var.name}-pipeline"
      },
      {
        Sid      = "WatchAndStopShards"
        Effect   = "Allow"
        Action   = ["states:DescribeExecution", "states:StopExecution"]
        Resource = "arn:${local.partition}:states:${local.here}:execution:${var.name}-pipeline/*"
      },
      { Sid = "WatchAndStop", Effect = "Allow", Action = ["batch:DescribeJobs", "batch:TerminateJob"], Resource = "*" },
      {
        Sid      = "HearOfEnds"
        Effect   = "Allow"
        Action   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
        Resource = "arn:${local.partition}:events:${local.here}:rule/StepFunctionsGetEventsForBatchJobsRule"
      },
      { Sid = "ReadReports", Effect = "Allow", Action = "s3:GetObject", Resource = "${aws_s3_bucket.data.arn}/runs/*" },
      { Sid = "Tell", Effect = "Allow", Action = "sns:Publish", Resource = aws_sns_topic.this.arn },
      local.encryption,
      {
        Sid    = "Log"
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
      ], [
      for function in aws_lambda_function.ingest :
      { Sid = "Invoke", Effect = "Allow", Action = "lambda:InvokeFunction", Resource = function.arn }
    ])
  })
}

# The schedule: starts the state machine, and nothing else.
resource "aws_iam_role" "schedule" {
  name_prefix        = "${var.name}-schedule-"
  assume_role_policy = local.trust["scheduler"]
}

resource "aws_iam_role_policy" "schedule" {
  name = "schedule"
  role = aws_iam_role.schedule.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "states:StartExecution", Resource = aws_sfn_state_machine.pipeline.arn }]
  })
}
