variable "environment" {
  description = "Which environment this is; its file in environments/ says it."
  type        = string

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment is neither dev nor prod: give ENV=dev or ENV=prod."
  }
}

variable "project_id" {
  description = "The Google Cloud project of this environment alone."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is no project's id (6 to 30 of a-z, 0-9 and -): write yours into the environment's file in terraform/environments."
  }
}

variable "region" {
  description = "Where Composer and its network are."
  type        = string
  default     = "europe-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is no region's name, such as europe-west1."
  }
}

variable "location" {
  description = "Where the lake and the datasets are: a multi-region that holds the region, or the region itself. It cannot be changed later."
  type        = string
  default     = "EU"

  validation {
    condition     = contains(["EU", "US"], var.location) || can(regex("^[a-z]+-[a-z]+[0-9]+$", var.location))
    error_message = "location is neither EU, US nor a region such as europe-west1."
  }
}

variable "github_repository" {
  description = "owner/name of the repository whose workflows deploy, and where the runbooks are read."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository is not of the form owner/name: write yours into the environment's file in terraform/environments."
  }
}

variable "alert_emails" {
  description = "Who is told of alerts and of the budget."
  type        = list(string)

  validation {
    condition     = length(var.alert_emails) > 0 && alltrue([for email in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", email))])
    error_message = "alert_emails needs at least one address, and each of the form name@example.com: an alert that nobody gets is none."
  }
}

variable "billing_account" {
  description = "The billing account that the budget watches, such as 012345-6789AB-CDEF01; null: no budget."
  type        = string
  default     = null

  validation {
    condition     = var.billing_account == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account is not of the form 012345-6789AB-CDEF01 (gcloud billing accounts list), nor null."
  }
}

variable "monthly_budget" {
  description = "What a month may cost, in whole units of the billing account's currency."
  type        = number
  default     = 500

  validation {
    condition     = var.monthly_budget >= 1 && floor(var.monthly_budget) == var.monthly_budget
    error_message = "monthly_budget is no whole number from 1 on."
  }
}

variable "bytes_per_day" {
  description = "Bytes that BigQuery may bill in 24 hours before an alert; 0.2 TB is about 1 USD."
  type        = number
  default     = 200000000000

  validation {
    condition     = var.bytes_per_day > 0
    error_message = "bytes_per_day is not above 0."
  }
}

variable "maximum_bytes_billed" {
  description = "Bytes that one query may bill; BigQuery refuses a larger one before it reads."
  type        = number
  default     = 10737418240

  validation {
    condition     = var.maximum_bytes_billed > 0 && var.maximum_bytes_billed <= var.bytes_per_day
    error_message = "maximum_bytes_billed is not above 0, or above bytes_per_day: one query could use up more than a day's bytes."
  }
}

variable "composer_enabled" {
  description = "Whether the Composer environment is there. Without it lake, warehouse and what is published stay."
  type        = bool
  default     = true
}

variable "composer_image" {
  description = "Image of Cloud Composer 3, with its build: the one whose packages requirements/composer-image.in lists."
  type        = string
  default     = "composer-3-airflow-3.3.1-build.0"

  validation {
    condition     = can(regex("^composer-3-airflow-[0-9]+[.][0-9]+[.][0-9]+-build[.][0-9]+$", var.composer_image))
    error_message = "composer_image is not of the form composer-3-airflow-3.3.1-build.0: without its build, an image changes by itself, and its packages with it."
  }
}

variable "web_server_allowed_ranges" {
  description = "From where the web UI and its API can be reached, CIDR by description. Google asks for a login in any case."
  type        = map(string)

  validation {
    condition     = length(var.web_server_allowed_ranges) > 0 && alltrue([for range in values(var.web_server_allowed_ranges) : can(cidrhost(range, 0))])
    error_message = "web_server_allowed_ranges needs at least one range, and each as CIDR, such as 192.0.2.0/24."
  }
}

variable "dataset_prefix" {
  description = "Goes before every dataset's name."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-zA-Z][a-zA-Z0-9_]*_)?$", var.dataset_prefix))
    error_message = "dataset_prefix is neither empty nor letters, digits and _ that end in _, such as me_."
  }
}

variable "lake_prefix" {
  description = "Goes before every object's name in the lake."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9_-]+/)*$", var.lake_prefix))
    error_message = "lake_prefix is neither empty nor a path that ends in a slash, such as me/."
  }
}

variable "readers" {
  description = "Who reads the marts, such as group:analysts@example.com; they run their queries in a project of their own."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.readers : can(regex("^(user|group|serviceAccount):[^@ ]+@[^@ ]+[.][^@ ]+$|^domain:[^@ ]+[.][^@ ]+$", member))])
    error_message = "readers has a member that is not of the form user:, group: or serviceAccount: with an address, or domain: with a domain."
  }
}

variable "environment_variables" {
  description = "What tasks are told besides what follows from the other variables; see the README's table."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment_variables) : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !startswith(name, "AIRFLOW__")])
    error_message = "environment_variables has a name that is not of A-Z, 0-9 and _, or that begins with AIRFLOW__, which Composer refuses."
  }
}

variable "deletion_protection" {
  description = "Refuse to remove the project, a lake that holds objects, and datasets that hold tables."
  type        = bool
  default     = true
}
