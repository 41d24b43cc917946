variable "project_id" {
  description = "Project of the environment."
  type        = string
}

variable "region" {
  description = "Where it is."
  type        = string
}

variable "name" {
  description = "Its name."
  type        = string
}

variable "enabled" {
  description = "Whether it is there. Its bucket stays, and with it the code."
  type        = bool
}

variable "image" {
  description = "Image of Cloud Composer 3, with its Airflow version."
  type        = string
}

variable "service_account" {
  description = "E-mail of the account that tasks run as."
  type        = string
}

variable "dashboard" {
  description = "E-mail of the account that the dashboard's page reads as."
  type        = string
}

variable "deployer" {
  description = "E-mail of the account that writes code into the bucket."
  type        = string
}

variable "environment_variables" {
  description = "What tasks are told besides the code's places."
  type        = map(string)
}

variable "web_server_allowed_ranges" {
  description = "From where the web UI can be reached, CIDR by description."
  type        = map(string)
}

variable "deletion_protection" {
  description = "Refuse to remove the bucket while it holds objects."
  type        = bool
}

variable "labels" {
  description = "Labels of everything."
  type        = map(string)
}
