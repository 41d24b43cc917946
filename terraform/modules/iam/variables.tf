variable "project_id" {
  description = "Project of the accounts."
  type        = string
}

variable "project_number" {
  description = "Its number, by which the secrets' names begin."
  type        = string
}

variable "name" {
  description = "Begins the accounts' names."
  type        = string
}

variable "environment" {
  description = "Name of the GitHub environment whose jobs may deploy."
  type        = string
}

variable "lake_bucket" {
  description = "Bucket of the lake."
  type        = string
}

variable "datasets" {
  description = "Ids of all datasets."
  type        = list(string)
}

variable "published_datasets" {
  description = "Ids of the datasets that the dashboard reads."
  type        = list(string)
}

variable "marts_dataset" {
  description = "Id of the dataset of marts."
  type        = string
}

variable "readers" {
  description = "Who else reads the marts."
  type        = list(string)
}

variable "secret_location" {
  description = "Region that keeps the secrets."
  type        = string
}

variable "github_repository" {
  description = "owner/name of the repository whose workflows deploy."
  type        = string
}

variable "labels" {
  description = "Labels of everything."
  type        = map(string)
}
