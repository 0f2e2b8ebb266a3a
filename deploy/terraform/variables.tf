variable "name" {
  description = "Begins the names of all that is made."
  type        = string
  default     = "solder"
}

variable "image" {
  description = "The image with both programs and the sources, by digest, so that a run can be repeated."
  type        = string
}

variable "subnets" {
  description = "Where jobs run. They need a way to the APIs, to S3, ECR, CloudWatch Logs and Secrets Manager."
  type        = list(string)
}

variable "security_groups" {
  description = "They need no way in, only out."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "Whether jobs get a public address: in public subnets without NAT."
  type        = bool
  default     = false
}

variable "architecture" {
  description = "What the image was built for: ARM64 or X86_64."
  type        = string
  default     = "ARM64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.architecture)
    error_message = "The architecture is ARM64 or X86_64."
  }
}

variable "ingest_size" {
  description = "vCPU and MiB of an ingest; Fargate has only certain pairs."
  type        = object({ vcpu = string, memory = string })
  default     = { vcpu = "0.5", memory = "1024" }
}

variable "engine_size" {
  description = "vCPU and MiB of a job of the engine."
  type        = object({ vcpu = string, memory = string })
  default     = { vcpu = "2", memory = "8192" }
}

variable "function" {
  description = "The zip of the function that ingests for `\"ingest_by\": \"lambda\"`, a file, and its memory in MiB (1769 are one vCPU); no function if null."
  type        = object({ zip = string, memory = optional(number, 1024) })
  default     = null
}

variable "max_vcpus" {
  description = "All jobs at a time together."
  type        = number
  default     = 32
}

variable "timeout" {
  description = "Seconds that one attempt of a job may take."
  type        = number
  default     = 14400
}

variable "secret_prefix" {
  description = "Ingests may read secrets whose names begin so, and no others."
  type        = string
  default     = "solder/"
}

variable "secrets_are_written" {
  description = "Whether a source uses oauth2_refresh_token and its API replaces the refresh token."
  type        = bool
  default     = false
}

variable "catalog_database" {
  description = "A database of the Glue Data Catalog that is there already, in which merges register their tables; none if empty."
  type        = string
  default     = ""
}

variable "schedules" {
  description = "By name: when, and the input of the execution as JSON. One state machine serves all of them."
  type = map(object({
    expression = string
    time_zone  = optional(string, "UTC")
    enabled    = optional(bool, true)
    input      = string
  }))
  default = {}
}

variable "alarm_email" {
  description = "Who is told of failures; none if null."
  type        = string
  default     = null
}
