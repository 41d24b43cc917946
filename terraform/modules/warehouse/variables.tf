variable "project_id" {
  description = "Project of the datasets."
  type        = string
}

variable "location" {
  description = "Where they are."
  type        = string
}

variable "prefix" {
  description = "Goes before every dataset's name."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to remove a dataset while it holds tables."
  type        = bool
}

variable "labels" {
  description = "Labels of everything."
  type        = map(string)
}
